"""What the Overseer itself costs: a pass over ten thousand agents, each one's memory, and a month.

The pass is the product's own, from the senses' pulses to the report on disk, and beside it on the
same loop a probe comes round as often as it can: the longest time for which it could not is what
trading would have waited. The garbage collector is on, as the daemon sets it, and its pauses are in
every figure; beside them stands what there is without it.
The month is lived under virtual time, with every loop of the Overseer at its default pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks.figures import median, one_core
from benchmarks.health import STEPS, a_ward, a_watched_agent
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row
from meta_agents.healing_ward import HealthWard
from meta_agents.overseer import Overseer
from meta_agents.overseer_alerts import HealthAlerts
from meta_agents.overseer_service import HealthService
from roboinvest.core.events import Event, TickCompleted
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.spans import SpanKind
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.collector import Collector
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.telemetry import Telemetry
from tests.fakes.clocks import START, ManualClock
from tests.fakes.long_lives import Daemon, cadence_runs, life, meetings, report_days

FAMILY: Final = "overseer"
AGENTS: Final = 10_000
PASSES: Final = 5
DAYS: Final = 30
SERVICES: Final = 12  # that beat each minute, beside the one that trades
PASS: Final = Goal(limit=500)  # ms of CPU
BLOCKED: Final = Goal(limit=20)  # ms
WEIGHT: Final = Goal(limit=10)  # KB
MONTH: Final = Goal(limit=180)  # s
_KB: Final = 1000
_SPIN_S: Final = 5e-5  # a turn of the loop in which nobody had anything to do is shorter
_SEED: Final = 20260105


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass over everybody cost."""

    cpu_ms: float  # of the process, without the probe
    hold_ms: float  # the longest time for which nobody else on the loop had a turn, wall
    busy_ms: float  # the same in CPU of the process, all threads: a busy machine adds nothing to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What a stretch of a house's life came to."""

    wall_s: float
    cpu_s: float
    health: int
    healing: int
    reviews: int
    meetings: int
    reports: int
    alerts: int


class MachineClock(ManualClock):
    """A wall clock that a test sets, and intervals that are real: holds are measured by them."""

    def monotonic(self) -> float:
        """Return the seconds that the set time and the machine's together make."""
        return super().monotonic() + time.perf_counter()


