"""The figures of the day that risk judges by, read off the equity curve.

The daemon folds one reading of equity a tick; here the ticks are the instants of the run, and are
folded in stretches, when somebody asks.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units, to_units
from roboinvest.core.protections import CONFIRMING_READINGS
from roboinvest.core.risk import RiskLimits, daily_loss_floor, drawdown_floor
from tools.backtester.simulator.curve import EquityCurve
from tools.backtester.simulator.lanes import Course

_BEHIND: Final = CONFIRMING_READINGS - 1


class Readings:
    """Day's start, confirmed peak and latches, as of a number of readings."""

    def __init__(
        self, curve: EquityCurve, course: Course, cash: Decimal, limits: RiskLimits
    ) -> None:
        """Take the curve, and the cash (USD) that the account starts with."""
        self._curve = curve
        self._day_start = course.day_start
        self._cash = cash
        self._limits = limits
        self._read = 0  # readings that are folded
        self._highest: Ints = np.zeros(len(course.instants), np.int64)  # of the confirming ones
        self._peak = to_units(cash)
        self.in_drawdown = False

    @property
    def peak(self) -> Decimal:
        """Return the highest equity that several readings in a row have reached, in USD."""
        return from_units(self._peak)

    def day_start(self, at: int) -> Decimal:
        """Return the equity (USD) before the first instant of the day of instant `at`."""
        first = int(self._day_start[at])
        self._curve.fill(first)
        return from_units(int(self._curve.equity[first - 1])) if first else self._cash

    def fold(self, until: int) -> None:
        """Take in the readings before number `until`."""
        self._curve.fill(until)
        first = max(self._read, _BEHIND)
        self._read = max(self._read, until)
        if until <= first:
            return
        equity = self._curve.equity
        lowest = highest = equity[first:until]
        for back in range(1, _BEHIND + 1):
            before = equity[first - back : until - back]
            lowest, highest = np.minimum(lowest, before), np.maximum(highest, before)
        self._highest[first:until] = highest
        peaks = np.maximum(np.maximum.accumulate(lowest), self._peak)
        self._peak = int(peaks[-1])
        if not self.in_drawdown:
            self.in_drawdown = self._falls(highest, peaks)

    def is_down(self, at: int, day_start: Decimal) -> bool:
        """Return whether readings of the day, before instant `at`, confirm its loss."""
        first = max(int(self._day_start[at]), _BEHIND)
        if first >= at or day_start <= 0:
            return False
        floor = daily_loss_floor(self._limits, day_start)
        return from_units(int(self._highest[first:at].min())) <= floor

    def _falls(self, highest: Ints, peaks: Ints) -> bool:
        """Return whether several readings in a row lie at or below the drawdown's floor.

        Floats find the few that may, decimals decide.
        """
        near = highest <= peaks * float(1 - self._limits.max_drawdown_frac) + 1.0
        return any(
            from_units(int(highest[at])) <= drawdown_floor(self._limits, from_units(int(peaks[at])))
            for at in np.flatnonzero(near)
            if peaks[at] > 0
        )
