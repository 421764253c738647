"""Bars written by hand from a few closes, and what strategies of the library want on them."""

from __future__ import annotations

import numpy as np

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import Number, Values
from tools.strategies.shelf import find

Row = tuple[float, float, float, float]


def path(*closes: float, spread: float = 0.05) -> list[Row]:
    """Make bars that open at the close before and reach a little beyond both."""
    opens = [closes[0], *closes[:-1]]
    return [
        (a, round(max(a, b) + spread, 4), round(min(a, b) - spread, 4), b)
        for a, b in zip(opens, closes, strict=True)
    ]


def flat(count: int, price: float = 100.0) -> list[Row]:
    return path(*[price] * count)


def wishes(name: str, bars: SessionBars, **given: Number) -> Signals:
    strategy = find(name)
    return signals_of(strategy.plan(strategy.values(given)), bars, Timeframe.MINUTE)


def entries(signals: Signals) -> list[int]:
    return [int(row) for row in np.flatnonzero(signals.entry)]


def rising(count: int) -> list[float]:
    return [100.0 + step for step in range(count)]


# 60 minutes above VWAP, which lies a little over 100.5
HIGH = [*flat(5), *path(*[101.0] * 20)]
LOW = [*flat(5), *path(*[99.0] * 20)]
RANGE = path(100.0, 100.1, 99.9, 100.0, 100.0)  # 99.85 to 100.15 in five minutes
DAY = 60  # minutes of a short session
CALM = flat(DAY)
SMA: Values = {"fast": 2, "slow": 4}
MACD: Values = {**SMA, "signal": 2}
RSI: Values = {"period": 2, "trend": 40}
BANDS: Values = {"period": 5, "deviations": 1.5}
CHANNEL: Values = {"entry": 5, "leave": 3, "atr_bars": 2}
THRUST: Values = {"atr_bars": 2, "thrust": 3.0}
VWAP: Values = {"held_bars": 10, "atr_bars": 2, "no_entry_before_close_min": 0}
ORB: Values = {"range_min": 5}
NIGHT: Values = {"min_move": 0.005}
