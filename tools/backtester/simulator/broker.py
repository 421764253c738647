"""What the bars of one instant do to the orders of the account.

This is the walk of `brokers.paper` over `core.fills`: all orders due at the open, then stops, then
limits, oldest order first. Entries of a strategy are market orders, so that what a limit or stop
entry would ask of a bar does not come up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.core.fills import (
    BarPrices,
    BracketExit,
    FillRules,
    affordable,
    fees,
    match_at_open,
    match_inside,
    reaches,
    resolve_bracket,
)
from roboinvest.core.orders import Leg, OrderState, OrderType, Side
from tools.backtester.contract import SimFill
from tools.backtester.simulator.book import DUST, SimBook
from tools.backtester.simulator.curve import EquityCurve
from tools.backtester.simulator.finer import told_by_finer
from tools.backtester.simulator.orders import Seat, SimOrder

ZERO: Final = Decimal(0)


@dataclass(slots=True)
class _Bar:
    """A symbol's bar of the instant, and what it has still to give."""

    seat: Seat
    row: int
    prices: BarPrices
    room: Decimal | None  # shares left to trade


Bars = Mapping[int, _Bar]  # by lane number


class SimBroker:
    """Fills orders of a book against bars."""

    def __init__(self, book: SimBook, curve: EquityCurve, rules: FillRules) -> None:
        """Take the book to work on, the curve that ends with each fill, and what trading costs."""
        self._book = book
        self._curve = curve
        self._rules = rules

    def work(self, rows: Mapping[int, int]) -> None:
        """Work off the bars of one instant, given as rows by lane number."""
        bars: dict[int, _Bar] = {}
        for number, row in rows.items():
            seat = self._book.seats[number]
            if seat.orders and seat.is_reached(row):
                prices = seat.lane.prices(row, self._rules)
                bars[number] = _Bar(seat, row, prices, prices.capacity)
        if not bars:
            return
        for order in self._live(bars):
            if order.works:
                self._at_open(order, bars[order.lane.number])
        for kind in (OrderType.STOP, OrderType.LIMIT):
            if all(order.kind is not kind for order in self._book.open.values()):
                continue
            for order in self._live(bars):
                if order.kind is kind and order.works and not order.triggered:
                    self._inside(order, bars[order.lane.number])

    def _live(self, bars: Bars) -> list[SimOrder]:
        """Return the orders that these bars may fill, oldest first."""
        live = [
            order
            for order in self._book.open.values()
            if order.works
            and order.lane.number in bars
            and (
                order.triggered
                or reaches(order.kind, order.side, order.level, bars[order.lane.number].prices)
            )
        ]
        return live if len(bars) == 1 else sorted(live, key=lambda order: order.age)

    def _at_open(self, order: SimOrder, bar: _Bar) -> None:
        kind = OrderType.MARKET if order.triggered else order.kind
        price = match_at_open(kind, order.side, order.level, bar.prices, self._rules)
        if price is None:
            return
        self._take(order, price, bar, at_open=True)
        for leg in order.legs():
            if leg.works:  # filled at the open, so the open counts for what protects it (F3)
                self._at_open(leg, bar)

    def _inside(self, order: SimOrder, bar: _Bar) -> None:
        entry = order.parent
        if entry is None:  # a stop that was put back, or moved
            price = match_inside(order.kind, order.side, order.level, bar.prices, self._rules)
            if price is not None:
                self._take(order, price, bar)
            return
        stop, target = (
            None if leg is None or not leg.is_open else leg.level
            for leg in (entry.stop, entry.target)
        )
        outcome = resolve_bracket(order.side, stop, target, bar.prices, self._rules)
        if outcome.ambiguous:
            outcome = self._told(order, stop, target, bar, outcome)
        if outcome.leg is order.leg and outcome.price is not None:
            self._take(order, outcome.price, bar, outcome=outcome)

    def _told(
        self,
        order: SimOrder,
        stop: Decimal | None,
        target: Decimal | None,
        bar: _Bar,
        worst: BracketExit,
    ) -> BracketExit:
        """Return what finer bars make of a bar that cannot tell, and count it once."""
        found = told_by_finer(
            bar.seat.lane.part, bar.row, order.side, stop, target, self._rules, worst
        )
        if order.leg is (found.leg or Leg.TARGET):
            self._book.ambiguous += found.ambiguous
            self._book.resolved += not found.ambiguous
        return found

    def _take(
        self,
        order: SimOrder,
        price: Decimal,
        bar: _Bar,
        *,
        at_open: bool = False,
        outcome: BracketExit | None = None,
    ) -> None:
        """Fill what volume, holdings and cash allow."""
        book = self._book
        if order.kind is OrderType.STOP and not order.triggered:
            order.triggered = True
            self._stop_entering(order)
        qty = order.remaining if bar.room is None else min(order.remaining, bar.room)
        if qty <= 0:
            return
        held = qty
        if order.leg is not Leg.ENTRY:
            held = min(qty, max(ZERO, -order.side.sign * bar.seat.qty))
        paid = held
        if order.side is Side.BUY:
            paid = affordable(held, price, book.cash, self._rules)
        book.unaffordable += paid < held
        if paid > 0:
            self._execute(order, paid, price, bar, at_open=at_open, outcome=outcome)
            if bar.room is not None:
                bar.room -= paid
        # A cover that cash cannot pay waits for the next bar: it must not leave a short unguarded.
        waits = paid < held and order.leg is not Leg.ENTRY
        if paid < qty and order.works and not waits:
            book.end(order, OrderState.CANCELLED)

    def _execute(
        self,
        order: SimOrder,
        qty: Decimal,
        price: Decimal,
        bar: _Bar,
        *,
        at_open: bool,
        outcome: BracketExit | None,
    ) -> None:
        book, lane, row = self._book, order.lane, bar.row
        self._curve.fill(lane.instants.item(row))
        fee = fees(order.side, qty, price, self._rules)
        signed = order.side.sign * qty
        book.cash -= signed * price + fee
        doubt = outcome is not None and outcome.ambiguous
        book.fills.append(
            SimFill(
                symbol=lane.symbol,
                row=row,
                at=lane.opens_at(row) if at_open else lane.part.bars.closes_at.item(row),
                qty=signed,
                price=price,
                fee=fee,
                leg=order.leg,
                cause=order.cause,
                entry=order.entry,
                signal_row=order.signal_row if order.level is None else bar.seat.signal_row,
                stop=order.first_stop,
                target=None if order.target is None else order.target.level,
                ambiguous=doubt,
                kindest=outcome.optimistic if outcome is not None and doubt else None,
            )
        )
        book.hold(order, row, signed, price)
        order.filled += qty
        ended = order.qty - order.filled <= DUST
        book.move(order, OrderState.FILLED if ended else OrderState.PARTIAL)
        self._after(order, qty)

    def _after(self, order: SimOrder, qty: Decimal) -> None:
        """Bring the orders that depend on a fill in line with it."""
        if order.leg is Leg.ENTRY:
            self._book.open_legs(order, qty)
            return
        entry = order.parent
        if entry is None:
            return
        if entry.is_open:
            self._book.end(entry, OrderState.CANCELLED)
        stop = entry.stop
        if order.leg is Leg.TARGET and stop is not None and stop.is_open:
            self._book.shrink(stop, qty)

    def _stop_entering(self, stop: SimOrder) -> None:
        """A touched stop ends its target and what is left of its entry."""
        entry = stop.parent
        if entry is None:
            return
        for other in (entry.target, entry):
            if other is not None and other.is_open:
                self._book.end(other, OrderState.CANCELLED)
