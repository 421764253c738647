"""Days that a lineage may not look at, until it is opened, once a version, for one evaluation.

The lock holds at the book's door: a run that reaches into such days is not noted, and what is not
noted is not shown. All of it happens inside a transaction that somebody else begins and ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from roboinvest.core.errors import Refused
from tools.backtester.run_book.values import Holdout, Opening, RunNote

_LOCKED: Final = """
    SELECT symbol, min(from_day), min(holdouts.at) FROM holdouts
    JOIN lineages ON lineages.id = holdouts.lineage WHERE root = ? GROUP BY symbol ORDER BY symbol
"""
_OPENINGS: Final = """
    SELECT openings.id, version, fingerprint, openings.at, evaluation FROM openings
    JOIN lineages ON lineages.id = openings.lineage WHERE root = ? ORDER BY openings.id
"""
_PEEKS: Final = """
    SELECT symbols FROM runs JOIN lineages ON lineages.id = runs.lineage
    WHERE root = ? AND NOT in_holdout AND last >= ?
"""


def locked(connection: sqlite3.Connection, root: int) -> tuple[Holdout, ...]:
    """Return what is locked for a lineage, by symbol."""
    openings = tuple(str(row[1]) for row in connection.execute(_OPENINGS, (root,)))
    return tuple(
        Holdout(
            lineage=root,
            symbol=symbol,
            from_day=date.fromisoformat(from_day),
            locked_at=datetime.fromisoformat(at),
            seen_by=sum(
                f'"{symbol}"' in symbols
                for (symbols,) in connection.execute(_PEEKS, (root, from_day))
            ),
            openings=openings,
        )
        for symbol, from_day, at in connection.execute(_LOCKED, (root,)).fetchall()
    )


def _first_days(connection: sqlite3.Connection, root: int) -> dict[str, date]:
    """Return the first locked day of each symbol."""
    found = connection.execute(_LOCKED, (root,))
    return {symbol: date.fromisoformat(from_day) for symbol, from_day, _ in found}


def lock(
    connection: sqlite3.Connection, root: int, symbols: Sequence[str], from_day: date, at: str
) -> None:
    """Lock the days from `from_day` on; a lock moves to an earlier day and never to a later one.

    Raises:
        Refused: a symbol is locked from an earlier day.
    """
    standing = _first_days(connection, root)
    for symbol in sorted(set(symbols)):
        before = standing.get(symbol)
        if before is not None and before < from_day:
            raise Refused(
                f"{symbol} is locked from {before} on for this strategy, and {from_day} would "
                "free days that nobody should have seen; a holdout never moves to a later day"
            )
        if before != from_day:
            connection.execute(
                "INSERT INTO holdouts (lineage, symbol, from_day, at) VALUES (?, ?, ?, ?)",
                (root, symbol, from_day.isoformat(), at),
            )


def open_once(
    connection: sqlite3.Connection, root: int, version: str, fingerprint: str, at: datetime
) -> Opening:
    """Give leave to look for a version.

    Raises:
        Refused: nothing is locked, or this version, or its very code, had leave before.
    """
    if not _first_days(connection, root):
        raise Refused(
            "no holdout is locked for this strategy, so there is none to open; lock one before "
            "parameters are chosen"
        )
    earlier = connection.execute(_OPENINGS, (root,)).fetchall()
    for _, known, code, opened_at, _ in earlier:
        if known == version or (fingerprint and code == fingerprint):
            same = f"version {version}" if known == version else f"the same code, as {known},"
            raise Refused(
                f"the holdout was opened for {same} on {opened_at[:10]}, and it opens once a "
                "version: what was seen cannot be unseen; change the strategy and give it a new "
                "version, or go on with forward paper trading"
            )
    connection.execute(
        "INSERT INTO openings (lineage, version, fingerprint, at) VALUES (?, ?, ?, ?)",
        (root, version, fingerprint, at.isoformat()),
    )
    return Opening(lineage=root, version=version, at=at, number=len(earlier) + 1)


def admit(connection: sqlite3.Connection, root: int, note: RunNote) -> bool:
    """Return whether a run looks into a holdout, with leave.

    Raises:
        Refused: it looks without leave, or the leave was used for another evaluation.
    """
    days = _first_days(connection, root)
    seen = sorted((days[name], name) for name in note.symbols if name in days)
    if not seen or note.last < seen[0][0]:
        return False
    from_day, symbol = seen[0]
    where = f"{symbol} from {from_day} on is this strategy's holdout"
    found = connection.execute(_OPENINGS, (root,)).fetchall()
    mine = [row for row in found if row[1] == note.version]
    if not mine:
        raise Refused(
            f"{where}, and the run reaches to {note.last}; end it before that day, or open the "
            f"holdout for version {note.version}"
        )
    opening, _, _, _, used = mine[0]
    if used is None:
        connection.execute(
            "UPDATE openings SET evaluation = ? WHERE id = ?", (note.evaluation, opening)
        )
    elif used != note.evaluation:
        raise Refused(
            f"{where}, and version {note.version} has looked at it with other parameters, data or "
            "terms; a holdout judges one evaluation of a version"
        )
    return True
