"""A strategy meant as an agent's active revision follows its alias between ticks, or says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.app.strategies import installed_of
from roboinvest.app.succession import Succession
from roboinvest.core.errors import BadInput
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.orders import Action
from roboinvest.core.revisions.lifecycle import Revision, State
from roboinvest.core.strategy import EquityShare, Execution, Moment, Percent, Plan
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.installed_strategy_seat import Seat
from tests.fakes.clocks import ManualClock
from tests.fakes.revisions import AGENT, PERSON, AgentHouse, agent_house, an_artifact
from tests.fakes.strategy_files import CROSSING
from tests.fakes.town import Town, run_life
from tests.fakes.worlds import invented
from tools.boxed_strategies.shelf import StrategyShelf
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import Detection, detect

HOW = Execution(size=EquityShare(0.1), stop=Percent(0.02))


def plan_of(scan: Callable[[Moment], bool]) -> Plan:
    return Plan(columns={}, scan=scan, execution=HOW)


def mine(revision: Revision | str = "", scan: Callable[[Moment], bool] | None = None) -> Installed:
    digits = revision if isinstance(revision, str) else revision.short
    return Installed(stamp="dip@2", plan=plan_of(scan or (lambda _: False)), revision=digits)


@dataclass
class Following:
    """A house of revisions, a strategy that goes along, and what was told."""

    house: AgentHouse
    installed: Installed
    seat: Seat[Installed]
    service: Succession
    refuses: dict[str, str]  # revisions that cannot be loaded, and why
    told: list[Event] = field(default_factory=list)

    async def decides(self) -> str:
        """Look once, and return the source of the next decision, or why there is none."""
        await self.service.look()
        return self.seat.vacant or self.installed.current.source

    def open(self) -> dict[str, str]:
        """Return the alerts that are open."""
        found: dict[str, str] = {}
        for event in self.told:
            if isinstance(event, AlertRaised):
                found[event.key] = event.message
            elif isinstance(event, AlertResolved):
                del found[event.key]
        return found


@asynccontextmanager
async def following(data: Path) -> AsyncIterator[tuple[Following, Revision, Revision]]:
    """Install two revisions, the first of them active and in its seat."""
    clock = ManualClock()
    calls = VendorCalls("strategies", threads=1, limiter=None, in_flight=InFlight())
    with agent_house(data, clock) as house:
        first = house.installed(an_artifact(1))
        house.activate(first)
        clock.advance(86_400.0)
        second = house.installed(an_artifact(2), first.revision_id)
        refuses: dict[str, str] = {}

        def load(digits: str) -> Installed:
            if digits in refuses:
                raise BadInput(refuses[digits])
            return mine(digits)

        seat = Seat(agent=AGENT, load=load)
        installed = replace(mine(first), seat=seat)
        told: list[Event] = []
        service = Succession(installed, seat, data, calls, publish=told.append, clock=clock)
        try:
            yield Following(house, installed, seat, service, refuses, told), first, second
        finally:
            calls.close()


async def test_it_goes_to_what_is_activated_and_back_with_a_rollback(tmp_path: Path) -> None:
    async with following(tmp_path) as (place, first, second):
        assert await place.decides() == f"strategy:dip@2+{first.short}"
        place.house.activate(second)
        assert await place.decides() == f"strategy:dip@2+{second.short}"
        place.house.desk.rollback(AGENT, place.house.sequence(), PERSON)
        assert await place.decides() == f"strategy:dip@2+{first.short}"
        assert place.told == []


async def test_one_in_quarantine_without_another_decides_nothing_until_there_is_one(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as (place, first, second):
        place.house.desk.quarantine(AGENT, first.revision_id, PERSON)
        said = await place.decides()
        assert f"revision {first.short} of {AGENT} is in quarantine" in said
        assert "nothing is entered" in said
        assert place.open() == {f"strategy.{AGENT}": said}
        assert await place.decides() == said
        place.house.activate(second)
        assert await place.decides() == f"strategy:dip@2+{second.short}"
        assert place.open() == {}
        assert len(place.told) == 2


async def test_what_cannot_be_loaded_leaves_the_old_one_and_is_told_until_it_can(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as (place, first, second):
        place.refuses[second.short] = "it has no code"
        place.house.activate(second)
        for _ in range(3):
            assert await place.decides() == f"strategy:dip@2+{first.short}"
        ((key, text),) = place.open().items()
        assert key == f"strategy.{AGENT}@{second.short}"
        assert f"revision {second.short}, which cannot be loaded (it has no code)" in text
        assert f"strategy:dip@2+{first.short} goes on deciding" in text
        place.refuses.clear()
        assert await place.decides() == f"strategy:dip@2+{second.short}"
        assert place.open() == {}


async def test_an_old_one_in_quarantine_does_not_go_on_because_the_new_one_is_broken(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as (place, first, second):
        place.house.activate(second)
        place.refuses[second.short] = "it has no code"
        place.house.desk.quarantine(AGENT, first.revision_id, PERSON)
        assert place.house.now(first).state is State.QUARANTINED
        assert f"{first.short} of {AGENT} is in quarantine" in await place.decides()
        assert "nothing is entered" in next(iter(place.open().values()))


async def test_a_governance_file_that_is_away_moves_nothing(tmp_path: Path) -> None:
    async with following(tmp_path) as (place, first, second):
        place.house.activate(second)
        for each in (tmp_path / "governance.db").parent.glob("governance.db*"):
            each.rename(each.with_name(f"away-{each.name}"))
        assert await place.decides() == f"strategy:dip@2+{first.short}"
        assert place.told == []


def test_a_tick_is_decided_by_one_of_them_alone_and_a_vacant_seat_holds(tmp_path: Path) -> None:
    first, second = "1" * 12, "2" * 12
    seat: Seat[Installed] = Seat(agent=AGENT, load=mine)
    asked: list[str] = []

    def asks(digits: str) -> Callable[[Moment], bool]:
        def scan(now: Moment) -> bool:
            asked.append(digits)
            if len(asked) == 3:  # within a tick, after the first symbol
                seat.take(mine(second, asks(second)))
            if len(asked) == 8:
                seat.vacant = "its revision is in quarantine"
            return False

        return scan

    market = invented(7, ("AAA", "BBB"), minutes=15, sessions=1, history=1)
    town = Town(market=market, folder=tmp_path)
    town.installed = replace(mine(first, asks(first)), seat=seat)
    town.until = market.starts_at + timedelta(minutes=8)
    run_life(town)
    sources = [{d.source for d in state["strategy"].decisions} for state in town.states]
    assert all(len(each) == 1 for each in sources)
    assert asked == [first] * 4 + [second] * 4
    held = [d for state in town.states[-3:] for d in state["strategy"].decisions]
    assert {d.action for d in held} == {Action.HOLD}
    assert all("its revision is in quarantine" in d.summary for d in held)
    asks_of_held = [state["strategy"].asks for state in town.states[-3:]]
    assert [each is not None and each.failed for each in asks_of_held] == [0, 0, 0]


@pytest.mark.parametrize(
    ("named", "speed", "goes_along"),
    [
        ("agent:scout", 1.0, True),
        ("agent:scout@{digits}", 1.0, False),  # chosen for good
        ("agent:scout", None, False),  # at full speed
    ],
)
def test_only_the_active_revision_in_a_run_in_time_goes_along(
    tmp_path: Path, named: str, speed: float | None, goes_along: bool
) -> None:
    found = Detection(tier=Tier.B, reason="limits hold", refused={})
    if not detect().tier.runs_jobs:
        pytest.skip("no box here")
    clock = ManualClock()
    with agent_house(tmp_path, clock) as house:
        one = house.installed(an_artifact(code=CROSSING))
        house.activate(one)
        clock.advance(86_400.0)
        other = house.installed(
            an_artifact(code=CROSSING.replace("Percent(0.05)", "Percent(0.04)"))
        )
        renamed = house.installed(an_artifact(code=CROSSING.replace('"over_the_mean"', '"other"')))
    market = replace(invented(3), speed=speed, mode="simulation")
    settings = load_settings(None, {}, {"strategy.name": named.format(digits=one.short)})
    calls = VendorCalls("the box", threads=1, limiter=None, in_flight=InFlight())
    with StrategyShelf(tmp_path, clock, detects=lambda: found, workers=1) as shelf:
        installed = installed_of(settings, market, shelf, calls)
        calls.close()
        assert installed is not None
        assert (installed.seat is not None) is goes_along
        if installed.seat is None:
            return
        successor = installed.seat.load(other.short)
        assert successor.source == f"strategy:over_the_mean@3+{other.short}"
        assert successor.plan is not installed.plan
        with pytest.raises(BadInput, match="it is the strategy other@3, and this run is by"):
            installed.seat.load(renamed.short)
