"""The loopback data vendor speaks as the real one does, and misbehaves exactly as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import urllib3
from polygon import RESTClient, WebSocketClient  # type: ignore[import-untyped]  # ships no types

from roboinvest.core.market.bars import to_ns
from tests.fakes.bar_files import quiet_rows
from tests.fakes.replays import WEEK
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_desk import recorded, specified, until
from tests.fakes.vendors.polygon_server import (
    KEY,
    PolygonServer,
    broken_page,
    empty,
    not_entitled,
    too_many,
)
from tests.fakes.vendors.polygon_stream import StreamManner

ROWS = quiet_rows(WEEK)
DAYS = "/v2/aggs/ticker/AAPL/range/1/day"
SNAPSHOTS = "/v2/snapshot/locale/us/markets/stocks/tickers"
RANGE = "/v2/aggs/ticker/AAPL/range/1/minute/2024-03-04/2024-03-08"


@pytest.fixture
def server() -> Iterator[PolygonServer]:
    with PolygonServer() as running:
        running.add_bars("AAPL", ROWS)
        running.fill(lambda books: books.add_split("AAPL", date(2024, 3, 6), 1, 4))
        running.fill(lambda books: books.add_dividend("AAPL", date(2024, 3, 6), 0.25))
        running.add_news("one", WEEK[0].opens_at, ["AAPL"], "One")
        yield running


def get(server: PolygonServer, path: str, key: str = KEY) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    reply = urllib3.request("GET", server.url + path, headers=headers, retries=False, timeout=5.0)
    return reply.status, json.loads(reply.data) if reply.data else None


def types(value: Any) -> Any:
    """Return the kinds of a body: numbers are one kind, of a list its first record counts."""
    if isinstance(value, dict):
        return {name: types(part) for name, part in value.items()}
    if isinstance(value, list):
        return [types(value[0])] if value else []
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    )


def assert_same_shape(ours: Any, theirs: Any, optional: frozenset[str] = frozenset()) -> None:
    """Every field we send has the vendor's kind, and no field of theirs is missing."""
    ours, theirs = types(ours), types(theirs)
    _compare(ours, theirs, optional, "body")


def _compare(ours: Any, theirs: Any, optional: frozenset[str], where: str) -> None:
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), where
        assert set(theirs) - set(ours) <= optional, where
        for name in set(ours) & set(theirs):
            _compare(ours[name], theirs[name], optional, f"{where}.{name}")
    elif isinstance(theirs, list) and theirs and ours:
        _compare(ours[0], theirs[0], optional, f"{where}[]")
    else:
        assert ours == theirs, where


UNTOLD = frozenset({"next_url", "otc", "amp_url", "image_url", "insights", "keywords"}) | frozenset(
    {
        "logo_url",
        "favicon_url",
        "cik",
        "composite_figi",
        "share_class_figi",
        "last_updated_utc",
        "id",
    }
)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (f"{DAYS}/2024-03-04/2024-03-08", f"{DAYS}/2005-04-01/2005-04-04"),
        ("/v2/aggs/ticker/AAPL/prev", "/v2/aggs/ticker/AAPL/prev"),
        ("/v2/last/trade/AAPL", "/v2/last/trade/AAPL"),
        ("/v1/marketstatus/now", "/v1/marketstatus/now"),
        ("/v1/marketstatus/upcoming", "/v1/marketstatus/upcoming"),
        ("/v2/reference/news?ticker=AAPL", "/v2/reference/news"),
        ("/v3/reference/splits?ticker=AAPL", "/v3/reference/splits"),
        ("/v3/reference/dividends?ticker=AAPL", "/v3/reference/dividends"),
        ("/v3/reference/tickers", "/v3/reference/tickers"),
    ],
)
def test_a_body_has_the_shape_that_was_recorded(
    asked: str, path: str, server: PolygonServer
) -> None:
    status, body = get(server, asked)
    assert status == 200
    assert_same_shape(body, recorded(path), UNTOLD)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (f"{SNAPSHOTS}?tickers=AAPL", SNAPSHOTS),
        (f"{SNAPSHOTS}/AAPL", f"{SNAPSHOTS}/{{stocksTicker}}"),
        (RANGE, "/v2/aggs/ticker/{stocksTicker}/range/{multiplier}/{timespan}/{from}/{to}"),
    ],
)
def test_a_body_has_the_shape_of_the_specification(
    asked: str, path: str, server: PolygonServer
) -> None:
    _, body = get(server, asked)
    assert_same_shape(body, specified(path), UNTOLD)


