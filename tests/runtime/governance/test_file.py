"""A change and its audit row are one transaction, whoever writes at the same time."""

from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from roboinvest.core.audit import GENESIS, row_digest
from roboinvest.core.errors import BadInput, BadSettings, Refused, TryLater
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.governance.anchors import anchors_beside, read_anchors
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile, Transaction
from roboinvest.runtime.governance.verify import verify
from tests.fakes.clocks import START, ManualClock
from tests.fakes.governance import Bureau, an_entry, bureau

PROCESSES, EACH = 3, 15


def test_rows_continue_the_chain_and_are_anchored(office: Bureau) -> None:
    first = office.file.write(lambda tx: tx.audit(an_entry(0)))
    second, third = office.file.write(lambda tx: (tx.audit(an_entry(1)), tx.audit(an_entry(2))))
    assert (first.previous, second.previous) == (GENESIS, first.digest)
    assert third.digest == row_digest(second.digest, 3, an_entry(2))
    assert office.file.rows() == (first, second, third)
    assert office.file.rows(limit=1) == (third,)
    assert office.file.rows(subject="thing-1") == (second,)
    assert office.file.head() == (3, third.digest)
    found, faults = read_anchors(office.file.anchors)
    assert [(each.number, each.digest) for each in found] == [
        (0, GENESIS),
        (1, first.digest),
        (3, third.digest),
    ]
    assert (list(faults), office.file.unanchored) == ([], None)


def test_an_error_undoes_the_change_and_its_row(office: Bureau) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.audit(an_entry())
        transaction.connection.execute("INSERT INTO changes VALUES ('x', 'y')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office.file.write(fail)
    assert (office.file.head(), office.changes()) == ((0, GENESIS), [])
    office.file.write(lambda tx: tx.audit(an_entry()))
    assert verify(office.path).is_whole


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'x'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE number = 1",
        "REPLACE INTO audit SELECT * FROM audit WHERE number = 2",
        "INSERT INTO audit SELECT number + 9, kind, subject, who, why, before, after, undo, at, "
        "previous, digest FROM audit WHERE number = 1",
        "INSERT INTO audit SELECT 3, kind, subject, who, why, before, after, undo, at, "
        "previous, digest FROM audit WHERE number = 1",
        "UPDATE OR REPLACE audit SET number = 2 WHERE number = 1",
    ],
)
def test_the_log_takes_nothing_but_its_next_row(office: Bureau, statement: str) -> None:
    for number in range(2):
        office.file.write(lambda tx, number=number: tx.audit(an_entry(number)))  # type: ignore[misc]
    with pytest.raises(Refused, match="append"):
        office.file.write(lambda tx: tx.connection.execute(statement))
    assert verify(office.path).is_whole
    assert office.file.head()[0] == 2


def test_a_read_cannot_write_and_does_not_wait_for_a_writer(office: Bureau) -> None:
    with pytest.raises(TryLater, match="readonly"):
        office.file.read(lambda connection: connection.execute("DELETE FROM changes"))
    with closing(sqlite3.connect(office.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert office.file.head() == (0, GENESIS)
        other.execute("ROLLBACK")


def test_a_write_within_a_write_is_a_mistake_that_is_told(office: Bureau) -> None:
    with pytest.raises(RuntimeError, match="hand on the first"):
        office.file.write(lambda _: office.file.write(lambda tx: tx.audit(an_entry())))
    with pytest.raises(RuntimeError, match="does not end the transaction"):
        office.file.write(lambda tx: tx.connection.execute("COMMIT"))
    office.file.write(lambda tx: tx.audit(an_entry()))


def test_threads_share_one_chain(office: Bureau) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: office.file.write(lambda tx: tx.audit(an_entry(n))), range(80)))
    found = verify(office.path)
    assert (found.rows, found.breaks) == (80, ())


