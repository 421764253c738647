"""The governor: four rules over a history, on by default, overridden by a person only."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.revisions.governor import (
    Candidate,
    GovernorLimits,
    Objection,
    Rule,
    objections,
    require_calm,
)
from roboinvest.core.revisions.lifecycle import AliasMove, MoveKind
from tests.core.revisions.test_lifecycle import REVISION
from tests.fakes.clocks import START
from tests.fakes.revisions import MACHINE, PERSON

LIMITS = GovernorLimits()
NEW = "f" * 64


def moves(*steps: tuple[str, float, int], kind: MoveKind = MoveKind.ACTIVATED) -> list[AliasMove]:
    """Return moves: to which revision, how many hours ago, with how many findings."""
    return [
        AliasMove(
            alias="scout", sequence=number, kind=kind, before=None, after=name * 64,
            findings=findings, forced=False, by="x", reason="y",
            at=START - timedelta(hours=hours),
        )
        for number, (name, hours, findings) in enumerate(steps, 1)
    ]  # fmt: skip


def rules(
    past: list[AliasMove], *, target: str = NEW, findings: int = 0, rejects: int = 0
) -> set[Rule]:
    candidate = Candidate(
        revision=replace(REVISION, revision_id=target), findings=findings, rejects=rejects
    )
    return {each.rule for each in objections(candidate, past, START, LIMITS)}


def test_a_fourth_promotion_in_a_day_is_too_many() -> None:
    two = [("a", 3, 0), ("b", 2, 0)]
    assert rules(moves(*two)) == set()
    assert rules(moves(*two, ("c", 1, 0))) == {Rule.VELOCITY}


def test_a_day_is_24_hours_to_the_microsecond() -> None:
    past = moves(("a", 24, 0), ("b", 2, 0), ("c", 1, 0))
    assert rules(past) == set()
    past[0] = replace(past[0], at=past[0].at + timedelta(microseconds=1))
    assert rules(past) == {Rule.VELOCITY}


def test_a_clock_that_was_set_back_opens_no_window() -> None:
    assert rules(moves(("a", -5, 0), ("b", -4, 0), ("c", -3, 0))) == {Rule.VELOCITY}


def test_rollbacks_and_quarantines_are_no_promotions() -> None:
    for kind in set(MoveKind) - {MoveKind.ACTIVATED}:
        past = moves(("a", 3, 0), ("b", 2, 0), ("c", 1, 0), kind=kind)
        assert rules(past) == set()


def test_to_go_back_to_one_of_the_last_four_is_flapping() -> None:
    past = moves(*((name, 100, 0) for name in "abcde"))
    for name in "bcd":
        assert rules(past, target=name * 64) == {Rule.FLAPPING}
    assert rules(past, target="a" * 64) == set()


def test_to_come_back_to_what_stood_last_is_no_flapping() -> None:
    past = moves(("a", 100, 0), ("b", 99, 0))
    away = replace(past[1], sequence=3, kind=MoveKind.QUARANTINED, after=None)
    assert rules([*past, away], target="b" * 64) == set()
    assert rules([*past, away], target="a" * 64) == {Rule.FLAPPING}


def test_what_was_rolled_back_from_is_flapping_too() -> None:
    past = moves(("a", 100, 0), ("b", 99, 0))
    back = replace(past[0], sequence=3, kind=MoveKind.ROLLED_BACK)
    assert rules([*past, back], target="b" * 64) == {Rule.FLAPPING}


def test_findings_that_rise_three_times_in_a_row_are_a_regression() -> None:
    past = moves(("a", 100, 1), ("b", 99, 2))
    assert rules(past, findings=3) == {Rule.REGRESSION}
    assert rules(past, findings=2) == set()
    assert rules(moves(("a", 100, 5), ("b", 99, 2)), findings=3) == set()
    assert rules(past[1:], findings=3) == set()


def test_the_third_rejection_exhausts_a_change() -> None:
    assert rules([], rejects=2) == set()
    assert rules([], rejects=3) == {Rule.ATTEMPTS}


def test_every_objection_is_told_at_once() -> None:
    past = moves(("a", 3, 1), ("b", 2, 2), ("c", 1, 3))
    found = objections(
        Candidate(revision=replace(REVISION, revision_id="a" * 64), findings=4, rejects=5),
        past, START, LIMITS,
    )  # fmt: skip
    assert {each.rule for each in found} == set(Rule) - {Rule.STORM}  # that one asks all agents
    with pytest.raises(Refused) as refused:
        require_calm(found, PERSON, force=False)
    assert all(each.rule in str(refused.value) for each in found)


def test_only_a_person_overrides() -> None:
    found = (Objection(rule=Rule.VELOCITY, text="3 promotions"),)
    require_calm(found, PERSON, force=True)
    require_calm((), MACHINE, force=False)
    with pytest.raises(Refused, match="factory may not override it"):
        require_calm(found, MACHINE, force=True)
    with pytest.raises(Refused, match="--force"):
        require_calm(found, PERSON, force=False)


@pytest.mark.parametrize("name", ["promotions", "recent", "rising", "rejects"])
def test_a_limit_that_stops_nothing_or_everything_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        replace(LIMITS, **{name: 0})  # type: ignore[arg-type]
