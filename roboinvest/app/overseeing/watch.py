"""Everything of the Overseer that runs: who looks, who heals, who looks back.

None of it is needed to trade. It is imported and built when its first service starts, which is
after trading is ready, and rests where the Overseer's file is away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from secrets import token_hex
from typing import Final, cast

from meta_agents.healing import Healer
from meta_agents.healing_governed import PromptRollbacks
from meta_agents.healing_ports import Degrades, Escalations, Halts, HealPort, Reconnects, Restarts
from meta_agents.healing_ward import HealthWard
from meta_agents.overseer import DOWN
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
from meta_agents.overseer_histories import HistoryKeeper
from meta_agents.overseer_machine import PROCESS, Machine, MachineSense, Readings
from meta_agents.overseer_models import MODEL
from meta_agents.overseer_restores import Restorer
from meta_agents.overseer_service import READINGS, SENSES, UNWRITABLE, HealthService
from meta_agents.overseer_standing import Standing
from roboinvest.app.overseeing.hooks import offer_hooks
from roboinvest.app.overseeing.parts import Parts, Surroundings
from roboinvest.app.overseeing.registrar import Registrar
from roboinvest.app.reviews import SCHEMAS, Reviews, Watched
from roboinvest.app.roster import PAYERS, PROMPTS, STRATEGY, TOUCHING_MONEY, USUAL, name_of
from roboinvest.core.errors import BadInput
from roboinvest.core.events import AlertRaised, Event
from roboinvest.core.oversight.agents import AgentKind
from roboinvest.core.oversight.healing_record import Rung
from roboinvest.core.oversight.health import Status
from roboinvest.core.oversight.ladder import Trait
from roboinvest.runtime.configuration.policies import governor_limits, inbox_rules
from roboinvest.runtime.oversight import histories
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.reports.overseer_line import OverseerLine
from roboinvest.runtime.supervision.service import Service
from roboinvest.trading.installed_strategy import Installed

HEALED: Final = "heal."  # begins the keys of ladders that came to their end
ID_BYTES: Final = 6
NEW_FOR: Final = timedelta(days=1)  # words that came into the registry


class Watch:
    """The services by name, and what holds them together."""

    def __init__(self, parts: Parts, around: Surroundings) -> None:
        """Build the services; nothing is opened."""
        self._parts, self._around = parts, around
        self.healer: Healer | None = None
        self.keeper = _keeper_of(parts, left_open=bool(around.board.open_keys(ALERT_KEY)))
        self._governed = _governed_of(parts)
        self._reviews = Reviews(
            parts.market,
            parts.folder,
            redactor=parts.redactor,
            model=parts.models.model,
            clock=parts.clock,
            in_flight=parts.in_flight,
            publish=parts.bus.publish,
            account=around.account,
        )
        tried = Tried(parts.clock)
        self._standing = Standing(
            parts.overseer, self.keeper, tried, parts.threads, observes_only=parts.observes_only
        )
        limits_of = parts.overseer.limits_of
        self._ward = HealthWard(parts.clock, USUAL, self._traits, limits_of=limits_of)
        self._alerts = HealthAlerts(
            parts.bus.publish,
            left_open=around.board.open_keys(PREFIX),
            raised_as=self._own_alert,
            healed_by=tried.healed_by,
        )
        self._histories = HistoryKeeper(
            parts.overseer, self.keeper, clock=parts.clock, threads=parts.threads
        )
        self._restorer = Restorer(
            parts.switch,
            is_well=self._provider_is_well,
            agents=PAYERS,
            journal=JournalOnDemand(self._governed),
            clock=parts.clock,
            new_id=_new_id,
        )
        parts.watched.heard = self._restorer.hear
        offer_hooks(parts.hooks, around.services, parts.models)
        self.services = self._services()

    def line(self) -> OverseerLine:
        """Return what the status says of it."""
        return self._standing.line()

    def tried(self) -> Mapping[str, str]:
        """Return what healing did last, by agent, in words."""
        return {**self._standing.tried(), **self._restorer.words()}

    def wake(self, event: Event) -> None:
        """Let healing hear of a fact."""
        if self.healer is not None:
            self.healer.hear(event)

    def close(self) -> None:
        """Let go of the file; a thread that hangs is left behind."""
        self.keeper.close()
        self._reviews.close()

    def _services(self) -> Mapping[str, Service]:
        parts, around = self._parts, self._around
        healing = OnFile(Healer.name, self.keeper, partial(self._made_healer, self._ports()))
        health, healing_s = self._health(), parts.settings.overseer.healing_interval_s
        reviews = self._reviews.children(
            self.keeper,
            self._governed,
            around.tree,
            around.board,
            Watched(parts.overseer, parts.spans, health, healing_s, lambda: self.healer),
        )
        past = () if parts.observes_only else (self._histories,)
        found: list[Service] = [health, healing, *past, *(each.service for each in reviews)]
        return {each.name: each for each in found}

    def _health(self) -> HealthService:
        parts = self._parts
        machine = MachineSense(
            parts.overseer,
            parts.clock,
            parts.threads,
            cast("Callable[[], Readings] | None", parts.reads) or Machine(parts.folder.root).read,
            lag_s=parts.lag_s,
            with_cpu=parts.market.is_live,  # a market of ours takes all it gets
        )
        registrar = Registrar(
            parts,
            self._around,
            remember=None if parts.observes_only else self._histories.recall,
        )

        readings = itertools.count()

        async def measure() -> None:
            if next(readings) % READINGS == 0:
                await registrar.look()
            await machine.take()
            if not parts.observes_only:
                await self._standing.read()
                await self._restorer.look()

        return HealthService(
            parts.overseer,
            measure=measure,
            ward=self._ward,
            alerts=self._alerts,
            reports=parts.folder.reports,
            threads=parts.threads,
            publish=parts.bus.publish,
            tried=self.tried,
            looked=self._looked,
            interval_s=parts.settings.overseer.health_interval_s,
            was_blind=bool(self._around.board.open_keys(f"{HealthService.name}.{SENSES}")),
            was_unwritable=bool(self._around.board.open_keys(UNWRITABLE)),
        )

    def _own_alert(self, agent: str) -> str | None:
        key = f"service.{agent}"
        # The whole key: `governance` and `governance_meeting` are two services.
        is_open = "" in self._around.board.open_keys(key)
        return key if is_open else self._around.away.key_of(agent)

    def _traits(self, agent: str) -> frozenset[Trait]:
        """Return what holds for an agent, and for the house.

        For what merely limps nobody halts trading or asks for a clean process.
        """
        parts = self._parts
        statuses = self._around.tree().statuses()
        status = next((each for each in statuses if each.name == agent), None)
        is_down = self._is_down(agent)
        card = parts.overseer.roster.cards.get(agent)
        is_generated = card is not None and card.kind is AgentKind.GENERATED
        is_generated = is_generated and not agent.startswith(STRATEGY)
        goes_along = parts.installed is not None and parts.installed.seat is not None
        found = {
            Trait.SUPERVISED: status is not None,
            Trait.ESSENTIAL: is_down and (agent == PROCESS or (status and status.essential)),
            Trait.HOOKED: parts.hooks.find(agent) is not None,
            Trait.ASKS_MODELS: parts.asks_models and agent in PROMPTS,
            Trait.PROMPTED: parts.models.prompts is not None and agent in PROMPTS,
            Trait.NEW_WORDS: self._has_new_words(agent),
            Trait.REVISED: is_generated or (goes_along and agent.startswith(STRATEGY)),
            Trait.TOUCHES_MONEY: is_down and agent in TOUCHING_MONEY,
            Trait.HALTED: parts.gate.halt is not None,
        }
        return frozenset(trait for trait, holds in found.items() if holds)

    def _has_new_words(self, agent: str) -> bool:
        """Return whether the words of an agent's prompt came lately."""
        prompts, name = self._parts.models.prompts, PROMPTS.get(agent)
        if prompts is None or name is None:
            return False
        try:
            age = self._parts.clock.now() - prompts.current(name).made_at
        except BadInput:  # no declared task asks with it in this run
            return False
        return age < NEW_FOR

    def _provider_is_well(self) -> bool:
        last = self._parts.overseer.last
        health = None if last is None else last.healths.get(MODEL)
        is_healthy = health is not None and health.status is Status.HEALTHY
        return is_healthy and self._around.away.key_of(MODEL) is None

    def _is_down(self, agent: str) -> bool:
        last = self._parts.overseer.last
        health = None if last is None else last.healths.get(agent)
        return health is not None and health.status in DOWN

    def _ports(self) -> dict[Rung, HealPort]:
        """Return what stands behind each rung in this house."""
        parts, tree, governed = self._parts, self._around.tree, self._governed
        limits = governor_limits(parts.settings)
        payers = {agent: payer for payer, agent in PAYERS.items()}
        authors = _authors_of(parts.installed)
        put_away = Renamed(quarantines(governed, tree, limits), authors)
        ports: dict[Rung, HealPort] = {
            Rung.RESTART: Restarts(tree),
            Rung.RECONNECT: Reconnects(parts.hooks),
            Rung.DEGRADE: Renamed(Degrades(parts.switch), payers),
            Rung.REVISION_ROLLBACK: Renamed(rollbacks(governed), authors),
            Rung.QUARANTINE: WhileDown(put_away, self._is_down),
            Rung.CODE_PROPOSAL: ProposalsOnDemand(governed),
            Rung.HALT_TRADING: Halts(parts.halt_file, parts.threads),
            Rung.ESCALATE: Escalations(parts.fuse),
        }
        if parts.models.prompts is not None:
            ports[Rung.PROMPT_ROLLBACK] = PromptRollbacks(parts.models.prompts, PROMPTS)
        return ports

    def _made_healer(self, ports: dict[Rung, HealPort], file: OverseerFile) -> Healer:
        parts = self._parts
        self.healer = Healer(
            self._ward,
            ports,
            HealAttempts(file),
            journal=JournalOnDemand(self._governed),
            threads=parts.threads,
            clock=parts.clock,
            new_id=_new_id,
            publish=self._tell_under_its_agent,
            left_open=self._around.board.open_keys(HEALED),
            observes_only=parts.observes_only,
            interval_s=self._reviews.healing_s or parts.settings.overseer.healing_interval_s,
        )
        return self.healer

    def _tell_under_its_agent(self, event: Event) -> None:
        """Tell what healing says of an agent under the alert of that agent."""
        if isinstance(event, AlertRaised):
            agent = event.key.removeprefix(HEALED)
            if agent == FILE_NAME:
                event = replace(event, caused_by=ALERT_KEY)
            elif agent in self._parts.overseer.terms:
                event = replace(event, caused_by=self._alerts.key_of(agent))
        self._parts.bus.publish(event)

    def _looked(self) -> None:
        if self.healer is not None:
            self.healer.look_again()


def _authors_of(installed: Installed | None) -> dict[str, str]:
    """Return by our name the agent whose alias an installed strategy goes along with.

    One that was chosen for good, by its digits, goes along with none: to move the alias would not
    change what decides here.
    """
    if installed is None or installed.seat is None:
        return {}
    return {name_of(installed): installed.seat.agent}


def _keeper_of(parts: Parts, *, left_open: bool) -> FileKeeper:
    return FileKeeper(
        parts.folder.root / FILE_NAME,
        schemas=(*SCHEMAS, histories.SCHEMA),
        threads=parts.threads,
        clock=parts.clock,
        publish=parts.bus.publish,
        left_open=left_open,
    )


def _governed_of(parts: Parts) -> Governed:
    return Governed(
        parts.folder.root,
        rules=inbox_rules(parts.settings),
        limits=governor_limits(parts.settings),
        clock=parts.clock,
        threads=parts.threads,
        new_id=_new_id,
    )


def _new_id() -> str:
    return f"heal-{token_hex(ID_BYTES)}"
