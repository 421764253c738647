"""The books of the simulated account: cash, positions, orders, and the relations between orders.

What `brokers.paper_book` keeps for a daemon, kept here for a run: the same moves in the same order,
for one agent, with nothing to report to anybody and nothing to restore. A test plays both on the
same bars and asks for equal fills.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from roboinvest.core.market.bars import from_ns
from roboinvest.core.market.grid import from_units, to_units
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import (
    SUB_PENNY_TICK,
    CashFlow,
    Leg,
    OrderState,
    OrderType,
    Side,
    cents,
    to_tick,
)
from tools.backtester.contract import Cause, SimFill
from tools.backtester.simulator.lanes import Course, Lane
from tools.backtester.simulator.orders import Seat, SimOrder

ZERO: Final = Decimal(0)
_BY_LEVEL: Final = (Cause.STOP, Cause.TRAIL)  # of an exit: the price is past its stop already
DUST: Final = Decimal("1e-9")  # shares; what a division by a split ratio may leave behind


class SimBook:
    """Cash, positions and open orders of one run."""

    def __init__(self, cash: Decimal, course: Course) -> None:
        """Take the cash to start with (USD)."""
        self.cash = cash
        self.course = course
        self.seats = tuple(Seat(lane=lane, orders={}) for lane in course.lanes)
        self.open: dict[int, SimOrder] = {}  # by number
        self.fills: list[SimFill] = []
        self.flows: list[CashFlow] = []
        self.ambiguous = 0
        self.resolved = 0  # bars that could not tell, and finer ones could
        self.unaffordable = 0
        self.expired = 0
        self.entries = 0  # entry orders sent
        self.has_parts = not _is_whole(cash.scaleb(4))  # of a unit, or of a share
        self._numbers = 0

    def equity(self, lane: Lane, row: int) -> Decimal:
        """Return cash and positions (USD) at the marks of the instant at which a row closed."""
        equity = self.cash
        for seat in self.seats:
            if seat.qty:
                equity += seat.qty * from_units(seat.lane.marks.item(lane.instants.item(row)))
        return equity

    def gross(self, lane: Lane, row: int) -> Decimal:
        """Return the absolute value of all positions (USD) at the marks of that instant."""
        at = int(lane.instants[row])
        worths = (seat.qty * from_units(int(seat.lane.marks[at])) for seat in self.seats)
        return sum((abs(worth) for worth in worths), ZERO)

    def expire(self, before: int) -> None:
        """End the day orders of sessions before the day `before`."""
        dead = [o for o in self.open.values() if o.day is not None and o.day < before]
        for order in dead:
            if order.is_open:
                self.expired += order.leg is Leg.ENTRY
                self.end(order, OrderState.EXPIRED)

    def enter_market(
        self,
        seat: Seat,
        row: int,
        side: Side,
        qty: Decimal,
        levels: tuple[Decimal | None, Decimal | None],
    ) -> None:
        """Book an entry at the market, with stop and target levels (USD) that wait for it."""
        lane = seat.lane
        mark = from_units(lane.part.signals.mark.item(row))
        entry = self._add(
            seat, row, Leg.ENTRY, side, qty, Cause.SCAN, mark=mark, entry=self.entries
        )
        entry.trail = lane.part.signals.trail.item(row)
        self.entries += 1
        for leg, level in zip((Leg.STOP, Leg.TARGET), levels, strict=True):
            if level is not None:
                guard = self._guard(seat, row, leg, -side.sign * qty, level, entry)
                if leg is Leg.STOP:
                    entry.stop, entry.first_stop = guard, level
                else:
                    entry.target = guard

    def leave(self, seat: Seat, row: int, cause: Cause) -> None:
        """Book the sale (or cover) of all that is held, in the place of all other orders."""
        for order in list(seat.orders.values()):
            if order.is_open:
                self.end(order, OrderState.CANCELLED)
        side = Side.SELL if seat.qty > 0 else Side.BUY
        mark = from_units(seat.lane.part.signals.mark.item(row))
        self._add(seat, row, Leg.EXIT, side, abs(seat.qty), cause, mark=mark, entry=seat.entry)

    def guard(self, seat: Seat, row: int, level: Decimal) -> None:
        """Book a stop of its own for all that is held."""
        self._guard(seat, row, Leg.STOP, -seat.qty, level, None)

    def trail(self, seat: Seat, row: int, level: Decimal) -> None:
        """Move a stop at the close of a row, which makes it young; its target stays with it."""
        seat.stop, seat.moved = level, True
        stop = seat.order(Leg.STOP)
        if stop is not None:
            stop.level, stop.mark, stop.cause = level, level, Cause.TRAIL
            stop.age = _age(seat.lane, row, Leg.STOP, stop.number, is_alone=True)

    def end(self, order: SimOrder, state: OrderState) -> None:
        """End an order early, and the legs that still wait for it."""
        self.move(order, state)
        for leg in order.legs():
            if leg.state is OrderState.HELD:
                self.move(leg, OrderState.CANCELLED)

    def move(self, order: SimOrder, state: OrderState) -> None:
        """Change the state of an order; an ended one leaves the open orders."""
        order.state = state
        if not order.is_open:
            del self.open[order.number]
            del self.seats[order.lane.number].orders[order.number]

    def shrink(self, order: SimOrder, by: Decimal) -> None:
        """Take shares off an open order; it is cancelled when none are left to fill."""
        if order.remaining - by <= DUST:
            self.move(order, OrderState.CANCELLED)
        else:
            order.qty -= by

    def open_legs(self, entry: SimOrder, qty: Decimal) -> None:
        """Let the legs of an entry protect `qty` more shares."""
        for leg in entry.legs():
            if leg.state is OrderState.HELD:
                leg.state, leg.qty = OrderState.ACCEPTED, qty
            else:
                leg.qty += qty

    def hold(self, order: SimOrder, row: int, qty: Decimal, price: Decimal) -> None:
        """Add signed shares to a symbol's position."""
        seat = self.seats[order.lane.number]
        total = seat.qty + qty
        if abs(total) <= DUST:
            seat.qty = ZERO
            return
        if not seat.qty:
            self._begin(seat, order, row, price)
        elif seat.qty * qty > 0:
            seat.avg_price = (seat.qty * seat.avg_price + qty * price) / total
        seat.qty = total

    def apply(self, seat: Seat, row: int) -> None:
        """Apply the corporate actions that are in force from a row's open on."""
        for action in seat.lane.actions.get(row, ()):
            if action.kind is ActionKind.SPLIT:
                self._scale(seat, row, action.ratio)
            else:
                self._pay(seat, row, action)

    def _begin(self, seat: Seat, order: SimOrder, row: int, price: Decimal) -> None:
        seat.avg_price = price
        seat.entry, seat.entry_row, seat.signal_row = order.entry, row, order.signal_row
        seat.stop = None if order.stop is None else order.stop.level
        seat.trail = order.trail
        seat.moved = False
        seat.seen = row - 1

    def _scale(self, seat: Seat, row: int, ratio: Decimal) -> None:
        """Put a position and its orders on the new scale of a split."""
        seat.look(row - 1)
        seat.qty *= ratio
        seat.avg_price /= ratio
        seat.stop = None if seat.stop is None else to_tick(seat.stop / ratio)
        seat.trail = _rescaled(seat.trail, ratio)
        seat.best, seat.worst = (_on_grid(from_units(u) / ratio) for u in (seat.best, seat.worst))
        self.has_parts |= not _is_whole(seat.qty)
        for order in seat.orders.values():
            self.has_parts |= not _is_whole(order.qty * ratio)
            order.qty *= ratio
            order.filled *= ratio
            order.trail = _rescaled(order.trail, ratio)
            first = order.first_stop
            order.first_stop = None if first is None else to_tick(first / ratio)
            order.mark = (order.mark / ratio).quantize(SUB_PENNY_TICK)
            order.level = None if order.level is None else to_tick(order.level / ratio)

    def _pay(self, seat: Seat, row: int, action: CorporateAction) -> None:
        amount = cents(seat.qty * action.cash)
        if amount:
            self.cash += amount
            self.flows.append(
                CashFlow(
                    symbol=action.symbol,
                    amount=amount,
                    at=from_ns(int(seat.lane.part.bars.opens[row])),
                    reason=f"dividend of {action.cash} USD a share",
                )
            )

    def _guard(
        self,
        seat: Seat,
        row: int,
        leg: Leg,
        shares: Decimal,
        level: Decimal,
        entry: SimOrder | None,
    ) -> SimOrder:
        """Book a leg that waits for its entry; without one, a stop of its own."""
        side = Side.BUY if shares > 0 else Side.SELL
        cause = Cause.TARGET if leg is Leg.TARGET else Cause.STOP
        if entry is None and seat.moved:
            cause = Cause.TRAIL
        number = seat.entry if entry is None else entry.entry
        order = self._add(seat, row, leg, side, abs(shares), cause, mark=level, entry=number)
        order.kind = OrderType.STOP if leg is Leg.STOP else OrderType.LIMIT
        order.level, order.day = level, None
        if entry is None:
            order.age = _age(seat.lane, row, leg, order.number, is_alone=True)
        else:
            order.parent, order.state = entry, OrderState.HELD
        return order

    def _add(
        self,
        seat: Seat,
        row: int,
        leg: Leg,
        side: Side,
        qty: Decimal,
        cause: Cause,
        *,
        mark: Decimal,
        entry: int,
    ) -> SimOrder:
        is_alone = leg is Leg.EXIT and cause in _BY_LEVEL
        order = SimOrder(
            lane=seat.lane,
            number=self._numbers,
            age=_age(seat.lane, row, leg, self._numbers, is_alone=is_alone),
            entry=entry,
            leg=leg,
            side=side,
            kind=OrderType.MARKET,
            qty=qty,
            mark=mark,
            level=None,
            cause=cause,
            signal_row=row,
            day=self._day_of(seat.lane, row),
            state=OrderState.ACCEPTED,
        )
        self._numbers += 1
        self.open[order.number] = order
        seat.orders[order.number] = order
        return order

    def _day_of(self, lane: Lane, row: int) -> int:
        """Return the day whose session a DAY order lives in: the next one after a close."""
        day = lane.part.bars.day.item(row)
        return self.course.day_after(day) if lane.ends_session(row) else day


def _age(
    lane: Lane, row: int, leg: Leg, number: int, *, is_alone: bool
) -> tuple[int, int, int, int]:
    """Return what sorts an order: when it was sent, and as which step of that close.

    Exits are sent first, then entries with their legs, then what guards positions (`is_alone`).
    """
    step = 2 if is_alone else 0 if leg is Leg.EXIT else 1
    return lane.part.bars.closes_at.item(row), step, lane.number, number


def _rescaled(distance: int, ratio: Decimal) -> int:
    return to_units(to_tick(from_units(distance) / ratio))


def _on_grid(price: Decimal) -> int:
    return to_units(price.quantize(SUB_PENNY_TICK))


def _is_whole(number: Decimal) -> bool:
    return number == number.to_integral_value()
