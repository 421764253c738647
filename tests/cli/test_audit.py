"""The audit log at the command line: who changed what, and whether that is all of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from roboinvest.cli.audit import app
from tests.fakes.governance import an_entry, bureau
from tests.fakes.tampering import Row, cut_the_end, rewritten
from tests.fakes.typed import Typed, typed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data folder with five rows."""
    folder = tmp_path / "data"
    with bureau(folder) as office:
        for number in range(4):
            office.file.write(lambda tx, number=number: tx.audit(an_entry(number)))  # type: ignore[misc]
        hostile = "it was \x1b[2J\u202e [red]wrong[/red]"
        office.file.write(lambda tx: tx.audit(an_entry(4, why=hostile)))
    return folder


def asked(data: Path, *arguments: object) -> Typed:
    return typed(app, *arguments, "--data-dir", data)


def test_changes_are_listed_with_their_undo(data: Path) -> None:
    listed = asked(data, "ls")
    assert (listed.code, listed.err) == (0, "")
    assert "put thing-3 back" in listed.out
    assert "[red]wrong[/red]" in listed.out
    assert all(line.isprintable() for line in listed.out.splitlines())
    rows = asked(data, "ls", "--json").value()["rows"]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5]
    (one,) = asked(data, "ls", "--about", "thing-2", "--json").value()["rows"]
    assert (one["entry"]["who"], one["entry"]["kind"]) == ("ann", "thing.changed")
    assert len(asked(data, "ls", "--limit", 2, "--json").value()["rows"]) == 2


def test_nothing_is_made_by_asking(tmp_path: Path) -> None:
    assert asked(tmp_path / "none", "ls").out == "Nothing was changed yet.\n"
    refused = asked(tmp_path / "none", "verify")
    assert refused.code == 2
    assert "does not exist" in refused.err
    assert not (tmp_path / "none").exists()


def test_a_whole_log_is_said_to_be_whole(data: Path) -> None:
    done = asked(data, "verify")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("5 rows are what was written, by 6 anchors")
    found = asked(data, "verify", "--json").value()
    assert (found["whole"], found["rows"], found["breaks"]) == (True, 5, [])


def test_hard_case_55_a_broken_chain_ends_with_1_and_names_the_row(data: Path) -> None:
    def edit(rows: list[Row]) -> list[Row]:
        rows[2][4] = "it was right"
        return rows

    rewritten(data / "governance.db", edit)
    broken = asked(data, "verify")
    assert broken.code == 1
    assert broken.out == "row 3 was edited: its content does not give its digest\n"
    answer = asked(data, "verify", "--json")
    assert answer.code == 1
    assert '"number": 3' in answer.out


def test_hard_case_55_a_cut_log_ends_with_1(data: Path) -> None:
    database, anchors = data / "governance.db", data / "audit_anchors.jsonl"
    cut_the_end(database, anchors, random.Random(1))
    broken = asked(data, "verify")
    assert broken.code == 1
    assert "on were removed" in broken.out


def test_a_file_that_is_none_ends_with_1(data: Path) -> None:
    (data / "governance.db").write_bytes(b"nonsense" * 1000)
    broken = asked(data, "verify")
    assert (broken.code, "damaged" in broken.out) == (1, True)
