"""Combinations in processes: what one of them does, the search survives, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import among
from roboinvest.runtime.clock import SystemClock
from tests.fakes.processes import REPOSITORY, environment
from tests.fakes.searches import HillRecipe, hill_outcome, hill_request, wait_until
from tests.fakes.tapes import daily_tape, minute_tape
from tools.backtester.contract import Request
from tools.backtester.run_book.book import RunBook
from tools.backtester.search.jobs import Failure, Job, Outcome
from tools.backtester.search.pool import InProcess, LocalProcesses, pays_for_processes
from tools.backtester.search.shared_bars import read_bars, remove_bars, write_bars

WAIT_S = 60.0


def jobs(*fasts: int) -> list[Job]:
    return [Job(number=n, values={"fast": fast, "slow": 50}) for n, fast in enumerate(fasts)]


@pytest.fixture
def request_() -> Request:
    return hill_request({"SPY": daily_tape(1, days=60)})


def answers(
    request: Request, recipe: HillRecipe, work: list[Job], **more: object
) -> dict[int, str]:
    """What became of each combination, by its fast: its digest, or why it failed."""
    scratch = recipe.log.parent / "scratch"
    with LocalProcesses(
        request,
        recipe,
        scratch=scratch,
        clock=SystemClock(),
        workers=2,
        **more,  # type: ignore[arg-type]
    ) as pool:
        found = {int(job.values["fast"]): answer for job, answer in pool.answers(work)}
    assert list(scratch.iterdir()) == []
    assert children() == []
    return {
        fast: answer.why if isinstance(answer, Failure) else answer.digest
        for fast, answer in found.items()
    }


def children() -> list[psutil.Process]:
    """Ours, without the tracker that Python keeps beside spawned processes until it exits."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    ]


def test_processes_come_to_what_this_process_comes_to(request_: Request, tmp_path: Path) -> None:
    work = jobs(*range(5, 15))
    here = InProcess(request_, lambda each: hill_outcome(each, {"fast": 10, "slow": 30}))
    expected = {
        int(job.values["fast"]): answer.digest
        for job, answer in here.answers(work)
        if isinstance(answer, Outcome)
    }
    recipe = HillRecipe(log=tmp_path / "played")
    assert answers(request_, recipe, work) == expected
    lines = recipe.log.read_text().splitlines()
    assert len(lines) == 10
    assert len({line.split()[0] for line in lines} - {str(os.getpid())}) in (1, 2)


def test_a_process_that_is_killed_costs_its_combination_alone(
    request_: Request, tmp_path: Path
) -> None:
    recipe = HillRecipe(log=tmp_path / "played", dies_at=7, raises_at=9)
    found = answers(request_, recipe, jobs(5, 6, 7, 8, 9, 10))
    assert found.pop(7) == "the process that played it ended by SIGKILL"
    assert found.pop(9) == "it raised ZeroDivisionError: float division by zero"
    assert sorted(found) == [5, 6, 8, 10]


def test_a_combination_that_hangs_is_ended_at_its_deadline(
    request_: Request, tmp_path: Path
) -> None:
    recipe = HillRecipe(log=tmp_path / "played", hangs_at=6)
    found = answers(request_, recipe, jobs(5, 6, 7, 8), deadline_s=3.0)
    assert found.pop(6) == "it took longer than 3 s and was ended"
    assert sorted(found) == [5, 7, 8]


def test_a_strategy_that_no_worker_can_load_ends_the_search(
    request_: Request, tmp_path: Path
) -> None:
    recipe = HillRecipe(log=tmp_path / "played", is_broken=True)
    with pytest.raises(BadInput, match=r"cannot load the strategy: strategies/mine\.py cannot"):
        answers(request_, recipe, jobs(5, 6))
    assert children() == []


def test_a_pool_serves_one_batch_after_another(request_: Request, tmp_path: Path) -> None:
    recipe = HillRecipe(log=tmp_path / "played")
    pool = LocalProcesses(
        request_, recipe, scratch=tmp_path / "scratch", clock=SystemClock(), workers=1
    )
    with pool:
        for batch in (jobs(5, 6), jobs(7)):
            assert len(list(pool.answers(batch))) == len(batch)
        assert list(pool.answers([])) == []
        next(iter(pool.answers(jobs(8, 9, 10))))  # and the rest is not waited for
        assert len(list(pool.answers(jobs(11)))) == 1
    assert len({line.split()[0] for line in recipe.log.read_text().splitlines()[:3]}) == 1


