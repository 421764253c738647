"""Judges a scenario by what the broker and the disk really have, never by what the desk says.

Each finding begins with the name of the invariant that it breaks. Findings are collected, not
raised, so that a planted fault can be seen to break the one that it should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from roboinvest.brokers.desk.reach import KEY as AWAY
from roboinvest.core.events import TradingState
from roboinvest.core.journal import JournalEntry, JournalState, positions_of
from roboinvest.core.orders import Leg, OrderIntent
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.venue_books import BookedOrder
from tests.fakes.venues import SimulatedVenue

Place = tuple[str, str, str, str]
_TAKEN = frozenset({JournalState.ACCEPTED, JournalState.CLOSED})
_ADDS = frozenset({Leg.ENTRY})


def place_of(intent: OrderIntent) -> Place:
    """Return what makes an intent one, whatever its order is called."""
    return (intent.tick_id, intent.agent_id, intent.symbol, intent.leg)


class Checker:
    """Looks at every step, at every order that leaves, and at the end."""

    def __init__(self, venue: SimulatedVenue, journal: InMemoryOrderJournal) -> None:
        self.found: list[str] = []
        self.state = TradingState.STARTING
        self.is_halted = False
        self._venue = venue
        self._journal = journal
        self._posts: Counter[Place] = Counter()

    def look(self) -> None:
        """Check what has to hold at every step."""
        booked = Counter(place_of(intent) for intent in self._venue.books.bookings)
        for place, count in booked.items():
            if count > 1:
                self._find(f"I-ORD-1 {place} has {count} orders at the broker")
        for entry in self._entries():
            if entry.state is JournalState.REJECTED and place_of(entry.intent) in booked:
                self._find(f"I-ORD-6 {entry.intent.client_order_id} is REJECTED, and was booked")
            if entry.state is JournalState.EXPIRED and place_of(entry.intent) in booked:
                self._find(f"I-ORD-2 {entry.intent.client_order_id} is EXPIRED, and was booked")

    def sent(self, intent: OrderIntent, now: datetime) -> None:
        """Check an order at the instant that it leaves."""
        place = place_of(intent)
        self._posts[place] += 1
        entry = next((e for e in self._entries() if place_of(e.intent) == place), None)
        if entry is None or entry.state is not JournalState.SENDING:
            self._find(f"I-ORD-3 {place} left, and the journal does not say SENDING")
        elif entry.sends < self._posts[place]:
            sends = f"{entry.sends} sends, {self._posts[place]} requests"
            self._find(f"I-ORD-3 {place}: the journal knows of {sends}")
        if now > intent.valid_until:
            self._find(f"I-ORD-4 {place} left after it was valid")
        if intent.leg in _ADDS and (self.is_halted or self.state is not TradingState.READY):
            self._find(f"I-ORD-4 {place} left while {self.state}, halted {self.is_halted}")

    def told_of(self, key: str, message: str) -> None:
        """Nothing in these worlds changes positions; that a broker is away is no mismatch."""
        if key != AWAY:
            self._find(f"I-REC-2 a mismatch that is none: {key}: {message}")

    def end(
        self, fills: list[str], open_orders: dict[str, object], ends: list[tuple[str, ...]]
    ) -> None:
        """Check what has to hold once faults have stopped for long enough."""
        self.look()
        orders = dict(self._heads())
        self._check_entries(orders)
        known = {place_of(entry.intent) for entry in self._entries()}
        for place in orders.keys() - known:
            self._find(f"I-ORD-3 {place} is at the broker, and not in the journal")
        self._check_fills(fills)
        for told, count in Counter(ends).items():
            if count > 1:
                self._find(f"I-ORD-5 the committed ticks heard {count} times that {told}")
        self._check_positions()
        alive = {o.now.venue_id for o in self._venue.books.orders.values() if o.is_alive}
        if len(open_orders) != len([v for v in alive if self._is_ours(v)]):
            self._find(f"I-ORD-2 told open: {sorted(open_orders)}, at the broker: {sorted(alive)}")
        if self.state is not TradingState.READY:
            self._find(f"I-ORD-2 still {self.state} long after the faults stopped")

    def _check_entries(self, orders: Mapping[Place, BookedOrder]) -> None:
        for entry in self._entries():
            name, place = entry.intent.client_order_id, place_of(entry.intent)
            if not entry.is_settled:
                self._find(f"I-ORD-2 {name} is still {entry.state}: {entry.reason}")
            if entry.state in _TAKEN:
                order = orders.get(place)
                wanted = (entry.intent.symbol, entry.intent.side, entry.intent.qty)
                if order is None:
                    self._find(f"I-ORD-2 {name} is {entry.state}, and the broker never had it")
                elif (order.now.symbol, order.now.side, order.now.qty) != wanted:
                    self._find(f"I-ORD-2 {name} is another order at the broker")

    def _check_fills(self, fills: list[str]) -> None:
        ours = {e.execution_id for e in self._venue.books.executions if self._is_ours(e.venue_id)}
        for execution, count in Counter(fills).items():
            if count > 1:
                self._find(f"I-ORD-5 the committed ticks took {execution} in {count} times")
        for execution in sorted(ours - set(fills)):
            self._find(f"I-ORD-5 {execution} was filled, and no committed tick knows")
        for execution in sorted(set(fills) - ours):
            self._find(f"I-ORD-5 {execution} is in the committed ticks, and not ours")

    def _check_positions(self) -> None:
        booked = self._journal.booked_now(timeout_s=1)
        ours, others = positions_of(booked, ours=True), positions_of(booked, ours=False)
        total = {
            symbol: ours.get(symbol, Decimal(0)) + others.get(symbol, Decimal(0))
            for symbol in {*ours, *others}
        }
        total = {symbol: qty for symbol, qty in total.items() if qty}
        held = self._venue.books.positions()
        if total != held:
            self._find(f"I-ORD-5 the fold is {total}, the broker holds {held}")
        for symbol, qty in ours.items():
            if qty < 0:
                self._find(f"I-ORD-5 {symbol}: an exit opened a short of {qty}")

    def _is_ours(self, venue_id: str) -> bool:
        return self._venue.books.orders[venue_id].intent is not None

    def _heads(self) -> list[tuple[Place, BookedOrder]]:
        return [
            (place_of(order.intent), order)
            for order in self._venue.books.orders.values()
            if order.intent and not order.now.parent_id and order.now.replaces is None
        ]

    def _entries(self) -> tuple[JournalEntry, ...]:
        return self._journal.entries_now(frozenset(JournalState), timeout_s=1)

    def _find(self, finding: str) -> None:
        if finding not in self.found:
            self.found.append(finding)
