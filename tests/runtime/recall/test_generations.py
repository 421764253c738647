"""The folders of the index: never used twice, found again after a kill, one damaged one kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.runtime.recall.generations import POINTER, Generations, fingerprint


def _names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_the_folder_that_was_begun_last_is_current_for_the_next_process(tmp_path: Path) -> None:
    folder = Generations(tmp_path / "memory").begin()
    assert Generations(tmp_path / "memory").current() == folder
    assert folder.name == "generation-0001"
    assert _names(tmp_path / "memory") == [POINTER, "generation-0001"]


def test_a_number_is_never_used_again_even_when_its_folder_is_gone(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    first = generations.begin()
    generations.discard(first)
    second = generations.begin()
    generations.quarantine(second)
    assert [first.name, second.name, generations.begin().name] == [
        "generation-0001",
        "generation-0002",
        "generation-0003",
    ]


def test_only_the_last_damaged_folder_is_kept_with_what_was_in_it(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    for text in ("first", "second"):
        folder = generations.begin()
        (folder / "chroma.sqlite3").write_text(text)
        generations.quarantine(folder)
    assert _names(tmp_path) == [POINTER, "damaged-0002"]
    assert (tmp_path / "damaged-0002" / "chroma.sqlite3").read_text() == "second"
    assert generations.current() is None


def test_what_no_server_uses_is_forgotten_and_the_rest_stays(tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    generations.quarantine(generations.begin())
    generations.begin()
    kept = generations.begin()
    (tmp_path / "README").write_text("somebody's")
    generations.forget_all_but(kept)
    assert _names(tmp_path) == [POINTER, "README", "damaged-0001", "generation-0003"]


@pytest.mark.parametrize(
    "text",
    [b"", b"../../etc", b"generation-9999", b"damaged-0001", b"\xff\xfe", b"generation-1/.."],
)
def test_a_pointer_that_makes_no_sense_points_at_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "damaged-0001").mkdir()
    (tmp_path / POINTER).write_bytes(text)
    assert Generations(tmp_path).current() is None


def test_a_folder_put_in_place_of_another_has_another_fingerprint(tmp_path: Path) -> None:
    database = tmp_path / "chroma.sqlite3"
    assert fingerprint(tmp_path) is None
    database.write_text("one")
    before = fingerprint(tmp_path)
    assert before is not None
    database.rename(tmp_path / "old")
    database.write_text("one")
    assert fingerprint(tmp_path) not in (None, before)
