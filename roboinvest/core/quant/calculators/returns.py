"""What the changes of a window gave for their risk. Fractions a bar, not annualised."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import declared, positive, ratio, whole
from roboinvest.core.strategy import Calculator, Number


def rolling_sharpe(period: Number, target: float = 0.0) -> Calculator:
    """Return the mean change over `target` by the deviation of a population."""
    length = whole("rolling_sharpe", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        above = changes(bars.close) - target
        return ratio(windows.mean(above, length), windows.spread(above, length)[1])

    return declared("rolling_sharpe", length, compute, length, target)


def rolling_sortino(period: Number, target: float = 0.0) -> Calculator:
    """Return the mean change over `target` by the downside deviation; NaN without a loss."""
    length = whole("rolling_sortino", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        above = changes(bars.close) - target
        return ratio(windows.mean(above, length), _downside(above, length))

    return declared("rolling_sortino", length, compute, length, target)


def downside_deviation(period: Number, target: float = 0.0) -> Calculator:
    """Return the root of the mean square of changes below `target`."""
    length = whole("downside_deviation", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return _downside(changes(bars.close) - target, length)

    return declared("downside_deviation", length, compute, length, target)


def value_at_risk(period: Number, confidence: float = 0.95) -> Calculator:
    """Return the change that a normal market undercuts in 1 - `confidence` of bars."""
    length = whole("value_at_risk", "period", period, low=2)
    share = positive("value_at_risk", "confidence", confidence, 0.9999)
    far = NormalDist().inv_cdf(1.0 - share)

    def compute(bars: SessionBars) -> Floats:
        change = changes(bars.close)
        deviation = windows.spread(change, length)[1] * math.sqrt(length / (length - 1))
        return windows.mean(change, length) + far * deviation

    return declared("value_at_risk", length, compute, length, share)


def changes(prices: Floats) -> Floats:
    """Return each price over the one before, minus 1, shape (n,); NaN in the first row."""
    return ratio(prices, windows.before(prices)) - 1.0


def _downside(above: Floats, period: int) -> Floats:
    below = np.minimum(above, 0.0)
    deviation: Floats = np.sqrt(windows.mean(below * below, period))
    return deviation
