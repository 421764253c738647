"""Oscillators and trend strength. TA-Lib's figures, but NaN where a market without movement has
none: a reading of "oversold" from nothing must not meet a condition.
"""

from __future__ import annotations

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import (
    LEFT_OF_EXTREMES,
    LEFT_OF_RATIO,
    column,
    declared,
    exponential,
    one_of,
    ratio,
    typical,
    whole,
    wilder,
)
from roboinvest.core.strategy import Calculator, Number


def rsi(period: Number = 14, of: str = "close", smoothing: str = "wilder") -> Calculator:
    """Return the relative strength index, 0 to 100; NaN without movement.

    Gains and losses are averaged as Wilder does, or with `smoothing` simple, as Cutler does.
    """
    length, read = whole("rsi", "period", period, low=2), column("rsi", of)
    simple = one_of("rsi", "smoothing", smoothing, ("wilder", "simple")) == "simple"

    rows = length if simple else wilder(length, LEFT_OF_RATIO)

    def compute(bars: SessionBars) -> Floats:
        return (_simple_strength if simple else _strength)(read(bars), length)

    return declared("rsi", rows, compute, length, of, smoothing)


def macd_line(fast: Number = 12, slow: Number = 26) -> Calculator:
    """Return the fast exponential average of the close minus the slow one, in USD."""
    short, long = _pair("macd_line", fast, slow)

    def compute(bars: SessionBars) -> Floats:
        return ta.macd(bars.close, short, long, 1)[0]

    return declared("macd_line", _macd_rows(long, 1), compute, short, long)


def macd_signal(fast: Number = 12, slow: Number = 26, signal: Number = 9) -> Calculator:
    """Return the exponential average of the MACD line, in USD."""
    short, long = _pair("macd_signal", fast, slow)
    smooth = whole("macd_signal", "signal", signal)

    def compute(bars: SessionBars) -> Floats:
        return ta.macd(bars.close, short, long, smooth)[1]

    return declared("macd_signal", _macd_rows(long, smooth), compute, short, long, smooth)


def macd_histogram(fast: Number = 12, slow: Number = 26, signal: Number = 9) -> Calculator:
    """Return the MACD line minus its signal, in USD."""
    short, long = _pair("macd_histogram", fast, slow)
    smooth = whole("macd_histogram", "signal", signal)

    def compute(bars: SessionBars) -> Floats:
        return ta.macd(bars.close, short, long, smooth)[2]

    return declared("macd_histogram", _macd_rows(long, smooth), compute, short, long, smooth)


def roc(period: Number, of: str = "close") -> Calculator:
    """Return the change over `period` bars in percent."""
    length, read = whole("roc", "period", period), column("roc", of)

    def compute(bars: SessionBars) -> Floats:
        values = read(bars)
        return (ratio(values, windows.before(values, length)) - 1.0) * 100.0

    return declared("roc", length, compute, length, of)


def momentum(period: Number, of: str = "close") -> Calculator:
    """Return the change over `period` bars, in USD."""
    length, read = whole("momentum", "period", period), column("momentum", of)

    def compute(bars: SessionBars) -> Floats:
        values = read(bars)
        return values - windows.before(values, length)

    return declared("momentum", length, compute, length, of)


def stochastic_k(period: Number = 14, smooth: Number = 3) -> Calculator:
    """Return the slow stochastic %K, 0 to 100."""
    length = whole("stochastic_k", "period", period)
    mean = whole("stochastic_k", "smooth", smooth)

    def compute(bars: SessionBars) -> Floats:
        return windows.mean(_place(bars, length), mean)

    return declared("stochastic_k", length + mean - 2, compute, length, mean)


def stochastic_d(period: Number = 14, smooth: Number = 3, signal: Number = 3) -> Calculator:
    """Return the slow stochastic %D, the simple average of %K, 0 to 100."""
    length = whole("stochastic_d", "period", period)
    mean, after = (
        whole("stochastic_d", "smooth", smooth),
        whole("stochastic_d", "signal", signal),
    )

    def compute(bars: SessionBars) -> Floats:
        return windows.mean(windows.mean(_place(bars, length), mean), after)

    return declared("stochastic_d", length + mean + after - 3, compute, length, mean, after)


def stoch_rsi(period: Number = 14, window: Number = 14, smooth: Number = 1) -> Calculator:
    """Return where the RSI stands between its extremes of `window` bars, 0 to 100."""
    length = whole("stoch_rsi", "period", period, low=2)
    span, mean = whole("stoch_rsi", "window", window, low=2), whole("stoch_rsi", "smooth", smooth)

    def compute(bars: SessionBars) -> Floats:
        return windows.mean(_strength_place(bars, length, span), mean)

    return declared("stoch_rsi", _place_rows(length, span) + mean, compute, length, span, mean)