def test_small_searches_start_no_process() -> None:
    assert not pays_for_processes(97_740, 100)
    assert pays_for_processes(97_740, 1_000)
    assert not pays_for_processes(50_000_000, 1)


def test_bars_are_laid_down_and_mapped_as_they_were(tmp_path: Path) -> None:
    bars = among({name: minute_tape(n, days=2, symbol=name) for n, name in enumerate("AB")})
    folder = write_bars(tmp_path / "scratch", bars)
    found = read_bars(folder)
    assert sorted(found) == ["A", "B"]
    for name, each in found.items():
        assert sorted(each.others) == sorted(set("AB") - {name})
        for column in ("ts", "closes_at", "day", "open", "close", "volume", "opens", "ends"):
            ours, theirs = getattr(bars[name], column), getattr(each, column)
            assert np.array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
            assert type(theirs) is np.ndarray
            assert theirs.flags.writeable  # as compiled code knows them
    found["A"].close[0] = 0.0
    assert np.array_equal(read_bars(folder)["A"].close, bars["A"].close)  # and nobody else's
    remove_bars(folder)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_bars_of_a_process_that_is_gone_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(WAIT_S)
    abandoned, alive = tmp_path / f"bars-{gone.pid}-0", tmp_path / f"bars-{os.getppid()}-0"
    abandoned.mkdir()
    alive.mkdir()
    folder = write_bars(tmp_path, {"SPY": daily_tape(1, days=5)})
    assert {alive, folder} == set(tmp_path.iterdir())


@contextmanager
def search(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.killed_search", str(folder)],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that a Ctrl-C can be sent to its whole group
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def noted(folder: Path) -> int:
    book = RunBook.look(folder, SystemClock())
    if book is None:
        return 0
    with book:
        return len(book.runs(1000))


def family(pid: int) -> list[psutil.Process]:
    return list(psutil.Process(pid).children(recursive=True))


def test_a_search_that_is_killed_goes_on_where_it_was_and_plays_nothing_twice(
    tmp_path: Path,
) -> None:
    with search(tmp_path) as process:
        wait_until(lambda: (tmp_path / "played").exists() and noted_lines(tmp_path) >= 21)
        theirs = family(process.pid)
        process.kill()
        process.wait(WAIT_S)
        _, alive = psutil.wait_procs(theirs, timeout=10.0)
        assert alive == []
    known = noted(tmp_path)
    before = played(tmp_path)
    (tmp_path / "go").touch()
    with search(tmp_path) as process:
        out, err = process.communicate(timeout=WAIT_S)
    assert err == ""
    said = json.loads(out)
    assert (said["rows"], said["known"], said["trials"]) == (40, known, 40)
    again = played(tmp_path)[len(before) :]
    assert len(again) == 40 - known
    with RunBook.open(tmp_path, SystemClock()) as book:
        held = {int(run.note.values["fast"]) for run in book.runs(1000)}
    assert held == set(range(1, 41))
    assert len(book_ids(tmp_path)) == 40
    assert list((tmp_path / "scratch").iterdir()) == []  # the killed one's bars are gone as well


def test_ctrl_c_ends_a_search_at_once_and_keeps_what_was_played(tmp_path: Path) -> None:
    with search(tmp_path) as process:
        wait_until(lambda: (tmp_path / "played").exists() and noted_lines(tmp_path) >= 21)
        theirs = family(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=10.0)
        _, alive = psutil.wait_procs(theirs, timeout=10.0)
    assert alive == []
    assert err.count("Traceback") == 1  # the search's own, which a command turns into its exit code
    assert "KeyboardInterrupt" in err
    assert noted(tmp_path) == 19
    assert list((tmp_path / "scratch").iterdir()) == []


def noted_lines(folder: Path) -> int:
    return len(played(folder))


def played(folder: Path) -> list[str]:
    return (folder / "played").read_text().splitlines()


def book_ids(folder: Path) -> list[int]:
    with RunBook.open(folder, SystemClock()) as book:
        return [run.id for run in book.runs(1000)]
