"""`box:FILE` where a strategy is named: the same figures, from code that never ran out here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_backtest import SOUND, Shell, week
from tests.fakes.sandboxes import needs
from tools.sandbox.tier import Tier

__all__ = ["week"]
MARK = "import os\nopen('RAN', 'a').close()\n"


@pytest.fixture
def shell(week: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    needs(Tier.B)
    return Shell(week, tmp_path, capsys)


def test_a_boxed_file_comes_to_the_same_and_is_named_in_the_book(shell: Shell) -> None:
    path = shell.file(SOUND)
    plain = shell(f"run {path} --bars BARS --symbols AAA --json")
    boxed = shell(f"run box:{path} --bars BARS --symbols AAA --json")
    assert boxed.code == plain.code == 0, boxed.err
    assert boxed.value["figures"] == plain.value["figures"]
    files = [shell(f"show {number} --json").value["file"] for number in (1, 2)]
    assert files == [path, f"box:{path}"]


def test_a_sweep_plays_a_boxed_file_in_processes_as_it_does_here(shell: Shell) -> None:
    path = shell.file(SOUND)
    swept = "--bars BARS --symbols AAA --over bars=2:4 --again --json"
    tables = [
        shell(f"sweep {named} {swept} --jobs {jobs}")
        for named, jobs in ((path, 1), (f"box:{path}", 1), (f"box:{path}", 2))
    ]
    assert [each.code for each in tables] == [0, 0, 0], tables[-1].err
    found = [[(row["values"], row["figures"]) for row in each.value["rows"]] for each in tables]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 3


def test_what_a_boxed_file_does_to_the_machine_is_refused(shell: Shell) -> None:
    ran = shell.place / "RAN"
    path = shell.file(MARK.replace("RAN", str(ran)) + SOUND)
    refused = shell(f"run box:{path} --bars BARS --symbols AAA")
    assert refused.code == 2
    assert "PermissionError" in refused.err
    assert not ran.exists()


def test_the_path_of_an_agents_file_is_refused(shell: Shell) -> None:
    folder = shell.place / "data" / "agents" / "scout" / "code"
    folder.mkdir(parents=True)
    (folder / "strategy.py").write_text(SOUND)
    refused = shell(f"run {folder}/strategy.py --bars BARS --symbols AAA")
    assert refused.code != 0
    assert "runs in the box only" in refused.err
