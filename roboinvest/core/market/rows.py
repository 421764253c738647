"""One symbol's rows as a vendor sent them: any order, duplicates, impossible prices and all.

Rows are arrays so that millions of them can be judged in seconds. The exchange day of a row is
its UTC date four hours earlier: New York's midnight is 04:00 or 05:00 UTC and nothing trades in
the hour between, so that neither a day bar stamped at midnight nor an evening print lands on the
wrong day, and no time zone has to be known here. Other exchanges east of London would need more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.bars import FIELDS, Floats, Ints

Flags = NDArray[np.bool_]

DAY_NS: Final = 86_400_000_000_000
_SHIFT_NS: Final = 4 * 3_600_000_000_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def exchange_days(ts: Ints) -> Ints:
    """Return the exchange day of each instant as a proleptic ordinal."""
    return (ts - _SHIFT_NS) // DAY_NS + _EPOCH_ORDINAL


def day_start_ns(day: date) -> int:
    """Return the first nanosecond of an exchange day, see the head of this file."""
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY_NS + _SHIFT_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRows:
    """Rows before any judgement."""

    ts: Ints  # (n,) ns since the epoch, the bar's open
    values: Floats  # (5, n): open, high, low, close, volume, NaN where a cell is empty
    unreadable: Flags  # (n,) True where a cell held something that is no number
    line: Ints  # (n,) line in the file, 0 where there is none

    def __len__(self) -> int:
        return len(self.ts)

    @classmethod
    def of(cls, ts: Ints, values: Floats) -> RawRows:
        """Return rows that were readable and have no file behind them."""
        n = len(ts)
        return cls(
            ts=ts, values=values, unreadable=np.zeros(n, np.bool_), line=np.zeros(n, np.int64)
        )

    @classmethod
    def none(cls) -> RawRows:
        """Return no rows."""
        return cls.of(np.zeros(0, np.int64), np.zeros((len(FIELDS), 0)))

    def take(self, index: Ints | Flags | slice) -> RawRows:
        """Return the rows at `index`."""
        return RawRows(
            ts=self.ts[index],
            values=self.values[:, index],
            unreadable=self.unreadable[index],
            line=self.line[index],
        )

    def between(self, start_ns: int, end_ns: int) -> RawRows:
        """Return the rows with start <= ts < end; the rows must be in order."""
        first, last = np.searchsorted(self.ts, (start_ns, end_ns))
        return self.take(slice(int(first), int(last)))

    def in_order(self) -> RawRows:
        """Return the rows by time and, at one time, by content: the same for any file order."""
        if (self.ts[1:] > self.ts[:-1]).all():
            return self
        order = np.argsort(self.ts, kind="stable")
        tied = np.flatnonzero(_in_a_group(self.ts[order]))
        among = order[tied]
        keys = (*self.values[::-1, among], self.unreadable[among], self.ts[among])
        order[tied] = among[np.lexsort(keys)]
        return self.take(order)

    def same_as_before(self) -> Flags:
        """Return which rows equal the row before them, empty cells included."""
        same = np.zeros(len(self), np.bool_)
        now, before = self.values[:, 1:], self.values[:, :-1]
        equal = (now == before) | (np.isnan(now) & np.isnan(before))
        same[1:] = (self.ts[1:] == self.ts[:-1]) & equal.all(axis=0)
        same[1:] &= self.unreadable[1:] == self.unreadable[:-1]
        return same


def _in_a_group(ts: Ints) -> Flags:
    """Return which of the sorted instants occur more than once."""
    grouped = np.zeros(len(ts), np.bool_)
    again = ts[1:] == ts[:-1]
    grouped[1:] |= again
    grouped[:-1] |= again
    return grouped
