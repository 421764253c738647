from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from roboinvest.runtime.in_flight import InFlight
from tests.fakes.services import context
from tests.fakes.virtual_time import Deadlock, run_virtual, stall

REPOSITORY = Path(__file__).resolve().parents[2]
MONTH_S = 30 * 86_400
INTERVALS_S = (60, 300, 3_600, 86_400)


async def month_of_loops() -> dict[int, int]:
    """Run four loops for 30 days and return their ticks."""
    ticks = dict.fromkeys(INTERVALS_S, 0)

    async def loop_every(interval_s: int) -> None:
        async for _ in context(f"every {interval_s}").every(interval_s):
            ticks[interval_s] += 1

    try:
        async with asyncio.timeout(MONTH_S - 0.5), asyncio.TaskGroup() as group:
            for interval_s in INTERVALS_S:
                group.create_task(loop_every(interval_s))
    except TimeoutError:
        pass  # the month is over
    return ticks


def test_thirty_days_of_four_loops_take_seconds_and_miss_no_tick() -> None:
    began = time.monotonic()
    ticks = run_virtual(month_of_loops)
    took_s = time.monotonic() - began
    assert ticks == {60: 43_200, 300: 8_640, 3_600: 720, 86_400: 30}
    print(f"30 virtual days in {took_s:.2f} s")
    assert took_s < 30


TRACE = """
import asyncio, hashlib
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

trace = hashlib.sha256()

async def tick(name, interval_s):
    async for _ in context(name).every(interval_s):
        trace.update(f"{asyncio.get_running_loop().time():.6f} {name}".encode())
        async with asyncio.TaskGroup() as group:
            for part in ("a", "b", "c"):
                group.create_task(asyncio.sleep(len(name) / 10), name=part)

async def main():
    try:
        async with asyncio.timeout(86_400), asyncio.TaskGroup() as group:
            for name, interval_s in (("x", 60), ("yy", 60), ("zzz", 300.5), ("x4", 3600)):
                group.create_task(tick(name, interval_s))
    except TimeoutError:
        pass

run_virtual(main)
print(trace.hexdigest())
"""


def test_the_trace_is_the_same_for_any_hash_seed() -> None:
    digests = set()
    for seed in ("0", "4711"):
        ended = subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        digests.add(ended.stdout.strip())
    assert len(digests) == 1


def test_time_stands_still_while_a_database_write_is_in_flight(tmp_path: Path) -> None:
    in_flight = InFlight()

    async def main() -> tuple[float, int, int]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'house.db'}")
        loop = asyncio.get_running_loop()
        passed = 0

        async def clockwork() -> None:
            nonlocal passed
            while True:
                await asyncio.sleep(0.001)
                passed += 1

        async with asyncio.TaskGroup() as group:
            other = group.create_task(clockwork())
            with in_flight:
                before = loop.time()
                async with engine.begin() as connection:
                    await connection.execute(text("CREATE TABLE t (n INTEGER)"))
                    for number in range(20):
                        await connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
                took_s = loop.time() - before
            await asyncio.sleep(1.0)
            other.cancel()
        with in_flight:
            async with engine.connect() as connection:
                rows = (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one()
            await engine.dispose()
        return took_s, rows, passed

    took_s, rows, passed = run_virtual(main, in_flight)
    assert took_s == 0.0
    assert rows == 20
    assert passed == pytest.approx(1_000, abs=2)


def test_without_the_counter_time_runs_away_during_a_write(tmp_path: Path) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        ticker = loop.call_later(3600, lambda: None)
        await asyncio.to_thread(lambda: (tmp_path / "slow").write_bytes(os.urandom(8_000_000)))
        ticker.cancel()
        return loop.time() - before

    assert run_virtual(main) > 0.0


def test_a_loop_with_nothing_to_wait_for_is_a_deadlock_and_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="0 jobs in flight"):
        run_virtual(main, real_patience_s=0.05)


def test_a_job_that_never_ends_is_a_deadlock_although_timers_wait() -> None:
    in_flight = InFlight()

    async def main() -> None:
        with in_flight:
            await asyncio.sleep(1)

    with pytest.raises(Deadlock, match="1 jobs in flight"):
        run_virtual(main, in_flight, real_patience_s=0.05)


def test_timeouts_fire_at_their_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3_600):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == pytest.approx(3_600)


def test_a_stall_of_ten_minutes_is_one_tick_and_nine_missed() -> None:
    async def main() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, int]] = []
        async for missed in context().every(60):
            seen.append((loop.time(), missed))
            if len(seen) == 2:
                await stall(600)
            if len(seen) == 5:
                break
        return seen

    # the tick at 60 s holds the loop until 660 s; the grid goes on, unshifted
    assert run_virtual(main) == [(0, 0), (60, 0), (660, 9), (720, 0), (780, 0)]


def test_the_counter_comes_back_to_zero_when_a_job_fails() -> None:
    in_flight = InFlight()

    def failing_job() -> None:
        with in_flight, in_flight:
            assert in_flight.count == 2
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        failing_job()
    assert in_flight.count == 0
