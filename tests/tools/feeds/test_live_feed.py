"""The live feed: what a tick waits for, what it shows, and what it never makes up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import numpy as np
import pytest

from roboinvest.core.errors import TryLater
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows, day_start_ns
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from tests.fakes.bar_files import quiet_rows
from tests.fakes.clocks import LoopClock
from tests.fakes.replays import CALENDAR, WEEK, altered, feed_of, packed, scaled
from tests.fakes.virtual_time import run_virtual
from tools.feeds.live_feed import FeedPatience, LiveFeed
from tools.feeds.minute_book import MinuteBook, Preparation

MONDAY, TUESDAY, WEDNESDAY = WEEK[0], WEEK[1], WEEK[2]
MINUTE = timedelta(minutes=1)
PATIENCE = FeedPatience(bar_s=4.0, hole_s=180.0, prepared_s=20.0)
T = TypeVar("T")


def day_of(rows: RawRows, session: Session) -> RawRows:
    start = day_start_ns(session.day)
    return rows.between(start, start + 24 * 3600 * 10**9)


def split(day: date, ratio: str) -> CorporateAction:
    return CorporateAction(symbol="AAA", kind=ActionKind.SPLIT, ex_date=day, ratio=Decimal(ratio))


@dataclass
class Live:
    """A feed, its book and the time they live in: it begins at Tuesday's open."""

    book: MinuteBook
    feed: LiveFeed
    clock: LoopClock
    market: Mapping[str, RawRows]

    def prepare(self, session: Session, actions: Sequence[CorporateAction] = ()) -> None:
        begin = day_start_ns(session.day)
        history = {symbol: rows.between(0, begin) for symbol, rows in self.market.items()}
        self.book.prepare(Preparation(day=session.day, history=history, actions=tuple(actions)))

    def connect(self) -> None:
        """Connect the stream; nothing was missed."""
        self.book.stream_is_up(self.clock.now())
        for symbol in self.book.symbols:
            self.book.mend(symbol)

    def bring(self, symbol: str, opens_at: datetime, minutes: int = 1) -> None:
        start = to_ns(opens_at)
        rows = self.market[symbol].between(start, start + minutes * 60 * 10**9)
        self.book.add(symbol, rows)

    async def tick(self, at: datetime, session: Session = TUESDAY) -> MarketUpdate:
        """Wait until the market's clock says `at`, and advance."""
        await asyncio.sleep(max(0.0, (at - self.clock.now()).total_seconds()))
        return await self.feed.advance(at, session)

    def again(self) -> LiveFeed:
        return LiveFeed(self.book, CALENDAR, clock=self.clock, patience=PATIENCE)


def live(
    story: Callable[[Live], Awaitable[T]],
    market: Mapping[str, RawRows] | None = None,
    *,
    begins: datetime = TUESDAY.opens_at,
) -> T:
    async def main() -> T:
        rows = market or {"AAA": quiet_rows(WEEK)}
        clock = LoopClock(begins)
        book = MinuteBook(list(rows), clock)
        feed = LiveFeed(book, CALENDAR, clock=clock, patience=PATIENCE)
        return await story(Live(book, feed, clock, rows))

    return run_virtual(main)


def test_a_tick_waits_for_the_bar_of_its_minute_and_shows_it_once() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        loop = asyncio.get_running_loop()
        first = TUESDAY.opens_at + MINUTE
        loop.call_later(62.5, house.bring, "AAA", TUESDAY.opens_at)
        update = await house.tick(first)
        assert loop.time() == pytest.approx(62.5)
        assert [(bar.ts, bar.closes_at) for bar in update.bars] == [(TUESDAY.opens_at, first)]
        assert house.feed.window("AAA", 1).bar(-1) == update.bars[0]
        assert (await house.feed.advance(first, TUESDAY)).bars == ()

    live(story)


def test_a_quiet_minute_costs_a_few_seconds_and_shows_nothing() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        update = await house.tick(TUESDAY.opens_at + MINUTE)
        assert update.bars == ()
        assert asyncio.get_running_loop().time() == pytest.approx(64.0)

    live(story)


def test_a_tick_of_the_past_does_not_wait() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        house.bring("AAA", TUESDAY.opens_at, 60)
        await asyncio.sleep(3600)
        began = asyncio.get_running_loop().time()
        for n in range(1, 61):
            update = await house.feed.advance(TUESDAY.opens_at + n * MINUTE, TUESDAY)
            assert len(update.bars) == 1
        assert asyncio.get_running_loop().time() == began

    live(story)


