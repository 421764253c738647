"""Two processes change one agent at once: each change is whole, and none is lost unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from roboinvest.runtime.governance.file import FILE_NAME
from roboinvest.runtime.governance.verify import verify
from tests.fakes.processes import environment
from tests.fakes.revisions import AGENT, agent_house

ROUNDS: Final = 8


def rival(data: Path, start: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.rival_revisions", str(data), str(start), str(ROUNDS)],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_hard_case_32_two_writers_are_fenced_by_the_number_of_the_last_move(tmp_path: Path) -> None:
    with agent_house(tmp_path):
        pass
    rivals = [rival(tmp_path, 100), rival(tmp_path, 200)]
    for each in rivals:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    told = [line for each in rivals for line in each.communicate(timeout=60)[0].splitlines()]
    assert [each.returncode for each in rivals] == [0, 0]
    moved = [line.split()[1] for line in told if line.startswith("moved")]
    refused = [line for line in told if line.startswith("refused")]
    assert len(told) == 2 * ROUNDS
    assert all("stands at move" in line or "is active; make it" in line for line in refused)
    with agent_house(tmp_path) as house:
        moves = house.store.read_book(lambda book: book.moves(AGENT))
        assert sorted(move.after or "" for move in moves) == sorted(moved)
        for before, after in zip(moves, moves[1:], strict=False):  # noqa: RUF007 by two lines
            revision = house.store.read_book(
                lambda book, id_=after.after: book.revision(AGENT, id_ or "")  # type: ignore[misc]
            )
            assert revision.parent == before.after  # nobody undid what he had not seen
        assert house.active() == moves[-1].after
    assert verify(tmp_path / FILE_NAME).is_whole
