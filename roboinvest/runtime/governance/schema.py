"""The tables of the governance file, by numbered steps.

The audit log is appended to and never changed: triggers refuse every other way, for whoever opens
the file. Proposals change by their moves only, approvals are used once. A step that was released
is never edited: the next one goes below it.
"""

from __future__ import annotations

from typing import Final

from roboinvest.core.audit import GENESIS
from roboinvest.runtime.lanes.file import FileKind

AUDIT: Final = (
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        before TEXT,
        after TEXT,
        undo TEXT,
        at TEXT NOT NULL,
        previous TEXT NOT NULL,  -- digest of the row before
        digest TEXT NOT NULL
    ) STRICT
    """,
    f"""
    CREATE TRIGGER audit_grows BEFORE INSERT ON audit
    WHEN NEW.number <> COALESCE((SELECT max(number) FROM audit), 0) + 1
      OR NEW.previous <> COALESCE(
        (SELECT digest FROM audit ORDER BY number DESC LIMIT 1), '{GENESIS}'
      )
    BEGIN SELECT RAISE(ABORT, 'the audit log is appended to row by row'); END
    """,  # noqa: S608 the constant is ours
    """
    CREATE TRIGGER audit_holds BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_stays BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
)
INBOX: Final = (
    """
    CREATE TABLE proposals (
        proposal_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        source TEXT NOT NULL,  -- who proposes it, folded
        fingerprint TEXT NOT NULL,
        digest TEXT NOT NULL,  -- of the newest version
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        needed INTEGER NOT NULL,  -- approvals
        filed_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        veto_until TEXT,
        snoozed_until TEXT,
        reason TEXT NOT NULL,
        moved_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX proposals_pending ON proposals (fingerprint)
    WHERE state IN ('open', 'approved')
    """,
    "CREATE INDEX proposals_by_source ON proposals (source, filed_at)",
    "CREATE INDEX proposals_by_state ON proposals (state, filed_at)",
    """
    CREATE TABLE proposal_versions (
        proposal_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        content TEXT NOT NULL,  -- canonical JSON
        by TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (proposal_id, version)
    ) STRICT
    """,
    """
    CREATE TABLE approvals (
        id INTEGER PRIMARY KEY,
        proposal_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        person TEXT NOT NULL,  -- folded
        by TEXT NOT NULL,
        at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        used_at TEXT,
        void_at TEXT
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX approvals_stand ON approvals (proposal_id, digest, person)
    WHERE void_at IS NULL
    """,
    """
    CREATE TRIGGER proposals_end BEFORE UPDATE ON proposals
    WHEN OLD.state NOT IN ('open', 'approved')
    BEGIN SELECT RAISE(ABORT, 'what was decided stays decided'); END
    """,
    """
    CREATE TRIGGER proposals_keep_their_name
    BEFORE UPDATE OF proposal_id, kind, source, filed_at ON proposals
    BEGIN SELECT RAISE(ABORT, 'a proposal keeps its name'); END
    """,
    """
    CREATE TRIGGER approvals_end BEFORE UPDATE ON approvals
    WHEN OLD.used_at IS NOT NULL OR OLD.void_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'an approval is used once'); END
    """,
    """
    CREATE TRIGGER approvals_keep_their_facts
    BEFORE UPDATE OF id, proposal_id, digest, person, by, at, expires_at ON approvals
    BEGIN SELECT RAISE(ABORT, 'an approval is not rewritten'); END
    """,
    """
    CREATE TRIGGER proposal_versions_hold BEFORE UPDATE ON proposal_versions
    BEGIN SELECT RAISE(ABORT, 'what was proposed is not rewritten'); END
    """,
)
OUTCOMES: Final = (
    """
    CREATE TABLE change_outcomes (
        id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        cause TEXT NOT NULL,
        source TEXT NOT NULL,
        outcome TEXT NOT NULL,
        content TEXT NOT NULL,  -- canonical JSON
        at TEXT NOT NULL,
        revoked_at TEXT
    ) STRICT
    """,
    "CREATE INDEX change_outcomes_by_target ON change_outcomes (target, id)",
    "CREATE INDEX change_outcomes_by_cause ON change_outcomes (cause, kind, id)",
    """
    CREATE TRIGGER change_outcomes_hold BEFORE UPDATE ON change_outcomes
    WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR NEW.content <> OLD.content
      OR NEW.source <> OLD.source OR NEW.outcome <> OLD.outcome
    BEGIN SELECT RAISE(ABORT, 'an outcome is revoked, and not rewritten'); END
    """,
)
_STAYS: Final = ("proposals", "proposal_versions", "approvals", "change_outcomes")
KEEPERS: Final = tuple(
    f"CREATE TRIGGER {table}_stay BEFORE DELETE ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'rows of {table} stay'); END"
    for table in _STAYS
)
KIND: Final = FileKind(
    name="governance file",
    application_id=0x52494731,  # "RIG1"
    steps=((*AUDIT, *INBOX, *OUTCOMES, *KEEPERS),),
    probe="UPDATE audit SET number = number WHERE 0",
    when_damaged="find out who wrote to it: what stands in it said who allowed what",
)
