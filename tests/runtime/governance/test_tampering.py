"""Whoever writes to the audit log's files behind its back is found out."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from roboinvest.core.audit import Anchor, anchor_line
from roboinvest.core.errors import Refused
from roboinvest.runtime.governance.verify import require_whole, verify
from tests.fakes.clocks import START
from tests.fakes.governance import an_entry, bureau
from tests.fakes.tampering import TAMPERS, Row, mended, rewritten

SEED: Final = int(os.environ.get("TAMPER_SEED", "20260105"))
TAMPERINGS: Final = 200
ROWS: Final = 40


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an honest log of some rows, and of a proposal that was used."""
    folder = tmp_path_factory.mktemp("honest")
    with bureau(folder) as office:
        office.use(office.approved())
        for number in range(ROWS - 3):
            office.file.write(lambda tx, number=number: tx.audit(an_entry(number)))  # type: ignore[misc]
    return folder


def copied(honest: Path, to: Path) -> tuple[Path, Path]:
    """Return database and anchors of a copy."""
    shutil.copytree(honest, to)
    return to / "governance.db", to / "audit_anchors.jsonl"


def test_each_of_200_random_tamperings_is_found(honest: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}: {TAMPERINGS} tamperings of {ROWS} rows")
    missed = []
    for number in range(TAMPERINGS):
        chance = random.Random(f"{SEED} {number}")
        path, anchors = copied(honest, tmp_path / f"{number}")
        before = verify(path)
        assert before.is_whole, before.breaks
        assert before.rows == ROWS
        what = TAMPERS[number % len(TAMPERS)](path, anchors, chance)
        found = verify(path)
        if found.is_whole:
            missed.append(f"tampering {number} of seed {SEED}: {what}")
        assert all(each.text for each in found.breaks)
        shutil.rmtree(path.parent)
    assert missed == []


@pytest.mark.parametrize("number", [1, 7, ROWS])
def test_an_edited_row_is_named(honest: Path, tmp_path: Path, number: int) -> None:
    path, _ = copied(honest, tmp_path / "copy")

    def edit(rows: list[Row]) -> list[Row]:
        rows[number - 1][3] = "mallory"
        return rows

    rewritten(path, edit)
    (found,) = verify(path).breaks
    assert found.number == number
    assert found.text == f"row {number} was edited: its content does not give its digest"


def test_removed_rows_are_named(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    rewritten(path, lambda rows: rows[:9] + rows[11:])
    found = verify(path).breaks
    assert (found[0].number, found[0].text) == (
        10,
        "rows 10 to 11 are missing: row 12 follows row 9",
    )


def test_the_place_of_an_inserted_row_is_named(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")

    def insert(rows: list[Row]) -> list[Row]:
        forged = [5, *rows[3][1:]]
        rows[4:] = [[row[0] + 1, *row[1:]] for row in rows[4:]]  # type: ignore[operator]
        return [*rows[:4], forged, *rows[4:]]

    rewritten(path, insert)
    assert verify(path).breaks[0].number == 5


def test_rows_that_change_places_are_named(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")

    def swap(rows: list[Row]) -> list[Row]:
        rows[10][1:], rows[20][1:] = rows[20][1:], rows[10][1:]
        return rows

    rewritten(path, swap)
    numbers = {found.number for found in verify(path).breaks}
    assert {11, 21} <= numbers


def test_a_cut_end_is_told_by_the_anchors(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    rewritten(path, lambda rows: rows[:-2])
    found = verify(path).breaks
    assert found[0].number == ROWS - 1
    assert f"the log ends with row {ROWS - 2}, and row {ROWS} was anchored" in found[0].text


def test_a_chain_that_was_written_anew_is_told_by_the_anchors(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")

    def forge(rows: list[Row]) -> list[Row]:
        rows[29][4] = "it was always so"
        return mended(rows, 30)

    rewritten(path, forge)
    found = verify(path).breaks
    assert found[0].number == 30
    assert "is not the row that was anchored" in found[0].text


def test_lost_anchors_are_a_finding(honest: Path, tmp_path: Path) -> None:
    path, anchors = copied(honest, tmp_path / "copy")
    anchors.unlink()
    (found,) = verify(path).breaks
    assert "the anchors do not begin where the log does" in found.text


def test_an_inbox_that_says_something_else_than_the_log_is_a_finding(
    honest: Path, tmp_path: Path
) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    with closing(sqlite3.connect(path)) as connection:
        guard = "SELECT sql FROM sqlite_schema WHERE name = 'proposals_end'"
        sql = connection.execute(guard).fetchone()[0]
        connection.execute("DROP TRIGGER proposals_end")
        connection.execute("UPDATE proposals SET state = 'approved'")
        connection.execute(sql)
        connection.commit()
    (found,) = verify(path).breaks
    assert found.text == "proposal p0 is approved in the inbox, and used by the log"


def test_what_was_proposed_cannot_be_changed_afterwards(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    with closing(sqlite3.connect(path)) as connection:
        guard = "SELECT sql FROM sqlite_schema WHERE name = 'proposal_versions_hold'"
        sql = connection.execute(guard).fetchone()[0]
        connection.execute("DROP TRIGGER proposal_versions_hold")
        connection.execute("UPDATE proposal_versions SET content = replace(content, '10', '99')")
        connection.execute(sql)
        connection.commit()
    (found,) = verify(path).breaks
    assert found.text.startswith("what was proposed as p0 was changed")


def test_a_database_that_is_none_is_a_finding_and_no_error(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    path.write_bytes(b"x" * 8192)
    assert "damaged" in verify(path).breaks[0].text


def test_hard_case_55_nothing_is_promoted_on_a_log_that_was_falsified(
    honest: Path, tmp_path: Path
) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    require_whole(path)
    rewritten(path, lambda rows: rows[:-1])
    with pytest.raises(Refused, match="nothing is promoted"):
        require_whole(path)


def test_rows_that_take_the_place_of_cut_ones_are_found(honest: Path, tmp_path: Path) -> None:
    path, _ = copied(honest, tmp_path / "copy")
    rewritten(path, lambda rows: rows[:-5])
    with bureau(path.parent) as office:
        for number in range(9):
            office.file.write(lambda tx, number=number: tx.audit(an_entry(number)))  # type: ignore[misc]
    found = verify(path).breaks
    assert found[0].number == ROWS - 4
    assert "is not the row that was anchored" in found[0].text


def test_a_torn_last_anchor_is_no_finding_and_is_mended(honest: Path, tmp_path: Path) -> None:
    path, anchors = copied(honest, tmp_path / "copy")
    whole = anchors.read_bytes()
    line = anchor_line(Anchor(number=ROWS + 1, digest="0" * 64, at=START)).encode()
    for length in (1, len(line) // 2, len(line) - 1):
        anchors.write_bytes(whole + line[:length])
        assert verify(path).is_whole
    with bureau(path.parent) as office:
        office.file.write(lambda tx: tx.audit(an_entry()))
        assert verify(path).is_whole
    assert anchors.read_bytes().startswith(whole)
    assert anchors.read_bytes().count(b"\n") == whole.count(b"\n") + 1
