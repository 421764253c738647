"""Columns that start anew with each session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars


class Running(Protocol):
    """What combines a value with all before it: `np.add`, `np.maximum`, `np.minimum`."""

    def accumulate(self, array: Floats, axis: int) -> Floats:
        """Return the combination up to each value."""


@dataclass(frozen=True, slots=True)
class BySession:
    """Where sessions begin; a session has the rows of one exchange day."""

    starts: NDArray[np.intp]  # (m,) first row of each session
    number: NDArray[np.intp]  # (n,) each row's session, from 0

    @classmethod
    def of(cls, bars: SessionBars) -> BySession:
        """Return the sessions of some bars."""
        new = np.ones(len(bars), np.bool_)
        new[1:] = bars.day[1:] != bars.day[:-1]
        return cls(np.flatnonzero(new), np.cumsum(new) - 1)

    def running(self, values: Floats, combine: Running, neutral: float) -> Floats:
        """Return values combined since each session's first row, shape (n,).

        The rows are laid out a session a line, filled up with `neutral`, so that no session
        carries a rounding of the one before.
        """
        if not len(values):
            return values.copy()
        width = int(np.diff(self.starts, append=len(values)).max())
        cells = np.arange(len(values)) - self.starts[self.number] + self.number * width
        table = np.full(len(self.starts) * width, neutral)
        table[cells] = values
        lines = table.reshape(len(self.starts), width)
        result: Floats = combine.accumulate(lines, axis=1).ravel()[cells]
        return result

    def first(self, values: Floats) -> Floats:
        """Return the value of each session's first row, in all its rows."""
        return values[self.starts][self.number]

    def previous(self, values: Floats) -> Floats:
        """Return the last value of the session before, in all rows; NaN in the first session."""
        return self.last_of_previous(values)[self.number]

    def last_of_previous(self, values: Floats) -> Floats:
        """Return for each session the last value of the one before, shape (m,); NaN first."""
        last = np.full(len(self.starts), np.nan)
        last[1:] = values[self.starts[1:] - 1]
        return last