def rows(folder: Path) -> list[Row]:
    """Return the figures of this family."""
    with scratch(folder) as home, one_core():
        weight_kb = measure_weight_kb(AGENTS // 10)
        looks = measure_passes(home, AGENTS, whole=False)
        passes = measure_passes(home, AGENTS, whole=True)
        with without_collector():
            apart = measure_passes(home, AGENTS, whole=True)
        failing = measure_passes(home, AGENTS, whole=True, failing=AGENTS // 10)
        month = live_through(home / "month", DAYS)  # two cores hand the interpreter to and fro
    agents = f"{AGENTS:,} registered agents"
    kept = f"{agents}, told and written to health.json as well"
    broken = f"{AGENTS // 10:,} of {AGENTS:,} agents failing"
    counted = (
        f"CPU {month.cpu_s:.0f} s; {month.health:,} health, {month.healing:,} healing, "
        f"{month.reviews} reviews, {month.meetings} meetings, {month.reports} reports, "
        f"{month.alerts} alerts"
    )

    def cpu(found: list[Pass]) -> float:
        return median([each.cpu_ms for each in found])

    def busy(found: list[Pass]) -> float:
        return max(each.busy_ms for each in found)

    return [
        _row("a look at everybody, CPU", cpu(looks), "ms", agents, PASS),
        _row("a whole health pass, CPU", cpu(passes), "ms", kept, PASS),
        _row("its longest hold of the loop", busy(passes), "ms", _held(passes, "with"), BLOCKED),
        _row("the same", busy(apart), "ms", _held(apart, "without")),
        _row("a pass among failures, CPU", cpu(failing), "ms", broken, PASS),
        _row("its longest hold of the loop", busy(failing), "ms", _held(failing, "with"), BLOCKED),
        _row("memory of an agent", weight_kb, "KB", "card, pulse and last finding", WEIGHT),
        _row(f"{DAYS} days with the Overseer on", month.wall_s, "s", counted, MONTH, n=1),
    ]


def _held(found: list[Pass], how: str) -> str:
    wall = max(each.hold_ms for each in found)
    return f"CPU, the worst of all passes, {how} the collector; {wall:.0f} ms wall on this machine"


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Let nobody collect meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def an_overseer(agents: int, clock: MachineClock) -> Overseer:
    """Return an Overseer of agents that have an hour of work behind them."""
    overseer, ward = Overseer(clock, Thresholds()), a_ward(agents)
    overseer.register_all(ward.cards)
    began = clock.monotonic()
    chance = random.Random(_SEED)
    for card in ward.cards:
        vitals = overseer.vitals(card.name)
        at = began
        for step in range(STEPS):
            at = began + 60.0 * step
            vitals.progressed(at)
            vitals.succeeded(at, chance.lognormvariate(-1.0, 0.5))
            for name in ("memory_frac", "loop_lag_s", "queue"):
                vitals.gauge(name, chance.uniform(0.0, 0.2), at)
            vitals.counter("insights", 1.0, at)
    clock.advance(60.0 * STEPS)
    return overseer


def measure_passes(
    folder: Path, agents: int, *, whole: bool, failing: int = 0, passes: int = PASSES
) -> list[Pass]:
    """Return what each pass cost, after one that is not counted.

    Args:
        folder: of the report.
        agents: how many are watched.
        whole: from the pulses to the report, and not the look alone.
        failing: how many of them fail.
        passes: how many are counted.
    """

    async def run() -> list[Pass]:
        clock = MachineClock()
        overseer = an_overseer(agents, clock)
        with ThreadPoolExecutor(1) as pool, Collector() as collector:
            service = _service(overseer, clock, Threads(pool, InFlight()), folder)
            work: Callable[[], Awaitable[object]] = service.look_once if whole else overseer.look
            found = []
            for number in range(passes + 1):
                clock.advance(60.0)
                _work_a_minute(overseer, clock.monotonic(), agents, failing)
                found.append(await _measured(work))
                if number == 0:
                    collector.settle()  # as the daemon does, once everybody is there
            return found[1:]

    return asyncio.run(run())


def _work_a_minute(overseer: Overseer, at: float, agents: int, failing: int) -> None:
    chance = random.Random(at)
    for number in range(agents):
        vitals = overseer.vitals(f"agent {number}")
        vitals.progressed(at)
        vitals.succeeded(at, chance.lognormvariate(-1.0, 0.5))
        for name in ("memory_frac", "loop_lag_s", "queue"):
            vitals.gauge(name, chance.uniform(0.0, 0.2), at)
        vitals.counter("insights", 1.0, at)
        for _ in range(20 if number < failing else 0):
            vitals.failed(at, "TryLater at port.py:12", 1.0)


async def _measured(work: Callable[[], Awaitable[object]]) -> Pass:
    walls, cpus, own = [0.0], [0.0], 0.0

    async def probe() -> None:
        nonlocal own
        wall, cpu = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(0)
            now, spent = time.perf_counter(), time.process_time()
            walls.append(now - wall)
            cpus.append(spent - cpu)
            wall, cpu = time.perf_counter(), time.process_time()
            own += cpu - spent

    async with asyncio.TaskGroup() as group:
        probing = group.create_task(probe())
        await asyncio.sleep(0)
        cpu = time.process_time()
        await work()
        spent = time.process_time() - cpu
        await asyncio.sleep(0)
        probing.cancel()
    # Turns in which nobody did anything were the loop spinning round the probe.
    own += sum(each for each in cpus if each < _SPIN_S)
    return Pass(cpu_ms=(spent - own) * 1000, hold_ms=max(walls) * 1000, busy_ms=max(cpus) * 1000)


def _service(
    overseer: Overseer, clock: MachineClock, threads: Threads, folder: Path
) -> HealthService:
    async def measure() -> None:
        """Feel nobody: the pulses are felt already."""

    def publish(event: Event) -> None:
        """Tell nobody."""

    return HealthService(
        overseer,
        measure=measure,
        ward=HealthWard(clock, Thresholds(), lambda _: frozenset()),
        alerts=HealthAlerts(publish),
        reports=folder,
        threads=threads,
        publish=publish,
    )


def measure_weight_kb(agents: int) -> float:
    """Return the memory of one agent: its card, its pulse, and what the last look found."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        overseer, chance = Overseer(ManualClock(), Thresholds()), random.Random(_SEED)
        for number in range(agents):
            needs = tuple({f"agent {chance.randrange(number)}" for _ in range(3)} if number else ())
            name = f"agent {number}"
            overseer.register_all(
                [AgentCard(name=name, kind=AgentKind.GENERATED, dependencies=needs)]
            )
            overseer._vitals[name] = a_watched_agent(chance)
        asyncio.run(overseer.look())
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / agents / _KB
    finally:
        tracemalloc.stop()


class Steady:
    """Beats each minute."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, ctx: ServiceContext) -> None:
        """Beat until cancelled."""
        ctx.ready()
        async for _ in ctx.every(60.0):
            pass


class Floor:
    """Ticks each minute: notes the spans of the five agents, and says that it is done."""

    name = "trading"

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._chance = random.Random(_SEED)

    async def run(self, ctx: ServiceContext) -> None:
        """Tick until cancelled."""
        daemon, number = self._daemon, 0
        ctx.ready()
        async for _ in ctx.every(60.0):
            number += 1
            daemon.rows += 3
            ended = daemon.clock.monotonic()
            for node in ("world_monitor", "strategy_agent", "trade_executor", "budget_agent"):
                began = ended - self._chance.lognormvariate(-4.0, 0.4)
                daemon.oversight.spans.note(("trading", node, SpanKind.TIME), began, ended)
            now = daemon.clock.now()
            daemon.bus.publish(TickCompleted(at=now, tick_id=f"t{number}", tick_at=now))


def live_through(folder: Path, days: float) -> Month:
    """Return what so many days of a house cost, with every loop of the Overseer."""

    def furnish(daemon: Daemon) -> None:
        steady = tuple(Steady(f"service {number}") for number in range(SERVICES))
        daemon.others = (*steady, Floor(daemon))

    logs = Telemetry(DataFolder(folder).logs, clock=SystemClock(), level="info")
    logs.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        with Collector():
            daemon = life(folder, START, timedelta(days=days), furnish, settings={})
    finally:
        took = time.perf_counter() - wall, time.process_time() - cpu
        logs.close()
    return Month(
        wall_s=took[0],
        cpu_s=took[1],
        health=daemon.health_passes(),
        healing=daemon.healing_passes(),
        reviews=cadence_runs(folder, "performance review"),
        meetings=len(meetings(folder)),
        reports=len(report_days(folder)),
        alerts=len(daemon.raised()),
    )


def _row(
    what: str, figure: float, unit: str, compared: str, goal: Goal | None = None, *, n: int = PASSES
) -> Row:
    return Row(
        family=FAMILY,
        what=what,
        figure=figure,
        unit=unit,
        n=n,
        goal=goal,
        compared=compared,
    )
