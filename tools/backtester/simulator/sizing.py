"""How many shares an entry may be sent for where cash is the only limit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from roboinvest.core.market.grid import from_units
from roboinvest.core.orders import Side
from roboinvest.core.strategy import Size, requested_shares
from tools.backtester.simulator.book import SimBook
from tools.backtester.simulator.orders import Seat

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry that a scan asks for at the close of a row."""

    seat: Seat
    row: int
    side: Side
    stop: Decimal | None  # USD per share
    target: Decimal | None

    @property
    def mark(self) -> Decimal:
        """Return the close, in USD per share."""
        return from_units(self.seat.lane.part.signals.mark.item(self.row))


class Judge(Protocol):
    """Who has the last word on the size of an entry."""

    refused: Counter[str]  # rule -> entries not sent
    clamped: Counter[str]  # rule -> entries made smaller

    def allowed(self, wish: Wish) -> Decimal:
        """Return the shares that may be sent; 0: none, and why is counted."""

    def settle(self, first: int, at: int) -> None:
        """Take over what the fills from number `first` on, of instant `at`, came to."""


class CashOnly:
    """Sends what a strategy asks for; cash is looked at when it is filled (F7)."""

    def __init__(self, book: SimBook, size: Size, *, allow_short: bool) -> None:
        """Take the book whose equity is traded with."""
        self._book = book
        self._size = size
        self._allow_short = allow_short
        self.refused = Counter[str]()
        self.clamped = Counter[str]()

    def allowed(self, wish: Wish) -> Decimal:
        """Return the shares asked for, unless they are none, or a short that is not allowed."""
        if wish.side is Side.SELL and not self._allow_short:
            self.refused["short"] += 1
            return ZERO
        equity = self._book.equity(wish.seat.lane, wish.row)
        qty = requested_shares(self._size, equity, wish.mark, wish.stop)
        if not qty:
            self.refused["quantity"] += 1
        return qty

    def settle(self, first: int, at: int) -> None:
        """Do nothing: no limit remembers a loss."""
