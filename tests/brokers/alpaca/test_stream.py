"""The trade stream: every step ends, no update is lost to another's fault, gaps are told."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.stream import (
    AlpacaTradeStream,
    StreamPolicy,
    TradeUpdate,
)
from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.vendors.alpaca_server import AlpacaServer

LONG_S = 10.0
QUICK = StreamPolicy(
    open_s=0.5,
    answer_s=0.3,
    ping_s=5.0,
    quiet_s=5.0,
    backoff_first_s=0.01,
    backoff_max_s=0.05,
    crowded_s=0.3,
)


class House:
    """What the stream talks to, and what it was told."""

    def __init__(self, access: AlpacaAccess, policy: StreamPolicy = QUICK) -> None:
        self.updates: list[TradeUpdate] = []
        self.looks = 0  # how often the books were to be read
        self.look_times: list[float] = []
        self.quiet = 0
        self.refusals: list[str] = []
        self.faults: dict[int, Exception] = {}  # what the n-th update raises, from 1
        self.look_error: Exception | None = None
        self.has_missed = False
        self.context = ServiceContext(
            "stream",
            patience_s=60,
            ready_within_s=30,
            loop_time=asyncio.get_running_loop().time,
        )
        self._changed = asyncio.Event()
        self._seen = 0
        self.stream = AlpacaTradeStream(
            access,
            on_update=self._on_update,
            on_connected=self._on_connected,
            on_quiet=self._on_quiet,
            on_refused=self._on_refused,
            clock=SystemClock(),
            rng=random.Random(1),
            in_flight=InFlight(),
            policy=policy,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.stream.run(self.context))
            try:
                yield
            finally:
                task.cancel()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is looked at whenever the house is told something."""
        async with asyncio.timeout(LONG_S):
            while not condition():
                self._changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _on_update(self, update: TradeUpdate) -> None:
        self._seen += 1
        self._changed.set()
        if self._seen in self.faults:
            raise self.faults[self._seen]
        self.updates.append(update)

    async def _on_connected(self) -> None:
        self.looks += 1
        self.look_times.append(asyncio.get_running_loop().time())
        self._changed.set()
        if self.look_error is not None:
            raise self.look_error

    async def _on_quiet(self) -> bool:
        self.quiet += 1
        self._changed.set()
        return self.has_missed

    def _on_refused(self, reason: str) -> None:
        self.refusals.append(reason)
        self._changed.set()


@pytest.fixture
async def house(access: AlpacaAccess) -> House:
    return House(access)


def buy(server: AlpacaServer, count: int = 1) -> None:
    for _ in range(count):
        server.person_trades("SPY", "buy", 1)


def fills(house: House) -> list[str]:
    return [update.execution.execution_id for update in house.updates if update.execution]


async def test_fills_arrive_exactly_and_by_the_name_that_the_books_give_them(
    house: House, server: AlpacaServer
) -> None:
    async with house.running():
        await house.until(lambda: house.looks == 1)
        server.person_trades("SPY", "sell", "0.1", "100.01")
        await house.until(lambda: bool(fills(house)))
    execution = next(update.execution for update in house.updates if update.execution)
    assert (execution.qty, execution.price) == (Decimal("0.1"), Decimal("100.01"))
    assert [trade.execution_id for trade in server.executions()] == fills(house)
    assert house.stream.state.last_message_at is not None


async def test_the_books_are_looked_at_after_each_connection_and_not_before(
    house: House, server: AlpacaServer
) -> None:
    """A11: what is filled while nobody listens is told by nobody."""
    async with house.running():
        await house.until(lambda: house.looks == 1)
        assert server.listeners() == 1
        server.go_down()
        await house.until(lambda: not house.stream.state.is_connected)
        server.person_trades("SPY", "buy", 1)
        server.come_back()
        await house.until(lambda: house.looks == 2)
    assert fills(house) == []
    assert house.stream.state.connections == 2


async def test_whoever_asks_gets_another_connection_and_another_look_at_the_books(
    house: House, server: AlpacaServer
) -> None:
    async with house.running():
        await house.until(lambda: house.looks == 1)
        await house.stream.reconnect()
        await house.until(lambda: house.looks == 2)
        assert server.listeners() == 1
    assert house.stream.state.connections == 2
    with pytest.raises(TryLater, match="is not connected"):
        await house.stream.reconnect()


