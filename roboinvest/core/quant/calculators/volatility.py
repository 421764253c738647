"""How far prices move, and the bands drawn from it. USD per share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import talib

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import (
    column,
    declared,
    exponential,
    one_of,
    positive,
    whole,
    wilder,
)
from roboinvest.core.quant.calculators.averages import exponential_mean
from roboinvest.core.strategy import Calculator, Number

_FARTHEST: Final = 1000.0  # deviations or average ranges


def true_range() -> Calculator:
    """Return the range of a bar and the close before it; NaN in the first row."""

    def compute(bars: SessionBars) -> Floats:
        return _true_range(bars)

    return declared("true_range", 1, compute)


def atr(period: Number = 14, smoothing: str = "wilder") -> Calculator:
    """Return the average true range, averaged as Wilder does, or simply."""
    length = whole("atr", "period", period)
    one_of("atr", "smoothing", smoothing, _RANGES)

    def compute(bars: SessionBars) -> Floats:
        return _RANGES[smoothing](bars, length)

    warm_up = wilder(length) if smoothing == "wilder" else length
    return declared("atr", warm_up, compute, length, smoothing)


def bollinger_upper(period: Number = 20, deviations: Number = 2.0) -> Calculator:
    """Return the close's average plus so many deviations of a population."""
    return _bollinger("bollinger_upper", period, deviations, 1.0)


def bollinger_middle(period: Number = 20) -> Calculator:
    """Return the simple average of the close."""
    return _bollinger("bollinger_middle", period, 1.0, 0.0)


def bollinger_lower(period: Number = 20, deviations: Number = 2.0) -> Calculator:
    """Return the close's average minus so many deviations of a population."""
    return _bollinger("bollinger_lower", period, deviations, -1.0)


def keltner_upper(
    period: Number = 20,
    times: Number = 2.0,
    atr_period: Number = 10,
    of: str = "close",
    smoothing: str = "exponential",
) -> Calculator:
    """Return an average plus so many average true ranges.

    The average is exponential beside Wilder's average range, or both are simple.
    """
    return _keltner(
        "keltner_upper",
        period,
        positive("keltner_upper", "times", times, _FARTHEST),
        atr_period,
        of,
        smoothing,
    )


def keltner_middle(
    period: Number = 20, of: str = "close", smoothing: str = "exponential"
) -> Calculator:
    """Return the average in the middle of the channel."""
    return _keltner("keltner_middle", period, 0.0, 1, of, smoothing)


def keltner_lower(
    period: Number = 20,
    times: Number = 2.0,
    atr_period: Number = 10,
    of: str = "close",
    smoothing: str = "exponential",
) -> Calculator:
    """Return an average minus so many average true ranges; see `keltner_upper`."""
    return _keltner(
        "keltner_lower",
        period,
        -positive("keltner_lower", "times", times, _FARTHEST),
        atr_period,
        of,
        smoothing,
    )


def supertrend(period: Number = 10, times: Number = 3.0) -> Calculator:
    """Return the line that trails the price by so many ATR: below it in a rise, else above."""
    length = whole("supertrend", "period", period, low=2)
    far = positive("supertrend", "times", times, _FARTHEST)

    def compute(bars: SessionBars) -> Floats:
        line: Floats = talib.SUPERTREND(bars.high, bars.low, bars.close, length, far)[0]
        return line

    return declared("supertrend", 3 * wilder(length), compute, length, far)


def _bollinger(name: str, period: Number, deviations: Number, sign: float) -> Calculator:
    length = whole(name, "period", period, low=2)
    far = sign * positive(name, "deviations", deviations, _FARTHEST)

    def compute(bars: SessionBars) -> Floats:
        middle = windows.exact_mean(bars.close, length, windows.PRICE_PARTS)
        if far == 0.0:
            return middle
        return middle + far * windows.spread(bars.close, length)[1]

    return declared(name, length - 1, compute, length, far)


def _keltner(
    name: str, period: Number, far: float, atr_period: Number, of: str, smoothing: str
) -> Calculator:
    length, range_length = whole(name, "period", period), whole(name, "atr_period", atr_period)
    read = column(name, of)
    simple = one_of(name, "smoothing", smoothing, ("exponential", "simple")) == "simple"
    ranges = _RANGES["simple" if simple else "wilder"]

    def compute(bars: SessionBars) -> Floats:
        values = read(bars)
        middle = windows.mean(values, length) if simple else exponential_mean(values, length)
        return middle + far * ranges(bars, range_length) if far else middle

    own = length if simple else exponential(length)
    warm_up = max(own, range_length if simple else wilder(range_length)) if far else own
    return declared(name, warm_up, compute, length, far, range_length, of, smoothing)


def _true_range(bars: SessionBars) -> Floats:
    before = windows.before(bars.close)
    return np.maximum(bars.high, before) - np.minimum(bars.low, before)


def _wilder_range(bars: SessionBars, period: int) -> Floats:
    return ta.atr(bars.high, bars.low, bars.close, period)


def _simple_range(bars: SessionBars, period: int) -> Floats:
    return windows.mean(_true_range(bars), period)


_RANGES: Final[Mapping[str, Callable[[SessionBars, int], Floats]]] = {
    "wilder": _wilder_range,
    "simple": _simple_range,
}
