"""The tables of the Overseer's file that healing and cadences own, by numbered steps.

What others keep in the same file they bring as further schemas, each statement of which only
creates what is not there. An attempt that was measured is never changed, and none is removed: what
a rung is believed to do is learned from these rows. A step that was released is never edited: the
next one goes below it.
"""

from __future__ import annotations

from typing import Final

from roboinvest.runtime.lanes.file import FileKind

HEALING: Final = (
    """
    CREATE TABLE heal_attempts (
        number INTEGER PRIMARY KEY,
        attempt_id TEXT NOT NULL UNIQUE,
        agent TEXT NOT NULL,
        measured TEXT NOT NULL,
        cause TEXT NOT NULL,
        rung TEXT NOT NULL,
        systemic INTEGER NOT NULL CHECK (systemic IN (0, 1)),
        precondition TEXT NOT NULL,
        action TEXT NOT NULL,
        action_end TEXT NOT NULL CHECK (action_end IN
            ('under_way', 'returned', 'refused', 'failed', 'hung')),
        metric TEXT NOT NULL,
        target REAL NOT NULL,
        expected TEXT NOT NULL,
        at TEXT NOT NULL,
        deadline TEXT NOT NULL,
        metric_before REAL NOT NULL,
        metric_after REAL,
        verdict TEXT CHECK (verdict IN ('healed', 'not_healed', 'refused', 'unknown')),
        reason TEXT NOT NULL DEFAULT '',
        settled_at TEXT,
        CHECK ((verdict IS NULL) = (settled_at IS NULL)),
        CHECK (verdict IS NOT 'healed' OR (metric_after IS NOT NULL AND action_end = 'returned'))
    ) STRICT
    """,
    # One rung at a time: an agent has one attempt that is not measured yet.
    "CREATE UNIQUE INDEX heal_attempts_open ON heal_attempts (agent) WHERE verdict IS NULL",
    "CREATE INDEX heal_attempts_by_time ON heal_attempts (at)",
    """
    CREATE TRIGGER heal_attempts_end BEFORE UPDATE ON heal_attempts
    WHEN OLD.verdict IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'what was measured stays measured'); END
    """,
    """
    CREATE TRIGGER heal_attempts_stay BEFORE DELETE ON heal_attempts
    BEGIN SELECT RAISE(ABORT, 'attempts to heal stay'); END
    """,
)
CADENCES: Final = (
    """
    CREATE TABLE cadences (
        name TEXT PRIMARY KEY,
        next_at TEXT NOT NULL,
        begun_at TEXT,  -- of a run that is not done
        done_at TEXT,
        runs INTEGER NOT NULL DEFAULT 0,  -- done
        tries INTEGER NOT NULL DEFAULT 0  -- of the run that is due
    ) STRICT
    """,
)
KIND: Final = FileKind(
    name="overseer file",
    application_id=0x52494F31,  # "RIO1"
    steps=((*HEALING, *CADENCES),),
    probe="UPDATE cadences SET runs = runs WHERE 0",
    when_damaged="start again: the Overseer begins anew, and trading does not need it",
)
