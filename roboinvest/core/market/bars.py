"""One symbol's bars as columns, oldest first.

`BarSeries` is what an agent may look at: arrays that end at the last closed bar. `BarColumns` is
the growing store behind it. A window is a slice, so that what an agent sees at an instant depends
on the bars alone and not on when the process was started.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.values import Bar

FIELDS: Final = ("open", "high", "low", "close", "volume")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(instant: datetime) -> int:
    """Return nanoseconds since the epoch; exact, unlike `datetime.timestamp`."""
    return ((instant - _EPOCH) // timedelta(microseconds=1)) * 1000


def from_ns(value: int) -> datetime:
    """Return the aware UTC instant of `value` nanoseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=int(value) // 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSeries:
    """A window of closed bars; all arrays have shape (n,), oldest first."""

    symbol: str
    ts: Ints  # ns since the epoch, the bar's open
    closes_at: Ints  # ns since the epoch
    day: Ints  # exchange date as a proleptic ordinal, see `date.fromordinal`
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.ts)

    def bar(self, index: int) -> Bar:
        """Return one row as a value; negative indexes count from the newest."""
        return Bar(
            symbol=self.symbol,
            ts=from_ns(self.ts[index]),
            closes_at=from_ns(self.closes_at[index]),
            open=float(self.open[index]),
            high=float(self.high[index]),
            low=float(self.low[index]),
            close=float(self.close[index]),
            volume=float(self.volume[index]),
        )

    def rescaled(self, ratio: float, before: date) -> BarSeries:
        """Return the series with prices before `before` put on the scale after a split."""
        old = self.day < before.toordinal()
        if not old.any():
            return self
        price = np.where(old, 1.0 / ratio, 1.0)
        return BarSeries(
            symbol=self.symbol,
            ts=self.ts,
            closes_at=self.closes_at,
            day=self.day,
            open=self.open * price,
            high=self.high * price,
            low=self.low * price,
            close=self.close * price,
            volume=np.where(old, self.volume * ratio, self.volume),
        )


class BarColumns:
    """The bars of one symbol, appended in time order; capacity doubles when it is full."""

    def __init__(self, symbol: str, capacity: int = 1024) -> None:
        self.symbol = symbol
        self._size = 0
        self._ints = np.zeros((3, capacity), dtype=np.int64)  # ts, closes_at, day
        self._floats = np.zeros((5, capacity), dtype=np.float64)  # FIELDS

    def __len__(self) -> int:
        return self._size

    def append(self, bar: Bar, day: date) -> None:
        """Add the next bar.

        Raises:
            ValueError: the bar does not open after the last one.
        """
        if self._size and to_ns(bar.ts) <= self._ints[0, self._size - 1]:
            raise ValueError(f"{bar.symbol}: bar at {bar.ts.isoformat()} is not after the last")
        self._reserve(1)
        self._ints[:, self._size] = (to_ns(bar.ts), to_ns(bar.closes_at), day.toordinal())
        self._floats[:, self._size] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._size += 1

    def extend(self, series: BarSeries) -> None:
        """Add many bars at once; they must follow the last one, which the caller has sorted."""
        n = len(series)
        self._reserve(n)
        into = slice(self._size, self._size + n)
        self._ints[:, into] = (series.ts, series.closes_at, series.day)
        self._floats[:, into] = (series.open, series.high, series.low, series.close, series.volume)
        self._size += n

    def closed_by(self, instant: datetime) -> int:
        """Return how many bars are closed at `instant`."""
        return int(np.searchsorted(self._ints[1, : self._size], to_ns(instant), side="right"))

    def window(self, end: int, length: int) -> BarSeries:
        """Return the `length` bars before row `end` (views, not copies)."""
        rows = slice(max(0, end - length), end)
        ints, floats = self._ints[:, rows], self._floats[:, rows]
        return BarSeries(
            symbol=self.symbol,
            ts=ints[0],
            closes_at=ints[1],
            day=ints[2],
            open=floats[0],
            high=floats[1],
            low=floats[2],
            close=floats[3],
            volume=floats[4],
        )

    def _reserve(self, extra: int) -> None:
        need, capacity = self._size + extra, self._ints.shape[1]
        if need <= capacity:
            return
        grown = max(need, 2 * capacity)
        self._ints = np.pad(self._ints, ((0, 0), (0, grown - capacity)))
        self._floats = np.pad(self._floats, ((0, 0), (0, grown - capacity)))
