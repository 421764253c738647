"""The tables of the spend ledger, by numbered steps.

`calls` is the truth about money. `totals` are its sums, kept in the same transaction, so that a cap
is judged in a few look-ups whatever the number of calls. Texts stand apart: they are dropped when
they are old, and figures never are; triggers refuse it for whoever opens the file.
"""

from __future__ import annotations

from typing import Final

from roboinvest.runtime.lanes.file import FileKind

FILE_NAME: Final = "llm.db"  # in the data folder

_FIRST: Final = (
    """
    CREATE TABLE asks (
        id INTEGER PRIMARY KEY,
        ask_id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL,
        day TEXT NOT NULL,  -- exchange day
        agent TEXT NOT NULL,
        task TEXT NOT NULL,
        about TEXT NOT NULL,
        prompt_name TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        inputs_digest TEXT NOT NULL,
        source TEXT NOT NULL,
        reason TEXT NOT NULL,
        output TEXT NOT NULL,
        latency_ms REAL NOT NULL,
        attempts INTEGER NOT NULL,
        cost INTEGER NOT NULL,  -- nano-USD, as all money here
        looked_up TEXT NOT NULL,  -- JSON
        outcome TEXT
    ) STRICT
    """,
    "CREATE INDEX asks_by_about ON asks (about)",
    """
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        call_id TEXT NOT NULL UNIQUE,
        ask_id TEXT NOT NULL,
        at TEXT NOT NULL,
        day TEXT NOT NULL,  -- exchange day that pays
        agent TEXT NOT NULL,
        task TEXT NOT NULL,
        about TEXT NOT NULL,
        model TEXT NOT NULL,
        purpose TEXT NOT NULL,
        reserved INTEGER NOT NULL,
        state TEXT NOT NULL,
        charged INTEGER NOT NULL DEFAULT 0,
        is_estimated INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER,
        cached_tokens INTEGER,
        output_tokens INTEGER,
        latency_ms REAL,
        failure TEXT,
        ended_at TEXT
    ) STRICT
    """,
    "CREATE INDEX calls_by_ask ON calls (ask_id)",
    "CREATE INDEX calls_by_day ON calls (day)",
    "CREATE INDEX calls_under_way ON calls (id) WHERE state = 'reserved'",
    """
    CREATE TABLE totals (
        cap TEXT NOT NULL,
        span TEXT NOT NULL,  -- exchange day, month, or '' for an iteration
        name TEXT NOT NULL,
        spent INTEGER NOT NULL DEFAULT 0,
        reserved INTEGER NOT NULL DEFAULT 0,
        denied INTEGER NOT NULL DEFAULT 0,  -- calls
        wanted INTEGER NOT NULL DEFAULT 0,  -- by the last call that was denied
        PRIMARY KEY (cap, span, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE told (
        day TEXT NOT NULL,
        kind TEXT NOT NULL,
        cap TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (day, kind, cap, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE caps (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        text TEXT NOT NULL  -- JSON: the owner's settings from then on
    ) STRICT
    """,
    """
    CREATE TABLE cap_moves (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        before INTEGER,
        after INTEGER NOT NULL,
        by TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE texts (
        of TEXT NOT NULL,  -- an ask or a call
        kind TEXT NOT NULL,
        at TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX texts_of ON texts (of)",
    "CREATE INDEX texts_by_age ON texts (at)",
    """
    CREATE TABLE replies (
        key TEXT PRIMARY KEY,
        body TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TRIGGER calls_keep_their_facts
    BEFORE UPDATE OF id, call_id, ask_id, at, day, agent, task, about, model, purpose, reserved
    ON calls BEGIN SELECT RAISE(ABORT, 'a call is not rewritten'); END
    """,
    """
    CREATE TRIGGER calls_stay BEFORE DELETE ON calls
    BEGIN SELECT RAISE(ABORT, 'calls stay'); END
    """,
    """
    CREATE TRIGGER cap_moves_stay BEFORE DELETE ON cap_moves
    BEGIN SELECT RAISE(ABORT, 'moves of a cap stay'); END
    """,
)
KIND: Final = FileKind(
    name="spend ledger",
    application_id=0x52494C31,  # "RIL1"
    steps=(_FIRST,),
    probe="UPDATE calls SET charged = charged WHERE 0",
    when_damaged="compare what was spent today with the provider's own count",
)
