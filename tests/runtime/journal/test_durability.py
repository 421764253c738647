"""What was acknowledged is on the disk: after a kill, in a batch, with a loop that is gone."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.journal import JournalState
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.lanes.lane import MAX_BATCH
from tests.fakes.journals import LIMITS, an_execution, an_intent, minute
from tests.fakes.virtual_time import run_virtual
from tests.runtime.journal.conftest import Disk

REPOSITORY = Path(__file__).resolve().parents[3]
EVERY_STATE = frozenset(JournalState)


def states_on(disk: Disk) -> dict[str, str]:
    """Return what another process would find."""
    with closing(disk.look()) as connection:
        return dict(connection.execute("SELECT client_order_id, state FROM intents"))


# I-ORD-3


async def test_i_ord_3_an_intent_is_on_the_disk_before_anybody_is_told(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    for number in range(20):
        name = an_intent(number).client_order_id
        await journal.record(an_intent(number), LIMITS, minute(number))
        assert states_on(disk)[name] == "intent"
        await journal.move(name, JournalState.SENDING, minute(number))
        assert states_on(disk)[name] == "sending"
    assert (disk.pragma("synchronous"), disk.pragma("journal_mode")) == (2, "wal")


async def test_nobody_is_told_of_a_batch_before_it_is_committed(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    found: list[bool] = []

    async def record(number: int) -> None:
        entry = await journal.record(an_intent(number), LIMITS, minute(0))
        found.append(entry.intent.client_order_id in states_on(disk))

    await asyncio.gather(*map(record, range(100)))
    assert found == [True] * 100


# Group commit


async def test_what_waits_together_is_committed_together(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    before = journal.commits
    async with asyncio.TaskGroup() as group:
        with disk.held():
            for number in range(300):
                group.create_task(journal.record(an_intent(number), LIMITS, minute(0)))
            await asyncio.sleep(0)
            assert journal.waiting == 300
            assert states_on(disk) == {}
    assert len(states_on(disk)) == 300
    assert 1 <= journal.commits - before <= 3
    assert journal.waiting == 0


async def test_one_that_is_refused_takes_nobody_along(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    tasks: list[asyncio.Task[object]] = []
    async with asyncio.TaskGroup() as group:

        async def attempt(number: int, name: str) -> object:
            try:
                intent = an_intent(number, client_order_id=name)
                return await journal.record(intent, LIMITS, minute(0))
            except Refused as error:
                return error

        with disk.held():
            for number in (1, 2, 1, 3):
                name = f"ri1-test-{len(tasks)}"
                tasks.append(group.create_task(attempt(number, name)))
    outcomes = [isinstance(task.result(), Refused) for task in tasks]
    assert outcomes == [False, False, True, False]
    assert set(states_on(disk)) == {"ri1-test-0", "ri1-test-1", "ri1-test-3"}
    assert (await journal.verify()).events == 3


async def test_two_processes_may_write_to_one_chain(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    other = await SqliteOrderJournal.open(disk.path, in_flight=InFlight())
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            writer = journal if number % 2 else other
            group.create_task(writer.record(an_intent(number), LIMITS, minute(0)))
    await other.close()
    assert (await journal.verify()).events == 60


# I-REC-1


async def test_i_rec_1_saying_everything_again_leaves_the_file_as_it_is(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    name = an_intent().client_order_id
    executions = [an_execution("x1"), an_execution("x2", "v9"), an_execution("x1", qty=Decimal(5))]

    async def say() -> None:
        await journal.record(an_intent(), LIMITS, minute(0))
        await journal.link("v0", name)
        await journal.book(executions)
        await journal.note("mismatch", minute(1), {"symbol": "SPY"})

    await say()
    chain, content, commits = await journal.verify(), disk.content(), journal.commits
    for _ in range(3):
        await say()
    assert (await journal.verify(), disk.content(), journal.commits) == (chain, content, commits)


# Killed

WRITES_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from roboinvest.core.journal import JournalState
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.journals import LIMITS, an_execution, an_intent, minute

async def place(journal, numbers):
    for number in numbers:
        intent = an_intent(number)
        name = intent.client_order_id
        await journal.record(intent, LIMITS, minute(0))
        print("intent", name, flush=True)
        await journal.move(name, JournalState.SENDING, minute(1))
        print("sending", name, flush=True)
        await journal.move(name, JournalState.ACCEPTED, minute(2), venue_id=f"v{number}")
        print("accepted", name, flush=True)
        await journal.book([an_execution(f"x{number}", f"v{number}")])
        print("booked", name, flush=True)

async def main():
    journal = await SqliteOrderJournal.open(Path(sys.argv[1]), in_flight=InFlight())
    first = int(sys.argv[2])
    async with asyncio.TaskGroup() as group:
        for lane in range(16):
            group.create_task(place(journal, range(first + lane, 10**9, 16)))

asyncio.run(main())
"""


