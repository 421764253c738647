"""A small house under a real supervisor, bus, board and Overseer, in which faults can be planted.

Services, agents, market data, models and the machine are invented, and misbehave on demand. What
watches, judges, raises alerts and heals is the product's own composition.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from meta_agents.overseer_machine import Readings
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.overseer import Oversight
from roboinvest.app.roster import NODES
from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Asks,
    Event,
    ServiceFailed,
    TickCompleted,
)
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.oversight.fingerprints import fingerprint_of
from roboinvest.core.oversight.spans import SpanKind
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.keeper import AlertKeeper
from roboinvest.runtime.alerting.values import AlertChange, Change
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.fuse import Blown
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import (
    Child,
    Group,
    Restart,
    Service,
    ServiceContext,
    ServiceStatus,
)
from roboinvest.runtime.supervision.supervisor import HouseEnd, Supervisor
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tests.fakes.clocks import START, LoopClock
from tests.fakes.services import Ticking
from tests.fakes.virtual_time import run_virtual
from tests.fakes.worlds import invented

ASKS = 6  # of the model, a tick
NEIGHBOUR_S = 10.0
ASKED = replace(cast("Task[Any, Any]", STRATEGY_TASK), rule=lambda _: None)
Furnish = Callable[[Path, InFlight], AbstractAsyncContextManager[Mapping[str, Any]]]


class Patient:
    """A service that calls somebody every 5 s, and whose calls or run can be made to fail."""

    def __init__(self, world: World, name: str, needs: tuple[str, ...] = ()) -> None:
        self.name, self.needs = name, needs
        self.runs = 0
        self.call: Callable[[], object] | None = None  # raises what its calls fail with
        self.cured_by_restart = False
        self.start_hangs = False
        self.run_as: Callable[[ServiceContext], Awaitable[None]] | None = None
        self.takes_s = 0.1
        self._world = world

    async def run(self, ctx: ServiceContext) -> None:
        """Call until cancelled, or do what was planted."""
        self.runs += 1
        if self.cured_by_restart:
            self.call, self.cured_by_restart = None, False
        loop = asyncio.get_running_loop()
        if self.start_hangs:
            await asyncio.Event().wait()
        ctx.ready()
        async for _ in ctx.every(5.0):
            if self.run_as is not None:
                await self.run_as(ctx)
                return
            pulse = self._world.oversight.overseer.pulse(self.name)
            if pulse is None:
                continue
            try:
                if self.call is not None:
                    self.call()
            except Exception as error:  # noqa: BLE001 whatever was planted
                pulse.failed(loop.time(), fingerprint_of(error))
            else:
                pulse.succeeded(loop.time(), self.takes_s)


class Trading:
    """Ticks once a minute: takes rows, asks the model, notes its spans."""

    name = "trading"

    def __init__(self, world: World) -> None:
        self._world = world
        self.ticks = 0

    async def run(self, ctx: ServiceContext) -> None:
        """Tick until cancelled."""
        world = self._world
        ctx.ready()
        async for _ in ctx.every(60.0):
            self.ticks += 1
            world.used += 0 if world.is_stale else 3
            world.bad += world.bad_rows
            for node in NODES:
                now = world.clock.monotonic()
                took_s = world.node_s * random.Random(self.ticks).uniform(0.8, 1.2)
                world.oversight.spans.note(("trading", node, SpanKind.TIME), now - took_s, now)
            for _ in range(ASKS):
                await world.oversight.models.model.ask(ASKED, None)
                world.decide()
            now_at = world.clock.now()
            tick = f"t{self.ticks}"
            asks = world.asks()
            world.bus.publish(TickCompleted(at=now_at, tick_id=tick, tick_at=now_at, asks=asks))


class PlantedModel:
    """Answers as it was told, or as somebody says who looks at what it was asked with."""

    def __init__(self) -> None:
        self.source, self.reason = "openai:mini", ""
        self.takes_s = 0.0
        self.goes_by: Callable[[], tuple[str, str] | None] = lambda: None

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Return an answer; one to the meeting is what its rule says."""
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        source, reason = self.goes_by() or (self.source, self.reason)
        return Answer(
            output=task.rule(inputs),
            source=source,
            cost_usd=Decimal(0),
            latency_ms=1.0,
            reason=reason,
        )


