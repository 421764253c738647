"""The ports on prompts, revisions, the inbox and the audit log, with the real files behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from meta_agents.delegations import Delegations, InboxInThreads
from meta_agents.healing_governed import (
    CodeProposals,
    HealJournal,
    PromptRollbacks,
    Quarantines,
    RevisionRollbacks,
)
from meta_agents.healing_ports import Order
from roboinvest.core.errors import Refused
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import ActionEnd, Rung
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.core.revisions.lifecycle import Revision, State
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.revisions.opening import Revisions
from roboinvest.runtime.supervision.service import ServiceStatus
from tests.fakes.clocks import START
from tests.fakes.governance import bureau
from tests.fakes.prompts import NAME, PromptPlace, a_prompt, cause
from tests.fakes.revisions import AGENT, AgentHouse, agent_house, an_artifact


def order(rung: Rung, agent: str = AGENT, attempt_id: str = "heal-1") -> Order:
    return Order(
        attempt_id=attempt_id,
        agent=agent,
        cause=Cause.OWN_CODE,
        rung=rung,
        reason="it raised 9 times",
        at=START,
    )


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    with ThreadPoolExecutor(1) as pool:
        yield Threads(pool, InFlight())


class NoServices:
    """A supervisor that keeps nothing."""

    def restart(self, name: str) -> None:
        """Nothing."""

    def quarantine(self, name: str) -> None:
        """Nothing."""

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return none."""
        return ()


def revisions_of(house: AgentHouse) -> Revisions:
    return Revisions(file=house.file, folders=house.folders, store=house.store, desk=house.desk)


def two_revisions(house: AgentHouse, agent: str = AGENT) -> tuple[Revision, Revision]:
    """Bring two revisions of an agent into force, one after the other."""
    first = house.installed(an_artifact(1, agent=agent))
    house.activate(first)
    house.clock.advance(3600)
    second = house.installed(an_artifact(2, agent=agent), first.revision_id)
    house.activate(second)
    return first, second


async def test_a_revision_goes_one_step_back_and_twice_under_one_id_is_once(
    tmp_path: Path, threads: Threads
) -> None:
    with agent_house(tmp_path) as house:
        first, second = two_revisions(house)
        port = RevisionRollbacks(revisions_of(house), threads)
        wanted = order(Rung.REVISION_ROLLBACK)
        assert await port.refusal(wanted) is None
        assert await port.happened(wanted) is False
        text = await port.act(wanted)
        assert text == f"scout went back from {second.short} to {first.short}"
        assert house.active() == first.revision_id
        assert await port.happened(wanted) is True
        moves = house.sequence()
        assert await port.act(wanted) == text  # after a kill, say
        assert house.sequence() == moves
        again = order(Rung.REVISION_ROLLBACK, attempt_id="heal-2")
        assert "nothing to go back to" in str(await port.refusal(again))
        with pytest.raises(Refused, match="nothing to go back to"):
            await port.act(again)
        assert "healer" in {row.entry.who for row in house.file.rows()}


async def test_a_revision_is_put_away_and_a_storm_freezes_that(
    tmp_path: Path, threads: Threads
) -> None:
    with agent_house(tmp_path) as house:
        agents = [f"scout-{number}" for number in range(4)]
        for number, agent in enumerate(agents):
            house.activate(house.installed(an_artifact(number, agent=agent)))
        limits = GovernorLimits(storm_agents=3, storm_frac=0.5)
        port = Quarantines(NoServices, threads, revisions_of(house), limits=limits)
        for agent in agents[:3]:
            wanted = order(Rung.QUARANTINE, agent)
            assert await port.refusal(wanted) is None, agent
            assert "is in quarantine" in await port.act(wanted)
            assert await port.happened(wanted) is True
            assert house.active(agent) is None
        refusal = await port.refusal(
            Order(
                attempt_id="heal-9",
                agent=agents[3],
                cause=Cause.OWN_CODE,
                rung=Rung.QUARANTINE,
                reason="it fails",
                at=house.clock.now(),
            )
        )
        assert "3 of 4 agents were put in quarantine within an hour" in str(refusal)
        states = house.store.read_book(lambda book: [each.state for each in book.revisions()])
        assert states.count(State.QUARANTINED) == 3


async def test_a_prompt_goes_one_step_back_and_says_who_moved_it(tmp_path: Path) -> None:
    place = PromptPlace(tmp_path)
    place.write(a_prompt())
    async with place.opened() as registry:
        first = registry.current(NAME)
        port = PromptRollbacks(registry, {AGENT: NAME})
        wanted = order(Rung.PROMPT_ROLLBACK)
        assert await port.refusal(wanted) is None
        with pytest.raises(Refused, match="nothing to go back to"):
            await port.act(wanted)
        await registry.propose(NAME, a_prompt(system="You decide at length."), cause())
        await registry.promote(NAME, cause())
        poisoned = registry.current(NAME)
        assert poisoned.version != first.version
        text = await port.act(wanted)
        assert f"from {poisoned.short}" in text
        assert registry.current(NAME).prompt.text == first.prompt.text
        assert await port.happened(wanted) is True
        nobody = await port.refusal(order(Rung.PROMPT_ROLLBACK, "nobody"))
        assert nobody == "nobody has no prompt in the registry"


async def test_code_is_asked_for_in_the_inbox_and_changed_by_nobody(
    tmp_path: Path, threads: Threads
) -> None:
    with bureau(tmp_path) as office:
        desk = Delegations(
            InboxInThreads(office.inbox, threads), clock=office.clock, new_id=lambda: "r0"
        )
        port, wanted = CodeProposals(desk), order(Rung.CODE_PROPOSAL)
        assert await port.refusal(wanted) is None
        assert await port.happened(wanted) is None
        text = await port.act(wanted)
        assert text.endswith("it waits in the inbox as heal-1")
        assert await port.happened(wanted) is True
        (filed,) = office.inbox.listed()
        assert filed.proposal.proposal_id == "heal-1"
        second = await port.act(order(Rung.CODE_PROPOSAL, attempt_id="heal-2"))
        assert second == "the same waits in the inbox as heal-1"
        office.inbox.reject("heal-1", by="ann", reason="no")
        with pytest.raises(Refused):
            await port.act(order(Rung.CODE_PROPOSAL, attempt_id="heal-3"))


async def test_the_audit_log_hears_of_a_change_before_and_after_it(
    tmp_path: Path, threads: Threads
) -> None:
    with bureau(tmp_path) as office:
        journal, wanted = HealJournal(office.file, threads), order(Rung.QUARANTINE)
        await journal.begun(wanted, "errors", 0.9)
        await journal.ended(wanted, ActionEnd.HUNG, "it did not return")
        rows = [row.entry for row in office.file.rows()]
        assert [row.kind for row in rows] == ["heal.quarantine_begun", "heal.quarantine_ended"]
        assert {row.subject for row in rows} == {AGENT}
        assert {row.who for row in rows} == {"healer"}
        assert '"end":"hung"' in str(rows[1].after).replace(" ", "")
        assert rows[0].undo == "roboinvest agents release, or restart the daemon"
        assert verify(office.path).is_whole
