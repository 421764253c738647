"""Blocking clients behind a deadline: the loop goes on, and nothing leaves unawaited."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import NotSent, VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane, RateLimiter
from tests.fakes.virtual_time import run_virtual

SOON_S = 0.05
LONG_S = 10.0


class Gate:
    """A call that hangs until it is let go."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began = threading.Event()

    def __call__(self) -> str:
        self.began.set()
        self.opened.wait(LONG_S)
        return "late"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def pool(threads: int = 1, limiter: RateLimiter | None = None) -> VendorCalls:
    return VendorCalls("acme", threads=threads, limiter=limiter, in_flight=InFlight())


async def until(condition: object) -> None:
    """Wait for a fact that another thread brings about."""
    assert callable(condition)
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110 a thread sets it
            await asyncio.sleep(0)


async def test_a_call_returns_its_result_and_raises_its_error() -> None:
    calls = pool()
    assert await calls.run(lambda: 7, lane=Lane.DATA, deadline_s=LONG_S) == 7
    with pytest.raises(ZeroDivisionError):
        await calls.run(lambda: 1 / 0, lane=Lane.DATA, deadline_s=LONG_S)
    calls.close()


async def test_a_timeout_of_the_call_itself_is_its_own_error() -> None:
    def times_out() -> None:
        raise TimeoutError("the socket gave up")

    with pytest.raises(TimeoutError, match="the socket gave up"):
        await pool().run(times_out, lane=Lane.DATA, deadline_s=LONG_S)


async def test_a_call_that_hangs_ends_at_its_deadline_and_says_that_it_had_begun(
    gate: Gate,
) -> None:
    calls = pool(threads=2)
    with pytest.raises(TryLater, match=r"acme: no answer within 0\.05 s") as refusal:
        await calls.run(gate, lane=Lane.DATA, deadline_s=SOON_S)
    assert not isinstance(refusal.value, NotSent)
    assert calls.stuck == 1
    assert await calls.run(lambda: 1, lane=Lane.DATA, deadline_s=LONG_S) == 1  # the other thread


async def test_when_every_thread_is_stuck_a_call_is_refused_at_once(gate: Gate) -> None:
    calls = pool(threads=1)
    with pytest.raises(TryLater):
        await calls.run(gate, lane=Lane.DATA, deadline_s=SOON_S)
    began = asyncio.get_running_loop().time()
    with pytest.raises(NotSent, match="all 1 threads"):
        await calls.run(lambda: 1, lane=Lane.ORDERS, deadline_s=LONG_S)
    assert asyncio.get_running_loop().time() - began < LONG_S / 2


async def test_a_thread_that_comes_back_is_used_again(gate: Gate) -> None:
    calls = pool(threads=1)
    with pytest.raises(TryLater):
        await calls.run(gate, lane=Lane.DATA, deadline_s=SOON_S)
    gate.opened.set()
    await until(lambda: calls.stuck == 0)
    assert await calls.run(lambda: 1, lane=Lane.DATA, deadline_s=LONG_S) == 1


async def test_a_call_whose_caller_gave_up_before_it_began_never_begins(gate: Gate) -> None:
    calls, sent = pool(threads=1), threading.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(calls.run(gate, lane=Lane.DATA, deadline_s=LONG_S))
        await until(gate.began.is_set)
        with pytest.raises(NotSent, match="nothing was sent"):
            await calls.run(sent.set, lane=Lane.ORDERS, deadline_s=SOON_S)
        gate.opened.set()
    assert first.result() == "late"
    assert await calls.run(lambda: 1, lane=Lane.DATA, deadline_s=LONG_S) == 1  # it went past it
    assert not sent.is_set()


async def test_a_cancelled_caller_stays_cancelled_and_its_thread_is_written_off(gate: Gate) -> None:
    calls = pool(threads=1)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(calls.run(gate, lane=Lane.DATA, deadline_s=LONG_S))
        await until(gate.began.is_set)
        call.cancel()
    assert call.cancelled()
    assert calls.stuck == 1


async def test_of_the_calls_that_wait_for_a_thread_an_order_goes_first(gate: Gate) -> None:
    calls, order = pool(threads=1), list[str]()
    async with asyncio.TaskGroup() as group:
        group.create_task(calls.run(gate, lane=Lane.DATA, deadline_s=LONG_S))
        await until(gate.began.is_set)
        for name, lane in (("research", Lane.RESEARCH), ("order", Lane.ORDERS)):
            call = lambda name=name: order.append(name)  # noqa: E731 shorter than a class
            group.create_task(calls.run(call, lane=lane, deadline_s=LONG_S))
        await asyncio.sleep(0)
        gate.opened.set()
    assert order == ["order", "research"]


async def test_the_loop_goes_on_while_calls_hang(gate: Gate) -> None:
    calls, ticks = pool(threads=4), 0
    async with asyncio.TaskGroup() as group:
        hanging = [
            group.create_task(calls.run(gate, lane=Lane.DATA, deadline_s=LONG_S)) for _ in range(8)
        ]
        await until(gate.began.is_set)
        for _ in range(1000):
            await asyncio.sleep(0)
            ticks += 1
        gate.opened.set()
    assert ticks == 1000
    assert [call.result() for call in hanging] == ["late"] * 8


async def test_a_closed_pool_takes_nothing_more() -> None:
    calls = pool()
    assert await calls.run(lambda: 1, lane=Lane.DATA, deadline_s=LONG_S) == 1
    calls.close()
    with pytest.raises(NotSent, match="closed"):
        await calls.run(lambda: 1, lane=Lane.DATA, deadline_s=LONG_S)


def test_the_deadline_includes_the_wait_for_a_turn_and_nothing_is_sent_then() -> None:
    sent, in_flight = threading.Event(), InFlight()

    async def main() -> float:
        calls = VendorCalls("acme", threads=1, limiter=RateLimiter(5), in_flight=in_flight)
        await calls.run(lambda: 1, lane=Lane.DATA, deadline_s=5)
        with pytest.raises(NotSent):
            await calls.run(sent.set, lane=Lane.DATA, deadline_s=5)
        calls.close()
        assert in_flight.count == 0
        return asyncio.get_running_loop().time()

    assert run_virtual(main, in_flight) == pytest.approx(5)
    assert not sent.is_set()


def test_virtual_time_stands_still_while_a_call_is_in_flight() -> None:
    in_flight = InFlight()

    async def main() -> float:
        calls = VendorCalls("acme", threads=1, limiter=None, in_flight=in_flight)
        await calls.run(lambda: threading.Event().wait(0.05), lane=Lane.DATA, deadline_s=0.01)
        return asyncio.get_running_loop().time()

    assert run_virtual(main, in_flight) == 0.0


def test_a_call_that_hangs_does_not_keep_the_process_from_ending() -> None:
    program = """
        import asyncio, threading
        from roboinvest.runtime.in_flight import InFlight
        from roboinvest.runtime.vendors.calls import VendorCalls
        from roboinvest.runtime.vendors.rate_limiter import Lane
        from roboinvest.core.errors import TryLater

        async def main():
            calls = VendorCalls("acme", threads=1, limiter=None, in_flight=InFlight())
            try:
                await calls.run(threading.Event().wait, lane=Lane.DATA, deadline_s=0.05)
            except TryLater:
                print("ended")

        asyncio.run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout == "ended\n"


def test_a_pool_without_threads_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        pool(threads=0)
