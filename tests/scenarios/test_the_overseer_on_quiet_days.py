"""Quiet days in a house that is overseen: nobody is called for nothing, and no loop is missed."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.events import Severity
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.clocks import START
from tests.fakes.long_lives import cadence_runs, held, meetings, report_days
from tests.fakes.overseen import World, lived
from tests.fakes.report_houses import ticks_at

DAY_S = 86_400.0
MOST_FALSE = 3  # in 30 days


@asynccontextmanager
async def with_books(folder: Path, in_flight: InFlight) -> AsyncIterator[Mapping[str, Any]]:
    """Hold the folder as a daemon does, with a committed tick, so that there is what to report."""
    with held(folder):
        await ticks_at(folder, in_flight, START)
        yield {"mode": "paper"}


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
        world.bad_rows = int(rng.random() < 0.01)
        world.node_s = rng.lognormvariate(math.log(0.05 if is_open else 0.02), 0.4)
        world.scout.takes_s = rng.lognormvariate(math.log(0.25 if hours < 0.5 else 0.1), 0.4)
        world.feed.takes_s = 5.0 if rng.random() < 0.001 else 0.1 * rng.lognormvariate(0, 0.6)
        saw = 0.04 * (loop.time() / 60 % 30) / 30
        world.memory_frac = 0.45 + 0.06 * math.sin(hours / 24 * 2 * math.pi) + saw
        world.gauges["open_files_frac"] = 0.1 + (0.05 if is_open else 0.0) + rng.gauss(0, 0.005)
        world.disk_frac = 0.40 + loop.time() / DAY_S * 0.001
        world.lag_s = 0.4 if rng.random() < 0.003 else rng.expovariate(200)
        loop.call_later(20.0, breathe)

    world.scout.call = world.feed.call = hiccup
    breathe()


def quiet(folder: Path, days: float, seed: int) -> World:
    """Live for so many days, and print what was raised, and how often each loop ran."""
    rng = random.Random(seed)
    world = lived(folder, days * DAY_S, lambda w: restless(w, rng), furnish=with_books)
    by_severity = [each.severity.value for each in world.raised()]
    print(f"seed={seed} {days:g} days: {len(by_severity)} alerts {by_severity}; loops {ran(world)}")
    for event in world.raised():
        print(f"  {event.at:%d %H:%M} {event.severity} {event.key}: {event.message}")
    return world


def ran(world: World) -> dict[str, int]:
    """Return how often each loop of the Overseer was done."""
    return {
        "health": world.health_passes(),
        "healing": world.healing_passes(),
        "review": cadence_runs(world.folder, "performance review"),
        "meeting": cadence_runs(world.folder, "governance_meeting"),
        "report": len(report_days(world.folder)),
    }


def no_loop_is_missed(world: World, days: float) -> None:
    """See that every loop ran as often as it should.

    The first and the last moment may count or not; of the rest nothing is missed or doubled.
    """
    found = ran(world)
    due = {"health": 1_440, "healing": 288, "review": 24, "meeting": 1, "report": 1}
    for name, a_day in due.items():
        assert found[name] == pytest.approx(math.ceil(days * a_day), abs=1), name
    if days >= 1:
        assert (found["meeting"], found["report"]) == (days, days)
    assert len(meetings(world.folder)) == found["meeting"]
    assert len(world.neighbour.ticks) == pytest.approx(days * 8_640, abs=2)
    assert (world.feed.runs, world.scout.runs, world.neighbour.runs) == (1, 1, 1)


def test_a_quiet_morning_calls_nobody(tmp_path: Path) -> None:
    world = quiet(tmp_path, 0.125, seed=11)
    assert world.raised() == []
    no_loop_is_missed(world, 0.125)


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_three_quiet_days_call_nobody(tmp_path: Path) -> None:
    world = quiet(tmp_path, 3, seed=11)
    assert world.raised() == []
    no_loop_is_missed(world, 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thirty_quiet_days_call_nobody(tmp_path: Path, seed: int) -> None:
    world = quiet(tmp_path, 30, seed=seed)
    assert [each.key for each in world.raised() if each.severity is Severity.CRITICAL] == []
    assert len(world.raised()) <= MOST_FALSE
    no_loop_is_missed(world, 30)
