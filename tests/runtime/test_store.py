"""The store: all of a tick or nothing of it, exactly as it was given, whatever interrupts it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.core.ledger import Lot
from roboinvest.core.orders import HOUSE_AGENT, Order, OrderState
from roboinvest.core.quant.memories import CalibrationCell, Memory
from roboinvest.core.records import TickCommit
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage import tables
from roboinvest.runtime.storage.reads import StoreReader
from roboinvest.runtime.storage.statements import Statements, tick_changes
from roboinvest.runtime.storage.stored import SessionEquity, StoredState, Totals
from roboinvest.runtime.store import Store
from tests.fakes.clocks import ManualClock
from tests.fakes.records import (
    busy_commit,
    commit,
    fill,
    lot,
    memory,
    order,
    outcome,
    record,
    tick_at,
    tick_id,
    trade,
)
from tests.fakes.virtual_time import run_virtual

REPOSITORY = Path(__file__).resolve().parents[2]
BOOK = (HOUSE_AGENT, "SPY")


async def opened(path: Path, in_flight: InFlight | None = None) -> Store:
    return await Store.open(path, in_flight=in_flight or InFlight(), clock=ManualClock())


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("template") / "store.db"

    async def create() -> None:
        await (await opened(path)).close()

    asyncio.run(create())
    return path.read_bytes()


@pytest.fixture
def database(tmp_path: Path, empty_database: bytes) -> Path:
    path = tmp_path / "store.db"
    path.write_bytes(empty_database)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    store = await opened(database)
    yield store
    await store.close()


# What goes in comes out


async def test_a_tick_comes_back_as_it_was_committed(store: Store) -> None:
    given_commit = busy_commit(7)
    await store.commit_tick(given_commit)

    assert await store.tick(tick_id(7)) == given_commit.record
    assert await store.orders(10) == tuple(reversed(given_commit.orders))
    assert await store.orders(10, open_only=True) == given_commit.orders[:1]
    assert await store.fills_of("t7-out") == given_commit.fills[1:]
    assert await store.all_trades() == given_commit.trades
    assert await store.memories([given_commit.memories[0].memory_id]) == given_commit.memories
    assert await store.document("account") == '{"tick":7}'
    assert await store.load() == StoredState(
        last_tick=replace(given_commit.record, body=None),
        lots=given_commit.books[BOOK],
        open_orders=given_commit.orders[:1],
        open_memories=given_commit.memories,
        resolved_memories=(),
        calibration=given_commit.calibration,
        documents=given_commit.documents,
        last_exits={"SPY": given_commit.trades[0].closed_at},
    )


async def test_an_untouched_store_has_nothing_to_tell(store: Store) -> None:
    assert await store.load() == StoredState(
        last_tick=None,
        lots=(),
        open_orders=(),
        open_memories=(),
        resolved_memories=(),
        calibration=(),
        documents={},
        last_exits={},
    )
    assert await store.tick("20110103T143100Z") is None
    assert await store.document("account") is None
    assert (await store.totals()).ticks == 0


async def test_totals_and_the_equity_curve_follow_the_ticks(store: Store) -> None:
    next_day = 24 * 60
    equities = {0: "100", 1: "101.5", 2: "99.25", next_day: "103"}
    for number, equity in equities.items():
        busy = busy_commit(number)
        await store.commit_tick(replace(busy, record=replace(busy.record, equity=Decimal(equity))))

    assert await store.totals() == Totals(
        sessions=2,
        ticks=4,
        buys=4,
        sells=4,
        holds=0,
        orders=8,
        fills=8,
        rejected=4,
        trades=4,
        memories=4,
    )
    first, second = tick_at(0).date(), tick_at(next_day).date()
    assert await store.session_equity() == (
        SessionEquity(session_day=first, open_equity=Decimal(100), close_equity=Decimal("99.25")),
        SessionEquity(session_day=second, open_equity=Decimal(103), close_equity=Decimal(103)),
    )
    assert [tick.tick_id for tick in await store.recent_ticks(2)] == [tick_id(next_day), tick_id(2)]
    assert [done.trade_id for done in await store.recent_trades(2)] == ["t1440", "t2"]


decimals = st.decimals(allow_nan=False, allow_infinity=False)
instants = st.datetimes(
    min_value=datetime(1900, 1, 2),  # noqa: DTZ001 hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-840, 840).map(lambda m: timezone(timedelta(minutes=m))),
)
floats = st.floats(allow_nan=False, allow_infinity=False)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    money=st.lists(decimals, min_size=3, max_size=3),
    at=instants,
    vector=st.lists(floats, max_size=9),
    figure=floats,
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
)
def test_money_instants_vectors_and_text_survive_exactly(
    database: Path,
    money: list[Decimal],
    at: datetime,
    vector: list[float],
    figure: float,
    text: str,
) -> None:
    held = lot("x", qty=money[0], price=money[1], risk_per_share=money[2], opened_at=at)
    seen = memory(0, vector=tuple(vector), conviction=figure, text=text, expires_at=at)

    async def round_trip() -> StoredState:
        store = await opened(database)
        try:
            number = (await store.totals()).ticks
            books = {BOOK: (held,)}
            await store.commit_tick(
                commit(number, record=record(number, body=text), books=books, memories=(seen,))
            )
            again = await store.tick(tick_id(number))
            assert again is not None
            assert again.body == text
            return await store.load()
        finally:
            await store.close()

    state = asyncio.run(round_trip())
    assert state.lots == (held,)
    assert state.lots[0].opened_at.tzinfo is UTC
    assert state.open_memories == (seen,)
    assert [str(x) for x in state.open_memories[0].vector] == [str(x) for x in vector]  # -0.0 too


NUMBER = float("nan")
BAD_COMMITS = {
    "money that is not a number": commit(1, books={BOOK: (lot("x", qty=Decimal("NaN")),)}),
    "money without end": commit(1, books={BOOK: (lot("x", price=Decimal("Infinity")),)}),
    "money as a float": commit(1, books={BOOK: (lot("x", price=125.5),)}),
    "a figure that is not a number": commit(1, trades=(trade("x", r_multiple=NUMBER),)),
    "a vector with a hole": commit(1, memories=(memory(1, vector=(1.0, NUMBER)),)),
    "an instant without a zone": commit(
        1,
        memories=(memory(1, seen_at=datetime(2011, 1, 3, 14)),),  # noqa: DTZ001 that is the fault
    ),
    "a fill without its order": commit(1, fills=(fill("x", "nobody"),)),
    "a fill that is booked already": replace(
        commit(1), orders=(order("new"),), fills=(fill("t0-f1", "new"),)
    ),
    "a trade that is booked already": commit(1, trades=(trade("t0"),)),
    "a tick that is stored already": busy_commit(0, {"account": "changed"}),
}


@pytest.mark.parametrize("fault", BAD_COMMITS)
async def test_one_bad_row_keeps_the_whole_tick_out(store: Store, fault: str) -> None:
    await store.commit_tick(busy_commit(0))
    before = await store.load(), await store.totals()
    bad = replace(BAD_COMMITS[fault], documents={"account": "changed"})
    bad = replace(bad, calibration=(CalibrationCell(agent_id="a", bucket=1, wins=1, losses=0),))

    with pytest.raises(BadInput, match="nothing was stored"):
        await store.commit_tick(bad)

    assert (await store.load(), await store.totals()) == before
    await store.commit_tick(busy_commit(1))
    assert (await store.totals()).ticks == 2


# Whatever interrupts it


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


def assert_is_prefix(state: StoredState, totals: Totals) -> None:
    """Check that exactly the busy ticks 0 .. n-1 are there, with all that belongs to them."""
    n = totals.ticks
    assert totals.orders == totals.fills == 2 * n
    assert totals.trades == totals.memories == n
    assert len(state.open_memories) == len(state.open_orders) == n
    if n:
        last = busy_commit(n - 1)
        assert state.last_tick == replace(last.record, body=None)
        assert state.lots == last.books[BOOK]
        assert state.documents == last.documents
        assert state.calibration == last.calibration


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


# Side by side


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


# The file


async def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(mode=0o644)
    store = await opened(path)
    await store.commit_tick(busy_commit(0))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    await store.close()
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


@pytest.mark.parametrize("damage", ["pages", "header", "text"])
async def test_a_damaged_database_is_named_and_left_as_it_is(database: Path, damage: str) -> None:
    store = await opened(database)
    for number in range(40):
        await store.commit_tick(busy_commit(number))
    await store.close()
    content = bytearray(database.read_bytes())
    noise = random.Random(5).randbytes(3 * 4096)
    if damage == "pages":
        content[4096 * 2 : 4096 * 5] = noise
    elif damage == "header":
        content[:100] = noise[:100]
    else:
        content = bytearray(b"not a database, but a letter to one\n" * 300)
    database.write_bytes(content)
    before = hashlib.sha256(content).hexdigest()

    with pytest.raises(BadSettings, match="is damaged"):
        await opened(database)

    assert hashlib.sha256(database.read_bytes()).hexdigest() == before


async def test_closing_folds_the_log_and_ends_the_store(store: Store, database: Path) -> None:
    beside = sqlite3.connect(database)  # SQLite itself folds the log only for the last to leave
    assert beside.execute("SELECT count(*) FROM ticks").fetchone() == (0,)
    await store.commit_tick(busy_commit(0))
    log = database.with_name("store.db-wal")
    assert log.stat().st_size > 0
    await store.close()
    await store.close()
    assert log.stat().st_size == 0
    beside.close()
    assert not database.with_name("store.db-wal").exists()
    with pytest.raises(TryLater, match="is closed"):
        await store.commit_tick(busy_commit(1))
    with pytest.raises(TryLater, match="is closed"):
        await store.totals()


async def test_the_age_of_the_last_commit_is_known(database: Path) -> None:
    clock = ManualClock()
    store = await Store.open(database, in_flight=InFlight(), clock=clock)
    clock.advance(30)
    assert store.last_commit_age() == 30
    await store.commit_tick(busy_commit(0))
    clock.advance(2)
    assert (store.last_commit_age(), store.last_commit_monotonic) == (2, 30)
    with pytest.raises(BadInput):
        await store.commit_tick(busy_commit(0))
    assert store.last_commit_monotonic == 30
    await store.close()


# The recall queue and retention


async def test_a_memory_that_changes_while_it_is_sent_stays_on_the_queue(store: Store) -> None:
    first, second = memory(0), memory(1)
    await store.commit_tick(commit(0, memories=(first, second)))
    sending = await store.memories_to_send(10)
    assert [queued.memory for queued in sending] == [first, second]
    changed = replace(second, outcome=outcome(9))
    await store.commit_tick(commit(1, memories=(changed,)))

    await store.mark_sent([q.memory.memory_id for q in sending], [q.version for q in sending])

    (waiting,) = await store.memories_to_send(10)
    assert waiting.memory == changed
    await store.mark_sent([changed.memory_id], [waiting.version])
    assert await store.memories_to_send(10) == ()
    assert await store.memory_count() == 2
    await store.mark_all_unsent()
    assert [queued.memory for queued in await store.memories_to_send(1)] == [first]


async def test_retention_shrinks_old_ticks_on_which_nothing_happened(store: Store) -> None:
    eventful = ("buys", "sells", "orders", "fills", "rejected")
    for number, name in enumerate(eventful):
        await store.commit_tick(commit(number, record=record(number, **{name: 1})))
    for number in range(5, 12):
        await store.commit_tick(commit(number))

    assert await store.shrink_hold_ticks(tick_at(10)) == 5

    kept = [number for number in range(12) if (await body_of(store, number)) is not None]
    assert kept == [0, 1, 2, 3, 4, 10, 11]
    shrunk = await store.tick(tick_id(7))
    assert shrunk == replace(record(7), body=None)
    assert await store.shrink_hold_ticks(tick_at(10)) == 0


async def body_of(store: Store, number: int) -> str | None:
    tick = await store.tick(tick_id(number))
    assert tick is not None
    return tick.body


async def test_retention_works_through_more_than_one_batch(store: Store) -> None:
    for number in range(450):
        await store.commit_tick(commit(number))
    assert await store.shrink_hold_ticks(tick_at(10_000)) == 450


# Any history


@st.composite
def histories(draw: st.DrawFn) -> list[TickCommit]:
    commits = []
    for number in range(draw(st.integers(1, 6))):
        names = st.sets(st.sampled_from("abcdef"), max_size=3)
        agents = st.sampled_from(["house", "twin"])
        states = st.sampled_from(list(OrderState))
        orders = tuple(order(name, number, state=draw(states)) for name in sorted(draw(names)))
        books = {
            (draw(agents), symbol): tuple(
                lot(f"{symbol}{number}{place}", number, symbol=symbol)
                for place in range(draw(st.integers(0, 3)))
            )
            for symbol in draw(st.sets(st.sampled_from(["SPY", "QQQ"])))
        }
        books = {
            key: tuple(replace(held, agent_id=key[0]) for held in lots)
            for key, lots in books.items()
        }
        memories = tuple(
            replace(memory(slot), outcome=draw(st.none() | st.just(outcome(number))))
            for slot in sorted(draw(st.sets(st.integers(0, 4), max_size=3)))
        )
        cells = tuple(
            CalibrationCell(agent_id=agent, bucket=number % 2, wins=number, losses=0)
            for agent in sorted(draw(st.sets(agents)))
        )
        documents = draw(st.dictionaries(st.sampled_from(["account", "paper"]), st.text("xyz")))
        commits.append(
            commit(
                number,
                orders=orders,
                books=books,
                memories=memories,
                calibration=cells,
                documents=documents,
            )
        )
    return commits


def folded(commits: list[TickCommit]) -> StoredState:
    """Return what a house that never stopped would hold in memory."""
    orders: dict[str, Order] = {}
    books: dict[tuple[str, str], tuple[Lot, ...]] = {}
    memories: dict[str, Memory] = {}
    cells: dict[tuple[str, int], CalibrationCell] = {}
    documents: dict[str, str] = {}
    for each in commits:
        orders.update((one.client_order_id, one) for one in each.orders)
        books.update(each.books)
        memories.update((one.memory_id, one) for one in each.memories)
        cells.update(((one.agent_id, one.bucket), one) for one in each.calibration)
        documents.update(each.documents)
    known = [memories[key] for key in sorted(memories)]
    return StoredState(
        last_tick=replace(commits[-1].record, body=None),
        lots=tuple(held for key in sorted(books) for held in books[key]),
        open_orders=tuple(one for one in orders.values() if one.is_open),
        open_memories=tuple(one for one in known if one.outcome is None),
        resolved_memories=tuple(one for one in known if one.outcome is not None),
        calibration=tuple(cells[key] for key in sorted(cells)),
        documents=documents,
        last_exits={},
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commits=histories())
def test_after_any_history_a_restart_finds_what_was_in_memory(
    tmp_path_factory: pytest.TempPathFactory, empty_database: bytes, commits: list[TickCommit]
) -> None:
    path = tmp_path_factory.mktemp("history") / "store.db"
    path.write_bytes(empty_database)

    async def live_and_restart() -> StoredState:
        store = await opened(path)
        for each in commits:
            await store.commit_tick(each)
        await store.close()
        again = await opened(path)
        try:
            return await again.load()
        finally:
            await again.close()

    assert asyncio.run(live_and_restart()) == folded(commits)


# Another database


def test_every_table_and_statement_is_also_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in tables.metadata.sorted_tables:
        assert "CREATE TABLE" in str(sa.schema.CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(sa.schema.CreateIndex(index).compile(dialect=dialect))
    statements = vars(Statements("postgresql"))
    written = [
        str(one.compile(dialect=dialect)) for name, one in statements.items() if name[0] != "_"
    ]
    assert len(written) >= 13
    assert sum("ON CONFLICT" in text for text in written) == 5


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(BadSettings, match="mysql"):
        Statements("mysql")


@pytest.mark.parametrize("url", ["nosuch://here/db", "postgresql+nosuch://here/db", "a:b://c"])
async def test_a_url_that_no_driver_takes_is_a_bad_setting(url: str) -> None:
    with pytest.raises(BadSettings, match="mend it"):
        await Store.open(url, in_flight=InFlight(), clock=ManualClock())


async def test_an_sqlite_url_is_a_path(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'by url.db'}"
    store = await Store.open(url, in_flight=InFlight(), clock=SystemClock())
    await store.put_document("account", "{}")
    assert await store.document("account") == "{}"
    await store.close()
    assert (tmp_path / "by url.db").exists()
