"""Simple moving averages of many lengths over the same prices, from one running sum.

The figures are those of `core.quant.calculators.windows.exact_mean` to the bit: prices are summed
as whole hundred-millionths of a dollar there and here, so that no average depends on where a sum
began. A sweep asks for dozens of them, and everything but the last step is the same for all.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.arguments import Column
from roboinvest.core.quant.calculators.windows import PRICE_PARTS
from tools.backtester.kernel.machine.entries import entries

_ROOM: Final = 9.0e18  # what 64 bits hold
_PRICES: Final = ("open", "high", "low", "close")


class Averages:
    """The averages of one symbol's bars."""

    def __init__(self, bars: SessionBars) -> None:
        """Take the bars."""
        self._bars = bars
        self._sums: dict[str, tuple[Ints, float]] = {}  # running, and the largest price in parts

    def of(self, column: Column) -> Floats | None:
        """Return a column of the library; None where it is no simple average of a price."""
        match column.name, column.arguments:
            case "sma", (int() as length, str() as prices) if prices in _PRICES:
                sums, largest = self._running(prices)
            case _:
                return None
        if not largest * length <= _ROOM:
            return None  # the library says what is wrong
        means = np.empty(len(sums), np.float64)
        entries().means(sums, length, length * PRICE_PARTS, means)
        return means

    def _running(self, name: str) -> tuple[Ints, float]:
        if name not in self._sums:
            prices: Floats = getattr(self._bars, name)
            scaled = np.rint(prices * PRICE_PARTS)
            largest = float(np.abs(prices).max(initial=0.0)) * PRICE_PARTS
            self._sums[name] = np.cumsum(scaled.astype(np.int64)), largest
        return self._sums[name]
