"""The sources of a replay: rows that are in memory, and the rows of one file.

A source hands out rows as the vendor sent them: it neither judges nor sorts out extended hours.
Asking for a session never touches a disk; opening a file does, and belongs in a worker thread
where a loop is running.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.market.rows import RawRows, day_start_ns, exchange_days
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Calendar
from tools.bars.files import LoadedBars, load_bars

_DAY: Final = timedelta(days=1)


class MemorySource:
    """Rows that are already here, up to the last day of a run."""

    def __init__(self, rows: Mapping[str, RawRows], timeframe: Timeframe) -> None:
        """Take rows by symbol; they are put in order."""
        self._rows = {symbol: rows[symbol].in_order() for symbol in sorted(rows)}
        self._timeframe = timeframe

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, sorted."""
        return tuple(self._rows)

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of the bars."""
        return self._timeframe

    async def session_rows(self, session: Session) -> Mapping[str, RawRows]:
        """Return the rows of one exchange day."""
        start, end = day_start_ns(session.day), day_start_ns(session.day + _DAY)
        return {symbol: rows.between(start, end) for symbol, rows in self._rows.items()}

    @property
    def content_digest(self) -> str:
        """Return the sha256 of every row a run can see: the same however a file is sorted."""
        digest = hashlib.sha256(self._timeframe.encode())
        for symbol, rows in self._rows.items():
            digest.update(f"|{symbol}|{len(rows)}|".encode())
            digest.update(rows.ts.astype("<i8").tobytes())
            values = np.where(np.isnan(rows.values), np.nan, rows.values)  # one NaN for all
            digest.update(values.astype("<f8").tobytes())
            digest.update(rows.unreadable.tobytes())
        return digest.hexdigest()


class FileSource(MemorySource):
    """The rows of one file."""

    def __init__(self, loaded: LoadedBars, calendar: Calendar) -> None:
        """Take a choice of rows; `FileSource.open` makes it."""
        super().__init__(loaded.rows, loaded.timeframe)
        self.first = loaded.first  # exchange day the run begins on
        self.last = loaded.last  # exchange day it ends on
        self.undated = loaded.undated  # lines without a readable time, which no session sees
        self.adjusted = frozenset(
            symbol for symbol, key in loaded.keys.items() if key.adjusted
        )  # symbols whose prices are already on today's side of every split
        self.warm_up_sessions = self._sessions_before(calendar)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        calendar: Calendar,
        symbols: Sequence[str] | None = None,
        source: str | None = None,
        first: date | None = None,
        last: date | None = None,
        mapping: Mapping[str, str] | None = None,
        timeframe: Timeframe | None = None,
    ) -> FileSource:
        """Return the source for a run from `first` to `last`; earlier rows serve to warm up.

        Raises:
            BadInput: the file, a symbol, the source or the range is wrong.
        """
        loaded = load_bars(
            path,
            symbols=symbols,
            source=source,
            first=first,
            last=last,
            mapping=mapping,
            timeframe=timeframe,
        )
        return cls(loaded, calendar)

    def _sessions_before(self, calendar: Calendar) -> int:
        """Return how many sessions lie between the first row and the run."""
        days = [int(exchange_days(rows.ts[:1])[0]) for rows in self._rows.values() if len(rows)]
        earliest = date.fromordinal(min(days))
        return len(calendar.sessions(earliest, self.first - _DAY)) if earliest < self.first else 0
