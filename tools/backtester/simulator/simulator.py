"""The Python simulator: plays a stage event by event, for as many symbols as it has.

An event is a row of a symbol in which an order may be filled or sent. Events of one instant are
worked together: what the bars did to the orders, then what is decided at their close. Everything
between two events is passed over, and the equity curve is filled in behind.
"""

from __future__ import annotations

from heapq import heappop, heappush

from roboinvest.core.fills import fees, slipped
from roboinvest.core.market.grid import from_units
from roboinvest.core.orders import Leg, Side
from tools.backtester.contract import Cause, Played, SimFill, Stage, Terms
from tools.backtester.simulator.book import SimBook
from tools.backtester.simulator.broker import SimBroker
from tools.backtester.simulator.curve import EquityCurve
from tools.backtester.simulator.decide import Desk
from tools.backtester.simulator.lanes import Course, course_of
from tools.backtester.simulator.moments import exit_calls
from tools.backtester.simulator.orders import Seat
from tools.backtester.simulator.readings import Readings
from tools.backtester.simulator.risk_desk import RiskDesk
from tools.backtester.simulator.sizing import CashOnly, Judge
from tools.backtester.simulator.watch import Watch


def play(stage: Stage, terms: Terms) -> Played:
    """Return what a strategy's orders came to.

    Raises:
        BadInput: an exit's call asked for what it may not, or answered with no truth.
    """
    run = _Run(stage, terms)
    run.play()
    return run.played()


class _Run:
    """One run, from its first event to its last."""

    def __init__(self, stage: Stage, terms: Terms) -> None:
        self._terms = terms
        self._course: Course = course_of(stage, limited=terms.limits is not None)
        self._book = SimBook(terms.cash, self._course)
        self._curve = EquityCurve(self._book)
        self._broker = SimBroker(self._book, self._curve, terms.rules)
        how = stage.plan.execution
        self._judge = self._judged_by(stage)
        calls = exit_calls(stage)
        self._desk = Desk(stage, self._book, self._judge, calls)
        self._watch = Watch(self._book, how.max_bars, calls)
        self._events: list[tuple[int, int, int]] = []  # heap of (bar open in ns, lane, row)

    def _judged_by(self, stage: Stage) -> Judge:
        terms, book = self._terms, self._book
        if terms.limits is None:
            return CashOnly(book, stage.plan.execution.size, allow_short=terms.allow_short)
        readings = Readings(self._curve, self._course, terms.cash, terms.limits)
        return RiskDesk(stage, terms, terms.limits, book, readings)

    def play(self) -> None:
        """Work off all events."""
        for seat in self._book.seats:
            self._expect(seat, seat.lane.part.first_row - 1)
        while self._events:
            ts, number, row = heappop(self._events)
            rows = {number: row}
            while self._events and self._events[0][0] == ts:
                _, number, row = heappop(self._events)
                rows[number] = row
            self._instant(rows)
            for number, row in rows.items():
                self._expect(self._book.seats[number], row)
        self._curve.fill(len(self._course.instants))
        self._bury()

    def _instant(self, rows: dict[int, int]) -> None:
        """Work what the bars of one instant do to the orders, then what is decided at its close."""
        book = self._book
        for number, row in rows.items():
            seat = book.seats[number]
            if row in seat.lane.actions:
                self._curve.fill(int(seat.lane.instants[row]))
                book.apply(seat, row)
        if book.open:
            self._fill(rows)
        self._desk.close(rows)

    def _fill(self, rows: dict[int, int]) -> None:
        """Fill and end orders; one that dies at this close is not in the way of another."""
        book, before = self._book, len(self._book.fills)
        number, row = next(iter(rows.items()))
        lane = book.seats[number].lane
        day = lane.part.bars.day.item(row)
        book.expire(day)
        self._broker.work(rows)
        if len(book.fills) > before:
            self._judge.settle(before, int(lane.instants[row]))
        if lane.ends_session(row):
            book.expire(day + 1)

    def _expect(self, seat: Seat, row: int) -> None:
        """Note the next event of a symbol."""
        upcoming = self._watch.next_row(seat, row)
        if upcoming is not None:
            ts = seat.lane.part.bars.ts.item(upcoming)
            heappush(self._events, (ts, seat.lane.number, upcoming))

    def _bury(self) -> None:
        """End the day orders of a last session whose bars are all there."""
        after = [
            int(lane.part.bars.day[-1]) + lane.ends_session(lane.rows - 1)
            for lane in self._course.lanes
            if lane.rows
        ]
        self._book.expire(max(after, default=0))

    def played(self) -> Played:
        """Return what it came to."""
        book = self._book
        return Played(
            instants=self._course.instants,
            equity=self._curve.equity,
            gross=self._curve.gross,
            fills=tuple(book.fills),
            at_end=tuple(self._reckoning(seat) for seat in book.seats if seat.qty),
            flows=tuple(book.flows),
            signals=self._desk.signals,
            ambiguous=book.ambiguous,
            resolved=book.resolved,
            unaffordable=book.unaffordable,
            refused=dict(sorted(self._judge.refused.items())),
            clamped=dict(sorted(self._judge.clamped.items())),
            expired=book.expired,
        )

    def _reckoning(self, seat: Seat) -> SimFill:
        """Return what closing a position at the last close would come to."""
        lane, rules = seat.lane, self._terms.rules
        row, side = lane.rows - 1, Side.SELL if seat.qty > 0 else Side.BUY
        price = slipped(from_units(int(lane.part.signals.mark[row])), side, rules)
        return SimFill(
            symbol=lane.symbol,
            row=row,
            at=int(lane.part.bars.closes_at[row]),
            qty=-seat.qty,
            price=price,
            fee=fees(side, abs(seat.qty), price, rules),
            leg=Leg.EXIT,
            cause=Cause.END,
            entry=seat.entry,
            signal_row=seat.signal_row,
        )
