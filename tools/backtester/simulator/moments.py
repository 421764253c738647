"""What an exit's call is shown: one closed bar of a symbol, on the scale of its own day."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.grid import UNITS_PER_USD
from roboinvest.core.orders import Side
from roboinvest.core.signal_levels import when
from roboinvest.core.signals import ClosedBar, by_split, columns_of
from roboinvest.core.strategy import ExitCall, Held
from tools.backtester.contract import Stage
from tools.backtester.simulator.lanes import Lane
from tools.backtester.simulator.orders import Seat

_USD: Final = float(UNITS_PER_USD)


@dataclass(frozen=True, slots=True)
class _Look:
    first: int  # row
    closed: ClosedBar


class ExitCalls:
    """Asks an exit's call about closed bars; it is asked once about each, unless levels decide."""

    def __init__(self, stage: Stage, call: ExitCall) -> None:
        """Take what is played; columns are computed anew only where shares were split."""
        self._stage = stage
        self._call = call
        self._looks: dict[str, list[_Look]] = {}

    def says(self, seat: Seat, row: int) -> bool:
        """Return whether the position is to be left at the close of a row.

        Raises:
            BadInput: the answer is neither True nor False.
        """
        if seat.answered == row:
            return True
        seat.look(row)
        answer = self._call(self._closed(seat.lane, row), _held(seat, row))
        if answer is True or answer is False or isinstance(answer, np.bool_):
            return bool(answer)
        raise BadInput(
            f"the exit's call answered {answer!r} at {when(seat.lane.part.bars, row)}; "
            "give True or False"
        )

    def first(self, seat: Seat, first: int, end: int) -> int | None:
        """Return the first row in [first, end) at which the position is to be left."""
        for row in range(first, end):
            if seat.lane.sends[row] and self.says(seat, row):
                seat.answered = row
                return row
        return None

    def _closed(self, lane: Lane, row: int) -> ClosedBar:
        looks = self._looks.get(lane.symbol)
        if looks is None:
            looks = self._looks[lane.symbol] = self._looks_of(lane)
        closed = looks[bisect_right(looks, row, key=lambda look: look.first) - 1].closed
        closed.row = row
        return closed

    def _looks_of(self, lane: Lane) -> list[_Look]:
        bars, signals = lane.part.bars, lane.part.signals
        looks = [
            _Look(rows.start, ClosedBar(seen, columns_of(self._stage.plan, seen), rows.start))
            for seen, rows in by_split(bars, self._stage.actions)
            if rows.start > 0
        ]
        return [_Look(0, ClosedBar(bars, signals.columns, 0)), *looks]


def _held(seat: Seat, row: int) -> Held:
    return Held(
        side=Side.BUY if seat.qty > 0 else Side.SELL,
        entry_price=float(seat.avg_price),
        bars=row - seat.entry_row + 1,
        best=seat.best / _USD,
        worst=seat.worst / _USD,
        stop=None if seat.stop is None else float(seat.stop),
    )


def exit_calls(stage: Stage) -> ExitCalls | None:
    """Return who asks the exit's call of a plan; None where it is a condition, or nothing."""
    leave = stage.plan.execution.exit
    return None if leave is None or hasattr(leave, "of") else ExitCalls(stage, leave)
