"""What the house sees of one symbol at one instant: features, setup vector, levels, regime.

`observe` looks at closed bars only and never past the last of them. It wants `LOOKBACK` bars,
which on minute bars are two whole sessions, so that the previous session, on which pivots rest, is
complete at any time of the day. It works with fewer, and says by `warm` whether to act on it.
Deliberately absent: news. What strangers write is no observation of the market, and nothing that
is remembered or decided by may hold a trace of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from roboinvest.core.market.bars import BarSeries, from_ns
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Level, Regime, Trend, Volatility
from roboinvest.core.quant.features import Window, measure, setup_vector
from roboinvest.core.quant.levels import floor_pivots, touched_levels
from roboinvest.core.quant.regime import classify

LOOKBACK: Final = 780  # bars; two sessions of minutes
WARM_UP: Final = 61  # bars; the longest look-back of a feature is a move of 60 bars
LEVEL_WIDTH_ATRS: Final = 0.5  # swing points this close are one level,
LEVEL_WIDTH_FRAC: Final = 0.0005  # or this close as a fraction of the price, if that is more
NO_LEVEL_ATRS: Final = 6.0  # the gap to a level that is not there, or is farther away
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One symbol at one instant."""

    symbol: str
    at: datetime  # UTC
    bar_ts: datetime | None  # UTC, the open of the last closed bar; None without a bar
    close: float  # USD per share, of that bar; 0 without a bar
    bars: int  # bars looked at
    warm: bool  # enough bars for every feature
    features: Mapping[str, float]  # finite, rounded to 6 decimals; see `features.measure`
    vector: tuple[float, ...]  # the setup vector; empty when not warm
    levels: tuple[Level, ...]  # pivots, then touched levels, each by price
    regime: Regime


def observe(
    series: BarSeries,
    *,
    at: datetime,
    session: Session,
    vix: float | None,
) -> Observation:
    """Return what `series`, whose bars have closed by `at`, shows in `session`."""
    if not len(series):
        return _nothing_seen(series.symbol, at, vix)
    window = Window.of(series, at, session)
    levels = _levels(window)
    measured = measure(window) | _level_gaps(levels, window)
    features = {name: round(value, _DIGITS) + 0.0 for name, value in measured.items()}
    warm = len(series) >= WARM_UP
    return Observation(
        symbol=series.symbol,
        at=at,
        bar_ts=from_ns(series.ts[-1]),
        close=round(window.close, _DIGITS),
        bars=len(series),
        warm=warm,
        features=features,
        vector=setup_vector(features) if warm else (),
        levels=levels,
        regime=classify(
            ema_gap=features["ema_gap"],
            long_gap=features["long_gap"],
            adx=features["adx"],
            vol_ratio=features["vol_ratio"],
            vix=vix,
        ),
    )


def _nothing_seen(symbol: str, at: datetime, vix: float | None) -> Observation:
    return Observation(
        symbol=symbol,
        at=at,
        bar_ts=None,
        close=0.0,
        bars=0,
        warm=False,
        features={},
        vector=(),
        levels=(),
        regime=Regime(trend=Trend.RANGE, volatility=Volatility.CALM, vix=vix),
    )


def _levels(window: Window) -> tuple[Level, ...]:
    s, rows = window.series, slice(window.previous, window.today)
    width = max(LEVEL_WIDTH_ATRS * window.atr, LEVEL_WIDTH_FRAC * window.close)
    touched = touched_levels(s.high, s.low, price=window.close, width=width)
    if rows.start == rows.stop:
        return touched
    pivots = floor_pivots(
        float(s.high[rows].max()), float(s.low[rows].min()), float(s.close[rows.stop - 1])
    )
    return pivots + touched


def _level_gaps(levels: tuple[Level, ...], window: Window) -> dict[str, float]:
    """Return the distance to the nearest level below and above, in ATR."""
    close, atr = window.close, window.atr
    below = min((close - v.price for v in levels if v.price < close), default=close) / atr
    above = min((v.price - close for v in levels if v.price >= close), default=close) / atr
    return {
        "support_gap": min(below, NO_LEVEL_ATRS),
        "resistance_gap": min(above, NO_LEVEL_ATRS),
    }
