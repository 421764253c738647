"""The rate limiter: a vendor's minute is never overdrawn, and an order never waits for research."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right

import pytest

from roboinvest.runtime.vendors.rate_limiter import Lane, RateLimiter
from tests.fakes.virtual_time import run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


async def flood(limiter: RateLimiter, lane: Lane, granted: list[float]) -> None:
    while True:
        await limiter.wait(lane)
        granted.append(now())


def most_in_a_minute(times: list[float]) -> int:
    times = sorted(times)
    return max(bisect_right(times, at + 60.0) - i for i, at in enumerate(times))


@pytest.mark.parametrize(("per_minute", "burst"), [(5, 1), (5, 5), (180, 1), (180, 20), (1, 1)])
def test_no_rolling_minute_holds_more_calls_than_the_limit(per_minute: int, burst: int) -> None:
    async def main() -> list[float]:
        limiter, granted = RateLimiter(per_minute, burst=burst), list[float]()
        lanes = (Lane.ORDERS, Lane.DATA, Lane.RESEARCH)
        floods = asyncio.gather(*(flood(limiter, lane, granted) for lane in lanes))
        await asyncio.sleep(600)
        floods.cancel()
        return granted

    granted = run_virtual(main)
    assert most_in_a_minute(granted) == per_minute
    assert len(granted) >= 9 * per_minute  # and what is allowed is used


def test_orders_go_within_a_second_while_research_floods() -> None:
    """I-RES-3: order lane latency below 1 s, calls per rolling minute within the limit."""
    seed = 11
    print(f"seed={seed}")
    rng = random.Random(seed)

    async def main() -> tuple[list[float], list[float]]:
        limiter, granted, waits = RateLimiter(180), list[float](), list[float]()
        floods = asyncio.gather(*(flood(limiter, Lane.RESEARCH, granted) for _ in range(50)))
        for _ in range(600):
            await asyncio.sleep(rng.expovariate(1.0))
            asked_at = now()
            await limiter.wait(Lane.ORDERS)
            waits.append(now() - asked_at)
            granted.append(now())
        floods.cancel()
        return granted, waits

    granted, waits = run_virtual(main)
    assert max(waits) < 1.0
    assert most_in_a_minute(granted) <= 180
    assert len(granted) - len(waits) > 500  # research went on


def test_an_order_after_a_long_flood_waits_for_nothing() -> None:
    async def main() -> float:
        limiter = RateLimiter(180)
        floods = asyncio.gather(*(flood(limiter, Lane.RESEARCH, []) for _ in range(50)))
        await asyncio.sleep(300)
        asked_at = now()
        for _ in range(10):
            await limiter.wait(Lane.ORDERS)
        floods.cancel()
        return now() - asked_at

    assert run_virtual(main) == 0.0


def test_the_most_urgent_of_those_that_wait_goes_first_and_the_oldest_of_its_equals() -> None:
    async def main() -> list[str]:
        limiter, order = RateLimiter(5), list[str]()

        async def call(name: str, lane: Lane) -> None:
            await limiter.wait(lane)
            order.append(name)

        await asyncio.gather(
            call("first", Lane.RESEARCH),
            call("research", Lane.RESEARCH),
            call("data 1", Lane.DATA),
            call("data 2", Lane.DATA),
            call("account", Lane.ACCOUNT),
        )
        return order

    assert run_virtual(main) == ["first", "account", "data 1", "data 2", "research"]


def test_a_burst_goes_at_once_and_what_follows_at_the_pace() -> None:
    async def main() -> list[float]:
        limiter, granted = RateLimiter(60, burst=3), list[float]()
        floods = asyncio.gather(flood(limiter, Lane.DATA, granted))
        await asyncio.sleep(5)
        floods.cancel()
        return granted

    granted = run_virtual(main)
    gap = 60.5 / 54
    assert granted[:5] == pytest.approx([0, 0, 0, gap, 2 * gap])


def test_when_the_vendor_asks_for_patience_only_orders_go() -> None:
    """A5: no call before the reset, and the order lane is still served."""

    async def main() -> tuple[float, list[float]]:
        limiter, orders = RateLimiter(180), list[float]()
        limiter.hold(30)
        limiter.hold(5)  # never shortens
        held = asyncio.gather(limiter.wait(Lane.ACCOUNT))
        for _ in range(4):
            await limiter.wait(Lane.ORDERS)
            orders.append(now())
        await held
        return now(), orders

    reset_at, orders = run_virtual(main)
    assert reset_at == pytest.approx(30)
    assert orders == pytest.approx([0, 0.5, 1.0, 1.5])


def test_a_hold_reaches_calls_that_wait_already() -> None:
    async def main() -> float:
        limiter = RateLimiter(5)
        await limiter.wait(Lane.DATA)
        waiting = asyncio.gather(limiter.wait(Lane.DATA))
        await asyncio.sleep(1)
        limiter.hold(100)
        assert limiter.held_for() == pytest.approx(100)
        await waiting
        return now()

    assert run_virtual(main) == pytest.approx(101)


def test_a_cancelled_wait_costs_nothing_and_lets_the_next_one_through() -> None:
    async def main() -> float:
        limiter = RateLimiter(5)
        await limiter.wait(Lane.DATA)
        async with asyncio.TaskGroup() as group:
            doomed = group.create_task(limiter.wait(Lane.DATA))
            group.create_task(limiter.wait(Lane.RESEARCH))
            await asyncio.sleep(1)
            assert limiter.waiting() == 2
            doomed.cancel()
        assert limiter.waiting() == 0
        return now()

    assert run_virtual(main) == pytest.approx(60.5 / 5)


def test_a_turn_that_comes_together_with_the_cancellation_is_given_back() -> None:
    due = 60.5 / 5

    async def main() -> float:
        limiter = RateLimiter(5)
        await limiter.wait(Lane.DATA)
        async with asyncio.TaskGroup() as group:
            doomed = group.create_task(limiter.wait(Lane.DATA))
            group.create_task(limiter.wait(Lane.DATA))
            asyncio.get_running_loop().call_at(due + 5e-7, doomed.cancel)  # in the same round
        assert doomed.cancelled()
        return now()

    assert run_virtual(main) == pytest.approx(due)


@pytest.mark.parametrize(("per_minute", "burst"), [(0, 1), (5, 0)])
def test_a_limiter_that_allows_nothing_is_refused(per_minute: int, burst: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RateLimiter(per_minute, burst=burst)
