"""The broker that the settings name, ready to be used."""

from __future__ import annotations

import random

from roboinvest.brokers.alpaca.opening import DeskOffice, alpaca_access, open_alpaca
from roboinvest.brokers.opened import OpenedBroker, open_paper
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.policies import fill_rules
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.sections import BrokerKind
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal


def open_broker(
    settings: Settings,
    secrets: Secrets,
    journal: SqliteOrderJournal,
    halt_log: HaltLog,
    office: DeskOffice,
    *,
    clock: Clock,
    rng: random.Random,
    in_flight: InFlight,
) -> OpenedBroker:
    """Return the broker of these settings; nothing is sent.

    Raises:
        BadSettings: a key is missing, or an address is wrong or not allowed.
    """
    if settings.broker.kind is BrokerKind.ALPACA:
        return open_alpaca(
            alpaca_access(settings, secrets),
            journal,
            halt_log,
            office,
            calls_per_minute=settings.alpaca.calls_per_minute,
            clock=clock,
            rng=rng,
            in_flight=in_flight,
        )
    return open_paper(
        journal,
        cash=settings.broker.starting_cash_usd,
        rules=fill_rules(settings),
        allow_short=settings.risk.allow_short,
        limits=office.limits,
    )
