"""What a reader is told before the figures, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from roboinvest.core.market.grid import from_units
from roboinvest.core.market.sessions import Session
from tests.tools.backtester.report.builders import run, sessions, total, walked
from tests.tools.backtester.report.cases import (
    ambiguous_bars,
    full_evidence,
    many_years,
    no_trades,
    one_trade,
    open_position,
    two_months,
    with_limits,
)
from tools.backtester.contract import BacktestResult
from tools.backtester.leaks.findings import Detector, clean, suspected
from tools.backtester.report.evidence import Evidence, FoldRow
from tools.backtester.report.notices import Notice, Weight, notices_of

CHECKED = Evidence(leaks=(clean(Detector.PREFIX, "all alike"),))


def told(result: BacktestResult, evidence: Evidence = CHECKED) -> dict[str, Notice]:
    """Return the notices by name."""
    return {notice.name: notice for notice in notices_of(result, evidence)}


def test_a_suspected_leak_comes_first_and_makes_the_figures_invalid() -> None:
    leaks = (clean(Detector.LAG, "fine"), suspected(Detector.PREFIX, "bar 7 knows bar 8"))
    first = notices_of(two_months(), replace(CHECKED, leaks=leaks, deflated_sharpe=0.1))[0]
    assert first.weight is Weight.INVALID
    assert "the prefix check: Bar 7 knows bar 8. Believe no figure" in first.text


def test_a_strategy_that_nobody_checked_for_leaks_is_said_to_be_unchecked() -> None:
    assert "unchecked" in told(two_months(), Evidence())
    assert "unchecked" not in told(two_months())


@pytest.mark.parametrize(("chance", "warned"), [(0.12, True), (0.9499, True), (0.96, False)])
def test_a_deflated_sharpe_ratio_below_95_percent_is_overfit(chance: float, warned: bool) -> None:
    notices = told(two_months(), replace(CHECKED, deflated_sharpe=chance, trials=37))
    assert ("overfit" in notices) is warned
    assert "trials" not in notices
    if chance == 0.12:
        assert "the best of 37 trials" in notices["overfit"].text
        assert "12 %" in notices["overfit"].text


def test_a_single_trial_cannot_be_overfit_and_may_prove_nothing() -> None:
    notices = told(two_months(), replace(CHECKED, deflated_sharpe=0.6, trials=1))
    assert "overfit" not in notices
    assert notices["no_evidence"].text.startswith("The true Sharpe ratio is above 0 with a chance")


def test_figures_without_a_count_of_trials_say_so() -> None:
    assert told(two_months())["trials"].weight is Weight.NOTE


@pytest.mark.parametrize(("tested", "warned"), [(-0.5, True), (0.9, True), (1.1, False)])
def test_a_walk_forward_that_keeps_less_than_half_is_overfit(tested: float, warned: bool) -> None:
    day = date(2011, 1, 3)
    fold = FoldRow(
        train_first=day,
        train_last=day,
        test_first=day,
        test_last=day,
        values={},
        train_sharpe=2.0,
        test_sharpe=tested,
        test_return=None,
        test_trades=3,
    )
    assert ("walk_forward" in told(two_months(), replace(CHECKED, folds=(fold,)))) is warned


@pytest.mark.parametrize(("p", "warned"), [(0.051, True), (0.05, False)])
def test_entries_that_chance_could_have_made_are_named(p: float, warned: bool) -> None:
    assert ("chance" in told(two_months(), replace(CHECKED, permutation_p=p))) is warned


def test_few_trades_and_few_days_are_too_few_to_judge() -> None:
    assert {"few_trades", "few_days"} <= set(told(one_trade()))
    assert told(one_trade())["few_trades"].text.startswith("1 finished trade, and")
    assert not {"few_trades", "few_days"} & set(told(many_years()))


def test_a_track_record_that_is_too_short_says_how_long_it_must_be() -> None:
    short = told(two_months(), replace(CHECKED, minimum_track_record=900))["track_record"]
    assert "900 daily returns are needed" in short.text
    assert f"there are {len(two_months().days)}" in short.text
    assert "track_record" not in told(two_months(), replace(CHECKED, minimum_track_record=3))


def test_ambiguous_bars_come_with_the_worst_and_the_kindest_outcome() -> None:
    result = ambiguous_bars()
    text = told(result)["ambiguous"].text
    kindest = sum((trip.kindest_pnl for trip in result.round_trips), Decimal(0))
    assert f"{result.played.ambiguous} bars" in text
    assert f"{total(result):+,.2f} USD" in text
    assert f"{kindest:+,.2f} USD" in text
    assert kindest > total(result)
    assert "ambiguous" not in told(one_trade())


def test_a_strategy_without_a_stop_cannot_be_traded() -> None:
    assert "tested and not traded" in told(open_position())["no_stop"].text
    assert "no_stop" not in told(two_months())


def test_limits_that_were_not_applied_are_named() -> None:
    assert "no_limits" in told(two_months())
    assert "no_limits" not in told(with_limits())


def test_adjusted_prices_are_named_with_their_symbols() -> None:
    result = run(walked(sessions()), adjusted=frozenset({"SPY"}))
    assert told(result)["adjusted"].text.startswith("Prices of SPY are adjusted")


def test_an_open_position_is_marked_and_liquidated() -> None:
    result = open_position()
    text = told(result)["open"].text
    assert "SPY (1 entry)" in text
    assert f"{from_units(int(result.daily_equity[-1])):,.2f} USD at the last marks" in text
    assert f"{from_units(result.liquidated):,.2f} USD had they been sold" in text
    assert result.liquidated < result.daily_equity[-1]


def test_a_run_without_a_trade_says_why() -> None:
    assert "never wanted to enter" in told(no_trades())["no_signal"].text
    result = no_trades()
    refused = replace(
        result, played=replace(result.played, signals=4, refused={"short": 3}, unaffordable=1)
    )
    assert told(refused)["no_trade"].text == (
        "4 bars wanted an entry and none was filled: short refused 3 and cash fell short at 1."
    )


def test_contamination_and_notes_of_the_bars_are_passed_on_as_sentences() -> None:
    result = run(walked(sessions()), notes=("two days are missing", "two days are missing"))
    notices = notices_of(result, full_evidence(result))
    assert [n.text for n in notices if n.name == "data"] == ["Two days are missing."]
    warned = next(n for n in notices if n.name == "contamination")
    assert warned.weight is Weight.WARNING


@pytest.mark.parametrize(("months", "said"), [(1, "1 time more"), (2, "2 times more")])
def test_days_without_bars_are_named(months: int, said: str) -> None:
    days = [
        *sessions(date(2011, 1, 3), date(2011, 1, 14)),
        *(day for month in range(3, 6 + months) for day in sessions_from(month)),
    ]
    text = told(run(walked(days)))["gap"].text
    assert text.startswith("There are no bars between 14 Jan 2011 and 1 Mar 2011, between 2 Mar")
    assert said in text
    assert "gap" not in told(many_years())


def sessions_from(month: int) -> Sequence[Session]:
    """Return two sessions at the start of a month of 2011."""
    return sessions(date(2011, month, 1), date(2011, month, 4))[:2]


def test_the_most_serious_comes_first() -> None:
    result = open_position()
    weights = [list(Weight).index(n.weight) for n in notices_of(result, full_evidence(result))]
    assert weights == sorted(weights)
    assert len(set(weights)) == 3
