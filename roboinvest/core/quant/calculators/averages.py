"""Averages and what measures a value against them. Prices are in USD per share."""

from __future__ import annotations

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import (
    column,
    declared,
    exponential,
    ratio,
    typical,
    whole,
)
from roboinvest.core.strategy import Calculator, Number


def sma(period: Number, of: str = "close") -> Calculator:
    """Return the simple moving average, exact to a hundred-millionth: equal windows tie."""
    length, read = whole("sma", "period", period), column("sma", of)
    parts = windows.VOLUME_PARTS if of == "volume" else windows.PRICE_PARTS

    def compute(bars: SessionBars) -> Floats:
        return windows.exact_mean(read(bars), length, parts)

    return declared("sma", length - 1, compute, length, of)


def ema(period: Number, of: str = "close") -> Calculator:
    """Return the exponential moving average, seeded with the simple one of the first rows."""
    length, read = whole("ema", "period", period), column("ema", of)

    def compute(bars: SessionBars) -> Floats:
        return exponential_mean(read(bars), length)

    return declared("ema", exponential(length), compute, length, of)


def zscore(period: Number, of: str = "close") -> Calculator:
    """Return a value's distance from its window's mean in deviations; NaN without movement."""
    length, read = whole("zscore", "period", period, low=2), column("zscore", of)

    def compute(bars: SessionBars) -> Floats:
        return ratio(*windows.spread(read(bars), length))

    return declared("zscore", length - 1, compute, length, of)


def stddev(period: Number, of: str = "close") -> Calculator:
    """Return the standard deviation of a window as a population."""
    length, read = whole("stddev", "period", period, low=2), column("stddev", of)

    def compute(bars: SessionBars) -> Floats:
        return windows.spread(read(bars), length)[1]

    return declared("stddev", length - 1, compute, length, of)


def slope(period: Number, of: str = "close") -> Calculator:
    """Return the slope of the least-squares line through a window, per bar."""
    length, read = whole("slope", "period", period, low=2), column("slope", of)

    def compute(bars: SessionBars) -> Floats:
        return windows.slope(read(bars), length)

    return declared("slope", length - 1, compute, length, of)


def vwma(period: Number) -> Calculator:
    """Return the closes of a window weighed by volume; NaN where nothing was traded in it."""
    length = whole("vwma", "period", period)

    def compute(bars: SessionBars) -> Floats:
        traded = windows.total(bars.volume, length)
        return ratio(windows.total(bars.close * bars.volume, length), traded)

    return declared("vwma", length - 1, compute, length)


def rolling_vwap(period: Number) -> Calculator:
    """Return the typical prices of a window weighed by volume; NaN where nothing was traded."""
    length = whole("rolling_vwap", "period", period)

    def compute(bars: SessionBars) -> Floats:
        traded = windows.total(bars.volume, length)
        return ratio(windows.total(typical(bars) * bars.volume, length), traded)

    return declared("rolling_vwap", length - 1, compute, length)


def exponential_mean(values: Floats, period: int) -> Floats:
    """Return the exponential average of values, shape (n,), of which the first may be NaN."""
    return np.array(values) if period == 1 else ta.ema(values, period)
