"""Several processes at one run book, and processes that are killed while they write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pytest

from roboinvest.runtime.clock import SystemClock
from tests.fakes.processes import REPOSITORY, environment
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.values import Kin

WAIT_S = 60.0


@contextmanager
def writer(folder: Path, what: str, name: str, count: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready and waits for its line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.book_writers", what, str(folder), name, str(count)],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def at_once(processes: Sequence[subprocess.Popen[str]]) -> list[list[str]]:
    """Let all of them go, and return the lines that each wrote."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=WAIT_S)[0].splitlines() for process in processes]


def test_processes_that_begin_a_book_together_all_get_their_runs_in(tmp_path: Path) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(tmp_path, "note", f"v{n}", 15)) for n in range(4)]
        said = at_once(writers)
    noted = [int(line.removeprefix("noted ")) for lines in said for line in lines]
    assert sorted(noted) == list(range(1, 61))
    with RunBook.open(tmp_path, SystemClock()) as book:
        lineage = book.run(1).lineage
        assert book.trials(lineage) == 60
        assert {run.lineage for run in book.runs(100)} == {lineage}


def test_of_processes_that_open_a_holdout_one_gets_it(tmp_path: Path) -> None:
    with RunBook.open(tmp_path, SystemClock()) as book:
        lineage = book.lineage_of(Kin(strategy="mine", fingerprint=""))
        book.lock_holdout(lineage, ["SPY"], date(2024, 10, 1))
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(tmp_path, "open", "mine")) for _ in range(4)]
        said = sorted(line for lines in at_once(writers) for line in lines)
    assert len(said) == 4
    assert said[-1] == "opened 1"
    assert all(
        line.startswith("Refused the holdout was opened for version 1.0") for line in said[:3]
    )


@pytest.mark.parametrize("after", [1, 7])
def test_a_writer_that_is_killed_leaves_whole_runs_and_a_book_that_opens(
    tmp_path: Path, after: int
) -> None:
    with writer(tmp_path, "note", "v", 100_000) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        said = [process.stdout.readline() for _ in range(after)]
        process.kill()
        process.wait(WAIT_S)
    with RunBook.open(tmp_path, SystemClock()) as book:
        runs = book.runs(1_000_000)
        assert len(runs) >= after
        assert said == [f"noted {number}\n" for number in range(1, after + 1)]
        assert book.trials(1) == len(runs)
        assert [run.note.values["fast"] for run in reversed(runs)] == list(range(len(runs)))
