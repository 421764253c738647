"""What is known of a run beyond itself: chance, trials, costs and regimes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest

from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.conditions import above
from roboinvest.core.risk import RiskLimits
from roboinvest.core.statistics.sharpe import annual
from roboinvest.core.strategy import EquityShare, Execution
from tests.tools.backtester.asked import ALWAYS, SPLIT, bankrupt, holding, pair
from tests.tools.backtester.report.builders import SEED, run, sessions, strategy, walked
from tests.tools.backtester.report.cases import (
    many_years,
    no_trades,
    open_position,
    two_months,
    two_symbols,
    with_limits,
)
from tools.backtester.contract import BacktestResult, Terms
from tools.backtester.judge import (
    DRAWS,
    FEW_DRAWS,
    against_chance,
    daily_returns,
    evidence_of,
    exposure_by_chance,
)
from tools.backtester.regimes import WARM_UP, regimes_of
from tools.backtester.report.evidence import CostRow, Evidence
from tools.backtester.run_book.values import Standing
from tools.strategies.shelf import find

pytestmark = pytest.mark.timeout(300)  # the first to play compiles the kernel
MARKED = 600_000.0  # shares: more than an ordinary bar has
FOUR_BARS = Execution(size=EquityShare(0.5), max_bars=4)
YEAR = sessions(date(2011, 1, 3), date(2011, 12, 30))


def alone(trials: int = 1, variance: float | None = None) -> Standing:
    return Standing(lineage=1, trials=trials, sharpe_variance=variance, words=())


def judged(result: BacktestResult, seed: int = 1, standing: Standing | None = None) -> Evidence:
    return evidence_of(result, standing or alone(), rng=np.random.default_rng(seed))


def p_values(result: BacktestResult, seed: int = 1) -> tuple[float | None, float | None]:
    """Return the share of random entries, and of random positions, that did as well."""
    rng = np.random.default_rng(seed)
    return against_chance(result, rng)[0], exposure_by_chance(result, rng)[0]


def marked(rise: float, seed: int = SEED) -> SessionBars:
    """Return bars some of which have a great volume, after which prices rise over four bars."""
    print(f"seed {seed}")
    days, rng = sessions(), np.random.default_rng(seed)
    bars = walked(days, seed=seed)
    n, volume, drift = len(bars), bars.volume.copy(), np.zeros(len(bars))
    for day in np.unique(bars.day):
        rows = np.flatnonzero(bars.day == day)
        for row in rng.choice(rows[2:8], 1).tolist() + rng.choice(rows[12:18], 1).tolist():
            volume[row] = 2 * MARKED
            drift[row + 1 : row + 5] += rise / 4
    after = np.exp(np.cumsum(drift))
    before = np.concatenate(([1.0], after[: n - 1]))
    columns: dict[str, Any] = {
        name: np.round(getattr(bars, name) * scale, 2)
        for name, scale in (("open", before), ("high", after), ("low", before), ("close", after))
    }
    return replace(bars, volume=volume, **columns)


@cache
def after_marks(rise: float, seed: int = SEED) -> BacktestResult:
    """Return a run that buys after each mark and sells four bars later."""
    return run(marked(rise, seed), strategy(above("volume", MARKED), FOUR_BARS))


def by_coin(seed: int) -> BacktestResult:
    """Return a run of the library's coin on a year of days."""
    coin = find("random_entry")
    drawn = replace(coin, params=tuple(_with(param, seed) for param in coin.params))
    return run(walked(YEAR, Timeframe.DAY, seed=100 + seed), drawn, timeframe=Timeframe.DAY)


def _with(param: Any, seed: int) -> Any:
    chosen = {"seed": seed, "chance": 0.1, "max_bars": 5}
    return replace(param, default=chosen.get(param.name, param.default))


def test_equal_seeds_judge_alike_and_others_otherwise() -> None:
    one, two, other = (judged(two_months(), seed) for seed in (3, 3, 4))
    assert one == two
    assert one.intervals != other.intervals


def test_all_that_is_known_of_a_run_that_trades_is_told() -> None:
    found = judged(two_months(), standing=alone(5))
    assert found.trials == 5
    assert len(found.leaks) > 10
    for figure in (found.permutation_p, found.exposure_p, found.probabilistic_sharpe):
        assert figure is not None
        assert 0 <= figure <= 1
    assert (found.permutations, found.exposures) == (DRAWS, DRAWS)
    assert found.intervals is not None
    assert found.folds == ()


def test_without_a_trade_there_is_nothing_to_hold_against_chance() -> None:
    result = no_trades()
    assert p_values(result) == (None, None)
    found = judged(result)
    assert (found.permutation_p, found.permutations) == (None, None)
    assert (found.exposure_p, found.exposures) == (None, None)
    assert found.costs == ()
    assert found.leaks


