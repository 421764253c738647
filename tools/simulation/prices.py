"""The price model of the simulated market: pure functions of state and chance, session by session.

A market factor and one idiosyncratic path per symbol, each with volatility that clusters (a daily
and an intraday log-volatility), a U-shaped day, fat tails, and a weak predictable part that the
regime switches: trends drift with a memory of half an hour, ranges pull back to where they came
from. The predictable part is small against the noise on purpose: it is there to be found, and a
strategy that trades every wiggle of it pays more in costs than it earns.

A shock never moves the minute it is published in. Deliberately absent: order books, splits and
dividends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from roboinvest.core.market.values import Trend, Volatility

MINUTES_PER_DAY: Final = 390  # a full session
MIN_PRICE: Final = 1.0  # USD per share
CENT: Final = 0.01

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """What a regime does to a day of the market factor."""

    drift: float  # log return per session
    volatility: float  # standard deviation of the session's log return
    momentum: float  # size of the slow drift, in standard deviations of a minute
    reversion: float  # share of the variance that is taken back


MOODS: Final[Mapping[tuple[Trend, Volatility], Mood]] = {
    (Trend.BULL, Volatility.CALM): Mood(
        drift=0.0010, volatility=0.006, momentum=0.08, reversion=0.05
    ),
    (Trend.BULL, Volatility.STRESSED): Mood(
        drift=0.0012, volatility=0.013, momentum=0.06, reversion=0.10
    ),
    (Trend.BEAR, Volatility.CALM): Mood(
        drift=-0.0010, volatility=0.008, momentum=0.08, reversion=0.05
    ),
    (Trend.BEAR, Volatility.STRESSED): Mood(
        drift=-0.0025, volatility=0.018, momentum=0.06, reversion=0.10
    ),
    (Trend.RANGE, Volatility.CALM): Mood(
        drift=0.0001, volatility=0.006, momentum=0.0, reversion=0.45
    ),
    (Trend.RANGE, Volatility.STRESSED): Mood(
        drift=0.0, volatility=0.012, momentum=0.0, reversion=0.40
    ),
}
_NEXT_TREND: Final[Mapping[Trend, Mapping[Trend, float]]] = {
    Trend.BULL: {Trend.BULL: 0.94, Trend.RANGE: 0.05, Trend.BEAR: 0.01},
    Trend.BEAR: {Trend.BEAR: 0.90, Trend.RANGE: 0.07, Trend.BULL: 0.03},
    Trend.RANGE: {Trend.RANGE: 0.90, Trend.BULL: 0.06, Trend.BEAR: 0.04},
}
_STRESS_BEGINS: Final = {Trend.BULL: 0.03, Trend.RANGE: 0.05, Trend.BEAR: 0.12}
_STRESS_ENDS: Final = {Trend.BULL: 0.20, Trend.RANGE: 0.15, Trend.BEAR: 0.10}

_USUAL_VOLATILITY: Final = 0.008  # of the market factor, over all regimes
_HEAT_MEMORY: Final = 0.92  # of the log-volatility, from session to session
_HEAT_NOISE: Final = 0.12
_FLICKER_MEMORY: Final = 0.985  # of the log-volatility, from minute to minute
_FLICKER: Final = 0.35  # its stationary standard deviation
_DRIFT_MEMORY: Final = 0.975  # of the slow drift; half gone after 27 minutes
_PULL_MEMORY: Final = 0.97  # of what a range takes back; half gone after 23 minutes
_OVERNIGHT: Final = 0.5  # standard deviation of the gap against that of the session
_OPENING_TICK: Final = 0.15  # of a minute's standard deviation, between a close and the next open
_HOMEWARD: Final = 0.002  # share of the distance to the first price that a night takes back
_AFTERSHOCK: Final = 12.0  # minutes, decay of what a shock stirs up
_SHOCK_DRIFT: Final = 9.0  # minutes, decay of the part of a shock that comes late


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What kind of share it is."""

    symbol: str
    price: float  # USD, before the first session
    beta: float  # against the market factor
    volatility: float  # standard deviation of its own part of a session's log return
    volume: float  # shares in a mean minute


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """What the market remembers from one session to the next."""

    trend: Trend
    volatility: Volatility
    heat: float  # log-volatility against that of the regime


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolState:
    """What a symbol remembers: its last price in whole cents, so that nothing else can drift."""

    close: float  # USD per share
    heat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """What an item of news does. Minute 0 with `overnight` moves the gap instead of a bar."""

    minute: int  # index of the first bar that may move: the one after publication
    jump: float  # log return between the last price and the next
    drift: float  # log return that follows over the next half hour
    overnight: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One source of movement over a session."""

    gap: float  # log return overnight
    jumps: Floats  # (minutes,) log return between a close and the next open
    moves: Floats  # (minutes,) log return from open to close
    scale: Floats  # (minutes,) standard deviation of a move
    stir: Floats  # (minutes,) factor on volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """The bars of one symbol and session, one for each minute; all arrays have shape (minutes,)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


FUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "SPY": (520.0, 1.0),
    "QQQ": (440.0, 1.2),
    "IWM": (205.0, 1.1),
    "DIA": (390.0, 0.9),
}
"""Index funds by symbol: first price and beta. They follow the market and little else."""


def profile(symbol: str, rng: Generator) -> Profile:
    """Return the share that a symbol stands for."""
    price = float(np.exp(rng.uniform(math.log(30.0), math.log(420.0))))
    beta, volatility = float(rng.uniform(0.6, 1.7)), float(rng.uniform(0.006, 0.016))
    volume = float(np.exp(rng.normal(9.2, 0.8)))
    if symbol in FUNDS:
        price, beta = FUNDS[symbol]
        volatility, volume = 0.0012, 90_000.0
    return Profile(
        symbol=symbol,
        price=_cents(price),
        beta=beta,
        volatility=volatility,
        volume=volume,
    )


def own_mood(share: Profile, market: Mood) -> Mood:
    """Return what a regime of the market does to a symbol's own part: it is louder in stress."""
    return Mood(
        drift=0.0,
        volatility=share.volatility * math.sqrt(market.volatility / _USUAL_VOLATILITY),
        momentum=market.momentum,
        reversion=market.reversion,
    )


def first_market_state(rng: Generator) -> MarketState:
    """Return where the market stands before its first session."""
    trend = list(Trend)[int(rng.integers(len(Trend)))]
    return MarketState(trend=trend, volatility=Volatility.CALM, heat=0.0)


def next_regime(state: MarketState, rng: Generator) -> MarketState:
    """Return the regime and the heat of the session that follows `state`."""
    trend_draw, stress_draw = rng.random(2)
    chances = _NEXT_TREND[state.trend]
    edges = np.cumsum(list(chances.values()))
    trend = list(chances)[min(int(np.searchsorted(edges, trend_draw)), len(chances) - 1)]
    if state.volatility is Volatility.CALM:
        stressed = bool(stress_draw < _STRESS_BEGINS[trend])
    else:
        stressed = bool(stress_draw >= _STRESS_ENDS[trend])
    return MarketState(
        trend=trend,
        volatility=Volatility.STRESSED if stressed else Volatility.CALM,
        heat=next_heat(state.heat, rng),
    )


def next_heat(heat: float, rng: Generator) -> float:
    """Return tomorrow's log-volatility."""
    return _HEAT_MEMORY * heat + _HEAT_NOISE * float(rng.standard_normal())


def factor(
    mood: Mood, heat: float, minutes: int, shocks: Sequence[Shock], rng: Generator
) -> Factor:
    """Return one session of a source of movement."""
    draws = rng.standard_normal((5, minutes))
    flicker = _remembered(draws[0], _FLICKER_MEMORY) * _FLICKER
    aftershock = _aftershock(shocks, minutes)
    level = mood.volatility * math.exp(heat) / math.sqrt(MINUTES_PER_DAY)
    scale = level * _day_shape(minutes) * np.exp(flicker - _FLICKER**2) * (1.0 + aftershock)
    drift = mood.drift / MINUTES_PER_DAY + scale * mood.momentum * _remembered(
        draws[1], _DRIFT_MEMORY
    )
    pulled = _remembered(draws[2], _PULL_MEMORY)
    back_and_forth = np.diff(pulled, prepend=0.0) / math.sqrt(2.0 * (1.0 - _PULL_MEMORY))
    share = mood.reversion
    noise = math.sqrt(1.0 - share) * draws[3] + math.sqrt(share) * back_and_forth
    jumps = scale * _OPENING_TICK * draws[4]
    jumps[0] = 0.0
    gap = _OVERNIGHT * mood.volatility * math.exp(heat) * float(rng.standard_normal())
    moves = drift + scale * noise
    for shock in shocks:
        if shock.overnight:
            gap += shock.jump
        elif shock.minute < minutes:
            jumps[shock.minute] += shock.jump
        moves += _late_drift(shock, minutes)
    return Factor(
        gap=gap, jumps=jumps, moves=moves, scale=scale, stir=np.exp(flicker) * (1 + 2 * aftershock)
    )


