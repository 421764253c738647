"""The record proves itself: what was written cannot be changed without being found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.journal import JournalState
from roboinvest.core.records import canonical_json
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.journal.values import Chain
from roboinvest.runtime.journal.verify import verify_file
from tests.fakes.journals import LIMITS, an_execution, an_intent, minute
from tests.runtime.journal.conftest import Disk

KEPT = ("events", "limits", "links", "executions", "notes", "intents")


@pytest.fixture
async def written(journal: SqliteOrderJournal) -> SqliteOrderJournal:
    """Return a journal in which everything happened."""
    for number in range(3):
        name = an_intent(number).client_order_id
        await journal.record(an_intent(number), LIMITS, minute(number))
        await journal.move(name, JournalState.SENDING, minute(number))
        await journal.move(name, JournalState.UNKNOWN, minute(number), reason="timeout")
        await journal.move(name, JournalState.ACCEPTED, minute(number), venue_id=f"v{number}")
        await journal.link(f"leg{number}", name)
        await journal.book([an_execution(f"x{number}", f"v{number}")])
        await journal.note("mismatch", minute(number), {"symbol": "SPY"})
    await journal.book([an_execution("x9", "v9", client_order_id=an_intent(2).client_order_id)])
    return journal


async def test_the_chain_is_the_digest_before_and_the_canonical_json_of_each_event(
    written: SqliteOrderJournal, disk: Disk
) -> None:
    digest = bytes(32)
    with closing(disk.look()) as connection:
        rows = list(connection.execute("SELECT seq, fact, digest FROM events ORDER BY seq"))
    for seq, fact, stored in rows:
        assert fact == canonical_json(json.loads(fact))
        digest = hashlib.sha256(digest + fact.encode()).digest()
        assert digest == stored, f"event {seq}"
    assert await written.verify() == Chain(events=3 * 7 + 2, digest=digest.hex())
    assert verify_file(disk.path) == await written.verify()


@pytest.mark.parametrize("table", KEPT)
@pytest.mark.parametrize("change", ["DELETE FROM {0}", "UPDATE {0} SET {1} = {1}"])
async def test_what_was_written_cannot_be_changed(
    written: SqliteOrderJournal, disk: Disk, table: str, change: str
) -> None:
    before = await written.verify()
    with closing(disk.look()) as connection:
        column = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()[
            1
        ][0]
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|not rewritten|stay"):
            connection.execute(change.format(table, column))
    assert await written.verify() == before


@pytest.mark.parametrize("seq", [1, 5, 23, 99])
async def test_events_are_appended_in_their_order_and_never_replaced(
    written: SqliteOrderJournal, disk: Disk, seq: int
) -> None:
    with (
        closing(disk.look()) as connection,
        pytest.raises(sqlite3.IntegrityError, match="one by one"),
    ):
        connection.execute("REPLACE INTO events VALUES (?, '{}', x'00')", (seq,))
    await written.verify()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE events SET fact = replace(fact, 'SPY', 'QQQ') WHERE seq = 8", "at event 8"),
        ("UPDATE events SET digest = zeroblob(32) WHERE seq = 8", "at event 8"),
        ("DELETE FROM events WHERE seq = 8", "at event 8"),
        ("DELETE FROM events WHERE seq = 23", "row 4 of executions"),
        ("UPDATE intents SET state = 'closed' WHERE id = 2", "row 2 of intents"),
        ("UPDATE intents SET sends = 0 WHERE id = 3", "row 3 of intents"),
        ("UPDATE intents SET event = 8 WHERE id = 1", "row 1 of intents"),
        ("DELETE FROM intents WHERE id = 3", "row 3 of intents"),
        ("UPDATE limits SET text = '{}'", "limits"),
        ("UPDATE limits SET digest = zeroblob(32)", "row 1 of intents"),
        ("DELETE FROM links WHERE venue_id = 'leg1'", "of links"),
        ("INSERT INTO links VALUES ('v-person', 'ri1-test-0')", "of links"),
        ("DELETE FROM executions WHERE seq = 4", "row 4 of executions"),
        ("UPDATE executions SET event = 6 WHERE seq = 2", "row 2 of executions"),
        ("DELETE FROM notes WHERE event = 7", "row 1 of notes"),
    ],
)
async def test_a_change_behind_the_triggers_is_found(
    written: SqliteOrderJournal, disk: Disk, change: str, said: str
) -> None:
    with closing(disk.look()) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(change).rowcount >= 1
    with pytest.raises(BadSettings, match=f"{said}.*halt, put a copy in its place"):
        await written.verify()


async def test_a_row_that_cannot_be_read_is_an_error_and_no_answer(
    written: SqliteOrderJournal, disk: Disk
) -> None:
    with closing(disk.look()) as connection:
        connection.execute("DROP TRIGGER events_hold")
        connection.execute("UPDATE events SET fact = '{}' WHERE seq IN (1, 6)")
    with pytest.raises(BadSettings, match="cannot be read"):
        await written.entries(frozenset(JournalState))
    with pytest.raises(BadSettings, match="cannot be read"):
        await written.booked()
    assert await written.entry(an_intent(1).client_order_id) is not None


async def test_a_journal_that_is_not_there_cannot_be_verified(disk: Disk) -> None:
    with pytest.raises((BadSettings, TryLater)):
        verify_file(disk.path)
    assert not disk.path.exists()
