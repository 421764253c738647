"""Quiet days in a house that is overseen: nobody is called for nothing, and no loop is missed."""

from __future__ import annotations

import asyncio
import math
import random
from pathlib import Path

import pytest

from roboinvest.core.events import Severity
from tests.fakes.overseen import World, lived

DAY_S = 86_400.0
MOST_FALSE = 3


def restless(world: World, rng: random.Random) -> None:
    """Let the house breathe: slow mornings, saw-toothed memory, calls that fail now and then."""
    loop = asyncio.get_running_loop()

    def hiccup() -> None:
        if rng.random() < 0.02:
            raise TimeoutError("one call in fifty")

    def breathe() -> None:
        hours = loop.time() / 3_600.0 % 24
        is_open = 0.0 <= hours < 6.5
        world.is_stale = False
        world.node_s = rng.lognormvariate(math.log(0.05 if is_open else 0.02), 0.4)
        world.scout.takes_s = rng.lognormvariate(math.log(0.25 if hours < 0.5 else 0.1), 0.4)
        saw = 0.04 * (loop.time() / 60 % 30) / 30
        world.memory_frac = 0.45 + 0.06 * math.sin(hours / 24 * 2 * math.pi) + saw
        world.disk_frac = 0.40 + loop.time() / DAY_S * 0.001
        world.lag_s = 0.4 if rng.random() < 0.003 else rng.expovariate(200)
        loop.call_later(20.0, breathe)

    world.scout.call = hiccup
    breathe()


def quiet(folder: Path, days: int, seed: int) -> World:
    """Live for so many days, and print what was raised."""
    rng = random.Random(seed)
    world = lived(folder, days * DAY_S, lambda w: restless(w, rng))
    print(f"seed={seed} {days} days: {len(world.raised())} alerts")
    for event in world.raised():
        print(f"  {event.at:%d %H:%M} {event.severity} {event.key}: {event.message}")
    return world


def check(world: World, days: int) -> None:
    """See that nobody was called for nothing, and that every loop ran as often as it should."""
    assert [each.key for each in world.raised() if each.severity is Severity.CRITICAL] == []
    assert len({each.key for each in world.raised()}) <= MOST_FALSE
    assert world.health_passes() == pytest.approx(days * 1_440, abs=2)
    assert world.healing_passes() == pytest.approx(days * 288, abs=2)
    assert len(world.neighbour.ticks) == pytest.approx(days * 8_640, abs=2)
    assert (world.feed.runs, world.scout.runs, world.neighbour.runs) == (1, 1, 1)


@pytest.mark.timeout(120)
def test_three_quiet_days_call_nobody(tmp_path: Path) -> None:
    check(quiet(tmp_path, 3, seed=11), 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_thirty_quiet_days_call_nobody(tmp_path: Path, seed: int) -> None:
    check(quiet(tmp_path, 30, seed=seed), 30)
