"""In a replay, and at full speed, the Overseer looks and reports, and pulls nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.overseen import World, lived
from tests.fakes.planted_faults import answers, fails, sets

BEGINS_S, LIVES_S = 607.0, 4_200.0


def bug() -> BaseException:
    return NameError("name 'prise' is not defined")


def attempts_in(folder: Path) -> int:
    with OverseerFile.open(folder / FILE_NAME) as file:
        return len(HealAttempts(file).newest(100))


@pytest.mark.parametrize(("mode", "speed"), [("replay", 60.0), ("simulation", None)])
def test_what_is_played_is_watched_and_left_alone(
    tmp_path: Path, mode: str, speed: float | None
) -> None:
    def plant(world: World) -> None:
        for harm in (fails(bug), answers("safe", "unreadable twice"), sets(memory_frac=0.99)):
            world.at(BEGINS_S, lambda harm=harm: harm(world))  # type: ignore[misc]

    world = lived(tmp_path, LIVES_S, plant, mode=mode, speed=speed)

    told = {"agent.scout", "agent.process", "agent.SimpleOrganicStrategyAgent"}
    assert told <= {each.key for each in world.raised()}
    assert world.end is not None
    assert (world.end.exit_code, world.scout.runs) == (0, 1)
    assert world.model.source == "safe"
    assert not world.data.halt.exists()
    assert attempts_in(tmp_path) == 0
    health = json.loads((world.data.reports / "health.json").read_text())
    assert health["failing_agents"] + health["offline_agents"] >= 3
    assert not (world.data.reports / "governance").exists(), "no meeting of another day"


def test_health_json_says_what_was_tried(tmp_path: Path) -> None:
    world = lived(tmp_path, LIVES_S, lambda w: w.at(BEGINS_S, lambda: fails(bug)(w)))
    health = json.loads((world.data.reports / "health.json").read_text())
    (scout,) = [each for each in health["agents"] if each["name"] == "scout"]
    assert scout["status"] in {"failing", "offline"}
    assert scout["tried"].startswith(("restart at ", "quarantine at ", "code proposal at "))
