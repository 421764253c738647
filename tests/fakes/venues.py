"""A broker in virtual time that loses, repeats, delays and reorders, by a seed.

Its books (`tests.fakes.venue_books`) are right and last for ever; what goes wrong goes wrong on
the way: requests and replies are lost, look-ups show an earlier state, streams stutter. The same
seed gives the same faults.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Clock
from roboinvest.core.venue import (
    Execution,
    Outcome,
    OutcomeKind,
    VenueAccount,
    VenueOrder,
    VenuePosition,
    VenueStatus,
)
from tests.fakes.venue_books import PRICE, VenueBooks

Deliver = Callable[[VenueOrder | None, Sequence[Execution]], Awaitable[None]]
UNTRADABLE: Final = "NOPE"  # the one symbol that is refused for certain
_PLACE_FAULTS: Final = (
    "lost_request",
    "lost_reply",
    "late_arrival",
    "gateway_timeout_after_booking",
    "server_error",
    "too_many_requests",
    "unreadable_reply",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often what goes wrong: probabilities, and seconds."""

    place: float = 0.0  # of one of `_PLACE_FAULTS`, for each order sent
    cancel: float = 0.0  # that a cancel's request or reply is lost
    read: float = 0.0  # that a report fails
    late_s: float = 0.0  # most that a late request takes to arrive
    lookup_lag_s: float = 0.0  # how old the state is that look-ups and lists show
    positions_lag_s: float = 0.0
    odd_status: float = 0.0  # that a report says a status nobody knows
    stream_lost: float = 0.0
    stream_twice: float = 0.0
    stream_late_s: float = 0.0  # most that an update is late, which reorders them
    timeout_s: float = 10.0  # how long a call takes that is never answered


CALM: Final = Faults()


