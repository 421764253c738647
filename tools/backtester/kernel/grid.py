"""The bars of a run as integers, which any number of runs over them can share.

Prices are put on the grid in one pass each; a column in which a tie leaves a figure in doubt is
rounded by `core.market.grid`, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from roboinvest.core.errors import Refused
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units, price_units
from roboinvest.core.market.session_bars import SessionBars
from tools.backtester.instants import instants_of
from tools.backtester.kernel.machine import layout
from tools.backtester.kernel.machine.entries import entries
from tools.backtester.kernel.machine.layout import SmallInts

_DEAREST: Final = 2 * 10**9  # units: 200,000 USD, what 31 bits hold
_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Bars of all symbols behind one another."""

    spans: tuple[tuple[int, int], ...]  # (first, beyond) of each symbol
    bars: SmallInts  # (layout.BARS, n); of the volume what we may take, where `is_share`
    is_share: bool
    days: Ints  # (d,) of all symbols, sorted
    instants: Ints  # (m,) ns, each bar close from the first decision on
    dearest: tuple[int, ...]  # units, by symbol


def grid_of(each: Sequence[SessionBars], first_rows: Sequence[int], share: Decimal | None) -> Grid:
    """Return the bars of symbols, sorted, on the grid; `share` of their volume may be traded.

    `first_rows` are those in which the symbols first decide.

    Raises:
        Refused: a price is none, or too high, or a volume is negative or no number.
    """
    edges = list(accumulate((len(one) for one in each), initial=0))
    spans = tuple(pairwise(edges))
    bars = np.zeros((layout.BARS, edges[-1]), np.int32)
    days, instants = _days([one.day for one in each]), instants_of(each, first_rows)
    dearest, parts = list[int](), 0
    for (begin, end), one in zip(spans, each, strict=True):
        part = bars[:, begin:end]
        dearest.append(_put_prices(one, part))
        part[layout.SESSION] = 2 * np.searchsorted(days, one.day) + (one.closes_at >= one.ends)
        if share is not None:
            parts += _put_volume(one, part[layout.VOLUME])
        part[layout.INSTANT] = (
            np.arange(-first_rows[0], len(one) - first_rows[0], dtype=np.int32)
            if len(each) == 1
            else np.searchsorted(instants, one.closes_at)
        )
    if share is not None and parts:
        bars[layout.VOLUME] = [_taken(float(v), share) for one in each for v in one.volume]
    return Grid(
        spans=spans,
        bars=bars,
        is_share=parts > 0,
        days=days,
        instants=instants,
        dearest=tuple(dearest),
    )


def _put_prices(one: SessionBars, part: SmallInts) -> int:
    """Fill in a symbol's prices; return the highest."""
    to_grid, highest, lowest = entries().to_grid, 0, _DEAREST
    for place, prices in enumerate((one.open, one.high, one.low, one.close)):
        doubtful, most, least = to_grid(prices, part[place])
        if doubtful and np.isfinite(prices).all():
            part[place] = price_units(prices)
        highest, lowest = max(highest, most), min(lowest, least)
    if len(one) and (lowest <= 0 or highest > _DEAREST):
        raise Refused(
            f"prices of {one.symbol} go from {from_units(lowest)} to {from_units(highest)} USD, "
            f"and the kernel takes those above 0 and up to {from_units(_DEAREST)} USD"
        )
    return highest


def _put_volume(one: SessionBars, shares: SmallInts) -> int:
    """Fill in a symbol's volumes; return in how many bars parts of shares traded."""
    senseless, parts = entries().to_shares(one.volume, shares)
    if senseless:
        raise Refused(f"{senseless} volumes of {one.symbol} are negative, too large or no number")
    return parts


def _taken(volume: float, share: Decimal) -> int:
    """Return the shares that we may take of a bar: as `core.fills.bar_prices` does."""
    return int((share * Decimal(repr(volume))).quantize(_ONE, rounding=ROUND_FLOOR))


def _days(columns: Sequence[Ints]) -> Ints:
    found = [
        column[np.append(True, column[1:] != column[:-1])] for column in columns if len(column)
    ]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
