"""What the broker's books, the order journal and the database say of one account, held together."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final

from tests.fakes.stored_journal import StoredJournal
from tests.fakes.stored_runs import StoredRun
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.alpaca_values import BookedOrder, Trade

OUR_PREFIX: Final = "ri1-"


class LiveAccount:
    """One account at the loopback broker, and the data folder that trades on it."""

    def __init__(self, broker: AlpacaServer, data: Path) -> None:
        self.broker = broker
        self.journal = StoredJournal(data)
        self.stored = StoredRun(data)

    def our_orders(self) -> list[BookedOrder]:
        """Return the orders that the house sent, and their legs, oldest first."""
        orders = {order.id: order for order in self.broker.orders()}

        def is_ours(order: BookedOrder) -> bool:
            above = orders.get(order.parent_id or "")
            return order.client_order_id.startswith(OUR_PREFIX) or (
                above is not None and is_ours(above)
            )

        return [order for order in orders.values() if is_ours(order)]

    def our_open_orders(self) -> list[BookedOrder]:
        """Return those of our orders that have not ended."""
        return [order for order in self.our_orders() if order.is_open]

    def our_trades(self) -> dict[str, Trade]:
        """Return the executions of our orders, by id."""
        ours = {order.id for order in self.our_orders()}
        return {
            trade.execution_id: trade
            for trade in self.broker.executions()
            if trade.order_id in ours
        }

    def ours_at_broker(self) -> dict[str, Decimal]:
        """Return the signed shares that the house holds at the broker, by its executions there."""
        held: dict[str, Decimal] = {}
        for trade in self.our_trades().values():
            signed = trade.qty if trade.side == "buy" else -trade.qty
            held[trade.symbol] = held.get(trade.symbol, Decimal(0)) + signed
        return {symbol: qty for symbol, qty in held.items() if qty}

    def unbooked(self) -> set[str]:
        """Return the executions of our orders that the journal does not have as ours."""
        booked = self.journal.executions()
        return {
            name for name in self.our_trades() if name not in booked or booked[name].owner is None
        }

    def assert_sent_once(self) -> None:
        """Hold every order of ours to its intent: written down before, and booked once."""
        places = self.journal.places()
        sent = [order for order in self.our_orders() if order.parent_id is None]
        for order in sent:
            name = order.client_order_id
            assert self.broker.booked_count(name) == 1, f"{name} was booked more than once"
            assert name in places, f"{name} is at the broker and not in the journal"
            assert places[name][1] == order.symbol, name
        doubled = [place for place, n in Counter(places.values()).items() if n > 1]
        assert not doubled, f"more than one intent for {doubled}"

    def assert_nothing_lost(self) -> None:
        """Hold the journal to the broker's executions: each once, with its figures and owner."""
        booked, trades = self.journal.executions(), self.our_trades()
        ours = {name: each for name, each in booked.items() if each.owner is not None}
        assert ours.keys() == trades.keys()
        for name, trade in trades.items():
            told = ours[name]
            figures = (told.symbol, told.side, told.qty, told.price)
            assert figures == (trade.symbol, trade.side, trade.qty, trade.price), name

    def assert_books_agree(self) -> None:
        """Hold what the journal adds up to, ours and a person's, to the broker's positions."""
        ours, others = self.journal.held(ours=True), self.journal.held(ours=False)
        both = {s: ours.get(s, Decimal(0)) + others.get(s, Decimal(0)) for s in {*ours, *others}}
        assert {symbol: qty for symbol, qty in both.items() if qty} == self.broker.positions()

    def lots(self) -> dict[str, Decimal]:
        """Return the shares that the committed books of the house hold, by symbol."""
        held: dict[str, Decimal] = {}
        for symbol, qty, *_ in self.stored.holdings():
            held[symbol] = held.get(symbol, Decimal(0)) + Decimal(qty)
        return {symbol: qty for symbol, qty in held.items() if qty}
