"""Faults of an earlier healer, planted one by one: each is caught by what is held to here.

Every promise is a scene that names what was broken. Ours breaks nothing; each mutant breaks what
it was planted for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from meta_agents.delegations import (
    CodeRequest,
    CodeWork,
    Delegate,
    Delegation,
    Delegations,
    DelegationState,
    InboxInThreads,
)
from meta_agents.healing import Healer, Round
from meta_agents.healing_ports import Order
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import ActionEnd, HealAttempt, Rung, Verdict
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.clocks import START
from tests.fakes.governance import bureau
from tests.fakes.healing import Infirmary, Patient, infirmary
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

Broken = list[str]
Promise = Callable[[Path, type[Healer]], Broken]


class OnlyLogs(Healer):
    """Writes that it restarted the agent, and does not."""

    async def _acted(self, order: Order, attempt: HealAttempt) -> tuple[ActionEnd, str]:
        self._log.info("agent_restarted", agent=order.agent)
        return ActionEnd.RETURNED, f"restarted {order.agent}"


class TrustsTheReturn(Healer):
    """Calls healed what returned."""

    async def _pull(self, *given: Any) -> HealAttempt:
        attempt = await super()._pull(*given)
        return await self._close(attempt, Verdict.HEALED, "it returned", 0.0)


class HealsByAge(Healer):
    """Takes an hour that went by for a recovery."""

    async def _settle(self, attempt: HealAttempt) -> HealAttempt:
        if self._clock.now() - attempt.at > timedelta(hours=1):
            return await self._close(attempt, Verdict.HEALED, "it is over an hour old", 0.0)
        return await super()._settle(attempt)


class ResolvesByAge(Healer):
    """Lets go of an alert after an hour."""

    async def heal_once(self, beat: Callable[[], None] = lambda: None) -> Round:
        found = await super().heal_once(beat)
        at = asyncio.get_running_loop().time()
        if at > 3_600 * 20:
            self._alerts.tell({}, self._clock.now())
        return found


class SleepsFirst(Healer):
    """Waits its interval before it looks for the first time."""

    async def run(self, ctx: ServiceContext) -> None:
        while True:
            await ctx.sleep(self.interval_s)
            await self.heal_once()


class ClimbsUnmeasured(Healer):
    """Takes what nobody measured for what was measured as bad, and goes on climbing."""

    async def _settle(self, attempt: HealAttempt) -> HealAttempt:
        return await self._close(attempt, Verdict.NOT_HEALED, "nobody knows", 0.9)


def play(
    folder: Path,
    patients: dict[str, Patient],
    scene: Callable[[Infirmary], Awaitable[Broken]],
    healer: type[Healer],
    **more: Any,
) -> Broken:
    in_flight = InFlight()

    async def main() -> Broken:
        with infirmary(folder, in_flight, patients, healer=healer, **more) as place:
            return await scene(place)

    return run_virtual(main, in_flight)


def acts_and_measures(folder: Path, healer: type[Healer]) -> Broken:
    """What it says it did was done, and healed is what was measured as well."""

    async def scene(place: Infirmary) -> Broken:
        for _ in range(4):
            await place.later(11)
        broken = []
        for attempt in place.attempts.newest(100):
            orders = [order.attempt_id for order in place.ports[attempt.rung].orders]
            if attempt.action_end is ActionEnd.RETURNED and attempt.attempt_id not in orders:
                broken.append("it says that it acted, and nobody was asked to")
            if attempt.verdict is Verdict.HEALED and attempt.measured == "b":
                broken.append("it calls healed what never was well")
        return broken

    patients = {"a": Patient(cured_by=frozenset({Rung.RESTART})), "b": Patient()}
    return play(folder, patients, scene, healer)


def time_heals_nothing(folder: Path, healer: type[Healer]) -> Broken:
    """A process that was away for a day finds nothing healed by that."""

    async def scene(place: Infirmary) -> Broken:
        await place.healer.heal_once()
        await place.later(60 * 24)
        verdicts = {each.verdict for each in place.attempts.newest(100)}
        return ["time was called a cure"] if Verdict.HEALED in verdicts else []

    return play(folder, {"a": Patient()}, scene, healer)


def alerts_stay(folder: Path, healer: type[Healer]) -> Broken:
    """An alert of an ended ladder stays until the agent is well."""

    async def scene(place: Infirmary) -> Broken:
        for _ in range(60):
            await place.later(31)
        return ["an alert went away by itself"] if place.resolved() or not place.raised() else []

    return play(folder, {"a": Patient(Cause.BUDGET)}, scene, healer)


def heals_in_short_lives(folder: Path, healer: type[Healer]) -> Broken:
    """A daemon that is started again every four minutes heals all the same."""

    async def life(place: Infirmary) -> Broken:
        place.clock._start = START + timedelta(minutes=4 * lives[0])
        try:
            async with asyncio.timeout(240.0):
                await place.healer.run(context())
        except TimeoutError:
            pass
        return [] if place.rows() else ["it never looked"]

    lives, broken = [0], []
    for number in range(5):
        lives[0] = number
        broken = play(folder, {"a": Patient()}, life, healer, first_id=100 * number)
    return broken


def nothing_is_built_on_an_unknown(folder: Path, healer: type[Healer]) -> Broken:
    """What could not be measured is not climbed over to what leaves something behind."""

    async def scene(place: Infirmary) -> Broken:
        place.ward.patients["a"].is_known = False
        for _ in range(8):
            await place.later(31)
        is_changed = bool(place.ports[Rung.REVISION_ROLLBACK].orders)
        return ["a revision went back on a guess"] if is_changed else []

    return play(folder, {"a": Patient()}, scene, healer)


PROMISES: list[Promise] = [
    acts_and_measures,
    time_heals_nothing,
    alerts_stay,
    heals_in_short_lives,
    nothing_is_built_on_an_unknown,
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_ours_breaks_no_promise(promise: Promise, tmp_path: Path) -> None:
    assert promise(tmp_path, Healer) == []


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (OnlyLogs, acts_and_measures),
        (TrustsTheReturn, acts_and_measures),
        (HealsByAge, time_heals_nothing),
        (ResolvesByAge, alerts_stay),
        (SleepsFirst, heals_in_short_lives),
        (ClimbsUnmeasured, nothing_is_built_on_an_unknown),
    ],
    ids=lambda each: each.__name__,
)
def test_a_planted_fault_is_caught(mutant: type[Healer], promise: Promise, tmp_path: Path) -> None:
    assert promise(tmp_path, mutant) != []


class NeverReadsApproval(Delegations):
    """Hands everything to whoever is there."""

    async def code(self, request: CodeRequest, attempt_id: str | None = None) -> Delegation:
        if self._code_editor is None:
            return await super().code(request, attempt_id)
        job = await self._code_editor.take(request, attempt_id or "r0")
        return Delegation(
            to=Delegate.CODE_EDITOR, state=DelegationState.TAKEN, reference=job, text=""
        )


class Editor:
    """Takes whatever it is given."""

    def __init__(self) -> None:
        self.taken = 0

    async def take(self, request: CodeRequest, attempt_id: str) -> str:
        """Count it."""
        self.taken += 1
        return "job"


@pytest.mark.parametrize(("kind", "taken"), [(Delegations, 0), (NeverReadsApproval, 1)])
async def test_whether_approval_is_required_is_read(
    tmp_path: Path, kind: type[Delegations], taken: int
) -> None:
    editor = Editor()
    request = CodeRequest(
        agent="a", work=CodeWork.FIX, topic="t", finding="f", approval_required=True
    )
    with ThreadPoolExecutor(1) as pool, bureau(tmp_path) as office:
        inbox = InboxInThreads(office.inbox, Threads(pool, InFlight()))
        desk = kind(inbox, clock=office.clock, new_id=lambda: "r0", code_editor=editor)
        await desk.code(request)
        assert editor.taken == taken
        assert len(office.inbox.listed()) == (not taken)
