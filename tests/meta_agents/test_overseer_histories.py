"""A house that starts again knows its agents; a file that says nothing lets them begin anew."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from meta_agents.overseer import Overseer
from meta_agents.overseer_file import FileKeeper
from meta_agents.overseer_histories import HistoryKeeper
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.file import FILE_NAME
from roboinvest.runtime.oversight.histories import SCHEMA
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.clocks import START, ManualClock
from tests.fakes.overseen import World, lived

AGENT = "SimpleOrganicStrategyAgent"
LIFE_S = 2 * 3600.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a house has lived for two hours."""
    folder = tmp_path_factory.mktemp("lived")
    lived(folder, LIFE_S, lambda _: None)
    return folder


def history_of(world: World, name: str) -> Any:
    pulse = world.oversight.overseer.pulse(name)
    assert pulse is not None
    return pulse.history(world.clock.monotonic())


def test_a_house_that_starts_again_goes_on_from_what_was_usual(folder: Path) -> None:
    first = rows(folder)
    assert AGENT in first
    world = lived(folder, 120.0, lambda _: None, began_h=3.0)
    found = history_of(world, AGENT)
    assert found.age_s == pytest.approx(3 * 3600.0 + 120.0, abs=60.0)
    assert found.calls > 600.0  # six asks a minute, and two hours of them
    assert found.usual_s is not None
    assert rows(folder)[AGENT] > first[AGENT]  # written at the stop, without an interval's wait


@pytest.mark.parametrize("damage", ["version = 99", "history = '{'"])
def test_what_cannot_be_read_begins_anew_and_the_log_says_so(tmp_path: Path, damage: str) -> None:
    lived(tmp_path, 600.0, lambda _: None)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute(f"UPDATE agent_histories SET {damage}")  # noqa: S608 ours
    with capture_logs() as logs:
        world = lived(tmp_path, 120.0, lambda _: None, began_h=1.0)
    assert history_of(world, AGENT).age_s <= 180.0
    assert [each["agents"] for each in logs if each["event"] == "histories_begin_anew"] == [
        len(rows(tmp_path))
    ]
    assert world.raised() == []


async def test_ten_thousand_agents_are_taken_and_given_without_holding_the_loop(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    with ThreadPoolExecutor(2) as pool:
        threads = Threads(pool, InFlight(), deadline_s=60.0)

        def a_house() -> tuple[Overseer, HistoryKeeper, FileKeeper]:
            overseer = Overseer(clock)
            cards = [AgentCard(name=f"a{n}", kind=AgentKind.RESEARCH) for n in range(10_000)]
            overseer.register_all(cards)
            keeper = FileKeeper(
                tmp_path / FILE_NAME,
                schemas=(SCHEMA,),
                threads=threads,
                clock=clock,
                publish=lambda _: None,
            )
            return overseer, HistoryKeeper(overseer, keeper, clock=clock, threads=threads), keeper

        overseer, histories, keeper = a_house()
        for name in overseer.terms:
            overseer.vitals(name).succeeded(clock.monotonic(), 0.1)
        await histories.recall(())
        held_s = await most_cpu_held(histories.write())
        keeper.close()
        clock.advance(timedelta(hours=1).total_seconds())
        overseer, histories, keeper = a_house()
        names = tuple(overseer.terms)
        held_s = max(held_s, await most_cpu_held(histories.recall(names)))
        keeper.close()
    assert overseer.vitals("a9999").history(clock.monotonic()).calls == pytest.approx(1.0, abs=0.1)
    assert held_s < 0.02


async def most_cpu_held(work: Any) -> float:
    """Return the most CPU seconds of this thread between two turns of others, while it worked.

    The collector is put off: what it walks through is the heap of all tests.
    """
    gc.disable()
    try:
        most, before = 0.0, time.thread_time()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            while not task.done():
                await asyncio.sleep(0)
                now = time.thread_time()
                most, before = max(most, now - before), now
        return most
    finally:
        gc.enable()


def rows(folder: Path) -> dict[str, str]:
    """Return when each agent's past was written."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        found = dict(db.execute("SELECT agent, at FROM agent_histories").fetchall())
    assert min(found.values()) >= START.isoformat()
    return found
