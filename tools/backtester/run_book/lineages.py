"""Which runs are of one strategy, whatever it is called today.

Runs belong together that share a name, a code fingerprint, a search, a declared parent, or the
times at which they entered. So a new name does not begin a new count, an edit keeps the name, and
whoever does both is known by behaviour. All of it happens inside a transaction that somebody else
begins and ends.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import to_ns
from tools.backtester.run_book import rows
from tools.backtester.run_book.sketch import ALIKE, FEWEST, agreement
from tools.backtester.run_book.values import Kin, RunNote

_ROOT_OF_KIN: Final = """
    SELECT root FROM kin JOIN lineages ON lineages.id = kin.lineage WHERE kind = ? AND key = ?
"""
_ROOT_OF_RUN: Final = """
    SELECT root FROM runs JOIN lineages ON lineages.id = runs.lineage WHERE runs.id = ?
"""


def find(connection: sqlite3.Connection, kin: Kin) -> int | None:
    """Return the lineage that a strategy belongs to, without joining anything; None: unknown."""
    roots = (_root_of_kin(connection, *key) for key in _keys(kin, ""))
    return min((root for root in roots if root is not None), default=None)


def settle(connection: sqlite3.Connection, kin: Kin, at: str) -> int:
    """Return the lineage that a strategy belongs to; it begins one where nothing is known."""
    keys = _keys(kin, "")
    found = {root for key in keys if (root := _root_of_kin(connection, *key)) is not None}
    return _one(connection, found, keys, at)


def settle_run(connection: sqlite3.Connection, note: RunNote, at: str) -> int:
    """Return the lineage of a run, after joining all those that it shows to be one."""
    keys = _keys(note.kin, note.sweep)
    found = {root for key in keys if (root := _root_of_kin(connection, *key)) is not None}
    if note.parent is not None:
        row = connection.execute(_ROOT_OF_RUN, (note.parent,)).fetchone()
        if row is None:
            raise BadInput(
                f"run {note.parent}, the parent, is not in the run book; see backtest ls"
            )
        found.add(int(row[0]))
    found |= _alike(connection, note, found)
    return _one(connection, found, keys, at)


def root_of(connection: sqlite3.Connection, lineage: int) -> int:
    """Return the lineage that a number stands for now."""
    row = connection.execute("SELECT root FROM lineages WHERE id = ?", (lineage,)).fetchone()
    if row is None:
        raise BadInput(f"lineage {lineage} is not in the run book; see backtest ls")
    return int(row[0])


def mark(connection: sqlite3.Connection, run_id: int, note: RunNote) -> None:
    """Make a run findable by its entries; one with hardly any would be found by everybody."""
    if note.entries.entries >= FEWEST:
        connection.executemany(
            "INSERT INTO marks (mark, run) VALUES (?, ?)",
            [(each, run_id) for each in note.entries.marks],
        )


def _keys(kin: Kin, sweep: str) -> list[tuple[str, str]]:
    keys = [("name", kin.strategy), ("code", kin.fingerprint), ("sweep", sweep)]
    return [(kind, key) for kind, key in keys if key]


def _root_of_kin(connection: sqlite3.Connection, kind: str, key: str) -> int | None:
    row = connection.execute(_ROOT_OF_KIN, (kind, key)).fetchone()
    return None if row is None else int(row[0])


def _one(
    connection: sqlite3.Connection, found: set[int], keys: list[tuple[str, str]], at: str
) -> int:
    """Return the one lineage of those found, or a new one, and let the keys lead to it."""
    if found:
        root = min(found)
        for other in sorted(found - {root}):
            connection.execute("UPDATE lineages SET root = ? WHERE root = ?", (root, other))
    else:
        (root,) = connection.execute("SELECT COALESCE(max(id), 0) + 1 FROM lineages").fetchone()
        connection.execute(
            "INSERT INTO lineages (id, root, since) VALUES (?, ?, ?)", (root, root, at)
        )
    connection.executemany(
        "INSERT INTO kin (kind, key, lineage) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(kind, key, root) for kind, key in keys],
    )
    return int(root)


def _alike(connection: sqlite3.Connection, note: RunNote, known: set[int]) -> set[int]:
    """Return the lineages, besides those known, of runs that entered when this one did.

    A run that agrees in half of its entries shares one of its marks all but certainly, so only
    those are read.
    """
    if note.entries.entries < FEWEST:
        return set()
    marks = note.entries.marks
    found = set[int]()
    for row in connection.execute(
        f"""
        SELECT root, entries, entry_symbols, entry_count, first, last FROM runs
        JOIN lineages ON lineages.id = runs.lineage
        WHERE timeframe = ? AND last >= ? AND first <= ? AND runs.id IN
            (SELECT run FROM marks WHERE mark IN ({", ".join("?" * len(marks))}))
        ORDER BY root, runs.id
        """,  # noqa: S608 question marks alone
        (note.timeframe, note.first.isoformat(), note.last.isoformat(), *marks),
    ):
        root = int(row[0])
        if root not in known | found and _agrees(note, row):
            found.add(root)
    return found


def _agrees(note: RunNote, row: tuple[object, ...]) -> bool:
    _, entries, symbols, count, first, last = row
    theirs = rows.sketch(entries, symbols, count)
    begin = max(note.first, date.fromisoformat(str(first)))
    end = min(note.last, date.fromisoformat(str(last)))
    alike = agreement(note.entries, theirs, _midnight(begin), _midnight(end + timedelta(days=2)))
    return alike is not None and alike >= ALIKE


def _midnight(day: date) -> int:
    """Return the instant in UTC; exchange days reach past it at the end, never at the start."""
    return to_ns(datetime.combine(day, time(), UTC))


def variance_of(sharpes: list[float]) -> float | None:
    """Return the sample variance over trials; None below two."""
    return float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else None
