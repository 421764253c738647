"""What the kill switch needs: hands at a broker, a notebook, and a word for how far it came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from roboinvest.core.journal import JournalEntry
from roboinvest.core.orders import OrderIntent
from roboinvest.core.venue import Execution, Outcome, VenueOrder, VenuePosition


class Hands(Protocol):
    """A broker's interface for a thread: each call blocks, ends in time, and is made once."""

    def open_orders(self) -> Sequence[VenueOrder]:
        """Return every order that can still fill, legs included; TryLater where that is unknown."""

    def family(self, venue_id: str) -> Sequence[VenueOrder]:
        """Return an order and the legs of its bracket; TryLater where that is unknown."""

    def executions(self, since: datetime) -> Sequence[Execution]:
        """Return every execution since; TryLater where that is unknown."""

    def positions(self) -> Sequence[VenuePosition]:
        """Return what is held; TryLater where that is unknown."""

    def account_id(self) -> str:
        """Return whose account the keys open; TryLater where that is unknown."""

    def cancel(self, venue_id: str) -> Outcome:
        """Ask for the end of an order."""

    def place(self, intent: OrderIntent) -> Outcome:
        """Send an intent."""


class Notebook(Protocol):
    """Where requests are written down before they leave."""

    def known(self) -> Mapping[str, JournalEntry]:
        """Return the intents that may be at the broker, by client order id; {} if unreadable."""

    def entry(self, client_order_id: str) -> JournalEntry | None:
        """Return what is known of an intent, as far as it can be read."""

    def account(self) -> str | None:
        """Return the account that the journal belongs to, as far as it can be read."""

    def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order, as far as it can be read."""

    def held(self, news: Iterable[Execution]) -> Mapping[str, Decimal] | None:
        """Return our signed shares by symbol, with executions not yet taken in; None: unreadable.

        Those that are no order of ours are left out.
        """

    def cancelling(self, order: VenueOrder, at: datetime) -> None:
        """Write down that a cancel is about to leave; one that cannot be is asked for as well."""

    def closing(self, intent: OrderIntent, at: datetime) -> OrderIntent:
        """Write down that a closing order is about to leave; return the one to send.

        That is an earlier one of the same name, where there was a try before.

        Raises:
            TryLater: it can be written nowhere.
        """

    def closing_others(self, intent: OrderIntent, at: datetime) -> None:
        """Write down that an order is about to leave which closes what is not ours.

        It is a note and no intent, because neither the shares nor what they bring are ours.

        Raises:
            TryLater: it can be written nowhere.
        """

    def closed(self, intent: OrderIntent, outcome: Outcome, at: datetime) -> None:
        """Write down what the broker said to it, as far as anything can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How far a halt was carried out."""

    cancelled: int = 0
    closed: int = 0
    failed: int = 0  # requests that were refused or not answered

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was refused or left open."""
        return not self.failed
