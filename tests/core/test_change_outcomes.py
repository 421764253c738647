"""What became of changes is told to the next proposal, failures first, and fades."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from roboinvest.core.change_outcomes import (
    ChangeOutcome,
    Effect,
    Outcome,
    Teller,
    for_the_next,
    is_switched_off,
    success_rate,
)
from roboinvest.core.errors import BadInput
from tests.fakes.clocks import START
from tests.fakes.governance import an_outcome

DAY = timedelta(days=1)


def names(found: tuple[ChangeOutcome, ...]) -> list[str]:
    return [each.fingerprint for each in found]


def test_failures_come_first_then_what_shares_more_then_what_is_fresh() -> None:
    known = [
        an_outcome(1),
        an_outcome(2, outcome=Outcome.WORSE, target="other"),
        an_outcome(3, outcome=Outcome.REJECTED, at=START - 9 * DAY),
        an_outcome(4, outcome=Outcome.REVERSED),
        an_outcome(5, cause="timeout"),
        an_outcome(6, target="other", cause="timeout", outcome=Outcome.WORSE),
        an_outcome(7, outcome=Outcome.GATE_FAILED, cause="timeout"),
    ]
    found = for_the_next(known, target="strategist", cause="format drift", now=START)
    assert names(found) == ["f4", "f3", "f7", "f2", "f1", "f5"]


def test_no_cause_is_no_common_cause() -> None:
    known = [an_outcome(1, cause="", target="other"), an_outcome(2, cause="")]
    assert names(for_the_next(known, target="strategist", cause="", now=START)) == ["f2"]


def test_ten_are_shown() -> None:
    known = [an_outcome(number) for number in range(30)]
    assert len(for_the_next(known, target="strategist", cause="", now=START)) == 10


def test_what_is_told_of_oneself_waits_a_week_and_never_counts() -> None:
    own = an_outcome(1, told_by=Teller.ITSELF)
    assert not for_the_next([own], target="strategist", cause="", now=START + 6 * DAY)
    assert for_the_next([own], target="strategist", cause="", now=START + 7 * DAY)
    assert success_rate([own] * 50) == (0.5, 0)


def test_half_of_the_weight_is_gone_in_thirty_days() -> None:
    assert an_outcome().weight(START) == 1.0
    assert an_outcome().weight(START + 30 * DAY) == pytest.approx(0.5)
    assert an_outcome().weight(START - DAY) == 1.0


@pytest.mark.parametrize(
    ("wins", "tries", "is_off"), [(0, 19, False), (0, 20, True), (1, 20, True), (2, 20, False)]
)
def test_a_kind_of_change_that_keeps_failing_is_switched_off(
    wins: int, tries: int, is_off: bool
) -> None:
    known = [
        an_outcome(number, outcome=Outcome.BETTER if number < wins else Outcome.WORSE)
        for number in range(tries)
    ]
    assert is_switched_off(known) is is_off


@pytest.mark.parametrize(
    "fields",
    [
        {"target": ""},
        {"source": "\u200b"},
        {"fingerprint": ""},
        {"cost_usd": Decimal("NaN")},
        {"cost_tokens": -1},
        {"trials": 0},
        {"days_until_reversal": float("inf")},
    ],
    ids=str,
)
def test_an_outcome_that_says_nothing_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        an_outcome(**fields)


@pytest.mark.parametrize(
    "figures", [(0.0, 0.1, 0.2, 5), (0.0, -1.0, 1.0, 0), (float("nan"), 0.0, 1.0, 5)]
)
def test_an_effect_is_an_interval_around_its_mean(figures: tuple[float, float, float, int]) -> None:
    mean, low, high, n = figures
    with pytest.raises(BadInput):
        Effect(mean=mean, low=low, high=high, n=n)
