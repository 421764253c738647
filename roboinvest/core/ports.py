"""What the inner floors need of the world, each as a small Protocol with its contract.

Whoever implements a port lives on a floor above; the composition root hands it in. Nothing here
does anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState
from roboinvest.core.market.bars import BarSeries
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import NewsItem, Timeframe
from roboinvest.core.orders import Account, Order, OrderIntent, Settlement
from roboinvest.core.tasks import Answer, Task
from roboinvest.core.venue import Execution, Outcome, VenueAccount, VenueOrder, VenuePosition

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


class Clock(Protocol):
    """Time. `now` is for facts, `monotonic` for intervals."""

    def now(self) -> datetime:
        """Return the aware UTC wall time."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""


class MarketClock(Protocol):
    """The time a market lives in: replayed, simulated or real."""

    def now(self) -> datetime:
        """Return the market's aware UTC time; in a replay that of the tick being worked on."""

    async def wait_until(self, instant: datetime) -> None:
        """Return when the market's time reaches `instant`; at once if it has."""


class Calendar(Protocol):
    """When the exchange is open."""

    def sessions(self, first: date, last: date) -> Sequence[Session]:
        """Return the sessions of exchange days `first` to `last`, both included, oldest first."""


class MarketFeed(Protocol):
    """Closed bars that passed the quality gate, up to the instant of the last `advance`.

    Causal by construction: nothing after that instant can be asked for.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the universe, sorted."""

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of its bars."""

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        """Move to `at` (a tick time of `session`) and return what happened since the last call.

        Raises:
            TryLater: the source is away; nothing was moved.
        """

    async def seek(self, at: datetime) -> None:
        """Take the place a run had after `advance(at)`, so that a resumed run sees what it saw."""

    def window(self, symbol: str, length: int) -> BarSeries:
        """Return the last `length` regular-session bars, on today's side of every split so far."""

    def vix(self) -> float | None:
        """Return the last VIX close known by now; None where no series is given."""

    def counts(self) -> DataCounts:
        """Return what the quality gate did so far."""


class NewsSource(Protocol):
    """Timestamped headlines."""

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        """Return the items with after < published_at <= until, by time then id."""


class Broker(Protocol):
    """Where orders go. `submit` is idempotent by client order id: twice sent is once booked."""

    async def settle(self, update: MarketUpdate) -> Settlement:
        """Return what became of our orders up to `update.at`; each change is reported once."""

    async def submit(self, intent: OrderIntent, at: datetime) -> tuple[Order, ...]:
        """Book an intent; a bracket returns its entry and its protective legs.

        Raises:
            OrderRejected: refused for certain; nothing was booked.
        """

    async def cancel(self, client_order_id: str, at: datetime, note: str) -> tuple[Order, ...]:
        """Cancel an open order and the legs that wait for it; return every order that changed."""

    async def account(self, marks: Mapping[str, float]) -> Account:
        """Return cash and equity, positions valued at `marks` (USD per share)."""

    async def open_orders(self) -> Sequence[Order]:
        """Return every order that can still fill, oldest first."""

    def snapshot(self) -> str | None:
        """Return what to store with a tick; None where the broker keeps its own books."""

    def restore(self, snapshot: str) -> None:
        """Take the state that `snapshot` returned."""


class Venue(Protocol):
    """A real broker's interface: one request a call, each with a deadline, none repeated blindly.

    What only reads raises `TryLater` where the broker is away or its answer cannot be believed; an
    empty answer is one that the broker gave in good order. What changes something never raises for
    what the broker said: the answer is an `Outcome`.
    """

    async def place(self, intent: OrderIntent) -> Outcome:
        """Send an intent, once, with its client order id and its bracket."""

    async def cancel(self, venue_id: str) -> Outcome:
        """Ask for the end of an order; ACCEPTED means asked, REJECTED that it can end no more."""

    async def find(self, client_order_id: str) -> tuple[VenueOrder, ...]:
        """Return the order with this id and the legs of its bracket; () where there is none."""

    async def orders(self, since: datetime) -> Sequence[VenueOrder]:
        """Return every open order, and every one touched since, legs included, oldest first."""

    async def executions(self, since: datetime) -> Sequence[Execution]:
        """Return every execution since, complete, oldest first."""

    async def positions(self) -> Sequence[VenuePosition]:
        """Return what is held; () only where the broker says that nothing is."""

    async def account(self) -> VenueAccount:
        """Return what we own and whether we may trade."""


class Noted(Protocol):
    """A fact that was appended to the order journal."""

    @property
    def body(self) -> Mapping[str, object]:
        """Return what was noted: JSON types."""


class OrderJournal(Protocol):
    """What we asked brokers for, and what they executed: durable before any call returns.

    Raises `TryLater` where nothing can be written: then nothing may be sent.
    """

    async def record(self, intent: OrderIntent, limits: str, at: datetime) -> JournalEntry:
        """Write an intent down, or return what is known of it; the second time is a read.

        Raises:
            Refused: another intent has this id, or this (tick, agent, symbol, leg).
        """

    async def move(
        self,
        client_order_id: str,
        state: JournalState,
        at: datetime,
        *,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        """Move an intent along the table `NEXT_JOURNAL_STATES`; SENDING counts a send.

        Raises:
            ValueError: the table has no such move.
        """

    async def link(self, venue_id: str, client_order_id: str) -> None:
        """Note that a broker's order is one of ours: a bracket's leg, or a replacement."""

    async def book(self, executions: Sequence[Execution]) -> tuple[BookedExecution, ...]:
        """Take executions in, each once, in any order; return those that are new."""

    async def note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        """Append a fact to the record: a cancel that is about to be asked for, a mismatch."""

    async def notes(self, kind: str | None = None) -> Sequence[Noted]:
        """Return the facts of a kind, or all, in the order they were noted."""

    async def entry(self, client_order_id: str) -> JournalEntry | None:
        """Return what is known of an intent."""

    async def entries(self, states: frozenset[JournalState]) -> tuple[JournalEntry, ...]:
        """Return the intents in these states, oldest first."""

    async def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order."""

    async def booked(self, after_seq: int = 0) -> tuple[BookedExecution, ...]:
        """Return the executions taken in after one, in the order they were."""


class SpendBook(Protocol):
    """Where it is in force what language models may cost."""

    async def set_day_cap(self, usd: Decimal, reason: str, at: datetime) -> object:
        """Move the day's cap, below the ceiling that a person set.

        Raises:
            Refused: it is above the ceiling.
            TryLater: it could not be written.
        """


class LanguageModel(Protocol):
    """Answers declared tasks; which model, or rule, answered is in the reply."""

    async def ask(
        self, task: Task[InputT, OutputT], inputs: InputT, *, about: str = ""
    ) -> Answer[OutputT]:
        """Return a typed answer within the task's deadline; it never raises for a bad reply.

        `about` names the tick or the iteration that asks: what it may spend is counted together.
        """
