"""A broker on loopback that answers as Alpaca does, keeps real books, and fails on request.

    with AlpacaServer(cash=100_000) as server:
        client = TradingClient(server.key, server.secret, url_override=server.url)
        server.set_price("SPY", 100)

It lives in a thread with a loop of its own: the methods here may be called from any thread, and
return copies. Trading and market data share one port, the trade stream has another.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from roboinvest.runtime.clock import SystemClock
from tests.fakes.vendors.alpaca_bodies import Body
from tests.fakes.vendors.alpaca_desk import AlpacaDesk, opening
from tests.fakes.vendors.alpaca_stream import TradeStream
from tests.fakes.vendors.alpaca_values import (
    Asset,
    BookedOrder,
    Side,
    Trade,
)
from tests.fakes.vendors.http_faults import (
    Fault,
    FaultKind,
    FaultPlan,
    Request,
    Response,
)
from tests.fakes.vendors.http_server import HttpServer
from tests.fakes.vendors.threaded_server import ThreadedServer

T = TypeVar("T")
Figure = Decimal | int | str
SYMBOLS: Final = ("SPY", "AAPL", "MSFT")


class HasNow(Protocol):
    """What tells the server the time."""

    def now(self) -> datetime:
        """Return the aware UTC wall time."""
        ...


class AlpacaServer(ThreadedServer):
    """One account at Alpaca; see the module."""

    def __init__(
        self,
        *,
        cash: Figure = 100_000,
        symbols: Sequence[str] = SYMBOLS,
        is_open: bool | None = True,
        limit_per_minute: int | None = None,
        clock: HasNow | None = None,
        seed: int = 0,
        state: Path | None = None,
    ) -> None:
        """Prepare the books; `start` or `with` opens the ports.

        Args:
            cash: USD.
            symbols: what can be traded; `asset` changes one or adds one.
            is_open: whether the market is open; None: by the exchange's calendar and the clock.
            limit_per_minute: requests in a rolling minute before 429; None: no limit.
            clock: the time of books, stream and Date headers; the machine's by default.
            seed: of identifiers, and of everything else by chance.
            state: file that holds the books between two lives of a server.
        """
        super().__init__("alpaca")
        self.port = self.stream_port = 0  # fixed numbers may be set before the start
        self.faults = FaultPlan(random.Random(f"{seed} faults"))
        self._clock: HasNow = clock or SystemClock()
        self._offset = timedelta()
        self._desk = AlpacaDesk(
            opening(state, Decimal(cash), symbols, seed),
            now=self._now,
            is_open=is_open,
            limit_per_minute=limit_per_minute,
            seed=seed,
            file=state,
        )
        self.key, self.secret, self.limit = self._desk.key, self._desk.secret, self._desk.limit
        self._books, self._exchange = self._desk.books, self._desk.exchange
        self._stream = TradeStream(self.key, self.secret, random.Random(f"{seed} stream"))
        self._books.on_update = self._say
        self._http = HttpServer(
            self._handle, now=self._now, faults=self.faults, control=self._control
        )

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Open the ports."""
        super().start()
        if self._desk.follows_calendar:
            self._thread.call(self._desk.look)

    @property
    def url(self) -> str:
        """Return the base of trading and market data, without "/v2"."""
        return self._http.url

    @property
    def stream_url(self) -> str:
        """Return the full address of the trade stream."""
        return self._stream.url

    def go_down(self) -> None:
        """Close the ports and break all connections, and keep the books."""
        self._thread.call(self._http.stop)
        self._thread.call(self._stream.stop)

    def come_back(self) -> None:
        """Open the ports again, at the same numbers."""

        async def opened() -> None:
            self._stream.port = self._stream.port or self.stream_port
            await self._http.start(self._http.port or self.port)
            await self._stream.start()

        self._thread.run(opened())

    # ------------------------------------------------------------------ the market

    def set_price(self, symbol: str, price: Figure, shares: Figure | None = None) -> None:
        """Let a symbol trade at a price: without end, or for so many shares and no more."""
        amount = None if shares is None else Decimal(shares)
        self._do(self._exchange.set_price, symbol, Decimal(price), amount)

    def open_market(self) -> None:
        """Open the market; orders that were queued are matched."""
        self._do(self._exchange.open_market)

    def close_market(self) -> None:
        """Close the market; day orders expire."""
        self._do(self._exchange.close_market)

    def split(self, symbol: str, ratio: Figure) -> None:
        """Split a symbol overnight: new shares for one old share; no execution tells of it."""
        self._do(self._books.split, symbol, Decimal(ratio))

    def set_clock(self, offset_s: float) -> None:
        """Let the server's clock differ from the given one by so much."""
        self._offset = timedelta(seconds=offset_s)

    def fill(self, order_id: str, qty: Figure | None = None, price: Figure | None = None) -> None:
        """Fill some (all) of an order, whatever its price and the market say."""
        order = self._books.state.orders[order_id]
        amount, at = (None if each is None else Decimal(each) for each in (qty, price))
        self._do(self._exchange.fill, order, amount, at)

    def reject(self, order_id: str) -> None:
        """Let the exchange reject an order that was taken."""
        self._do(self._exchange.reject, self._books.state.orders[order_id])

    def settle(self) -> None:
        """Do the cancels and replaces that wait (`behave(holds_changes=True)`)."""
        self._do(self._exchange.settle)

    def person_trades(
        self, symbol: str, side: Side, qty: Figure, price: Figure | None = None
    ) -> str:
        """Trade by hand and return the order's id."""
        at = None if price is None else Decimal(price)
        return self._do(self._exchange.person, symbol, side, Decimal(qty), at).id

    # ------------------------------------------------------------------ manners and faults

    def behave(self, **switches: bool | float) -> None:
        """Set holds_fills, holds_changes, forgets_ids, or hidden_s (orders not found at first)."""
        for name, value in switches.items():
            target = self._books if name == "hidden_s" else self._exchange
            _set(target, name, value)

    def set_account(self, **fields: Any) -> None:
        """Change the terms of the account (see `Terms`), or its cash."""
        if "cash" in fields:
            self._books.state.cash = Decimal(fields.pop("cash"))
        for name, value in fields.items():
            _set(self._books.state.terms, name, value)

    def asset(self, symbol: str, **fields: Any) -> None:
        """Change an asset (see `Asset`), or list a new one."""
        if symbol not in self._books.state.assets:
            new = Asset(id=self._books.new_id(), symbol=symbol)
            self._books.state.assets[symbol] = new
        for name, value in fields.items():
            _set(self._books.state.assets[symbol], name, value)

    def stream(self, **manners: Any) -> None:
        """Change how the trade stream behaves (see `StreamManners`)."""
        for name, value in manners.items():
            _set(self._stream.manners, name, value)

    def disconnect_streams(self) -> None:
        """Break the connections of the trade stream; new ones are taken."""
        self._thread.call(self._stream.disconnect)

    def add_fault(self, *faults: Fault, **fields: Any) -> None:
        """Plant faults; fields describe one more."""
        more = [Fault(**{**fields, "kind": FaultKind(fields["kind"])})] if fields else []
        self._thread.call(self.faults.add, *faults, *more)

    def clear_faults(self) -> None:
        """Take all faults of HTTP away."""
        self._thread.call(self.faults.clear)

    def before_booking(self, callback: Callable[[Mapping[str, Any]], None]) -> None:
        """Have a function called, on the server's thread, with each order before it is booked."""
        self._exchange.before_booking.append(callback)

    # ------------------------------------------------------------------ what a test asks

    @property
    def requests(self) -> list[Request]:
        """Return all requests that arrived, spoilt ones too, oldest first."""
        return self._thread.call(lambda: list(self._http.requests))

    @property
    def updates(self) -> list[Body]:
        """Return all updates that were said, each once, heard or not."""
        return self._thread.call(lambda: list(self._stream.sent))

    def listeners(self) -> int:
        """Return how many connections listen to the trade stream now."""
        return self._stream.listeners

    def stream_connections(self) -> int:
        """Return how many connections the trade stream has taken in all."""
        return self._stream.connections

    def orders(self) -> list[BookedOrder]:
        """Return all orders, legs and a person's too, oldest first."""
        return self._copy(lambda: list(self._books.state.orders.values()))

    def orders_for(self, client_order_id: str) -> list[BookedOrder]:
        """Return the orders that were booked under a client order id."""
        return [each for each in self.orders() if each.client_order_id == client_order_id]

    def booked_count(self, client_order_id: str) -> int:
        """Return how many orders were ever booked under a client order id."""
        ids = self._books.state.booked_ids
        return self._thread.call(lambda: len(ids.get(client_order_id, ())))

    def executions(self) -> list[Trade]:
        """Return all executions, oldest first."""
        return self._copy(lambda: self._books.state.trades)

    def positions(self) -> dict[str, Decimal]:
        """Return the shares held, signed, by symbol."""
        held = self._copy(lambda: self._books.state.holdings)
        return {symbol: each.qty for symbol, each in held.items()}

    def cash(self) -> Decimal:
        """Return the cash in USD."""
        return self._books.state.cash

    def add_bars(self, symbol: str, timeframe: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Put bars {"t", "o", "h", "l", "c", "v"} into the market data; "1Min", "1Day"."""
        self._thread.call(self._desk.data.add_bars, symbol, timeframe, list(rows))

    def add_news(self, *rows: Body) -> None:
        """Put news in, newest first."""
        self._thread.call(self._desk.data.news.extend, rows)

    def add_corporate_action(self, kind: str, row: Body) -> None:
        """Put in a row of "forward_splits", "cash_dividends", ...; "announcements" for those."""
        rows = self._desk.trading.announcements
        if kind != "announcements":
            rows = self._desk.data.actions.setdefault(kind, [])
        self._thread.call(rows.append, row)

    # ------------------------------------------------------------------ inside

    def _now(self) -> datetime:
        return self._clock.now() + self._offset

    def _copy(self, read: Callable[[], T]) -> T:
        return self._thread.call(lambda: copy.deepcopy(read()))

    def _do(self, change: Callable[..., T], *arguments: Any) -> T:
        """Change something on the loop, then keep the books and wake who waits."""
        done = self._thread.call(change, *arguments)
        self._thread.call(self._desk.save)
        self._notify()
        return done

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _say(self, message: Body) -> None:
        self._stream.say(message)
        self._notify()

    def _handle(self, request: Request) -> Response:
        response = self._desk.answer(request)
        if request.method != "GET":
            self._desk.save()
        self._notify()
        return response

    def _control(self, request: Request) -> Response:
        response = self._controlled(request, CONTROLS)
        self._desk.save()
        return response


CONTROLS: Final = frozenset(
    {"set_price", "open_market", "close_market", "set_clock", "fill", "reject", "settle"}
    | {"split", "person_trades", "behave", "set_account", "asset", "stream", "disconnect_streams"}
    | {"add_fault", "clear_faults", "requests", "updates", "listeners", "stream_connections"}
    | {"orders", "orders_for", "booked_count", "executions", "positions", "cash"}
)


def _set(target: object, name: str, value: object) -> None:
    if not hasattr(target, name):
        raise AttributeError(f"{type(target).__name__} has no {name!r}")
    setattr(target, name, value)
