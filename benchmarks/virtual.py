"""A month of the whole house under virtual time: services, supervisor, reports, one symbol.

The house is the product's own; only the loop it runs on jumps from timer to timer, and waits for
real while the store or a report is being written. The text memory is off, because a child process
lives in real time. At the default pace of 60 market minutes a minute, closed hours left out, the
month passes in a few virtual hours.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.houses import a_house, scratch, settings_for
from benchmarks.table import Goal, Row
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.clocks import LoopClock
from tests.fakes.virtual_time import run_virtual

FAMILY: Final = "virtual"
DAYS: Final = 30
MONTH: Final = Goal(limit=120)  # s
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What a stretch of the house's life came to."""

    ticks: int
    wall_s: float
    cpu_s: float
    virtual_s: float  # that passed on the loop


def live_through(parent: Path, *, days: int = 0, ticks: int | None = None) -> Month:
    """Return what so many calendar days of the market, or so many ticks, cost."""
    in_flight = InFlight()
    with scratch(parent) as root:
        settings = settings_for(root, 1, memory__chroma="off")

        async def live() -> Month:  # built on the loop, because that is where its clock is
            house = a_house(settings, ticks, days=days, clock=LoopClock(), in_flight=in_flight)
            with house as run:
                wall, cpu = time.perf_counter(), time.process_time()
                await run.live()
                return Month(
                    ticks=run.ticks,
                    wall_s=time.perf_counter() - wall,
                    cpu_s=time.process_time() - cpu,
                    virtual_s=asyncio.get_running_loop().time(),
                )

        return run_virtual(live, in_flight)


def rows(parent: Path) -> list[Row]:
    """Return the figures of this family."""
    month = live_through(parent, days=DAYS)
    rests_on = (
        f"CPU {month.cpu_s:.0f} s; {month.ticks:,} ticks in {month.virtual_s / _HOUR_S:.1f} "
        f"virtual hours, {1000 * month.wall_s / month.ticks:.1f} ms each with what runs beside"
    )
    return [
        Row(
            family=FAMILY,
            what=f"{DAYS} days of the whole house, 1 symbol",
            figure=month.wall_s,
            unit="s",
            n=1,
            goal=MONTH,
            compared=rests_on,
        )
    ]
