"""Runs that a report must not stumble over, by name, and evidence of every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

import numpy as np

from roboinvest.core.fills import FillRules
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.quant.conditions import above, at_least, at_most, every, once_a_session
from roboinvest.core.risk import RiskLimits
from roboinvest.core.statistics.intervals import intervals
from roboinvest.core.strategy import EquityShare, Execution, Percent, Reward
from tests.tools.backtester.report.builders import (
    AT_ONCE,
    FIRST,
    HALF,
    run,
    sessions,
    strategy,
    walked,
    with_equity,
)
from tools.backtester.contract import BacktestResult, Terms
from tools.backtester.leaks.findings import Detector, clean, not_applicable, suspected
from tools.backtester.report.evidence import CostRow, Evidence, FoldRow
from tools.backtester.report.measures.curves import daily_returns

HOLD: Final = Execution(size=EquityShare(0.9))
ON_THE_THIRD: Final = every(
    at_least("session", float(FIRST.toordinal() + 2)),
    at_most("session", float(FIRST.toordinal() + 2)),
)


@cache
def two_months() -> BacktestResult:
    """Return the plain case: a morning strategy on 15-minute bars of two months."""
    return run(walked(sessions()))


@cache
def no_trades() -> BacktestResult:
    return run(walked(sessions()), strategy(above("close", 1e6)))


@cache
def one_trade() -> BacktestResult:
    return run(walked(sessions()), strategy(once_a_session(ON_THE_THIRD)))


@cache
def one_day() -> BacktestResult:
    return run(walked(sessions(FIRST, FIRST)))


@cache
def one_bar() -> BacktestResult:
    bars = walked(sessions(FIRST, FIRST), Timeframe.DAY)
    return run(bars, strategy(above("close", 0.0), HOLD), timeframe=Timeframe.DAY)


@cache
def falls_to_almost_nothing() -> BacktestResult:
    result = two_months()
    curve = np.geomspace(100_000.0, 0.02, len(result.daily_equity)).tolist()
    return with_equity(result, curve)


@cache
def grows_a_thousandfold() -> BacktestResult:
    result = two_months()
    return with_equity(result, np.geomspace(1e5, 1e8, len(result.daily_equity)).tolist())


@cache
def flat_curve() -> BacktestResult:
    result = two_months()
    return with_equity(result, [100_000.0] * len(result.daily_equity))


@cache
def open_position() -> BacktestResult:
    return run(walked(sessions()), strategy(above("close", 0.0), HOLD))


@cache
def only_losing_trades() -> BacktestResult:
    rules = FillRules(slippage_bps=Decimal(300))
    execution = replace(HALF, target=Percent(0.01), stop=Percent(0.005))
    return run(walked(sessions()), strategy(execution=execution), terms=Terms(rules=rules))


@cache
def ambiguous_bars() -> BacktestResult:
    execution = replace(HALF, stop=Percent(0.001), target=Reward(1.0))
    return run(walked(sessions(), noise=0.004), strategy(execution=execution))


@cache
def both_sides() -> BacktestResult:
    falls = every(above("minutes_open", 29.0), above("open", "close"))
    return run(
        walked(sessions()),
        strategy(short=falls),
        terms=Terms(allow_short=True, cash=Decimal(5_000)),
    )


@cache
def two_symbols() -> BacktestResult:
    days = sessions()
    bars = {name: walked(days, symbol=name, seed=seed) for name, seed in (("IBM", 3), ("SPY", 4))}
    return run(bars)


@cache
def with_limits() -> BacktestResult:
    return run(walked(sessions()), terms=Terms(limits=RiskLimits(max_trades_per_day=1)))


@cache
def split_within() -> BacktestResult:
    """Return a run that holds over a split of two for one, on raw prices."""
    days = sessions()
    bars, ex_day = walked(days, Timeframe.DAY), days[20].day
    scale = np.where(bars.day >= ex_day.toordinal(), 0.5, 1.0)
    raw = replace(
        bars,
        open=np.round(bars.open * scale, 2),
        high=np.round(bars.high * scale, 2) + 0.01,
        low=np.round(bars.low * scale, 2) - 0.01,
        close=np.round(bars.close * scale, 2),
    )
    split = CorporateAction(symbol="SPY", kind=ActionKind.SPLIT, ex_date=ex_day, ratio=Decimal(2))
    holds = replace(HOLD, max_bars=30)
    scan = once_a_session(above("close", 0.0))
    return run(raw, strategy(scan, holds), timeframe=Timeframe.DAY, actions=(split,))


@cache
def many_years() -> BacktestResult:
    bars = walked(sessions(date(2005, 1, 3), date(2016, 12, 30)), Timeframe.DAY, noise=0.01)
    execution = Execution(size=EquityShare(0.9), stop=Percent(0.03), max_bars=5)
    return run(bars, strategy(above("close", "open"), execution), timeframe=Timeframe.DAY)


CASES: Final[Mapping[str, Callable[[], BacktestResult]]] = {
    case.__name__: case
    for case in (
        two_months,
        no_trades,
        one_trade,
        one_day,
        one_bar,
        falls_to_almost_nothing,
        grows_a_thousandfold,
        flat_curve,
        open_position,
        only_losing_trades,
        ambiguous_bars,
        both_sides,
        two_symbols,
        with_limits,
        split_within,
        many_years,
    )
}


@cache
def a_year_of_minutes() -> BacktestResult:
    """Return a year of minute bars with hundreds of trades."""
    days = sessions(date(2011, 1, 3), date(2011, 12, 30))
    execution = replace(HALF, stop=Percent(0.003), target=Reward(2.0))
    return run(
        walked(days, Timeframe.MINUTE, drift=4e-6, noise=0.0006),
        strategy(AT_ONCE, execution),
        timeframe=Timeframe.MINUTE,
        notes=("2 sessions of SPY were left out because bars were missing",),
    )


def full_evidence(result: BacktestResult) -> Evidence:
    """Return evidence of every kind, none of it flattering."""
    days = [date.fromordinal(int(day)) for day in result.days]
    profits = [float(trip.pnl) for trip in result.round_trips]
    return Evidence(
        leaks=(
            clean(Detector.PREFIX, "100 cuts, all alike"),
            suspected(Detector.FUTURE, "other bars after 10:00 change what it did at 9:45"),
            not_applicable(Detector.FEED, "it reads no news"),
        ),
        trials=37,
        probabilistic_sharpe=0.81,
        deflated_sharpe=0.12,
        minimum_track_record=900,
        permutation_p=0.31,
        permutations=999,
        intervals=intervals(
            daily_returns(result.daily_equity), profits, np.random.default_rng(7), samples=200
        ),
        folds=tuple(_fold(number) for number in range(3)),
        costs=(
            CostRow(label="no slippage", total_return=0.1, sharpe=1.5, trades=40, pnl=Decimal(9)),
            CostRow(label="10 bp slippage", total_return=None, sharpe=None, trades=0),
        ),
        contamination="the model that wrote it has read about these days",
        regimes={day: ("bull_calm", "range_stressed")[n % 2] for n, day in enumerate(days[:-1])},
    )


def _fold(number: int) -> FoldRow:
    return FoldRow(
        train_first=date(2011, 1, 3),
        train_last=date(2011, 2 + number, 25),
        test_first=date(2011, 3 + number, 1),
        test_last=date(2011, 3 + number, 25),
        values={"minutes": 30 + number},
        train_sharpe=2.0,
        test_sharpe=0.5 - number / 2,
        test_return=0.01,
        test_trades=12,
    )
