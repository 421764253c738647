"""How many ticks a second the whole house lives through, and where the time of one goes.

The speed is that of everything: services, graph, durable commit, reports; on one core, on the
simulated market at full speed. The parts are measured on a line of its own, where every port is
wrapped from outside.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import Moment, Took, median, one_core, percentile, repeat
from benchmarks.houses import a_house, scratch, settings_for
from benchmarks.table import Goal, Row
from benchmarks.tick_line import PARTS, run_line

FAMILY: Final = "ticks"
WARM_UP: Final = 50  # ticks that are not counted
RUNS: Final = 3
ONE_SYMBOL: Final = Goal(limit=200, at_least=True)  # ticks/s
TWENTY_SYMBOLS: Final = Goal(limit=40, at_least=True)  # ticks/s


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the ticks of one run went by."""

    per_s: float  # ticks
    p50_ms: float  # from the beginning of one tick to that of the next
    p99_ms: float
    cpu_ms: float  # of one tick, all threads

    @classmethod
    def of(cls, stamps: Sequence[Moment], warm_up: int = WARM_UP) -> Pace:
        """Return the pace of a run without its first ticks."""
        warm = stamps[warm_up:]
        if len(warm) < 2:
            raise ValueError(f"{len(stamps)} ticks leave none after {warm_up} of warming up")
        took = [(after.wall_s - before.wall_s) * 1000 for before, after in itertools.pairwise(warm)]
        return cls(
            per_s=len(took) * 1000 / sum(took),
            p50_ms=median(took),
            p99_ms=percentile(took, 0.99),
            cpu_ms=(warm[-1].cpu_s - warm[0].cpu_s) * 1000 / len(took),
        )


def measure_pace(
    parent: Path, *, universe: int, ticks: int, chroma: str = "off", warm_up: int = WARM_UP
) -> Pace:
    """Return the pace of one whole house at full speed on one core, its children included."""
    with one_core(), scratch(parent) as root:
        settings = settings_for(root, universe, simulated__speed="max", memory__chroma=chroma)
        with a_house(settings, ticks) as run:
            asyncio.run(run.live())
            return Pace.of(run.stamps, warm_up)


def rows(parent: Path) -> list[Row]:
    """Return the figures of this family."""
    return [
        *_pace_rows(parent, "1 symbol", ONE_SYMBOL, universe=1, ticks=800),
        *_pace_rows(parent, "20 symbols", TWENTY_SYMBOLS, universe=20, ticks=200),
        *_pace_rows(parent, "1 symbol, Chroma on", None, universe=1, ticks=500, chroma="on"),
        *_part_rows(parent, universe=1, ticks=450),
    ]


def _pace_rows(
    parent: Path, name: str, goal: Goal | None, *, universe: int, ticks: int, chroma: str = "off"
) -> list[Row]:
    found = repeat(
        RUNS, lambda: measure_pace(parent, universe=universe, ticks=ticks, chroma=chroma)
    )
    cpu_ms = median([pace.cpu_ms for pace in found])
    size = f"{ticks - WARM_UP} ticks a run"
    alone = f"CPU {cpu_ms:.2f} ms a tick: {1000 / cpu_ms:.0f} ticks/s on a core of its own"

    def row(what: str, figure: float, unit: str, compared: str, goal: Goal | None = None) -> Row:
        return Row(
            family=FAMILY,
            what=f"{what}, {name}",
            figure=figure,
            unit=unit,
            n=len(found),
            goal=goal,
            compared=compared,
        )

    return [
        row("full ticks", median([pace.per_s for pace in found]), "ticks/s", alone, goal),
        row("p50", median([pace.p50_ms for pace in found]), "ms", size),
        row("p99", median([pace.p99_ms for pace in found]), "ms", size),
    ]


def _part_rows(parent: Path, *, universe: int, ticks: int) -> list[Row]:
    """Return the parts of a tick, each the median of runs of the median of its ticks."""
    lines = repeat(RUNS, lambda: run_line(parent, universe=universe, ticks=ticks, warm_up=WARM_UP))
    whole = Took.middle([Took.middle(line.wholes) for line in lines])

    def row(what: str, figure: float, compared: str) -> Row:
        name = f"bare tick, {universe} symbol{'s' * (universe > 1)}: {what}"
        return Row(
            family=FAMILY, what=name, figure=figure, unit="ms", n=len(lines), compared=compared
        )

    found = [row("wall", whole.wall_ms, f"CPU {whole.cpu_ms:.2f} ms; no services, no reports")]
    for part in PARTS:
        cpu_ms = median([line.p50_ms(part) for line in lines])
        found.append(row(f"{part}, CPU", cpu_ms, f"{cpu_ms / whole.cpu_ms:.0%} of the CPU"))
    return found
