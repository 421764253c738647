"""One life of a simulated daemon: the real house, and all the ways in which it can end.

The house is the product's own, with its store, its order journal, its desk and its supervisor. What
stands between it and the broker counts steps (`tests.simulation.wire`). A life that dies can touch
nothing any more: its files are copied at that instant, and the next life begins from the copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from roboinvest.app.house import House
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.options import RunOptions
from roboinvest.brokers.alpaca.opening import DeskOffice
from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.brokers.notebook import fold_halt_log
from roboinvest.brokers.opened import OpenedBroker
from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Clock, LanguageModel
from roboinvest.core.venue import Execution, VenueOrder
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.supervision.service import Child, ServiceContext
from roboinvest.runtime.supervision.watchdog import ForcedExit
from tests.fakes.venues import SimulatedVenue
from tests.simulation.wire import Disk, Killed, Life, Steps, Wire
from tools.markets import Market

ResultT = TypeVar("ResultT")
_NOT_KEPT = ("-shm", "lock", "control.sock")


@dataclass(kw_only=True)
class Surroundings:
    """What every life of a daemon finds."""

    settings: Settings
    market: Market
    model: LanguageModel
    venue: SimulatedVenue
    clock: Clock
    steps: Steps
    chance: random.Random
    desk: type[OrderDesk] = OrderDesk
    wire: type[Wire] = Wire
    in_flight: InFlight = field(default_factory=InFlight)
    disk_is_full: bool = False
    on_state: Callable[[TradingState, str], None] = lambda _state, _reason: None
    on_alarm: Callable[[str, str], None] = lambda _key, _message: None


class DaemonLife(Life):
    """One start of the house, to its end."""

    def __init__(self, around: Surroundings, number: int, root: Path, grave: Path) -> None:
        super().__init__(around.steps, number)
        self.root = root
        self.is_stopping = False
        self.is_killed = False
        self.ended = ""  # how: "killed", "exit 0", or the sentence of a start that failed
        self.desk: OrderDesk | None = None
        self._around = around
        self._grave = grave  # where a kill leaves the files
        self._task: asyncio.Task[str] | None = None
        self._writer: sqlite3.Connection | None = None

    async def live(self) -> None:
        """Live until stopped, killed, or given up by the house itself."""
        self._task = asyncio.ensure_future(self._run())
        try:
            self.ended = await self._task
        except asyncio.CancelledError:
            if not self.is_killed:
                raise
        finally:
            self.lives = False
        if self.is_killed:
            self.ended = "killed"

    def kill(self) -> None:
        """End the process: nothing of it can act any more, and its files lie as they are now."""
        if self.is_killed or self._task is None or self._task.done():
            return
        self.is_killed, self.lives = True, False
        copy_of_a_dead_folder(self.root, self._grave)
        self._task.cancel()

    def terminate(self) -> None:
        """Send SIGTERM to ourselves, as a service manager does; before handlers stand, it kills."""
        if self.is_stopping or not self.lives:
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self.kill()
            return
        signal.raise_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_soon(self._note_stop)

    async def work(self) -> None:
        """Let a moment pass, never twice the same: two things that race in threads would make a
        seed tell two stories."""
        await asyncio.sleep(self._around.chance.uniform(0.0001, 0.002))

    def _note_stop(self) -> None:
        self.is_stopping = True  # the supervisor has heard of it: its call was queued before

    def fill_disk(self, full: bool) -> None:
        """Let the order journal's file take nothing more, or all again."""
        if self._writer is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed by now
                self._writer.execute(f"PRAGMA query_only = {'ON' if full else 'OFF'}")

    async def crossing(self, call: Awaitable[ResultT]) -> ResultT:
        """Do what lasts, with a step before and one after; the dead wait for their burial."""
        try:
            self._steps.step(self)
        except Killed:
            getattr(call, "close", lambda: None)()
            await self._dead()
        found = await call
        try:
            self._steps.step(self)
        except Killed:
            await self._dead()
        return found

    def looking(self) -> None:
        """Ask without changing anything: the dead get no answer."""
        if not self.lives:
            raise TryLater("this process is gone")

    async def _dead(self) -> NoReturn:
        self.kill()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody wakes the dead")

    async def _run(self) -> str:
        around, folder = self._around, DataFolder(self.root)
        folder.take(around.market.stamp, fresh_at=None)
        forced = ForcedExit(after_s=1e6, clock=SystemClock(), end_process=lambda _code: None)
        try:
            house = House(
                around.settings,
                around.market,
                folder,
                RunOptions(),
                clock=around.clock,
                in_flight=around.in_flight,
                opens=self._open_broker,
                models=OpenedModels(model=around.model),
                chance=random.Random(self.number),
            )
            return f"exit {(await house.run(forced)).exit_code}"
        except RoboInvestError as error:
            return f"refused: {error}"
        finally:
            folder.release()

    def _open_broker(
        self,
        _settings: Settings,
        _secrets: object,
        journal: SqliteOrderJournal,
        halt_log: HaltLog,
        office: DeskOffice,
        **_others: Any,
    ) -> OpenedBroker:
        around = self._around
        writing = journal._writing
        self._writer = None if writing is None else writing._connection
        self.fill_disk(around.disk_is_full)
        wire = around.wire(around.venue, self)
        desk = self.desk = around.desk(
            wire,
            _SlowDisk(journal, self),
            around.clock,
            instance=office.instance,
            limits=office.limits,
            may_act=office.may_act,
            on_state=self._telling(office),
            alarms=_Alarms(self, office, around.on_alarm),
        )

        async def before_resume() -> str | None:
            await fold_halt_log(halt_log, journal, around.clock.now())
            found = await desk.reconcile()
            return None if found.agrees else found.reason

        return OpenedBroker(
            document="order_desk",
            broker=lambda: desk,
            children=(
                Child(service=Reconciler(desk), essential=True),
                Child(service=_Stream(around.venue, desk, self), patience_s=1e9),
            ),
            before_tick=desk.before_tick,
            before_resume=before_resume,
            account=wire.account,
            halts_itself=True,
            close=lambda: None,
        )

    def _telling(self, office: DeskOffice) -> Callable[[TradingState, str], None]:
        def told(state: TradingState, reason: str) -> None:
            office.on_state(state, reason)
            if self.lives:
                self._around.on_state(state, reason)

        return told


