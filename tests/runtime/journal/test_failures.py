"""I-DUR-2: a full disk, a read-only or damaged file: a defined error, and nothing overwritten."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.journal import JournalState
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.lanes import file
from tests.fakes.journals import LIMITS, an_execution, an_intent, minute
from tests.runtime.journal.conftest import Disk

EVERY_STATE = frozenset(JournalState)


async def recorded(journal: SqliteOrderJournal, count: int) -> None:
    for number in range(count):
        await journal.record(an_intent(number), LIMITS, minute(number))


async def opened(path: Path) -> SqliteOrderJournal:
    return await SqliteOrderJournal.open(path, in_flight=InFlight())


@pytest.fixture
async def full_of_orders(disk: Disk) -> Path:
    """Return the file of a journal that was closed with 200 intents in it."""
    journal = await opened(disk.path)
    await recorded(journal, 200)
    await journal.close()
    return disk.path


# While it is open


async def test_i_dur_2_a_full_disk_is_an_error_and_passes_when_there_is_room(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    room = disk.pragma("max_page_count")
    await recorded(journal, 20)
    disk.pragma(f"max_page_count = {disk.pragma('page_count')}")
    with pytest.raises(TryLater, match=r"disk is full.*nothing was written.*make room"):
        await recorded(journal, 1000)
    before = await journal.verify()
    for _ in range(3):
        with pytest.raises(TryLater):
            await journal.note("big", minute(0), {"text": "x" * 100_000})
    entries = await journal.entries(EVERY_STATE)  # reading goes on
    assert 20 <= len(entries) == before.events < 1000
    assert await journal.record(an_intent(), LIMITS, minute(0)) == entries[0]
    assert await journal.verify() == before

    disk.pragma(f"max_page_count = {room}")
    await recorded(journal, before.events + 1)
    await journal.note("big", minute(0), {"text": "x" * 100_000})
    assert (await journal.verify()).events == before.events + 2


async def test_a_batch_that_does_not_fit_is_refused_as_a_whole(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    disk.pragma(f"max_page_count = {disk.pragma('page_count')}")
    with disk.held():
        waits = [
            asyncio.ensure_future(journal.note("big", minute(0), {"text": f"{n}" * 9000}))
            for n in range(5)
        ]
        await asyncio.sleep(0)
        assert journal.waiting == 5
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    told = sum(outcome is None for outcome in outcomes)
    assert told == (await journal.verify()).events < 5
    assert {type(outcome) for outcome in outcomes if outcome is not None} == {TryLater}


async def test_i_dur_2_a_file_that_becomes_read_only_is_an_error_and_passes(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    await recorded(journal, 1)
    disk.pragma("query_only = ON")
    for call in (
        lambda: journal.record(an_intent(1), LIMITS, minute(0)),
        lambda: journal.move(an_intent().client_order_id, JournalState.SENDING, minute(0)),
        lambda: journal.link("v0", "ri1-test-0"),
        lambda: journal.book([an_execution("x1")]),
        lambda: journal.note("cancel", minute(0), {}),
    ):
        with pytest.raises(TryLater, match=r"readonly.*send nothing"):
            await call()
    disk.pragma("query_only = OFF")
    await recorded(journal, 2)
    assert (await journal.verify()).events == 2


async def test_a_journal_that_was_moved_away_is_not_written_to(
    journal: SqliteOrderJournal, disk: Disk
) -> None:
    await recorded(journal, 1)
    disk.path.rename(disk.path.with_name("elsewhere.db"))
    with pytest.raises(TryLater, match="No such file"):
        await recorded(journal, 2)
    disk.path.touch()
    with pytest.raises(TryLater, match="was replaced while it was open"):
        await recorded(journal, 2)
    disk.path.with_name("elsewhere.db").rename(disk.path)
    await recorded(journal, 2)


class FailingDisk(sqlite3.Connection):
    """A connection whose next statement that begins so raises."""

    fails: tuple[str, Exception] | None = None

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
        if self.fails is not None and sql.startswith(self.fails[0]):
            error, self.fails = self.fails[1], None
            raise error
        return super().execute(sql, *arguments)  # type: ignore[arg-type]


class FailingConnect:
    """Opens connections that can be told to fail."""

    def __init__(self) -> None:
        self.connection: FailingDisk | None = None

    def __call__(self, path: Path) -> sqlite3.Connection:
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FailingDisk
        )
        return self.connection

    def fail_at(self, statement: str, error: Exception) -> None:
        assert self.connection is not None
        self.connection.fails = (statement, error)


@pytest.mark.parametrize("statement", ["BEGIN", "SAVEPOINT", "INSERT", "RELEASE", "COMMIT"])
async def test_a_disk_that_fails_at_any_statement_leaves_no_part_of_a_write(
    disk: Disk, statement: str
) -> None:
    connect = FailingConnect()
    journal = await SqliteOrderJournal.open(disk.path, in_flight=InFlight(), connect=connect)
    connect.fail_at(statement, sqlite3.OperationalError("disk I/O error"))
    with pytest.raises(TryLater, match="disk I/O error"):
        await journal.record(an_intent(), LIMITS, minute(0))
    assert await journal.entries(EVERY_STATE) == ()
    await recorded(journal, 2)
    assert (await journal.verify()).events == 2
    await journal.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_mistake_of_ours_ends_the_journal_and_leaves_nobody_waiting(disk: Disk) -> None:
    connect = FailingConnect()
    journal = await SqliteOrderJournal.open(disk.path, in_flight=InFlight(), connect=connect)
    connect.fail_at("COMMIT", ZeroDivisionError("a mistake"))
    (thread,) = (each for each in threading.enumerate() if each.name == "order-journal")
    with pytest.raises(TryLater, match="its thread died of ZeroDivisionError"):
        await journal.record(an_intent(), LIMITS, minute(0))
    with pytest.raises(TryLater, match="its thread died"):
        await journal.record(an_intent(1), LIMITS, minute(0))
    assert journal.entries_now(EVERY_STATE, timeout_s=10) == ()  # nothing, and it can be read
    await journal.close()
    thread.join(10)


# When it is opened


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scrawl_over_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\xa5" * 4096
    path.write_bytes(content)


def turn_into_text(path: Path) -> None:
    path.write_text("this is a letter\n" * 500)


def empty_beside_its_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").write_bytes(path.read_bytes())
    path.write_bytes(b"")


def give_to_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ticks (tick_id TEXT)")


def date_from_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut_in_half, "is damaged.*nothing was written.*with the broker by hand"),
        (scrawl_over_a_page, "is damaged.*put a copy in its place"),
        (turn_into_text, "is damaged.*not a database"),
        (empty_beside_its_log, "it is empty and journal.db-wal is not"),
        (give_to_another_program, "a database of another program"),
        (date_from_the_future, "a newer program.*version 99, this one knows 1"),
    ],
)
async def test_i_dur_2_a_file_that_cannot_be_trusted_is_refused_and_left_as_it_is(
    full_of_orders: Path, disk: Disk, harm: Callable[[Path], None], said: str
) -> None:
    harm(full_of_orders)
    before = disk.content()
    for _ in range(2):
        with pytest.raises(BadSettings, match=said):
            await opened(full_of_orders)
    assert disk.content() == before


async def test_a_file_that_may_only_be_read_is_refused_when_it_is_opened(
    full_of_orders: Path, disk: Disk
) -> None:
    before = disk.content()

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    with pytest.raises(BadSettings, match="cannot be opened for writing"):
        await SqliteOrderJournal.open(full_of_orders, in_flight=InFlight(), connect=connect)
    assert disk.content() == before


@pytest.mark.parametrize("make", ["folder", "nothing"])
async def test_a_place_that_takes_no_file_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path / "away" / "journal.db"
    if make == "folder":
        path.mkdir(parents=True)
    with pytest.raises(BadSettings, match="cannot be opened for writing"):
        await opened(path)


async def test_a_file_that_somebody_holds_is_tried_later(full_of_orders: Path, disk: Disk) -> None:
    def impatient(path: Path) -> sqlite3.Connection:
        connection = file.connect(path)
        connection.execute("PRAGMA busy_timeout = 1")
        return connection

    with disk.held(), pytest.raises(TryLater, match=r"locked.*wait for the process that holds it"):
        await SqliteOrderJournal.open(full_of_orders, in_flight=InFlight(), connect=impatient)
    journal = await opened(full_of_orders)
    assert len(await journal.entries(EVERY_STATE)) == 200
    await journal.close()


async def test_a_first_start_that_was_killed_starts_again(disk: Disk) -> None:
    disk.path.touch()
    journal = await opened(disk.path)
    await recorded(journal, 1)
    await journal.close()
    assert disk.path.stat().st_mode & 0o777 == 0o600


def test_a_command_opens_it_without_a_loop(disk: Disk) -> None:
    journal = SqliteOrderJournal.open_now(disk.path)
    journal.record_now(an_intent(), LIMITS, minute(0), timeout_s=10)
    journal.close_now()
    turn_into_text(disk.path)
    with pytest.raises(BadSettings, match="is damaged"):
        SqliteOrderJournal.open_now(disk.path)
