"""What the same machine needs for the bare parts: a graph that does nothing, a commit, `observe`.

A tick cannot be faster than these together, so each figure of ours is shown as a multiple of one.
The bare commit writes the rows that our ticks wrote, as they lie in the file, with the same
pragmas and nothing above the driver.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict

import aiosqlite
from langgraph.graph import END, START, StateGraph

from benchmarks.figures import Moment, Took, cost_of_each, median, one_core, repeat
from benchmarks.houses import scratch
from benchmarks.table import Row
from benchmarks.tick_line import Line, run_line
from roboinvest.core.quant.observation import observe
from roboinvest.core.records import TickCommit
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.store import Store

FAMILY: Final = "baselines"
RUNS: Final = 3
TICKS: Final = 350
_WARM_UP: Final = 50  # calls that are not counted
_NODES: Final = ("one", "two", "three", "four", "five")


class _State(TypedDict, total=False):
    """The state of a graph that does nothing: a key for each node."""

    start: int
    one: int
    two: int
    three: int
    four: int
    five: int


class _IdleNode:
    """A node that returns its key at once."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, state: _State) -> dict[str, int]:
        return {self._name: state["start"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A part of ours and its bare rival, measured one after the other; ms."""

    ours: float
    bare: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one run of the line and of its rivals came to."""

    graph: Pair  # CPU
    commit: Pair  # CPU
    commit_wall: Pair
    observe: Pair  # CPU


def bare_graph(calls: int, warm_up: int = _WARM_UP) -> Took:
    """Return the p50 of one run of a five-node graph whose nodes return at once."""
    builder = StateGraph(_State)
    previous = START
    for name in _NODES:
        builder.add_node(name, _IdleNode(name))
        builder.add_edge(previous, name)
        previous = name
    builder.add_edge(previous, END)
    graph = builder.compile()

    async def one_run(number: int) -> object:
        return await graph.ainvoke({"start": number})

    with one_core():
        return Took.middle(asyncio.run(cost_of_each(calls + warm_up, one_run))[warm_up:])


def bare_commit(parent: Path, commits: Sequence[TickCommit], warm_up: int = _WARM_UP) -> Took:
    """Return the p50 of committing the rows of real ticks through aiosqlite alone."""
    with one_core(), scratch(parent) as root:
        return Took.middle(asyncio.run(_bare_commits(root, commits))[warm_up:])


def observe_alone(line: Line) -> Took:
    """Return the mean cost of `observe` on the windows of a run, without news."""
    with one_core():
        began = Moment.now()
        for series, at, session in line.windows:
            observe(series, at=at, session=session, vix=None)
        took, count = began.passed(), len(line.windows)
    return Took(wall_ms=took.wall_ms / count, cpu_ms=took.cpu_ms / count)


def compare(parent: Path, ticks: int = TICKS, warm_up: int = _WARM_UP) -> Comparison:
    """Return a run of the line beside its rivals."""
    line = run_line(parent, universe=1, ticks=ticks, warm_up=warm_up)
    ours, bare = Took.middle(line.stored), bare_commit(parent, line.commits, warm_up)
    return Comparison(
        graph=Pair(ours=line.p50_ms("graph"), bare=bare_graph(ticks, warm_up).cpu_ms),
        commit=Pair(ours=ours.cpu_ms, bare=bare.cpu_ms),
        commit_wall=Pair(ours=ours.wall_ms, bare=bare.wall_ms),
        observe=Pair(ours=line.p50_ms("observe"), bare=observe_alone(line).cpu_ms),
    )


def rows(parent: Path) -> list[Row]:
    """Return the figures of this family."""
    found = repeat(RUNS, lambda: compare(parent))
    commit, graph = "our commit of a tick", "our graph without its agents"
    return [
        _row("bare LangGraph, 5 no-op nodes, CPU", graph, [each.graph for each in found]),
        _row("bare aiosqlite, same rows, FULL, CPU", commit, [each.commit for each in found]),
        _row("the same, wall", commit, [each.commit_wall for each in found]),
        _row("observe alone, CPU", "our world monitor", [each.observe for each in found]),
    ]


def _row(what: str, ours: str, pairs: Sequence[Pair]) -> Row:
    own = median([pair.ours for pair in pairs])
    times = median([pair.ours / pair.bare for pair in pairs])
    return Row(
        family=FAMILY,
        what=what,
        figure=median([pair.bare for pair in pairs]),
        unit="ms",
        n=len(pairs),
        compared=f"{ours}: {own:.2f} ms, {times:.2f} times this",
    )


async def _bare_commits(root: Path, commits: Sequence[TickCommit]) -> list[Took]:
    """Store the ticks once through our store, then again from the raw rows it left."""
    empty, full, bare = (root / f"{name}.db" for name in ("empty", "full", "bare"))
    await (await _open(empty)).close()
    shutil.copy(empty, bare)
    store = await _open(full)
    for commit in commits:
        await store.commit_tick(commit)
    await store.close()
    rows_of_ticks = [_raw_rows(full, commit) for commit in commits]
    async with aiosqlite.connect(bare, isolation_level=None) as connection:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            await connection.execute(f"PRAGMA {pragma}")

        async def write(number: int) -> None:
            await connection.execute("BEGIN IMMEDIATE")
            for table, raw in rows_of_ticks[number].items():
                slots = ",".join("?" * len(raw[0]))
                statement = f"REPLACE INTO {table} VALUES ({slots})"  # noqa: S608 names of ours
                await connection.executemany(statement, raw)
            await connection.commit()

        return await cost_of_each(len(commits), write)


async def _open(path: Path) -> Store:
    return await Store.open(path, in_flight=InFlight(), clock=SystemClock())


def _raw_rows(path: Path, commit: TickCommit) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a tick wrote in most cases, as the file holds it: tick, session, documents."""
    record = commit.record
    keys = {
        "ticks": ("tick_id", record.tick_id),
        "sessions": ("session_day", record.session_day.isoformat()),
    }
    with closing(sqlite3.connect(path)) as connection:
        rows = {
            table: connection.execute(
                f"SELECT * FROM {table} WHERE {column} = ?",  # noqa: S608 names of ours
                (key,),
            ).fetchall()
            for table, (column, key) in keys.items()
        }
    documents: list[tuple[Any, ...]] = list(commit.documents.items())
    return {**rows, "documents": documents} if documents else rows
