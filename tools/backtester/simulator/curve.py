"""Equity and gross exposure after every instant, filled in between the events of a run.

Between two events nothing is traded, so that a stretch of the curve is one line of arithmetic on
arrays. It is exact: whole shares at grid prices are whole units, and what a split left in
fractions is computed in whole numbers too, and rounded once, halves to even.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import to_units
from tools.backtester.simulator.book import SimBook
from tools.backtester.simulator.orders import Seat

ZERO: Final = Decimal(0)
_UNIT_DIGITS: Final = 4


class EquityCurve:
    """The account's worth at each instant of a run."""

    def __init__(self, book: SimBook) -> None:
        """Take the book whose positions count."""
        self._book = book
        self.filled = 0  # instants that are known
        self.equity: Ints = np.zeros(len(book.course.instants), np.int64)
        self.gross: Ints = np.zeros(len(book.course.instants), np.int64)

    def fill(self, until: int) -> None:
        """Fill in the instants before number `until` with what is held now."""
        if until <= self.filled:
            return
        stretch = slice(self.filled, until)
        self.filled = until
        seats = [seat for seat in self._book.seats if seat.qty]
        cash = self._book.cash
        if self._book.has_parts:
            self._fill_exactly(stretch, seats, cash)
            return
        if len(seats) != 1:  # most are spent flat
            self.equity[stretch] = to_units(cash)
        for seat in seats:
            worth = seat.lane.marks[stretch] * int(seat.qty)
            if len(seats) == 1:
                np.add(worth, to_units(cash), out=self.equity[stretch])
                np.abs(worth, out=self.gross[stretch])
            else:
                self.equity[stretch] += worth
                self.gross[stretch] += np.abs(worth)

    def _fill_exactly(self, stretch: slice, seats: list[Seat], cash: Decimal) -> None:
        digits = max([_digits(cash.scaleb(_UNIT_DIGITS)), *(_digits(seat.qty) for seat in seats)])
        one = 10**digits
        length = stretch.stop - stretch.start
        equity = [int(cash.scaleb(_UNIT_DIGITS + digits))] * length
        gross = [0] * length
        for seat in seats:
            shares = int(seat.qty.scaleb(digits))
            for at, mark in enumerate(seat.lane.marks[stretch].tolist()):
                equity[at] += shares * mark
                gross[at] += abs(shares * mark)
        self.equity[stretch] = [_rounded(value, one) for value in equity]
        self.gross[stretch] = [_rounded(value, one) for value in gross]


def _digits(number: Decimal) -> int:
    """Return how many digits a number needs behind the point."""
    if number == number.to_integral_value():
        return 0
    exponent = number.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _rounded(value: int, one: int) -> int:
    """Return value / one, halves to even."""
    whole, rest = divmod(value, one)
    if 2 * rest == one:
        return whole + whole % 2
    return whole + (2 * rest > one)