def opened_and_written(folder: str, number: int) -> None:
    """Open, write one row, close, again and again: in a process of its own."""
    for each in range(EACH):
        with GovernanceFile.open(Path(folder) / FILE_NAME, SystemClock()) as file:
            file.write(lambda tx, each=each: tx.audit(an_entry(100 * number + each)))  # type: ignore[misc]


def test_processes_that_open_and_write_at_once_share_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=opened_and_written, args=(str(tmp_path), number))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = verify(tmp_path / FILE_NAME)
    assert (found.rows, found.breaks) == (PROCESSES * EACH, ())
    assert found.anchors > PROCESSES * EACH  # a tail may be anchored twice


def test_schemas_only_create(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / FILE_NAME
    trigger = (
        "CREATE TABLE IF NOT EXISTS a (x TEXT DEFAULT ';');\n"
        "CREATE TRIGGER IF NOT EXISTS b BEFORE DELETE ON a BEGIN SELECT 1; SELECT 2; END;"
    )
    for _ in range(2):
        with GovernanceFile.open(path, clock, schemas=[trigger]) as file:
            file.write(lambda tx: tx.connection.execute("INSERT INTO a DEFAULT VALUES"))
    both = " ".join([trigger, "DELETE FROM a;"])
    for hostile in ("DROP TRIGGER audit_holds", "CREATE TABLE x (y)", both):
        with pytest.raises(BadInput, match="only creates"):
            GovernanceFile.open(path, clock, schemas=[hostile])
    assert verify(path).is_whole


def test_a_tail_without_an_anchor_is_anchored_by_whoever_opens_next(tmp_path: Path) -> None:
    with bureau(tmp_path) as office:
        office.file.write(lambda tx: tx.audit(an_entry(0)))
        anchors = office.file.anchors
        before = anchors.read_bytes()
        office.file.write(lambda tx: tx.audit(an_entry(1)))
    anchors.write_bytes(before)  # as a kill between commit and anchor leaves it
    with bureau(tmp_path):
        assert [each.number for each in read_anchors(anchors)[0]] == [0, 1, 2]


def test_anchors_that_are_lost_are_not_begun_anew_in_silence(tmp_path: Path) -> None:
    with bureau(tmp_path) as office:
        office.file.write(lambda tx: tx.audit(an_entry(0)))
        office.file.anchors.unlink()
    with bureau(tmp_path) as office:
        office.file.write(lambda tx: tx.audit(an_entry(1)))
        assert not verify(office.path).is_whole


def test_a_write_stands_when_its_anchor_cannot_be_written_and_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    path = tmp_path / FILE_NAME
    with GovernanceFile.open(path, ManualClock(), anchors=blocked / "x.jsonl") as file:
        file.write(lambda tx: tx.audit(an_entry()))
        assert "cannot be" in (file.unanchored or "")
        assert file.head()[0] == 1


def test_anchors_lie_where_they_are_told_to(tmp_path: Path) -> None:
    path, anchors = tmp_path / FILE_NAME, tmp_path / "elsewhere" / "a.jsonl"
    with GovernanceFile.open(path, ManualClock(START), anchors=anchors) as file:
        file.write(lambda tx: tx.audit(an_entry()))
    assert not anchors_beside(path).exists()
    assert verify(path, anchors).is_whole
    assert (anchors.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o600, 0o600)


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(BadSettings, match="another program"):
        GovernanceFile.open(path, ManualClock())
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="give --data-dir"):
        GovernanceFile.open(tmp_path / "file" / FILE_NAME, ManualClock())


def test_what_is_read_is_one_moment(office: Bureau) -> None:
    def twice(connection: sqlite3.Connection) -> tuple[int, int]:
        count = "SELECT count(*) FROM audit"
        before = connection.execute(count).fetchone()[0]
        office.file.write(lambda tx: tx.audit(an_entry()))
        return before, connection.execute(count).fetchone()[0]

    assert office.file.read(twice) == (0, 0)
    assert office.file.head()[0] == 1
