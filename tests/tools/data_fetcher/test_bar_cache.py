"""The store in front of the vendor: what is asked, what is kept, and what is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows, exchange_days
from roboinvest.core.market.values import ActionKind, Timeframe
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.rate_limiter import Lane
from tests.fakes.bar_files import quiet_rows
from tests.fakes.clocks import ManualClock
from tests.fakes.replays import CALENDAR, FRIDAY, MONDAY, TUESDAY, WEEK
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_desk import bar_cache
from tests.fakes.vendors.polygon_server import (
    AGGREGATES,
    PolygonServer,
    broken_page,
    empty,
    too_many,
)
from tests.fakes.virtual_time import run_virtual
from tools.bars.actions import KEPT_ACTIONS, read_actions
from tools.bars.store import BarStore
from tools.bars.table import BarTable, SeriesKey
from tools.data_fetcher.bar_cache import BarCache, FetchTally
from tools.data_fetcher.completeness import Lack

MINUTE = Timeframe.MINUTE
ROWS = quiet_rows(WEEK)


@pytest.fixture
def server() -> Iterator[PolygonServer]:
    with PolygonServer() as running:
        running.add_bars("SPY", ROWS)
        yield running


async def fetched(
    cache: BarCache,
    first: date = MONDAY,
    last: date = FRIDAY,
    *symbols: str,
    timeframe: Timeframe = MINUTE,
    with_actions: bool = False,
) -> FetchTally:
    plan = await cache.plan(symbols or ("SPY",), timeframe, first, last, with_actions=with_actions)
    return await cache.fetch(plan, lambda _: None)


async def test_what_was_fetched_whole_is_never_asked_for_again(
    server: PolygonServer, tmp_path: Path
) -> None:
    with bar_cache(server, tmp_path) as cache:
        first = await fetched(cache)
        again = await fetched(cache)
        rows = await cache.rows("SPY", MINUTE, MONDAY, FRIDAY, lane=Lane.DATA)
    assert (first.calls, first.added, first.short) == (1, len(ROWS), [])
    assert (again.calls, again.added) == (0, 0)
    assert np.array_equal(rows.values, ROWS.values)
    assert len(server.requests) == 1


async def test_only_the_sessions_that_are_not_whole_are_asked_for(
    server: PolygonServer, tmp_path: Path
) -> None:
    with bar_cache(server, tmp_path) as cache:
        await fetched(cache, MONDAY, TUESDAY.day)
        await fetched(cache, MONDAY, FRIDAY)
    assert server.requests[-1].path.endswith("/2024-03-06/2024-03-08")


async def test_a_quiet_symbol_with_few_bars_is_whole_all_the_same(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.add_bars("THIN", ROWS.take(np.arange(len(ROWS)) % 7 == 0))
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache, MONDAY, FRIDAY, "THIN")
        assert (tally.short, tally.calls) == ([], 1)
        assert (await fetched(cache, MONDAY, FRIDAY, "THIN")).calls == 0


async def test_a_session_without_a_bar_is_reported_and_asked_for_again(
    server: PolygonServer, tmp_path: Path
) -> None:
    days = exchange_days(ROWS.ts)
    server.add_bars("GAP", ROWS.take(days != TUESDAY.day.toordinal()))
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache, MONDAY, FRIDAY, "GAP")
        (short,) = tally.short
        assert (short.day, short.lack) == (TUESDAY.day, Lack.EMPTY)
        await fetched(cache, MONDAY, FRIDAY, "GAP")
    assert server.requests[-1].path.endswith("/2024-03-05/2024-03-05")


async def test_an_empty_answer_is_no_success(server: PolygonServer, tmp_path: Path) -> None:
    server.plant(empty())
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache)
        assert [each.lack for each in tally.short] == [Lack.EMPTY] * 5
        assert (await fetched(cache)).added == len(ROWS)


async def test_an_answer_that_stops_before_the_close_is_not_whole(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.add_bars("CUT", ROWS.take(slice(0, len(ROWS) - 60)))
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache, MONDAY, FRIDAY, "CUT")
        (short,) = tally.short
        assert (short.day, short.lack) == (FRIDAY, Lack.ENDS_EARLY)
        assert "20:00 UTC, the close is 21:00 UTC" in short.detail
        server.add_bars("CUT", ROWS)
        tally = await fetched(cache, MONDAY, FRIDAY, "CUT")
    assert (tally.added, tally.short) == (60, [])


async def test_a_session_that_is_still_running_is_kept_and_asked_for_again(
    server: PolygonServer, tmp_path: Path
) -> None:
    clock = ManualClock(WEEK[-1].opens_at + timedelta(hours=1))
    with bar_cache(server, tmp_path, clock=clock) as cache:
        server.fill(lambda books: books.minutes.pop("SPY"))
        server.add_bars("SPY", ROWS.between(0, to_ns(clock.now())))
        first = await fetched(cache)
        assert [(each.day, each.lack) for each in first.short] == [(FRIDAY, Lack.UNSETTLED)]
        server.add_bars("SPY", ROWS)
        clock.advance(24 * 3600)
        again = await fetched(cache)
    assert again.added == 330
    assert server.requests[-1].path.endswith("/2024-03-08/2024-03-08")


async def test_a_process_killed_between_bars_and_note_asks_once_more_and_loses_nothing(
    server: PolygonServer, tmp_path: Path
) -> None:
    with bar_cache(server, tmp_path) as cache:
        await fetched(cache)
        (tmp_path / "SPY" / "1m" / "fetched.json").unlink()
        again = await fetched(cache)
    assert (again.calls, again.added, again.replaced) == (1, 0, 0)


async def test_a_note_without_its_bars_counts_for_nothing(
    server: PolygonServer, tmp_path: Path
) -> None:
    with bar_cache(server, tmp_path) as cache:
        await fetched(cache)
        (tmp_path / "SPY" / "1m" / "2024.parquet").unlink()
        assert (await fetched(cache)).added == len(ROWS)


async def test_a_damaged_note_is_named(server: PolygonServer, tmp_path: Path) -> None:
    with bar_cache(server, tmp_path) as cache:
        await fetched(cache)
        (tmp_path / "SPY" / "1m" / "fetched.json").write_text("{}")
        with pytest.raises(BadInput, match=r"fetched\.json is damaged"):
            await fetched(cache)


async def test_bars_from_elsewhere_are_never_mixed_with_the_vendors_and_cost_no_call(
    server: PolygonServer, tmp_path: Path
) -> None:
    key = SeriesKey(symbol="SPY", source="lean", adjusted=False)
    BarStore(tmp_path).add(BarTable(path=tmp_path, series={key: ROWS}, undated=()))
    with bar_cache(server, tmp_path) as cache, pytest.raises(BadInput, match="raw from lean"):
        await fetched(cache)
    assert server.requests == []


async def test_a_range_without_a_session_is_refused(server: PolygonServer, tmp_path: Path) -> None:
    with bar_cache(server, tmp_path) as cache, pytest.raises(BadInput, match="no session"):
        await fetched(cache, date(2024, 3, 2), date(2024, 3, 3))
    with (
        bar_cache(server, tmp_path, clock=ManualClock(datetime(2024, 3, 1, tzinfo=UTC))) as cache,
        pytest.raises(BadInput, match="no session"),
    ):
        await fetched(cache)


async def test_the_plan_says_the_fewest_calls_and_they_are_what_it_costs(
    server: PolygonServer, tmp_path: Path
) -> None:
    first, last = date(2023, 10, 2), date(2024, 3, 8)
    sessions = CALENDAR.sessions(first, last)
    server.add_bars("SPY", quiet_rows(sessions))
    with bar_cache(server, tmp_path) as cache:
        plan = await cache.plan(["SPY"], MINUTE, first, last)
        assert (plan.sessions, plan.whole, plan.calls) == (len(sessions), 0, 3 + 2)
        assert plan.minutes(5) == 1
        tally = await cache.fetch(plan, lambda _: None)
    assert tally.calls == plan.calls == len(server.requests)
    assert tally.short == []


def test_a_vendor_that_is_away_for_a_moment_is_asked_again(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.plant(Fault(kind=FaultKind.STATUS, status=503, count=2), broken_page(3), too_many())
    in_flight = InFlight()

    async def story() -> FetchTally:
        with bar_cache(server, tmp_path, in_flight=in_flight) as cache:
            return await fetched(cache)

    assert run_virtual(story, in_flight).added == len(ROWS)


def test_a_vendor_that_stays_away_ends_the_fetch_and_what_came_is_kept(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.add_bars("QQQ", ROWS)
    server.plant(Fault(kind=FaultKind.STATUS, status=503, path="/QQQ/", count=None))
    in_flight = InFlight()

    async def story() -> None:
        with bar_cache(server, tmp_path, in_flight=in_flight) as cache:
            with pytest.raises(TryLater, match="503"):
                await fetched(cache, MONDAY, FRIDAY, "SPY", "QQQ")
            server.heal()
            again = await fetched(cache, MONDAY, FRIDAY, "SPY", "QQQ")
            assert again.calls == 1

    run_virtual(story, in_flight)
    assert len(server.asked_for(f"{AGGREGATES}SPY")) == 1


async def test_splits_and_dividends_are_kept_so_that_a_replay_finds_them_exactly(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.fill(lambda books: books.add_split("SPY", date(2024, 3, 6), 1, 7))
    server.fill(lambda books: books.add_dividend("SPY", date(2024, 3, 7), 0.59375))
    server.fill(lambda books: books.add_split("SPY", date(2024, 3, 8), 8, 1))
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache, with_actions=True)
        assert (tally.calls, tally.actions, tally.left_out) == (3, 3, [])
        assert (await fetched(cache, with_actions=True)).calls == 0
    kept = read_actions(tmp_path / KEPT_ACTIONS, CALENDAR)
    assert [(each.kind, each.ex_date, each.ratio, each.cash) for each in kept] == [
        (ActionKind.SPLIT, date(2024, 3, 6), Decimal(7), Decimal(0)),
        (ActionKind.DIVIDEND, date(2024, 3, 7), Decimal(1), Decimal("0.5938")),
        (ActionKind.SPLIT, date(2024, 3, 8), Decimal("0.125"), Decimal(0)),
    ]


async def test_a_dividend_without_the_close_before_it_is_left_out_and_said(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.fill(lambda books: books.add_dividend("SPY", MONDAY, 0.5))
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache, with_actions=True)
    assert [each.ex_date for each in tally.left_out] == [MONDAY]
    assert tally.actions == 0


async def test_bad_rows_are_set_aside_by_the_gate_of_the_store(
    server: PolygonServer, tmp_path: Path
) -> None:
    values = ROWS.values.copy()
    values[2, 5] = -1.0
    server.add_bars("BAD", RawRows.of(ROWS.ts, values))
    with bar_cache(server, tmp_path) as cache:
        tally = await fetched(cache, MONDAY, FRIDAY, "BAD")
    assert (tally.quarantined, tally.added) == (1, len(ROWS) - 1)
