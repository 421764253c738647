"""One symbol at the close of one bar, made of the rows that came into this process so far.

It answers as `core.signals.ClosedBar` does, from what it has: the bars after this one are not
hidden in here, they are not here.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats

_MOST_RECENT: Final = 2_048  # rows
_MOVED: Final = 1_024


class GrowingMoment:
    """See `core.strategy.Moment`; `take` moves it on by a bar."""

    __slots__ = ("_at", "_closes", "_end", "_newest", "_old", "_recent", "_width", "symbol")

    def __init__(self, symbol: str, names: Sequence[str], others: Sequence[str]) -> None:
        self.symbol = symbol
        self._width = len(names)
        self._at: Mapping[str, int] = {name: at for at, name in enumerate(names, 1)}
        self._recent: list[Sequence[float]] = []  # rows as they came, the newest last
        self._newest: Sequence[float] = (math.nan,) * (1 + len(names))
        self._old = array("d")  # those before, which take a quarter of the memory there
        self._closes = {name: array("d") for name in others}
        self._end = 1 + self._width  # of a row's own values

    def remember(self, rows: Floats) -> None:
        """Take rows, (n, fields), none of which is asked about."""
        own = rows[rows[:, 0] > 0.0, 1 : self._end]
        self._old.frombytes(np.ascontiguousarray(own).tobytes())
        if len(own):
            self._newest = (1.0, *own[-1].tolist())
        for at, closes in enumerate(self._closes.values(), self._end):
            column = rows[:, at]
            closes.frombytes(column[~np.isnan(column)].tobytes())

    def take(self, row: tuple[float, ...]) -> None:
        """Take one row."""
        if row[0]:
            self._newest = row
            self._recent.append(row)
            if len(self._recent) == _MOST_RECENT:
                for each in self._recent[:_MOVED]:
                    self._old.extend(each[1 : self._end])
                del self._recent[:_MOVED]
        if self._closes:
            for at, closes in enumerate(self._closes.values(), self._end):
                if row[at] == row[at]:
                    closes.append(row[at])

    def __call__(self, name: str, back: int = 0) -> float:
        """Return a column's value, `back` bars ago; NaN where there is none."""
        try:
            at = self._at[name]
        except KeyError:
            known = ", ".join(sorted(self._at))
            message = f"{name!r} is no column of this strategy; it has {known}"
            raise BadInput(message) from None
        if back == 0:
            return self._newest[at]
        if 0 < back < len(self._recent):
            return self._recent[-1 - back][at]
        begin = len(self._old) - (_behind(back) - len(self._recent) + 1) * self._width
        return self._old[begin + at - 1] if begin >= 0 else math.nan

    def other(self, symbol: str, back: int = 0) -> float:
        """Return another symbol's close, `back` bars before its last one by now."""
        closes = self._closes.get(symbol)
        if closes is None:
            known = ", ".join(sorted(self._closes)) or "no other"
            raise BadInput(f"{symbol} is not in this run; it has {known}")
        at = len(closes) - 1 - _behind(back)
        return closes[at] if at >= 0 else math.nan


def _behind(back: int) -> int:
    if back < 0:
        raise BadInput(f"back={back} asks for a bar that has not closed; give 0 or more")
    return back
