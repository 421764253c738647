"""What it costs to watch ten thousand agents: one health pass, and the memory of each.

Each agent has an hour of work behind it: calls of which some failed, three gauges, two counters.
The pass takes the signs of every agent and judges them beside what the last pass said. How long a
loop would be blocked depends on how many agents are judged between two breaths, so the longest
slice of `AT_A_TIME` is shown as well.
"""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.figures import median, one_core
from benchmarks.table import Goal, Row
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.health import AgentHealth, judge
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals

FAMILY: Final = "health"
AGENTS: Final = 10_000
PASSES: Final = 5
AT_A_TIME: Final = 100
STEPS: Final = 60  # of the hour that the agents have behind them
PASS: Final = Goal(limit=500)  # ms of CPU
BLOCKED: Final = Goal(limit=20)  # ms
WEIGHT: Final = Goal(limit=10)  # KB
_START: Final = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_SEED: Final = 20260105


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """Agents that are watched."""

    cards: Sequence[AgentCard]
    vitals: Sequence[Vitals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one look at all of them cost."""

    cpu_ms: float
    longest_slice_ms: float


def rows(folder: Path) -> list[Row]:
    """Return the figures of this family; nothing is written to `folder`."""
    del folder
    with one_core():
        weight_kb = measure_agent_kb(AGENTS // 10)
        ward = a_ward(AGENTS)
        passes = measure_passes(ward, PASSES)
        gc.freeze()
        apart = measure_passes(ward, PASSES)
        gc.unfreeze()
        events_us = measure_event_us()
    beside = f"{AGENTS:,} agents, 3 gauges and 2 counters each"
    slices = f"slices of {AT_A_TIME} agents, wall"

    def longest_ms(found: Sequence[Pass]) -> float:
        return median([each.longest_slice_ms for each in found])

    return [
        _row("a health pass, CPU", median([p.cpu_ms for p in passes]), "ms", beside, PASS),
        _row("its longest slice", longest_ms(apart), "ms", f"{slices}, gc.freeze before", BLOCKED),
        _row("the same", longest_ms(passes), "ms", f"{slices}, pauses of the collector in it"),
        _row("memory of an agent", weight_kb, "KB", "with an hour of work behind it", WEIGHT),
        _row("an event noted", events_us, "us", "a call that went well"),
    ]


def a_ward(agents: int) -> Ward:
    """Return agents with an hour of work behind them."""
    rng = random.Random(_SEED)
    cards = [
        AgentCard(
            name=f"agent {number}",
            kind=AgentKind.GENERATED,
            dependencies=tuple({f"agent {rng.randrange(number)}" for _ in range(3)})
            if number
            else (),
        )
        for number in range(agents)
    ]
    return Ward(cards=cards, vitals=[a_watched_agent(rng) for _ in range(agents)])


def a_watched_agent(rng: random.Random) -> Vitals:
    """Return one agent's hour."""
    vitals = Vitals(0.0)
    for step in range(STEPS):
        at = 60.0 * step
        vitals.progressed(at)
        vitals.succeeded(at, rng.lognormvariate(-1.0, 0.5))
        if rng.random() < 0.03:
            vitals.failed(at, "TryLater at port.py:12", 1.0)
        for name in ("memory_frac", "loop_lag_s", "queue"):
            vitals.gauge(name, rng.uniform(0.0, 0.2), at)
        for name in ("insights", "cache_hits"):
            vitals.counter(name, 1.0, at)
    return vitals


def measure_agent_kb(agents: int) -> float:
    """Return the memory of an agent's vitals."""
    rng = random.Random(_SEED)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [a_watched_agent(rng) for _ in range(agents)]
        return (tracemalloc.get_traced_memory()[0] - before) / len(kept) / 1000
    finally:
        tracemalloc.stop()


def measure_passes(ward: Ward, passes: int) -> list[Pass]:
    """Return what each pass cost, after one that is not counted."""
    limits = Thresholds()
    seen: list[AgentHealth | None] = [None] * len(ward.cards)
    found: list[Pass] = []
    for number in range(passes + 1):
        at = 60.0 * (STEPS + number)
        now = _START + timedelta(seconds=at)
        longest, cpu = 0.0, time.process_time()
        for first in range(0, len(seen), AT_A_TIME):
            began = time.perf_counter()
            for place in range(first, min(first + AT_A_TIME, len(seen))):
                signs = ward.vitals[place].snapshot(at)
                seen[place] = judge(ward.cards[place], signs, limits, now, seen[place])
            longest = max(longest, time.perf_counter() - began)
        spent = time.process_time() - cpu
        found.append(Pass(cpu_ms=spent * 1000, longest_slice_ms=longest * 1000))
    return found[1:]


def measure_event_us(events: int = 20_000) -> float:
    """Return the CPU time of noting one call."""
    vitals = Vitals(0.0)
    began = time.process_time()
    for number in range(events):
        vitals.succeeded(number * 0.1, 0.25)
    return (time.process_time() - began) / events * 1e6


def _row(what: str, figure: float, unit: str, compared: str, goal: Goal | None = None) -> Row:
    return Row(
        family=FAMILY,
        what=what,
        figure=figure,
        unit=unit,
        n=PASSES if goal in {PASS, BLOCKED} else 1,
        goal=goal,
        compared=compared,
    )
