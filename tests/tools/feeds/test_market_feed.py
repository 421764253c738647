"""The replayed market: what is shown, when, and what never is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import CorporateAction, Timeframe
from tests.fakes.bar_files import quiet_rows
from tests.fakes.replays import (
    CALENDAR,
    SPLIT,
    TUESDAY,
    WEEK,
    altered,
    feed_of,
    scaled,
    ticks,
    troubled,
)
from tools.bars.actions import read_actions
from tools.feeds.file_source import FileSource
from tools.feeds.market_feed import SessionFeed


@pytest.mark.parametrize("timeframe", list(Timeframe))
async def test_every_bar_is_shown_once_when_it_has_closed(timeframe: Timeframe) -> None:
    feed = feed_of({"SPY": quiet_rows(WEEK, timeframe)}, timeframe)
    shown = []
    for session, at in ticks(timeframe):
        update = await feed.advance(at, session)
        assert [bar.closes_at for bar in update.bars] == [at]
        newest = feed.window("SPY", 1)
        assert newest.bar(-1) == update.bars[0]
        shown.append(update.bars[0].ts)
    assert shown == sorted(set(shown))
    assert feed.counts() == DataCounts(
        rows=len(shown), used=len(shown), quarantined=0, by_reason={}
    )


async def test_warm_up_sessions_fill_the_window_and_are_neither_shown_nor_counted() -> None:
    feed = feed_of({"SPY": quiet_rows(WEEK)}, first=date(2024, 3, 6), warm_up_sessions=1)
    session, at = ticks(Timeframe.MINUTE, date(2024, 3, 6))[0]
    update = await feed.advance(at, session)
    assert len(update.bars) == 1
    window = feed.window("SPY", 5000)
    assert len(window) == 391
    assert window.day[0] == TUESDAY.day.toordinal()
    assert feed.counts().rows == 1


async def test_a_run_that_begins_inside_a_session_is_shown_its_bars_so_far() -> None:
    feed = feed_of({"SPY": quiet_rows(WEEK)})
    update = await feed.advance(TUESDAY.opens_at + timedelta(hours=2), TUESDAY)
    assert len(update.bars) == 120


async def test_bars_of_one_tick_come_by_open_then_symbol() -> None:
    rows = quiet_rows(WEEK)
    feed = feed_of({"ZZZ": rows, "AAA": rows})
    update = await feed.advance(TUESDAY.opens_at + timedelta(minutes=2), TUESDAY)
    names = [(bar.ts.minute, bar.symbol) for bar in update.bars]
    assert names == [(30, "AAA"), (30, "ZZZ"), (31, "AAA"), (31, "ZZZ")]
    assert feed.symbols == ("AAA", "ZZZ")


async def test_rows_outside_regular_hours_are_read_and_never_shown() -> None:
    early = RawRows.of(
        np.array([to_ns(TUESDAY.opens_at - timedelta(hours=4))]), np.full((5, 1), 700.0)
    )
    late = RawRows.of(np.array([to_ns(TUESDAY.closes_at)]), np.full((5, 1), 0.07))
    quiet = quiet_rows(WEEK)
    ts = np.concatenate([each.ts for each in (early, late, quiet)])
    values = np.concatenate([each.values for each in (early, late, quiet)], axis=1)
    feed = feed_of({"SPY": RawRows.of(ts, values)})
    for session, at in ticks(Timeframe.MINUTE, last=TUESDAY.day):
        update = await feed.advance(at, session)
        assert [bar.open < 110 for bar in update.bars] == [True]
    counts = feed.counts()
    assert (counts.rows, counts.used, counts.quarantined) == (392, 390, 0)


async def test_an_hour_bar_stamped_before_the_open_belongs_to_the_session() -> None:
    feed = feed_of({"SPY": quiet_rows(WEEK, Timeframe.HOUR)}, Timeframe.HOUR)
    update = await feed.advance(TUESDAY.opens_at + timedelta(minutes=30), TUESDAY)
    (bar,) = update.bars
    assert bar.ts == TUESDAY.opens_at - timedelta(minutes=30)
    assert bar.closes_at == TUESDAY.opens_at + timedelta(minutes=30)


async def test_a_bar_that_would_outlast_the_session_closes_with_it() -> None:
    closes_at = to_ns(TUESDAY.closes_at)
    half_past = np.array([closes_at - hours * 1_800_000_000_000 for hours in (1, 2)])
    feed = feed_of({"SPY": RawRows.of(half_past, np.full((5, 2), 10.0))}, Timeframe.HOUR)
    update = await feed.advance(TUESDAY.closes_at, TUESDAY)
    assert [bar.closes_at for bar in update.bars] == [TUESDAY.closes_at] * 2
    assert update.bars[0].ts < update.bars[1].ts


async def test_bars_are_missed_from_the_first_row_of_a_symbol_on() -> None:
    rows = quiet_rows(WEEK[1:3])
    rows = rows.take(rows.ts >= to_ns(TUESDAY.opens_at + timedelta(minutes=100)))
    feed = feed_of({"NEW": rows.take(np.arange(len(rows)) != 5)})
    await feed.advance(TUESDAY.opens_at + timedelta(minutes=90), TUESDAY)
    assert feed.counts().by_reason == {}
    await feed.advance(WEEK[2].closes_at, WEEK[2])
    assert feed.counts().by_reason == {"missing_minute": 1}


@pytest.mark.parametrize("timeframe", [Timeframe.HOUR, Timeframe.DAY])
async def test_a_session_without_a_row_is_missed_bar_by_bar(timeframe: Timeframe) -> None:
    rows = quiet_rows([WEEK[1], WEEK[3]], timeframe)
    feed = feed_of({"SPY": rows}, timeframe)
    for session, at in ticks(timeframe, last=WEEK[3].day):
        await feed.advance(at, session)
    missing = 7 if timeframe is Timeframe.HOUR else 1
    assert feed.counts().by_reason == {"missing_minute": missing}


async def test_bad_rows_are_set_aside_and_counted_when_their_bar_has_closed() -> None:
    quiet = quiet_rows([TUESDAY])
    rows = altered(quiet, {(2, 3): float("nan"), (5, 0): -1.0, (7, 4): 0.0})
    rows = rows.take(np.arange(390) != 3)
    feed = feed_of({"SPY": rows})
    said = {}
    for session, at in ticks(Timeframe.MINUTE, last=TUESDAY.day):
        update = await feed.advance(at, session)
        number = (at - TUESDAY.opens_at) // timedelta(minutes=1)
        said[number] = feed.counts()
        assert len(update.bars) == (number not in (3, 4, 6))
    assert said[2].by_reason == {}
    assert said[3].by_reason == {"not_a_number": 1}
    assert said[4].by_reason == {"missing_minute": 1, "not_a_number": 1}
    assert said[390] == DataCounts(
        rows=389,
        used=387,
        quarantined=2,
        by_reason={
            "missing_minute": 1,
            "non_positive_price": 1,
            "not_a_number": 1,
            "zero_volume": 1,
        },
    )


async def test_a_split_is_reported_once_and_puts_older_bars_on_its_scale() -> None:
    feed = feed_of(troubled(Timeframe.MINUTE), actions=[SPLIT])
    reported = []
    for session, at in ticks(Timeframe.MINUTE, last=date(2024, 3, 7)):
        update = await feed.advance(at, session)
        reported += [(at, action) for action in update.actions]
        assert "AAA" not in update.suspended
        closes, volumes = feed.window("AAA", 400).close, feed.window("AAA", 400).volume
        assert closes.max() / closes.min() < 1.1
        assert closes[-1] == next(bar.close for bar in update.bars if bar.symbol == "AAA")
        if session.day == SPLIT.ex_date and at == session.opens_at + timedelta(minutes=1):
            assert volumes[[0, -1]].tolist() == [7000.0, 1000.0]
    assert reported == [(WEEK[2].opens_at + timedelta(minutes=1), SPLIT)]


async def test_a_jump_that_nothing_explains_suspends_the_symbol_and_only_it() -> None:
    feed = feed_of(troubled(Timeframe.MINUTE), actions=[SPLIT])
    thursday = WEEK[3]
    before = await feed.advance(thursday.opens_at, thursday)
    assert before.suspended == {}
    for session, at in ticks(Timeframe.MINUTE, thursday.day):
        update = await feed.advance(at, session)
        assert list(update.suspended) == ["BBB"]
        assert "like a 2:1 split" in update.suspended["BBB"]
        assert "BBB" not in {bar.symbol for bar in update.bars}
    assert feed.counts().by_reason["unexplained_jump"] == 780


async def test_actions_of_other_symbols_and_before_the_run_are_not_reported() -> None:
    feed = feed_of(
        {"AAA": scaled(quiet_rows(WEEK), 1 / 7, date(2024, 3, 6))},
        first=date(2024, 3, 7),
        warm_up_sessions=3,
        actions=[SPLIT, CorporateAction(symbol="SPY", kind=SPLIT.kind, ex_date=date(2024, 3, 7))],
    )
    update = await feed.advance(WEEK[3].closes_at, WEEK[3])
    assert update.actions == ()
    assert update.suspended == {}
    closes = feed.window("AAA", 5000).close
    assert len(closes) == 4 * 390
    assert closes.max() / closes.min() < 1.1


async def test_the_vix_of_a_day_is_known_on_the_next_one() -> None:
    vix = {date(2024, 3, 1): 13.0, TUESDAY.day: 14.0}
    feed = feed_of({"SPY": quiet_rows(WEEK)}, vix=vix)
    assert feed.vix() is None
    await feed.advance(TUESDAY.closes_at, TUESDAY)
    assert feed.vix() == 13.0
    await feed.advance(WEEK[2].opens_at, WEEK[2])
    assert feed.vix() == 14.0


async def test_time_does_not_run_backwards() -> None:
    feed = feed_of({"SPY": quiet_rows(WEEK)})
    await feed.advance(TUESDAY.closes_at, TUESDAY)
    with pytest.raises(ValueError, match="asked for"):
        await feed.advance(TUESDAY.opens_at, TUESDAY)


async def test_before_the_first_tick_there_is_nothing() -> None:
    feed = feed_of({"SPY": quiet_rows(WEEK)})
    assert len(feed.window("SPY", 10)) == 0
    assert feed.counts() == DataCounts(rows=0, used=0, quarantined=0, by_reason={})


# --- the real pack ----------------------------------------------------------------------------


async def replay(
    path: Path, symbol: str, first: date, last: date, actions: Sequence[CorporateAction] = ()
) -> tuple[SessionFeed, list[MarketUpdate]]:
    source = FileSource.open(path, calendar=CALENDAR, symbols=[symbol], first=first, last=last)
    feed = SessionFeed(source, CALENDAR, first=first, warm_up_sessions=3, actions=actions)
    plan = ticks(source.timeframe, first, last)
    return feed, [await feed.advance(at, session) for session, at in plan]


@pytest.mark.parametrize(
    ("symbol", "first", "last", "bars"),
    [
        ("SPY", date(2011, 1, 3), date(2011, 1, 14), 3900),
        ("SPY", date(2011, 3, 11), date(2011, 3, 14), 780),
        ("GOOG", date(2015, 12, 24), date(2015, 12, 24), 210),
    ],
)
async def test_recorded_sessions_have_a_bar_at_every_tick(
    data_pack: Path, symbol: str, first: date, last: date, bars: int
) -> None:
    feed, updates = await replay(data_pack / "bars" / "minute_equity.parquet", symbol, first, last)
    assert [len(update.bars) for update in updates] == [1] * bars
    counts = feed.counts()
    assert (counts.used, counts.quarantined, counts.by_reason) == (bars, 0, {})
    assert counts.rows > bars, "extended hours are read, too"


@pytest.mark.parametrize("kind", ["minute_equity", "hour_equity", "daily_equity"])
async def test_a_recorded_split_is_explained_by_its_action_and_suspends_without(
    data_pack: Path, kind: str
) -> None:
    path, first, last = data_pack / "bars" / f"{kind}.parquet", date(2014, 6, 5), date(2014, 6, 9)
    factors = data_pack / "corporate_actions" / "factors.csv"
    actions = read_actions(factors, CALENDAR, ["AAPL"])
    feed, updates = await replay(path, "AAPL", first, last, actions)
    assert [(each.ex_date, each.ratio) for update in updates for each in update.actions] == [
        (date(2014, 6, 9), Decimal(7))
    ]
    closes = feed.window("AAPL", 5).close
    assert closes.max() / closes.min() < 1.05
    assert updates[-1].suspended == {}

    feed, updates = await replay(path, "AAPL", first, last)
    assert "like a 7:1 split" in updates[-1].suspended["AAPL"]
    assert not any(bar.close < 100 for update in updates for bar in update.bars)
    assert feed.window("AAPL", 1).day[0] == date(2014, 6, 6).toordinal()
