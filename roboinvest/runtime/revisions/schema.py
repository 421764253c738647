"""The tables of revisions in the governance file.

Where an alias stands is its last move and nothing else, so that history cannot disagree with the
present. What the rules of the core promise is held by the file as well: one active revision of an
agent, an alias that stands at a revision of its own agent, moves that are numbered without a gap
and never changed.
"""

from __future__ import annotations

from typing import Final

REVISIONS: Final = """
CREATE TABLE IF NOT EXISTS revisions (
    revision_id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    parent TEXT,
    artifact_digest TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    calls TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('draft', 'gated', 'installed', 'active', 'quarantined', 'retired')),
    quarantined_by_person INTEGER NOT NULL DEFAULT 0,
    made_at TEXT NOT NULL,
    made_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS revisions_one_active ON revisions (agent_id)
    WHERE state = 'active';
CREATE INDEX IF NOT EXISTS revisions_by_agent ON revisions (agent_id, made_at);
CREATE TRIGGER IF NOT EXISTS revisions_once BEFORE INSERT ON revisions
    WHEN EXISTS (SELECT 1 FROM revisions WHERE revision_id = NEW.revision_id)
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS revisions_stay BEFORE DELETE ON revisions
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS revisions_hold BEFORE UPDATE OF
    revision_id, agent_id, parent, artifact_digest, fingerprint, capabilities, calls,
    made_at, made_by ON revisions
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;

CREATE TABLE IF NOT EXISTS alias_moves (
    alias TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    before TEXT,
    after TEXT,
    findings INTEGER NOT NULL,
    forced INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (alias, sequence)
) STRICT;
CREATE TRIGGER IF NOT EXISTS alias_moves_follow BEFORE INSERT ON alias_moves
    WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM alias_moves
            WHERE alias = NEW.alias)
        OR NEW.before IS NOT (SELECT after FROM alias_moves WHERE alias = NEW.alias
            ORDER BY sequence DESC LIMIT 1)
    BEGIN SELECT RAISE(ABORT, 'a move of an alias follows the one before it'); END;
CREATE TRIGGER IF NOT EXISTS alias_moves_stand BEFORE INSERT ON alias_moves
    WHEN NEW.after IS NOT NULL AND NOT EXISTS (SELECT 1 FROM revisions
        WHERE revision_id = NEW.after AND agent_id = NEW.alias AND state = 'active')
    BEGIN SELECT RAISE(ABORT, 'an alias stands at an active revision of its agent'); END;
CREATE TRIGGER IF NOT EXISTS alias_moves_stay BEFORE DELETE ON alias_moves
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS alias_moves_hold BEFORE UPDATE ON alias_moves
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
"""

EVIDENCE: Final = """
CREATE TABLE IF NOT EXISTS gate_records (
    number INTEGER PRIMARY KEY,
    revision_id TEXT NOT NULL,
    gate TEXT NOT NULL,
    digest TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS gate_records_each ON gate_records (revision_id, digest);
CREATE TRIGGER IF NOT EXISTS gate_records_once BEFORE INSERT ON gate_records
    WHEN EXISTS (SELECT 1 FROM gate_records WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS gate_records_stay BEFORE DELETE ON gate_records
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS gate_records_hold BEFORE UPDATE ON gate_records
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;

CREATE TABLE IF NOT EXISTS gate_standards (
    number INTEGER PRIMARY KEY,
    gate TEXT NOT NULL,
    evaluator_digest TEXT NOT NULL,
    data_digest TEXT NOT NULL,
    version INTEGER NOT NULL,
    by TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS gate_standards_once BEFORE INSERT ON gate_standards
    WHEN EXISTS (SELECT 1 FROM gate_standards WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS gate_standards_stay BEFORE DELETE ON gate_standards
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS gate_standards_hold BEFORE UPDATE ON gate_standards
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;

CREATE TABLE IF NOT EXISTS rejects (
    number INTEGER PRIMARY KEY,
    alias TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    revision_id TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS rejects_of ON rejects (alias, fingerprint);
CREATE TRIGGER IF NOT EXISTS rejects_once BEFORE INSERT ON rejects
    WHEN EXISTS (SELECT 1 FROM rejects WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS rejects_stay BEFORE DELETE ON rejects
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
CREATE TRIGGER IF NOT EXISTS rejects_hold BEFORE UPDATE ON rejects
    BEGIN SELECT RAISE(ABORT, 'history is never removed or rewritten'); END;
"""

SCHEMAS: Final = (REVISIONS, EVIDENCE)