def test_a_wrong_key_is_unknown(server: PolygonServer) -> None:
    assert get(server, RANGE, key="other")[0] == 401


def test_the_plans_limit_holds_within_any_minute() -> None:
    at = [WEEK[0].opens_at]
    with PolygonServer(calls_per_minute=5, now=lambda: at[0]) as server:
        assert [get(server, "/v1/marketstatus/now")[0] for _ in range(7)] == [200] * 5 + [429] * 2
        at[0] += timedelta(seconds=61)
        assert get(server, "/v1/marketstatus/now")[0] == 200
        assert server.most_a_minute == 5


def test_pages_end_and_are_named_with_the_vendors_host(server: PolygonServer) -> None:
    server.behave(page_rows=1000)
    client = RESTClient(api_key=KEY, base=server.url, retries=0)
    times = [
        bar.timestamp
        for bar in client.list_aggs("AAPL", 1, "minute", "2024-03-04", "2024-03-08", limit=50_000)
    ]
    assert times == (ROWS.ts // 1_000_000).tolist()
    assert get(server, RANGE + "?limit=10")[1]["next_url"].startswith("https://api.polygon.io/")


def test_without_our_guards_the_real_client_takes_a_broken_page_for_the_end(
    server: PolygonServer,
) -> None:
    server.behave(page_rows=500)
    server.plant(broken_page(3))
    client = RESTClient(api_key=KEY, base=server.url, retries=0)
    got = list(client.list_aggs("AAPL", 1, "minute", "2024-03-04", "2024-03-08", limit=50_000))
    assert len(got) == 1000  # of 1950, without an error


def test_faults_of_answers_come_as_planted(server: PolygonServer) -> None:
    server.plant(too_many(retry_after="7"), not_entitled(), empty())
    headers = {"Authorization": f"Bearer {KEY}"}
    refused = urllib3.request("GET", server.url + RANGE, headers=headers, retries=False)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
    assert get(server, RANGE)[1]["status"] == "NOT_AUTHORIZED"
    assert "results" not in get(server, RANGE)[1]
    server.plant(Fault(kind=FaultKind.RESET_BEFORE))
    with pytest.raises(urllib3.exceptions.HTTPError):
        get(server, RANGE)
    assert get(server, RANGE)[0] == 200


def test_the_vendors_clock_can_be_wrong(server: PolygonServer) -> None:
    before = datetime.fromisoformat(get(server, "/v1/marketstatus/now")[1]["serverTime"])
    server.clock_off_by = timedelta(hours=2)
    after = datetime.fromisoformat(get(server, "/v1/marketstatus/now")[1]["serverTime"])
    assert timedelta(minutes=119) < after - before < timedelta(minutes=121)


def test_stale_data_are_those_of_other_days(server: PolygonServer) -> None:
    server.behave(stale_by=timedelta(days=1))
    _, body = get(server, "/v2/aggs/ticker/AAPL/range/1/minute/2024-03-05/2024-03-05")
    assert body["results"][0]["t"] == to_ns(WEEK[0].opens_at) // 1_000_000


async def test_the_real_stream_client_gets_bars_that_are_pushed(server: PolygonServer) -> None:
    got: list[Any] = []
    arrived = asyncio.Event()

    async def take(messages: list[Any]) -> None:
        got.extend(messages)
        arrived.set()

    client = WebSocketClient(
        api_key=KEY,
        feed=server.stream_url.removeprefix("ws://"),
        market="stocks",
        secure=False,
        subscriptions=["AM.AAPL"],
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(client.connect(take))
        await asyncio.to_thread(until, lambda: server.stream_subscribed == 1)
        await asyncio.to_thread(server.push, "AAPL", ROWS.take(slice(0, 2)))
        await arrived.wait()
        await asyncio.to_thread(server.close_stream, 1000)
        await running  # a polite goodbye ends it without a word
    assert [bar.start_timestamp for bar in got] == (ROWS.ts[:2] // 1_000_000).tolist()
    assert got[0].symbol == "AAPL"


async def test_a_stream_that_refuses_the_key_says_so(server: PolygonServer) -> None:
    server.stream_manner(StreamManner.REFUSING)
    client = WebSocketClient(
        api_key=KEY, feed=server.stream_url.removeprefix("ws://"), market="stocks", secure=False
    )
    with pytest.raises(Exception, match="authentication failed"):
        async with asyncio.timeout(10):
            await client.connect(lambda _: asyncio.sleep(0))
