"""Killed at any step of filing, approving and using: nothing is half done, or done twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from roboinvest.core.approvals import ProposalState
from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.governance.verify import verify
from tests.fakes.governance import a_proposal, bureau
from tests.fakes.killed_inbox import NEVER
from tests.fakes.processes import REPOSITORY, environment

SEED: Final = 20260106
TRIALS: Final = 12
SOAK_TRIALS: Final = 100
DEADLINE_S: Final = 60.0
FEWEST_STEPS: Final = 30


class Left(NamedTuple):
    """What is left of a proposal after all lives."""

    state: ProposalState | None
    changes: int  # that were made with it
    is_refused_again: bool


USED_ONCE: Final = Left(ProposalState.USED, 1, is_refused_again=True)


def life(folder: Path, step: int) -> subprocess.CompletedProcess[str]:
    """Run a life up to a step; return how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fakes.killed_inbox", str(folder), str(step)],
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
    ended = life(tmp_path_factory.mktemp("whole"), NEVER)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > FEWEST_STEPS
    return int(ended.stdout)


def looked_at(folder: Path, when: str) -> ProposalState | None:
    """Hold what is left to what must be; return how far the proposal came."""
    with bureau(folder) as office:  # anchors the tail, as any next process does
        found = verify(office.path)
        assert found.is_whole, (when, found.breaks)
        told, changes = office.told(), office.changes()
        try:
            state: ProposalState | None = office.inbox.get("p0").state
        except BadInput:
            state = None
    steps_told = ["proposal.filed", "proposal.approved", "proposal.used"]
    assert told == steps_told[: len(told)], when  # each once, in this order
    known = [None, ProposalState.OPEN, ProposalState.APPROVED, ProposalState.USED]
    assert state is known[len(told)], when
    assert len(changes) == (state is ProposalState.USED), when
    return state


def killed(folder: Path, seed: int, steps: int, first: int) -> Left:
    """Kill at a step, then at chance ones, until it came through; hold it to the rules each time.

    Returns what is left when an approval that came through was used once more. A later life has
    fewer steps than the first; one that ends before its step has come through.
    """
    chance = random.Random(seed)
    for number in range(20):
        step = first if not number else chance.randint(1, steps)
        ended = life(folder, step)
        when = f"seed {seed}, life {number}, step {step}: {ended.stderr[-500:]}"
        assert ended.returncode in (0, -signal.SIGKILL), when
        before = verify(folder / "governance.db")
        assert before.is_whole, (when, before.breaks)
        looked_at(folder, when)
        if ended.returncode == 0:
            break
    else:
        assert life(folder, NEVER).returncode == 0
    state = looked_at(folder, f"seed {seed}")
    with bureau(folder) as office:
        try:
            office.use(a_proposal())
            again = "used"
        except Refused as error:
            again = str(error)
        return Left(state, len(office.changes()), "is used" in again)


def play(folder: Path, steps: int, trials: int, seed: int) -> list[Left]:
    """Kill in so many trials, the first steps of which are spread over the whole life."""
    print(f"seed {seed}: {trials} trials, a life has {steps} steps")
    return [
        killed(folder / f"{trial}", seed + trial, steps, 1 + trial * steps // trials)
        for trial in range(trials)
    ]


@pytest.mark.campaign
def test_an_approval_is_never_used_twice_or_half_whatever_kills_the_process(
    tmp_path: Path, steps: int
) -> None:
    left = play(tmp_path, steps, TRIALS, SEED)
    assert left == [USED_ONCE] * TRIALS


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_it_holds_at_every_step(tmp_path: Path, steps: int) -> None:
    trials = max(SOAK_TRIALS, steps)
    left = play(tmp_path, steps, trials, SEED + TRIALS)
    assert left == [USED_ONCE] * trials
