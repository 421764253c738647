"""A broker that is ready to be used, and what has to live beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.brokers.journaled_paper import JournaledPaperBroker
from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.fills import FillRules
from roboinvest.core.ports import Broker, OrderJournal
from roboinvest.core.venue import VenueAccount
from roboinvest.runtime.supervision.service import Child

PAPER_DOCUMENT: Final = "paper_broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBroker:
    """What the house needs of a broker of any kind."""

    document: str  # the name its snapshot is stored under
    broker: Callable[[], Broker]  # for a start of trading; the snapshot is restored into it
    children: tuple[Child, ...]  # services that run before trading does
    before_tick: Callable[[], Awaitable[None]] | None = None
    before_resume: Callable[[], Awaitable[str | None]] | None = None  # why trading cannot go on
    account: Callable[[], Awaitable[VenueAccount]] | None = None  # None: the books are the account
    halts_itself: bool = False  # whether the kill switch acts at the broker, and trading only stops
    close: Callable[[], None] | None = None
    away: Callable[[], str | None] = lambda: None  # key of the alert that says that it is away


def open_paper(
    journal: OrderJournal,
    *,
    cash: Decimal,
    rules: FillRules,
    allow_short: bool,
    limits: Callable[[], str],
) -> OpenedBroker:
    """Return the paper broker, whose orders go through the journal like any other's.

    Args:
        journal: where intents are written first.
        cash: USD at the first start.
        rules: of fills.
        allow_short: whether a sale may open a short position.
        limits: the limits in force, as canonical JSON.
    """

    def fresh() -> Broker:
        paper = PaperBroker(cash, rules, allow_short=allow_short)
        return JournaledPaperBroker(paper, journal, limits=limits)

    return OpenedBroker(
        document=PAPER_DOCUMENT,
        broker=fresh,
        children=(),
    )