@dataclass
class World:
    """The house, and what was seen of it."""

    folder: Path
    in_flight: InFlight
    settings: Settings = field(default_factory=lambda: load_settings(None, {}, {}))
    mode: str = "simulation"
    speed: float | None = 1.0
    with_broker: bool = True
    began_h: float = 0.0  # after the first life in the folder
    used: int = 0
    bad: int = 0
    bad_rows: int = 0
    is_stale: bool = False
    node_s: float = 0.02
    lag_s: float = 0.0
    memory_frac: float = 0.3
    trouble: OSError | None = None
    gauges: dict[str, float] = field(default_factory=dict)  # of the process, put in place
    disk_frac: float = 0.4
    disk_takes_s: float = 0.0  # for which a slow disk holds up everybody
    reads_fail: Exception | None = None
    store_fails: Exception | None = None  # of the alert board
    prompts: PromptRegistry | None = None
    installed: Installed | None = None
    decide: Callable[[], None] = lambda: None  # at each tick, several times: who is installed
    asks: Callable[[], Asks | None] = lambda: None  # at each tick: how who is installed answered
    services: Callable[[World], Sequence[Service]] = lambda _: ()  # beside the usual ones
    parts: dict[str, Any] = field(default_factory=dict)  # what a fault needs at hand
    installs: Callable[[World], object] = lambda _: None  # says how who is installed decides
    said: list[tuple[float, Event]] = field(default_factory=list)
    told: list[tuple[float, AlertChange]] = field(default_factory=list)  # people hear of
    end: HouseEnd | None = None
    lived_s: float = 0.0
    statuses: Mapping[str, ServiceStatus] = field(default_factory=dict)  # just before the end

    def __post_init__(self) -> None:
        self.clock = LoopClock(START + timedelta(hours=self.began_h))
        self.model = PlantedModel()
        self.data = DataFolder(self.folder)
        self.data.create()
        self.bus = EventBus(self.clock)
        self.board = AlertBoard(self._keep)
        self.board.listen(self._hear_change)
        self.halt_file = HaltFile(self.data.halt)
        self.gate = TradingGate(self.halt_file)
        market = replace(invented(3, sessions=2), speed=self.speed, mode=self.mode)
        self.oversight = Oversight(
            self.settings,
            market,
            self.data,
            models=OpenedModels(
                model=self.model, ledger=cast("Any", object()), prompts=self.prompts
            ),
            installed=self.installed,
            bus=self.bus,
            gate=self.gate,
            halt_file=self.halt_file,
            lag_s=lambda: self.lag_s,
            clock=self.clock,
            in_flight=self.in_flight,
            secrets=Secrets(),
            reads=self._read,
        )
        self.neighbour = Ticking("neighbour", interval_s=NEIGHBOUR_S)
        self.feed, self.scout = Patient(self, "feed"), Patient(self, "scout")
        self.trading = Trading(self)
        self._under_way: list[asyncio.Task[None]] = []
        self.tree: Supervisor | None = None
        self.watchers: list[Any] = []
        self.causes: list[tuple[float, str, str]] = []  # when, whose, which
        self.roots: list[tuple[float, str, str]] = []  # when, whose, because of whom

    async def live(self, seconds: float) -> None:
        """Live for so long, or until the house ends by itself."""
        self.bus.subscribe("said", (Event,), self._hear)
        about: tuple[type[AlertRaised | AlertResolved], ...] = (AlertRaised, AlertResolved)
        self.bus.subscribe("board", about, self.board.receive)
        watchers = self.oversight.children(
            self._tree, self.board, self._counts, has_broker=self.with_broker
        )
        self.watchers = [cast("Any", each.service) for each in watchers]
        fuse = Child(service=self.oversight.fuse, essential=True)
        patients: tuple[Service, ...] = (
            self.neighbour,
            self.feed,
            self.scout,
            *self.services(self),
        )
        trading = Child(service=self.trading, restart=Restart.TRANSIENT, essential=True)
        self.tree = Supervisor(
            [
                Group(children=(Child(service=self.bus, essential=True),)),
                Group(children=(Child(service=AlertKeeper(self.board, self.clock)), fuse)),
                Group(children=tuple(Child(service=each) for each in patients)),
                Group(children=(trading,)),
                Group(children=watchers),
            ],
            clock=self.clock,
            rng=random.Random(1),
            publish=self.bus.publish,
            limits=RestartLimits(),
            hopeless=(Blown,),
        )
        self.installs(self)
        self.oversight.overseer.sense(self._note_causes)
        self.at(seconds - 1.0, self._look_back)
        asyncio.get_running_loop().call_later(seconds, self.tree.request_stop, "the end")
        try:
            self.end = await self.tree.run()
            self.lived_s = self.clock.monotonic()
            self._note_causes(self.lived_s)
        finally:
            self.oversight.close()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something that takes its time."""
        self._under_way.append(asyncio.get_running_loop().create_task(work))

    def at(self, seconds: float, plant: Callable[[], object]) -> None:
        """Plant a fault at a moment."""
        asyncio.get_running_loop().call_at(seconds, plant)

    def first_sign(self, agents: tuple[str, ...], since: float) -> float | None:
        """Return after how many seconds one of the agents was known to be unwell."""
        for at, event in self.said:
            if at < since:
                continue
            if isinstance(event, ServiceFailed) and event.service in agents:
                return at - since
            if isinstance(event, AlertRaised) and event.key.startswith(_keys(agents)):
                return at - since
        return None

    def cause_of(self, agent: str, since: float) -> str | None:
        """Return the cause that was named first."""
        found = (cause for at, name, cause in self.causes if at >= since and name == agent)
        return next(found, None)

    def told_of(self, since: float) -> list[str]:
        """Return the keys that people were told of, each once, in order."""
        news = (Change.RAISED, Change.STILL_OPEN)
        keys = [
            change.alert.key
            for at, change in self.told
            if at >= since and change.change in news and not change.folded
        ]
        return list(dict.fromkeys(keys))

    def raised(self) -> list[AlertRaised]:
        """Return every alert that was raised."""
        return [event for _, event in self.said if isinstance(event, AlertRaised)]

    def health_passes(self) -> int:
        """Return how often everybody was looked at."""
        return self._passes("health")

    def healing_passes(self) -> int:
        """Return how often healing went round, at its interval."""
        healer = self.oversight._healer
        return 0 if healer is None else healer.passes

    def _passes(self, name: str) -> int:
        return int(next(each.service.passes for each in self.watchers if each.name == name))

    def _note_causes(self, at: float) -> None:
        last = self.oversight.overseer.last
        if last is not None:
            self.causes += [(at, name, each.cause.value) for name, each in last.causes.items()]
            self.roots += [(at, name, root) for name, root in last.roots.items()]

    def _look_back(self) -> None:
        self.statuses = {each.name: each for each in self._tree().statuses()}

    async def _hear(self, event: Event) -> None:
        self.said.append((self.clock.monotonic(), event))

    def _hear_change(self, change: AlertChange) -> None:
        self.told.append((self.clock.monotonic(), change))

    async def _keep(self, name: str, text: str) -> None:
        """Keep nothing."""
        if self.store_fails is not None:
            raise self.store_fails

    def _tree(self) -> Supervisor:
        assert self.tree is not None
        return self.tree

    def _counts(self) -> DataCounts:
        return DataCounts(
            rows=self.used + self.bad, used=self.used, quarantined=self.bad, by_reason={}
        )

    def _read(self) -> Readings:
        if self.reads_fail is not None:
            raise self.reads_fail
        if self.disk_takes_s:
            self.clock.pass_in_thread(self.disk_takes_s)
        process = {"memory_frac": self.memory_frac, "cpu_frac": 0.2, "open_files_frac": 0.1}
        return Readings(
            process={**process, **self.gauges},
            folder={"disk_frac": self.disk_frac},
            trouble=self.trouble,
        )


@asynccontextmanager
async def unfurnished(_folder: Path, _in_flight: InFlight) -> AsyncIterator[Mapping[str, Any]]:
    """Add nothing to a house."""
    yield {}


def lived(
    folder: Path,
    seconds: float,
    plant: Callable[[World], object],
    *,
    furnish: Furnish = unfurnished,
    **more: Any,
) -> World:
    """Let a house live under virtual time; `plant` is called on its loop before it starts.

    Args:
        folder: of its data.
        seconds: of its life.
        plant: puts faults into it.
        furnish: opens what it needs beside, as fields of the world.
        more: fields of the world.
    """
    in_flight = InFlight()

    async def main() -> World:
        async with furnish(folder, in_flight) as furniture:
            world = World(folder, in_flight, **furniture, **more)
            plant(world)
            await world.live(seconds)
        return world

    return run_virtual(main, in_flight)


def _keys(agents: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{begin}{agent}" for agent in agents for begin in ("agent.", "service.", ""))
