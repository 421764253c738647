"""Work in threads: its answer comes back as it is, and what nobody waits for is not begun."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return what a thread hangs on; it opens in the end, whatever happens."""
    found = threading.Event()
    yield found
    found.set()


def failing(error: Exception) -> Callable[[], None]:
    """Return work that fails."""

    def fail() -> None:
        raise error

    return fail


async def test_an_answer_and_an_error_come_back_as_they_are() -> None:
    in_flight = InFlight()
    with ThreadPoolExecutor(1) as pool:
        threads = Threads(pool, in_flight)
        assert await threads.do("a sum", lambda: 3 + 4) == 7
        for error in (OSError(28, "the disk is full"), TimeoutError("the work's own")):
            with pytest.raises(type(error)) as caught:
                await threads.do("a write", failing(error))
            assert caught.value is error
    assert in_flight.count == 0


async def test_what_had_to_wait_too_long_for_a_thread_is_never_begun(
    gate: threading.Event,
) -> None:
    begun, in_flight = list[str](), InFlight()
    pool = ThreadPoolExecutor(1)
    hurried, patient = Threads(pool, in_flight, deadline_s=0.05), Threads(pool, in_flight)
    hangs = asyncio.ensure_future(hurried.do("the disk", gate.wait))
    await asyncio.sleep(0)  # the disk comes first
    with pytest.raises(TryLater, match="a write took more than"):
        await hurried.do("a write", lambda: begun.append("late"))
    with pytest.raises(TryLater):
        await hangs
    gate.set()
    await patient.do("another write", lambda: begun.append("in time"))
    assert begun == ["in time"]
    assert in_flight.count == 0
    pool.shutdown()


async def test_a_caller_that_is_cancelled_leaves_nothing_behind(gate: threading.Event) -> None:
    begun, in_flight = list[str](), InFlight()
    pool = ThreadPoolExecutor(1)
    threads = Threads(pool, in_flight)
    under_way = asyncio.ensure_future(threads.do("the disk", gate.wait))
    waits = asyncio.ensure_future(threads.do("a write", lambda: begun.append("late")))
    await asyncio.sleep(0)
    assert in_flight.count == 2
    for each in (under_way, waits):
        each.cancel()
    await asyncio.wait({under_way, waits})
    assert under_way.cancelled()
    assert waits.cancelled()
    assert in_flight.count == 0
    gate.set()
    assert await threads.do("a sum", lambda: 7) == 7
    assert not begun
    pool.shutdown()


async def test_a_pool_that_lets_go_of_its_work_cancels_who_waits(gate: threading.Event) -> None:
    pool = ThreadPoolExecutor(1)
    threads = Threads(pool, InFlight())
    under_way = asyncio.ensure_future(threads.do("the disk", gate.wait))
    waits = asyncio.ensure_future(threads.do("a write", lambda: 7))
    await asyncio.sleep(0)
    pool.shutdown(wait=False, cancel_futures=True)
    await asyncio.wait({waits})
    assert waits.cancelled()
    gate.set()
    assert await under_way
