"""The tables of the prompt registry, by numbered steps.

Words, versions and moves are written once; triggers refuse every change of them, for whoever opens
the file. A label is where its last move left it: a move is one row, so it is there or it is not,
and two programs that move one label at once both stand in the history.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from roboinvest.runtime.lanes.file import FileKind

_TABLES: Final = (
    """
    CREATE TABLE texts (
        digest TEXT PRIMARY KEY,  -- hex SHA-256
        text TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE versions (
        version TEXT PRIMARY KEY,  -- hex SHA-256 of the text and the terms
        name TEXT NOT NULL,  -- "<agent>/<name>"
        text TEXT NOT NULL REFERENCES texts (digest),
        terms TEXT NOT NULL,  -- canonical JSON: model, parameters, form
        made_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX versions_by_name ON versions (name, made_at)",
    """
    CREATE TABLE moves (
        seq INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        label TEXT NOT NULL,
        kind TEXT NOT NULL,
        before TEXT,
        after TEXT,  -- NULL: the label was taken away
        reason TEXT NOT NULL,
        evidence TEXT NOT NULL,  -- canonical JSON
        by TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX moves_by_label ON moves (name, label, seq)",
    """
    CREATE TABLE files (
        name TEXT PRIMARY KEY,
        text TEXT NOT NULL  -- digest of what the file held at the last start
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE counts (
        version TEXT NOT NULL,
        outcome TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (version, outcome)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER moves_grow BEFORE INSERT ON moves
    WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM moves), 0) + 1
    BEGIN SELECT RAISE(ABORT, 'moves are appended one by one'); END
    """,
    """
    CREATE TRIGGER moves_follow BEFORE INSERT ON moves
    WHEN NEW.before IS NOT (SELECT after FROM moves WHERE name = NEW.name AND label = NEW.label
                            ORDER BY seq DESC LIMIT 1)
    BEGIN SELECT RAISE(ABORT, 'a move begins where the last one ended'); END
    """,
)
_KEPT: Final = ("texts", "versions", "moves")  # rows never change
_KEEPERS: Final = tuple(
    f"CREATE TRIGGER {table}_{name} BEFORE {change} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
    for table in _KEPT
    for name, change in (("stay", "DELETE"), ("hold", "UPDATE"))
)
REGISTRY: Final = FileKind(
    name="prompt registry",
    application_id=0x52495031,  # "RIP1"
    steps=((*_TABLES, *_KEEPERS),),
    probe="UPDATE files SET text = text WHERE 0",
    when_damaged="the prompts begin anew with what their files say",
)


def registry_file(data: Path) -> Path:
    """Return where the registry lies in a data folder."""
    return data / "prompts" / "registry.db"
