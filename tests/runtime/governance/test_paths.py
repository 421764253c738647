"""A path that may be written to lies where it says, on the disk as well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roboinvest.core.errors import Refused
from roboinvest.runtime.governance.paths import check_path

CODE = "data/agents/a1/r1/code.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with a protected file and a folder of an agent."""
    place = tmp_path / "repository"
    (place / "roboinvest/core").mkdir(parents=True)
    (place / "roboinvest/core/risk.py").write_text("limits")
    (place / "data/agents/a1/r1").mkdir(parents=True)
    return place


def test_a_plain_path_is_returned_absolute(root: Path) -> None:
    assert check_path(CODE, root) == root / CODE
    (root / CODE).write_text("x = 1")
    assert check_path(Path(CODE), root) == root / CODE
    assert check_path("data/agents/new/r1/code.py", root) == root / "data/agents/new/r1/code.py"


def test_a_root_that_is_a_link_is_followed_once(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert check_path(CODE, tmp_path / "link") == root / CODE


@pytest.mark.parametrize("part", ["data", "data/agents", "data/agents/a1/r1", CODE])
@pytest.mark.parametrize("to", ["roboinvest/core", "roboinvest/core/risk.py", "nowhere", "/etc"])
def test_hard_case_8_no_link_anywhere_on_the_way(root: Path, part: str, to: str) -> None:
    place = root / part
    if place.exists():
        place.rename(root / "aside")
    place.symlink_to(to if to.startswith("/") else root / to)
    with pytest.raises(Refused, match="leads over the link"):
        check_path(CODE, root)


def test_a_second_name_of_a_protected_file_is_refused(root: Path) -> None:
    os.link(root / "roboinvest/core/risk.py", root / CODE)
    with pytest.raises(Refused, match="2 names of one file"):
        check_path(CODE, root)


@pytest.mark.parametrize("mark", ["file", "folder"])
def test_another_repository_within_is_refused(root: Path, mark: str) -> None:
    place = root / "data/agents/a1/.git"
    place.mkdir() if mark == "folder" else place.write_text("gitdir: ../../../.git")
    with pytest.raises(Refused, match="another repository"):
        check_path(CODE, root)


def test_a_name_that_stands_there_in_other_letters_is_refused(root: Path) -> None:
    (root / "data/agents/A1").mkdir()
    with pytest.raises(Refused, match="case alone"):
        check_path(CODE, root)


def test_a_folder_a_pipe_and_a_file_as_a_folder_are_refused(root: Path) -> None:
    with pytest.raises(Refused, match="is a folder"):
        check_path("data/agents/a1/r1", root)
    os.mkfifo(root / CODE)
    with pytest.raises(Refused, match="no plain file"):
        check_path(CODE, root)
    (root / "data/agents/a1/file").write_text("")
    with pytest.raises(Refused, match="no folder"):
        check_path("data/agents/a1/file/code.py", root)


@pytest.mark.parametrize("path", ["roboinvest/core/risk.py", "../x", "/etc/passwd", "data/HALT"])
def test_what_the_text_forbids_the_disk_cannot_allow(root: Path, path: str) -> None:
    with pytest.raises(Refused):
        check_path(path, root)