@pytest.mark.parametrize("timeframe", [Timeframe.DAY, Timeframe.MINUTES_15])
@pytest.mark.parametrize("kept", [True, False], ids=["held", "bought anew"])
def test_who_is_always_in_the_market_chose_no_moment(timeframe: Timeframe, *, kept: bool) -> None:
    how = holding(0.9) if kept else replace(holding(0.9), max_bars=3)
    result = run(walked(sessions(), timeframe), strategy(ALWAYS, how), timeframe=timeframe)
    assert exposure_by_chance(result, np.random.default_rng(1)) == (None, None)


def test_what_is_held_over_night_and_what_is_not_are_set_beside_their_like() -> None:
    bars = walked(sessions())
    scan = above("minutes_open", 330.0)
    overnight = run(bars, strategy(scan, FOUR_BARS))
    assert any(
        bars.day[trip.entry_row] != bars.day[trip.exit_row] for trip in overnight.round_trips
    )
    assert exposure_by_chance(overnight, np.random.default_rng(1))[1] == DRAWS
    within = run(bars, strategy(scan, replace(FOUR_BARS, flat_before_close_min=15.0)))
    assert exposure_by_chance(within, np.random.default_rng(1))[1] == DRAWS
    assert against_chance(overnight, np.random.default_rng(1))[1] == DRAWS


def test_what_the_kernel_cannot_play_is_drawn_less_often() -> None:
    dear = Terms(cash=Decimal("100000.00001"))
    result = run(walked(sessions()), terms=dear)
    rng = np.random.default_rng(1)
    assert against_chance(result, rng)[1] == FEW_DRAWS
    assert exposure_by_chance(result, rng)[1] == FEW_DRAWS


def test_limits_and_calls_do_not_slow_what_draws_do_without() -> None:
    called = replace(FOUR_BARS, exit=lambda moment, held: held.bars > 2, flat_before_close_min=15.0)
    result = run(walked(sessions()), strategy(above("minutes_open", 200.0), called))
    assert against_chance(result, np.random.default_rng(1))[1] == FEW_DRAWS
    assert exposure_by_chance(result, np.random.default_rng(1))[1] == DRAWS
    assert exposure_by_chance(with_limits(), np.random.default_rng(1))[1] == DRAWS


def test_who_buys_before_planted_rises_beats_both_chances() -> None:
    entries, exposure = p_values(after_marks(0.006))
    assert entries is not None
    assert exposure is not None
    assert entries < 0.05
    assert exposure < 0.05


def test_who_buys_at_marks_that_mean_nothing_is_as_good_as_chance() -> None:
    found = np.array([p_values(after_marks(0.0, seed)) for seed in range(SEED, SEED + 12)], float)
    print(found)
    assert (found.mean(axis=0) > 0.25).all()
    assert (found.mean(axis=0) < 0.75).all()
    assert ((found < 0.05).sum(axis=0) <= 3).all()


def test_one_lucky_entry_is_no_edge() -> None:
    """A rise on one day made all the profit: random entries of that day share it."""
    bars = walked(sessions())
    lucky = bars.day == sessions()[7].day.toordinal()
    rows = np.flatnonzero(lucky)
    rise = np.where(np.arange(len(bars)) >= rows[4], 1.0, 0.0) + np.zeros(len(bars))
    ramp = np.clip((np.arange(len(bars)) - rows[4]) / (len(rows) - 5), 0.0, 1.0) * rise
    scale = 1.0 + 0.08 * ramp
    columns: dict[str, Any] = {
        name: np.round(getattr(bars, name) * scale, 2) for name in ("open", "high", "low", "close")
    }
    result = run(replace(bars, **columns))
    lucky_profit = sum(float(trip.pnl) for trip in result.round_trips if lucky[trip.entry_row])
    assert lucky_profit > 0
    entries, exposure = p_values(result)
    assert entries is not None
    assert exposure is not None
    assert entries > 0.05
    assert exposure > 0.05


def test_the_coin_of_the_library_is_anywhere_among_chances() -> None:
    found = np.array([p_values(by_coin(seed)) for seed in range(24)], dtype=float)
    print(found)
    for column in found.T:
        ranked = np.sort(column)
        steps = np.arange(1, len(ranked) + 1) / len(ranked)
        apart = max(np.max(steps - ranked), np.max(ranked - steps + 1 / len(ranked)))
        assert apart < 0.32  # Kolmogorov and Smirnov, 24 values, a level of 1 %
        assert ranked[0] < 0.25
        assert ranked[-1] > 0.75


def test_a_sharpe_ratio_is_worth_less_the_more_were_tried() -> None:
    result = after_marks(0.002)
    tried = [judged(result, standing=alone(trials)).deflated_sharpe for trials in (1, 2, 10, 1000)]
    values = [value for value in tried if value is not None]
    assert len(values) == 4
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert values[0] == judged(result).probabilistic_sharpe


def test_trials_that_differ_more_take_more_and_less_than_luck_is_luck() -> None:
    result = after_marks(0.002)
    days = len(result.days)
    found = [
        judged(result, standing=alone(10, variance)).deflated_sharpe
        for variance in (4.0 / days, None, 0.0, 1e-9)
    ]
    wide, unknown, none, little = (value for value in found if value is not None)
    assert wide < unknown
    assert none == little  # a few trials alike prove no skill
    assert none == pytest.approx(unknown, abs=0.02)


