"""Small runs to report on: seeded bars of real sessions, a plain strategy, the real simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np

from roboinvest.core.market.bars import Floats, to_ns
from roboinvest.core.market.grid import UNITS_PER_USD
from roboinvest.core.market.quality import expected_opens
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.performance import figures
from roboinvest.core.quant.conditions import Condition, above, below, every
from roboinvest.core.strategy import (
    EquityShare,
    Execution,
    Param,
    Percent,
    Plan,
    Reward,
    Scan,
    Strategy,
    Timeframes,
)
from tests.fakes.replays import CALENDAR
from tools.backtester.contract import BacktestResult, Request, Terms
from tools.backtester.engine import run_backtest

SEED = 20111
FIRST, LAST = date(2011, 1, 3), date(2011, 2, 28)
AT_ONCE = every(above("minutes_open", 29.0), below("minutes_open", 121.0), above("close", "open"))
HALF = Execution(
    size=EquityShare(0.5),
    stop=Percent(0.004),
    target=Reward(1.5),
    flat_before_close_min=15.0,
)


def sessions(first: date = FIRST, last: date = LAST) -> Sequence[Session]:
    """Return the exchange's sessions."""
    return CALENDAR.sessions(first, last)


def walked(
    of: Sequence[Session],
    timeframe: Timeframe = Timeframe.MINUTES_15,
    *,
    symbol: str = "SPY",
    seed: int = SEED,
    drift: float = 0.0,
    noise: float = 0.0015,
) -> SessionBars:
    """Return bars of a seeded walk: `drift` and `noise` are of a bar's return."""
    opens = [expected_opens(session, timeframe) for session in of]
    ts = np.concatenate(opens)
    n, rng = len(ts), np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(drift + noise * rng.standard_normal(n))), 2)
    close = np.maximum(close, 0.01)
    opened = np.concatenate(([100.0], close[:-1]))
    wide = np.abs(noise * rng.standard_normal((2, n))) * close
    return shaped(of, timeframe, symbol, ts, (opened, close, wide))


def shaped(
    of: Sequence[Session],
    timeframe: Timeframe,
    symbol: str,
    ts: np.ndarray,
    prices: tuple[Floats, Floats, Floats],
) -> SessionBars:
    """Return bars from opens, closes, and how far beyond them highs and lows go."""
    opened, close, wide = prices
    counts = [len(expected_opens(session, timeframe)) for session in of]

    def spread(values: Sequence[int]) -> np.ndarray:
        return np.repeat(np.array(values, dtype=np.int64), counts)

    opens_at = spread([to_ns(session.opens_at) for session in of])
    ends = spread([to_ns(session.closes_at) for session in of])
    length = int(timeframe.length.total_seconds() * 1e9)
    closes_at = ends if timeframe is Timeframe.DAY else np.minimum(ts + length, ends)
    return SessionBars(
        symbol=symbol,
        ts=ts,
        closes_at=closes_at,
        day=spread([session.day.toordinal() for session in of]),
        open=opened,
        high=np.maximum(opened, close) + np.round(wide[0], 2),
        low=np.maximum(np.minimum(opened, close) - np.round(wide[1], 2), 0.01),
        close=close,
        volume=np.full(len(ts), 500_000.0),
        opens=opens_at,
        ends=ends,
    )


def strategy(
    scan: Condition = AT_ONCE,
    execution: Execution = HALF,
    *,
    name: str = "morning_rise",
    idea: str = "What rises in the morning goes on rising until noon.",
    short: Condition | None = None,
) -> Strategy:
    """Return a strategy of conditions."""
    plan = Plan(columns={}, scan=Scan(long=scan, short=short), execution=execution)
    return Strategy(
        name=name,
        version="1.0",
        idea=idea,
        source="folklore",
        timeframe=Timeframes.ANY,
        params=(Param(name="minutes", default=30, low=1, high=90),),
        build=lambda _: plan,
        shorts=short is not None,
    )


def run(
    bars: SessionBars | Mapping[str, SessionBars],
    of: Strategy | None = None,
    *,
    timeframe: Timeframe = Timeframe.MINUTES_15,
    terms: Terms | None = None,
    actions: Sequence[CorporateAction] = (),
    notes: tuple[str, ...] = (),
    adjusted: frozenset[str] = frozenset(),
) -> BacktestResult:
    """Return a run on the simulator."""
    played = of or strategy()
    return run_backtest(
        Request(
            strategy=played,
            values=played.values({}),
            bars={bars.symbol: bars} if isinstance(bars, SessionBars) else bars,
            timeframe=timeframe,
            terms=terms or Terms(),
            actions=actions,
            source="seeded",
            notes=notes,
            adjusted=adjusted,
        ),
        executor="simulator",
    )


def with_equity(result: BacktestResult, daily_usd: Sequence[float]) -> BacktestResult:
    """Return the result with another curve, the cash before the first day included.

    The instants of a day lie on a straight line between its ends.
    """
    daily = np.round(np.array(daily_usd) * UNITS_PER_USD).astype(np.int64)
    if len(daily) != len(result.daily_equity):
        raise ValueError(f"{len(daily)} points for {len(result.daily_equity)}")
    share = np.linspace(0, len(daily) - 1, len(result.played.instants) + 1)[1:]
    equity = np.interp(share, np.arange(len(daily)), daily).astype(np.int64)
    gross = np.zeros_like(equity)
    points = [value / UNITS_PER_USD for value in daily.tolist()]
    return replace(
        result,
        daily_equity=daily,
        liquidated=int(daily[-1]),
        figures=figures(points, result.trades, gross=[0.0] * len(points)),
        played=replace(result.played, equity=equity, gross=gross),
    )


def total(result: BacktestResult) -> Decimal:
    """Return the profit of all round trips, USD."""
    return sum((trip.pnl for trip in result.round_trips), Decimal(0))
