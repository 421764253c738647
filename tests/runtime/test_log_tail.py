"""Every complete line of a rotated log, exactly once, and nothing else."""

from __future__ import annotations

import json
import logging
import random
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.log_tail import LONGEST_LINE, Bookmark, LogTail, TailPart


class Writer:
    """Writes numbered lines and rotates them as the log of the house does."""

    def __init__(self, folder: Path, backups: int = 1_000) -> None:
        self.path = folder / "roboinvest.jsonl"
        self.count = 0
        self._handler = RotatingFileHandler(
            self.path, backupCount=backups, encoding="utf-8", delay=True
        )

    def line(self, level: str = "info", **fields: object) -> str:
        self.count += 1
        head = {"ts": f"2026-11-21T10:00:00.{self.count:06}+00:00", "level": level}
        return json.dumps({**head, "n": self.count, **fields}) + "\n"

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def rotate(self) -> None:
        if self.path.exists():
            self._handler.doRollover()
            self._handler.close()


class Reader:
    """Reads to the end, and keeps its bookmark as text."""

    def __init__(self, path: Path, levels: tuple[str, ...] | None = None) -> None:
        self.tail = LogTail(path, levels)
        self.mark: str | None = None
        self.seen: list[int] = []
        self.corrupt = self.too_long = self.truncated = 0

    def read(self, **limits: int) -> list[int]:
        new: list[int] = []
        while True:
            part = self.one(**limits)
            new += [record["n"] for record in part.records]
            if part.is_done:
                self.seen += new
                return new

    def one(self, **limits: int) -> TailPart:
        mark = None if self.mark is None else Bookmark.from_json(self.mark)
        part = self.tail.read(mark, **limits)
        self.mark = part.bookmark.to_json()
        self.corrupt += part.counts.corrupt
        self.too_long += part.counts.too_long
        self.truncated += part.counts.truncated
        return part


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def test_new_lines_are_given_once(writer: Writer) -> None:
    reader = Reader(writer.path)
    assert reader.read() == []  # there is no file yet
    writer.write(writer.line() + writer.line())
    assert reader.read() == [1, 2]
    assert reader.read() == []
    writer.write(writer.line())
    assert reader.read() == [3]


def test_a_rotated_file_is_finished_before_the_new_one_begins(writer: Writer) -> None:
    reader = Reader(writer.path)
    writer.write(writer.line())
    reader.read()
    writer.write(writer.line())
    writer.rotate()
    writer.write(writer.line())
    writer.rotate()
    writer.rotate()  # nothing was written in between
    writer.write(writer.line())
    assert reader.read() == [2, 3, 4]
    assert reader.truncated == 0


def test_a_half_line_waits_until_it_is_whole(writer: Writer) -> None:
    reader = Reader(writer.path)
    line = writer.line()
    writer.write(line[:20])
    assert reader.read() == []
    writer.write(line[20:])
    assert reader.read() == [1]
    assert reader.corrupt == 0


def test_a_half_line_that_the_writer_left_behind_is_counted_and_given_up(writer: Writer) -> None:
    reader = Reader(writer.path)
    writer.write(writer.line() + '{"ts": "cut o')
    reader.read()
    writer.rotate()
    assert reader.read() == []
    assert reader.corrupt == 0  # the writer may still have the file open
    writer.write(writer.line())
    assert reader.read() == [2]
    assert reader.corrupt == 1


def test_a_file_that_was_emptied_is_read_from_its_beginning(writer: Writer) -> None:
    reader = Reader(writer.path)
    writer.write(writer.line() + writer.line())
    reader.read()
    writer.path.write_text("")
    assert reader.read() == []
    writer.write(writer.line() + writer.line() + writer.line())  # longer than before
    assert reader.read() == [3, 4, 5]


def test_a_file_that_was_replaced_by_another_is_read_and_old_ones_are_not_read_again(
    writer: Writer,
) -> None:
    reader = Reader(writer.path)
    writer.write(writer.line())
    writer.rotate()
    writer.write(writer.line())
    reader.read()
    writer.path.unlink()
    writer.write(writer.line())
    assert reader.read() == [3]
    assert reader.seen == [1, 2, 3]
    assert reader.truncated == 1


def test_a_missing_file_is_nothing_new_and_its_place_is_kept(writer: Writer) -> None:
    reader = Reader(writer.path)
    writer.write(writer.line())
    reader.read()
    moved = writer.path.rename(writer.path.with_name("aside"))
    assert reader.read() == []
    moved.rename(writer.path)
    writer.write(writer.line())
    assert reader.read() == [2]


def test_more_rotations_than_are_kept_lose_only_what_is_gone(tmp_path: Path) -> None:
    writer = Writer(tmp_path, backups=2)
    reader = Reader(writer.path)
    writer.write(writer.line())
    reader.read()
    for _ in range(5):
        writer.rotate()
        writer.write(writer.line())
    assert reader.read() == [4, 5, 6]
    assert reader.truncated == 1


@pytest.mark.parametrize(
    "line",
    ["no json", "[1]", '"text"', "{", '{"a": }', "\x00\x00", "[" * 50_000, '{"n": ' + "9" * 9_000],
)
def test_a_corrupt_line_is_counted_and_skipped(writer: Writer, line: str) -> None:
    for levels in (None, ("info",)):
        reader = Reader(writer.path, levels)
        writer.path.unlink(missing_ok=True)
        before = writer.count
        writer.write(f"{writer.line()}{line}\n\n{writer.line()}")
        assert reader.read() == [before + 1, before + 2]
        # with a filter, only the shape of a line without a wanted level is looked at
        assert reader.corrupt == (0 if levels and line == '{"a": }' else 1)