def test_a_day_is_shown_as_a_replay_of_it_shows_it() -> None:
    rows = altered(quiet_rows(WEEK), {(400, 3): float("nan"), (430, 1): 1.0, (500, 4): 0.0})
    rows = rows.take(np.arange(len(rows)) != 450)

    async def story(house: Live) -> None:
        replay = feed_of({"AAA": rows}, warm_up_sessions=1)
        house.prepare(TUESDAY)
        house.connect()
        for at in TUESDAY.tick_times(Timeframe.MINUTE):
            house.bring("AAA", at - MINUTE)
            ours, theirs = await house.tick(at), await replay.advance(at, TUESDAY)
            assert (ours.bars, ours.suspended) == (theirs.bars, theirs.suspended)
            assert packed(house.feed.window("AAA", 500)) == packed(replay.window("AAA", 500))
        assert house.feed.counts() == replay.counts()
        assert house.feed.counts().quarantined == 2
        assert house.feed.counts().by_reason["missing_minute"] == 1

    live(story, {"AAA": rows})


def test_while_a_hole_is_open_nothing_newer_is_shown_and_then_all_of_it_in_order() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        house.bring("AAA", TUESDAY.opens_at)
        await house.tick(TUESDAY.opens_at + MINUTE)
        house.book.stream_is_down(house.clock.now())
        await house.tick(TUESDAY.opens_at + 2 * MINUTE)
        house.book.stream_is_up(house.clock.now())
        house.bring("AAA", TUESDAY.opens_at + 2 * MINUTE)  # newer than the hole
        assert (await house.tick(TUESDAY.opens_at + 3 * MINUTE)).bars == ()
        house.bring("AAA", TUESDAY.opens_at + MINUTE)
        house.book.mend("AAA")
        house.bring("AAA", TUESDAY.opens_at + 3 * MINUTE)
        update = await house.tick(TUESDAY.opens_at + 4 * MINUTE)
        assert [bar.ts for bar in update.bars] == [TUESDAY.opens_at + n * MINUTE for n in (1, 2, 3)]
        assert house.feed.counts().quarantined == 0

    live(story)


def test_a_hole_that_is_not_mended_is_traded_around_after_a_while() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.book.stream_is_up(house.clock.now())
        for n in range(3):
            house.bring("AAA", TUESDAY.opens_at + n * MINUTE)
            update = await house.tick(TUESDAY.opens_at + (n + 1) * MINUTE)
        assert len(update.bars) == 3  # 180 s after the hole was noted
        house.bring("AAA", TUESDAY.opens_at + 3 * MINUTE)
        assert len((await house.tick(TUESDAY.opens_at + 4 * MINUTE)).bars) == 1

    live(story)


def test_a_bar_that_comes_after_a_later_one_was_judged_is_late_and_set_aside() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        house.bring("AAA", TUESDAY.opens_at + MINUTE)
        assert len((await house.tick(TUESDAY.opens_at + 2 * MINUTE)).bars) == 1
        house.bring("AAA", TUESDAY.opens_at)
        assert (await house.tick(TUESDAY.opens_at + 3 * MINUTE)).bars == ()
        assert house.feed.counts().by_reason == {"late": 1}

    live(story)


def test_of_one_minute_the_first_bar_counts() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        house.bring("AAA", TUESDAY.opens_at)
        rows = day_of(house.market["AAA"], TUESDAY).take(slice(0, 1))
        assert house.book.add("AAA", scaled(rows, 2.0, TUESDAY.day)) == 0
        update = await house.tick(TUESDAY.opens_at + MINUTE)
        assert update.bars[0].close == rows.values[3, 0]

    live(story)


def test_a_session_that_is_not_prepared_is_awaited_for_a_moment_and_then_is_later() -> None:
    async def story(house: Live) -> None:
        house.connect()
        with pytest.raises(TryLater, match="not prepared"):
            await house.tick(TUESDAY.opens_at + MINUTE)
        assert asyncio.get_running_loop().time() == pytest.approx(80.0)
        house.prepare(TUESDAY)
        house.bring("AAA", TUESDAY.opens_at)
        assert len((await house.tick(TUESDAY.opens_at + MINUTE)).bars) == 1

    live(story)


