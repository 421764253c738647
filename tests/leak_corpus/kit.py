"""What the cases of the corpus are made of: tapes, strategies and pairs of them.

A pair is one idea twice: once with knowledge of the future, once without. What differs between the
two is as little as possible, so that whoever accuses the honest one accuses the idea.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.conditions import Condition, above
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import (
    Calculator,
    EquityShare,
    Execution,
    Percent,
    Plan,
    Scan,
    ScanCall,
    Strategy,
    Timeframes,
)
from tools.backtester.contract import Part, Played, Request, Stage, Terms
from tools.backtester.leaks.check import Beside
from tools.backtester.leaks.trial import Play
from tools.backtester.simulator import simulator

Column = Callable[[SessionBars], NDArray[Any]]
EVERY: Final = 5  # minutes
A_DAY: Final = 78  # bars of five minutes
_MINUTE_NS: Final = 60_000_000_000
_DAY_NS: Final = 1440 * _MINUTE_NS
_OPENS_NS: Final = 870 * _MINUTE_NS  # 14:30 UTC
_MONDAY: Final = date(2024, 1, 8)
HOW: Final = Execution(
    size=EquityShare(0.4), stop=Percent(0.01), max_bars=6, flat_before_close_min=5.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A strategy on a tape, and what is known beside it."""

    request: Request
    beside: Beside = field(default_factory=Beside)
    play: Play | None = None  # None: the simulator's


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A cheat and its honest twin; built when they are asked for."""

    name: str
    cheat: Callable[[], Case]
    honest: Callable[[], Case]


def play(request: Request) -> Played:
    """Play a request on the simulator."""
    plan = request.strategy.plan(request.values)
    parts = {
        symbol: Part(
            bars=bars,
            signals=signals_of(plan, bars, request.timeframe, request.actions),
            first_row=0,
        )
        for symbol, bars in sorted(among(request.bars).items())
    }
    stage = Stage(plan=plan, timeframe=request.timeframe, parts=parts, actions=request.actions)
    return simulator.play(stage, request.terms)


def walk(
    seed: int = 1,
    *,
    symbol: str = "AAA",
    sessions: int = 12,
    bars: int = A_DAY,
    every: int = EVERY,
    price: float = 100.0,
) -> SessionBars:
    """Return bars of a seeded walk: spells of trend, gaps, busy ends of the day, a bounce."""
    chance = np.random.default_rng(seed)
    n = sessions * bars
    trend = np.repeat(chance.normal(0.0, 3e-4, n // 25 + 1), 25)[:n]
    gaps = np.where(np.arange(n) % bars == 0, chance.normal(0.0, 4e-3, n), 0.0)
    level = np.cumsum(trend + gaps + chance.normal(0.0, 1e-3, n))
    close = price * np.exp(level + chance.normal(0.0, 2e-4, n))  # the last term bounces back
    opened = np.concatenate(([price], close[:-1])) * np.exp(gaps + chance.normal(0.0, 1e-4, n))
    reach = 1.0 + np.abs(chance.normal(0.0, 5e-4, (2, n)))
    within = np.arange(n) % bars
    busy = 1.0 + 2.0 * (2.0 * within / bars - 1.0) ** 2
    open_, close = np.round(opened, 2), np.round(close, 2)
    days = _days(sessions)
    starts = np.repeat((days - date(1970, 1, 1).toordinal()) * _DAY_NS + _OPENS_NS, bars)
    ts = starts + within * every * _MINUTE_NS
    return SessionBars(
        symbol=symbol,
        ts=ts,
        closes_at=ts + every * _MINUTE_NS,
        day=np.repeat(days, bars),
        open=open_,
        high=np.round(np.maximum(open_, close) * reach[0], 2),
        low=np.round(np.minimum(open_, close) / reach[1], 2),
        close=close,
        volume=np.round(chance.integers(20_000, 90_000, n) * busy),
        opens=starts,
        ends=starts + bars * every * _MINUTE_NS,
    )


def daily(
    seed: int = 1, *, symbol: str = "AAA", days: int = 400, price: float = 100.0
) -> SessionBars:
    """Return bars of a day each, on weekdays."""
    return walk(seed, symbol=symbol, sessions=days, bars=1, every=390, price=price)


def strategy(
    name: str,
    columns: Mapping[str, Calculator],
    scan: Scan | ScanCall,
    how: Execution = HOW,
    *,
    symbols: int = 1,
    shorts: bool = False,
) -> Strategy:
    """Return a strategy without parameters."""
    return Strategy(
        name=name,
        version="1",
        idea="a case of the corpus",
        source="the corpus",
        timeframe=Timeframes.ANY,
        params=(),
        build=lambda values: Plan(columns=columns, scan=scan, execution=how),
        symbols=symbols,
        shorts=shorts,
    )


def on(
    tape: SessionBars | Mapping[str, SessionBars],
    made: Strategy,
    *,
    timeframe: Timeframe = Timeframe.MINUTES_5,
    adjusted: frozenset[str] = frozenset(),
    beside: Beside | None = None,
) -> Case:
    """Return a strategy's case on a tape."""
    bars = {tape.symbol: tape} if isinstance(tape, SessionBars) else tape
    request = Request(
        strategy=made,
        values={},
        bars=bars,
        timeframe=timeframe,
        terms=Terms(),
        adjusted=adjusted,
    )
    return Case(request=request, beside=beside or Beside())


