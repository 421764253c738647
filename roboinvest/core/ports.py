"""What the inner floors need of the world, each as a small Protocol with its contract.

Whoever implements a port lives on a floor above; the composition root hands it in. Nothing here
does anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar

from roboinvest.core.market.bars import BarSeries
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import NewsItem, Timeframe
from roboinvest.core.orders import Account, Order, OrderIntent, Settlement
from roboinvest.core.tasks import Answer, Task

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


class LanguageModel(Protocol):
    """Answers declared tasks; which model, or rule, answered is in the reply."""

    async def ask(self, task: Task[InputT, OutputT], inputs: InputT) -> Answer[OutputT]:
        """Return a typed answer within the task's deadline; it never raises for a bad reply."""
