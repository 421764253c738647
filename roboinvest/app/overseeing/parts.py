"""What the front of the Overseer hands to what is loaded after trading is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from meta_agents.overseer import Overseer
from meta_agents.overseer_models import WatchedModel
from meta_agents.overseer_senses import AlertSense
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.roster import PAYERS, USUAL, HeardSpans
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.oversight.fuse import Fuse
from roboinvest.runtime.oversight.hooks import HealingHooks
from roboinvest.runtime.oversight.model_switch import ModelSwitch
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.supervision.service import Service
from roboinvest.runtime.supervision.supervisor import Supervisor
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.reins import Account
from tools.markets import Market


def at_full_speed(market: Market) -> bool:
    """Return whether the market waits for nobody."""
    return market.speed is None and not market.is_live


def observes_only(market: Market) -> bool:
    """Return whether nothing may be pulled in a run on a market."""
    return market.mode == "replay" or at_full_speed(market)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the house hands over."""

    settings: Settings
    market: Market
    folder: DataFolder
    installed: Installed | None
    bus: EventBus
    gate: TradingGate
    halt_file: HaltFile
    clock: Clock
    in_flight: InFlight
    lag_s: Callable[[], float]
    reads: Callable[[], object] | None  # Readings, in place of the machine's


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Given):
    """What stands before anything of the Overseer runs."""

    models: OpenedModels
    watched: WatchedModel  # who answers tasks, and is listened to
    threads: Threads
    redactor: Redactor
    overseer: Overseer
    spans: HeardSpans
    switch: ModelSwitch
    hooks: HealingHooks
    fuse: Fuse

    @property
    def asks_models(self) -> bool:
        """Return whether language models are asked."""
        return self.models.ledger is not None

    @property
    def observes_only(self) -> bool:
        """Return whether nothing may be pulled in this run."""
        return observes_only(self.market)


def made_parts(given: Given, models: OpenedModels, secrets: Secrets, threads: Threads) -> Parts:
    """Return all parts; `models` are watched in them, and can be switched where that is allowed."""
    clock = given.clock
    overseer = Overseer(clock, USUAL)
    switch = ModelSwitch(models.model, RulesModel(clock))
    asked = models.model if observes_only(given.market) else switch
    watched = WatchedModel(asked, overseer, clock, PAYERS)
    return Parts(
        **{each.name: getattr(given, each.name) for each in fields(given)},
        models=replace(models, model=watched),
        watched=watched,
        threads=threads,
        redactor=Redactor((*secrets.texts(), *given.settings.notify.secret_texts())),
        overseer=overseer,
        spans=HeardSpans(clock.monotonic, overseer),
        switch=switch,
        hooks=HealingHooks(),
        fuse=Fuse(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known once the house is put together."""

    tree: Callable[[], Supervisor]
    board: AlertBoard
    away: AlertSense
    has_broker: bool
    account: Account | None = None  # that a meeting may take in hand
    services: tuple[Service, ...] = ()  # that may know how to connect again
