"""The Overseer of a house: who is watched, by what, and with which hands it heals.

None of it is needed to trade: it starts after trading is ready, rests where its file is away, and
one setting leaves it out. In a replay, and at full speed, it looks and reports, and pulls nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Final

from meta_agents.healing import Healer
from meta_agents.healing_governed import PromptRollbacks
from meta_agents.healing_ports import Degrades, Escalations, Halts, HealPort, Reconnects, Restarts
from meta_agents.healing_ward import HealthWard
from meta_agents.overseer import DOWN, Overseer
from meta_agents.overseer_alerts import PREFIX, HealthAlerts
from meta_agents.overseer_file import ALERT_KEY, FileKeeper, OnFile, Tried
from meta_agents.overseer_hands import (
    Governed,
    JournalOnDemand,
    ProposalsOnDemand,
    Renamed,
    WhileDown,
    quarantines,
    rollbacks,
)
from meta_agents.overseer_machine import PROCESS, Machine, MachineSense, Readings
from meta_agents.overseer_models import WatchedModel
from meta_agents.overseer_senses import AlertSense, ServiceSense, TickSense
from meta_agents.overseer_service import HealthService
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.reviews import SCHEMAS, Reviews
from roboinvest.app.roster import (
    DATA,
    PAYERS,
    PROMPTS,
    SIGNALS,
    STRATEGY,
    TOUCHING_MONEY,
    TRADERS,
    TRADING,
    USUAL,
    HeardSpans,
    cards_of,
    terms_of,
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
from roboinvest.core.oversight.healing_record import Rung
from roboinvest.core.oversight.ladder import Trait
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.policies import governor_limits, inbox_rules
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.fuse import Fuse
from roboinvest.runtime.oversight.hooks import HealingHooks
from roboinvest.runtime.oversight.model_switch import ModelSwitch
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.supervision.service import Child
from roboinvest.runtime.supervision.supervisor import Supervisor
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.installed_strategy import Installed
from tools.markets import Market

HEALED: Final = "heal."  # begins the keys of ladders that came to their end
QUEUE: Final = 10_000  # facts that may wait
ID_BYTES: Final = 6
_ABOUT: Final = (ServiceFailed, ServiceRecovered, TickCompleted, AlertRaised, AlertResolved)


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
        self._reads = reads
        self._settings, self._folder, self._installed = settings, folder, installed
        self._bus, self._gate, self._halt_file = bus, gate, halt_file
        self._lag_s, self._clock = lag_s, clock
        at_full_speed = market.speed is None and not market.is_live
        self._with_cpu = market.is_live  # a market of ours takes all it gets
        self._observes_only = market.mode == "replay" or at_full_speed
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="overseer")
        self._threads = Threads(self._pool, in_flight)
        self._prompts, self._asks_models = models.prompts, models.ledger is not None
        self.overseer = Overseer(clock, USUAL)
        self._switch = ModelSwitch(models.model, RulesModel(clock))
        asked = models.model if self._observes_only else self._switch
        watched = WatchedModel(asked, self.overseer, clock, PAYERS)
        self.models = replace(models, model=watched)
        self.spans = HeardSpans(clock.monotonic, self.overseer)
        self.hooks, self.fuse = HealingHooks(), Fuse()
        redactor = Redactor((*secrets.texts(), *settings.notify.secret_texts()))
        self._reviews = Reviews(
            market,
            folder,
            redactor=redactor,
            model=self.models.model,
            clock=clock,
            in_flight=in_flight,
            publish=bus.publish,
        )
        self._keeper: FileKeeper | None = None
        self._healer: Healer | None = None
        self._board: AlertBoard | None = None
        self._alerts: HealthAlerts | None = None
        self._has_broker = False

    def children(
        self,
        tree: Callable[[], Supervisor],
        board: AlertBoard,
        counts: Callable[[], DataCounts],
        *,
        has_broker: bool,
    ) -> tuple[Child, ...]:
        """Return the services, in the order of their start; the fuse is not among them.

        Args:
            tree: the supervisor, once there is one.
            board: alerts that an earlier run left open are taken over.
            counts: what the quality gate did so far.
            has_broker: whether orders go to a real one.
        """
        services = ServiceSense(self.overseer, self._clock, lambda: tree().statuses())
        away = AlertSense(self.overseer, self._clock, SIGNALS)
        away.resume({each.key: each.kind for each in board.alerts() if each.is_open})
        ticks = TickSense(
            self.overseer,
            self._clock,
            agents=TRADERS,
            data=DATA,
            host_is_well=lambda: services.is_well(TRADING),
            counts=counts,
        )
        for feel in (services.feel, ticks.feel, away.feel):
            self.overseer.sense(feel)
        heard = (services.hear, ticks.hear, away.hear, self._wake)

        async def hear(event: Event) -> None:
            for each in heard:
                each(event)

        self._bus.subscribe("overseer", _ABOUT, hear, capacity=QUEUE)
        self._board, self._has_broker = board, has_broker
        return self._services(tree, board, away)

    def close(self) -> None:
        """Let go of the file; a thread that hangs is left behind."""
        if self._keeper is not None:
            self._keeper.close()
        self._reviews.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _services(
        self, tree: Callable[[], Supervisor], board: AlertBoard, away: AlertSense
    ) -> tuple[Child, ...]:
        keeper = self._keeper = FileKeeper(
            self._folder.root / FILE_NAME,
            schemas=SCHEMAS,
            threads=self._threads,
            clock=self._clock,
            publish=self._bus.publish,
            left_open=bool(board.open_keys(ALERT_KEY)),
        )
        tried = Tried(keeper, self._threads, self._clock)
        ward = HealthWard(
            self._clock,
            USUAL,
            partial(self._traits, tree),
            limits_of=self.overseer.limits_of,
        )

        def own_alert(agent: str) -> str | None:
            key = f"service.{agent}"
            return key if board.open_keys(key) else away.key_of(agent)

        self._alerts = alerts = HealthAlerts(
            self._bus.publish,
            left_open=board.open_keys(PREFIX),
            raised_as=own_alert,
            healed_by=tried.healed_by,
        )
        ports = self._ports(tree)
        healing = OnFile(Healer.name, keeper, lambda file: self._made_healer(file, ward, ports))
        health = self._health(tree, tried, ward, alerts)
        watched = self.overseer, self.spans
        reviews = self._reviews.children(keeper, self._governed, tree, board, watched)
        return Child(service=health), Child(service=healing, patience_s=300.0), *reviews

    def _health(
        self, tree: Callable[[], Supervisor], tried: Tried, ward: HealthWard, alerts: HealthAlerts
    ) -> HealthService:
        machine = MachineSense(
            self.overseer,
            self._clock,
            self._threads,
            self._reads or Machine(self._folder.root).read,
            lag_s=self._lag_s,
            with_cpu=self._with_cpu,
        )

        async def measure() -> None:
            self._register(tree())
            await machine.take()
            if not self._observes_only:
                await tried.read()

        return HealthService(
            self.overseer,
            measure=measure,
            ward=ward,
            alerts=alerts,
            reports=self._folder.reports,
            threads=self._threads,
            publish=self._bus.publish,
            tried=tried.words,
            looked=self._looked,
            interval_s=self._settings.overseer.health_interval_s,
        )

    def _register(self, tree: Supervisor) -> None:
        """Take whoever is not watched yet."""
        statuses, known = tree.statuses(), self.overseer.terms
        cards = cards_of(
            statuses, self._installed, has_broker=self._has_broker, asks=self._asks_models
        )
        fresh = [card for card in cards if card.name not in known]
        if fresh:
            terms = {card.name: terms_of(card, statuses) for card in fresh}
            self.overseer.register_all(fresh, terms)

    def _traits(self, tree: Callable[[], Supervisor], agent: str) -> frozenset[Trait]:
        """Return what holds for an agent, and for the house.

        For what merely limps nobody halts trading or asks for a clean process.
        """
        status = next((each for each in tree().statuses() if each.name == agent), None)
        is_down = self._is_down(agent)
        runs_revision = self._installed is not None and bool(self._installed.revision)
        found = {
            Trait.SUPERVISED: status is not None,
            Trait.ESSENTIAL: is_down and (agent == PROCESS or (status and status.essential)),
            Trait.HOOKED: self.hooks.find(agent) is not None,
            Trait.ASKS_MODELS: self._asks_models and agent in PROMPTS,
            Trait.PROMPTED: self._prompts is not None and agent in PROMPTS,
            Trait.REVISED: runs_revision and agent.startswith(STRATEGY),
            Trait.TOUCHES_MONEY: is_down and agent in TOUCHING_MONEY,
            Trait.HALTED: self._gate.halt is not None,
        }
        return frozenset(trait for trait, holds in found.items() if holds)

    def _is_down(self, agent: str) -> bool:
        last = self.overseer.last
        health = None if last is None else last.healths.get(agent)
        return health is not None and health.status in DOWN

    def _ports(self, tree: Callable[[], Supervisor]) -> dict[Rung, HealPort]:
        """Return what stands behind each rung in this house."""
        limits = governor_limits(self._settings)
        governed = self._governed = Governed(
            self._folder.root,
            rules=inbox_rules(self._settings),
            limits=limits,
            clock=self._clock,
            threads=self._threads,
            new_id=_new_id,
        )
        payers = {agent: payer for payer, agent in PAYERS.items()}
        ports: dict[Rung, HealPort] = {
            Rung.RESTART: Restarts(tree),
            Rung.RECONNECT: Reconnects(self.hooks),
            Rung.DEGRADE: Renamed(Degrades(self._switch), payers),
            Rung.REVISION_ROLLBACK: rollbacks(governed),
            Rung.QUARANTINE: WhileDown(quarantines(governed, tree, limits), self._is_down),
            Rung.CODE_PROPOSAL: ProposalsOnDemand(governed),
            Rung.HALT_TRADING: Halts(self._halt_file, self._threads),
            Rung.ESCALATE: Escalations(self.fuse),
        }
        if self._prompts is not None:
            ports[Rung.PROMPT_ROLLBACK] = PromptRollbacks(self._prompts, PROMPTS)
        return ports

    def _made_healer(
        self, file: OverseerFile, ward: HealthWard, ports: dict[Rung, HealPort]
    ) -> Healer:
        self._healer = Healer(
            ward,
            ports,
            HealAttempts(file),
            journal=JournalOnDemand(self._governed),
            threads=self._threads,
            clock=self._clock,
            new_id=_new_id,
            publish=self._tell_under_its_agent,
            left_open=self._board.open_keys(HEALED) if self._board is not None else (),
            observes_only=self._observes_only,
            interval_s=self._settings.overseer.healing_interval_s,
        )
        return self._healer

    def _tell_under_its_agent(self, event: Event) -> None:
        """Tell what healing says of an agent under the alert of that agent."""
        if isinstance(event, AlertRaised):
            agent = event.key.removeprefix(HEALED)
            if agent == FILE_NAME:
                event = replace(event, caused_by=ALERT_KEY)
            elif self._alerts is not None and agent in self.overseer.terms:
                event = replace(event, caused_by=self._alerts.key_of(agent))
        self._bus.publish(event)

    def _looked(self) -> None:
        if self._healer is not None:
            self._healer.look_again()

    def _wake(self, event: Event) -> None:
        if self._healer is not None:
            self._healer.hear(event)


def _new_id() -> str:
    return f"heal-{token_hex(ID_BYTES)}"
