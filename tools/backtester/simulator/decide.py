"""What is sent at the close of a bar: exits first, then entries, then the stops of positions.

The order is that of `trading.trade_executor`, symbols sorted within each step, so that what two
symbols compete for is given out alike everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from roboinvest.core.market.grid import from_units
from roboinvest.core.orders import Leg, Side
from tools.backtester.contract import Cause, Stage
from tools.backtester.simulator.book import SimBook
from tools.backtester.simulator.moments import ExitCalls
from tools.backtester.simulator.orders import Seat
from tools.backtester.simulator.sizing import Judge, Wish
from tools.backtester.simulator.watch import trailed

ZERO: Final = Decimal(0)


class Desk:
    """Decides for all symbols at the close of an instant's bars."""

    def __init__(self, stage: Stage, book: SimBook, judge: Judge, calls: ExitCalls | None) -> None:
        """Take the plan, the account it trades on, who judges its entries, who asks its exit."""
        self._book = book
        self._judge = judge
        self._max_bars = stage.plan.execution.max_bars
        self._calls = calls
        self.signals = 0  # rows in which an entry was wanted while flat

    def close(self, rows: Mapping[int, int]) -> None:
        """Decide at the close of these rows, given by lane number in their order."""
        seats = [(self._book.seats[number], row) for number, row in rows.items()]
        held = [(seat, row) for seat, row in seats if seat.qty and seat.lane.sends[row]]
        for seat, row in held:
            if seat.order(Leg.EXIT) is None:
                cause = self._exit(seat, row)
                if cause is not None:
                    self._book.leave(seat, row, cause)
        for seat, row in seats:
            if not seat.qty and not seat.orders and row >= seat.lane.part.first_row:
                self._enter(seat, row)
        for seat, row in held:
            if seat.stop is not None and seat.order(Leg.EXIT) is None:
                self._guard(seat, row, seat.stop)

    def _exit(self, seat: Seat, row: int) -> Cause | None:
        """Return why a position is left now; None where it is kept."""
        signals = seat.lane.part.signals
        if signals.late[row]:
            return Cause.CLOSE
        if self._max_bars is not None and row - seat.entry_row + 1 >= self._max_bars:
            return Cause.TIME
        if signals.leave[row]:
            return Cause.SIGNAL
        if self._calls is not None and self._calls.says(seat, row):
            return Cause.SIGNAL
        return None

    def _enter(self, seat: Seat, row: int) -> None:
        """Send an entry where the scan wants one, as far as the judge allows."""
        signals = seat.lane.part.signals
        way = signals.entry.item(row)
        if not way:
            return
        self.signals += 1
        stop, target = (
            from_units(units) if units else None
            for units in (signals.stop.item(row), signals.target.item(row))
        )
        wish = Wish(seat, row, Side.BUY if way > 0 else Side.SELL, stop, target)
        qty = self._judge.allowed(wish)
        if qty > 0:
            self._book.enter_market(wish.seat, row, wish.side, qty, (stop, target))

    def _guard(self, seat: Seat, row: int, stands: Decimal) -> None:
        """Trail a stop, and put one back that went with an exit which died."""
        stop, mark = seat.order(Leg.STOP), from_units(seat.lane.part.signals.mark.item(row))
        way = 1 if seat.qty > 0 else -1
        if stop is not None and stop.triggered:
            return
        if seat.trail:
            seat.look(row)
            level = from_units(trailed(seat.best, seat.trail, is_long=way > 0))
            if (level - stands) * way > 0:
                stands = level
                if (mark - level) * way <= 0:
                    self._book.leave(seat, row, Cause.TRAIL)
                    return
                self._book.trail(seat, row, level)
        if stop is None:
            if (mark - stands) * way <= 0:  # the price is past the stop already
                self._book.leave(seat, row, Cause.TRAIL if seat.moved else Cause.STOP)
            else:
                self._book.guard(seat, row, stands)
