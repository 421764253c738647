"""A real supervisor, real vital signs and the Healer beside each other, under virtual time."""

from __future__ import annotations

import asyncio
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from meta_agents.healing import Healer
from meta_agents.healing_ports import HealPort, Restarts
from meta_agents.healing_ward import HealthWard
from roboinvest.core.errors import BadSettings
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.causes import Cause, Diagnosis
from roboinvest.core.oversight.healing_record import Rung, Verdict
from roboinvest.core.oversight.health import AgentHealth, judge
from roboinvest.core.oversight.ladder import Trait
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group, ServiceContext, ServiceState
from roboinvest.runtime.supervision.supervisor import Supervisor
from tests.fakes.clocks import LoopClock
from tests.fakes.healing import FakeJournal
from tests.fakes.services import Ticking
from tests.fakes.virtual_time import run_virtual

LIMITS = Thresholds()
CARD = AgentCard(name="feed", kind=AgentKind.SERVICE)
OWN = Diagnosis(cause=Cause.OWN_CODE, reason="its own code raised", rule="own code raises")


class Feed:
    """Calls somebody every 5 s; from `breaks_s` on each call fails, until it is started again."""

    name = "feed"

    def __init__(self, breaks_s: float, *, stays_broken: bool) -> None:
        self.vitals = Vitals(0.0)
        self.runs = 0
        self._breaks_s = breaks_s
        self._stays_broken = stays_broken

    async def run(self, ctx: ServiceContext) -> None:
        """Call until cancelled."""
        loop = asyncio.get_running_loop()
        self.runs += 1
        async for _ in ctx.every(5.0):
            now = loop.time()
            self.vitals.progressed(now)
            is_broken = now >= self._breaks_s and (self.runs == 1 or self._stays_broken)
            if is_broken:
                self.vitals.failed(now, "KeyError")
            else:
                self.vitals.succeeded(now, 0.1)


class HealthPasses:
    """Judges the feed every minute."""

    name = "health"

    def __init__(self, feed: Feed, ward: HealthWard, clock: LoopClock) -> None:
        self._feed, self._ward, self._clock = feed, ward, clock
        self._health: AgentHealth | None = None

    async def run(self, ctx: ServiceContext) -> None:
        """Judge until cancelled."""
        async for _ in ctx.every(60.0):
            now = self._clock.now()
            signs = self._feed.vitals.snapshot(asyncio.get_running_loop().time())
            self._health = judge(CARD, signs, LIMITS, now, self._health)
            self._ward.take(now, {"feed": self._health}, {"feed": OWN}, {})


def lived(
    folder: Path, *, stays_broken: bool, hours: float
) -> tuple[Feed, Ticking, list[tuple[Rung, Verdict | None]]]:
    """Let a house live; return the feed, a neighbour, and what healing did."""
    in_flight = InFlight()
    feed, neighbour = Feed(3_600.0, stays_broken=stays_broken), Ticking("neighbour")
    rows: list[tuple[Rung, Verdict | None]] = []

    async def main() -> None:
        clock = LoopClock()
        ward = HealthWard(clock, LIMITS, lambda name: frozenset({Trait.SUPERVISED}))
        numbers = itertools.count()
        with ThreadPoolExecutor(1) as pool, OverseerFile.open(folder / FILE_NAME) as file:
            attempts = HealAttempts(file)
            trees: list[Supervisor] = []
            ports: dict[Rung, HealPort] = {Rung.RESTART: Restarts(lambda: trees[0])}
            healer = Healer(
                ward,
                ports,
                attempts,
                journal=FakeJournal(),
                threads=Threads(pool, in_flight),
                clock=clock,
                new_id=lambda: f"heal-{next(numbers)}",
                publish=lambda event: None,
            )
            services = (neighbour, feed, HealthPasses(feed, ward, clock), healer)
            tree = Supervisor(
                [Group(children=tuple(Child(service=each, patience_s=60.0) for each in services))],
                clock=clock,
                rng=random.Random(1),
                publish=lambda event: None,
                limits=RestartLimits(),
            )
            trees.append(tree)
            async with asyncio.TaskGroup() as group:
                house = group.create_task(tree.run())
                await asyncio.sleep(hours * 3_600)
                assert {each.state for each in tree.statuses()} == {ServiceState.RUNNING}
                house.cancel()
            found = reversed(attempts.newest(1000))
            rows.extend((each.rung, each.verdict) for each in found)

    run_virtual(main, in_flight)
    return feed, neighbour, rows


def test_an_agent_whose_calls_fail_is_restarted_and_measured_as_well(tmp_path: Path) -> None:
    feed, neighbour, rows = lived(tmp_path, stays_broken=False, hours=3)
    assert rows == [(Rung.RESTART, Verdict.HEALED)]
    assert feed.runs == 2
    assert len(neighbour.ticks) == pytest.approx(3 * 360, abs=2)


def test_a_restart_that_helps_nothing_is_not_called_a_heal(tmp_path: Path) -> None:
    feed, neighbour, rows = lived(tmp_path, stays_broken=True, hours=3)
    assert rows[0] == (Rung.RESTART, Verdict.NOT_HEALED)
    assert (Rung.REVISION_ROLLBACK, Verdict.REFUSED) not in rows  # it runs no revision
    assert (Rung.QUARANTINE, Verdict.REFUSED) in rows  # nobody stands behind it here
    assert Verdict.HEALED not in [verdict for _, verdict in rows]
    assert feed.runs == 2
    assert len(neighbour.ticks) == pytest.approx(3 * 360, abs=2)


def test_a_file_that_cannot_be_opened_stops_healing_and_nobody_else(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 500)
    neighbour = Ticking("neighbour")

    class Opening:
        name = "healing"

        async def run(self, ctx: ServiceContext) -> None:
            with OverseerFile.open(tmp_path / FILE_NAME):
                raise AssertionError("it was opened")

    async def main() -> None:
        tree = Supervisor(
            [Group(children=(Child(service=Opening()), Child(service=neighbour)))],
            clock=LoopClock(),
            rng=random.Random(1),
            publish=lambda event: None,
            limits=RestartLimits(),
        )
        async with asyncio.TaskGroup() as group:
            house = group.create_task(tree.run())
            await asyncio.sleep(3_600)
            states = {each.name: each.state for each in tree.statuses()}
            assert states == {
                "healing": ServiceState.QUARANTINED,
                "neighbour": ServiceState.RUNNING,
            }
            errors = {each.name: each.last_error for each in tree.statuses()}
            assert BadSettings.__name__ in str(errors["healing"])
            house.cancel()

    run_virtual(main)
    assert len(neighbour.ticks) == pytest.approx(360, abs=2)
