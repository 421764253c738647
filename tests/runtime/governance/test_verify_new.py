"""A verification may look at what is new alone; it may be paused, and ended."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from roboinvest.core.audit import ChainCheck
from roboinvest.core.errors import Refused, TryLater
from roboinvest.runtime.governance.anchors import anchors_beside
from roboinvest.runtime.governance.verify import require_whole, verify
from tests.fakes.governance import Bureau, an_entry
from tests.fakes.tampering import Row, mended, rewritten


def told(office: Bureau, first: int, last: int) -> None:
    for number in range(first, last + 1):
        office.file.write(lambda tx, number=number: tx.audit(an_entry(number)))  # type: ignore[misc]


@pytest.fixture
def seen(office: Bureau) -> ChainCheck:
    """Return a whole log of five rows, to which three more come."""
    told(office, 1, 5)
    found = verify(office.path)
    assert found.is_whole
    told(office, 6, 8)
    return found


def test_what_is_new_is_verified_from_where_the_last_look_ended(
    office: Bureau, seen: ChainCheck
) -> None:
    found, whole = verify(office.path, since=seen), verify(office.path)
    assert found.is_whole
    assert (found.rows, found.digest, found.anchors) == (whole.rows, whole.digest, whole.anchors)
    assert verify(office.path, since=found) == found


def test_from_nothing_it_is_all_new(office: Bureau) -> None:
    empty = verify(office.path)
    told(office, 1, 3)
    assert verify(office.path, since=empty).rows == 3


@pytest.mark.parametrize("number", [6, 7, 8])
def test_a_new_row_that_was_edited_is_found(office: Bureau, seen: ChainCheck, number: int) -> None:
    def edit(rows: list[Row]) -> list[Row]:
        rows[number - 1][3] = "nobody"
        return rows

    rewritten(office.path, edit)
    assert [each.number for each in verify(office.path, since=seen).breaks] == [number]


@pytest.mark.parametrize("left", [0, 3, 4, 6])
def test_rows_that_were_removed_at_the_end_are_found(
    office: Bureau, seen: ChainCheck, left: int
) -> None:
    rewritten(office.path, lambda rows: rows[:left])
    found = verify(office.path, since=seen)
    assert [each.number for each in found.breaks] == [5 if left < 5 else left + 1]


def test_a_log_that_was_written_anew_is_found_though_it_is_whole_in_itself(
    office: Bureau, seen: ChainCheck
) -> None:
    def lie(rows: list[Row]) -> list[Row]:
        rows[1][3] = "nobody"
        return mended(rows)

    rewritten(office.path, lie)
    anchors_beside(office.path).unlink()
    assert "row 5 is not the row that stood there" in verify(office.path, since=seen).breaks[0].text


def test_a_guard_that_is_gone_is_found_at_once(office: Bureau, seen: ChainCheck) -> None:
    with closing(sqlite3.connect(office.path)) as connection:
        connection.execute("DROP TRIGGER audit_stays")
    assert "audit_stays" in verify(office.path, since=seen).breaks[0].text


def test_it_pauses_every_few_hundred_rows_and_ends_when_it_is_told_to(office: Bureau) -> None:
    with closing(office.file):
        office.file.write(lambda tx: [tx.audit(an_entry(number)) for number in range(1600)])
    pauses = list[int]()
    assert verify(office.path, pause=lambda: pauses.append(1)).is_whole
    assert len(pauses) == 6

    def enough() -> None:
        raise TryLater("the daemon is stopping")

    with pytest.raises(TryLater, match="stopping"):
        verify(office.path, pause=enough)


def test_anchors_that_cannot_be_read_let_nothing_be_promoted(office: Bureau) -> None:
    told(office, 1, 2)
    anchors = anchors_beside(office.path)
    anchors.unlink()
    anchors.mkdir()
    with pytest.raises(Refused, match="anchors of the audit log cannot be read"):
        require_whole(office.path)
    shutil.rmtree(anchors)


def test_a_file_that_others_hold_is_no_broken_log(office: Bureau, tmp_path: Path) -> None:
    told(office, 1, 2)
    office.file.close()
    with closing(sqlite3.connect(office.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("CREATE TABLE held (x)")
        with pytest.raises(TryLater):
            verify(tmp_path / office.path.name)
        connection.execute("ROLLBACK")
