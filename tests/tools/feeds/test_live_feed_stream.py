"""The stream service against the loopback vendor, through the vendor's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import numpy as np
import pytest

from roboinvest.core.errors import TryLater
from roboinvest.core.market.rows import RawRows
from roboinvest.runtime.configuration.secrets import Secret
from tests.fakes.bar_files import quiet_rows
from tests.fakes.clocks import ManualClock
from tests.fakes.replays import CALENDAR, TUESDAY
from tests.fakes.services import context
from tests.fakes.vendors.polygon_desk import until
from tests.fakes.vendors.polygon_server import KEY, PolygonServer
from tests.fakes.vendors.polygon_stream import StreamManner
from tools.data_fetcher.failures import BadKey
from tools.feeds.live_stream import LiveStream, StreamPatience
from tools.feeds.minute_book import MinuteBook

ROWS = quiet_rows([TUESDAY])
QUICK = StreamPatience(subscribed_s=0.4, mute_s=0.4, first_wait_s=0.01, longest_wait_s=0.05)
NOON = TUESDAY.opens_at + timedelta(hours=2)


@pytest.fixture
def server() -> Iterator[PolygonServer]:
    with PolygonServer() as running:
        yield running


class Listening:
    """A stream service that runs, and the book it fills."""

    def __init__(self, server: PolygonServer, clock: ManualClock, patience: StreamPatience) -> None:
        self.book = MinuteBook(["AAA", "BBB"], clock)
        self.stream = LiveStream(
            self.book,
            Secret(KEY),
            CALENDAR,
            url=server.stream_url,
            clock=clock,
            patience=patience,
        )
        self.ctx = context("market_stream")

    async def comes(self, true: Callable[[], bool]) -> None:
        """Wait until something is true of the book."""
        async with asyncio.timeout(10):
            while not true():
                await self.book.change()

    async def is_up(self) -> None:
        await self.comes(lambda: self.book.stream_since is not None)

    async def is_down(self) -> None:
        await self.comes(lambda: self.book.stream_since is None)


@asynccontextmanager
async def listening(
    server: PolygonServer,
    *,
    clock: ManualClock | None = None,
    patience: StreamPatience = QUICK,
) -> AsyncIterator[Listening]:
    house = Listening(server, clock or ManualClock(NOON), patience)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(house.stream.run(house.ctx))
        yield house
        running.cancel()  # often just as a message comes, which the client's wait would swallow
        ended, _ = await asyncio.wait([running], timeout=5)
        assert ended, "it went on after it was cancelled"


CALM = StreamPatience(subscribed_s=5.0, mute_s=60.0, first_wait_s=0.01, longest_wait_s=0.05)


async def test_bars_that_are_pushed_are_in_the_book(server: PolygonServer) -> None:
    async with listening(server, patience=CALM) as house:
        await house.is_up()
        await asyncio.to_thread(until, lambda: server.stream_subscribed == 1)
        await asyncio.to_thread(server.push, "AAA", ROWS.take(slice(0, 3)))
        await house.comes(lambda: len(house.book.rows("AAA", TUESDAY.day)) == 3)
        got = house.book.rows("AAA", TUESDAY.day)
        assert np.array_equal(got.values, ROWS.values[:, :3])
        assert np.array_equal(got.ts, ROWS.ts[:3])
        assert house.ctx.beats > 0
    assert server.asked_for("/") == []  # no question was asked


async def test_whoever_asks_gets_another_connection(server: PolygonServer) -> None:
    async with listening(server, patience=CALM) as house:
        await house.is_up()
        await house.stream.reconnect()
        await house.is_down()
        await house.is_up()
        assert server.stream_connections == 2
    with pytest.raises(TryLater, match="is not connected"):
        await house.stream.reconnect()


@pytest.mark.parametrize("code", [1000, 1001, 1011, None])
async def test_a_connection_that_ends_in_any_way_is_made_again_and_leaves_a_hole(
    code: int | None, server: PolygonServer
) -> None:
    async with listening(server, patience=CALM) as house:
        await house.is_up()
        house.book.mend("AAA")
        if code is None:
            await asyncio.to_thread(server.break_stream)
        else:
            await asyncio.to_thread(server.close_stream, code)
        await house.is_down()
        assert house.book.hole("AAA") is not None
        await house.is_up()
        hole = house.book.hole("AAA")
        assert hole is not None
        assert hole.until_ns is not None
        assert server.stream_connections == 2


@pytest.mark.parametrize("manner", [StreamManner.MUTE, StreamManner.MUTE_AUTH, StreamManner.ODD])
async def test_a_stream_that_never_gets_to_the_point_is_left_in_time_and_tried_again(
    manner: StreamManner, server: PolygonServer
) -> None:
    server.stream_manner(manner)
    async with listening(server) as house:
        await asyncio.to_thread(until, lambda: server.stream_connections >= 2)
        assert house.book.stream_since is None
        server.stream_manner(StreamManner.GOOD)
        await house.is_up()


async def test_a_stream_that_falls_silent_while_the_market_is_open_is_made_again(
    server: PolygonServer,
) -> None:
    server.stream_manner(StreamManner.MUTE_BARS)
    async with listening(server) as house:
        await asyncio.to_thread(until, lambda: server.stream_connections >= 3)
        assert house.book.hole("AAA") is not None


async def test_silence_while_the_market_is_closed_is_what_there_is_to_hear(
    server: PolygonServer,
) -> None:
    night = ManualClock(TUESDAY.closes_at + timedelta(hours=3))
    async with listening(server, clock=night) as house:
        await house.is_up()
        loop = asyncio.get_running_loop()
        hung_at = house.ctx.hung_at()
        assert hung_at is not None
        assert hung_at - loop.time() > 14 * 3600  # until after the next open
        waited = asyncio.Event()
        loop.call_later(3 * QUICK.mute_s, waited.set)
        await waited.wait()
        assert server.stream_connections == 1
        assert house.book.stream_since is not None


async def test_a_refused_key_is_a_failure_that_names_the_variable(server: PolygonServer) -> None:
    server.stream_manner(StreamManner.REFUSING)
    house = Listening(server, ManualClock(NOON), CALM)
    with pytest.raises(BadKey, match="POLYGON_API_KEY") as caught:
        await house.stream.run(house.ctx)
    assert KEY not in str(caught.value)


async def test_a_port_where_nobody_listens_is_tried_again_and_is_no_failure(
    server: PolygonServer,
) -> None:
    house = Listening(server, ManualClock(NOON), QUICK)
    stream = LiveStream(
        house.book,
        Secret(KEY),
        CALENDAR,
        url="ws://127.0.0.1:9",
        clock=ManualClock(NOON),
        patience=QUICK,
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await stream.run(house.ctx)
    assert house.book.stream_since is None
    assert house.ctx.beats >= 3


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "7",
        "[7]",
        '[{"ev":"T"}]',
        '[{"ev":"AM"}]',
        '[{"ev":"AM","sym":"AAA","s":-1}]',
    ],
)
async def test_a_message_that_is_no_bar_is_counted_and_the_next_bar_is_taken(
    text: str, server: PolygonServer
) -> None:
    async with listening(server, patience=CALM) as house:
        await asyncio.to_thread(until, lambda: server.stream_subscribed == 1)
        await house.is_up()
        await asyncio.to_thread(server.send_text, ["AM.AAA"], text)
        await asyncio.to_thread(server.push, "AAA", ROWS.take(slice(0, 1)))
        await house.comes(lambda: len(house.book.rows("AAA", TUESDAY.day)) == 1)
        assert house.stream.unreadable == 1
        assert server.stream_connections == 1


async def test_a_bar_with_a_cell_that_is_no_number_goes_to_the_gate_as_unreadable(
    server: PolygonServer,
) -> None:
    bar = f'[{{"ev":"AM","sym":"AAA","s":{ROWS.ts[0] // 10**6},"o":1,"h":"x","l":1,"c":1,"v":1}}]'
    async with listening(server, patience=CALM) as house:
        await asyncio.to_thread(until, lambda: server.stream_subscribed == 1)
        await asyncio.to_thread(server.send_text, ["AM.AAA"], bar)
        await house.comes(lambda: len(house.book.rows("AAA", TUESDAY.day)) == 1)
        got: RawRows = house.book.rows("AAA", TUESDAY.day)
        assert got.unreadable.tolist() == [True]


async def test_cancelled_it_lets_go_of_the_connection(server: PolygonServer) -> None:
    async with listening(server, patience=CALM) as house:
        await house.is_up()
    assert house.book.stream_since is None
    await asyncio.to_thread(until, lambda: server.stream_subscribed == 0)
