"""What an overseen house can have beside its usual services: crews, memories, prompts, revisions.

The product's own parts wherever there is one; what they talk to is invented and fails on demand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

from meta_agents.overseer_evidence import Terms
from roboinvest.app.roster import PROMPTS
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.fingerprints import fingerprint_of
from roboinvest.core.oversight.thresholds import GAUGE_LIMITS, GaugeLimit, Thresholds
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.notifications.channel import Sent
from roboinvest.runtime.notifications.notice import Message, NoticeRules
from roboinvest.runtime.notifications.outbox import Outbox
from roboinvest.runtime.recall.announce import RecallAnnouncer
from roboinvest.runtime.recall.chroma_client import Match, Row
from roboinvest.runtime.recall.chroma_server import Address, ServerAway
from roboinvest.runtime.recall.recall import Recall, RecallPolicy
from roboinvest.runtime.retention import Retention
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import Service, ServiceContext
from tests.fakes.chroma import FakeMemoryTable
from tests.fakes.clocks import LoopClock, ManualClock
from tests.fakes.overseen import World
from tests.fakes.prompts import PromptPlace, a_prompt, cause
from tests.fakes.revisions import AgentHouse, agent_house, an_artifact

ResultT = TypeVar("ResultT")
Given = ParamSpec("Given")
CREW_LIMITS: Final = Terms(
    limits=Thresholds(
        offline_s=60.0,
        least_calls=5,
        gauges={**GAUGE_LIMITS, "queue_frac": GaugeLimit(degraded=0.8, failing=0.95)},
    )
)
REVISED: Final = "momentum"  # the agent whose revisions are kept
LOOKED_AT_S: Final = 5_000.0  # after it was activated
WORDS: Final = PROMPTS["SimpleOrganicStrategyAgent"]


class Crew:
    """A service in which several agents work, each of which calls somebody every 5 s."""

    name = "crew"

    def __init__(self, world: World, needs: Mapping[str, tuple[str, ...]]) -> None:
        """Take the agents, each with what it needs."""
        self.needs = dict(needs)
        self.calls: dict[str, Callable[[], object]] = {}  # raise what an agent's calls fail with
        self.gauges: dict[str, Mapping[str, float]] = {}
        self.takes_s: dict[str, float] = {}
        self._world = world

    async def run(self, ctx: ServiceContext) -> None:
        """Register everybody, then call until cancelled."""
        overseer, loop = self._world.oversight.overseer, asyncio.get_running_loop()
        fresh = [name for name in self.needs if overseer.pulse(name) is None]
        cards = [
            AgentCard(name=name, kind=AgentKind.RESEARCH, dependencies=self.needs[name])
            for name in fresh
        ]
        await asyncio.sleep(1.0)  # the house registers its own at its first look
        ctx.ready()
        async for _ in ctx.every(5.0):
            if fresh and overseer.pulse("process") is not None:
                overseer.register_all(cards, dict.fromkeys(fresh, CREW_LIMITS))
                fresh = []
            for name in self.needs:
                self._work(name, loop.time())

    def _work(self, name: str, at: float) -> None:
        pulse = self._world.oversight.overseer.pulse(name)
        if pulse is None:
            return
        pulse.progressed(at)
        for gauge, value in self.gauges.get(name, {}).items():
            pulse.gauge(gauge, value, at)
        try:
            if name in self.calls:
                self.calls[name]()
        except Exception as error:  # noqa: BLE001 whatever was planted
            pulse.failed(at, fingerprint_of(error))
        else:
            pulse.succeeded(at, self.takes_s.get(name, 0.1))


def a_crew(**needs: tuple[str, ...]) -> Callable[[World], Sequence[Service]]:
    """Return what puts a crew into a house."""

    def services(world: World) -> Sequence[Service]:
        world.parts["crew"] = Crew(world, needs)
        return (world.parts["crew"],)

    return services


class AtOnce(Executor):
    """Does work where it is asked for it, so that it takes no time of another thread."""

    def submit(
        self, fn: Callable[Given, ResultT], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[ResultT]:
        """Do it."""
        done: Future[ResultT] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 the future carries it
            done.set_exception(error)
        return done


class Shelf:
    """A vector server and its client, in memory; it may be gone."""

    def __init__(self) -> None:
        self.is_gone = False
        self.held: dict[str, Row] = {}
        self._ended = asyncio.Event()

    async def start(self, folder: Path) -> Address:
        """Serve a folder."""
        self._here()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chroma.sqlite3").touch()
        self._ended = asyncio.Event()
        return Address(host="127.0.0.1", port=1)

    async def wait(self) -> str:
        """Return how it ended."""
        await self._ended.wait()
        return "exit code -9"

    async def stop(self) -> None:
        """End."""
        self._ended.set()

    def trim_log(self) -> None:
        """Keep no log."""

    def go(self) -> None:
        """Be gone."""
        self.is_gone = True
        self._ended.set()

    def come_back(self) -> None:
        """Be there again."""
        self.is_gone = False

    async def open(self, name: str) -> None:
        """Find the collection."""
        self._here()

    async def put(self, make_rows: Callable[[], Sequence[Row]]) -> None:
        """Hold rows."""
        self._here()
        self.held.update({row.row_id: row for row in make_rows()})

    async def count(self) -> int:
        """Return how many rows are held."""
        self._here()
        return len(self.held)

    async def nearest(
        self,
        make_vector: Callable[[], Sequence[float]],
        k: int,
        agent_id: str | None,
    ) -> Sequence[Match]:
        """Find nothing."""
        self._here()
        return ()

    def _here(self) -> None:
        if self.is_gone:
            raise ServerAway("the recall server does not answer: connection refused")


def text_memory(world: World) -> Sequence[Service]:
    """Return the service that keeps text memory, on a server that may be gone."""
    shelf = world.parts["shelf"] = Shelf()
    return (
        Recall(
            table=FakeMemoryTable(),
            server=shelf,
            connect=lambda _: shelf,
            root=world.data.root / "memory",
            pool=AtOnce(),
            clock=world.clock,
            on_state=RecallAnnouncer(world.bus.publish, world.clock),
            policy=RecallPolicy(feed_interval_s=20.0, backoff_max_s=60.0),
        ),
    )


class Line:
    """A channel to people."""

    name = "phone"

    def __init__(self) -> None:
        self.is_down = False
        self.sent: list[Message] = []

    async def send(self, message: Message) -> Sent:
        """Send, or not."""
        if self.is_down:
            return Sent(channel=self.name, ok=False, text="connection refused", took_s=0.1)
        self.sent.append(message)
        return Sent(channel=self.name, ok=True, text="sent", took_s=0.1)


def a_phone(world: World) -> Sequence[Service]:
    """Return the service that tells people, on a line that may be down."""
    line = world.parts["line"] = Line()

    async def save(name: str, text: str) -> None:
        """Keep nothing."""

    outbox = Outbox([line], NoticeRules(), clock=world.clock, publish=world.bus.publish, save=save)
    world.parts["outbox"] = outbox
    world.board.listen(outbox.hear)
    return (outbox,)


class FailingStore:
    """A store whose ticks cannot be read."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def recent_ticks(self, limit: int) -> Sequence[object]:
        """Return none, or fail."""
        if error := self._world.parts.get("retention fails"):
            raise error
        return ()


