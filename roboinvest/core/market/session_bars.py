"""One symbol's closed bars, each with the session it belongs to.

This is what a strategy's calculators work on. Bars alone cannot say how long a session has run or
when it ends: half days and clock changes are the calendar's, and are already in these columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import BarSeries, Floats, Ints, to_ns
from roboinvest.core.market.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBars:
    """Closed bars of regular hours; all arrays have shape (n,), oldest first."""

    symbol: str
    ts: Ints  # ns since the epoch, the bar's open
    closes_at: Ints  # ns since the epoch
    day: Ints  # exchange date as a proleptic ordinal
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    opens: Ints  # ns since the epoch, the open of the bar's session
    ends: Ints  # ns since the epoch, the real close of the bar's session, half days too
    others: Mapping[str, SessionBars] = field(default_factory=dict)  # by symbol, never itself

    def __len__(self) -> int:
        return len(self.ts)

    @classmethod
    def of(cls, series: BarSeries, sessions: Sequence[Session]) -> SessionBars:
        """Return the bars of a series beside their sessions, which are sorted by day.

        Raises:
            BadInput: a bar lies on a day without a session.
        """
        days = np.array([session.day.toordinal() for session in sessions], dtype=np.int64)
        opens = np.array([to_ns(session.opens_at) for session in sessions], dtype=np.int64)
        ends = np.array([to_ns(session.closes_at) for session in sessions], dtype=np.int64)
        begins = np.flatnonzero(np.append(len(series) > 0, series.day[1:] != series.day[:-1]))
        at = np.searchsorted(days, series.day[begins])  # a day at a time: there are many bars in it
        known = at < len(days)
        if not (known.all() and np.array_equal(days[at], series.day[begins])):
            raise BadInput(
                f"{series.symbol}: {len(series)} bars, and some lie on days without a session; "
                "give the bars of regular hours only"
            )
        counts = np.diff(np.append(begins, len(series)))
        columns = {each.name: getattr(series, each.name) for each in fields(series)}
        return cls(opens=np.repeat(opens[at], counts), ends=np.repeat(ends[at], counts), **columns)

    def rows(self, part: slice) -> SessionBars:
        """Return some rows, as views; the others come with what had closed by the last of them."""
        cut = {
            each.name: getattr(self, each.name)[part]
            for each in fields(self)
            if each.name not in ("symbol", "others")
        }
        until = int(cut["closes_at"][-1]) if len(cut["ts"]) else 0
        others = {
            name: bars.rows(slice(0, _closed(bars, until))) for name, bars in self.others.items()
        }
        return SessionBars(symbol=self.symbol, others=others, **cut)

    def series(self) -> BarSeries:
        """Return the bars without their sessions."""
        return BarSeries(**{each.name: getattr(self, each.name) for each in fields(BarSeries)})

    def with_series(self, series: BarSeries, others: Mapping[str, SessionBars]) -> SessionBars:
        """Return the same rows with the prices of `series`, beside `others`."""
        columns = {each.name: getattr(series, each.name) for each in fields(series)}
        return SessionBars(opens=self.opens, ends=self.ends, others=others, **columns)

    def until(self, row: int) -> SessionBars:
        """Return the rows up to `row`, included: what is known when that bar has closed."""
        return self.rows(slice(0, row + 1))


def among(bars: Mapping[str, SessionBars]) -> dict[str, SessionBars]:
    """Return every symbol's bars with all the others beside them."""
    alone = {name: _with(each, {}) for name, each in bars.items()}
    return {
        name: _with(each, {other: alone[other] for other in alone if other != name})
        for name, each in alone.items()
    }


def _closed(bars: SessionBars, instant: int) -> int:
    return int(np.searchsorted(bars.closes_at, instant, side="right"))


def _with(bars: SessionBars, others: Mapping[str, SessionBars]) -> SessionBars:
    return bars.with_series(bars.series(), others)
