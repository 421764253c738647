"""Sessions are prepared, holes are mended and headlines are kept, whatever the vendor does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.values import Timeframe
from roboinvest.runtime.configuration.secrets import Secret, Secrets
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from tests.fakes.bar_files import quiet_rows
from tests.fakes.clocks import ManualClock
from tests.fakes.replays import CALENDAR, WEEK
from tests.fakes.services import context
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_desk import desk, until
from tests.fakes.vendors.polygon_server import (
    AGGREGATES,
    KEY,
    PolygonServer,
    not_entitled,
    too_many,
)
from tools.bars.store import BarStore
from tools.data_fetcher.bar_cache import BarCache
from tools.data_fetcher.live_market import LiveTerms, live_market
from tools.feeds.live_care import CareTerms, LiveCare
from tools.feeds.live_stream import StreamPatience
from tools.feeds.minute_book import MinuteBook
from tools.feeds.polled_news import PolledNews

MONDAY, TUESDAY, WEDNESDAY = WEEK[0], WEEK[1], WEEK[2]
ROWS = quiet_rows(WEEK)
MINUTE = timedelta(minutes=1)
TERMS = CareTerms(warm_up_sessions=1)


@pytest.fixture
def server() -> Iterator[PolygonServer]:
    with PolygonServer() as running:
        for symbol in ("AAA", "BBB"):
            running.add_bars(symbol, ROWS)
        yield running


@dataclass
class Care:
    book: MinuteBook
    care: LiveCare
    news: PolledNews
    clock: ManualClock

    async def look(self) -> None:
        await self.care.look_once(context())

    async def looks(self, times: int) -> None:
        """Look so often as the service does, whatever comes of it."""
        for _ in range(times):
            await self.care.look(context())

    def at(self, instant: datetime) -> None:
        self.clock.advance((instant - self.clock.now()).total_seconds())


@contextmanager
def caring(server: PolygonServer, folder: Path, begins: datetime) -> Iterator[Care]:
    clock = ManualClock(begins)
    with desk(server.url) as ours:
        disk = VendorCalls("bar store", threads=1, limiter=None, in_flight=ours.in_flight)
        cache = BarCache(ours.fetcher, BarStore(folder), CALENDAR, clock=clock, disk=disk)
        book = MinuteBook(["AAA", "BBB"], clock)
        care = LiveCare(book, ours.fetcher, cache, CALENDAR, clock=clock, terms=TERMS)
        news = PolledNews(ours.fetcher, book.symbols, clock=clock)
        try:
            yield Care(book, care, news, clock)
        finally:
            disk.close()


async def test_a_session_is_prepared_before_it_opens_and_once(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.fill(lambda books: books.add_split("BBB", TUESDAY.day, 1, 2))
    server.fill(lambda books: books.add_dividend("ZZZ", TUESDAY.day, 1.0))
    with caring(server, tmp_path, TUESDAY.opens_at - timedelta(hours=9)) as house:
        await house.look()
        got = house.book.preparation
        assert got is not None
        assert got.day == TUESDAY.day
        assert {s: len(rows) for s, rows in got.history.items()} == {"AAA": 390, "BBB": 390}
        assert [(a.symbol, a.ex_date) for a in got.actions] == [("BBB", TUESDAY.day)]
        asked = len(server.requests)
        assert asked == 2 + 2  # a call a symbol, and two for everybody's actions
        await house.look()
        assert house.book.preparation is got
        assert len(server.requests) == asked


async def test_history_that_the_store_holds_whole_is_not_asked_for(
    server: PolygonServer, tmp_path: Path
) -> None:
    for _ in range(2):
        with caring(server, tmp_path, TUESDAY.opens_at - timedelta(minutes=30)) as house:
            await house.look()
    assert len(server.asked_for(AGGREGATES)) == 2


async def test_the_next_session_is_prepared_in_the_hour_before_it(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at - MINUTE) as house:
        days = list[date]()
        for at in (
            TUESDAY.opens_at,
            TUESDAY.closes_at + MINUTE,
            WEDNESDAY.opens_at - timedelta(hours=2),
            WEDNESDAY.opens_at - timedelta(minutes=59),
            WEDNESDAY.opens_at + MINUTE,
        ):
            house.at(at)
            await house.look()
            assert house.book.preparation is not None
            days.append(house.book.preparation.day)
    assert days == [TUESDAY.day] * 3 + [WEDNESDAY.day] * 2


async def test_a_start_in_the_middle_of_a_session_brings_its_bars_so_far(
    server: PolygonServer, tmp_path: Path
) -> None:
    noon = TUESDAY.opens_at + timedelta(hours=2)
    server.keep_bars("AAA", 510)
    with caring(server, tmp_path, noon) as house:
        house.book.stream_is_up(noon)
        await house.look()
        assert len(house.book.rows("AAA", TUESDAY.day)) == 120
        assert house.book.hole("AAA") is None


async def test_a_hole_is_mended_with_what_the_stream_missed(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at - MINUTE) as house:
        house.book.stream_is_up(house.clock.now())
        await house.look()
        assert house.book.hole("AAA") is None  # nothing was missed at night
        house.at(TUESDAY.opens_at + 3 * MINUTE)
        for symbol in house.book.symbols:
            house.book.add(symbol, ROWS.take(slice(390, 393)))
        house.book.stream_is_down(house.clock.now())
        house.at(TUESDAY.opens_at + 10 * MINUTE)
        house.book.stream_is_up(house.clock.now())
        await house.look()
        assert house.book.hole("AAA") is None
        opens = house.book.rows("AAA", TUESDAY.day).ts.tolist()
        assert opens[:10] == ROWS.ts[390:400].tolist()


async def test_a_hole_stays_open_until_the_answer_reaches_its_end(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at - MINUTE) as house:
        await house.look()
        house.at(TUESDAY.opens_at + 5 * MINUTE)
        house.book.stream_is_up(house.clock.now())
        server.keep_bars("AAA", 394)
        await house.look()
        assert house.book.hole("AAA") is not None  # the fifth minute is not there yet
        assert house.book.hole("BBB") is None
        house.clock.advance(31)
        await house.look()
        assert house.book.hole("AAA") is None  # nor will it be: nothing was traded in it


async def test_while_the_stream_is_away_bars_come_by_question(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at + 5 * MINUTE) as house:
        await house.look()
        assert house.book.newest("AAA") is not None
        hole = house.book.hole("AAA")
        assert hole is not None
        assert hole.until_ns is None


async def test_a_symbol_that_is_silent_for_long_is_asked_about_now_and_then(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at - MINUTE) as house:
        house.book.stream_is_up(house.clock.now())
        await house.look()
        before = len(server.requests)
        server.keep_bars("AAA", 391)
        house.at(TUESDAY.opens_at + 10 * MINUTE)
        house.book.add("BBB", ROWS.between(0, to_ns(house.clock.now())))
        for _ in range(5):
            await house.look()
            house.clock.advance(60)
            house.book.add("BBB", ROWS.between(0, to_ns(house.clock.now())))
        asked = server.requests[before:]
        assert [request.path.split("/")[4] for request in asked] == ["AAA", "AAA"]
        assert len(house.book.rows("AAA", TUESDAY.day)) == 1


async def test_a_vendor_that_is_away_leaves_the_session_unprepared_and_is_asked_again(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.plant(Fault(kind=FaultKind.STATUS, status=503, path="/v3/", count=1))
    with caring(server, tmp_path, TUESDAY.opens_at - MINUTE) as house:
        with pytest.raises(TryLater):
            await house.look()
        assert house.book.preparation is None
        await house.look()
        assert house.book.preparation is not None


async def test_a_vendor_that_is_away_is_told_of_at_the_second_look_and_once(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at + 5 * MINUTE) as house:
        told = list[Event]()
        house.care.tell(told.append)
        await house.looks(1)
        assert [type(each) for each in told] == [AlertResolved], "an earlier run may have told it"
        told.clear()
        server.plant(Fault(kind=FaultKind.STATUS, status=503, count=None))
        await house.looks(1)
        assert (told, house.care.away()) == ([], None)
        await house.looks(3)
        (raised,) = told
        assert isinstance(raised, AlertRaised)
        assert (raised.key, raised.kind) == ("market_data.away", "data")
        assert "503" in raised.message
        assert house.care.away() == raised.key
        server.heal()
        await house.looks(2)
        assert [type(each) for each in told] == [AlertRaised, AlertResolved]
        assert house.care.away() is None


async def test_a_vendor_is_not_back_because_there_was_nothing_to_ask(
    server: PolygonServer, tmp_path: Path
) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at + 5 * MINUTE) as house:
        told = list[Event]()
        await house.looks(1)
        house.care.tell(told.append)
        server.plant(Fault(kind=FaultKind.STATUS, status=503, count=None))
        await house.looks(2)
        for symbol in house.book.symbols:
            house.book.mend(symbol)
        house.at(TUESDAY.closes_at + 60 * MINUTE)
        await house.looks(1)
        assert [type(each) for each in told] == [AlertRaised]
        house.book.stream_is_up(house.clock.now())
        await house.looks(1)
        assert [type(each) for each in told] == [AlertRaised, AlertResolved]


async def test_a_vendor_that_limits_us_is_not_away(server: PolygonServer, tmp_path: Path) -> None:
    with caring(server, tmp_path, TUESDAY.opens_at + 5 * MINUTE) as house:
        await house.looks(1)
        server.plant(too_many(retry_after="1", count=None))
        await house.looks(2)
        assert house.care.away() is None


async def test_headlines_are_kept_once_and_late_ones_are_found(
    server: PolygonServer, tmp_path: Path
) -> None:
    noon = TUESDAY.opens_at + timedelta(hours=2)
    with caring(server, tmp_path, noon) as house:
        server.add_news("n1", noon - timedelta(hours=5), ["AAA"], "One")
        server.add_news("old", noon - timedelta(days=3), ["AAA"], "Old")
        server.add_news("other", noon - timedelta(hours=5), ["ZZZ"], "Other")
        await house.news.ask_once()
        house.clock.advance(600)
        server.add_news("n2", noon - timedelta(minutes=10), ["BBB"], "Late")
        await house.news.ask_once()
        day = timedelta(days=1)
        found = await house.news.published(noon - day, noon)
        assert [item.item_id for item in found] == ["n1", "n2"]
        assert await house.news.published(noon, noon + day) == []
        house.clock.advance(40 * 3600)
        await house.news.ask_once()
        assert await house.news.published(noon - day, noon) == []


async def test_a_plan_without_news_is_no_failure(server: PolygonServer, tmp_path: Path) -> None:
    server.plant(not_entitled(count=None))
    with caring(server, tmp_path, TUESDAY.opens_at) as house:
        ctx = context()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await house.news.run(ctx)
        assert ctx.is_ready
        assert ctx.beats >= 2


def settings_for(server: PolygonServer, **more: str) -> Settings:
    return load_settings(
        None,
        {},
        {
            "market.symbols": "AAA,BBB",
            "polygon.base_url": server.url,
            "polygon.stream_url": server.stream_url,
            "polygon.calls_per_minute": 60_000,
            "testing.loopback_only": "on",
            **more,
        },
    )


SECRETS = Secrets(polygon_api_key=Secret(KEY))


async def test_the_whole_market_trades_a_few_minutes_of_a_day(
    server: PolygonServer, tmp_path: Path
) -> None:
    at = TUESDAY.opens_at + 10 * MINUTE
    clock = ManualClock(at)
    for symbol in ("AAA", "BBB"):
        server.keep_bars(symbol, 399)
    ours = live_market(
        settings_for(server),
        SECRETS,
        bars=tmp_path,
        clock=clock,
        in_flight=InFlight(),
        terms=LiveTerms(care=CareTerms(look_s=0.05), stream=StreamPatience(subscribed_s=5.0)),
    )
    market = ours.market
    assert (market.mode, market.timeframe, market.symbols) == (
        "paper",
        Timeframe.MINUTE,
        ("AAA", "BBB"),
    )
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        contexts = [context(child.service.name) for child in market.children]
        running = [
            group.create_task(child.service.run(ctx))
            for child, ctx in zip(market.children, contexts, strict=True)
        ]
        feed = market.new_feed()
        await feed.seek(market.starts_at - timedelta(microseconds=1))
        await asyncio.to_thread(_push_when_subscribed, server)
        while any(ours.book.hole(symbol) for symbol in ours.book.symbols):
            await ours.book.change()
        update = await feed.advance(at, TUESDAY)
        assert {bar.symbol for bar in update.bars} <= {"AAA", "BBB"}
        newest = feed.window("AAA", 1)
        assert len(feed.window("AAA", 1000)) == 390 + 10
        assert int(newest.closes_at[-1]) == to_ns(at)
        for task in running:
            task.cancel()
    assert market.close is not None
    market.close()


def _push_when_subscribed(server: PolygonServer) -> None:
    until(lambda: server.stream_subscribed == 1)
    for symbol in ("AAA", "BBB"):
        server.push(symbol, ROWS.take(slice(399, 400)))


@pytest.mark.parametrize(
    ("more", "secrets", "says"),
    [
        ({}, Secrets(), "POLYGON_API_KEY is not set"),
        ({"market.symbols": ""}, SECRETS, "market.symbols is empty"),
        ({"market.timeframe": "5m"}, SECRETS, "bars of 1m"),
        ({"polygon.stream_url": "wss://example.com"}, SECRETS, "not this machine"),
        ({"polygon.base_url": "https://example.com"}, SECRETS, "not this machine"),
    ],
)
async def test_a_market_that_cannot_be_is_refused_at_the_start(
    more: dict[str, str], secrets: Secrets, says: str, server: PolygonServer, tmp_path: Path
) -> None:
    with pytest.raises(BadSettings, match=says):
        live_market(
            settings_for(server, **more),
            secrets,
            bars=tmp_path,
            clock=ManualClock(TUESDAY.opens_at),
            in_flight=InFlight(),
        )
