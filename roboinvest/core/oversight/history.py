"""What is usual for one agent, as it outlives the process: a day of calls and paces, no more.

Figures of the moment are left behind; whoever starts again has done nothing yet. All times are ages
in seconds, because the clock of the pulses begins anew with each process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.windows import BUCKETS

VERSION: Final = 1  # of what is below
OLDEST_S: Final = 14 * 86_400.0  # a history that was left alone for longer says nothing
_DIGITS: Final = 7
# weight, age of the newest, mean, mean absolute deviation, height, age of the first
Usual = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHistory:
    """The history of one agent at one moment."""

    age_s: float  # since it was first watched
    calls: float  # of about a day
    failed: float  # of these
    gaps: int  # signs of progress but the first
    gap: Usual  # seconds between two of them
    paces: tuple[tuple[int, float], ...] = ()  # what is left of a day's latencies, by bucket
    usual_s: tuple[float, float] | None = None  # median and 95th percentile that are usual
    gauges: Mapping[str, Usual] = field(default_factory=dict)
    counters: Mapping[str, tuple[float, Usual]] = field(default_factory=dict)  # and a day's sum

    def __post_init__(self) -> None:
        """Raise BadInput for figures that no history has."""
        if not all(math.isfinite(each) and abs(each) < 1e15 for each in self._figures()):
            raise BadInput("a figure of a history is no finite number; it is of no use: begin anew")
        if self.age_s < 0 or self.gaps < 0 or not 0 <= self.failed <= self.calls * 1.001 + 1e-6:
            raise BadInput(
                f"a history of {self.age_s:g} s has {self.failed:g} of {self.calls:g} calls failed "
                f"and {self.gaps} gaps; it is of no use: begin anew"
            )
        if any(not 0 <= bucket < BUCKETS or weight < 0 for bucket, weight in self.paces):
            raise BadInput(f"a history has a latency outside of 0..{BUCKETS - 1}; begin anew")
        if self.usual_s is not None and min(self.usual_s) <= 0.0:
            raise BadInput("a history has a usual latency of zero or less; begin anew")

    def _figures(self) -> Iterator[float]:
        yield from (self.age_s, self.calls, self.failed, *self.gap, *(self.usual_s or ()))
        yield from (weight for _, weight in self.paces)
        for usual in self.gauges.values():
            yield from usual
        for total, usual in self.counters.values():
            yield from (total, *usual)


def short(value: float) -> float:
    """Return a figure with as many digits as a history keeps."""
    return float(f"{value:.{_DIGITS}g}")