class _SlowDisk(Disk):
    """The journal of a life; every use of it takes a moment."""

    life: DaemonLife

    async def record(self, intent: OrderIntent, limits: str, at: datetime) -> JournalEntry:
        await self.life.work()
        return await super().record(intent, limits, at)

    async def move(self, *args: Any, **fields: Any) -> JournalEntry:
        await self.life.work()
        return await super().move(*args, **fields)

    async def link(self, venue_id: str, client_order_id: str) -> None:
        await self.life.work()
        await super().link(venue_id, client_order_id)

    async def book(self, executions: Sequence[Execution]) -> tuple[BookedExecution, ...]:
        await self.life.work()
        return await super().book(executions)

    async def note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        await self.life.work()
        await super().note(kind, at, body)

    async def entry(self, client_order_id: str) -> JournalEntry | None:
        await self.life.work()
        return await super().entry(client_order_id)

    async def entries(self, states: frozenset[JournalState]) -> tuple[JournalEntry, ...]:
        await self.life.work()
        return await super().entries(states)

    async def owner_of(self, venue_id: str) -> str | None:
        await self.life.work()
        return await super().owner_of(venue_id)

    async def booked(self, after_seq: int = 0) -> tuple[BookedExecution, ...]:
        await self.life.work()
        return await super().booked(after_seq)


class _Alarms:
    """Passes on what people are told, and lets the world hear it."""

    def __init__(
        self, life: DaemonLife, office: DeskOffice, heard: Callable[[str, str], None]
    ) -> None:
        self._life, self._office, self._heard = life, office, heard

    def raised(self, key: str, message: str) -> None:
        self._office.alarms.raised(key, message)
        if self._life.lives:
            self._heard(key, message)

    def resolved(self, key: str, message: str) -> None:
        self._office.alarms.resolved(key, message)


class _Stream:
    """The service that hears the broker's trade updates."""

    name = "trade_stream"

    def __init__(self, venue: SimulatedVenue, desk: OrderDesk, life: DaemonLife) -> None:
        self._venue, self._desk, self._life = venue, desk, life

    async def run(self, ctx: ServiceContext) -> None:
        """Listen until cancelled."""

        async def deliver(order: VenueOrder | None, executions: Sequence[Execution]) -> None:
            if self._life.lives:
                await self._desk.on_update(order, executions)
            ctx.beat()

        ctx.ready()
        self._desk.wake()
        await self._venue.stream(deliver)


def copy_of_a_dead_folder(root: Path, into: Path) -> None:
    """Copy files as a kill leaves them: each database before its log, locks let go.

    The loop stands still meanwhile, so that a thread can end what it is at and begin nothing new.
    """
    files = sorted(root.rglob("*"), key=lambda path: (path.name.endswith("-wal"), str(path)))
    for path in files:
        kept = into / path.relative_to(root)
        if path.is_dir():
            kept.mkdir(parents=True, exist_ok=True)
        elif not path.name.endswith(_NOT_KEPT):
            kept.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a part of a report, renamed just now
                shutil.copy(path, kept)
