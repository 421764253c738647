from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.halt import Halt, HaltFile, HaltLevel

NOW = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "HALT"


def test_no_file_is_no_halt(path: Path) -> None:
    assert HaltFile(path).read() is None


def test_an_empty_file_is_enough(path: Path) -> None:
    path.touch()
    halt = HaltFile(path).read()
    assert halt == Halt(level=HaltLevel.NEW, reason="the file HALT exists", by="unknown", at=None)


def test_what_was_set_is_read_back_by_another_process(path: Path) -> None:
    HaltFile(path).set(HaltLevel.CANCEL, reason="news", by="ann", at=NOW)
    assert HaltFile(path).read() == Halt(level=HaltLevel.CANCEL, reason="news", by="ann", at=NOW)
    assert json.loads(path.read_bytes())["level"] == "cancel"


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b"\xff\xfe", b'{"level": "full stop"}'])
def test_content_that_cannot_be_read_is_a_halt_all_the_same(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    halt = HaltFile(path).read()
    assert halt is not None
    assert halt.level is HaltLevel.NEW


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)))
def test_any_content_is_a_halt(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("halt") / "HALT"
    path.write_bytes(content)
    assert HaltFile(path).read() is not None


def test_deep_json_and_a_folder_in_its_place_are_halts(path: Path) -> None:
    path.write_bytes(b"[" * 60_000)
    assert HaltFile(path).read() is not None
    path.unlink()
    path.mkdir()
    assert HaltFile(path).read() is not None
    with pytest.raises(BadSettings, match="remove it by hand"):
        HaltFile(path).clear()


def test_each_change_is_seen_by_the_next_read(path: Path) -> None:
    reader, writer = HaltFile(path), HaltFile(path)
    levels = []
    for act in (
        lambda: writer.set(HaltLevel.NEW, reason="a", by="x", at=NOW),
        lambda: writer.set(HaltLevel.CANCEL, reason="b", by="x", at=NOW),
        lambda: writer.set(HaltLevel.FLATTEN, reason="c", by="x", at=NOW),
        writer.clear,
        path.touch,
    ):
        act()
        halt = reader.read()
        levels.append(None if halt is None else halt.level)
    assert levels == [HaltLevel.NEW, HaltLevel.CANCEL, HaltLevel.FLATTEN, None, HaltLevel.NEW]


def test_the_file_is_opened_only_when_it_changed(path: Path) -> None:
    switch = HaltFile(path)
    first = switch.set(HaltLevel.NEW, reason="a", by="x", at=NOW)
    assert switch.read() is first
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))  # same length, same inode
    changed = switch.read()
    assert changed is not None
    assert changed.reason == "b"


def test_setting_it_again_never_lowers_the_level(path: Path) -> None:
    switch = HaltFile(path)
    switch.set(HaltLevel.FLATTEN, reason="storm", by="ann", at=NOW)
    halt = switch.set(HaltLevel.NEW, reason="budget", by="overseer", at=NOW)
    assert halt.level is HaltLevel.FLATTEN
    assert halt.reason == "budget"


def test_clearing_what_is_not_there_is_fine(path: Path) -> None:
    HaltFile(path).clear()
    assert HaltFile(path).read() is None


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    lost = HaltFile(tmp_path / "none" / "HALT")
    with pytest.raises(BadSettings, match="roboinvest stop, or kill it"):
        lost.set(HaltLevel.NEW, reason="a", by="x", at=NOW)


def test_a_time_without_a_zone_is_not_believed(path: Path) -> None:
    path.write_text('{"level": "NEW", "at": "2026-01-05T14:30:00"}', encoding="utf-8")
    halt = HaltFile(path).read()
    assert halt is not None
    assert halt.at is None


@pytest.mark.parametrize(
    "text",
    [
        '{"level": "flatten", "at": "0001-01-01T00:00:00+14:00"}',
        '{"level": "flatten", "at": "9999-12-31T23:59:59-14:00"}',
        '{"level": "flatten", "reason": "\\ud800", "by": "\\udfff"}',
    ],
)
def test_a_halt_with_a_time_or_a_text_that_nobody_can_write_is_a_halt(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "HALT").write_text(text)
    halt = HaltFile(tmp_path / "HALT").read()
    assert halt is not None
    assert halt.level is HaltLevel.FLATTEN
    (halt.reason + halt.by).encode()