def test_bytes_that_are_no_text_cost_their_line(writer: Writer) -> None:
    reader = Reader(writer.path)
    writer.path.write_bytes(b'{"n": "\xff\xfe"}\n' + writer.line().encode())
    assert reader.read() == [1]
    assert reader.corrupt == 1


@pytest.mark.parametrize("extra", [-1, 0, 1, 100_000, 3 * LONGEST_LINE])
def test_a_line_that_is_too_long_is_skipped_in_bounded_memory(writer: Writer, extra: int) -> None:
    reader = Reader(writer.path)
    long = '{"n": 0, "x": "'
    long += "x" * (LONGEST_LINE + extra - len(long) - 2) + '"}'
    assert len(long) == LONGEST_LINE + extra
    writer.write(writer.line() + long)
    reader.read()  # its end has not come yet
    writer.write("\n" + writer.line())
    reader.read()
    assert reader.seen == ([1, 2] if extra > 0 else [1, 0, 2])
    assert reader.too_long == (1 if extra > 0 else 0)


def test_only_wanted_levels_are_given_and_words_in_a_message_do_not_count(writer: Writer) -> None:
    reader = Reader(writer.path, ("error", "critical"))
    writer.write(writer.line("info", event='"level": "error"'))
    writer.write(writer.line("error"))
    writer.write(writer.line("info", nested={"level": "error"}))
    writer.write(writer.line("warning") + writer.line("critical"))
    writer.write('{"level":"error","n":77}\n{"n": 78, "level" : "error"}\n{"n": 79}\n')
    assert reader.read() == [2, 5, 77, 78]


def test_a_call_is_bounded_and_says_that_there_is_more(writer: Writer) -> None:
    text = "x" * 1_000
    writer.write("".join(writer.line(text=text) for _ in range(6_000)))
    reader = Reader(writer.path)
    part = reader.one(max_records=10)
    assert not part.is_done
    assert len(part.records) < 1_100  # one piece of the file
    rest = [record["n"] for record in part.records] + reader.read(max_records=10)
    assert rest == list(range(1, 6_001))


def test_a_bookmark_after_many_pieces_is_exact(writer: Writer) -> None:
    writer.write("".join(writer.line(text="x" * 1_000) for _ in range(6_000)))
    reader = Reader(writer.path)
    reader.read()
    assert reader.mark is not None
    assert Bookmark.from_json(reader.mark).offset == writer.path.stat().st_size
    writer.write(writer.line())
    assert reader.read() == [6_001]
    assert reader.corrupt == 0


def test_who_begins_at_the_end_reads_only_what_comes(writer: Writer) -> None:
    writer.write(writer.line())
    writer.rotate()
    writer.write(writer.line())
    reader = Reader(writer.path)
    reader.mark = reader.tail.end().to_json()
    assert reader.read() == []
    writer.rotate()
    writer.write(writer.line())
    assert reader.read() == [3]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"file": 3}', "null"])
def test_a_bookmark_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="begin without one"):
        Bookmark.from_json(text)


def test_a_file_that_may_not_be_read_is_said(writer: Writer) -> None:
    writer.path.mkdir()
    with pytest.raises(TryLater, match="try later"):
        LogTail(writer.path).read()


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 40)),
        st.tuples(st.just("half"), st.integers(1, 60)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 30)),
        st.tuples(st.just("drop"), st.integers(1, 2)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=Steps, seed=st.integers(0, 2**16))
def test_every_complete_line_is_given_exactly_once_whatever_rotates(
    steps: list[tuple[str, int]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    writer = Writer(tmp_path_factory.mktemp("log"))
    reader, chance = Reader(writer.path), random.Random(seed)
    whole: list[int] = []
    pending = ""  # the rest of a half line
    for step, size in [*steps, ("read", 5)]:
        if step == "write":
            if pending:
                writer.write(pending)
                whole.append(writer.count)
                pending = ""
            for _ in range(size):
                writer.write(writer.line(chance.choice(["info", "error"]), pad="x" * size))
                whole.append(writer.count)
        elif step == "half" and not pending:
            line = writer.line()
            writer.write(line[:size])
            pending = line[size:]
        elif step == "rotate" and not pending:
            writer.rotate()
        elif step == "drop" and not pending:
            reader.read()  # what was read may go; its inodes are used again
            for _ in range(size):
                _drop_oldest(writer.path)
        elif step == "read":
            reader.read(max_records=size)
    assert reader.seen == whole
    assert reader.corrupt == 0


def _drop_oldest(path: Path) -> None:
    numbers = sorted(int(one.suffix[1:]) for one in path.parent.glob(f"{path.name}.*"))
    if numbers:
        path.with_name(f"{path.name}.{numbers[-1]}").unlink()


def test_the_house_writes_what_is_read_fast(tmp_path: Path) -> None:
    """The first words of a line are what the quick look rests on; logging must not change them."""
    from roboinvest.runtime.log_tail import _OUR_HEAD
    from roboinvest.runtime.telemetry import LOG_NAME, Telemetry
    from tests.fakes.clocks import ManualClock

    telemetry = Telemetry(tmp_path, clock=ManualClock())
    telemetry.start()
    try:
        logging.getLogger("somebody").error("it broke")
    finally:
        telemetry.close()
    line = (tmp_path / LOG_NAME).read_bytes().rstrip(b"\n")
    found = _OUR_HEAD.match(line)
    assert found is not None
    assert found[1] == b"error"
    assert len(LogTail(tmp_path / LOG_NAME, ["error"]).read().records) == 1
