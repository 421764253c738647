"""The loopback Alpaca's trade stream, heard by the real stream client."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)
from alpaca.trading.stream import TradingStream
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.fakes.vendors.alpaca_server import AlpacaServer


class Listener:
    """What the real client hands to its handler."""

    def __init__(self, server: AlpacaServer) -> None:
        self.server = server
        self.heard: list[dict[str, Any]] = []
        self.stream = TradingStream(
            server.key, server.secret, url_override=server.stream_url, raw_data=True
        )
        self.stream._reconnect_min_backoff = 0.01
        self.stream.subscribe_trade_updates(self.hear)

    async def hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message["data"])

    def events(self) -> list[str]:
        return [each["event"] for each in self.heard]


async def until(server: AlpacaServer, condition: Callable[[], bool]) -> None:
    """Wait for a condition while this loop goes on."""
    await asyncio.to_thread(server.until, condition)


@asynccontextmanager
async def listening(server: AlpacaServer) -> AsyncIterator[Listener]:
    listener = Listener(server)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(listener.stream._run_forever())  # type: ignore[no-untyped-call]
        try:
            await until(server, lambda: server.listeners() == 1)
            yield listener
        finally:
            running.cancel()
            await listener.stream.close()


@pytest.fixture
def server() -> Any:
    with AlpacaServer() as server:
        server.set_price("SPY", 100)
        yield server


@pytest.fixture
def client(server: AlpacaServer) -> TradingClient:
    return TradingClient(server.key, server.secret, url_override=server.url)


def buy(client: TradingClient, qty: float = 10, price: float = 101, **more: Any) -> Order:
    terms = {"side": OrderSide.BUY, "time_in_force": TimeInForce.DAY, **more}
    order = client.submit_order(
        LimitOrderRequest(symbol="SPY", qty=qty, limit_price=price, **terms)
    )
    assert isinstance(order, Order)
    return order


async def test_an_order_s_life_is_told_with_executions_and_positions(
    server: AlpacaServer, client: TradingClient
) -> None:
    async with listening(server) as listener:
        order = buy(client, price=90)
        server.set_price("SPY", 90, shares=4)
        server.set_price("SPY", 89)
        await until(server, lambda: "fill" in listener.events())
    assert listener.events() == ["new", "partial_fill", "fill"]
    new, part, full = (TradeUpdate(**each) for each in listener.heard)
    assert (new.execution_id, new.order.id) == (None, order.id)
    assert (part.qty, part.price, part.position_qty) == (4.0, 90.0, 4.0)
    assert (full.qty, full.price, full.position_qty) == (6.0, 89.0, 10.0)
    executions = [each.execution_id for each in server.executions()]
    assert [each["execution_id"] for each in listener.heard] == [None, *executions]
    assert len({each["event_id"] for each in listener.heard}) == 3
    assert [each["position_qty"] for each in listener.heard[1:]] == ["4", "10"]


async def test_cancels_expiries_rejections_and_replacements_are_told(
    server: AlpacaServer, client: TradingClient
) -> None:
    async with listening(server) as listener:
        client.cancel_order_by_id(buy(client, price=50).id)
        client.replace_order_by_id(buy(client, price=51).id, ReplaceOrderRequest(limit_price=52))
        server.reject(str(buy(client, price=53).id))
        server.close_market()
        await until(server, lambda: "expired" in listener.events())
    assert listener.events() == [
        *("new", "canceled"),
        *("new", "replaced", "new"),
        *("new", "rejected"),
        "expired",
    ]


async def test_the_legs_of_a_bracket_are_told_one_by_one(
    server: AlpacaServer, client: TradingClient
) -> None:
    async with listening(server) as listener:
        client.submit_order(
            MarketOrderRequest(
                symbol="SPY",
                qty=1,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.GTC,
                order_class=OrderClass.BRACKET,
                take_profit=TakeProfitRequest(limit_price=110),
                stop_loss=StopLossRequest(stop_price=95),
            )
        )
        server.set_price("SPY", 95)
        await until(server, lambda: "canceled" in listener.events())
    told = [(each["event"], each["order"]["type"]) for each in listener.heard]
    assert told == [
        *(("new", "market"), ("fill", "market"), ("new", "limit"), ("new", "stop")),
        *(("fill", "stop"), ("canceled", "limit")),
    ]


async def test_updates_are_doubled_and_overtake_each_other(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.stream(copies=2, shuffle_s=0.05)
    async with listening(server) as listener:
        for _ in range(10):
            buy(client, qty=1)
        await until(server, lambda: len(listener.heard) == 40)
    counts = Counter(each["event_id"] for each in listener.heard)
    assert set(counts.values()) == {2}
    stamps = [each["timestamp"] for each in listener.heard]
    assert stamps != sorted(stamps)
    assert len(server.updates) == 20


async def test_a_delayed_update_comes_after_the_books_have_it(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.stream(delay_s=0.15)
    async with listening(server) as listener:
        buy(client)
        assert server.executions()
        assert listener.heard == []
        await until(server, lambda: "fill" in listener.events())


async def test_what_happens_while_nobody_listens_is_never_told(
    server: AlpacaServer, client: TradingClient
) -> None:
    async with listening(server) as listener:
        server.stream(refuses=503)
        server.disconnect_streams()
        await until(server, lambda: server.listeners() == 0)
        buy(client, qty=1)
        server.stream(refuses=0)
        await until(server, lambda: server.listeners() == 1)
        buy(client, qty=2)
        await until(server, lambda: "fill" in listener.events())
    assert [each["order"]["qty"] for each in listener.heard] == ["2", "2"]
    assert len(server.executions()) == 2


async def test_a_mute_stream_authenticates_and_says_nothing(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.stream(mutes=True)
    async with connect(server.stream_url) as socket:
        assert await authenticated(socket, server) == "authorized"
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        buy(client)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.1)


async def test_a_stream_that_listens_can_fall_mute_and_its_updates_are_lost(
    server: AlpacaServer, client: TradingClient
) -> None:
    async with listening(server) as listener:
        server.stream(mutes=True)
        buy(client, qty=1)
        server.stream(mutes=False)
        buy(client, qty=2)
        await until(server, lambda: "fill" in listener.events())
    assert [each["order"]["qty"] for each in listener.heard] == ["2", "2"]


async def test_a_mute_authentication_never_ends(server: AlpacaServer) -> None:
    server.stream(mutes_auth=True)
    async with connect(server.stream_url) as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(authenticated(socket, server), 0.1)


async def test_a_stranger_is_told_so_and_shown_out(server: AlpacaServer) -> None:
    server.stream(unauthorized=True)
    async with connect(server.stream_url) as socket:
        assert await authenticated(socket, server) == "unauthorized"
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)


async def test_a_second_socket_is_refused_while_the_first_lives(server: AlpacaServer) -> None:
    server.stream(one_socket=True)
    async with connect(server.stream_url):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(server.stream_url):
                pass
    assert refused.value.response.status_code == 406
    await until(server, lambda: server.stream_connections() == 1)
    server.disconnect_streams()


async def authenticated(socket: Any, server: AlpacaServer) -> str:
    """Authenticate as alpaca-py does and return the status that is answered."""
    data = {"key_id": server.key, "secret_key": server.secret}
    await socket.send(json.dumps({"action": "authenticate", "data": data}))
    return str(json.loads(await socket.recv())["data"]["status"])