async def test_a_kill_in_the_middle_of_thousands_of_writes_loses_nothing_acknowledged(
    disk: Disk,
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed={seed}")
    chance = random.Random(seed)
    told: dict[str, str] = {}
    for life in range(3):
        told |= told_until_killed(disk.path, life * 10**6, chance.randint(1000, 3000))
    order = ["intent", "sending", "accepted", "booked"]

    journal = await SqliteOrderJournal.open(disk.path, in_flight=InFlight())
    try:
        entries = {e.intent.client_order_id: e for e in await journal.entries(EVERY_STATE)}
        owners = {booked.owner for booked in await journal.booked()}
        chain = await journal.verify()
    finally:
        await journal.close()
    assert chain.events > 3000
    for name, last in told.items():
        assert order.index(entries[name].state) >= min(order.index(last), 2), f"seed={seed} {name}"
        assert last != "booked" or name in owners, f"seed={seed} {name}"


def told_until_killed(path: Path, first: int, count: int) -> dict[str, str]:
    """Return what a process said of each intent before it was killed after `count` answers."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITES_FOR_EVER, str(path), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    told: dict[str, str] = {}
    assert child.stdout is not None
    with child:
        for number, line in enumerate(child.stdout, 1):
            if line.endswith("\n"):
                state, _, name = line.strip().partition(" ")
                told[name] = state
            if number == count:
                child.send_signal(signal.SIGKILL)
    return told


# Whoever waits may go


async def test_a_caller_that_is_cancelled_leaves_a_write_that_happens(
    journal: SqliteOrderJournal, disk: Disk, in_flight: InFlight
) -> None:
    mistakes: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: mistakes.append(context))
    async with asyncio.TaskGroup() as group:
        with disk.held():
            waits = group.create_task(journal.record(an_intent(), LIMITS, minute(0)))
            await asyncio.sleep(0)
            assert journal.waiting == 1
            waits.cancel()
            await asyncio.wait([waits])
            assert (waits.cancelled(), in_flight.count) == (True, 1)  # it goes on without him
            assert states_on(disk) == {}
    await journal.note("later", minute(1), {})  # what was queued before it is done
    assert (len(states_on(disk)), in_flight.count, mistakes) == (1, 0, [])


def test_a_loop_that_is_gone_leaves_a_write_that_happens(disk: Disk, in_flight: InFlight) -> None:
    journal = SqliteOrderJournal.open_now(disk.path, in_flight=in_flight)

    async def leave() -> None:
        waits = asyncio.ensure_future(journal.record(an_intent(), LIMITS, minute(0)))
        await asyncio.sleep(0)
        assert journal.waiting == 1
        assert not waits.done()

    with disk.held():
        asyncio.run(leave())
    journal.note_now("later", minute(1), {}, timeout_s=10)
    assert (len(states_on(disk)), in_flight.count) == (1, 0)
    journal.close_now()


async def test_a_thread_works_while_the_loop_is_wedged(journal: SqliteOrderJournal) -> None:
    name = an_intent().client_order_id

    def flatten() -> JournalState:
        journal.note_now("cancel", minute(0), {"venue_id": "v0"}, timeout_s=10)
        journal.record_now(an_intent(), LIMITS, minute(0), timeout_s=10)
        journal.move_now(name, JournalState.SENDING, minute(0), timeout_s=10)
        (entry,) = journal.entries_now(EVERY_STATE, timeout_s=10)
        assert journal.booked_now(timeout_s=10) == ()
        return entry.state

    waits = asyncio.ensure_future(journal.record(an_intent(1), LIMITS, minute(1)))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(flatten).result(30) is JournalState.SENDING  # the loop stands still
    assert (await waits).state is JournalState.INTENT


async def test_a_deadline_passes_and_asking_again_is_a_read(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    with disk.held():
        with pytest.raises(TryLater, match=r"did not record an intent within 0\.05 s"):
            journal.record_now(an_intent(), LIMITS, minute(0), timeout_s=0.05)
        assert journal.entries_now(EVERY_STATE, timeout_s=10) == ()  # reading goes on
    entry = await journal.record(an_intent(), LIMITS, minute(7))
    assert (entry.created_at, (await journal.verify()).events) == (minute(0), 1)


# Virtual time


def test_virtual_time_stands_still_while_the_disk_works(disk: Disk, in_flight: InFlight) -> None:
    async def a_day() -> float:
        journal = await SqliteOrderJournal.open(disk.path, in_flight=in_flight)
        for number in range(24):
            async with asyncio.TaskGroup() as group:
                for leg in range(3):
                    group.create_task(
                        journal.record(an_intent(100 * leg + number), LIMITS, minute(0))
                    )
                group.create_task(journal.booked())
            await asyncio.sleep(3600)
        assert len(await journal.entries(EVERY_STATE)) == 72
        await journal.verify()
        await journal.close()
        return asyncio.get_running_loop().time()

    assert run_virtual(a_day, in_flight) == pytest.approx(24 * 3600, abs=1e-3)
    assert in_flight.count == 0


# The end


async def test_closing_does_what_is_queued_and_refuses_what_comes_after(
    journal: SqliteOrderJournal, disk: Disk, in_flight: InFlight
) -> None:
    count = MAX_BATCH + 100
    async with asyncio.TaskGroup() as group:
        with disk.held():
            records = [
                group.create_task(journal.record(an_intent(number), LIMITS, minute(0)))
                for number in range(count)
            ]
            await asyncio.sleep(0)
            assert journal.waiting == count
            closes = group.create_task(journal.close())
            await asyncio.sleep(0)
    assert closes.done()
    assert len({task.result().intent.client_order_id for task in records}) == count
    assert len(states_on(disk)) == count
    for late in (journal.record(an_intent(99), LIMITS, minute(0)), journal.booked()):
        with pytest.raises(TryLater, match="closed"):
            await late
    await journal.close()
    assert in_flight.count == 0
    assert sorted(disk.content()) == ["journal.db"]  # the log is folded into the file


def test_closing_leaves_a_disk_that_hangs_behind(disk: Disk) -> None:
    journal = SqliteOrderJournal.open_now(disk.path)
    with disk.held():
        with pytest.raises(TryLater):
            journal.record_now(an_intent(), LIMITS, minute(0), timeout_s=0.01)
        journal.close_now(timeout_s=0.05)
        with pytest.raises(TryLater, match="closed"):
            journal.record_now(an_intent(1), LIMITS, minute(0), timeout_s=10)
    journal.close_now(timeout_s=10)
    assert len(states_on(disk)) == 1


def test_no_thread_outlives_its_journal(disk: Disk) -> None:
    before = threading.active_count()
    journal = SqliteOrderJournal.open_now(disk.path)
    assert threading.active_count() == before + 2
    ours = [thread for thread in threading.enumerate() if "journal" in thread.name]
    journal.close_now()
    for thread in ours:
        thread.join(10)
    assert threading.active_count() == before


async def test_cancelling_an_open_lets_go_of_the_file(disk: Disk, in_flight: InFlight) -> None:
    with closing(sqlite3.connect(disk.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with disk.held():
        opens = asyncio.ensure_future(SqliteOrderJournal.open(disk.path, in_flight=in_flight))
        await asyncio.sleep(0)
        opens.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await opens
    assert in_flight.count == 0
