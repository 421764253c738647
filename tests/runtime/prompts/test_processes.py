"""Real processes move labels at once, and are killed in the middle of it."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from roboinvest.runtime.lanes.file import connect, open_writer
from roboinvest.runtime.prompts import labels
from roboinvest.runtime.prompts.book import PromptBook
from roboinvest.runtime.prompts.schema import REGISTRY
from roboinvest.runtime.prompts.versions import Label, MoveKind, trail_of
from tests.fakes.processes import environment
from tests.fakes.prompts import NAME, PromptPlace, a_prompt, cause

SEED = 20260105

MOVES = """
import sys
from pathlib import Path
from roboinvest.runtime.lanes.file import connect, open_writer
from roboinvest.runtime.prompts import labels
from roboinvest.runtime.prompts.book import PromptBook
from roboinvest.runtime.prompts.schema import REGISTRY
from tests.fakes.prompts import NAME, a_prompt, cause

path, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
book = PromptBook(open_writer(path, REGISTRY, connect))
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    version = labels.propose(book, NAME, a_prompt(system=f"By {who}, {number}."), cause(who))
    print(version.version, flush=True)
    try:
        labels.promote(book, NAME, cause(f"{who} {number}"))
    except labels.Refused:
        pass  # the other one has promoted what stood there
book.close()
"""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return the file of a registry that was left after its first start."""
    place = PromptPlace(tmp_path)
    place.write(a_prompt())
    async with place.opened():
        pass
    return place.path


def mover(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    """Start a process that moves labels once it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", MOVES, str(path), who, str(count)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def check_history(path: Path) -> int:
    """Fail unless each move begins where the last one ended; return how many there are."""
    with closing(PromptBook(open_writer(path, REGISTRY, connect))) as book, book.reading():
        moves = book.moves(NAME)
        assert [move.seq for move in moves] == list(range(1, len(moves) + 1))
        for label in Label:
            ends = [None, *(move.after for move in moves if move.label is label)]
            assert [move.before for move in moves if move.label is label] == ends[:-1]
            assert book.labelled(NAME, label) == ends[-1]
        promoted = [move for move in moves if move.kind is MoveKind.PROMOTED]
        for taken, given in zip(promoted[::2], promoted[1::2], strict=True):  # both or neither
            assert (taken.label, given.label) == (Label.CANDIDATE, Label.CURRENT)
            assert (taken.before, given.seq) == (given.after, taken.seq + 1)
        assert book.version(trail_of(moves)[-1]).version == book.labelled(NAME, Label.CURRENT)
        return len(moves)


def test_two_processes_that_move_labels_at_once_lose_none(path: Path) -> None:
    each = 15
    movers = [mover(path, who, each) for who in ("left", "right")]
    for process in movers:
        begin(process)
    said = [process.communicate(timeout=60)[0].split() for process in movers]
    assert [process.returncode for process in movers] == [0, 0]
    assert [len(versions) for versions in said] == [each, each]
    check_history(path)
    with closing(PromptBook(connect(path))) as book, book.reading():
        proposed = [move.after for move in book.moves(NAME) if move.kind.value == "proposed"]
    assert sorted(filter(None, proposed)) == sorted(said[0] + said[1])


@pytest.mark.campaign
def test_a_process_that_is_killed_in_a_move_leaves_what_was_or_what_came(path: Path) -> None:
    print(f"seed {SEED}")
    chance, before = random.Random(SEED), check_history(path)
    for trial in range(12):
        process = mover(path, f"trial {trial}", 10_000)
        begin(process)
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(chance.randrange(1, 12))]
        process.kill()
        said += process.communicate(timeout=20)[0].split()
        after = check_history(path)
        assert after >= before + len(said)  # what was acknowledged is there
        before = after
    with closing(PromptBook(connect(path))) as book:  # and what was left goes on working
        labels.roll_back(book, NAME, cause("it was killed often enough"))
    assert check_history(path) == before + 1
