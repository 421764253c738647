"""Whole columns of prices as integers on the grid that orders and fills live on.

One unit is a hundredth of a cent. A column gives the very figures that `core.orders.to_price` and
`to_tick` give one by one, so that what is decided on arrays can be held to exact equality with what
is decided on `Decimal`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.orders import SUB_PENNY_TICK, to_price, to_tick

UNITS_PER_USD: Final = 10_000
_NEAR_TIE: Final = 1e-4  # of a step; closer to a half than this is rounded in decimals


def price_units(prices: Floats) -> Ints:
    """Return finite prices (USD), shape (n,), in units: `to_price` of each."""
    return _rounded(prices, 1, to_price)


def tick_units(prices: Floats) -> Ints:
    """Return finite prices (USD), shape (n,), in units, as an order may carry them: `to_tick`."""
    units = _rounded(prices, 100, to_tick)
    small = prices < 1.0
    if small.any():
        units[small] = _rounded(prices[small], 1, to_tick)
    return units


def to_units(amount: Decimal) -> int:
    """Return an amount of money that lies on the grid in units."""
    return int(amount.scaleb(4))


def from_units(units: int) -> Decimal:
    """Return units as money."""
    return int(units) * SUB_PENNY_TICK


def _rounded(prices: Floats, step: int, exactly: Callable[[float], Decimal]) -> Ints:
    """Return prices rounded to `step` units, halves as `exactly` rounds them."""
    scaled = prices * (UNITS_PER_USD / step)
    units: Ints = np.rint(scaled).astype(np.int64) * step
    doubtful = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < _NEAR_TIE
    for at in np.flatnonzero(doubtful):
        units[at] = to_units(exactly(float(prices[at])))
    return units
