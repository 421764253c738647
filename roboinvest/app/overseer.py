"""The Overseer of a house: who is watched, by what, and with which hands it heals.

None of it is needed to trade: it is loaded and starts after trading is ready, rests where its file
is away, and one setting leaves it out. Here stands what trading passes through from the beginning:
pulses, spans, and the switch before the models. In a replay, and at full speed, it looks and
reports, and pulls nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from meta_agents.overseer_senses import AlertSense, ServiceSense, TickSense
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.overseeing.late import Late
from roboinvest.app.overseeing.parts import (
    Given,
    Surroundings,
    at_full_speed,
    made_parts,
    observes_only,
)
from roboinvest.app.roster import (
    COUNTERS,
    DATA,
    SIGNALS,
    TRADERS,
    TRADING,
    name_of,
)
from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Event,
    ServiceFailed,
    ServiceRecovered,
    TickCompleted,
)
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.reports.overseer_line import OverseerLine
from roboinvest.runtime.supervision.service import Child, Service
from roboinvest.runtime.supervision.supervisor import Supervisor
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.reins import Account
from tools.markets import Market

if TYPE_CHECKING:
    from meta_agents.healing import Healer
    from meta_agents.overseer_file import FileKeeper
    from meta_agents.overseer_machine import Readings
    from roboinvest.app.overseeing.watch import Watch

QUEUE: Final = 10_000  # facts that may wait
LOADED_WITHIN_S: Final = 60.0  # on a machine that is busy, with nothing compiled
_ABOUT: Final = (ServiceFailed, ServiceRecovered, TickCompleted, AlertRaised, AlertResolved)
# The services, with the seconds without a beat after which each counts as hung.
HEALTH, HEALING, PAST = "health", "healing", "agent_histories"
ANALYST, REPORTS, MEETING = "performance_analyst", "daily_reports", "governance_meeting"
_PATIENCE_S: Final = {
    HEALTH: 60.0,
    HEALING: 300.0,
    PAST: 60.0,
    ANALYST: 300.0,
    REPORTS: 240.0,
    MEETING: 300.0,
}


class Oversight:
    """The Overseer with its senses and hands."""

    def __init__(
        self,
        settings: Settings,
        market: Market,
        folder: DataFolder,
        *,
        models: OpenedModels,
        installed: Installed | None,
        bus: EventBus,
        gate: TradingGate,
        halt_file: HaltFile,
        lag_s: Callable[[], float],
        clock: Clock,
        in_flight: InFlight,
        secrets: Secrets,
        reads: Callable[[], Readings] | None = None,
    ) -> None:
        """Take the parts; nothing is opened, and nobody is looked at yet.

        Args:
            settings: of the run.
            market: whether it is a replay decides what may be pulled.
            folder: the Overseer's file and health.json lie in it.
            models: who answers tasks; `self.models` is the same, watched.
            installed: who decides in place of the house's own agent.
            bus: facts.
            gate: says whether trading is halted.
            halt_file: to halt it.
            lag_s: how late the loop is now.
            clock: the machine's.
            in_flight: counts the jobs outside the loop.
            secrets: that no report may show.
            reads: what `Machine.read` does, in its place.
        """
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="overseer")
        self._loads = Threads(self._pool, in_flight, deadline_s=LOADED_WITHIN_S)
        self._bus, self._clock, self._market = bus, clock, market
        given = Given(
            settings=settings,
            market=market,
            folder=folder,
            installed=installed,
            bus=bus,
            gate=gate,
            halt_file=halt_file,
            clock=clock,
            in_flight=in_flight,
            lag_s=lag_s,
            reads=reads,
        )
        threads = Threads(self._pool, in_flight)
        parts = self._parts = made_parts(given, models, secrets, threads)
        self.models, self.overseer, self.spans = parts.models, parts.overseer, parts.spans
        self.hooks, self.fuse, self._switch = parts.hooks, parts.fuse, parts.switch
        self._around: Surroundings | None = None
        self._watch: Watch | None = None
        self._loading = asyncio.Lock()

    def children(
        self,
        tree: Callable[[], Supervisor],
        board: AlertBoard,
        counts: Callable[[], DataCounts],
        *,
        has_broker: bool,
        account: Account | None = None,
        services: Sequence[Service] = (),
    ) -> tuple[Child, ...]:
        """Return the services, in the order of their start; the fuse is not among them.

        Args:
            tree: the supervisor, once there is one.
            board: alerts that an earlier run left open are taken over.
            counts: what the quality gate did so far.
            has_broker: whether orders go to a real one.
            account: whose limits a meeting may lower; None: nobody's.
            services: those that may know how to connect again or to clear a cache.
        """
        kept = ServiceSense(self.overseer, self._clock, lambda: tree().statuses())
        away = AlertSense(self.overseer, self._clock, SIGNALS)
        away.resume({each.key: each.kind for each in board.alerts() if each.is_open})
        ticks = TickSense(
            self.overseer,
            self._clock,
            agents=TRADERS,
            data=DATA,
            host_is_well=lambda: kept.is_well(TRADING),
            counts=counts,
            counters=COUNTERS,
            strategy="" if (mine := self._parts.installed) is None else name_of(mine),
        )
        for feel in (kept.feel, ticks.feel, away.feel):
            self.overseer.sense(feel)
        heard = (kept.hear, ticks.hear, away.hear, self._wake)

        async def hear(event: Event) -> None:
            for each in heard:
                each(event)

        self._bus.subscribe("overseer", _ABOUT, hear, capacity=QUEUE)
        self._around = Surroundings(
            tree=tree,
            board=board,
            away=away,
            has_broker=has_broker,
            account=account,
            services=tuple(services),
        )
        return tuple(
            Child(service=Late(name, partial(self._service, name)), patience_s=_PATIENCE_S[name])
            for name in self.names()
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of the services in this run."""
        if at_full_speed(self._market):
            return HEALTH, HEALING
        if observes_only(self._market):
            return HEALTH, HEALING, ANALYST, REPORTS
        return HEALTH, HEALING, PAST, ANALYST, REPORTS, MEETING

    def line(self) -> OverseerLine:
        """Return what the status says of it."""
        return OverseerLine(state="starting") if self._watch is None else self._watch.line()

    def tried(self) -> Mapping[str, str]:
        """Return what healing did last, by agent, in words."""
        return {} if self._watch is None else self._watch.tried()

    def close(self) -> None:
        """Let go of the file; a thread that hangs is left behind."""
        if self._watch is not None:
            self._watch.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _healer(self) -> Healer | None:
        return None if self._watch is None else self._watch.healer

    @property
    def _keeper(self) -> FileKeeper | None:
        return None if self._watch is None else self._watch.keeper

    async def _service(self, name: str) -> Service:
        """Return a service, with all of them loaded.

        Raises:
            TryLater: that takes too long.
        """
        async with self._loading:
            if self._watch is None:
                make = await self._loads.do("loading the Overseer", _load)
                if self._around is None:
                    raise RuntimeError("the services were asked for before the house stood")
                self._watch = make(self._parts, self._around)
        return self._watch.services[name]

    def _wake(self, event: Event) -> None:
        if self._watch is not None:
            self._watch.wake(event)


def _load() -> type[Watch]:
    """Import what runs; for a thread, because it is much, and trading does not need it."""
    from roboinvest.app.overseeing.watch import Watch

    return Watch
