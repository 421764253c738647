"""Decisions are done once, whatever dies, refuses, hangs or lies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from meta_agents.meeting.agreements import Agreements, is_agreed
from meta_agents.meeting.execution import MOST_TRIES, PUT_S
from meta_agents.meeting.ports import Order
from roboinvest.core.approvals import ProposalState
from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.oversight.decisions import Act, DecisionState
from roboinvest.core.proposals import Level
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.governance import an_outcome
from tests.fakes.meetings import Council, FakeHand, ToldModel, all_hands, council, values_of
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import FIVE, a_wish, lower_limit, quarantine, raise_cap, told

UNTOUCHED = values_of(all_hands())
Play = Callable[[Council], Awaitable[None]]


def play(folder: Path, wishes: tuple[Any, ...], work: Play, **more: Any) -> None:
    in_flight = InFlight()

    async def run() -> None:
        with council(folder, in_flight, ToldModel(told(*wishes)), **more) as held:
            await work(held)

    run_virtual(run, in_flight)


class Killed(Exception):
    """The process died here."""


class DyingThreads(Threads):
    """Dies at one of its jobs, before it or after it."""

    die_at = 0
    after = False
    jobs = 0

    async def do(self, what: str, work: Callable[[], Any]) -> Any:
        """Do the job, or die of it."""
        type(self).jobs += 1
        is_last = self.jobs == self.die_at
        if is_last and not self.after:
            raise Killed(what)
        found = await super().do(what, work)
        if is_last:
            raise Killed(what)
        return found


@pytest.mark.parametrize("after", [False, True])
def test_a_meeting_that_dies_at_any_step_is_held_again_and_doubles_nothing(
    tmp_path: Path, after: bool
) -> None:
    deaths = 0
    for number in range(1, 400, 3):  # each third step; a run of all of them takes a minute
        dying = type("Dying", (DyingThreads,), {"die_at": number, "after": after, "jobs": 0})
        in_flight = InFlight()
        alive = partial(_lives_twice, tmp_path / f"{number}", in_flight, dying)
        if not run_virtual(alive, in_flight):
            break
        deaths += 1
    print(f"{deaths} deaths")
    assert deaths > 15


async def _lives_twice(folder: Path, in_flight: InFlight, dying: Any) -> bool:
    """Play a life that dies and one that does not; return whether it died."""
    hands = all_hands()
    died = False
    with council(folder, in_flight, ToldModel(told(*FIVE)), hands=hands, threads=dying) as held:
        try:
            await held.hold()
            await held.later(hours=1.2)
        except Killed:
            died = True
    with council(folder, in_flight, ToldModel(told(*FIVE)), hands=hands) as held:
        await held.hold()
        await held.later(hours=1.2)
        await held.later(hours=0.1)
        assert len(held.decisions()) == 5
        assert len({each.decision.decision_id for each in held.decisions()}) == 5
        states = sorted(each.state.value for each in held.decisions())
        assert states == ["done", "done", "requested", "requested", "requested"]
        assert len(held.inbox.listed(everything=True)) == 5
        used = [each.entry.subject for each in held.audit() if each.entry.kind == "proposal.used"]
        assert len(used) == len(set(used)) == 2
        for act in (Act.SET_LIMIT, Act.SET_LLM_CAP):
            assert {each.value for each in hands[act].orders} <= {'"10"', '"0.2"'}
    return died


def test_a_hand_that_refuses_has_changed_nothing(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        held.hands[Act.SET_LIMIT].fails = [Refused("the mandate says no")]
        await held.hold()
        assert held.only().state is DecisionState.FAILED
        assert held.only().reason == "the mandate says no"
        assert values_of(held.hands) == UNTOUCHED

    play(tmp_path, (lower_limit(),), work)


def test_a_hand_that_lies_is_never_believed(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        held.hands[Act.QUARANTINE].lies = True
        await held.hold()
        for _ in range(MOST_TRIES + 2):
            assert held.only().state is not DecisionState.DONE
            await held.later(hours=0.1)
        assert held.only().state is DecisionState.FAILED
        assert len(held.hands[Act.QUARANTINE].orders) == MOST_TRIES

    play(tmp_path, (quarantine(),), work)


def test_a_hand_that_is_away_is_tried_again(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        held.hands[Act.QUARANTINE].fails = [TryLater("busy")]
        await held.hold()
        assert held.only().state is DecisionState.EXECUTING
        await held.later(hours=0.1)
        assert held.only().state is DecisionState.DONE

    play(tmp_path, (quarantine(),), work)


def test_a_hand_that_hangs_is_waited_for_so_long(tmp_path: Path) -> None:
    class Hanging(FakeHand):
        async def put(self, order: Order) -> None:
            self.orders.append(order)
            await asyncio.Event().wait()

    async def work(held: Council) -> None:
        begun = held.clock.monotonic()
        await held.hold()
        assert held.clock.monotonic() - begun <= PUT_S + 1
        assert held.only().state is DecisionState.EXECUTING

    hands = all_hands()
    hands[Act.QUARANTINE] = Hanging(Act.QUARANTINE, {"gamma": (False, "0", "0")})
    play(tmp_path, (quarantine(),), work, hands=hands)


def test_a_hand_that_dies_after_it_has_done_it_does_not_do_it_twice(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        held.hands[Act.SET_LIMIT].dies = [RuntimeError("boom")]
        with pytest.raises(RuntimeError):
            await held.hold()
        await held.hold()
        assert held.only().state is DecisionState.DONE
        assert len(held.hands[Act.SET_LIMIT].orders) == 1

    play(tmp_path, (lower_limit(),), work)


def test_what_a_person_agreed_to_is_what_is_done(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        filed = held.inbox.get(held.only().decision.decision_id)
        edited = replace(filed.proposal, after='"10800"')
        name = filed.proposal.proposal_id
        held.inbox.edit(name, filed.proposal.digest, edited, by="ann")
        held.inbox.approve(name, edited.digest, by="ann")
        await held.later(hours=0.1)
        assert held.only().state is DecisionState.DONE
        assert held.only().after == '"10800"'
        assert str(held.hands[Act.SET_INTERVAL].values["deep_research"]) == "10800"
        await held.meeting.undo(name, by="ann")
        assert values_of(held.hands) == UNTOUCHED

    play(tmp_path, (a_wish(),), work)


@pytest.mark.parametrize("after", ['"900"', '"x"', "[]", '"-1"', "true"])
def test_no_edit_turns_a_wish_for_less_into_more_risk(tmp_path: Path, after: str) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        filed = held.inbox.get(held.only().decision.decision_id)
        edited = replace(filed.proposal, after=after)
        name = filed.proposal.proposal_id
        held.inbox.edit(name, filed.proposal.digest, edited, by="ann")
        held.inbox.approve(name, edited.digest, by="ann")
        await held.later(hours=0.1)
        assert held.only().state is DecisionState.FAILED
        assert values_of(held.hands) == UNTOUCHED

    play(tmp_path, (lower_limit(approval_required=True),), work)


def test_what_stands_otherwise_by_then_is_not_touched(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        held.hands[Act.SET_LLM_CAP].values["llm_day"] = "0.05"
        await held.later(hours=1.5)
        assert held.only().state is DecisionState.FAILED
        assert "propose it anew" in held.only().reason
        assert held.hands[Act.SET_LLM_CAP].orders == []

    play(tmp_path, (raise_cap(),), work)


def test_what_nobody_can_do_here_is_recorded_as_that(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        assert held.decisions() == []
        (row,) = held.rows.refused(held.clock.now().date())
        assert row.nobody
        assert "nobody can do this here" in row.reason

    play(tmp_path, (lower_limit(),), work, hands={Act.SET_INTERVAL: all_hands()[Act.SET_INTERVAL]})


def test_a_hand_that_is_gone_when_it_is_needed_leaves_no_trace_of_success(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        held.hands[Act.SET_LLM_CAP].values.clear()
        await held.later(hours=1.5)
        assert held.only().state is DecisionState.FAILED
        name = held.only().decision.decision_id
        assert held.inbox.get(name).state is not ProposalState.USED

    play(tmp_path, (raise_cap(),), work)


def test_an_approval_that_nobody_uses_in_time_lapses(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        await asyncio.sleep(5 * 86_400)
        await held.meeting.follow_up(held.clock.now())
        assert held.only().state in (DecisionState.LAPSED, DecisionState.FAILED)
        assert values_of(held.hands) == UNTOUCHED

    play(tmp_path, (raise_cap(),), work)


def test_the_policys_word_is_no_persons(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        filed = next(each for each in held.inbox.listed(everything=True))
        agreed = replace(filed, state=ProposalState.APPROVED)
        assert is_agreed(agreed, Level.L1)
        assert not is_agreed(agreed, Level.L3)
        assert not is_agreed(filed, Level.L1)  # used up

    play(tmp_path, (lower_limit(),), work)


def test_what_is_learned_of_a_decision_is_kept_once(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        desk = Agreements(held.file, held.inbox, held.parts["threads"])
        for _ in range(2):
            await desk.learn(an_outcome(source="governance:m1.1", at=held.clock.now()))
        assert len(held.outcomes()) == 1

    play(tmp_path, (), work)
