"""Killed at any step of an attempt: it is told before it acts, acts once, and is closed once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from roboinvest.core.oversight.healing_record import ActionEnd, Verdict
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.cadence import Cadence
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.killed_healing import DAY, NEVER
from tests.fakes.processes import REPOSITORY, environment, side_by_side

SEED: Final = 20260107
TRIALS: Final = 12
SOAK_TRIALS: Final = 100
DEADLINE_S: Final = 60.0
FEWEST_STEPS: Final = 15


def life(folder: Path, step: int, number: int) -> subprocess.CompletedProcess[str]:
    """Run a life up to a step; return how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fakes.killed_healing", str(folder), str(step), str(number)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return how many steps a whole life has."""
    ended = life(tmp_path_factory.mktemp("whole"), NEVER, 0)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > FEWEST_STEPS
    return int(ended.stdout)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def look(folder: Path, when: str) -> None:
    """Hold what is left to what must be."""
    with OverseerFile.open(folder / FILE_NAME) as file:
        attempts = {each.attempt_id: each for each in HealAttempts(file).newest(1000)}
        standing = Cadence(file, "daily", DAY).standing()
        still_open = HealAttempts(file).open()
    acted = lines(folder / "acted")
    assert len(acted) == len(set(acted)), when  # none was done twice
    assert set(acted) <= set(attempts), when  # none was done that was not told before
    for each in attempts.values():
        if each.verdict is Verdict.HEALED:
            assert each.attempt_id in acted, when
            assert each.action_end is ActionEnd.RETURNED, when
    assert len(still_open) <= 1, when
    met = len(lines(folder / "met"))
    assert standing.runs <= 1, when
    assert standing.runs <= met, when  # no run counts that was not held


def killed(folder: Path, seed: int, steps: int, first: int) -> tuple[int, int]:
    """Kill at a step, then at a chance one, and let a life come through.

    Returns:
        how many attempts are open then, and how many runs count.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    for number, step in enumerate((first, chance.randint(1, steps), NEVER)):
        ended = life(folder, step, number)
        when = f"seed {seed}, life {number}, step {step}: {ended.stderr[-500:]}"
        assert ended.returncode in (0, -signal.SIGKILL), when
        look(folder, when)
        if ended.returncode == 0:
            break
    with OverseerFile.open(folder / FILE_NAME) as file:
        return len(HealAttempts(file).open()), Cadence(file, "daily", DAY).standing().runs


def play(folder: Path, steps: int, trials: int, seed: int) -> list[tuple[int, int]]:
    """Return what `killed` returns for so many first steps, spread over a life."""
    print(f"seed {seed}: {trials} trials, a life has {steps} steps")
    return side_by_side(
        partial(killed, folder / f"{trial}", seed + trial, steps, 1 + trial * steps // trials)
        for trial in range(trials)
    )


@pytest.mark.campaign
def test_an_attempt_is_told_before_it_acts_and_acts_once_whatever_kills_the_process(
    tmp_path: Path, steps: int
) -> None:
    assert play(tmp_path, steps, TRIALS, SEED) == [(0, 1)] * TRIALS


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_it_holds_at_every_step(tmp_path: Path, steps: int) -> None:
    trials = max(SOAK_TRIALS, steps)
    assert play(tmp_path, steps, trials, SEED + TRIALS) == [(0, 1)] * trials
