"""One symbol beside the one other of its run, whose last close by each bar's close is taken."""

from __future__ import annotations

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import declared, ratio, whole
from roboinvest.core.quant.calculators.returns import changes
from roboinvest.core.strategy import Calculator, Number


def ratio_zscore(period: Number) -> Calculator:
    """Return the z-score of log(own close / the other's close); NaN without movement."""
    length = whole("ratio_zscore", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        return ratio(*windows.spread(np.log(bars.close / other_close(bars)), length))

    return declared("ratio_zscore", length - 1, compute, length)


def beta(period: Number) -> Calculator:
    """Return how far the own close moves when the other's moves by one, in fractions a bar."""
    length = whole("beta", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        own, other = changes(bars.close), changes(other_close(bars))
        _, variance, covariance = windows.products(own, other, length)
        return ratio(covariance, variance)

    return declared("beta", length, compute, length)


def correlation(period: Number, *, of_changes: bool = True) -> Calculator:
    """Return the correlation, -1 to 1, with the other: of changes a bar, or of the closes."""
    length = whole("correlation", "period", period, low=2)

    def compute(bars: SessionBars) -> Floats:
        own, other = bars.close, other_close(bars)
        if of_changes:
            own, other = changes(own), changes(other)
        one, two, covariance = windows.products(own, other, length)
        return np.clip(ratio(covariance, np.sqrt(one) * np.sqrt(two)), -1.0, 1.0)

    warm_up = length if of_changes else length - 1
    return declared("correlation", warm_up, compute, length, of_changes)


def other_close(bars: SessionBars) -> Floats:
    """Return the one other symbol's last close by each bar's close, shape (n,); NaN before.

    Raises:
        BadInput: the run has no other symbol, or several.
    """
    if len(bars.others) != 1:
        names = ", ".join(sorted(bars.others)) or "none"
        raise BadInput(
            f"{bars.symbol} is to be held against one other symbol and the run has {names}; "
            "give two symbols"
        )
    (other,) = bars.others.values()
    if not len(other):
        return np.full(len(bars), np.nan)
    seen = np.searchsorted(other.closes_at, bars.closes_at, side="right") - 1
    return np.where(seen >= 0, other.close[np.maximum(seen, 0)], np.nan)
