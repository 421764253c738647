"""The keeper tells people what waits and what happens by itself, and sweeps what time has done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.approvals import ProposalState
from roboinvest.core.events import Severity
from roboinvest.core.proposals import ProposalKind
from roboinvest.core.revisions.lifecycle import State
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.upkeep.standing import UpkeepState
from tests.fakes.clocks import ManualClock
from tests.fakes.governance import a_proposal
from tests.fakes.revisions import AGENT, MACHINE, PERSON, AgentHouse, an_artifact
from tests.fakes.services import context
from tests.fakes.upkeep import KeptHouse, LoopsClock, a_schedule, kept, lived_in
from tests.fakes.virtual_time import run_virtual

HOUR_S = 3600.0
Lives = tuple[AgentHouse, Inbox]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lives(tmp_path: Path, clock: ManualClock) -> Iterator[Lives]:
    with lived_in(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> Iterator[KeptHouse]:
    with kept(tmp_path, clock) as opened:
        yield opened


async def test_a_house_in_which_nothing_was_proposed_is_well_and_gets_no_file(
    house: KeptHouse,
) -> None:
    await house.keeper.look(whole=True)
    found = house.keeper.standing()
    assert (found.state, found.rows, found.is_whole) == (UpkeepState.KEPT, 0, True)
    assert house.told == []
    assert list(house.data.iterdir()) == []


async def test_what_needs_nobodys_yes_is_told_with_its_hour_and_how_to_say_no(
    house: KeptHouse, lives: Lives, clock: ManualClock
) -> None:
    lives[1].propose(a_schedule())
    await house.keeper.look(whole=True)
    notice = house.alerts()["notice.p0"]
    assert notice.severity is Severity.LOW
    for part in ("steward", "schedule of track-0", "2026-01-05 15:30 UTC", "unless"):
        assert part in notice.message
    assert "roboinvest approvals reject p0" in notice.message
    assert house.keeper.standing().waiting == {"L1": 1}
    clock.advance(HOUR_S - 1)
    await house.keeper.look(whole=False)
    assert lives[1].get("p0").state is ProposalState.OPEN
    clock.advance(1)
    await house.keeper.look(whole=False)
    assert lives[1].get("p0").state is ProposalState.APPROVED
    assert [row.entry.kind for row in lives[0].file.rows()][-1] == "proposal.approved"
    assert house.alerts() == {}
    assert house.raised("notice.p0") == 1


async def test_a_veto_within_the_hour_ends_the_notice_and_nothing_comes_into_force(
    house: KeptHouse, lives: Lives, clock: ManualClock
) -> None:
    lives[1].propose(a_schedule())
    await house.keeper.look(whole=True)
    lives[1].reject("p0", by="ada", reason="hourly is needed")
    clock.advance(2 * HOUR_S)
    await house.keeper.look(whole=False)
    assert lives[1].get("p0").state is ProposalState.REJECTED
    assert house.alerts() == {}


async def test_what_needs_a_person_asks_once_until_it_is_decided_or_over(
    house: KeptHouse, lives: Lives, clock: ManualClock
) -> None:
    for number in (0, 1):
        lives[1].propose(a_proposal(number))
    for _ in range(5):
        await house.keeper.look(whole=False)
        clock.advance(60)
    question = house.alerts()["question.p0"]
    assert question.severity is Severity.MEDIUM
    assert "it waits for a person until 2026-01-08 14:30 UTC" in question.message
    assert "roboinvest approvals show p0" in question.message
    assert house.raised("question.p0") == house.raised("question.p1") == 1
    assert house.keeper.standing().waiting == {"L3": 2}
    lives[1].approve("p0", a_proposal(0).digest, by="ada")
    await house.keeper.look(whole=False)
    assert set(house.alerts()) == {"question.p1"}
    clock.advance(3 * 24 * HOUR_S)
    await house.keeper.look(whole=False)
    assert house.alerts() == {}
    assert lives[0].file.rows()[-1].entry.kind == "proposal.expired"


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("strategy-dip@2/fix", "agent.strategy dip@2"),
        ("feed/fix", "service.feed"),
        ("WorldMonitorAgent/fix", "agent.WorldMonitorAgent"),
        ("somebody/fix", None),
        ("well-known", None),
    ],
)
async def test_a_request_about_an_agent_that_is_not_well_follows_from_that_agents_alert(
    house: KeptHouse, lives: Lives, subject: str, key: str | None
) -> None:
    house.open_keys = (
        *("agent.strategy dip@2", "service.feed", "heal.WorldMonitorAgent"),
        *("agent.WorldMonitorAgent", "data.well-known", "governance.question.p9"),
    )
    fix: dict[str, Any] = {
        "kind": ProposalKind.REFINEMENT,
        "subject": subject,
        "before": None,
        "undo": "reject",
    }
    lives[1].propose(a_proposal(**fix, after='{"work":"fix"}'))
    await house.keeper.look(whole=False)
    assert house.alerts()["question.p0"].caused_by == key


async def test_another_version_is_told_anew(house: KeptHouse, lives: Lives) -> None:
    filed = lives[1].propose(a_proposal())
    await house.keeper.look(whole=True)
    lives[1].edit("p0", filed.proposal.digest, a_proposal(after='"7"'), by="ada")
    await house.keeper.look(whole=False)
    assert set(house.alerts()) == {"question.p0@2"}


async def test_a_flood_of_questions_is_told_by_its_number(house: KeptHouse, lives: Lives) -> None:
    for number in range(23):
        lives[1].propose(a_proposal(number, who=f"agent-{number}"))
    await house.keeper.look(whole=True)
    assert len(house.alerts()) == 21
    assert "3 proposals more wait for a person" in house.alerts()["question.the_rest"].message


async def test_what_an_earlier_run_left_open_is_not_raised_again_and_ends_with_its_cause(
    tmp_path: Path, clock: ManualClock, lives: Lives
) -> None:
    lives[1].propose(a_proposal())
    left = ("question.p0", "question.p9", "audit.broken")
    with kept(tmp_path, clock, left_open=left) as house:
        await house.keeper.look(whole=True)
        assert [event.key for event in house.told] == [  # type: ignore[attr-defined]
            "governance.audit.broken",
            "governance.question.p9",
        ]
        assert house.alerts() == {}


async def test_orphans_of_killed_processes_are_swept_and_what_is_known_stays(
    house: KeptHouse, lives: Lives, logged: list[MutableMapping[str, Any]]
) -> None:
    revision = lives[0].installed(an_artifact(1))
    orphan = lives[0].folders.root / AGENT / ("0" * 64)
    orphan.mkdir()
    (orphan / "half").write_text("a file")
    await house.keeper.look(whole=True)
    assert not orphan.exists()
    assert lives[0].store.read(AGENT, revision.revision_id).files
    assert any(line["event"] == "orphans_swept" for line in logged)


async def test_a_quarantine_is_shown_and_no_round_ever_ends_it(
    house: KeptHouse, lives: Lives, clock: ManualClock
) -> None:
    for number, who in ((1, PERSON), (2, MACHINE)):
        revision = lives[0].installed(an_artifact(number, agent=f"agent-{number}"))
        lives[0].desk.quarantine(f"agent-{number}", revision.revision_id, who)
    for _ in range(60):
        await house.keeper.look(whole=True)
        clock.advance(24 * HOUR_S)
    assert house.keeper.standing().quarantined == ("agent-1", "agent-2")
    found = lives[0].store.read_book(lambda book: book.revisions())
    assert {each.state for each in found} == {State.QUARANTINED}


async def test_where_the_log_stands_is_left_in_the_daemons_own_log_once(
    house: KeptHouse, lives: Lives, logged: list[MutableMapping[str, Any]]
) -> None:
    lives[1].propose(a_proposal())
    for _ in range(3):
        await house.keeper.look(whole=False)
    number, digest = lives[0].file.head()
    told = [line for line in logged if line["event"] == "audit_anchor"]
    assert [(line["number"], line["digest"]) for line in told] == [(number, digest)]


def test_the_service_is_ready_before_it_looks_and_goes_round_by_its_schedule(
    tmp_path: Path,
) -> None:
    in_flight = InFlight()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = LoopsClock(loop)
        with kept(tmp_path, clock, in_flight=in_flight) as house:
            ctx = context("governance")
            running = asyncio.ensure_future(house.keeper.run(ctx))
            await asyncio.sleep(0)
            assert ctx.is_ready
            assert house.keeper.standing().state is UpkeepState.STARTING
            with lived_in(tmp_path, ManualClock()) as (_, inbox):
                inbox.propose(a_schedule())
            await asyncio.sleep(61)
            assert set(house.alerts()) == {"notice.p0"}
            await asyncio.sleep(HOUR_S)
            assert house.alerts() == {}
            assert ctx.hung_at() is not None
            assert loop.time() < (ctx.hung_at() or 0)
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled()

    run_virtual(main, in_flight)


def test_a_long_wait_between_two_rounds_is_no_hang(tmp_path: Path) -> None:
    in_flight = InFlight()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with kept(tmp_path, LoopsClock(loop), in_flight=in_flight, every_s=HOUR_S) as house:
            ctx = context("governance")
            running = asyncio.ensure_future(house.keeper.run(ctx))
            for _ in range(12):
                await asyncio.sleep(600)
                assert (ctx.hung_at() or 0) > loop.time()
            running.cancel()
            await asyncio.wait([running])

    run_virtual(main, in_flight)