def test_a_split_of_today_is_reported_once_and_puts_yesterday_on_todays_scale() -> None:
    rows = scaled(quiet_rows(WEEK), 1 / 7, TUESDAY.day)
    assert TUESDAY.day > MONDAY.day

    async def story(house: Live) -> None:
        house.prepare(TUESDAY, [split(TUESDAY.day, "7")])
        house.connect()
        house.bring("AAA", TUESDAY.opens_at, 2)
        first = await house.tick(TUESDAY.opens_at + MINUTE)
        second = await house.tick(TUESDAY.opens_at + 2 * MINUTE)
        assert [action.ratio for action in first.actions] == [Decimal(7)]
        assert second.actions == ()
        assert first.suspended == {}
        window = house.feed.window("AAA", 500)
        assert window.close.max() / window.close.min() < 1.1

    live(story, {"AAA": rows})


def test_a_jump_that_nothing_explains_suspends_the_symbol() -> None:
    rows = scaled(quiet_rows(WEEK), 1 / 7, TUESDAY.day)

    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        house.bring("AAA", TUESDAY.opens_at)
        update = await house.tick(TUESDAY.opens_at + MINUTE)
        assert update.bars == ()
        assert "like a 7:1 split" in update.suspended["AAA"]

    live(story, {"AAA": rows})


def test_a_resumed_feed_shows_only_what_the_unbroken_one_would_have_shown() -> None:
    async def story(house: Live) -> None:
        actions = [split(TUESDAY.day, "7")]
        house.prepare(TUESDAY, actions)
        house.connect()
        house.bring("AAA", TUESDAY.opens_at, 30)
        await asyncio.sleep(1800)
        for n in range(1, 21):
            await house.feed.advance(TUESDAY.opens_at + n * MINUTE, TUESDAY)
        resumed = house.again()
        await resumed.seek(TUESDAY.opens_at + 20 * MINUTE)
        for n in range(21, 31):
            at = TUESDAY.opens_at + n * MINUTE
            ours, theirs = await resumed.advance(at, TUESDAY), await house.feed.advance(at, TUESDAY)
            assert ours == theirs
            assert packed(resumed.window("AAA", 500)) == packed(house.feed.window("AAA", 500))

    live(story, {"AAA": scaled(quiet_rows(WEEK), 1 / 7, TUESDAY.day)})


def test_a_feed_that_slept_over_a_split_reports_it_when_it_wakes() -> None:
    async def story(house: Live) -> None:
        await house.feed.seek(MONDAY.closes_at)
        house.prepare(WEDNESDAY, [split(TUESDAY.day, "7")])
        house.connect()
        update = await house.tick(WEDNESDAY.opens_at + MINUTE, WEDNESDAY)
        assert [action.ex_date for action in update.actions] == [TUESDAY.day]

    live(story)


def test_days_follow_each_other_and_the_book_forgets() -> None:
    async def story(house: Live) -> None:
        for session in (TUESDAY, WEDNESDAY):
            house.prepare(session)
            if session is TUESDAY:
                house.connect()
            house.bring("AAA", session.opens_at, 390)
            update = await house.tick(session.closes_at, session)
            assert len(update.bars) == 390
            assert len(house.feed.window("AAA", 5000)) > 390
        assert len(house.book.rows("AAA", TUESDAY.day)) == 0
        assert house.feed.counts().used == 780

    live(story)


def test_symbols_nobody_asked_for_do_not_enter_the_book() -> None:
    async def story(house: Live) -> None:
        assert house.book.add("ZZZ", quiet_rows([TUESDAY])) == 0

    live(story)


def test_vix_is_the_close_of_the_day_before() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        feed = LiveFeed(
            house.book,
            CALENDAR,
            clock=house.clock,
            vix={MONDAY.day: 13.0, TUESDAY.day: 14.0},
        )
        assert feed.vix() is None
        await asyncio.sleep(60)
        await feed.advance(TUESDAY.opens_at + MINUTE, TUESDAY)
        assert feed.vix() == 13.0

    live(story)


def test_a_bar_that_lies_ahead_of_the_tick_makes_no_earlier_one_late() -> None:
    async def story(house: Live) -> None:
        house.prepare(TUESDAY)
        house.connect()
        await asyncio.sleep(600)
        house.bring("AAA", TUESDAY.opens_at + 3 * MINUTE)
        assert (await house.feed.advance(TUESDAY.opens_at + MINUTE, TUESDAY)).bars == ()
        house.bring("AAA", TUESDAY.opens_at)
        update = await house.feed.advance(TUESDAY.opens_at + 2 * MINUTE, TUESDAY)
        assert [bar.ts for bar in update.bars] == [TUESDAY.opens_at]

    live(story)
