"""One of every calculator of the library, and tapes that are hard on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.quant.calculators import (
    averages,
    chance,
    channels,
    momentum,
    peers,
    returns,
    session,
    volatility,
    volume,
)
from roboinvest.core.quant.calculators.channels import FLOOR_PIVOTS
from roboinvest.core.strategy import Calculator
from tests.fakes.tapes import daily_tape, minute_tape

MODULES = (averages, chance, channels, momentum, peers, returns, session, volatility, volume)
HALF_DAY_MIN = 210
COLUMNS = ("ts", "closes_at", "day", "open", "high", "low", "close", "volume", "opens", "ends")


def library() -> tuple[Calculator, ...]:
    """Return every calculator, with every choice of words and usual or short windows."""
    return (*_of_prices(), *_of_sessions(), *_of_two_symbols(), chance.coin(7))


def label(calculator: Calculator) -> str:
    """Return a calculator's name and arguments."""
    arguments = getattr(calculator.compute, "arguments", ())
    return f"{calculator.name}({', '.join(map(str, arguments))})"


def hard_tapes() -> dict[str, SessionBars]:
    """Return tapes by what is hard about them, each with a second symbol beside it."""
    return {
        "minutes with holes": _pair(
            minute_tape(1, days=3, missing=0.1),
            minute_tape(2, days=3, missing=0.3, symbol="QQQ"),
        ),
        "days": _pair(daily_tape(3, days=400), daily_tape(4, days=400, symbol="QQQ")),
        "half days": _pair(half_days(5, "SPY"), half_days(6, "QQQ")),
        "still": _pair(still(minute_tape(7, days=2)), minute_tape(8, days=2, symbol="QQQ")),
        "no volume": _pair(
            replace(minute_tape(9, days=2), volume=np.zeros(780)),
            still(minute_tape(10, days=2, symbol="QQQ")),
        ),
    }


def half_days(seed: int, symbol: str) -> SessionBars:
    """Return four sessions of minutes, of which the second and the third are half days."""
    bars = minute_tape(seed, days=4, symbol=symbol, missing=0.05)
    days = np.unique(bars.day)
    half = np.isin(bars.day, days[1:3])
    ends = np.where(half, bars.opens + HALF_DAY_MIN * 60_000_000_000, bars.ends)
    return chosen(replace(bars, ends=ends), bars.closes_at <= ends)


def chosen(bars: SessionBars, rows: np.ndarray) -> SessionBars:
    """Return some rows, by flags or by numbers."""
    return replace(bars, **{name: getattr(bars, name)[rows] for name in COLUMNS})


def joined(one: SessionBars, other: SessionBars) -> SessionBars:
    """Return the bars of two tapes, one after the other."""
    columns: dict[str, Any] = {
        name: np.concatenate((getattr(one, name), getattr(other, name))) for name in COLUMNS
    }
    return replace(one, **columns)


def still(bars: SessionBars) -> SessionBars:
    """Return bars that do not move after their first hundred."""
    prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for values in prices.values():
        values[100:] = bars.close[100]
    volume_of = bars.volume.copy()
    volume_of[200:] = 0.0
    return replace(bars, volume=volume_of, **prices)


def _pair(one: SessionBars, other: SessionBars) -> SessionBars:
    return among({one.symbol: one, other.symbol: other})[one.symbol]


def _of_prices() -> tuple[Calculator, ...]:
    columns = ("open", "high", "low", "close", "volume", "typical")
    return (
        *(averages.sma(5, of) for of in columns),
        *(averages.ema(12, of) for of in columns),
        *(averages.zscore(20, of) for of in columns),
        *(averages.stddev(20, of) for of in columns),
        averages.sma(1),
        averages.ema(1),
        averages.slope(14),
        averages.vwma(20),
        averages.rolling_vwap(20),
        momentum.rsi(),
        momentum.rsi(2),
        momentum.rsi(14, smoothing="simple"),
        momentum.macd_line(),
        momentum.macd_signal(),
        momentum.macd_histogram(),
        momentum.roc(10),
        momentum.roc(10, "volume"),
        momentum.momentum(10),
        momentum.stochastic_k(),
        momentum.stochastic_d(),
        momentum.stoch_rsi(),
        momentum.stoch_rsi_signal(),
        momentum.cci(),
        momentum.williams_r(),
        momentum.mfi(),
        momentum.adx(),
        momentum.plus_di(),
        momentum.minus_di(),
        volatility.true_range(),
        volatility.atr(),
        volatility.atr(1),
        volatility.atr(14, "simple"),
        volatility.bollinger_upper(),
        volatility.bollinger_middle(),
        volatility.bollinger_lower(),
        volatility.keltner_upper(),
        volatility.keltner_middle(),
        volatility.keltner_lower(),
        volatility.keltner_upper(20, 1.5, 20, "typical", "simple"),
        volatility.supertrend(),
        channels.donchian_high(20),
        channels.donchian_low(20),
        channels.donchian_high(1),
        channels.rolling_high(5),
        channels.rolling_low(5),
        *(channels.rolling_pivot(name, 20, 3) for name in FLOOR_PIVOTS),
        channels.swing_high(4, 4),
        channels.swing_low(4, 4),
        returns.rolling_sharpe(20),
        returns.rolling_sortino(20),
        returns.downside_deviation(20),
        returns.value_at_risk(60),
        volume.obv(),
    )


def _of_sessions() -> tuple[Calculator, ...]:
    return (
        *(channels.pivot(name) for name in FLOOR_PIVOTS),
        session.session_vwap(),
        session.session_open(),
        session.session_high(),
        session.session_low(),
        session.session_move(),
        session.session_bar(),
        session.previous_close(),
        session.previous_high(),
        session.previous_low(),
        session.previous_move(),
        session.gap_frac(),
        session.overnight_drift(2),
        session.opening_range_high(30),
        session.opening_range_low(30),
        session.opening_range_high(2.5),
        session.relative_volume(20),
    )


def _of_two_symbols() -> tuple[Calculator, ...]:
    return (
        peers.ratio_zscore(30),
        peers.beta(20),
        peers.correlation(20),
        peers.correlation(20, of_changes=False),
    )
