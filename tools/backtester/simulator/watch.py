"""The next row of a symbol in which something can happen.

Flat, that is the next entry. In a position it is the first bar that touches a level, or the first
row with a reason to leave, whichever comes first; both are looked for on whole columns, in growing
pieces, because most positions end soon. Whatever waits at the broker is looked at bar by bar.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import UNITS_PER_USD, from_units, to_units
from roboinvest.core.orders import Leg, OrderState
from tools.backtester.simulator.book import SimBook
from tools.backtester.simulator.moments import ExitCalls
from tools.backtester.simulator.orders import Seat, SimOrder

_FIRST_PIECE: Final = 128  # rows
_LARGEST_PIECE: Final = 8_192
_CENT: Final = 100  # units


class Watch:
    """Knows what a strategy's positions wait for, and trails the stops of quiet bars."""

    def __init__(self, book: SimBook, max_bars: int | None, calls: ExitCalls | None) -> None:
        """Take how long a position may last, and who asks an exit's call at each close."""
        self._book = book
        self._max_bars = max_bars
        self._calls = calls

    def next_row(self, seat: Seat, row: int) -> int | None:
        """Return the next row with an event after `row`; None where none is left."""
        last = seat.lane.rows - 1
        if row >= last:
            return None
        if seat.orders and _is_busy(seat):
            return row + 1
        if not seat.qty:
            return _from(seat.lane.entry_rows, row + 1)
        stop = seat.order(Leg.STOP)
        if seat.stop is not None and stop is None:  # it is to be put back
            return row + 1
        due = self._due(seat, row)
        until = last if due is None else due
        if stop is not None and seat.trail:
            if self._calls is not None:  # it is shown where the stop stands
                return row + 1
            touched = self._trail(seat, row, until)
        else:
            touched = _touched(seat, stop, row + 1, until)
        known = due if touched is None else touched
        if self._calls is None:
            return known
        asked = self._calls.first(seat, row + 1, last + 1 if known is None else known)
        return known if asked is None else asked

    def _due(self, seat: Seat, row: int) -> int | None:
        """Return the next row in which a position is left, or changed, whatever its price does."""
        lane, due = seat.lane, _from(seat.lane.leave_rows, row + 1)
        others = [_from(lane.action_rows, row + 1)] if lane.action_rows else []
        if self._max_bars is not None:
            others.append(max(seat.entry_row + self._max_bars - 1, row + 1))
        for other in others:
            if other is not None and other < lane.rows and (due is None or other < due):
                due = other
        return due

    def _trail(self, seat: Seat, row: int, last: int) -> int | None:
        """Return the first row up to `last` that needs more than a moved stop; move it till then.

        That is a bar which touches the stop, or closes beyond where it would be moved to.
        """
        seat.look(row)
        lane, sign = seat.lane, 1 if seat.qty > 0 else -1
        ahead, behind = (lane.high, lane.low) if sign > 0 else (lane.low, lane.high)
        close = lane.part.signals.mark
        stands, first, size = sign * _units(seat.stop), row + 1, _FIRST_PIECE
        while first <= last:
            piece = slice(first, min(first + size, last + 1))
            best = np.maximum.accumulate(np.maximum(sign * ahead[piece], sign * seat.best))
            wanted = np.where(lane.sends[piece], _levels(best, seat.trail), stands)
            after = np.maximum.accumulate(np.maximum(wanted, stands))
            before = np.concatenate(([stands], after[:-1]))
            beyond = (wanted > before) & (sign * close[piece] <= wanted)
            hit = (sign * behind[piece] <= before) | beyond
            found = bool(hit.any())
            # what the close of an event's row moves is decided when that row is worked
            quiet = int(hit.argmax()) if found else piece.stop - first - (piece.stop > last)
            moves = np.flatnonzero(after[:quiet] > before[:quiet])
            if len(moves):
                stands = int(after[moves[-1]])
                self._book.trail(seat, first + int(moves[-1]), from_units(sign * stands))
            if found:
                return first + quiet
            seat.look(piece.stop - 1 - (piece.stop > last))
            first, size = piece.stop, min(2 * size, _LARGEST_PIECE)
        return None


def trailed(best: int, trail: int, *, is_long: bool) -> int:
    """Return where a trailing stop belongs (units), rounded away from the market to the tick."""
    sign = 1 if is_long else -1
    return sign * int(_levels(np.array([sign * best]), trail)[0])


def _levels(best: Ints, trail: int) -> Ints:
    """Return trailing levels; `best` and they are negative for a short, so that down is away."""
    levels = best - trail
    return np.where(np.abs(levels) < UNITS_PER_USD, levels, levels // _CENT * _CENT)


def _units(level: Decimal | None) -> int:
    return 0 if level is None else to_units(level)


def _is_busy(seat: Seat) -> bool:
    """Return whether an order waits that the next bar may fill whatever its prices."""
    return any(
        order.level is None or order.triggered
        for order in seat.orders.values()
        if order.state is not OrderState.HELD
    )


def _from(rows: list[int], first: int) -> int | None:
    at = bisect_left(rows, first)
    return rows[at] if at < len(rows) else None


def _touched(seat: Seat, stop: SimOrder | None, first: int, last: int) -> int | None:
    """Return the first row in [first, last] whose bar comes to a level."""
    target = seat.order(Leg.TARGET)
    lane, legs = seat.lane, (stop, target) if seat.qty > 0 else (target, stop)
    below, above = (None if leg is None else _units(leg.level) for leg in legs)
    if below is None and above is None:
        return None
    size = _FIRST_PIECE
    while first <= last:
        end = min(first + size, last + 1)
        hits = [] if below is None else [lane.low[first:end] <= below]
        if above is not None:
            hits.append(lane.high[first:end] >= above)
        hit = hits[0] | hits[1] if len(hits) == 2 else hits[0]
        at = int(hit.argmax())
        if hit[at]:
            return first + at
        first, size = end, min(2 * size, _LARGEST_PIECE)
    return None
