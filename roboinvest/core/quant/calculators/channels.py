"""Highs and lows of windows, and the levels that floor traders compute from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import declared, one_of, whole
from roboinvest.core.quant.calculators.by_session import BySession
from roboinvest.core.strategy import Calculator, Number


def donchian_high(period: Number) -> Calculator:
    """Return the highest high of the `period` bars before this one."""
    length = whole("donchian_high", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return windows.before(windows.highest(bars.high, length))

    return declared("donchian_high", length, compute, length)


def donchian_low(period: Number) -> Calculator:
    """Return the lowest low of the `period` bars before this one."""
    length = whole("donchian_low", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return windows.before(windows.lowest(bars.low, length))

    return declared("donchian_low", length, compute, length)


def rolling_high(period: Number) -> Calculator:
    """Return the highest high of `period` bars, this one included."""
    length = whole("rolling_high", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return windows.highest(bars.high, length)

    return declared("rolling_high", length - 1, compute, length)


def rolling_low(period: Number) -> Calculator:
    """Return the lowest low of `period` bars, this one included."""
    length = whole("rolling_low", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return windows.lowest(bars.low, length)

    return declared("rolling_low", length - 1, compute, length)


def pivot(name: str) -> Calculator:
    """Return a classic floor pivot (P, R1 to R4, S1 to S4) of the session before."""
    formula = FLOOR_PIVOTS[one_of("pivot", "name", name, FLOOR_PIVOTS)]

    def compute(bars: SessionBars) -> Floats:
        sessions = BySession.of(bars)
        high = sessions.previous(sessions.running(bars.high, np.maximum, -np.inf))
        low = sessions.previous(sessions.running(bars.low, np.minimum, np.inf))
        return formula(high, low, sessions.previous(bars.close))

    return declared("pivot", 1, compute, name)


def rolling_pivot(name: str, period: Number, offset: Number = 0) -> Calculator:
    """Return a classic floor pivot of `period` bars, of which the last is `offset + 1` bars ago."""
    formula = FLOOR_PIVOTS[one_of("rolling_pivot", "name", name, FLOOR_PIVOTS)]
    length = whole("rolling_pivot", "period", period)
    back = whole("rolling_pivot", "offset", offset, low=0) + 1

    def compute(bars: SessionBars) -> Floats:
        high = windows.before(windows.highest(bars.high, length), back)
        low = windows.before(windows.lowest(bars.low, length), back)
        return formula(high, low, windows.before(bars.close, back))

    return declared("rolling_pivot", length - 1 + back, compute, name, length, back)


def swing_high(before: Number, after: Number) -> Calculator:
    """Return the newest high above `before` highs before it and `after` behind it.

    It is known, and stands in the column, only from the close of the last of these bars on.
    """
    left, right = whole("swing_high", "before", before), whole("swing_high", "after", after)

    def compute(bars: SessionBars) -> Floats:
        return held(turns(bars.high, left, right))

    return declared("swing_high", _rows_between(left, right), compute, left, right)


def swing_low(before: Number, after: Number) -> Calculator:
    """Return the newest low below `before` lows before it and `after` behind it."""
    left, right = whole("swing_low", "before", before), whole("swing_low", "after", after)

    def compute(bars: SessionBars) -> Floats:
        return -held(turns(-bars.low, left, right))

    return declared("swing_low", _rows_between(left, right), compute, left, right)


def turns(values: Floats, before: int, after: int) -> Floats:
    """Return a turn's value in the row in which it is known, shape (n,); NaN elsewhere.

    A turn lies above the `before` values before it and the `after` behind it; a plateau is none.
    """
    turned = windows.before(values, after)
    earlier = windows.before(windows.highest(values, before), after + 1)
    found = (turned > earlier) & (turned > windows.highest(values, after))
    return np.where(found, turned, np.nan)


def held(values: Floats) -> Floats:
    """Return each row's newest value that is one, shape (n,); NaN before the first."""
    rows = np.where(np.isnan(values), -1, np.arange(len(values)))
    newest = np.maximum.accumulate(rows)
    return np.where(newest >= 0, values[np.maximum(newest, 0)], np.nan)


def _rows_between(before: int, after: int) -> int:
    """Return rows in which there is all but surely a turn: one row in so many is, by chance."""
    return 10 * (before + after + 1)


Formula = Callable[[Floats, Floats, Floats], Floats]  # high, low, close


def _middle(high: Floats, low: Floats, close: Floats) -> Floats:
    return (high + low + close) / 3.0


FLOOR_PIVOTS: Final[Mapping[str, Formula]] = {
    "P": _middle,
    "R1": lambda high, low, close: 2.0 * _middle(high, low, close) - low,
    "R2": lambda high, low, close: _middle(high, low, close) + (high - low),
    "R3": lambda high, low, close: high + 2.0 * (_middle(high, low, close) - low),
    "R4": lambda high, low, close: high + 3.0 * (_middle(high, low, close) - low),
    "S1": lambda high, low, close: 2.0 * _middle(high, low, close) - high,
    "S2": lambda high, low, close: _middle(high, low, close) - (high - low),
    "S3": lambda high, low, close: low - 2.0 * (high - _middle(high, low, close)),
    "S4": lambda high, low, close: low - 3.0 * (high - _middle(high, low, close)),
}
