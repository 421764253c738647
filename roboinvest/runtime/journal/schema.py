"""The tables of the order journal, by numbered steps.

What happened stands in `events`, once, as canonical JSON, each with the digest of all before it;
the other tables only say how far things came and where to find them. Triggers refuse every change
of what was written, for whoever opens the file. A step that was released is never edited: the
next one goes below it.
"""

from __future__ import annotations

from typing import Final

from roboinvest.runtime.lanes.file import FileKind

GENESIS: Final = bytes(32)  # the digest before the first event

_FIRST: Final = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        fact TEXT NOT NULL,  -- canonical JSON: at, kind, and what happened
        digest BLOB NOT NULL  -- SHA-256 of the digest before and of the fact
    ) STRICT
    """,
    """
    CREATE TABLE limits (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,  -- SHA-256 of the text; its event names it
        text TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE intents (
        id INTEGER PRIMARY KEY,
        client_order_id TEXT NOT NULL UNIQUE,
        tick_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        symbol TEXT NOT NULL,
        leg TEXT NOT NULL,
        event INTEGER NOT NULL,  -- what was asked for
        limits INTEGER NOT NULL,
        state TEXT NOT NULL,
        venue_id TEXT,
        sends INTEGER NOT NULL,
        clean_lookups INTEGER NOT NULL,
        reason TEXT NOT NULL,
        sent_at TEXT,
        updated_at TEXT NOT NULL,
        UNIQUE (tick_id, agent_id, symbol, leg)
    ) STRICT
    """,
    "CREATE INDEX intents_by_state ON intents (state, id)",
    """
    CREATE TABLE links (
        venue_id TEXT PRIMARY KEY,
        client_order_id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE executions (
        seq INTEGER PRIMARY KEY,
        execution_id TEXT NOT NULL UNIQUE,
        venue_id TEXT NOT NULL,
        client_order_id TEXT NOT NULL,  -- as the broker had it
        event INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE notes (
        event INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE  -- SHA-256 of the fact: the same one is noted once
    ) STRICT
    """,
    """
    CREATE TRIGGER events_grow BEFORE INSERT ON events
    WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM events), 0) + 1
    BEGIN SELECT RAISE(ABORT, 'events are appended one by one'); END
    """,
    """
    CREATE TRIGGER intents_keep_their_facts
    BEFORE UPDATE OF id, client_order_id, tick_id, agent_id, symbol, leg, event, limits ON intents
    BEGIN SELECT RAISE(ABORT, 'an intent is not rewritten'); END
    """,
    "CREATE TRIGGER intents_stay BEFORE DELETE ON intents "
    "BEGIN SELECT RAISE(ABORT, 'intents stay'); END",
)
_KEPT: Final = ("events", "limits", "links", "executions", "notes")  # rows never change
_KEEPERS: Final = tuple(
    f"CREATE TRIGGER {table}_{name} BEFORE {change} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
    for table in _KEPT
    for name, change in (("stay", "DELETE"), ("hold", "UPDATE"))
)
KIND: Final = FileKind(
    name="order journal",
    application_id=0x52494A31,  # "RIJ1"
    steps=((*_FIRST, *_KEEPERS),),
    probe="UPDATE intents SET reason = reason WHERE 0",
    when_damaged="compare orders and positions with the broker by hand",
)