def stoch_rsi_signal(
    period: Number = 14, window: Number = 14, smooth: Number = 3, signal: Number = 3
) -> Calculator:
    """Return the simple average of `stoch_rsi`, 0 to 100."""
    name = "stoch_rsi_signal"
    length, span = whole(name, "period", period, low=2), whole(name, "window", window, low=2)
    mean, after = whole(name, "smooth", smooth), whole(name, "signal", signal)

    def compute(bars: SessionBars) -> Floats:
        return windows.mean(windows.mean(_strength_place(bars, length, span), mean), after)

    rows = _place_rows(length, span) + mean + after
    return declared(name, rows, compute, length, span, mean, after)


def cci(period: Number = 20) -> Calculator:
    """Return Lambert's commodity channel index; NaN without movement."""
    length = whole("cci", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        above, distance = windows.mean_distance(typical(bars), length)
        return ratio(above, 0.015 * distance)

    return declared("cci", length - 1, compute, length)


def williams_r(period: Number = 14) -> Calculator:
    """Return Williams %R, -100 to 0; NaN without movement."""
    length = whole("williams_r", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return _place(bars, length) - 100.0

    return declared("williams_r", length - 1, compute, length)


def mfi(period: Number = 14) -> Calculator:
    """Return the money flow index, 0 to 100; NaN where no money flowed."""
    length = whole("mfi", "period", period)

    def compute(bars: SessionBars) -> Floats:
        change = windows.exact_change((bars.high, bars.low, bars.close), windows.PRICE_PARTS)
        flow = typical(bars) * bars.volume
        up = windows.total(np.where(change > 0.0, flow, change * 0.0), length)
        down = windows.total(np.where(change < 0.0, flow, change * 0.0), length)
        return 100.0 * ratio(up, up + down)

    return declared("mfi", length, compute, length)


def adx(period: Number = 14) -> Calculator:
    """Return Wilder's average directional index, 0 to 100."""
    length = whole("adx", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        return ta.adx(bars.high, bars.low, bars.close, length)

    return declared("adx", 2 * wilder(length), compute, length)


def plus_di(period: Number = 14) -> Calculator:
    """Return Wilder's positive directional indicator, 0 to 100."""
    length = whole("plus_di", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        return ta.directional(bars.high, bars.low, bars.close, length)[0]

    return declared("plus_di", wilder(length, LEFT_OF_RATIO), compute, length)


def minus_di(period: Number = 14) -> Calculator:
    """Return Wilder's negative directional indicator, 0 to 100."""
    length = whole("minus_di", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        return ta.directional(bars.high, bars.low, bars.close, length)[1]

    return declared("minus_di", wilder(length, LEFT_OF_RATIO), compute, length)


def _strength(values: Floats, period: int) -> Floats:
    """Return the RSI, NaN where the values of its period are all alike."""
    moved = windows.highest(values, period + 1) > windows.lowest(values, period + 1)
    return np.where(moved, ta.rsi(values, period), np.nan)


def _simple_strength(values: Floats, period: int) -> Floats:
    change = values - windows.before(values)
    gains = windows.total(np.maximum(change, 0.0), period)
    losses = windows.total(np.maximum(-change, 0.0), period)
    return 100.0 * ratio(gains, gains + losses)


def _strength_place(bars: SessionBars, period: int, window: int) -> Floats:
    """Return where the RSI stands between its extremes, 0 to 100."""
    strength = _strength(bars.close, period)
    low = windows.lowest(strength, window)
    return 100.0 * ratio(strength - low, windows.highest(strength, window) - low)


def _place_rows(period: int, window: int) -> int:
    """Return the warm-up; the RSI settles longer, because its extremes may lie close."""
    return wilder(period, LEFT_OF_EXTREMES) + window


def _place(bars: SessionBars, period: int) -> Floats:
    """Return where the close stands in the range of `period` bars, 0 to 100."""
    low = windows.lowest(bars.low, period)
    return 100.0 * ratio(bars.close - low, windows.highest(bars.high, period) - low)


def _pair(calculator: str, fast: Number, slow: Number) -> tuple[int, int]:
    short = whole(calculator, "fast", fast, low=2)
    long = whole(calculator, "slow", slow, low=2)
    if short >= long:
        raise BadInput(f"{calculator}: fast is {fast} and slow is {slow}; fast must be shorter")
    return short, long


def _macd_rows(slow: int, signal: int) -> int:
    return exponential(slow, LEFT_OF_RATIO) + exponential(signal, LEFT_OF_RATIO)
