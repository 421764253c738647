"""Wishes, good, hostile and absurd: what becomes a decision, and what is kept with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from meta_agents.meeting.judging import LOOKED_AT, MOST, House, Judged, judged
from roboinvest.core.oversight.decisions import Act, DecisionKind, Knob, is_never, wanted_digest
from roboinvest.core.oversight.scoring import HOUSE_METRICS
from roboinvest.core.proposals import Direction, Level
from tests.fakes.clocks import START
from tests.fakes.wishes import (
    AGENTS,
    FIVE,
    a_wish,
    lower_limit,
    quarantine,
    raise_cap,
    request,
    texts_of,
)


def knob(act: Act, subject: str, value: str, least: str, most: str) -> Knob:
    low, high = Decimal(least), Decimal(most)
    return Knob(act=act, subject=subject, value=Decimal(value), least=low, most=high)


HOUSE: Final = House(
    meeting_id="m1",
    now=START,
    knobs=(
        knob(Act.SET_INTERVAL, "deep_research", "7200", "900", "86400"),
        knob(Act.SET_LLM_CAP, "llm_day", "0.10", "0.02", "1.00"),
        knob(Act.SET_LIMIT, "max_trades_per_day", "20", "1", "20"),
        knob(Act.SET_TRACK_PRIORITY, "gamma", "5", "1", "10"),
        Knob(act=Act.QUARANTINE, subject="gamma", value=False),
        Knob(act=Act.LOCK_ENTRIES, subject="SPY", value=True),
    ),
    agents=AGENTS,
    metrics=HOUSE_METRICS,
    wanted=frozenset(),
    on_trial=frozenset(),
    failed=frozenset(),
)


def of(*wishes: Any, house: House = HOUSE) -> Judged:
    return judged(texts_of(wishes), house)


def reason(wish: Any, house: House = HOUSE) -> str:
    found = of(wish, house=house)
    assert not found.decisions, found.decisions
    (refused,) = found.refused
    return refused.reason


def test_each_of_the_five_kinds_becomes_a_decision() -> None:
    found = of(*FIVE)
    assert not found.refused
    assert {each.kind for each in found.decisions} == set(DecisionKind)
    for each in found.decisions:
        assert each.hypothesis
        assert each.metric
        assert each.expected
        assert each.undo
        assert each.deadline - each.made_at == timedelta(days=7)
        assert each.decision_id.startswith("m1.")


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"decision_type": "world_domination"}, "decision_type"),
        ({"decision_type": None}, "decision_type"),
        ({"level": 0}, "level"),
        ({"level": "L0"}, "level"),
        ({"verdict": "right"}, "verdict"),
        ({"score": 1.0}, "score"),
        ({"approved_by": "ann"}, "approved_by"),
        ({"action": "disable_kill_switch"}, "no action"),
        ({"action": "rm -rf /"}, "no action"),
        ({"action": 7}, "action"),
        ({"action": "quarantine_agent"}, "no decision of the kind"),
        ({"amount": "-500"}, "amount"),
        ({"amount": -500}, "amount"),
        ({"amount": 900}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": "1e9"}, "amount"),
        ({"amount": "1000000000"}, "amount"),
        ({"amount": "999999999"}, "takes 1 to 604800"),
        ({"amount": "86401"}, "lies between 900 and 86400 here"),
        ({"amount": "0"}, "takes 1 to"),
        ({"amount": "\u0669\u0669\u0669"}, "amount"),
        ({"amount": None}, "needs an amount"),
        ({"amount": "7200"}, "changes nothing"),
        ({"subject": "../../etc/passwd"}, "subject"),
        ({"subject": "x" * 121}, "subject"),
        ({"subject": "deep_research\n"}, "subject"),
        ({"subject": "nobody"}, "nobody can do this here"),
        ({"deadline_days": 0}, "deadline_days"),
        ({"deadline_days": 31}, "deadline_days"),
        ({"deadline_days": 10**30}, "deadline_days"),
        ({"deadline_days": "9999-12-31"}, "deadline_days"),
        ({"deadline_days": 1.5}, "deadline_days"),
        ({"deadline": "0000-00-00"}, "deadline"),
        ({"expected": 0.0}, "is nothing"),
        ({"expected": -2.0}, "for worse"),
        ({"expected": 1e5}, "more than"),
        ({"expected": 1e300}, "expected"),
        ({"expected": float("inf")}, "expected"),
        ({"expected": float("nan")}, "expected"),
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": -1}, "confidence"),
        ({"metric": "happiness"}, "not measured"),
        ({"hypothesis": ""}, "hypothesis"),
        ({"hypothesis": "x" * 401}, "hypothesis"),
        ({"implementation_plan": ["x"] * 9}, "implementation_plan"),
        ({"implementation_plan": "do it"}, "implementation_plan"),
        ({"approval_required": "no"}, "approval_required"),
        ({"effort": "none"}, "effort"),
        ({"topic": "and disable the kill switch"}, "has no topic"),
    ],
)
def test_what_is_absurd_is_refused_with_a_reason(fields: dict[str, Any], part: str) -> None:
    assert part in reason(a_wish(**fields))


@pytest.mark.parametrize("text", ["", "null", "[]", "7", '"x"', "{", "{}", "[" * 100_000, "\ud800"])
def test_what_is_no_wish_at_all_is_refused(text: str) -> None:
    found = judged([text], HOUSE)
    assert not found.decisions
    assert "no decision" in found.refused[0].reason


@pytest.mark.parametrize("act", [each for each in Act if is_never(each)])
def test_what_the_house_rests_on_is_refused_at_level_four(act: Act) -> None:
    for kind in DecisionKind:
        for asks in (True, False):
            wish = request(act, kind, approval_required=asks)
            (refused,) = of(wish).refused
            assert refused.level is Level.L4
            assert "by people" in refused.reason


def test_a_limit_is_lowered_and_never_raised() -> None:
    (done,) = of(lower_limit("10")).decisions
    assert (done.level, done.direction) == (Level.L0, Direction.LESS)
    for amount in ("21", "900", "99999999"):
        (refused,) = of(lower_limit(amount)).refused
        assert refused.level is Level.L4
    assert "at least 1" in reason(lower_limit("0"))


def test_a_request_about_nobody_is_for_nobody_here() -> None:
    (refused,) = of(request("request_code", "code_optimization", "delta")).refused
    assert refused.nobody
    assert "needs a topic" in reason(request("request_code", "code_optimization", topic=" "))
    odd = request("request_code", "code_optimization", amount="5")
    assert "no amount" in reason(odd)


def test_five_a_day_are_the_most_and_what_protects_comes_first() -> None:
    wishes = [request("request_code", "code_optimization", topic=f"fix: a{n}") for n in range(48)]
    found = of(*wishes, lower_limit(), quarantine())
    assert len(found.decisions) == MOST
    assert [each.direction for each in found.decisions].count(Direction.LESS) == 2
    assert len(found.refused) == 45
    assert of(*FIVE, house=replace(HOUSE, room=0)).decisions == ()


def test_a_flood_is_looked_at_so_far_and_counted() -> None:
    found = of(*[a_wish(action="x")] * 900)
    assert len(found.refused) == LOOKED_AT + 1
    assert "900 wishes" in found.refused[-1].reason


def test_two_values_for_one_setting_are_both_refused() -> None:
    found = of(raise_cap("0.20"), raise_cap("0.05"), a_wish())
    assert [each.act for each in found.decisions] == [Act.SET_INTERVAL]
    assert ["different values" in each.reason for each in found.refused] == [True, True]


def test_the_same_wish_twice_is_one_decision() -> None:
    found = of(raise_cap("0.20"), raise_cap("0.200"), quarantine(), quarantine())
    assert len(found.decisions) == 2
    assert all("the same as wish" in each.reason for each in found.refused)


def test_more_for_an_agent_that_is_to_stop_is_refused() -> None:
    more = a_wish(action="set_track_priority", subject="gamma", amount="9")
    found = of(more, quarantine("gamma"))
    assert [each.act for each in found.decisions] == [Act.QUARANTINE]


def test_what_waits_or_is_on_trial_is_not_decided_again_unless_it_protects() -> None:
    digest = wanted_digest(Act.SET_INTERVAL, "deep_research", '"14400"')
    assert "decided before" in reason(a_wish(), replace(HOUSE, wanted=frozenset({digest})))
    failed = replace(HOUSE, failed=frozenset({digest}))
    assert "found wrong" in reason(a_wish(), failed)
    trial = replace(
        HOUSE,
        on_trial=frozenset(
            {(Act.SET_INTERVAL, "deep_research"), (Act.SET_LIMIT, "max_trades_per_day")}
        ),
    )
    assert "on trial" in reason(a_wish(amount="3600"), trial)
    assert of(lower_limit("5"), house=trial).decisions


def test_a_wish_that_asks_for_a_person_gets_one() -> None:
    for wish in (lower_limit(), a_wish(), raise_cap(), quarantine()):
        (done,) = of({**wish, "approval_required": True}).decisions
        assert (done.level, done.approval_required) == (Level.L3, True)


def test_hidden_characters_and_markup_do_not_reach_a_person() -> None:
    words = "a<script>alert(1)</script>\u202eb\x1b[2Jc\u200b"
    (done,) = of(a_wish(hypothesis=words, implementation_plan=[words])).decisions
    for text in (done.hypothesis, *done.plan):
        assert not {"<", ">", "\u202e", "\x1b", "\u200b"} & set(text)
    (refused,) = of(a_wish(action=words)).refused
    assert "\x1b" not in json.dumps(refused.wish, ensure_ascii=False) + refused.reason
