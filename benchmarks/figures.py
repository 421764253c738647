"""Small arithmetic of measuring, and the one core that figures of speed are taken on."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

ValueT = TypeVar("ValueT")


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], part: float) -> float:
    """Return the nearest-rank percentile; `part` is in (0, 1]."""
    ranked = sorted(values)
    return ranked[max(math.ceil(part * len(ranked)) - 1, 0)]


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, its new threads and its new children on one core meanwhile."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})  # the first one serves more interrupts
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def repeat(times: int, measure: Callable[[], ValueT]) -> list[ValueT]:
    """Return `times` measurements, each begun without the garbage of the one before."""
    found: list[ValueT] = []
    for _ in range(times):
        gc.collect()
        found.append(measure())
    return found


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant on both clocks."""

    wall_s: float
    cpu_s: float  # of the whole process, all threads

    @classmethod
    def now(cls) -> Moment:
        """Read both clocks."""
        return cls(wall_s=time.perf_counter(), cpu_s=time.process_time())

    def passed(self) -> Took:
        """Return what has passed since."""
        return Took(
            wall_ms=(time.perf_counter() - self.wall_s) * 1000,
            cpu_ms=(time.process_time() - self.cpu_s) * 1000,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What something cost."""

    wall_ms: float
    cpu_ms: float  # of the whole process, all threads

    @classmethod
    def middle(cls, costs: Sequence[Took]) -> Took:
        """Return the median of each."""
        return cls(
            wall_ms=median([took.wall_ms for took in costs]),
            cpu_ms=median([took.cpu_ms for took in costs]),
        )


async def cost_of_each(times: int, work: Callable[[int], Awaitable[object]]) -> list[Took]:
    """Return the cost of each of `times` awaited calls; they get their number."""
    costs: list[Took] = []
    for number in range(times):
        began = Moment.now()
        await work(number)
        costs.append(began.passed())
    return costs
