"""The fetcher on the vendor's real client: what it returns, and what it refuses to believe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.errors import BadInput, BadSettings, Refused, TryLater
from roboinvest.core.market.values import ActionKind, Timeframe
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.rate_limiter import Lane
from tests.fakes.bar_files import quiet_rows
from tests.fakes.replays import FRIDAY, MONDAY, WEEK
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_desk import QUICK, desk, recorded
from tests.fakes.vendors.polygon_server import (
    AGGREGATES,
    KEY,
    PolygonServer,
    broken_page,
    empty,
    not_entitled,
    too_many,
)
from tests.fakes.virtual_time import run_virtual
from tools.data_fetcher.failures import BadKey, Incomplete, NotEntitled, RateLimited
from tools.data_fetcher.polygon.fetcher import Patience
from tools.data_fetcher.values import MarketPhase

ROWS = quiet_rows(WEEK)


@pytest.fixture
def server() -> Iterator[PolygonServer]:
    with PolygonServer() as running:
        running.add_bars("SPY", ROWS)
        yield running


async def test_bars_come_as_the_vendor_has_them_unadjusted_and_in_order(
    server: PolygonServer,
) -> None:
    with desk(server.url) as ours:
        got = await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert np.array_equal(got.rows.ts, ROWS.ts)
    assert np.array_equal(got.rows.values, ROWS.values)
    assert got.calls == 1
    (request,) = server.requests
    assert request.path == "/v2/aggs/ticker/SPY/range/1/minute/2024-03-04/2024-03-08"
    assert request.query == {"adjusted": "false", "sort": "asc", "limit": "50000"}


@pytest.mark.parametrize("timeframe", list(Timeframe))
async def test_bars_of_every_length_can_be_asked_for(
    timeframe: Timeframe, server: PolygonServer
) -> None:
    with desk(server.url) as ours:
        got = await ours.fetcher.bars("SPY", timeframe, MONDAY, FRIDAY)
    minutes = timeframe.length // timedelta(minutes=1)
    a_day = 1 if timeframe is Timeframe.DAY else -(-390 // minutes)
    assert len(got.rows) == 5 * a_day


async def test_pages_are_followed_to_the_end_on_our_host_and_each_is_a_call(
    server: PolygonServer,
) -> None:
    server.behave(page_rows=500)
    with desk(server.url) as ours:
        got = await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert np.array_equal(got.rows.ts, ROWS.ts)
    assert got.calls == len(server.requests) == 4


async def test_no_bars_is_an_answer_with_no_rows(server: PolygonServer) -> None:
    with desk(server.url) as ours:
        got = await ours.fetcher.bars("NONE", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert len(got.rows) == 0


@pytest.mark.parametrize("page", [1, 2, 4])
async def test_a_broken_page_is_never_the_end_of_the_data(page: int, server: PolygonServer) -> None:
    server.behave(page_rows=500)
    server.plant(broken_page(page))
    with desk(server.url) as ours, pytest.raises(Incomplete, match="no whole answer"):
        await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)


async def test_pages_without_end_are_left(server: PolygonServer) -> None:
    server.behave(endless=True, page_rows=500)
    with desk(server.url) as ours, pytest.raises(Incomplete):
        await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert len(server.requests) <= 12


async def test_a_list_without_end_is_left(server: PolygonServer) -> None:
    server.fill(lambda books: books.add_split("SPY", date(2024, 3, 6), 1, 2))
    server.behave(endless=True)
    with desk(server.url) as ours, pytest.raises(Incomplete, match="does not end"):
        await ours.fetcher.actions("SPY", MONDAY, FRIDAY)


async def test_bars_of_other_days_than_asked_are_not_believed(server: PolygonServer) -> None:
    server.behave(stale_by=timedelta(days=1))
    with desk(server.url) as ours, pytest.raises(Incomplete, match="other days"):
        await ours.fetcher.bars("SPY", Timeframe.MINUTE, date(2024, 3, 5), FRIDAY)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"ticker": "QQQ"}, "about QQQ"),
        ({"adjusted": True}, "adjusted"),
        ({"resultsCount": 3}, "announces 3 rows"),
        ({"results": {}}, "no list"),
        ({"t": None}, "no time"),
        ({"t": 1}, "other days"),
        ({"status": "ERROR"}, "ERROR"),
        ({"next_url": "nowhere"}, "without a path"),
    ],
)
async def test_an_answer_that_cannot_be_all_of_it_is_not_believed(
    fields: dict[str, object], says: str, server: PolygonServer
) -> None:
    server.behave(page_rows=500)
    server.plant(Fault(kind=FaultKind.REWRITE, fields=fields))
    with desk(server.url) as ours, pytest.raises(Incomplete, match=says):
        await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)


async def test_a_cell_that_is_no_number_is_left_to_the_gate(server: PolygonServer) -> None:
    server.plant(Fault(kind=FaultKind.REWRITE, fields={"h": "high"}))
    with desk(server.url) as ours:
        got = await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert got.rows.unreadable.all()


async def test_a_key_that_is_unknown_is_a_matter_of_settings_and_is_not_shown(
    server: PolygonServer,
) -> None:
    with desk(server.url, key="wrong-secret") as ours, pytest.raises(BadKey) as caught:
        await ours.fetcher.market_state()
    assert isinstance(caught.value, BadSettings)
    assert "POLYGON_API_KEY" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_a_vendor_that_repeats_the_key_is_not_quoted(server: PolygonServer) -> None:
    server.plant(Fault(kind=FaultKind.STATUS, status=500, body={"error": f"bad {KEY}"}))
    with desk(server.url) as ours, pytest.raises(TryLater) as caught:
        await ours.fetcher.market_state()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [200, 403])
async def test_data_above_the_plan_is_refused_with_either_status(
    status: int, server: PolygonServer
) -> None:
    server.plant(not_entitled(status=status))
    with desk(server.url) as ours, pytest.raises(NotEntitled, match="upgrade the plan") as caught:
        await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert isinstance(caught.value, Refused)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_vendor_that_is_ill_is_asked_once_and_is_away(
    status: int, server: PolygonServer
) -> None:
    server.plant(Fault(kind=FaultKind.STATUS, status=status, body="<html>oops</html>", count=None))
    with desk(server.url) as ours, pytest.raises(TryLater, match=str(status)):
        await ours.fetcher.market_state()
    assert len(server.requests) == 1


async def test_what_the_vendor_does_not_know_is_bad_input(server: PolygonServer) -> None:
    with desk(server.url) as ours, pytest.raises(BadInput, match="404"):
        await ours.fetcher.last_trade("NONE")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STALL),
        Fault(kind=FaultKind.STALL_AFTER),
        Fault(kind=FaultKind.DRIP, drip_s=0.05),
        Fault(kind=FaultKind.RESET_BEFORE),
        Fault(kind=FaultKind.RESET_AFTER),
        Fault(kind=FaultKind.CUT, at_byte=100),
    ],
    ids=lambda fault: fault.kind.value,
)
async def test_a_transport_that_fails_ends_in_time_and_the_thread_is_free_again(
    fault: Fault, server: PolygonServer
) -> None:
    server.plant(fault)
    with desk(server.url, limits=QUICK) as ours:
        began = time.monotonic()
        with pytest.raises(TryLater):
            await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
        assert time.monotonic() - began < 5.0
        assert ours.calls.stuck == 0
        assert len(server.requests) == 1


async def test_the_loop_goes_on_while_the_vendor_is_silent(server: PolygonServer) -> None:
    server.plant(Fault(kind=FaultKind.STALL, count=None))
    turns = 0
    with desk(server.url, limits=QUICK) as ours:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_caught(ours.fetcher.market_state()))
            while not asking.done():
                turns += 1
                await asyncio.sleep(0)
    assert isinstance(asking.result(), TryLater)
    assert turns > 100


async def _caught(asked: object) -> BaseException | None:
    try:
        await asked  # type: ignore[misc]
    except TryLater as error:
        return error
    return None


async def test_a_port_where_nobody_listens_is_away(server: PolygonServer) -> None:
    with desk("http://127.0.0.1:9", limits=QUICK) as ours, pytest.raises(TryLater, match="refused"):
        await ours.fetcher.market_state()


@pytest.mark.parametrize(("retry_after", "waits_s"), [("30", 30.0), (None, 60.5), ("86400", 300.0)])
def test_a_refusal_for_too_many_calls_holds_everybody_back(
    retry_after: str | None, waits_s: float, server: PolygonServer
) -> None:
    in_flight = InFlight()
    server.plant(too_many(retry_after=retry_after))

    async def story() -> float:
        with desk(
            server.url, in_flight=in_flight, patience=Patience(data_s=1000, research_s=1000)
        ) as ours:
            with pytest.raises(RateLimited, match="calls a minute"):
                await ours.fetcher.market_state()
            refused_at = asyncio.get_running_loop().time()
            await ours.fetcher.market_state()
            return asyncio.get_running_loop().time() - refused_at

    assert run_virtual(story, in_flight) == pytest.approx(waits_s, abs=0.1)
    assert len(server.requests) == 2


def test_no_rolling_minute_ever_sees_more_calls_than_the_plan_allows() -> None:
    in_flight = InFlight()
    at: list[float] = []

    async def story(server: PolygonServer) -> None:
        with desk(
            server.url,
            in_flight=in_flight,
            per_minute=5,
            patience=Patience(data_s=10_000, research_s=10_000),
        ) as ours:

            async def ask() -> None:
                await ours.fetcher.market_state()
                at.append(asyncio.get_running_loop().time())

            async with asyncio.TaskGroup() as group:
                for _ in range(23):
                    group.create_task(ask())

    with PolygonServer() as server:
        run_virtual(lambda: story(server), in_flight)
    assert len(at) == 23
    assert all(later - earlier > 60.0 for earlier, later in zip(at, at[5:], strict=False))


async def test_what_a_tick_needs_goes_before_research(server: PolygonServer) -> None:
    order: list[str] = []
    with desk(server.url, per_minute=1200) as ours:

        async def ask(name: str, lane: Lane) -> None:
            await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, MONDAY, lane=lane)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(ask(f"research {n}", Lane.RESEARCH))
            group.create_task(ask("data", Lane.DATA))
    assert order.index("data") <= 1


async def test_splits_and_dividends_are_exact_and_in_order(server: PolygonServer) -> None:
    server.fill(lambda books: books.add_split("SPY", date(2024, 3, 6), 1, 7))
    server.fill(lambda books: books.add_split("SPY", date(2024, 3, 7), 10, 1))
    server.fill(lambda books: books.add_dividend("SPY", date(2024, 3, 5), 0.59375))
    server.fill(lambda books: books.add_dividend("SPY", date(2023, 3, 5), 9.0))
    server.fill(lambda books: books.add_split("QQQ", date(2024, 3, 6), 1, 3))
    with desk(server.url) as ours:
        found = await ours.fetcher.actions("SPY", MONDAY, FRIDAY)
    assert [(each.kind, each.ex_date, each.ratio, each.cash) for each in found] == [
        (ActionKind.DIVIDEND, date(2024, 3, 5), Decimal(1), Decimal("0.59375")),
        (ActionKind.SPLIT, date(2024, 3, 6), Decimal(7), Decimal(0)),
        (ActionKind.SPLIT, date(2024, 3, 7), Decimal("0.1"), Decimal(0)),
    ]


async def test_news_of_our_symbols_come_by_time_within_the_bounds(server: PolygonServer) -> None:
    noon = datetime(2024, 3, 5, 12, tzinfo=UTC)
    for n, symbols in enumerate([["SPY"], ["QQQ"], ["IBM", "SPY"], ["SPY"]]):
        at = noon + timedelta(minutes=n)
        server.add_news(f"n{n}", at, symbols, f"T{n}")
    with desk(server.url) as ours:
        found = await ours.fetcher.news(noon, noon + timedelta(minutes=2), ["SPY"])
    assert [(each.item_id, each.headline, each.symbols) for each in found] == [
        ("n2", "T2", ("IBM", "SPY"))
    ]
    assert found[0].source == "Loopback Wire"


async def test_snapshots_last_trade_and_previous_close_are_decimals(server: PolygonServer) -> None:
    server.add_bars("QQQ", quiet_rows(WEEK, price=55.5))
    with desk(server.url) as ours:
        both = await ours.fetcher.snapshots(["SPY", "QQQ"])
        trade = await ours.fetcher.last_trade("SPY")
        previous = await ours.fetcher.previous_close("SPY")
    assert [each.symbol for each in both] == ["QQQ", "SPY"]
    newest = Decimal(repr(float(ROWS.values[3, -1])))
    assert both[1].last == trade.price == previous.close == newest
    assert trade.at == WEEK[-1].closes_at - timedelta(milliseconds=1)
    assert previous.day == FRIDAY


async def test_a_snapshot_that_lacks_a_symbol_is_not_whole(server: PolygonServer) -> None:
    with desk(server.url) as ours, pytest.raises(Incomplete, match="lacks NONE"):
        await ours.fetcher.snapshots(["SPY", "NONE"])


@pytest.mark.parametrize("state", list(MarketPhase))
async def test_the_vendor_says_whether_the_market_is_open_and_what_time_it_has(
    state: MarketPhase, server: PolygonServer
) -> None:
    server.behave(market=state.value)
    server.clock_off_by = timedelta(hours=-3)
    with desk(server.url) as ours:
        got = await ours.fetcher.market_state()
    assert got.phase is state
    assert got.server_time < datetime.now(UTC) - timedelta(hours=2)  # noqa: TID251 the vendor's own


async def test_bodies_recorded_of_the_real_vendor_are_understood(server: PolygonServer) -> None:
    for path in (
        "/v2/aggs/ticker/AAPL/prev",
        "/v2/last/trade/AAPL",
        "/v1/marketstatus/now",
        "/v2/reference/news",
    ):
        server.plant(Fault(kind=FaultKind.STATUS, status=200, body=recorded(path), path=f"^{path}"))
    server.plant(
        Fault(
            kind=FaultKind.STATUS,
            status=200,
            body=recorded("/v3/reference/splits"),
            path="^/v3/reference/splits",
        )
    )
    with desk(server.url) as ours:
        assert (await ours.fetcher.previous_close("AAPL")).close == Decimal("156.8")
        assert (await ours.fetcher.last_trade("AAPL")).price == Decimal("166.25")
        state = await ours.fetcher.market_state()
        assert state.phase is MarketPhase.EXTENDED
        assert state.server_time == datetime(2022, 4, 28, 20, 48, 8, tzinfo=UTC)
        (item, *_) = await ours.fetcher.news(
            datetime(2022, 4, 1, tzinfo=UTC), datetime(2022, 5, 1, tzinfo=UTC), ["NFLX"]
        )
        assert item.published_at == datetime(2022, 4, 28, 17, 8, tzinfo=UTC)
        (split,) = await ours.fetcher.actions("GOOGL", date(2022, 1, 1), date(2022, 12, 31))
        assert split.ratio == 20


async def test_an_answer_that_is_empty_has_no_rows_and_does_not_invent_any(
    server: PolygonServer,
) -> None:
    server.plant(empty())
    with desk(server.url) as ours:
        got = await ours.fetcher.bars("SPY", Timeframe.MINUTE, MONDAY, FRIDAY)
    assert len(got.rows) == 0
    assert server.asked_for(AGGREGATES)