def test_an_account_that_lost_all_has_no_returns() -> None:
    result = bankrupt()
    assert result.daily_equity.min() < 0
    assert daily_returns(result).tolist() == []
    found = judged(result)
    assert found.intervals is None
    assert (found.probabilistic_sharpe, found.deflated_sharpe) == (None, None)
    assert found.minimum_track_record is None
    assert len(found.costs) == 4


def test_returns_are_those_of_the_daily_curve() -> None:
    result = two_months()
    equity = result.daily_equity
    assert daily_returns(result).tolist() == pytest.approx(equity[1:] / equity[:-1] - 1.0)
    lost, regained = equity.copy(), equity.copy()
    lost[-1] = regained[5] = 0
    assert daily_returns(replace(result, daily_equity=lost))[-1] == -1.0  # known, and the last
    assert len(daily_returns(replace(result, daily_equity=regained))) == 0


def test_costs_are_told_from_none_to_thrice_and_take_more_each_time() -> None:
    for result in (two_months(), many_years(), two_symbols(), with_limits()):
        rows = judged(result).costs
        assert [row.label for row in rows] == [
            "no costs",
            "1x costs, 5 bp slippage",
            "2x costs, 10 bp slippage",
            "3x costs, 15 bp slippage",
        ]
        earned = [float(row.pnl) for row in rows if row.pnl is not None]
        returns = [row.total_return for row in rows if row.total_return is not None]
        assert len(earned) == len(returns) == 4
        assert earned == sorted(earned, reverse=True)
        assert returns == sorted(returns, reverse=True)
        assert len(set(earned)) == 4


def test_the_costs_once_are_the_run_itself() -> None:
    result = two_months()
    once = judged(result).costs[1]
    assert once.trades == result.figures.trades
    assert once.total_return == pytest.approx(result.figures.total_return)
    assert once.pnl == Decimal(int(result.daily_equity[-1])) / 10_000 - result.request.terms.cash
    assert once.sharpe == pytest.approx(result.figures.sharpe)
    assert annual(1.0) == pytest.approx(252**0.5)


def test_multiples_that_would_take_the_whole_price_are_left_out() -> None:
    steep = Terms(rules=FillRules(slippage_bps=Decimal(3400)))
    rows: tuple[CostRow, ...] = judged(run(walked(sessions()), terms=steep)).costs
    assert [row.label for row in rows] == [
        "no costs",
        "1x costs, 3400 bp slippage",
        "2x costs, 6800 bp slippage",
    ]


def test_where_trading_is_free_more_of_it_costs_the_same() -> None:
    rows = judged(run(walked(sessions()), terms=Terms(rules=FRICTIONLESS))).costs
    assert len({row.pnl for row in rows}) == 1


def test_regimes_are_those_of_the_first_symbol() -> None:
    long = sessions(date(2011, 1, 3), date(2011, 9, 30))
    up = walked(long, Timeframe.DAY, seed=1, drift=0.006, noise=0.004)
    down = walked(long, Timeframe.DAY, seed=2, drift=-0.006, noise=0.004)
    names = {
        first: judged(
            run(pair(**bars), strategy(ALWAYS, holding(0.4)), timeframe=Timeframe.DAY)
        ).regimes
        for first, bars in (("up", {"BBB": down, "AAA": up}), ("down", {"AAA": down, "BBB": up}))
    }
    assert names["up"] == regimes_of(up)
    assert names["down"] == regimes_of(down)
    assert names["up"] != names["down"]
    assert len(names["up"]) == len(long) - WARM_UP


def test_regimes_of_raw_prices_know_of_their_splits() -> None:
    whole = walked(YEAR, Timeframe.DAY, drift=0.002)
    ex_date = YEAR[120].day
    before = np.where(whole.day < ex_date.toordinal(), 2.0, 1.0)
    columns: dict[str, Any] = {
        name: getattr(whole, name) * before for name in ("open", "high", "low", "close")
    }
    split = replace(SPLIT, ex_date=ex_date)
    held = strategy(ALWAYS, holding(0.4))
    raw = replace(whole, **columns)
    told, untold = (run(raw, held, timeframe=Timeframe.DAY, actions=a) for a in ((split,), ()))
    assert judged(told).regimes == regimes_of(whole)
    assert judged(untold).regimes != regimes_of(whole)


def test_an_open_position_is_judged_as_well() -> None:
    found = judged(open_position())
    assert found.permutation_p is not None
    assert found.exposure_p is None
    assert len(found.costs) == 4


def test_limits_take_part_in_what_entries_are_held_against() -> None:
    bound = Terms(limits=RiskLimits(max_trades_per_day=1))
    result = run(walked(sessions()), terms=bound)
    found, draws = against_chance(result, np.random.default_rng(2))
    assert draws == DRAWS
    assert found != against_chance(two_months(), np.random.default_rng(2))[0]
