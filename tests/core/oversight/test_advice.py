"""Advice rests on figures, is judged by a figure, and is called helpful only beyond chance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from numpy.random import default_rng

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.advice import Advice, AdviceState, AdviceVerdict, Aim, verdict_of
from roboinvest.core.oversight.advisor import MOST_A_REVIEW, advise
from roboinvest.core.oversight.analysis import (
    WEEK,
    Analysis,
    UnitCost,
    regressions_of,
    unit_cost,
    views_of,
)
from roboinvest.core.oversight.spans import Bottleneck, PlaceSummary, SpanKind
from roboinvest.core.oversight.trade_groups import TradeGroup
from roboinvest.core.oversight.trends import difference
from roboinvest.core.performance import wilson_interval
from roboinvest.core.statistics.intervals import Interval
from tests.fakes.advice import HOUR, NOON, advice, hours

SEED = 3
NO_COST = UnitCost(usd=None, of=0.0, reason="none")
Rows = Sequence[tuple[datetime, float, int]]


def analysis(figures: Mapping[str, Rows] | None = None, **fields: Any) -> Analysis:
    views = views_of(figures or {}, NOON)
    values: dict[str, Any] = {
        "at": NOON,
        "metrics": views,
        "regressions": regressions_of(views),
        "bottlenecks": (),
        "bottlenecks_reason": "none",
        "places": (),
        "per_decision": NO_COST,
        "per_insight": NO_COST,
        "by_agent": None,
        "by_regime": None,
        "by_hour": None,
        "trades_reason": "none",
    }
    return Analysis(**{**values, **fields})


def advised(found: Analysis, rests: frozenset[tuple[str, str]] = frozenset()) -> tuple[Advice, ...]:
    names = itertools.count()
    return advise(found, rests=rests, new_id=lambda: f"r{next(names)}")


def two_weeks(before: float, after: float, *, spread: float = 0.05) -> Rows:
    """Return the same day of two weeks, an hour a row, with noise from a seed."""
    rng = default_rng(SEED)
    old = hours(list(before * (1 + spread * rng.standard_normal(24))), end=NOON - WEEK)
    return (*old, *hours(list(after * (1 + spread * rng.standard_normal(24))), end=NOON))


def test_a_figure_that_got_worse_than_last_week_is_a_regression() -> None:
    found = analysis({hourly.LATENCY: two_weeks(1.0, 1.5), hourly.SUCCESS: two_weeks(0.9, 0.9)})
    assert found.regressions == (hourly.LATENCY,)
    (only,) = advised(found)
    assert (only.rule, only.metric, only.aim) == ("regression", hourly.LATENCY, Aim.LOWER)
    assert only.expected == pytest.approx(-0.5, abs=0.1)
    assert "last week" in only.evidence


@pytest.mark.parametrize("after", [1.0, 1.05, 0.5])
def test_what_is_like_last_week_or_better_is_none(after: float) -> None:
    assert analysis({hourly.LATENCY: two_weeks(1.0, after)}).regressions == ()


def test_a_difference_that_chance_explains_is_no_regression() -> None:
    print(f"seed {SEED}")
    rows = two_weeks(1.0, 1.3, spread=3.0)
    (view,) = views_of({hourly.LATENCY: rows}, NOON)
    found = view.against_last_week
    assert found.change is not None
    assert found.before is not None
    assert found.change > 0.15 * found.before  # plainly larger, and not beyond chance
    assert not found.is_seen
    assert regressions_of([view]) == ()


def test_a_share_that_falls_is_a_regression_and_one_that_rises_is_not() -> None:
    assert analysis({hourly.SUCCESS: two_weeks(0.9, 0.6)}).regressions == (hourly.SUCCESS,)
    assert analysis({hourly.SUCCESS: two_weeks(0.6, 0.9)}).regressions == ()


def test_hours_of_another_time_of_day_are_not_compared() -> None:
    old = hours([1.0] * 10, end=NOON - WEEK - 12 * HOUR)  # the night before
    found = analysis({hourly.LATENCY: (*old, *hours([9.0] * 10, end=NOON))})
    assert found.regressions == ()
    assert found.metrics[0].against_last_week.reason.startswith("too few: 0 points")


def test_old_rows_have_no_view_and_neutral_figures_have_none_either() -> None:
    old = hours([1.0] * 24, end=NOON - timedelta(days=5))
    assert views_of({hourly.LATENCY: old, hourly.FILLS: hours([1.0] * 24, end=NOON)}, NOON) == ()


def test_a_price_is_of_hours_in_which_both_sides_are_known() -> None:
    cost, units = hours([1.0, 2.0, 4.0], end=NOON), hours([10.0, 10.0], end=NOON)
    found = unit_cost(cost, units, "decisions", since=NOON - 24 * HOUR)
    assert (found.usd, found.of) == (0.3, 20.0)
    nothing = unit_cost(cost, (), "insights", since=NOON - 24 * HOUR)
    assert nothing.usd is None
    assert "insights" in nothing.reason
    none_made = unit_cost(cost, hours([0.0], end=NOON), "insights", since=NOON - 24 * HOUR)
    assert (none_made.usd, none_made.reason) == (None, "there were no insights")


def place(kind: SpanKind = SpanKind.MODEL, count: float = 100.0) -> PlaceSummary:
    return PlaceSummary(
        service="trading",
        name="strategy",
        kind=kind,
        count=count,
        seconds=200.0,
        mean_s=2.0,
        p50_s=1.8,
        p95_s=4.0,
    )


@pytest.mark.parametrize("kind", SpanKind)
def test_a_bottleneck_gets_a_remedy_for_its_kind_and_a_figure_to_be_judged_by(
    kind: SpanKind,
) -> None:
    metric = hourly.of(hourly.SPAN_MEAN, "trading", kind)
    seen = analysis(
        {metric: hours([2.0] * 3, end=NOON)},
        bottlenecks=(Bottleneck(place=place(kind), share=0.6),),
    )
    (only,) = advised(seen)
    assert (only.rule, only.metric) == ("bottleneck", metric)
    assert only.expected == pytest.approx(-0.5)
    assert "60%" in only.evidence


def test_no_bottleneck_is_named_below_its_share_or_without_a_figure() -> None:
    metric = hourly.of(hourly.SPAN_MEAN, "trading", "model")
    rows = {metric: hours([2.0] * 3, end=NOON)}
    assert not advised(analysis(rows, bottlenecks=(Bottleneck(place=place(), share=0.39),)))
    assert not advised(analysis({}, bottlenecks=(Bottleneck(place=place(), share=0.9),)))


def test_one_slow_morning_is_no_bottleneck() -> None:
    metric = hourly.of(hourly.SPAN_MEAN, "trading", "model")
    rows = {metric: hours([2.0] * 3, end=NOON)}
    few = Bottleneck(place=place(count=29.0), share=0.9)
    assert not advised(analysis(rows, bottlenecks=(few,)))


def losing(trades: int, low: float, high: float) -> TradeGroup:
    mean = (low + high) / 2
    return TradeGroup(
        name="house",
        trades=trades,
        pnl_usd=mean * trades,
        win_rate=wilson_interval(3, trades),
        expectancy=Interval(value=mean, low=low, high=high, level=0.95, samples=100, block=1.0),
        reason="",
    )


def test_an_agent_that_loses_beyond_chance_is_to_risk_less_and_never_more() -> None:
    (only,) = advised(analysis(by_agent=(losing(40, -20.0, -4.0),)))
    assert (only.rule, only.subject, only.aim) == ("losing agent", "house", Aim.HIGHER)
    assert "risk less" in only.text
    assert only.expected > 0
    assert not advised(analysis(by_agent=(losing(40, -20.0, 1.0), losing(19, -20.0, -4.0))))
    assert not advised(analysis(by_agent=(losing(40, 4.0, 20.0),)))


def test_a_task_whose_calls_fail_is_to_be_answered_by_its_rule() -> None:
    metric = hourly.of(hourly.LLM_FAILED, "house", "strategy")
    (only,) = advised(analysis({metric: hours([0.0, 0.5], end=NOON, n=20)}))
    assert (only.rule, only.subject) == ("failing task", "house/strategy")
    assert not advised(analysis({metric: hours([0.0, 0.5], end=NOON, n=9)}))
    assert not advised(analysis({metric: hours([0.5, 0.1], end=NOON, n=20)}))


def test_what_rests_is_not_advised_and_there_are_never_many_at_once() -> None:
    figures = {hourly.of(hourly.AGENT_LATENCY, f"a{n}"): two_weeks(1.0, 2.0) for n in range(20)}
    found = analysis(figures)
    assert len(advised(found)) == MOST_A_REVIEW
    rests = frozenset(("regression", name) for name in figures)
    assert advised(found, rests) == ()


def test_only_what_was_taken_has_an_effect() -> None:
    change = difference([2.0, 2.1, 1.9, 2.0, 2.2, 1.8], [1.0, 1.1, 0.9, 1.0, 1.2, 0.8])
    with pytest.raises(BadInput, match="no effect to measure"):
        advice().measured(change, at=NOON)
    taken = advice().taken(by="ann", at=NOON)
    assert (taken.state, taken.deadline) == (AdviceState.TAKEN, NOON + timedelta(hours=48))
    done = taken.measured(change, at=taken.deadline)
    assert (done.state, done.verdict) == (AdviceState.MEASURED, "helped")
    assert done.effect is not None
    assert done.effect.change == pytest.approx(-1.0)


def test_the_verdict_follows_the_interval_and_the_aim() -> None:
    better = difference([2.0, 2.1] * 6, [1.0, 1.1] * 6)
    assert verdict_of(better, Aim.LOWER) is AdviceVerdict.HELPED
    assert verdict_of(better, Aim.HIGHER) is AdviceVerdict.WORSE
    same = difference([1.0, 3.0] * 6, [0.9, 2.9] * 6)
    assert same.change is not None
    assert verdict_of(same, Aim.LOWER) is AdviceVerdict.NO_DIFFERENCE
    assert verdict_of(difference([1.0], [2.0]), Aim.LOWER) is AdviceVerdict.UNKNOWN


def test_advice_that_contradicts_itself_is_refused_and_its_prose_is_cleaned() -> None:
    with pytest.raises(BadInput, match="aims lower and expects"):
        advice(expected=0.1)
    with pytest.raises(BadInput, match="above zero"):
        advice(watch_s=0.0)
    assert advice(text="<b>do</b>\x1b[2J it\u202e").text == "do[2J it"
    assert replace(advice(), taken_by="x" * 900).taken_by.endswith("[cut]")