def by_column(
    column: Column,
    *,
    warm_up: int = 0,
    when: Condition | None = None,
    tape: Callable[[], SessionBars] = walk,
    how: Execution = HOW,
) -> Callable[[], Case]:
    """Return a case that enters where a column of its own is above 0, or where `when` holds."""

    def case() -> Case:
        columns = {"mine": Calculator(name="mine", warm_up=warm_up, compute=column)}
        bars = tape()
        scan = Scan(long=when or above("mine", 0.0))
        if bars.closes_at[0] == bars.ends[0]:
            slow = replace(how, flat_before_close_min=None)
            return on(bars, strategy("corpus", columns, scan, slow), timeframe=Timeframe.DAY)
        return on(bars, strategy("corpus", columns, scan, how))

    return case


def by_call(
    call: ScanCall,
    *,
    columns: Mapping[str, Calculator] | None = None,
    how: Execution = HOW,
    tape: Callable[[], SessionBars] = walk,
) -> Callable[[], Case]:
    """Return a case whose scan is a call."""
    return lambda: on(tape(), strategy("corpus", columns or {}, call, how))


def back(values: Floats, rows: int = 1) -> Floats:
    """Return the values of `rows` bars before."""
    shifted = np.full(len(values), np.nan)
    shifted[rows:] = values[: len(values) - rows]
    return shifted


def forth(values: Floats, rows: int = 1) -> Floats:
    """Return the values of `rows` bars later: the cheat itself."""
    shifted = np.full(len(values), np.nan)
    shifted[: len(values) - rows] = values[rows:]
    return shifted


def trailing(values: Floats, rows: int, of: Callable[[Floats], Floats]) -> Floats:
    """Return `of` the last `rows` values, this one included; `of` works along the last axis."""
    found = np.full(len(values), np.nan)
    if len(values) >= rows:
        windows = np.lib.stride_tricks.sliding_window_view(values, rows)
        found[rows - 1 :] = of(windows)
    return found


def a_session(bars: SessionBars, of: Callable[[slice], Floats | float]) -> Floats:
    """Return a column filled session by session; `of` is given the session's rows."""
    column = np.full(len(bars), np.nan)
    edges = np.flatnonzero(np.diff(bars.day, prepend=-1, append=-1))
    for begin, end in itertools.pairwise(edges):
        column[begin:end] = of(slice(int(begin), int(end)))
    return column


def with_arrays(bars: SessionBars, **arrays: NDArray[Any]) -> SessionBars:
    """Return the bars with some arrays taken from elsewhere."""
    whole: dict[str, Any] = {each.name: getattr(bars, each.name) for each in fields(bars)}
    return SessionBars(**{**whole, **arrays})


def _days(sessions: int) -> NDArray[np.int64]:
    days: list[int] = []
    day = _MONDAY
    while len(days) < sessions:
        if day.weekday() < 5:
            days.append(day.toordinal())
        day += timedelta(days=1)
    return np.array(days, dtype=np.int64)
