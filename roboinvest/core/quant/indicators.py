"""Indicators over the columns of a `BarSeries`: TA-Lib with types, and two of the session's own.

Every function maps arrays of shape (n,), oldest first, to arrays of shape (n,); rows before the
look-back is filled are NaN, and no row depends on a later one. `last` turns such an array into one
finite figure. TA-Lib reads a market without movement as oversold (RSI, stochastic and money flow
of 0 where nothing is bought or sold); the arrays here keep its convention, so that they can be
compared with other tools, and `observation` puts the neutral value in its place.
Deliberately absent: streaming state. A window is short, and a pass over it is cheap.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

import numpy as np
import talib

from roboinvest.core.market.bars import Floats, Ints, to_ns
from roboinvest.core.market.sessions import Session

OPENING_RANGE: Final = timedelta(minutes=30)
_SIMPLE: Final = talib.MA_Type.SMA  # type: ignore[attr-defined] # there, but not in its stubs


def last(values: Floats, neutral: float) -> float:
    """Return the newest value, or `neutral` where there is none yet."""
    value = float(values[-1]) if len(values) else neutral
    return value if math.isfinite(value) else neutral


def sma(values: Floats, period: int) -> Floats:
    """Return the simple moving average."""
    result: Floats = talib.SMA(values, period)
    return result


def ema(values: Floats, period: int) -> Floats:
    """Return the exponential moving average, seeded with the simple one of the first rows."""
    result: Floats = talib.EMA(values, period)
    return result


def rsi(close: Floats, period: int = 14) -> Floats:
    """Return Wilder's relative strength index, 0 to 100."""
    result: Floats = talib.RSI(close, period)
    return result


def macd(
    close: Floats, fast: int = 12, slow: int = 26, signal: int = 9
) -> tuple[Floats, Floats, Floats]:
    """Return MACD line, signal line and histogram."""
    result: tuple[Floats, Floats, Floats] = talib.MACD(close, fast, slow, signal)
    return result


def bollinger(
    close: Floats, period: int = 20, deviations: float = 2.0
) -> tuple[Floats, Floats, Floats]:
    """Return upper band, middle and lower band; the deviation is that of a population."""
    result: tuple[Floats, Floats, Floats] = talib.BBANDS(close, period, deviations, deviations)
    return result


def atr(high: Floats, low: Floats, close: Floats, period: int = 14) -> Floats:
    """Return Wilder's average true range, in price."""
    result: Floats = talib.ATR(high, low, close, period)
    return result


def adx(high: Floats, low: Floats, close: Floats, period: int = 14) -> Floats:
    """Return Wilder's average directional index, 0 to 100."""
    result: Floats = talib.ADX(high, low, close, period)
    return result


def directional(
    high: Floats, low: Floats, close: Floats, period: int = 14
) -> tuple[Floats, Floats]:
    """Return +DI and -DI, the two halves that ADX is made of, 0 to 100."""
    plus: Floats = talib.PLUS_DI(high, low, close, period)
    minus: Floats = talib.MINUS_DI(high, low, close, period)
    return plus, minus


def obv(close: Floats, volume: Floats) -> Floats:
    """Return on-balance volume, in shares; only its changes mean something."""
    result: Floats = talib.OBV(close, volume)
    return result


def stochastic(
    high: Floats, low: Floats, close: Floats, period: int = 14, smooth: int = 3
) -> tuple[Floats, Floats]:
    """Return the slow stochastic %K and %D, 0 to 100, both smoothed by simple averages."""
    result: tuple[Floats, Floats] = talib.STOCH(
        high,
        low,
        close,
        fastk_period=period,
        slowk_period=smooth,
        slowk_matype=_SIMPLE,
        slowd_period=smooth,
        slowd_matype=_SIMPLE,
    )
    return result


def cci(high: Floats, low: Floats, close: Floats, period: int = 20) -> Floats:
    """Return Lambert's commodity channel index."""
    result: Floats = talib.CCI(high, low, close, period)
    return result


def mfi(high: Floats, low: Floats, close: Floats, volume: Floats, period: int = 14) -> Floats:
    """Return the money flow index, 0 to 100."""
    result: Floats = talib.MFI(high, low, close, volume, period)
    return result


def williams_r(high: Floats, low: Floats, close: Floats, period: int = 14) -> Floats:
    """Return Williams %R, -100 to 0."""
    result: Floats = talib.WILLR(high, low, close, period)
    return result


def roc(close: Floats, period: int = 10) -> Floats:
    """Return the rate of change in percent."""
    result: Floats = talib.ROC(close, period)
    return result


def stddev(values: Floats, period: int = 20) -> Floats:
    """Return the standard deviation of a population."""
    result: Floats = talib.STDDEV(values, period, 1.0)
    return result


def rolling_max(values: Floats, period: int) -> Floats:
    """Return the highest of the last `period` values."""
    result: Floats = talib.MAX(values, period)
    return result


def rolling_min(values: Floats, period: int) -> Floats:
    """Return the lowest of the last `period` values."""
    result: Floats = talib.MIN(values, period)
    return result


def session_vwap(high: Floats, low: Floats, close: Floats, volume: Floats) -> Floats:
    """Return the volume-weighted average of the typical price since the first row.

    The rows are those of one session. Before the first share has changed hands it is the typical
    price itself.
    """
    typical: Floats = talib.TYPPRICE(high, low, close)
    shares = np.cumsum(volume)
    traded = shares > 0.0
    return np.divide(np.cumsum(typical * volume), shares, out=typical, where=traded)


def opening_range(
    high: Floats, low: Floats, closes_at: Ints, session: Session
) -> tuple[float, float] | None:
    """Return high and low of the session's first half hour, or None where they are not known.

    The rows are those of the session so far. None until a bar has closed after the half hour, and
    always for bars longer than it.
    """
    count = int(np.searchsorted(closes_at, to_ns(session.opens_at + OPENING_RANGE), side="right"))
    if count == 0 or count == len(closes_at):
        return None
    return float(high[:count].max()), float(low[:count].min())
