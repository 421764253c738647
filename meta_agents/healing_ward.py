"""What healing reads of the health passes: who is sick, by which figure, and that figure again.

The figure is the one that gave the agent away: a share of failed calls, a silence, a pace, a level.
Of calls only those count that came after the action; an agent that made too few of them since was
not measured, and is not called well for its silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.oversight.causes import Cause, Diagnosis
from roboinvest.core.oversight.gauges import GaugeSigns
from roboinvest.core.oversight.healing_record import Reading
from roboinvest.core.oversight.health import AgentHealth, Status
from roboinvest.core.oversight.ladder import Sick, Trait
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import VitalSigns
from roboinvest.core.ports import Clock

STALE_S: Final = 600.0  # a health pass that is older says nothing, unless looks are as rare
DEGRADED_FOR_S: Final = 300.0  # before what is merely degraded is healed
FEWEST_CALLS: Final = 3  # since the action, before a share of them is a measurement
LONGEST_TURN_S: Final = 3_600.0  # that an agent is given twice to show an effect
_LATELY_S: Final = 120.0
_WINDOW_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Figure:
    value: float
    limit: float
    observations: int


class HealthWard:
    """The last health pass, as healing needs it."""

    def __init__(
        self,
        clock: Clock,
        thresholds: Thresholds,
        traits: Callable[[str], frozenset[Trait]],
        limits_of: Callable[[str], Thresholds] | None = None,
    ) -> None:
        """Take the limits, and who knows what holds for an agent.

        Args:
            clock: the house's.
            thresholds: by which agents are judged.
            traits: of an agent.
            limits_of: by which one agent is judged, where they are not the same for all.
        """
        self._clock = clock
        self._limits_of = limits_of or (lambda _: thresholds)
        self._traits = traits
        self._at: datetime | None = None
        self._taken_at = 0.0  # s, monotonic: the wall clock may be set meanwhile
        self._apart_s = 0.0  # the last two passes
        self._began: dict[str, tuple[Status, float]] = {}  # each status that is not well, the same
        self._healths: Mapping[str, AgentHealth] = {}
        self._causes: Mapping[str, Diagnosis] = {}
        self._roots: Mapping[str, str] = {}

    def take(
        self,
        at: datetime,
        healths: Mapping[str, AgentHealth],
        causes: Mapping[str, Diagnosis],
        roots: Mapping[str, str],
    ) -> None:
        """Take what a health pass found.

        Args:
            at: UTC, of the pass.
            healths: by agent.
            causes: of those that are not well.
            roots: the agent because of which each of those fails.
        """
        self._at, self._healths, self._causes, self._roots = at, healths, causes, roots
        now = self._clock.monotonic()
        self._apart_s = now - self._taken_at if self._taken_at else 0.0
        self._taken_at = now
        began = dict[str, tuple[Status, float]]()
        for name, health in healths.items():
            if health.status is not Status.HEALTHY:
                known = self._began.get(name)
                is_same = known is not None and known[0] is health.status
                began[name] = known if known is not None and is_same else (health.status, now)
        self._began = began

    def sick(self) -> Sequence[Sick] | None:
        """Return who is to be healed, by name; None: nobody looked lately."""
        now = self._clock.monotonic()
        if self._at is None or now - self._taken_at > max(STALE_S, 1.5 * self._apart_s):
            return None
        found = (self._sick(self._healths[name], now) for name in sorted(self._healths))
        return tuple(each for each in found if each is not None)

    def measure(self, agent: str, metric: str, since: datetime) -> Reading | None:
        """Return a figure of the last pass, from what happened since."""
        health = self._healths.get(agent)
        if health is None or self._at is None:
            return None
        # By the clock as it is set now, like `since`: it may have been set since the pass.
        ago_s = self._clock.monotonic() - self._taken_at
        at = self._clock.now() - timedelta(seconds=ago_s)
        elapsed_s = (at - since).total_seconds()
        figure = _figure(metric, health, self._limits_of(agent), elapsed_s)
        if figure is None:
            return None
        return Reading(value=figure.value, at=at, observations=figure.observations)

    def traits(self, agent: str) -> frozenset[Trait]:
        """Return what holds for an agent."""
        return self._traits(agent)

    def _sick(self, health: AgentHealth, now: float) -> Sick | None:
        if health.status is Status.HEALTHY or not health.findings:
            return None
        began = self._began.get(health.name, (health.status, now))[1]
        if health.status is Status.DEGRADED and now - began < DEGRADED_FOR_S:
            return None
        what = health.findings[0].what
        figure = _figure(what, health, self._limits_of(health.name), 0.0)
        if figure is None:
            return None
        known = self._causes.get(health.name)
        return Sick(
            agent=health.name,
            cause=Cause.UNKNOWN if known is None else known.cause,
            reason=health.findings[0].text if known is None else known.reason,
            metric=what,
            value=figure.value,
            limit=figure.limit,
            root=self._roots.get(health.name, health.name),
            every_s=min(health.signs.longest_gap_s or 0.0, LONGEST_TURN_S),
        )


def _figure(what: str, health: AgentHealth, limits: Thresholds, elapsed_s: float) -> _Figure | None:
    """Return a figure and its limit; None: there is no such figure now."""
    signs = health.signs
    if what == "silence":
        longest = signs.longest_gap_s
        usual = (
            None if longest is None else max(longest * limits.silence_times, limits.silence_least_s)
        )
        return _Figure(signs.silent_s, min(limits.offline_s, usual or limits.offline_s), 1)
    if what in ("errors", "own errors"):
        return _errors(what, signs, limits, elapsed_s)
    if what == "latency":
        return _latency(signs, limits)
    if what.startswith("gauge "):
        gauge = next((each for each in signs.gauges if f"gauge {each.name}" == what), None)
        return _level(gauge, limits)
    is_found = any(found.what == what for found in health.findings)
    return _Figure(float(is_found), 0.0, int(signs.silent_s <= max(elapsed_s, 1.0)))


def _errors(what: str, signs: VitalSigns, limits: Thresholds, elapsed_s: float) -> _Figure:
    limit = limits.degraded_error_frac
    if what == "own errors":
        usual = (signs.usual_error_frac or 0.0) * limits.error_times
        limit = max(usual, limits.error_least_frac)
    failed, calls = signs.failed_lately, signs.calls_lately
    if calls < FEWEST_CALLS and elapsed_s >= _WINDOW_S:
        failed, calls = signs.failed, signs.calls
    is_enough = calls >= FEWEST_CALLS and (elapsed_s >= _LATELY_S or elapsed_s <= 1.0)
    if not calls:
        failed, calls = signs.failed, signs.calls
    return _Figure(failed / calls if calls else 0.0, limit, calls if is_enough else 0)


def _latency(signs: VitalSigns, limits: Thresholds) -> _Figure | None:
    latency = signs.latency
    if latency is None:
        return None
    usual = latency.usual_p50_s
    own = None if usual is None else max(usual * limits.slower_times, limits.slower_least_s)
    limit = min(limits.slow_s, own or limits.slow_s)
    is_fresh = latency.typical_calls >= 1.0
    return _Figure(
        latency.typical_s if is_fresh else latency.p50_s, limit, int(latency.typical_calls)
    )


def _level(gauge: GaugeSigns | None, limits: Thresholds) -> _Figure | None:
    limit = None if gauge is None else limits.gauges.get(gauge.name)
    if gauge is None or limit is None:
        return None
    level = gauge.value if gauge.level is None else gauge.level
    return _Figure(level, limit.degraded, int(gauge.level is not None))
