"""The regime: direction of the trend, and whether volatility is out of the ordinary.

A trend is one only when three views agree: the fast average beyond the slow one, the price beyond
the long one, and Wilder's ADX over 20 (New Concepts in Technical Trading Systems, 1978). What does
not agree is a range. Volatility is stressed when recent moves are far above those of the whole
window, or when a VIX is given and stands at 30 or more.
"""

from __future__ import annotations

from typing import Final

from roboinvest.core.market.values import Regime, Trend, Volatility

TREND_ADX: Final = 20.0
STRESSED_VIX: Final = 30.0  # index points
STRESSED_RATIO: Final = 2.0  # deviation of the last 20 returns over that of the window


def classify(
    *, ema_gap: float, long_gap: float, adx: float, vol_ratio: float, vix: float | None
) -> Regime:
    """Return the regime; both gaps are in ATR, positive when the faster line is above."""
    trend = Trend.RANGE
    if adx >= TREND_ADX and ema_gap > 0.0 and long_gap > 0.0:
        trend = Trend.BULL
    elif adx >= TREND_ADX and ema_gap < 0.0 and long_gap < 0.0:
        trend = Trend.BEAR
    feared = vix is not None and vix >= STRESSED_VIX
    stressed = feared or vol_ratio >= STRESSED_RATIO
    return Regime(
        trend=trend, volatility=Volatility.STRESSED if stressed else Volatility.CALM, vix=vix
    )
