from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from roboinvest.runtime.clock import LiveMarketClock, PacedMarketClock, SystemClock
from tests.fakes.clocks import LoopClock
from tests.fakes.virtual_time import run_virtual, stall

OPEN = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def paced(speed: float | None, start: datetime = OPEN) -> PacedMarketClock:
    return PacedMarketClock(start, speed, longest_gap=MINUTE)


def test_the_system_clock_is_aware_utc_and_its_intervals_never_run_backwards() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_sixty_market_minutes_go_by_in_one_real_minute_at_speed_sixty() -> None:
    async def main() -> None:
        clock = paced(60.0)
        loop = asyncio.get_running_loop()
        for n in range(1, 61):
            await clock.wait_until(OPEN + n * MINUTE)
            assert clock.now() == OPEN + n * MINUTE
            assert loop.time() == pytest.approx(n)

    run_virtual(main)


def test_closed_hours_cost_no_more_than_one_tick() -> None:
    async def main() -> None:
        clock = paced(1.0)
        await clock.wait_until(OPEN + MINUTE)
        await clock.wait_until(OPEN + timedelta(days=3))
        assert asyncio.get_running_loop().time() == pytest.approx(120.0)

    run_virtual(main)


def test_as_fast_as_possible_takes_no_time_but_gives_the_others_their_turn() -> None:
    async def main() -> None:
        clock = paced(None)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with asyncio.TaskGroup() as group:
            task = group.create_task(other())
            for n in range(1, 391):
                await clock.wait_until(OPEN + n * MINUTE)
            task.cancel()
        assert asyncio.get_running_loop().time() == 0.0
        assert turns >= 380

    run_virtual(main)


def test_an_instant_that_was_reached_costs_nothing_and_time_does_not_go_back() -> None:
    async def main() -> None:
        clock = paced(1.0)
        await clock.wait_until(OPEN)
        await clock.wait_until(OPEN - timedelta(days=1))
        assert clock.now() == OPEN
        assert asyncio.get_running_loop().time() == 0.0

    run_virtual(main)


def test_work_shorter_than_the_pace_does_not_slow_the_pace_down() -> None:
    async def main() -> None:
        clock = paced(60.0)
        for n in range(1, 11):
            await clock.wait_until(OPEN + n * MINUTE)
            await asyncio.sleep(0.4)
        assert asyncio.get_running_loop().time() == pytest.approx(10.4)

    run_virtual(main)


def test_a_stall_is_followed_by_one_late_tick_and_then_by_the_pace_not_by_a_burst() -> None:
    async def main() -> None:
        clock = paced(60.0)
        loop = asyncio.get_running_loop()
        reached = []
        for n in range(1, 8):
            await clock.wait_until(OPEN + n * MINUTE)
            reached.append(loop.time())
            if n == 3:
                await stall(30.0)
        assert reached == pytest.approx([1, 2, 3, 33, 34, 35, 36])

    run_virtual(main)


def test_a_resumed_run_goes_on_from_its_last_tick() -> None:
    async def main() -> None:
        clock = paced(60.0, start=OPEN + 100 * MINUTE)
        assert clock.now() == OPEN + 100 * MINUTE
        await clock.wait_until(OPEN + 101 * MINUTE)
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)

    run_virtual(main)


def test_a_wait_that_was_cancelled_moved_nothing() -> None:
    async def main() -> None:
        clock = paced(1.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await clock.wait_until(OPEN + MINUTE)
        assert clock.now() == OPEN
        await clock.wait_until(OPEN + MINUTE)
        assert clock.now() == OPEN + MINUTE

    run_virtual(main)


def test_a_shifted_clock_is_as_far_away_as_it_was_told() -> None:
    shifted, plain = SystemClock(timedelta(hours=-9)), SystemClock()
    assert abs(plain.now() - shifted.now() - timedelta(hours=9)) < timedelta(seconds=5)
    assert shifted.now().utcoffset() == timedelta(0)


def test_a_live_market_waits_for_a_bar_until_it_may_have_been_published() -> None:
    async def main() -> None:
        clock = LoopClock(OPEN)
        market = LiveMarketClock(clock, publish_s=2.0)
        await market.wait_until(OPEN + MINUTE)
        assert clock.monotonic() == pytest.approx(62.0)
        await market.wait_until(OPEN)
        assert clock.monotonic() == pytest.approx(62.0)
        assert market.now() == clock.now()

    run_virtual(main)


def test_a_wall_clock_that_is_set_forward_ends_the_wait_within_a_minute() -> None:
    class Set(LoopClock):
        set_by = timedelta(0)

        def now(self) -> datetime:
            return super().now() + self.set_by

    async def main() -> None:
        clock = Set(OPEN)
        market = LiveMarketClock(clock, publish_s=0.0)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(market.wait_until(OPEN + timedelta(hours=10)))
            await asyncio.sleep(30)
            clock.set_by = timedelta(hours=11)
            await waiting
        assert clock.monotonic() <= 60.0

    run_virtual(main)


def test_a_clock_can_run_faster_from_an_anchor_on() -> None:
    anchor = SystemClock().now() - timedelta(seconds=10)
    fast = SystemClock(timedelta(days=1), rate=60.0, anchor=anchor)
    gone = fast.now() - anchor - timedelta(days=1)
    assert timedelta(minutes=10) <= gone < timedelta(minutes=15)
