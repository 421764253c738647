"""The file of the store, what it forgets, and other databases."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage import tables
from roboinvest.runtime.storage.statements import Statements
from roboinvest.runtime.store import Store
from tests.fakes.clocks import ManualClock
from tests.fakes.open_stores import opened
from tests.fakes.records import (
    busy_commit,
    commit,
    memory,
    outcome,
    record,
    tick_at,
    tick_id,
)


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