async def test_a_look_at_the_books_that_fails_is_made_up_for(
    access: AlpacaAccess, server: AlpacaServer
) -> None:
    house = House(access, replace(QUICK, quiet_s=0.05))
    house.look_error = TryLater("the broker is away")
    async with house.running():
        await house.until(lambda: house.looks >= 3)
        house.look_error = None
        before = house.looks
        await house.until(lambda: house.looks == before + 1)
        quiet = house.quiet
        await house.until(lambda: house.quiet > quiet + 2)
        assert house.looks == before + 1
    assert server.stream_connections() == 1


async def test_an_update_that_cannot_be_taken_in_costs_a_look_and_no_other_update(
    house: House, server: AlpacaServer
) -> None:
    """A10."""
    house.faults = {2: TryLater("the journal is full")}
    async with house.running():
        await house.until(lambda: house.looks == 1)
        buy(server, 5)
        await house.until(lambda: len(house.updates) == len(server.updates) - 1)
        await house.until(lambda: house.looks == 2)
    assert server.stream_connections() == 1
    assert house.stream.state.faults == 1


async def test_a_handlers_bug_ends_the_run_and_the_next_one_begins_with_the_books(
    house: House, server: AlpacaServer
) -> None:
    """A10: a bug is the supervisor's business; what it cost is in the books."""
    house.faults = {1: ZeroDivisionError()}

    async def until_the_bug() -> None:
        async with house.running():
            await house.until(lambda: house.looks == 1)
            buy(server)
            await house.until(lambda: not house.stream.state.is_connected)

    with pytest.raises(ExceptionGroup):
        await until_the_bug()
    assert house.stream.state.reason == "it was stopped"
    async with house.running():
        await house.until(lambda: house.looks == 2)
        buy(server)
        await house.until(lambda: len(fills(house)) >= 1)


@pytest.mark.parametrize("copies", [1, 3])
async def test_copies_and_disorder_are_passed_on_as_they_come(
    house: House, server: AlpacaServer, copies: int
) -> None:
    """A21: folding by execution id is the journal's business."""
    server.stream(copies=copies, shuffle_s=0.05)
    async with house.running():
        await house.until(lambda: house.looks == 1)
        buy(server, 5)
        await house.until(lambda: len(fills(house)) == 5 * copies)
    assert set(fills(house)) == {trade.execution_id for trade in server.executions()}


@pytest.mark.parametrize(
    "manners",
    [{"mutes_auth": True}, {"mutes": True}, {"closes_after_auth": True}, {"refuses": 503}],
)
async def test_a_stream_that_does_not_begin_is_left_in_time_and_tried_again(
    house: House, server: AlpacaServer, manners: dict[str, Any]
) -> None:
    """A9."""
    server.stream(**manners)
    async with house.running():
        await house.until(lambda: house.context.beats >= 3)
        assert not house.stream.state.is_connected
        assert house.stream.state.reason
        assert house.looks == 0
        server.stream(**dict.fromkeys(manners, 0))
        await house.until(lambda: house.looks == 1)
        assert house.stream.state.reason == ""


async def test_a_mute_stream_is_left_when_the_books_moved_without_it(
    access: AlpacaAccess, server: AlpacaServer
) -> None:
    """A8."""
    house = House(access, replace(QUICK, quiet_s=0.05))
    async with house.running():
        await house.until(lambda: house.quiet >= 2)
        assert server.stream_connections() == 1  # quiet alone is no fault
        server.stream(copies=0)
        buy(server)
        house.has_missed = True
        await house.until(lambda: house.looks >= 2)
    assert server.stream_connections() >= 2


@pytest.mark.parametrize("manners", [{"unauthorized": True}, {"refuses": 401}, {"refuses": 403}])
async def test_refused_keys_are_tried_three_times_and_reported_once(
    house: House, server: AlpacaServer, manners: dict[str, Any]
) -> None:
    """A14."""
    server.stream(**manners)
    async with house.running():
        await house.until(lambda: bool(house.refusals))
        server.stream(unauthorized=False, refuses=0)
        await asyncio.sleep(0)
        assert house.stream.state.is_refused
    assert len(house.refusals) == 1
    assert server.stream_connections() <= 3
    assert "correct ALPACA_API_KEY" in house.refusals[0]
    assert server.secret not in house.refusals[0]


