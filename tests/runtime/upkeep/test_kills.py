"""kill -9 at any step of a round: nothing is half swept, agreed to twice, or lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from roboinvest.core.approvals import ProposalState
from roboinvest.runtime.governance.verify import verify
from tests.fakes import killed_round as killed
from tests.fakes.clocks import ManualClock
from tests.fakes.killed_inbox import NEVER
from tests.fakes.processes import REPOSITORY, environment, side_by_side
from tests.fakes.revisions import AGENT
from tests.fakes.upkeep import file_of, lived_in

TRIALS: Final = 12
SOAK_TRIALS: Final = 100
ENDED: Final[Mapping[str, str]] = {  # proposals after a round that came through
    killed.DUE: ProposalState.APPROVED,
    killed.OVER: ProposalState.EXPIRED,
    killed.LEFT: ProposalState.OPEN,
}


def child(data: Path, step: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fakes.killed_round", str(data), str(step)],
        cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder in which a round has something to do."""
    data = tmp_path_factory.mktemp("scene") / "data"
    killed.prepare(data)
    return data


@pytest.fixture(scope="module")
def length(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return how many steps a round has."""
    data = tmp_path_factory.mktemp("whole") / "data"
    shutil.copytree(scene, data)
    done = child(data, NEVER)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > TRIALS
    return int(done.stdout)


def trial(scene: Path, place: Path, step: int) -> Mapping[str, str]:
    """Kill a round at a step, look at what is left, and let the next round end it.

    Returns:
        the states of the proposals then, by their ids.
    """
    data = place / f"{step}"
    shutil.copytree(scene, data)
    ended = child(data, step)
    assert ended.returncode == -signal.SIGKILL, (step, ended.stderr)
    found = verify(file_of(data))
    assert found.is_whole, (step, found.breaks)
    again = child(data, NEVER)
    assert again.returncode == 0, (step, again.stderr)
    assert verify(file_of(data)).is_whole
    with lived_in(data, ManualClock()) as (house, inbox):
        kinds = [row.entry.kind for row in house.file.rows()]
        assert (kinds.count("proposal.approved"), kinds.count("proposal.expired")) == (1, 1), step
        stored: Mapping[str, str] = house.file.read(
            lambda db: dict(db.execute("SELECT proposal_id, state FROM proposals").fetchall())
        )
        (revision,) = house.store.read_book(lambda book: book.revisions())
        assert house.store.read(AGENT, revision.revision_id).files
        root = house.folders.root
        lies = (*root.iterdir(), *(root / AGENT).iterdir())
        left = {path.relative_to(root).as_posix() for path in lies}
        assert left == {AGENT, f"{AGENT}/{revision.revision_id}"}
        assert inbox.listed()
    shutil.rmtree(data)
    return stored


def steps_of(length: int, count: int) -> list[int]:
    """Return so many steps, spread over a round; all of them where it has fewer."""
    steps = sorted({1 + number * length // count for number in range(count)})
    print(f"a round has {length} steps, killed at {steps}")
    return steps


def play(scene: Path, place: Path, steps: Sequence[int]) -> dict[int, Mapping[str, str]]:
    """Return what `trial` returns, by the step of the kill."""
    stored = side_by_side(partial(trial, scene, place, step) for step in steps)
    return dict(zip(steps, stored, strict=True))


@pytest.mark.campaign
def test_a_round_that_is_killed_at_any_step_is_ended_by_the_next_one(
    scene: Path, length: int, tmp_path: Path
) -> None:
    steps = steps_of(length, TRIALS)
    assert play(scene, tmp_path, steps) == dict.fromkeys(steps, ENDED)


@pytest.mark.soak
def test_a_round_is_killed_at_every_step(scene: Path, length: int, tmp_path: Path) -> None:
    steps = steps_of(length, max(SOAK_TRIALS, length))
    assert play(scene, tmp_path, steps) == dict.fromkeys(steps, ENDED)
