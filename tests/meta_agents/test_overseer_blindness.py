"""What the Overseer cannot feel, it says; the rest it feels all the same, and blames rightly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from meta_agents.overseer import DOWN, Overseer
from meta_agents.overseer_alerts import HealthAlerts
from meta_agents.overseer_machine import BELIEVED_S, FOLDER, PROCESS, ClockSteps, MachineSense
from meta_agents.overseer_machine import Readings as Found
from meta_agents.overseer_senses import ServiceSense
from meta_agents.overseer_service import HealthService
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.fingerprints import fingerprint_of
from roboinvest.core.oversight.health import Status
from roboinvest.core.oversight.thresholds import CLOCK_OFF, Thresholds
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus
from tests.fakes.clocks import START, ManualClock

LIMITS = Thresholds(offline_s=60.0, least_calls=5)
WELL = {"memory_frac": 0.3, "cpu_frac": 0.1}


def card(name: str, *needs: str) -> AgentCard:
    return AgentCard(name=name, kind=AgentKind.DEPENDENCY, dependencies=needs)


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    with ThreadPoolExecutor(1) as pool:
        yield Threads(pool, InFlight())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def overseer(clock: ManualClock) -> Overseer:
    found = Overseer(clock, LIMITS)
    found.register_all((card(PROCESS), card(FOLDER), card("feed", PROCESS)))
    return found


class NoWard:
    """Takes what was found, and heals nothing."""

    def take(self, *_: object) -> None:
        """Take it."""


def service(
    overseer: Overseer, threads: Threads, folder: Path, heard: list[Event]
) -> HealthService:
    async def measure() -> None:
        """Measure nothing."""

    return HealthService(
        overseer,
        measure=measure,
        ward=NoWard(),
        alerts=HealthAlerts(heard.append),
        reports=folder,
        threads=threads,
        publish=heard.append,
    )


async def test_a_sense_that_raises_blinds_no_other_and_is_told_until_it_works(
    overseer: Overseer, threads: Threads, tmp_path: Path
) -> None:
    heard: list[Event] = []
    felt: list[float] = []
    bugs = [ZeroDivisionError("no pulse"), None]

    def broken(_at: float) -> None:
        error = bugs.pop(0) if bugs else None
        if error is not None:
            raise error

    overseer.sense(broken)
    overseer.sense(felt.append)
    health = service(overseer, threads, tmp_path, heard)
    found = await health.look_once()
    assert set(found.healths) == {PROCESS, FOLDER, "feed"}
    assert len(felt) == 1
    (told,) = heard
    assert isinstance(told, AlertRaised)
    assert told.key == "health.senses"
    assert "ZeroDivisionError" in told.message
    await health.look_once()
    assert isinstance(heard[-1], AlertResolved)
    assert (len(felt), len(heard)) == (2, 2)


async def test_a_look_that_is_cancelled_is_no_sense_that_failed(overseer: Overseer) -> None:
    overseer.sense(lambda _: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await overseer.look()


def sense(
    overseer: Overseer, clock: ManualClock, threads: Threads, read: Callable[[], Found]
) -> MachineSense:
    return MachineSense(overseer, clock, threads, read, lag_s=lambda: 0.0)


async def test_a_reading_that_is_no_number_is_left_out_and_named(
    overseer: Overseer, clock: ManualClock, threads: Threads
) -> None:
    def read() -> Found:
        return Found(
            process={"memory_frac": float("nan"), "open_files_frac": 0.2},
            folder={"disk_frac": 0.4},
            trouble=None,
        )

    machine = sense(overseer, clock, threads, read)
    with pytest.raises(BadInput, match="memory_frac of the machine reads nan"):
        await machine.take()
    now = clock.monotonic()
    names = {gauge.name for gauge in overseer.vitals(PROCESS).snapshot(now).gauges}
    assert "open_files_frac" in names
    assert "memory_frac" not in names
    assert overseer.vitals(FOLDER).snapshot(now).calls == 1


async def test_a_disk_that_does_not_answer_is_no_fault_of_the_process(
    overseer: Overseer, clock: ManualClock, threads: Threads
) -> None:
    def read() -> Found:
        raise TryLater("a look at the machine took more than 10 s")

    machine = sense(overseer, clock, threads, read)
    for _ in range(9):
        clock.advance(20.0)
        await machine.take()
    found = await overseer.look()
    assert found.healths[FOLDER].status in DOWN
    assert found.causes[FOLDER].cause is Cause.RESOURCE
    assert found.healths[PROCESS].status is Status.HEALTHY


async def test_a_clock_that_is_set_is_noticed_and_believed_after_a_day(
    overseer: Overseer, clock: ManualClock, threads: Threads
) -> None:
    steps = ClockSteps()
    assert steps.off_s(START, 0.0) == 0.0
    assert steps.off_s(START + timedelta(seconds=61), 60.0) == pytest.approx(1.0)
    ahead = timedelta(hours=3)
    assert steps.off_s(START + ahead, 120.0) > 10_000
    late = 120.0 + BELIEVED_S
    assert steps.off_s(START + ahead + timedelta(seconds=late), late) > 10_000
    assert steps.off_s(START + ahead + timedelta(seconds=late + 1), late + 1) < 200
    machine = sense(overseer, clock, threads, lambda: Found(process=WELL, folder={}, trouble=None))
    await machine.take()
    gauges = overseer.vitals(PROCESS).snapshot(clock.monotonic()).gauges
    assert {gauge.name: gauge.value for gauge in gauges}[CLOCK_OFF] == 0.0


def test_of_a_chain_that_begins_to_fail_the_root_is_named_at_the_first_look(
    clock: ManualClock,
) -> None:
    overseer = Overseer(clock, LIMITS)
    overseer.register_all((card("source"), card("reader", "source"), card("writer", "reader")))
    for name, error in (
        ("source", NameError("prise")),
        ("reader", TryLater("it is away")),
        ("writer", TryLater("it is away")),
    ):
        pulse = overseer.vitals(name)
        pulse.progressed(clock.monotonic())
        for number in range(20):
            if number % 2:
                pulse.succeeded(clock.monotonic(), 0.1)
            else:
                pulse.failed(clock.monotonic(), raised(error))
    found = asyncio.run(overseer.look())
    assert {each.status for each in found.healths.values()} == {Status.DEGRADED}
    assert found.roots == dict.fromkeys(("source", "reader", "writer"), "source")


def raised(error: Exception) -> str:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 whatever was handed in
        return fingerprint_of(caught)


def test_who_was_put_away_is_ill_of_what_it_was_before(clock: ManualClock) -> None:
    overseer = Overseer(clock, LIMITS)
    overseer.register_all((card("feed"), card("scout")))
    state = [ServiceState.RUNNING]

    def statuses() -> tuple[ServiceStatus, ...]:
        return tuple(
            ServiceStatus(
                name=name,
                state=state[0],
                essential=False,
                restarts=0,
                last_error=None,
                beats=0,
                last_beat_age_s=None,
            )
            for name in ("feed", "scout")
        )

    overseer.sense(ServiceSense(overseer, clock, statuses).feel)
    for _ in range(10):
        overseer.vitals("feed").failed(clock.monotonic(), raised(PermissionError(13, "denied")))
    assert asyncio.run(overseer.look()).causes["feed"].cause is Cause.CONFIGURATION
    state[0] = ServiceState.QUARANTINED
    for _ in range(3):
        clock.advance(1_200.0)
        found = asyncio.run(overseer.look())
        assert found.healths["feed"].status is Status.OFFLINE
        assert found.causes["feed"].cause is Cause.CONFIGURATION
    assert "scout" not in found.causes  # it was well when somebody put it away
