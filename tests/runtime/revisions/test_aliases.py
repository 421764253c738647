"""What acts: one revision or none, moved by who may, on evidence of today, and undone in a step."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from roboinvest.core.errors import NeedsApproval, Refused
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.gates import Gate, Judge, Severity, Verdict
from roboinvest.core.revisions.lifecycle import Actor, MoveKind, Revision, State
from roboinvest.runtime.governance.verify import verify
from tests.fakes.revisions import (
    AGENT,
    MACHINE,
    PERSON,
    AgentHouse,
    a_record,
    an_artifact,
    unchanged,
)

DAY_S = 86_400
TRADES = (Capability.PROPOSE_ORDERS,)


@pytest.fixture
def two(house: AgentHouse) -> tuple[Revision, Revision]:
    """Return two revisions, the second made from the first and active."""
    first = house.installed(an_artifact(1))
    house.activate(first)
    second = house.installed(an_artifact(2), first.revision_id)
    house.activate(second, MACHINE)
    return first, second


def states(house: AgentHouse, *revisions: Revision) -> list[State]:
    return [house.now(revision).state for revision in revisions]


def test_the_alias_moves_with_both_states_the_history_and_the_audit(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    first, second = two
    assert states(house, first, second) == [State.INSTALLED, State.ACTIVE]
    moves = house.store.read_book(lambda book: book.moves(AGENT))
    assert [(move.sequence, move.before, move.after) for move in moves] == [
        (1, None, first.revision_id),
        (2, first.revision_id, second.revision_id),
    ]
    entry = house.file.rows(subject=AGENT)[-1].entry
    assert (entry.kind, entry.who, entry.why) == (
        "revision.activated",
        MACHINE.name,
        MACHINE.reason,
    )
    assert json.loads(entry.before or "") == {"active": first.revision_id, "sequence": 1}
    after = json.loads(entry.after or "")
    assert (after["active"], after["force"], after["person"]) == (second.revision_id, False, False)
    assert entry.undo == f"roboinvest agents rollback {AGENT} {first.short}"
    assert verify(house.file.path).is_whole


def test_what_is_active_is_read_verified(house: AgentHouse, two: tuple[Revision, Revision]) -> None:
    found = house.store.active(AGENT)
    assert found is not None
    assert found[0].revision_id == two[1].revision_id
    assert found[1].files == an_artifact(2).files
    assert house.store.active("nobody") is None


def test_one_step_back_and_no_further(house: AgentHouse, two: tuple[Revision, Revision]) -> None:
    first, second = two
    move = house.desk.rollback(AGENT, 2, MACHINE)
    assert (move.kind, move.after) == (MoveKind.ROLLED_BACK, first.revision_id)
    assert states(house, first, second) == [State.ACTIVE, State.INSTALLED]
    with unchanged(house, Refused, "nothing to go back to"):
        house.desk.rollback(AGENT, 3, PERSON)


def test_hard_case_31_a_rollback_to_what_is_active_is_refused_loudly(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    with unchanged(house, Refused, "already stands at"):
        house.desk.rollback(AGENT, 2, PERSON, wanted=two[1].revision_id)


def test_hard_case_30_a_replayed_promotion_after_a_rollback_is_refused(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    house.desk.rollback(AGENT, 2, PERSON)
    for actor in (MACHINE, PERSON):
        with unchanged(house, Refused, "stands at move 3, and this request was made at move 1"):
            house.activate(two[1], actor, expected=1)
    with unchanged(house, Refused, "made at move 2"):
        house.desk.rollback(AGENT, 2, MACHINE)


def test_hard_case_32_of_two_who_decided_at_once_one_is_refused(house: AgentHouse) -> None:
    base = house.installed(an_artifact(1))
    house.activate(base)
    steward = house.installed(an_artifact(2), base.revision_id)
    editor = house.installed(an_artifact(3), base.revision_id)
    seen = house.sequence()
    house.activate(steward, MACHINE, expected=seen)
    with unchanged(house, Refused, "look again and ask again"):
        house.activate(editor, MACHINE, expected=seen)
    with unchanged(house, Refused, "make it again from that one"):
        house.activate(editor, MACHINE)
    house.activate(editor, PERSON)  # a person may know better
    assert house.active() == editor.revision_id


def test_an_active_revision_is_not_activated_again(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    with unchanged(house, Refused, "is active, and from there"):
        house.activate(two[1])


@pytest.mark.parametrize("who", [MACHINE, PERSON])
def test_a_quarantine_leaves_nothing_active_and_only_a_person_ends_it(
    house: AgentHouse, two: tuple[Revision, Revision], who: Actor
) -> None:
    first, second = two
    house.desk.quarantine(AGENT, second.revision_id, who)
    assert house.active() is None
    assert house.now(second).quarantined_by_person is who.is_person
    ways: list[Callable[[], object]] = [
        lambda: house.desk.release(AGENT, second.revision_id, MACHINE),
        lambda: house.desk.retire(AGENT, second.revision_id, MACHINE),
        lambda: house.activate(second, MACHINE),
        lambda: house.activate(second, PERSON, force=True),
        lambda: house.desk.rollback(AGENT, house.sequence(), MACHINE, wanted=second.revision_id),
        lambda: house.store.install(AGENT, second.revision_id, MACHINE),
        lambda: house.store.install(AGENT, second.revision_id, PERSON),
        lambda: house.store.gate(AGENT, second.revision_id, MACHINE),
    ]
    for way in ways:
        with unchanged(house, Refused, ""):
            way()
    assert house.store.draft(an_artifact(2), first.revision_id, MACHINE).state is State.QUARANTINED
    assert house.desk.release(AGENT, second.revision_id, PERSON).state is State.INSTALLED
    assert house.active() is None
    house.activate(second)


def test_a_person_takes_a_quarantine_of_the_machine_over_once(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    id_ = two[1].revision_id
    house.desk.quarantine(AGENT, id_, MACHINE)
    house.desk.quarantine(AGENT, id_, PERSON)
    assert house.now(two[1]).quarantined_by_person
    for who in (MACHINE, PERSON):
        with unchanged(house, Refused, "is quarantined, and from there"):
            house.desk.quarantine(AGENT, id_, who)


def test_code_in_quarantine_does_not_come_back_under_another_name(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    first, second = two
    house.desk.quarantine(AGENT, second.revision_id, PERSON)
    renamed = "def look(prices):\n    return prices[-1] > 2  # better\n"
    twins = [
        house.installed(an_artifact(2), second.revision_id),
        house.installed(an_artifact(2, code=renamed), first.revision_id),
        house.installed(an_artifact(2, agent="other")),
    ]
    for twin in twins:
        for who in (MACHINE, PERSON):
            with unchanged(house, Refused, f"is the code of {second.short}"):
                house.activate(twin, who, force=who.is_person)


def test_after_a_quarantine_a_rollback_leads_to_what_was_before(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    house.desk.quarantine(AGENT, two[1].revision_id, MACHINE)
    house.desk.rollback(AGENT, 3, MACHINE)
    assert house.active() == two[0].revision_id


def test_what_is_not_in_quarantine_is_not_released(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    for revision in two:
        with unchanged(house, Refused, "and not in quarantine"):
            house.desk.release(AGENT, revision.revision_id, PERSON)


def test_what_is_retired_stays_so_and_its_files_stay_too(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    id_ = two[1].revision_id
    house.desk.retire(AGENT, id_, MACHINE)
    assert house.active() is None
    for way in (house.desk.quarantine, house.desk.retire, house.desk.release):
        with unchanged(house, Refused, "is retired"):
            way(AGENT, id_, PERSON)
    with unchanged(house, Refused, "is retired, and from there it can become nothing"):
        house.activate(two[1], force=True)
    assert house.store.draft(an_artifact(2), two[0].revision_id, MACHINE).state is State.RETIRED
    assert house.store.read(AGENT, id_).files == an_artifact(2).files


def test_a_fourth_promotion_in_a_day_waits_or_is_forced_by_a_person(house: AgentHouse) -> None:
    parent = None
    for number in range(1, 4):
        revision = house.installed(an_artifact(number), parent)
        house.activate(revision)
        parent = revision.revision_id
    fourth = house.installed(an_artifact(4), parent)
    for who, force in ((MACHINE, False), (MACHINE, True), (PERSON, False)):
        with unchanged(house, Refused, "3 promotions in 24 h, and 3 are allowed"):
            house.activate(fourth, who, force=force)
    move = house.activate(fourth, PERSON, force=True)
    assert move.forced
    entry = house.file.rows(subject=AGENT)[-1].entry
    after = json.loads(entry.after or "")
    assert (after["force"], after["objections"]) == (True, ["promotion_velocity_exceeded"])
    assert entry.why == PERSON.reason
    house.clock.advance(DAY_S + 1)
    fifth = house.installed(an_artifact(5), fourth.revision_id)
    assert not house.activate(fifth, MACHINE, force=False).forced


def test_force_without_an_objection_is_not_told_as_one(house: AgentHouse) -> None:
    assert not house.activate(house.installed(an_artifact(1)), force=True).forced


def test_hard_case_51_to_and_fro_is_refused(
    house: AgentHouse, two: tuple[Revision, Revision]
) -> None:
    house.clock.advance(DAY_S)
    with unchanged(house, Refused, "promotion_flapping_detected"):
        house.activate(two[0])
    house.desk.rollback(AGENT, 2, MACHINE)
    with unchanged(house, Refused, "promotion_flapping_detected"):
        house.activate(two[1], MACHINE)


def test_findings_that_rise_are_refused(house: AgentHouse) -> None:
    parent = None
    for number in (1, 2):
        revision = house.installed(an_artifact(number), parent, warnings=number)
        house.activate(revision)
        parent = revision.revision_id
    worse = house.installed(an_artifact(3), parent, warnings=3)
    with unchanged(house, Refused, "findings rise from promotion to promotion: 1, 2, 3"):
        house.activate(worse, MACHINE)
    house.activate(house.installed(an_artifact(4), parent, warnings=2), MACHINE)


def test_hard_case_51_a_change_rejected_three_times_needs_a_person_also_with_other_names(
    house: AgentHouse,
) -> None:
    first = house.installed(an_artifact(1))
    for _ in range(3):
        house.store.reject(AGENT, first.revision_id, MACHINE)
    renamed = "def look(prices):\n    return prices[-1] > 1\n"
    for revision in (first, house.installed(an_artifact(1, code=renamed))):
        with unchanged(house, Refused, "this change was rejected 3 times"):
            house.activate(revision, MACHINE)
    house.store.acknowledge(AGENT, first.revision_id, PERSON)
    house.activate(first, MACHINE)


def test_gates_are_never_overridden(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1, Capability.MARKET_DATA))
    house.clock.advance(31 * DAY_S)
    with unchanged(house, Refused, "expired at"):
        house.activate(revision, PERSON, force=True)


def test_evidence_is_judged_again_at_the_promotion(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    failed = a_record(revision, Gate.EVALUATOR, house.clock, verdict=Verdict.FAILED)
    house.store.record(revision, failed, MACHINE)
    with unchanged(house, Refused, "evaluator says failed"):
        house.activate(revision)


def test_a_finding_of_a_model_stops_a_promotion(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    record = a_record(revision, Gate.AUDITOR, house.clock, judge=Judge.MODEL, warnings=1)
    finding = replace(record.findings[0], severity=Severity.CRITICAL)
    house.store.record(revision, replace(record, findings=(finding,)), MACHINE)
    with unchanged(house, Refused, "has a finding of a model"):
        house.activate(revision)


def test_hard_case_34_more_capability_than_the_parent_needs_a_person(house: AgentHouse) -> None:
    narrow = house.installed(an_artifact(1))
    house.activate(narrow)
    wide = house.installed(an_artifact(2, Capability.MARKET_DATA), narrow.revision_id)
    with unchanged(house, NeedsApproval, "needs a person's word"):
        house.activate(wide, MACHINE)
    house.activate(wide, PERSON)
    same = house.installed(an_artifact(3, Capability.MARKET_DATA), wide.revision_id)
    house.activate(same, MACHINE)
    less = house.installed(an_artifact(4), same.revision_id)
    house.clock.advance(DAY_S)
    house.activate(less, MACHINE)


def test_a_wide_draft_as_a_parent_opens_no_way_around(house: AgentHouse) -> None:
    """Nobody agreed to the parent: it proves nothing, active or not, first or not."""
    spawns = Capability.SPAWN
    draft = house.store.draft(an_artifact(1, spawns), None, MACHINE)
    child = house.installed(an_artifact(2, spawns), draft.revision_id)
    with unchanged(house, NeedsApproval, "AgentSpawn"):
        house.activate(child, MACHINE)
    house.activate(house.installed(an_artifact(3)))
    other = house.installed(an_artifact(4, spawns), draft.revision_id)
    with unchanged(house, Refused, "make it again from that one"):
        house.activate(other, MACHINE)


def test_a_callee_does_not_bring_its_caller_more_than_the_caller_was_judged_for(
    house: AgentHouse,
) -> None:
    helper = house.installed(an_artifact(1, agent="helper"))
    house.activate(helper)
    reader = house.installed(an_artifact(2, Capability.UNTRUSTED_TEXT, agent="reader",
                                         calls=("helper",)))  # fmt: skip
    house.activate(reader)
    wider = house.installed(an_artifact(3, *TRADES, agent="helper"), helper.revision_id)
    with unchanged(house, Refused, "reader: backtest has no record"):
        house.activate(wider)
    private = house.store.draft(
        an_artifact(4, *TRADES, Capability.READ, agent="helper"), helper.revision_id, MACHINE
    )
    house.judged(private)
    with unchanged(house, Refused, "reader would reach"):
        house.store.gate("helper", private.revision_id, MACHINE)


def test_hard_case_34_two_agents_never_hold_together_what_one_may_not(house: AgentHouse) -> None:
    trader = house.installed(an_artifact(1, *TRADES, Capability.READ, agent="trader"))
    house.activate(trader)
    reader = house.store.draft(
        an_artifact(2, Capability.UNTRUSTED_TEXT, agent="reader", calls=("trader",)), None, MACHINE
    )
    house.judged(reader)
    with unchanged(house, Refused, "never held together"):
        house.store.gate("reader", reader.revision_id, MACHINE)
