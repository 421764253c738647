"""What the ledger says of a span, hour by hour, for whoever judges a change by it. Blocking."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.core.tasks import SAFE
from roboinvest.runtime.lanes.file import in_words, open_reader
from roboinvest.runtime.llm.spend.money import usd_of
from roboinvest.runtime.llm.spend.schema import KIND

_ANSWERS: Final = """
    SELECT count(*), count(CASE WHEN source = ? THEN 1 END) FROM asks
    WHERE attempts > 0 AND at >= ? AND at < ? AND (? IS NULL OR agent = ?)
    GROUP BY substr(at, 1, 13) ORDER BY substr(at, 1, 13)
"""
_HOUR: Final = timedelta(hours=1)


def answers_between(
    path: Path, since: datetime, until: datetime, agent: str | None
) -> tuple[tuple[int, int], ...]:
    """Return (answers, those that could not be read) of each hour in which models were asked.

    Args:
        path: of the ledger; without it nobody was asked.
        since: included.
        until: not included.
        agent: that pays; None: all of them.

    Raises:
        BadSettings: it is no ledger.
        TryLater: it cannot be read now.
    """
    with _opened(path) as connection:
        if connection is None:
            return ()
        span = (_stamp(since), _stamp(until))
        rows = connection.execute(_ANSWERS, (SAFE, *span, agent, agent)).fetchall()
    return tuple((int(asked), int(bad)) for asked, bad in rows)


def cap_at_hours(path: Path, since: datetime, until: datetime) -> tuple[float, ...]:
    """Return the day's cap in USD at the end of each whole hour of a span; raises as above.

    Hours before the first move of the cap are left out: nothing is known of them.
    """
    with _opened(path) as connection:
        if connection is None:
            return ()
        moves = connection.execute("SELECT at, after FROM cap_moves ORDER BY id").fetchall()
    steps = [(datetime.fromisoformat(at), float(usd_of(after))) for at, after in moves]
    found: list[float] = []
    at = since + _HOUR
    while at <= until:
        standing = [usd for moved, usd in steps if moved < at]
        found += standing[-1:]
        at += _HOUR
    return tuple(found)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a ledger to look at it; None where there is none yet."""
    if not path.exists():
        yield None
        return
    try:
        with contextlib.closing(open_reader(path, KIND)) as connection:
            count = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            yield connection if count else None
    except sqlite3.Error as error:
        raise TryLater(f"{path} cannot be read: {in_words(error)}; look at the disk") from error


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
