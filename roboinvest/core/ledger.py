"""The fold of fills into lots, positions and round trips, per agent.

Lots close first in, first out, within one agent and symbol, so that two agents who trade the same
symbol keep separate books on one account. The ledger never looks at a broker: the same fills, in
the order they happened, always give the same books.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import Fill, Leg, Position

ZERO: Final = Decimal(0)
BookKey = tuple[str, str]  # agent id, symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Shares bought (or sold short) in one execution and not yet closed."""

    lot_id: str  # the execution that opened it
    agent_id: str
    revision_id: str
    symbol: str
    qty: Decimal  # shares, signed
    price: Decimal  # USD per share
    commission: Decimal  # USD, the part that belongs to the shares still open
    risk_per_share: Decimal | None  # USD from entry to the protective stop; None without a stop
    opened_at: datetime  # UTC
    entry_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A round trip: shares of one lot from entry to exit."""

    trade_id: str  # "<opening execution>:<closing execution>"
    agent_id: str
    revision_id: str
    symbol: str
    qty: Decimal  # shares, signed as the lot was
    entry_price: Decimal
    exit_price: Decimal
    commission: Decimal  # USD, both sides
    pnl: Decimal  # USD, after commission
    r_multiple: float | None  # pnl over the initial risk
    opened_at: datetime
    closed_at: datetime
    exit_leg: Leg
    entry_order_id: str
    exit_order_id: str
    closes_entry: bool  # nothing of the entry order is left open after it


class Ledger:
    """Open lots and realised profit of every agent."""

    def __init__(
        self, lots: Iterable[Lot] = (), realised: Mapping[str, Decimal] | None = None
    ) -> None:
        self._lots: dict[BookKey, list[Lot]] = defaultdict(list)
        self._realised: dict[str, Decimal] = defaultdict(lambda: ZERO, realised or {})
        self._touched: set[BookKey] = set()
        for lot in lots:  # in the order of their books, as `lots` and `take_touched` gave them
            self._lots[lot.agent_id, lot.symbol].append(lot)

    def apply_fill(self, fill: Fill, stop_loss: Decimal | None = None) -> list[Trade]:
        """Book one execution and return the round trips it closed, oldest lot first.

        `stop_loss` is the protective price of an entry, which fixes the R of its trades.
        """
        key = (fill.agent_id, fill.symbol)
        self._touched.add(key)
        book, left, trades = self._lots[key], fill.qty, list[Trade]()
        while left and book and (book[0].qty > 0) != (left > 0):
            closing = min(abs(left), abs(book[0].qty)) * (1 if book[0].qty > 0 else -1)
            trades.append(self._close(book, closing, fill))
            left += closing
        if left:
            book.append(_open_lot(fill, left, stop_loss))
        return trades

    def apply_action(self, action: CorporateAction) -> None:
        """Put open lots on the new scale of a split. A dividend changes cash, not lots."""
        if action.kind is not ActionKind.SPLIT:
            return
        for key, book in self._lots.items():
            if key[1] == action.symbol and book:
                self._touched.add(key)
                book[:] = [_split_lot(lot, action.ratio) for lot in book]

    def add_realised(self, agent_id: str, amount: Decimal) -> None:
        """Book money that came without a trade, such as a dividend."""
        self._realised[agent_id] += amount

    def qty(self, symbol: str, agent_id: str | None = None) -> Decimal:
        """Return the signed shares of one agent, or of all of them."""
        return sum((lot.qty for lot in self._open(symbol, agent_id)), ZERO)

    def lots(self, symbol: str | None = None, agent_id: str | None = None) -> tuple[Lot, ...]:
        """Return open lots, oldest first within a book."""
        return tuple(self._open(symbol, agent_id))

    def position(self, symbol: str, mark: Decimal, agent_id: str | None = None) -> Position | None:
        """Return the position in one symbol, or None when it is flat."""
        lots = list(self._open(symbol, agent_id))
        qty = sum((lot.qty for lot in lots), ZERO)
        if not qty:
            return None
        cost = sum((lot.qty * lot.price for lot in lots), ZERO)
        return Position(symbol=symbol, qty=qty, avg_price=cost / qty, mark=mark)

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols with open lots, sorted."""
        return tuple(sorted({symbol for (_, symbol), book in self._lots.items() if book}))

    def agents(self) -> tuple[str, ...]:
        """Return every agent that has traded, sorted."""
        return tuple(sorted({agent for agent, _ in self._lots} | set(self._realised)))

    def realised(self, agent_id: str | None = None) -> Decimal:
        """Return realised profit in USD after commission, of one agent or of all."""
        if agent_id is not None:
            return self._realised[agent_id]
        return sum(self._realised.values(), ZERO)

    def open_pnl(self, marks: Mapping[str, Decimal], agent_id: str | None = None) -> Decimal:
        """Return unrealised profit in USD at `marks`; a symbol without a mark counts at cost."""
        return sum(
            (
                lot.qty * (marks.get(lot.symbol, lot.price) - lot.price)
                for lot in self._open(None, agent_id)
            ),
            ZERO,
        )

    def take_touched(self) -> dict[BookKey, tuple[Lot, ...]]:
        """Return the books that changed since the last call, for the store."""
        changed = {key: tuple(self._lots[key]) for key in sorted(self._touched)}
        self._touched.clear()
        return changed

    def realised_by_agent(self) -> dict[str, Decimal]:
        """Return realised profit of every agent, for the store."""
        return dict(sorted(self._realised.items()))

    def _open(self, symbol: str | None, agent_id: str | None) -> Iterable[Lot]:
        for key in sorted(self._lots):
            if agent_id in (None, key[0]) and symbol in (None, key[1]):
                yield from self._lots[key]

    def _close(self, book: list[Lot], closing: Decimal, fill: Fill) -> Trade:
        lot = book[0]
        entry_fee = lot.commission * closing / lot.qty
        commission = entry_fee + fill.commission * abs(closing) / abs(fill.qty)
        pnl = closing * (fill.price - lot.price) - commission
        if closing == lot.qty:
            book.pop(0)
        else:
            kept = lot.commission - entry_fee
            book[0] = replace(lot, qty=lot.qty - closing, commission=kept)
        self._realised[lot.agent_id] += pnl
        risk = lot.risk_per_share * abs(closing) if lot.risk_per_share else None
        return Trade(
            trade_id=f"{lot.lot_id}:{fill.execution_id}",
            agent_id=lot.agent_id,
            revision_id=lot.revision_id,
            symbol=lot.symbol,
            qty=closing,
            entry_price=lot.price,
            exit_price=fill.price,
            commission=commission,
            pnl=pnl,
            r_multiple=float(pnl / risk) if risk else None,
            opened_at=lot.opened_at,
            closed_at=fill.filled_at,
            exit_leg=fill.leg,
            entry_order_id=lot.entry_order_id,
            exit_order_id=fill.client_order_id,
            closes_entry=all(other.entry_order_id != lot.entry_order_id for other in book),
        )


def _open_lot(fill: Fill, qty: Decimal, stop_loss: Decimal | None) -> Lot:
    return Lot(
        lot_id=fill.execution_id,
        agent_id=fill.agent_id,
        revision_id=fill.revision_id,
        symbol=fill.symbol,
        qty=qty,
        price=fill.price,
        commission=fill.commission * qty / fill.qty,
        risk_per_share=abs(fill.price - stop_loss) or None if stop_loss is not None else None,
        opened_at=fill.filled_at,
        entry_order_id=fill.client_order_id,
    )


def _split_lot(lot: Lot, ratio: Decimal) -> Lot:
    risk = lot.risk_per_share
    return replace(
        lot,
        qty=lot.qty * ratio,
        price=lot.price / ratio,
        risk_per_share=None if risk is None else risk / ratio,
    )