def candles(
    share: Profile, state: SymbolState, market: Factor, own: Factor, rng: Generator
) -> Candles:
    """Return the bars of a session that follows `state.close`; prices are whole cents."""
    minutes = len(own.moves)
    homeward = _HOMEWARD * math.log(share.price / state.close)
    moves = share.beta * market.moves + own.moves
    jumps = share.beta * market.jumps + own.jumps
    jumps[0] += share.beta * market.gap + own.gap + homeward
    closes = math.log(state.close) + np.cumsum(jumps + moves)
    opens = closes - moves
    scale = np.hypot(share.beta * market.scale, own.scale)
    highs, lows = _extremes(moves, scale, rng)
    o, c = _price(opens), _price(closes)
    return Candles(
        open=o,
        high=np.maximum(_price(opens + highs), np.maximum(o, c)),
        low=np.minimum(_price(opens + lows), np.minimum(o, c)),
        close=c,
        volume=_volumes(share, market, own, np.abs(moves) / scale, rng, minutes),
    )


def _extremes(moves: Floats, scale: Floats, rng: Generator) -> tuple[Floats, Floats]:
    """Return how far above and below its open each minute went, as log returns.

    The maximum of a Brownian bridge from 0 to r with variance s^2 is
    (r + sqrt(r^2 - 2 s^2 ln U)) / 2, and the minimum its mirror image.
    """
    logs = np.log1p(-rng.random((2, len(moves))))
    reach = np.sqrt(moves**2 - 2.0 * scale**2 * logs)
    return (moves + reach[0]) / 2.0, (moves - reach[1]) / 2.0


def _volumes(
    share: Profile,
    market: Factor,
    own: Factor,
    surprise: Floats,
    rng: Generator,
    minutes: int,
) -> Floats:
    """Return whole shares: a deep U over the day, more where the price moves or news is fresh."""
    noise = np.exp(0.4 * rng.standard_normal(minutes) - 0.08)
    stir = np.sqrt(market.stir) * np.sqrt(own.stir)
    mean = share.volume * _day_shape(minutes) ** 2 * stir * (0.7 + 0.4 * surprise)
    volume: Floats = np.maximum(np.rint(mean * noise), 1.0)
    return volume


@cache
def _day_shape(minutes: int) -> Floats:
    """Return the U of a day with mean square 1: loud after the open, quiet at noon, loud again."""
    t = np.arange(minutes) + 0.5
    shape = 0.75 + 1.15 * np.exp(-t / 22.0) + 0.65 * np.exp(-(minutes - t) / 18.0)
    result: Floats = shape / math.sqrt(float(np.mean(shape**2)))
    result.flags.writeable = False  # shared by every session of this length
    return result


@cache
def _decay(minutes: int, memory: float) -> Floats:
    result: Floats = np.power(memory, np.arange(minutes), dtype=np.float64)
    result.flags.writeable = False
    return result


def _remembered(noise: Floats, memory: float) -> Floats:
    """Return the AR(1) path of unit variance that `noise` drives, started in its steady state."""
    decay = _decay(len(noise), memory)
    driven = noise * math.sqrt(1.0 - memory**2)
    driven[0] = noise[0]
    path: Floats = decay * np.cumsum(driven / decay)
    return path


def _aftershock(shocks: Sequence[Shock], minutes: int) -> Floats:
    """Return by how much fresh news stirs a minute; 0 before the first bar that may move."""
    t = np.arange(minutes)
    total = np.zeros(minutes)
    for shock in shocks:
        total += np.where(t < shock.minute, 0.0, np.exp(-(t - shock.minute) / _AFTERSHOCK))
    return np.minimum(total, 2.0)


def _late_drift(shock: Shock, minutes: int) -> Floats:
    t = np.arange(minutes) - shock.minute
    weight = np.where(t < 0, 0.0, np.exp(-np.maximum(t, 0) / _SHOCK_DRIFT))
    result: Floats = shock.drift * weight * (1.0 - math.exp(-1.0 / _SHOCK_DRIFT))
    return result


def _price(logs: Floats) -> Floats:
    """Return prices in whole cents, never below `MIN_PRICE`."""
    result: Floats = np.maximum(np.rint(np.exp(logs) / CENT) / 100.0, MIN_PRICE)
    return result


def _cents(price: float) -> float:
    return round(price, 2)
