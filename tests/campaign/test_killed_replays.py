"""A replay that is killed at any instant goes on where it was committed, to the same end."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.processes import Daemon, Finished, roboinvest, side_by_side
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(400)]

SEED = 20260105
TRIALS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """When a replay is killed: some time after its start, then at some tick."""

    number: int
    first_kill_s: float  # after the start; may fall anywhere, imports and the last reports included
    second_kill_tick: int
    pause_s: float  # between that tick and the kill


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a cut replay came to."""

    kills_at: tuple[int, ...]  # ticks committed at each kill
    summary: Any


def planned(seed: int, uncut: Finished) -> list[Trial]:
    chance = random.Random(seed)
    return [
        Trial(
            number=number,
            first_kill_s=chance.uniform(0.1, uncut.ended.took_s),
            second_kill_tick=chance.randint(1, uncut.ended.value()["ticks"] - 5),
            pause_s=chance.uniform(0.0, 0.05),
        )
        for number in range(TRIALS)
    ]


def cut(trial: Trial, uncut: Finished, folder: Path) -> Cut:
    """Kill a replay twice, then let it end."""
    data, kills = folder / f"trial{trial.number}", []
    stored = StoredRun(data)
    with Daemon(data, *uncut.arguments, cwd=folder) as first:
        if first.lives_on_for(trial.first_kill_s):
            first.kill()
            kills.append(stored.tick_count())
    if stored.tick_count() < trial.second_kill_tick:
        with Daemon(data, *uncut.arguments, cwd=folder) as second:
            second.until_tick(trial.second_kill_tick)
            if second.lives_on_for(trial.pause_s):
                second.kill()
                kills.append(stored.tick_count())
    ended = roboinvest(*uncut.arguments, "--data-dir", data, cwd=folder)
    assert ended.code == 0, ended.err
    return Cut(kills_at=tuple(kills), summary=ended.value())


def test_killed_replays_end_as_the_uncut_one(uncut: Finished, tmp_path: Path) -> None:
    print(f"kills drawn with seed {SEED}")
    trials = planned(SEED, uncut)
    ends = side_by_side(partial(cut, trial, uncut, tmp_path) for trial in trials)
    wanted = uncut.ended.value()
    for trial, end in zip(trials, ends, strict=True):
        print(f"trial {trial.number}: killed after {end.kills_at} ticks")
        assert without_counts(end.summary) == without_counts(wanted), trial
        data = tmp_path / f"trial{trial.number}"
        assert rows_of(data) == rows_of(uncut.data), trial
    inside = [at for end in ends for at in end.kills_at if 0 < at < wanted["ticks"]]
    assert len(inside) >= TRIALS // 2  # else the kills missed what they were for


def test_a_finished_replay_repeats_its_summary(uncut: Finished) -> None:
    again = roboinvest(*uncut.arguments, "--data-dir", uncut.data, cwd=uncut.place)
    assert again.code == 0
    assert without_counts(again.value()) == without_counts(uncut.ended.value())


def without_counts(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary without the bars that were read: a restart reads fewer, or some again."""
    return {key: value for key, value in summary.items() if key != "data"}


def rows_of(data: Path) -> dict[str, list[Any]]:
    """Return everything that two equal runs must have stored."""
    statements = {
        "ticks": "SELECT tick_id, digest, equity, cash, orders, fills FROM ticks ORDER BY at",
        "orders": "SELECT * FROM orders ORDER BY seq",
        "fills": "SELECT * FROM fills ORDER BY seq",
        "trades": "SELECT * FROM trades ORDER BY seq",
        "lots": "SELECT * FROM lots ORDER BY symbol, place",
        "memories": "SELECT memory_id, action, outcome_kind, outcome_r_multiple FROM memories "
        "ORDER BY memory_id",
    }
    stored = StoredRun(data)
    found = {name: stored.rows(statement) for name, statement in statements.items()}
    return found | {"bodies": [without_latency(body) for body in stored.bodies()]}


def without_latency(body: dict[str, Any]) -> dict[str, Any]:
    """Return everything a tick knew, decided and did, but not how long the model took to answer."""
    return body | {"decisions": [one | {"latency_ms": None} for one in body["decisions"]]}
