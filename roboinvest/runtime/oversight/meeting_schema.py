"""The tables of meetings, each made where it is absent by whoever opens the Overseer's file."""

from __future__ import annotations

from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meetings (
    day TEXT PRIMARY KEY,
    meeting_id TEXT NOT NULL UNIQUE,
    begun_at TEXT NOT NULL,
    decided_at TEXT,
    done_at TEXT,
    source TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    facts TEXT NOT NULL DEFAULT '{}',
    log_mark TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS decisions (
    decision_id TEXT PRIMARY KEY,
    day TEXT NOT NULL REFERENCES meetings (day),
    content TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    reference TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    value TEXT,
    executed_at TEXT,
    baseline TEXT,
    confidence REAL NOT NULL,
    deadline TEXT NOT NULL,
    verdict TEXT CHECK (verdict IN ('right', 'wrong', 'unknown')),
    effect TEXT,
    score_reason TEXT NOT NULL DEFAULT '',
    scored_at TEXT,
    undo_by TEXT,
    changed_at TEXT NOT NULL,
    CHECK ((verdict IS NULL) = (scored_at IS NULL)),
    CHECK (state <> 'done' OR executed_at IS NOT NULL)
) STRICT;
CREATE INDEX IF NOT EXISTS decisions_by_state ON decisions (state);
CREATE TABLE IF NOT EXISTS refused_wishes (
    day TEXT NOT NULL REFERENCES meetings (day),
    number INTEGER NOT NULL,
    wish TEXT NOT NULL,
    reason TEXT NOT NULL,
    nobody INTEGER NOT NULL CHECK (nobody IN (0, 1)),
    level INTEGER,
    PRIMARY KEY (day, number)
) STRICT;
CREATE TABLE IF NOT EXISTS tuned (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    by TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS decisions_scored BEFORE UPDATE OF verdict ON decisions
WHEN OLD.verdict IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what was scored stays scored'); END;
CREATE TRIGGER IF NOT EXISTS decisions_as_decided BEFORE UPDATE OF content ON decisions
BEGIN SELECT RAISE(ABORT, 'what was decided stays as it was decided'); END;
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions stay'); END;
"""
