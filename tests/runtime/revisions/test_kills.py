"""kill -9 at every step of a change: what was is there, or what was to be, and nothing between."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from roboinvest.core.approvals import ProposalState
from roboinvest.core.revisions.lifecycle import State
from roboinvest.runtime.governance.file import FILE_NAME
from roboinvest.runtime.governance.verify import verify
from tests.fakes import killed_revisions as killed
from tests.fakes.processes import environment, side_by_side
from tests.fakes.revisions import AGENT, AgentHouse, agent_house

SEED: Final = 20261121
TRIALS: Final = 12
SOAK_TRIALS: Final = 100


@dataclass(frozen=True)
class Scene:
    """Where changes begin, and the ids of the revisions there."""

    data: Path
    first: str
    second: str


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """Return a place for each change: the second one is active where something is undone."""
    found = {}
    for what in killed.WHATS:
        data = tmp_path_factory.mktemp(what) / "data"
        with agent_house(data) as house:
            first, second = killed.prepare(house)
            if what in ("rollback", "quarantine"):
                killed.do(house, "activate", first, second)
        found[what] = Scene(data, first, second)
    return found


def child(data: Path, what: str, step: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fakes.killed_revisions", str(data), what, str(step)],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lengths(scenes: dict[str, Scene], tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Return how many steps each change has."""

    def measure(what: str) -> int:
        data = tmp_path_factory.mktemp("whole") / "data"
        shutil.copytree(scenes[what].data, data)
        done = child(data, what, 0)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    counts = side_by_side(partial(measure, what) for what in killed.WHATS)
    return dict(zip(killed.WHATS, counts, strict=True))


def standing(house: AgentHouse, what: str, scene: Scene) -> str:
    """Return "before" or "after"; anything between fails."""
    active = house.active()
    third = killed.revision_id(3, scene.second)
    states = {
        each.revision_id: each.state
        for each in house.store.read_book(lambda book: book.revisions(AGENT))
    }
    assert [id_ for id_, state in states.items() if state is State.ACTIVE] == (
        [] if active is None else [active]
    )
    for id_ in states:
        house.store.read(AGENT, id_)  # whole, to the byte
    if what == "install":
        assert active == scene.first
        return "after" if states.get(third) is State.INSTALLED else "before"
    first, second = scene.first, scene.second
    before, after = {
        "activate": (first, second), "rollback": (second, first), "quarantine": (second, None)
    }[what]  # fmt: skip
    assert active in (before, after)
    used = killed.inbox_of(house).get(killed.APPROVAL).state is ProposalState.USED
    assert used is (what != "activate" or active == after)  # the word and the deed, or neither
    return "after" if active == after else "before"


def trial(scenes: dict[str, Scene], place: Path, what: str, step: int) -> str:
    """Kill a change at a step, look at what is left, and make the change then."""
    scene = scenes[what]
    data = place / f"{what}-{step}"
    shutil.copytree(scene.data, data)
    ended = child(data, what, step)
    assert ended.returncode == -signal.SIGKILL, (what, step, ended.stderr)
    assert verify(data / FILE_NAME).is_whole, (what, step)
    with agent_house(data) as house:
        found = standing(house, what, scene)
        house.store.sweep()
        lies = {path.name for path in (house.folders.root / AGENT).iterdir()}
        known = house.store.read_book(lambda book: book.revisions(AGENT))
        assert lies == {each.revision_id for each in known}
        assert {path.name for path in house.folders.root.iterdir()} == {AGENT}
        if found == "before":
            killed.do(house, what, scene.first, scene.second)
            assert standing(house, what, scene) == "after"
    assert verify(data / FILE_NAME).is_whole
    shutil.rmtree(data)
    return found


def trials(
    scenes: dict[str, Scene], lengths: dict[str, int], place: Path, count: int
) -> dict[str, list[str]]:
    rng = random.Random(SEED)
    print(f"seed {SEED}, steps {lengths}")
    # The end of a change, where it becomes true, is looked at in any case.
    ends = [(what, lengths[what] - back) for back in (0, 1) for what in killed.WHATS]
    rest = [(what, n) for what in killed.WHATS for n in range(1, lengths[what] - 1)]
    wanted = ends + rng.sample(rest, count - len(ends))
    found = side_by_side(partial(trial, scenes, place, what, step) for what, step in wanted)
    told: dict[str, list[str]] = {}
    for (what, step), end in zip(wanted, found, strict=True):
        told.setdefault(what, []).append(f"{step}: {end}")
    print(told)
    return told


def test_hard_case_27_a_kill_leaves_what_was_or_what_was_to_be(
    scenes: dict[str, Scene], lengths: dict[str, int], tmp_path: Path
) -> None:
    told = trials(scenes, lengths, tmp_path, TRIALS)
    assert set(told) == set(killed.WHATS)


@pytest.mark.soak
def test_many_kills_leave_what_was_or_what_was_to_be(
    scenes: dict[str, Scene], lengths: dict[str, int], tmp_path: Path
) -> None:
    told = trials(scenes, lengths, tmp_path, SOAK_TRIALS)
    ends = {line.partition(": ")[2] for lines in told.values() for line in lines}
    assert ends == {"before", "after"}