@pytest.mark.parametrize("status", [406, 429])
async def test_a_taken_place_is_not_stormed(
    house: House, server: AlpacaServer, status: int
) -> None:
    """A12: the real floor is 90 s."""
    assert StreamPolicy().crowded_s >= 90
    server.stream(refuses=status)
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    async with house.running():
        await house.until(lambda: house.context.beats == 1)
        server.stream(refuses=0)
        await house.until(lambda: house.looks == 1)
    assert loop.time() - began >= QUICK.crowded_s


async def test_gaps_between_tries_grow_when_connections_do_not_last(
    access: AlpacaAccess, server: AlpacaServer
) -> None:
    """A13."""
    policy = replace(QUICK, backoff_first_s=0.02, backoff_max_s=10)
    house = House(access, policy)
    async with house.running():
        for looks in range(1, 6):
            await house.until(lambda wanted=looks: house.looks == wanted)  # type: ignore[misc]
            server.disconnect_streams()
    gaps = [b - a for a, b in zip(house.look_times, house.look_times[1:], strict=False)]
    assert gaps[3] > gaps[0]
    assert gaps[3] >= 0.02 * 2**3 * 0.5


async def test_a_stop_closes_the_connection_at_once(house: House, server: AlpacaServer) -> None:
    """A12: a socket that is left half open blocks the next one for 90 s."""
    async with house.running():
        await house.until(lambda: house.looks == 1)
    assert not house.stream.state.is_connected
    await asyncio.to_thread(server.until, lambda: server.listeners() == 0)


# A stream that says strange things


@asynccontextmanager
async def strange(
    *messages: str | bytes, answer: Callable[[ServerConnection], Awaitable[None]] | None = None
) -> AsyncIterator[AlpacaAccess]:
    """Run a stream that accepts anybody and then says these messages."""

    async def handle(connection: ServerConnection) -> None:
        await connection.recv()
        authorized = {"stream": "authorization", "data": {"status": "authorized"}}
        await connection.send(json.dumps(authorized).encode())  # in bytes, as the real one
        await connection.recv()
        if answer is not None:
            await answer(connection)
        listening = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        await connection.send(json.dumps(listening))
        for message in messages:
            await connection.send(message)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield AlpacaAccess(
            key_id=Secret("k"),
            secret_key=Secret("s"),
            stream_url=f"ws://127.0.0.1:{port}/stream",
            loopback_only=True,
        )


def told(event: str, **changes: Any) -> str:
    order = {"id": "o1", "client_order_id": "c1", "symbol": "SPY", "side": "buy", "qty": "1"}
    data: dict[str, Any] = {"event": event, "order": {**order, "status": "odd"}, **changes}
    return json.dumps({"stream": "trade_updates", "data": data})


async def test_a_message_that_cannot_be_read_costs_a_look_and_no_other_message() -> None:
    messages = ["{", "[]", "7", '{"stream": "trade_updates"}', told("new", order=None)]
    async with strange(*messages, b"\xff\xfe", told("frozen_by_comet")) as access:
        house = House(access)
        async with house.running():
            await house.until(lambda: bool(house.updates))
            await house.until(lambda: house.looks >= 2)
    assert [update.event for update in house.updates] == ["frozen_by_comet"]
    assert house.updates[0].orders[0].client_order_id == "c1"
    assert house.stream.state.faults == 6


async def test_a_fill_that_names_no_execution_is_looked_up_in_the_books() -> None:
    fill = {"qty": "1", "price": "100", "timestamp": "2024-03-05T15:00:00Z"}
    async with strange(told("fill", **fill)) as access:
        house = House(access)
        async with house.running():
            await house.until(lambda: bool(house.updates))
            await house.until(lambda: house.looks == 2)
    assert fills(house) == []


async def test_an_update_before_the_subscription_is_answered_is_not_lost() -> None:
    async def early(connection: ServerConnection) -> None:
        await connection.send(told("new"))

    async with strange(told("canceled"), answer=early) as access:
        house = House(access)
        async with house.running():
            await house.until(lambda: len(house.updates) == 2)
    assert [update.event for update in house.updates] == ["new", "canceled"]


def test_an_address_off_this_machine_is_refused_where_only_loopback_is_allowed() -> None:
    access = AlpacaAccess(key_id=Secret("k"), secret_key=Secret("s"), loopback_only=True)

    async def make() -> None:
        House(access)

    with pytest.raises(BadSettings, match="loopback_only"):
        asyncio.run(make())
