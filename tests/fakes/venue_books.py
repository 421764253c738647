"""The books of a simulated broker: orders, brackets, executions, and what was visible when.

They are real books: an id is taken for ever, shares are filled once, legs wait for their entry.
Every state an order had is kept with its time, so that a reader can be shown an earlier one.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final

from roboinvest.core.orders import Leg, OrderIntent, OrderType, Side
from roboinvest.core.venue import Execution, VenueOrder, VenueStatus

ZERO: Final = Decimal(0)
PRICE: Final = Decimal("100.25")
_ALIVE: Final = frozenset({VenueStatus.ACCEPTED, VenueStatus.HELD, VenueStatus.PARTIAL})
Told = Callable[[VenueOrder, Execution | None], None]


@dataclass(slots=True)
class BookedOrder:
    """An order and every state it had."""

    now: VenueOrder
    intent: OrderIntent | None  # None: a person's
    past: list[tuple[datetime, VenueOrder]] = field(default_factory=list)
    legs: list[str] = field(default_factory=list)  # venue ids

    @property
    def is_alive(self) -> bool:
        return self.now.status in _ALIVE

    def seen_at(self, at: datetime) -> VenueOrder | None:
        """Return the order as it was; None where it was not there yet."""
        before = [state for when, state in self.past if when <= at]
        return before[-1] if before else None


class VenueBooks:
    """What really happened, whatever anybody was told."""

    def __init__(self, rng: random.Random, start: datetime, told: Told) -> None:
        self.orders: dict[str, BookedOrder] = {}  # by venue id, oldest first
        self.by_name: dict[str, str] = {}  # client order id -> venue id, for ever
        self.executions: list[Execution] = []
        self.bookings: list[OrderIntent] = []  # every intent that became an order
        self.partial_fills = 0.5  # probability
        self.slow_fills = 0.3  # probability that an order rests and is not filled at once
        self.price_of: Callable[[str], Decimal] = lambda _symbol: PRICE  # what fills cost now
        self.leg_fills = 0.7  # probability that one protective leg fills soon after the entry
        self.now = start
        self._rng = rng
        self._told = told
        self._ids = itertools.count(1)
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._opening: dict[str, Decimal] = {}
        self._adjusted: list[tuple[datetime, str, Decimal]] = []  # by splits

    def advance(self, to: datetime) -> None:
        """Let everything happen that is due."""
        while self._due and self._due[0][0] <= to:
            self.now, _, happen = heapq.heappop(self._due)
            happen()
        self.now = max(self.now, to)

    def next_due(self) -> datetime | None:
        """Return when something happens next."""
        return self._due[0][0] if self._due else None

    def later(self, seconds: float, happen: Callable[[], object]) -> None:
        """Let something happen so many seconds from now."""
        at = self.now + timedelta(seconds=seconds)
        heapq.heappush(self._due, (at, next(self._ids), happen))

    def give(self, symbol: str, qty: Decimal) -> None:
        """Let the account hold shares that no execution speaks of."""
        self._opening[symbol] = self._opening.get(symbol, ZERO) + qty

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Change shares and resting orders; no execution tells of it, fractions become cash."""
        held = self.positions().get(symbol, ZERO)
        after = (held * ratio).quantize(Decimal("0.000001")).to_integral_value(ROUND_DOWN)
        self._adjusted.append((self.now, symbol, after - held))
        for order in self.orders.values():
            if order.is_alive and order.now.symbol == symbol:
                scaled = (order.now.qty * ratio).to_integral_value(ROUND_DOWN)
                self._put(order, replace(order.now, qty=scaled))

    def book(self, intent: OrderIntent) -> tuple[VenueOrder, ...] | None:
        """Book an order and its bracket; None where its name is taken."""
        if intent.client_order_id in self.by_name:
            return None
        self.bookings.append(intent)
        head = self._new(intent, intent.client_order_id, intent.side, intent.order_type, None)
        for level, kind in (
            (intent.stop_loss, OrderType.STOP),
            (intent.take_profit, OrderType.LIMIT),
        ):
            if level is not None:
                side = Side.SELL if intent.side is Side.BUY else Side.BUY
                leg = self._new(intent, f"venue-{next(self._ids)}", side, kind, head.now.venue_id)
                head.legs.append(leg.now.venue_id)
        if intent.leg in (Leg.ENTRY, Leg.EXIT, Leg.FLATTEN):
            rests = self._rng.random() < self.slow_fills
            self._schedule_fills(head.now.venue_id, 60.0 if rests else 1.0)
        return self.family(head.now.venue_id)

    def by_hand(self, symbol: str, side: Side, qty: Decimal) -> None:
        """Let a person trade beside us."""
        name = f"person-{next(self._ids)}"
        order = self._new(None, name, side, OrderType.MARKET, None, symbol=symbol, qty=qty)
        self.fill(order.now.venue_id, qty)

    def replace_by_hand(self, venue_id: str) -> None:
        """Let a person replace an order of ours: another order takes its place."""
        old = self.orders[venue_id]
        if not old.is_alive or old.legs or old.now.parent_id or old.now.filled_qty:
            return
        new = self._new(
            old.intent, f"venue-{next(self._ids)}", old.now.side, OrderType.MARKET, None
        )
        self._put(new, replace(new.now, replaces=venue_id))
        self._put(old, replace(old.now, status=VenueStatus.REPLACED, replaced_by=new.now.venue_id))
        self._schedule_fills(new.now.venue_id, 2.0)

    def cancel(self, venue_id: str) -> bool:
        """End an order and its waiting legs; False where it can end no more."""
        order = self.orders.get(venue_id)
        if order is None or not order.is_alive:
            return False
        self._end(order, VenueStatus.CANCELLED)
        for leg in map(self.orders.__getitem__, order.legs):
            if leg.now.status is VenueStatus.HELD and not order.now.filled_qty:
                self._end(leg, VenueStatus.CANCELLED)
        return True

    def fill(self, venue_id: str, qty: Decimal) -> None:
        """Execute shares of an order that is alive, if any are left."""
        order = self.orders[venue_id]
        qty = min(qty, order.now.qty - order.now.filled_qty)
        if order.now.status not in (VenueStatus.ACCEPTED, VenueStatus.PARTIAL) or qty <= 0:
            return
        filled = order.now.filled_qty + qty
        whole = filled == order.now.qty
        execution = Execution(
            execution_id=f"x{next(self._ids)}",
            venue_id=venue_id,
            client_order_id=order.now.client_order_id if self._rng.random() < 0.5 else "",
            symbol=order.now.symbol,
            side=order.now.side,
            qty=qty,
            price=self.price_of(order.now.symbol),
            at=self.now,
        )
        self.executions.append(execution)
        status = VenueStatus.FILLED if whole else VenueStatus.PARTIAL
        self._put(order, replace(order.now, filled_qty=filled, status=status), execution)
        self._after_fill(order, whole=whole)

    def family(self, venue_id: str, at: datetime | None = None) -> tuple[VenueOrder, ...]:
        """Return an order and its legs, now or as they were."""
        order = self.orders[venue_id]
        members = [order, *map(self.orders.__getitem__, order.legs)]
        seen = [o.now if at is None else o.seen_at(at) for o in members]
        return tuple(state for state in seen if state is not None)

    def positions(self, at: datetime | None = None) -> dict[str, Decimal]:
        """Return signed shares by symbol, now or as they were."""
        held = dict(self._opening)
        for execution in self.executions:
            if at is None or execution.at <= at:
                signed = execution.qty * execution.side.sign
                held[execution.symbol] = held.get(execution.symbol, ZERO) + signed
        for when, symbol, qty in self._adjusted:
            if at is None or when <= at:
                held[symbol] = held.get(symbol, ZERO) + qty
        return {symbol: qty for symbol, qty in held.items() if qty}

    def _new(
        self,
        intent: OrderIntent | None,
        name: str,
        side: Side,
        kind: OrderType,
        parent: str | None,
        *,
        symbol: str = "",
        qty: Decimal = ZERO,
    ) -> BookedOrder:
        venue_id = f"v{next(self._ids)}"
        state = VenueOrder(
            venue_id=venue_id,
            client_order_id=name,
            symbol=intent.symbol if intent else symbol,
            side=side,
            qty=intent.qty if intent else qty,
            filled_qty=ZERO,
            status=VenueStatus.ACCEPTED if parent is None else VenueStatus.HELD,
            order_type=kind,
            created_at=self.now,
            updated_at=self.now,
            parent_id=parent,
        )
        order = self.orders[venue_id] = BookedOrder(state, intent)
        self.by_name[name] = venue_id
        self._put(order, state)
        return order

    def _put(
        self, order: BookedOrder, state: VenueOrder, execution: Execution | None = None
    ) -> None:
        order.now = replace(state, updated_at=self.now)
        order.past.append((self.now, order.now))
        self._told(order.now, execution)

    def _end(self, order: BookedOrder, status: VenueStatus) -> None:
        self._put(order, replace(order.now, status=status))

    def _schedule_fills(self, venue_id: str, after_s: float) -> None:
        qty = self.orders[venue_id].now.qty
        parts = [qty]
        if qty > 1 and self._rng.random() < self.partial_fills:
            first = (qty / 3).quantize(Decimal(1))
            parts = [part for part in (first, qty - first) if part]
        at = after_s * (0.2 + self._rng.random())
        for part in parts:
            self.later(at, lambda part=part: self.fill(venue_id, part))  # type: ignore[misc]
            at += self._rng.random() * 3

    def _after_fill(self, order: BookedOrder, *, whole: bool) -> None:
        if order.now.parent_id is not None:
            siblings = self.orders[order.now.parent_id].legs
            for other in map(self.orders.__getitem__, siblings):
                if other is not order and other.is_alive:
                    self._end(other, VenueStatus.CANCELLED)
        if whole and order.legs:
            for leg in map(self.orders.__getitem__, order.legs):
                if leg.now.status is VenueStatus.HELD:
                    self._put(leg, replace(leg.now, status=VenueStatus.ACCEPTED))
            chosen = self._rng.choice(order.legs)
            if self._rng.random() < self.leg_fills:
                self._schedule_fills(chosen, 30.0)
