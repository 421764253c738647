from __future__ import annotations

from decimal import Decimal

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.decisions import (
    NEXT,
    Act,
    DecisionKind,
    DecisionState,
    is_never,
    json_value,
    level_for,
    number_in,
    terms_of,
    wanted_digest,
)
from roboinvest.core.proposals import LIMITS, Level

L = Level


def level(act: Act, before: str | None, after: str, subject: str = "x", **more: bool) -> Level:
    return level_for(act, subject, before, after, asks_person=more.get("asks_person", False))


@pytest.mark.parametrize(
    ("act", "subject", "before", "after", "expected"),
    [
        (Act.SET_INTERVAL, "t", '"900"', '"1800"', L.L1),
        (Act.SET_LLM_CAP, "llm_day", '"0.1"', '"0.2"', L.L1),
        (Act.SET_LLM_CAP, "llm_day", '"0.2"', '"0.1"', L.L0),
        (Act.SET_LLM_CEILING, "llm_day", '"1"', '"2"', L.L3),
        (Act.SET_LLM_CEILING, "llm_day", '"2"', '"1"', L.L0),
        (Act.SET_TRACK_PRIORITY, "t", '"5"', '"6"', L.L1),
        (Act.SET_LIMIT, "max_order_usd", '"500"', '"400"', L.L0),
        (Act.SET_LIMIT, "max_order_usd", '"500"', '"501"', L.L4),
        (Act.SET_LIMIT, "a_limit_nobody_knows", '"500"', '"400"', L.L4),
        (Act.QUARANTINE, "a", "false", "true", L.L0),
        (Act.LOCK_ENTRIES, "SPY", "true", "false", L.L0),
        (Act.REQUEST_CODE, "a", None, '"fix: it"', L.L3),
        (Act.REQUEST_PROMPT, "a", None, '"words"', L.L3),
        (Act.REQUEST_AGENT, "a", None, '"an agent"', L.L3),
    ],
)
def test_the_policy_says_who_has_to_agree(
    act: Act, subject: str, before: str | None, after: str, expected: Level
) -> None:
    assert level(act, before, after, subject) is expected


@pytest.mark.parametrize("act", [each for each in Act if is_never(each)])
def test_what_the_house_rests_on_is_nobodys_to_decide(act: Act) -> None:
    assert {level(act, None, '"x"'), level(act, "true", "false")} == {L.L4}
    assert level(act, None, '"x"', asks_person=True) is L.L4


@pytest.mark.parametrize("limit", sorted(LIMITS))
def test_no_limit_is_raised_and_each_may_be_lowered(limit: str) -> None:
    assert level(Act.SET_LIMIT, '"5"', '"4"', limit) is L.L0
    assert level(Act.SET_LIMIT, '"5"', '"6"', limit) is L.L4


def test_taking_risk_away_never_needs_more_than_adding_it() -> None:
    for act in (Act.SET_LLM_CAP, Act.SET_LLM_CEILING, Act.SET_TRACK_PRIORITY, Act.SET_LIMIT):
        less = level(act, '"5"', '"4"', "max_order_usd")
        assert less < level(act, '"5"', '"6"', "max_order_usd")
    for act, on, off in ((Act.QUARANTINE, "true", "false"), (Act.LOCK_ENTRIES, "false", "true")):
        assert level(act, off, on) < level(act, on, off)


def test_a_wish_can_only_ask_for_more_agreement() -> None:
    assert level(Act.SET_LIMIT, '"5"', '"4"', "max_order_usd", asks_person=True) is L.L3
    assert level(Act.SET_INTERVAL, '"5"', '"4"', asks_person=True) is L.L3


def test_each_kind_has_something_to_do() -> None:
    done = [act for act in Act if not is_never(act)]
    for kind in DecisionKind:
        assert [act for act in done if kind in terms_of(act).kinds]


def test_a_number_has_one_spelling() -> None:
    assert {json_value(Decimal(text)) for text in ("900", "900.0", "9E+2")} == {'"900"'}
    assert json_value(Decimal("0.00")) == '"0"'
    assert number_in('"0.25"') == Decimal("0.25")
    for text in ("", '"NaN"', '"-1"', '"1e9"', "true", '"1.2.3"', "\u0663"):
        with pytest.raises(BadInput):
            number_in(text)


def test_requests_are_the_same_in_any_order_of_words() -> None:
    first = wanted_digest(Act.REQUEST_CODE, "alpha", '"fix: slow bars"')
    assert first == wanted_digest(Act.REQUEST_CODE, "Alpha", '"FIX: slow bars"')
    assert first != wanted_digest(Act.REQUEST_CODE, "beta", '"fix: slow bars"')


def test_only_what_is_being_done_becomes_done() -> None:
    before_done = {state for state, after in NEXT.items() if DecisionState.DONE in after}
    assert before_done == {DecisionState.EXECUTING}
    assert set(NEXT) == set(DecisionState)