class SimulatedVenue:
    """`core.ports.Venue` over books that last longer than any life of the daemon."""

    def __init__(self, seed: int, clock: Clock, start: datetime, faults: Faults = CALM) -> None:
        self.rng = random.Random(seed)
        self.faults = faults
        self.stuck = False  # every call hangs for ever: no deadline on its side
        self.no_positions = False  # the positions report fails
        self.answers: list[Outcome] = []  # what the next orders are answered; nothing is booked
        self.next_fault: str | None = None  # what happens to the next order, whatever the odds
        self.posts: list[OrderIntent] = []  # every request that left, whatever came of it
        self.books = VenueBooks(self.rng, start, self._tell)
        self._clock = clock
        self._start = start
        self._stream: list[tuple[datetime, VenueOrder, Execution | None]] = []

    # The port

    async def place(self, intent: OrderIntent) -> Outcome:
        """Send an order, with the luck of the seed."""
        self.posts.append(intent)
        await self._travel()
        if self.answers:
            return self.answers.pop(0)
        fault, self.next_fault = self.next_fault, None
        fault = fault or self._pick(_PLACE_FAULTS, self.faults.place)
        if fault == "lost_request":
            return await self._no_reply()
        if fault == "late_arrival":
            delay = self.rng.uniform(0, self.faults.late_s)
            self.books.later(delay, lambda: self._book(intent))
            return await self._no_reply()
        if fault == "server_error":
            return _unknown("http-500")
        if fault == "too_many_requests":
            return replace(_unknown("http-429"), retry_after_s=3.0)
        outcome = self._book(intent)
        if fault == "lost_reply":
            return await self._no_reply()
        if fault == "gateway_timeout_after_booking":
            return _unknown("http-504")
        if fault == "unreadable_reply":
            return _unknown("unreadable")
        return outcome

    async def cancel(self, venue_id: str) -> Outcome:
        """Ask for the end of an order."""
        await self._travel()
        fault = self._pick(("request", "reply"), self.faults.cancel)
        if fault == "request":
            return await self._no_reply()
        ended = self.books.cancel(venue_id)
        if fault == "reply":
            return await self._no_reply()
        kind = OutcomeKind.ACCEPTED if ended else OutcomeKind.REJECTED
        return Outcome(kind=kind, code="" if ended else "42210000")

    async def find(self, client_order_id: str) -> tuple[VenueOrder, ...]:
        """Look an order up by its id."""
        await self._read("the order")
        venue_id = self.books.by_name.get(client_order_id)
        if venue_id is None:
            return ()
        return tuple(map(self._shown, self.books.family(venue_id, self._seen_until())))

    async def orders(self, since: datetime) -> Sequence[VenueOrder]:
        """List the open orders and those touched since."""
        await self._read("the order list")
        until = self._seen_until()
        states = [order.seen_at(until) for order in self.books.orders.values()]
        return tuple(
            self._shown(state)
            for state in states
            if state is not None
            and (state.is_open or state.updated_at is None or state.updated_at >= since)
        )

    async def executions(self, since: datetime) -> Sequence[Execution]:
        """List the executions since."""
        await self._read("the executions")
        until = self._seen_until()
        return tuple(e for e in self.books.executions if since <= e.at <= until)

    async def positions(self) -> Sequence[VenuePosition]:
        """List what is held."""
        await self._read("the positions")
        if self.no_positions:
            raise TryLater("the positions report failed")
        lag = timedelta(seconds=self.faults.positions_lag_s * self.rng.random())
        held = self.books.positions(self._clock.now() - lag if lag else None)
        return tuple(
            VenuePosition(symbol=symbol, qty=qty, avg_price=PRICE) for symbol, qty in held.items()
        )

    async def account(self) -> VenueAccount:
        """Tell what the account is worth."""
        await self._read("the account")
        cash = Decimal(100_000)
        return VenueAccount(
            account_id="simulated",
            cash=cash,
            equity=cash,
            last_equity=cash,
            buying_power=None,
            maintenance_margin=None,
            blocked=None,
            is_paper=True,
        )

    # The stream

    async def stream(self, deliver: Deliver) -> None:
        """Deliver updates as they come due, until cancelled; what comes in between is lost."""
        self._stream.clear()
        while True:
            now = self._clock.now()
            self.books.advance(now)
            due = sorted((row for row in self._stream if row[0] <= now), key=lambda row: row[0])
            self._stream = [row for row in self._stream if row[0] > now]
            for _, order, execution in due:
                await deliver(self._shown(order), () if execution is None else (execution,))
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        dues = [row[0] for row in self._stream]
        following = self.books.next_due()
        if following is not None:
            dues.append(following)
        wait = (min(dues) - self._clock.now()).total_seconds() if dues else 5.0
        return min(max(wait, 0.01), 5.0)

    def _tell(self, order: VenueOrder, execution: Execution | None) -> None:
        for _ in range(1 + (self.rng.random() < self.faults.stream_twice)):
            if self.rng.random() < self.faults.stream_lost:
                continue
            delay = timedelta(seconds=self.faults.stream_late_s * self.rng.random())
            self._stream.append((self.books.now + delay, order, execution))

    # The way there and back

    async def _travel(self) -> None:
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0.05)
        self.books.advance(self._clock.now())

    async def _read(self, what: str) -> None:
        await self._travel()
        if self.rng.random() < self.faults.read:
            raise TryLater(f"the broker did not send {what}")

    async def _no_reply(self) -> Outcome:
        await asyncio.sleep(self.faults.timeout_s)
        return _unknown("timeout")

    def _book(self, intent: OrderIntent) -> Outcome:
        if intent.symbol == UNTRADABLE:
            return Outcome(kind=OutcomeKind.REJECTED, code="42210000", text="not tradable")
        orders = self.books.book(intent)
        if orders is None:
            text = "client_order_id must be unique"
            return Outcome(kind=OutcomeKind.REJECTED, code="40010001", text=text, is_duplicate=True)
        return Outcome(kind=OutcomeKind.ACCEPTED, orders=orders)

    def _pick(self, names: Sequence[str], probability: float) -> str | None:
        return self.rng.choice(names) if self.rng.random() < probability else None

    def _seen_until(self) -> datetime:
        return self._clock.now() - timedelta(seconds=self.faults.lookup_lag_s * self.rng.random())

    def _shown(self, order: VenueOrder) -> VenueOrder:
        if self.rng.random() < self.faults.odd_status:
            return replace(order, status=VenueStatus.UNKNOWN)
        return order


def _unknown(code: str) -> Outcome:
    return Outcome(kind=OutcomeKind.UNKNOWN, code=code, text="no answer that can be believed")
