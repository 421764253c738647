"""Whatever interrupts the store, a tick is whole or absent."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Coroutine, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage import tables
from roboinvest.runtime.storage.reads import StoreReader
from roboinvest.runtime.storage.statements import tick_changes
from roboinvest.runtime.storage.stored import StoredState, Totals
from roboinvest.runtime.store import Store
from tests.fakes.open_stores import assert_is_prefix, opened
from tests.fakes.records import (
    busy_commit,
    commit,
    tick_id,
)
from tests.fakes.virtual_time import run_virtual

REPOSITORY = Path(__file__).resolve().parents[3]


class CancelledAtAwait:
    """Runs a coroutine and has its task cancelled when it waits for the n-th time, and after."""

    def __init__(self, work: Coroutine[Any, Any, object], n: int, times: int = 1) -> None:
        self._work = work
        self._cut_at = range(n, n + times)
        self.awaits = 0

    def __await__(self) -> Generator[Any, Any, None]:
        inner = self._work.__await__()
        step = partial(next, inner)
        while True:
            try:
                waiting = step()
            except StopIteration:
                return
            if self.awaits in self._cut_at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            self.awaits += 1
            try:
                value = yield waiting
            except BaseException as error:  # noqa: BLE001 handed on to where it belongs
                step = partial(inner.throw, error)
            else:
                step = partial(inner.send, value)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_tick_whose_commit_is_cancelled_is_whole(database: Path, times: int) -> None:
    cut = 0
    for n in range(100):
        store = await opened(database)
        task = asyncio.ensure_future(
            awaited(CancelledAtAwait(store.commit_tick(busy_commit(n)), n, times))
        )
        await asyncio.wait([task])
        state, totals = await store.load(), await store.totals()
        assert totals.ticks == n + 1
        assert_is_prefix(state, totals)
        await store.close()
        if not task.cancelled():
            break
        cut += 1
    assert 1 <= cut < 99


async def test_a_transaction_cut_at_any_await_by_its_deadline_is_whole_or_absent(
    database: Path,
) -> None:
    outcomes = set[bool]()
    for n in range(100):
        store = await opened(database)
        number = (await store.totals()).ticks
        changes = tick_changes(busy_commit(number), store._statements)
        work = CancelledAtAwait(store._transact("commit", changes), n)
        task = asyncio.ensure_future(awaited(work))
        await asyncio.wait([task])
        state, totals = await store.load(), await store.totals()
        assert_is_prefix(state, totals)
        if not task.cancelled():
            assert n >= 5  # begin, statements and commit have each waited
            await store.close()
            break
        outcomes.add(totals.ticks > number)
        await store.commit_tick(busy_commit(totals.ticks))  # the connection is in order
        await store.close()
    assert outcomes == {True, False}


async def test_reads_that_are_cancelled_give_their_connections_back(store: Store) -> None:
    await store.commit_tick(busy_commit(0))
    for n in range(40):
        work = CancelledAtAwait(store.load(), n % 4, times=3)
        await asyncio.wait([asyncio.ensure_future(awaited(work))])
    async with asyncio.timeout(2):
        assert_is_prefix(await store.load(), await store.totals())


async def awaited(work: CancelledAtAwait) -> None:
    await work


ENDLESS_COMMITS = """
import asyncio, sys
from pathlib import Path
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.store import Store
from tests.fakes.records import busy_commit

async def main():
    store = await Store.open(Path(sys.argv[1]), in_flight=InFlight(), clock=SystemClock())
    number = 0
    while True:
        await store.commit_tick(busy_commit(number))
        number += 1
        print(number, flush=True)

asyncio.run(main())
"""


def test_a_killed_process_leaves_every_tick_it_reported_and_no_part_of_another(
    database: Path,
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_COMMITS, str(database)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if int(line) >= 25:
                child.send_signal(signal.SIGKILL)
                break
        reported = max((int(line) for line in child.stdout if line.strip()), default=25)

    async def look() -> tuple[StoredState, Totals]:
        store = await opened(database)
        try:
            return await store.load(), await store.totals()
        finally:
            await store.close()

    state, totals = asyncio.run(look())
    assert_is_prefix(state, totals)
    assert reported <= totals.ticks <= reported + 1


async def test_two_writers_take_turns(database: Path) -> None:
    one, other = await opened(database), await opened(database)

    async def commit_all(store: Store, numbers: range) -> None:
        for number in numbers:
            await store.commit_tick(busy_commit(number))

    try:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(commit_all(one, range(0, 80, 2)))
            group.create_task(commit_all(other, range(1, 80, 2)))
        assert (await one.totals()).ticks == (await other.totals()).ticks == 80
    finally:
        await one.close()
        await other.close()


async def test_a_read_under_way_does_not_hold_up_a_commit(store: Store, database: Path) -> None:
    await store.commit_tick(busy_commit(0))
    reader = sqlite3.connect(database)
    rows = reader.execute("SELECT tick_id FROM ticks UNION ALL SELECT name FROM sqlite_master")
    assert rows.fetchone() == (tick_id(0),)
    async with asyncio.timeout(2):
        await store.commit_tick(busy_commit(1))
    assert tick_id(1) not in {row[0] for row in rows}
    reader.close()
    assert (await store.totals()).ticks == 2


async def test_a_locked_database_is_try_later_and_stores_nothing(
    store: Store, database: Path
) -> None:
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with store._writer.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.execute("PRAGMA busy_timeout = 20")  # not the five seconds of the house
    with pytest.raises(TryLater, match="locked"):
        await store.commit_tick(busy_commit(0))
    other.execute("ROLLBACK")
    other.close()
    await store.commit_tick(busy_commit(0))
    assert (await store.totals()).ticks == 1


async def test_a_full_disk_is_try_later_and_stores_nothing(store: Store) -> None:
    await store.commit_tick(busy_commit(0))
    async with store._writer.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        pages = (await driver.execute_fetchall("PRAGMA page_count"))[0][0]
        await driver.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    large = commit(1, documents={"account": "x" * 100_000})
    with pytest.raises(TryLater, match="full"):
        await store.commit_tick(large)
    totals, state = await store.totals(), await store.load()
    assert_is_prefix(state, totals)
    assert totals.ticks == 1


def test_time_does_not_jump_over_a_commit(database: Path) -> None:
    in_flight = InFlight()

    async def day_of_ticks() -> float:
        store = await opened(database, in_flight)
        loop = asyncio.get_running_loop()
        for number in range(30):
            began = loop.time()
            await store.commit_tick(busy_commit(number))
            await store.load()
            assert loop.time() == began
            await asyncio.sleep(3600)
        await store.close()
        return loop.time()

    assert run_virtual(day_of_ticks, in_flight) == pytest.approx(30 * 3600)
    assert in_flight.count == 0


async def test_a_reader_beside_the_daemon_sees_its_commits_and_cannot_write(
    store: Store, database: Path
) -> None:
    reader = await StoreReader.open_read_only(database, in_flight=InFlight())
    try:
        await store.commit_tick(busy_commit(0))
        assert (await reader.totals()).ticks == 1
        async with reader._readers.connect() as connection:
            with pytest.raises(sa.exc.OperationalError, match="readonly"):
                await connection.execute(sa.delete(tables.ticks))
    finally:
        await reader.close()
    assert (await store.totals()).ticks == 1


async def test_a_reader_without_a_database_is_told_to_try_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="does not exist yet"):
        await StoreReader.open_read_only(tmp_path / "none.db", in_flight=InFlight())
    assert not list(tmp_path.iterdir())
