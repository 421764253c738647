"""A batch is one transaction; one of it that is refused leaves no trace, in the file or in mind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from roboinvest.core.errors import Refused
from roboinvest.runtime.lanes.file import FileKind, connect, open_reader, open_writer
from roboinvest.runtime.lanes.requests import Asked, ThreadRequest, tell_all
from roboinvest.runtime.lanes.servers import Reader, Writer

WHOSE = "the list"
KIND = FileKind(
    name="list",
    application_id=7,
    steps=(("CREATE TABLE lines (number INTEGER PRIMARY KEY) STRICT",),),
    probe="UPDATE lines SET number = number WHERE 0",
    when_damaged="write it again",
)


class Lines:
    """A transaction that keeps the last number in mind."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        found = connection.execute("SELECT COALESCE(max(number), 0) FROM lines").fetchone()
        self._last = int(found[0])

    def add(self, *, then_refuse: bool = False) -> int:
        """Append the next number, and perhaps change one's mind."""
        self._last += 1
        self._connection.execute("INSERT INTO lines (number) VALUES (?)", (self._last,))
        if then_refuse:
            raise Refused("not this one")
        return self._last


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Writer[Lines]]:
    with closing(Writer(open_writer(path, KIND, connect), path, WHOSE, Lines)) as opened:
        yield opened


def asked(*, then_refuse: bool = False) -> ThreadRequest[int]:
    return ThreadRequest(Asked(WHOSE, "add a line", partial(Lines.add, then_refuse=then_refuse)))


def served(writer: Writer[Lines], *batch: ThreadRequest[int]) -> list[object]:
    writer.serve(batch)
    tell_all(batch)
    return [each.error or each.result for each in batch]


def test_one_that_is_refused_after_it_wrote_leaves_no_trace(
    writer: Writer[Lines], path: Path
) -> None:
    one, refused, two = served(writer, asked(), asked(then_refuse=True), asked())
    assert (one, two) == (1, 2)
    assert isinstance(refused, Refused)
    assert writer.commits == 1
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT number FROM lines").fetchall() == [(1,), (2,)]


def test_a_question_that_fails_is_told_in_the_words_of_its_file(
    writer: Writer[Lines], path: Path
) -> None:
    wrong: ThreadRequest[object] = ThreadRequest(
        Asked(WHOSE, "look", lambda connection: connection.execute("SELECT colour"))
    )
    with closing(Reader(open_reader(path, KIND), path, WHOSE)) as reader:
        reader.serve([wrong])
    tell_all([wrong])
    assert str(wrong.error).startswith("the list could not look: no such column: colour")