def keeping_house(world: World) -> Sequence[Service]:
    """Return retention, on a store that may fail."""
    return (Retention(cast("Store", FailingStore(world)), timedelta(days=30)),)


@asynccontextmanager
async def with_prompts(folder: Path, in_flight: InFlight) -> AsyncIterator[Mapping[str, Any]]:
    """Furnish a house with the registry of its prompts."""
    place = PromptPlace(folder, LoopClock())
    place.in_flight = in_flight
    for name in PROMPTS.values():
        place.write(a_prompt(), name)
    async with place.opened(names=tuple(PROMPTS.values())) as registry:
        yield {"prompts": registry}


async def poison(world: World) -> None:
    """Put other words into force, which no model answers readably."""
    registry = world.prompts
    assert registry is not None
    at = world.clock.now()
    await registry.propose(WORDS, a_prompt(system="You decide at length."), cause(at=at))
    await registry.promote(WORDS, cause(at=at))
    poisoned = world.parts["poisoned"] = registry.current(WORDS).version

    def goes_by() -> tuple[str, str] | None:
        is_poisoned = registry.current(WORDS).version == poisoned
        return ("safe", "openai:mini: unreadable twice") if is_poisoned else None

    world.model.goes_by = goes_by


@asynccontextmanager
async def with_revisions(folder: Path, _in_flight: InFlight) -> AsyncIterator[Mapping[str, Any]]:
    """Furnish a house with an installed revision, and with the place for a second."""
    clock = LoopClock()
    with agent_house(folder, cast("ManualClock", clock)) as house:
        house.activate(house.installed(an_artifact(1, agent=REVISED)))
        yield {"parts": {"revisions": house, "clock": clock}}


def revise(fails: BaseException | None, takes_s: float) -> Callable[[World], None]:
    """Return what activates a second revision, which raises or takes its time."""

    def activate(world: World) -> None:
        house: AgentHouse = world.parts["revisions"]
        first = house.active(REVISED)
        second = house.installed(an_artifact(2, agent=REVISED), first)
        house.activate(second)
        world.parts["bad"] = second.revision_id
        world.parts["first"] = first
        world.parts["how"] = fails, takes_s

        def look() -> None:
            world.parts["active at the end"] = house.active(REVISED)

        world.at(world.clock.monotonic() + LOOKED_AT_S, look)

    return activate


def decides_by_revision(world: World) -> None:
    """Let the installed strategy decide as its active revision does."""

    def decide() -> None:
        house: AgentHouse = world.parts["revisions"]
        pulse = world.oversight.overseer.pulse(REVISED)
        if pulse is None:
            return
        at = world.clock.monotonic()
        fails, takes_s = None, 0.1
        if "bad" in world.parts and house.active(REVISED) == world.parts["bad"]:
            fails, takes_s = world.parts["how"]
        pulse.progressed(at)
        if fails is not None:
            pulse.failed(at, fingerprint_of(_raised(fails)))
        else:
            pulse.succeeded(at, takes_s)

    world.decide = decide


def _raised(error: BaseException) -> BaseException:
    """Return an error with the frame that raised it."""
    try:
        raise error
    except type(error) as raised:
        return raised
