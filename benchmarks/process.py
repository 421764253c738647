"""The daemon as a process: how soon it trades, what it weighs, what it takes while it waits.

Start, memory and idle time are those of `roboinvest run` with its defaults, Chroma included. How
late the loop is can only be seen from inside, so that house runs in this process, with a probe that
looks a hundred times as often as the house's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.daemon import Daemon
from benchmarks.figures import median, percentile, repeat
from benchmarks.houses import Run, a_house, scratch, settings_for
from benchmarks.table import Goal, Row

FAMILY: Final = "process"
RUNS: Final = 3
START: Final = Goal(limit=5)  # s
MEMORY: Final = Goal(limit=350)  # MB
IDLE: Final = Goal(limit=1)  # % of a core
LAG: Final = Goal(limit=20)  # ms
PROBE_S: Final = 0.01
_READY: Final = "ready"  # the text memory's state once its child answers
_START_S: Final = 60.0  # a start that takes longer is a failure
_SETTLE_S: Final = 4.0  # after the start, before a waiting daemon is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How soon a daemon traded."""

    committed_s: float  # from the start of the process until a tick is in the database
    shown_s: float  # until system_status.json tells of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a daemon holds in memory."""

    own_mb: float
    children_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How late the loop of a house was."""

    fine_p99_ms: float
    fine_max_ms: float
    own_p99_ms: float  # as the house itself reports it


def measure_start(parent: Path, bytecode: Path) -> Start:
    """Return how soon a daemon on a fresh data folder had committed its first tick."""
    with scratch(parent) as root, Daemon(root / "data", bytecode) as daemon:
        committed_s = daemon.wait_for("a first tick", lambda: daemon.ticks() > 0, _START_S)
        shown_s = daemon.wait_for(
            "a first tick in the report", lambda: bool(daemon.status().get("last_tick")), _START_S
        )
        return Start(committed_s=committed_s, shown_s=shown_s)


def measure_weight(parent: Path, bytecode: Path, ticks: int = 200) -> Weight:
    """Return the memory of a daemon and its child after so many ticks."""
    with scratch(parent) as root, Daemon(root / "data", bytecode, "--speed", "1800") as daemon:
        daemon.wait_for("its child", lambda: _recall(daemon) == _READY, _START_S)
        daemon.wait_for(f"{ticks} ticks", lambda: daemon.ticks() >= ticks, _START_S)
        own_mb, children_mb = daemon.rss_mb()
        return Weight(own_mb=own_mb, children_mb=children_mb)


def measure_cpu(parent: Path, bytecode: Path, *, speed: float, window_s: float) -> float:
    """Return the percentage of a core that a settled daemon takes, its child left out."""
    with scratch(parent) as root, Daemon(root / "data", bytecode, "--speed", f"{speed:g}") as it:
        it.wait_for("its child", lambda: _recall(it) == _READY, _START_S)
        it.let_pass(_SETTLE_S)
        began_s, before_s = time.perf_counter(), it.cpu_s()
        it.let_pass(window_s)
        return 100 * (it.cpu_s() - before_s) / (time.perf_counter() - began_s)


def measure_lag(parent: Path, *, universe: int, ticks: int, chroma: str = "on") -> Lag:
    """Return how late the loop of a house was over so many ticks at the default pace."""
    with scratch(parent) as root:
        settings = settings_for(root, universe, memory__chroma=chroma)
        with a_house(settings, ticks) as run:
            return asyncio.run(_probed(run))


def rows(parent: Path) -> list[Row]:
    """Return the figures of this family."""
    with scratch(parent) as bytecode:
        measure_start(parent, bytecode)  # the cold one writes the bytecode
        starts = repeat(RUNS, lambda: measure_start(parent, bytecode))
        weights = repeat(RUNS, lambda: measure_weight(parent, bytecode))
        idle = measure_cpu(parent, bytecode, speed=1, window_s=20)
        paced = measure_cpu(parent, bytecode, speed=60, window_s=12)
    return [
        *_start_rows(starts),
        *_weight_rows(weights),
        _row("CPU at speed 1, a tick a minute", idle, "%", goal=IDLE, compared="of a core, 20 s"),
        _row("CPU at speed 60, a tick a second", paced, "%", compared="of a core, 12 s"),
        *_lag_rows(parent, 5),
        *_lag_rows(parent, 20),
    ]


def _start_rows(starts: Sequence[Start]) -> list[Row]:
    committed, shown = ([getattr(s, name) for s in starts] for name in ("committed_s", "shown_s"))
    return [
        _row("warm start to the first tick", median(committed), "s", n=len(starts), goal=START),
        _row(
            "the same until a report shows it",
            median(shown),
            "s",
            n=len(starts),
            compared="reports are written once a second",
        ),
    ]


def _weight_rows(weights: Sequence[Weight]) -> list[Row]:
    own, children = ([getattr(w, name) for w in weights] for name in ("own_mb", "children_mb"))
    return [
        _row("memory after 200 ticks", median(own), "MB", n=len(weights), goal=MEMORY),
        _row("memory of the Chroma child", median(children), "MB", n=len(weights)),
    ]


def _lag_rows(parent: Path, universe: int) -> list[Row]:
    lag = measure_lag(parent, universe=universe, ticks=15)
    name = f"loop lag p99, {universe} symbols"
    return [
        _row(
            name,
            lag.fine_p99_ms,
            "ms",
            goal=LAG,
            compared=f"every 10 ms for 15 s; the longest {lag.fine_max_ms:.1f} ms",
        ),
        _row(f"{name}, its own probe", lag.own_p99_ms, "ms", goal=LAG, compared="once a second"),
    ]


def _row(
    what: str, figure: float, unit: str, *, n: int = 1, goal: Goal | None = None, compared: str = ""
) -> Row:
    return Row(
        family=FAMILY, what=what, figure=figure, unit=unit, n=n, goal=goal, compared=compared
    )


async def _probed(run: Run) -> Lag:
    """Run a house with a probe beside it; the start is not looked at, the first tick begins it."""
    lags: list[float] = []
    async with asyncio.TaskGroup() as group:
        probe = group.create_task(_probe(run, lags))
        await run.live()
        own_p99_ms = run.house.loop_lag_p99_ms()
        probe.cancel()
    if own_p99_ms is None or not lags:
        raise RuntimeError("the house ended before its loop was looked at")
    return Lag(fine_p99_ms=percentile(lags, 0.99), fine_max_ms=max(lags), own_p99_ms=own_p99_ms)


async def _probe(run: Run, lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PROBE_S
        await asyncio.sleep(PROBE_S)
        if run.feeds and run.stamps:
            lags.append(max(0.0, loop.time() - due) * 1000)


def _recall(daemon: Daemon) -> str:
    return str(daemon.status().get("recall", {}).get("state", ""))
