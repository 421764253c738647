"""The regime of each day, as it was known when the day began.

Day bars are made of whatever bars there are, and a day is called what the days before it were, so
that a table of profits by regime is one that could have been used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np

from roboinvest.core.market.bars import BarSeries, Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.regime import classify

RECENT: Final = 20  # days whose volatility is held against that of all days before
WARM_UP: Final = 61  # days
_FLOOR_FRAC: Final = 1e-5


def regimes_of(bars: SessionBars, actions: Sequence[CorporateAction] = ()) -> dict[date, str]:
    """Return the name of the regime by exchange day; days of the warm-up are left out.

    Nothing in it depends on the scale of prices, so that all may be put on today's side of every
    split of raw bars.
    """
    series = bars.series()
    for action in actions:
        if action.kind is ActionKind.SPLIT and action.symbol == bars.symbol:
            series = series.rescaled(float(action.ratio), action.ex_date)
    days, high, low, close = _daily(series)
    if len(days) <= WARM_UP:
        return {}
    atr = np.maximum(ta.atr(high, low, close), _FLOOR_FRAC * close)
    ema_gap = ta.macd(close)[0] / atr
    long_gap = (close - ta.ema(close, 50)) / atr
    adx, vol_ratio = ta.adx(high, low, close), _vol_ratio(close)
    return {
        date.fromordinal(int(days[row])): classify(
            ema_gap=float(ema_gap[row - 1]),
            long_gap=float(long_gap[row - 1]),
            adx=float(adx[row - 1]),
            vol_ratio=float(vol_ratio[row - 1]),
            vix=None,
        ).name
        for row in range(WARM_UP, len(days))
    }


def _daily(bars: BarSeries) -> tuple[Floats, Floats, Floats, Floats]:
    """Return day, high, low and close of each exchange day."""
    if not len(bars):
        nothing = np.zeros(0)
        return nothing, nothing, nothing, nothing
    begins = np.flatnonzero(np.append(True, bars.day[1:] != bars.day[:-1]))
    ends = np.append(begins[1:], len(bars)) - 1
    high = np.maximum.reduceat(bars.high, begins)
    low = np.minimum.reduceat(bars.low, begins)
    return bars.day[ends].astype(np.float64), high, low, bars.close[ends]


def _vol_ratio(close: Floats) -> Floats:
    """Return the deviation of the last `RECENT` returns over that of all so far."""
    returns = np.concatenate(([0.0], np.diff(np.log(close))))
    seen = np.arange(1, len(returns) + 1)
    mean = np.cumsum(returns) / seen
    whole = np.sqrt(np.maximum(np.cumsum(returns**2) / seen - mean**2, 0.0))
    recent = ta.stddev(returns, RECENT)
    return recent / np.maximum(whole, _FLOOR_FRAC)
