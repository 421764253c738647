"""From which figures on an agent is not well: fixed limits, and how far it may stray from its own.

The defaults are the original's where those were sane: 30 s for an answer, 80 % of calls that go
well, 80 % of the processor, 85 % of the memory, 5 minutes without progress. A limit is about a rate
or a level of the last minutes, never about a total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from roboinvest.core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeLimit:
    """From where on a gauge is bad, and from where on very bad."""

    degraded: float
    failing: float
    fills: bool = True  # it fills up, so that a steady rise has an end that can be told

    def __post_init__(self) -> None:
        """Raise BadInput for limits in the wrong order."""
        if not 0 < self.degraded <= self.failing:
            raise BadInput(
                f"a gauge is degraded from {self.degraded} and failing from {self.failing}; "
                "give the lower one first, above 0"
            )


CLOCK_OFF: Final = "clock_off_s"  # by which the wall clock was set
DISK_ANSWERS: Final = "disk_answers_s"  # in which a file was written and read back
GAUGE_LIMITS: Final[Mapping[str, GaugeLimit]] = {
    "cpu_frac": GaugeLimit(degraded=0.80, failing=1.5, fills=False),  # what fails says loop lag
    "memory_frac": GaugeLimit(degraded=0.85, failing=0.95),  # of what the house may use
    "disk_frac": GaugeLimit(degraded=0.90, failing=0.97),
    "open_files_frac": GaugeLimit(degraded=0.80, failing=0.95),
    "loop_lag_s": GaugeLimit(degraded=0.25, failing=5.0, fills=False),
    DISK_ANSWERS: GaugeLimit(degraded=0.5, failing=1e12, fills=False),  # it is slow, and works
    CLOCK_OFF: GaugeLimit(degraded=60.0, failing=1e12, fills=False),  # a clean process is no cure
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The limits of one agent, or of all."""

    offline_s: float = 300.0  # without progress, announced waits left out
    degraded_error_frac: float = 0.20  # of the calls of the last minutes
    failing_error_frac: float = 0.50
    least_calls: int = 10  # before a share of failures may judge
    certainty_z: float = 1.96  # the lower Wilson bound of a share has to pass the limit
    slow_s: float = 30.0  # that 95 % of the calls stay below
    least_timed: float = 4.0  # calls, before how long they take may judge
    gauges: Mapping[str, GaugeLimit] = field(default_factory=lambda: dict(GAUGE_LIMITS))
    # Against an agent's own history:
    slower_times: float = 5.0
    slower_least_s: float = 0.005  # nothing faster is slow
    error_times: float = 4.0
    error_least_frac: float = 0.05  # a smaller share is no flood
    silence_times: float = 2.0  # of the longest gap of about a week
    silence_least_s: float = 60.0
    flood_times: float = 5.0  # of the highest pace of about a week
    leak_within_s: float = 1_800.0  # until the limit, at the pace of the last minutes
    slow_leak_within_s: float = 43_200.0  # at the pace of the last hours
    # Against flapping:
    keep_frac: float = 0.8  # what was found lasts until it is below so much of its limit
    keep_gauge_frac: float = 0.95  # the same for levels, which stand closer to their limits
    calm_s: float = 120.0  # nothing may be found for so long before a status gets better

    def __post_init__(self) -> None:
        """Raise BadInput for limits that judge nothing, or everything."""
        if not 0 < self.degraded_error_frac <= self.failing_error_frac < 1:
            raise BadInput(
                f"calls may fail by {self.degraded_error_frac} and {self.failing_error_frac}; "
                "give two shares between 0 and 1, the lower one first"
            )
        for name in ("keep_frac", "keep_gauge_frac"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"{name} is {getattr(self, name)}; give a share between 0 and 1")
        for name in ("slower_times", "error_times", "silence_times", "flood_times"):
            if not getattr(self, name) > 1:
                raise BadInput(f"{name} is {getattr(self, name)}; give more than 1")
        for name in ("offline_s", "slow_s", "certainty_z", "calm_s", "leak_within_s"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} is {getattr(self, name)}; give more than 0")
        if self.least_calls < 5:
            raise BadInput(f"least_calls is {self.least_calls}; under 5 calls say nothing")
