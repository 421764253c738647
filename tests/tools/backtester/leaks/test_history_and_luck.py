"""Warm-up, the scale of adjusted prices, and edges too good to be honest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.averages import ema
from roboinvest.core.quant.calculators.session import previous_close
from roboinvest.core.quant.conditions import Condition, above, below, crosses_above
from roboinvest.core.strategy import Calculator, Scan
from tests.leak_corpus.kit import Case, back, forth, on, play, strategy, walk, with_arrays
from tools.backtester.leaks.check import leak_check
from tools.backtester.leaks.detectors.data import faults_in_data
from tools.backtester.leaks.detectors.history import adjusted_prices, warm_up
from tools.backtester.leaks.detectors.luck import blind, lag
from tools.backtester.leaks.effort import QUICK
from tools.backtester.leaks.findings import Detector, Finding, Verdict
from tools.backtester.leaks.trial import Trial

SEED = 11


def chance() -> np.random.Generator:
    return np.random.default_rng(SEED)


def trial(case: Case) -> Trial:
    return Trial(request=case.request, play=play)


def column(
    compute: Callable[[SessionBars], Any],
    *,
    asked: int = 0,
    when: Condition | None = None,
    adjusted: bool = False,
    bars: SessionBars | None = None,
) -> Case:
    columns = {"mine": Calculator(name="mine", warm_up=asked, compute=compute)}
    made = strategy("mine", columns, Scan(long=when or above("mine", 0.0)))
    return on(bars or walk(), made, adjusted=frozenset({"AAA"}) if adjusted else frozenset())


def warmed(case: Case) -> Finding:
    tried = trial(case)
    return warm_up(tried, tried.wishes(tried.tape), QUICK, chance())


def slow(bars: SessionBars) -> Any:
    return bars.close - ema(60).compute(bars)


def since_the_first_bar(bars: SessionBars) -> Any:
    return bars.close - np.cumsum(bars.close) / np.arange(1, len(bars) + 1)


def signed_volume(bars: SessionBars) -> Any:
    return np.cumsum(np.nan_to_num(np.sign(bars.close - back(bars.close))) * bars.volume)


def test_too_short_a_warm_up_is_told() -> None:
    found = warmed(column(slow, asked=60))
    assert found.verdict is Verdict.SUSPECTED
    assert "60 rows of warm-up that it declares are too few" in found.text
    assert found.row is not None


def test_warm_up_that_suffices_is_clean() -> None:
    assert warmed(column(slow, asked=400)).verdict is not Verdict.SUSPECTED
    assert warmed(column(slow, asked=250)).verdict is Verdict.CLEAN


def test_a_mean_since_the_first_bar_depends_on_where_the_tape_begins() -> None:
    assert warmed(column(since_the_first_bar)).verdict is Verdict.SUSPECTED


def test_a_sum_that_differs_by_a_constant_hurts_nobody() -> None:
    def rises(bars: SessionBars) -> Any:
        return signed_volume(bars)

    columns = {
        "volume_sum": Calculator(name="volume_sum", warm_up=0, compute=rises),
        "before": Calculator(name="before", warm_up=1, compute=lambda bars: back(rises(bars))),
    }
    made = strategy("sum", columns, Scan(long=crosses_above("volume_sum", "before")))
    assert warmed(on(walk(), made)).verdict is Verdict.CLEAN


def test_what_has_no_value_yet_is_no_fault_of_the_warm_up() -> None:
    def since_yesterday(bars: SessionBars) -> Any:
        return bars.close - previous_close().compute(bars)

    assert warmed(column(since_yesterday)).verdict is Verdict.CLEAN


def test_a_tape_too_short_for_three_warm_ups_says_so() -> None:
    found = warmed(column(slow, asked=400, bars=walk(sessions=5)))
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert "three times 400 rows" in found.text


def scaled(case: Case) -> Finding:
    tried = trial(case)
    return adjusted_prices(tried, tried.wishes(tried.tape))


def test_a_price_level_is_no_decision_on_adjusted_prices() -> None:
    case = column(lambda bars: 100.0 - bars.close, adjusted=True)
    found = scaled(case)
    assert found.verdict is Verdict.SUSPECTED
    assert "later split" in found.text


def test_relations_between_prices_may_decide_on_adjusted_prices() -> None:
    assert scaled(column(slow, asked=60, adjusted=True)).verdict is Verdict.CLEAN
    money = column(lambda bars: bars.close * bars.volume - 5e6, adjusted=True)
    assert scaled(money).verdict is Verdict.CLEAN  # money traded is the same after a split


def test_a_number_of_shares_is_a_level_too() -> None:
    case = column(lambda bars: bars.volume - 60_000.0, adjusted=True)
    assert scaled(case).verdict is Verdict.SUSPECTED


def bouncing(seed: int) -> SessionBars:
    """A market in which a third of every move comes back: fast reversion earns in its first bar."""
    bars = walk(seed, sessions=30)
    moves = np.random.default_rng(seed).normal(0.0, 1e-3, len(bars))
    for row in range(1, len(moves)):
        moves[row] -= 0.35 * moves[row - 1]
    close = np.round(100.0 * np.exp(np.cumsum(moves)), 2)
    opened = np.concatenate(([100.0], close[:-1]))
    return with_arrays(
        bars,
        open=opened,
        close=close,
        high=np.maximum(opened, close) + 0.01,
        low=np.minimum(opened, close) - 0.01,
    )


def lagged(case: Case) -> Finding:
    tried = trial(case)
    return lag(tried, tried.wishes(tried.tape), chance())


@pytest.mark.parametrize("seed", range(5))
def test_fast_reversion_in_a_bouncing_market_is_not_accused(seed: int) -> None:
    def dip(bars: SessionBars) -> Any:
        return -np.log(bars.close / back(bars.close)) - 1e-3

    found = lagged(column(dip, asked=1, bars=bouncing(seed)))
    assert found.verdict is Verdict.CLEAN, found.text


def test_certainty_that_one_bar_destroys_is_accused() -> None:
    found = lagged(column(lambda bars: forth(bars.close) - bars.close))
    assert found.verdict is Verdict.SUSPECTED
    assert "one bar later" in found.text


def test_few_entries_are_not_judged() -> None:
    found = lagged(column(lambda bars: 1.0 * (np.arange(len(bars)) == 50)))
    assert found.verdict is Verdict.NOT_APPLICABLE


def blinded(case: Case) -> Finding:
    tried = trial(case)
    known = tried.wishes(tried.tape)
    return blind(tried, known, play(case.request), chance())


def at_minutes(*minutes: float) -> Case:
    return column(
        lambda bars: np.isin((bars.closes_at - bars.opens) / 60e9, minutes) * 1.0,
        bars=walk(4, sessions=40),
    )


def test_the_same_minute_of_every_day_is_no_foreknowledge() -> None:
    assert blinded(at_minutes(30.0)).verdict is Verdict.CLEAN
    assert blinded(at_minutes(30.0, 200.0)).verdict is Verdict.CLEAN


def test_the_right_days_at_the_same_minute_are_foreknowledge() -> None:
    bars = walk(4, sessions=40)
    at = np.flatnonzero((bars.closes_at - bars.opens) == 30 * 60_000_000_000)
    good = frozenset(bars.day[at[bars.open[at + 7] > bars.open[at + 1]]].tolist())

    def on_good_days(each: SessionBars) -> Any:
        early = (each.closes_at - each.opens) == 30 * 60_000_000_000
        return np.array([float(day in good) for day in each.day.tolist()]) * early

    found = blinded(column(on_good_days, bars=bars))
    assert found.verdict is Verdict.SUSPECTED, found.text
    assert "do not depend on prices" in found.text


def test_entries_that_change_with_prices_are_not_blind() -> None:
    found = blinded(column(lambda bars: bars.close - back(bars.close)))
    assert "change with the prices" in found.text


def test_unordered_bars_are_told_and_nothing_else_is_asked() -> None:
    bars = walk(sessions=3)
    rows = np.arange(len(bars))
    rows[[10, 11]] = rows[[11, 10]]
    case = column(slow, when=below("mine", 0.0), bars=bars.rows(rows))  # type: ignore[arg-type]
    report = leak_check(case.request, play=play, rng=chance())
    assert report.caught_by == (Detector.DATA,)
    assert "out of order" in report.suspected[0].text
    assert report.runs == 0


def test_bars_of_another_length_than_said_are_told() -> None:
    bars = walk(sessions=3)
    case = on(
        with_arrays(bars, closes_at=bars.closes_at - 60_000_000_000),
        strategy("mine", {}, Scan(long=above("close", "open"))),
    )
    (found,) = faults_in_data(trial(case), None)
    assert found.verdict is Verdict.SUSPECTED
    assert "before the 2024-01-08 14:35 UTC that it holds" in found.text


def test_holes_in_the_bars_are_no_fault() -> None:
    bars = walk(sessions=6)
    keep = np.random.default_rng(SEED).random(len(bars)) < 0.3
    case = on(bars.rows(keep), strategy("mine", {}, Scan(long=above("close", "open"))))  # type: ignore[arg-type]
    (found,) = faults_in_data(trial(case), None)
    assert found.verdict is Verdict.CLEAN, found.text


def test_a_symbol_that_trades_seldom_does_not_look_resampled() -> None:
    bars = walk(sessions=6)
    places = np.cumsum(np.random.default_rng(SEED).integers(2, 5, len(bars)))
    sparse = bars.rows(places[places < len(bars)])  # type: ignore[arg-type]
    case = on(sparse, strategy("mine", {}, Scan(long=above("close", "open"))))
    (found,) = faults_in_data(trial(case), None)
    assert found.verdict is Verdict.CLEAN, found.text
