"""The orders of a run, and what each symbol's position has to remember.

An order is a small mutable record and not the house's frozen `Order`: a sweep books millions of
them and shows none. Its states and moves are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.core.market.grid import to_units
from roboinvest.core.orders import (
    TERMINAL_STATES,
    WORKING_STATES,
    Leg,
    OrderState,
    OrderType,
    Side,
)
from tools.backtester.contract import Cause
from tools.backtester.simulator.lanes import Lane

ZERO: Final = Decimal(0)


@dataclass(slots=True, kw_only=True, eq=False)
class SimOrder:
    """An order of the simulated account."""

    lane: Lane
    number: int  # its name
    age: tuple[int, int, int, int]  # sorts orders of all symbols, oldest first
    entry: int  # number of the entry it belongs to
    leg: Leg
    side: Side
    kind: OrderType
    qty: Decimal  # shares, positive
    mark: Decimal  # USD, the price it was decided at
    level: Decimal | None  # USD, of a stop or a limit
    cause: Cause
    signal_row: int
    day: int | None  # the session a DAY order dies with; None: it lives until it is filled
    state: OrderState
    filled: Decimal = ZERO
    trail: int = 0  # units, of an entry: how far its stop follows
    first_stop: Decimal | None = None  # USD, of an entry: where its stop stood at the signal
    triggered: bool = False  # a stop whose level was touched; it fills at the next opens
    parent: SimOrder | None = None
    stop: SimOrder | None = None  # of an entry
    target: SimOrder | None = None

    @property
    def works(self) -> bool:
        """Return whether a bar may fill it."""
        return self.state in WORKING_STATES

    @property
    def is_open(self) -> bool:
        """Return whether it can still fill."""
        return self.state not in TERMINAL_STATES

    @property
    def remaining(self) -> Decimal:
        """Return the shares still to fill."""
        return self.qty - self.filled

    def legs(self) -> Iterator[SimOrder]:
        """Yield the protective legs that are still open, the stop first."""
        if self.stop is not None and self.stop.is_open:
            yield self.stop
        if self.target is not None and self.target.is_open:
            yield self.target


@dataclass(slots=True, kw_only=True, eq=False)
class Seat:
    """One symbol's place in the account: what is held, and how it is guarded."""

    lane: Lane
    qty: Decimal = ZERO  # shares, signed
    avg_price: Decimal = ZERO  # USD per share
    orders: dict[int, SimOrder]  # open ones by number, oldest first
    entry: int = -1  # number of the entry that the position came from
    entry_row: int = -1  # of its first fill
    signal_row: int = -1
    stop: Decimal | None = None  # where the stop stands, or is put back to
    trail: int = 0  # units
    moved: bool = False  # the stop has been trailed
    best: int = 0  # units, since the entry
    worst: int = 0
    answered: int = -1  # the row at which the exit's call said to leave
    seen: int = -1  # the row up to which `best` and `worst` were looked at

    def order(self, leg: Leg) -> SimOrder | None:
        """Return the open order of one leg."""
        return next((order for order in self.orders.values() if order.leg is leg), None)

    def is_reached(self, row: int) -> bool:
        """Return whether a bar may fill an order; see `core.fills.reaches`, on whole units."""
        low, high = self.lane.low.item(row), self.lane.high.item(row)
        for order in self.orders.values():
            if order.level is None or order.triggered:
                return True
            waits_below = (order.kind is OrderType.STOP) is (order.side is Side.SELL)
            level = to_units(order.level)
            if low <= level if waits_below else high >= level:
                return True
        return False

    def look(self, row: int) -> None:
        """Take the bars up to `row` into the best and the worst price of the position."""
        if row <= self.seen or not self.qty:
            return
        first, lane = max(self.seen + 1, self.entry_row), self.lane
        if first == row:
            high, low = lane.high.item(row), lane.low.item(row)
        else:
            high = int(lane.high[first : row + 1].max())
            low = int(lane.low[first : row + 1].min())
        ahead, behind = (high, low) if self.qty > 0 else (low, high)
        better, worse = (max, min) if self.qty > 0 else (min, max)
        fresh = self.seen < self.entry_row
        self.best = ahead if fresh else better(self.best, ahead)
        self.worst = behind if fresh else worse(self.worst, behind)
        self.seen = row
