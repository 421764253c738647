"""Is an agent well: judged from its signs, with the reason, the figure, the limit and since when.

Fixed limits and the agent's own history are both asked; the history alone can make an agent
degraded, never failing. A status gets worse at once and better only after some calm, and what was
found lasts until it is clearly gone, so that nothing flaps around a limit.
Nothing that is asked here counts over a lifetime, and no share judges on a handful of calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from roboinvest.core.oversight.agents import AgentCard
from roboinvest.core.oversight.gauges import CounterSigns, GaugeSigns, heights, most_counted
from roboinvest.core.oversight.thresholds import GaugeLimit, Thresholds
from roboinvest.core.oversight.vitals import Latency, VitalSigns
from roboinvest.core.oversight.windows import DAY_S, WEEK_S
from roboinvest.core.performance import wilson_interval

LATENCY: Final = "latency"  # what is found of slow calls
_OWN_Z: Final = 3.29  # a share against the own history: one chance in two thousand
_OWN_LEAST_CALLS: Final = 20
_TAIL_CALLS: Final = 20.0
_P95_Z: Final = 1.645  # of a normal distribution, here of the logarithm of how long calls take
_PACE_Z: Final = 0.5  # standard errors by which the present pace has to pass its limit
_LEAK_KNOWN_S: Final = 600.0  # a process that starts grows
_LEAK_FIT: Final = 0.6
_LEAK_ROOM: Final = 0.05  # of the limit; to rise by more is no noise
_SLOW_LEAK_FIT: Final = 0.9
_FLOOD_LEAST: Final = 20.0  # counted


class Status(StrEnum):
    """How an agent is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    OFFLINE = "offline"


RANK: Final[Mapping[Status, int]] = {
    Status.HEALTHY: 0,
    Status.DEGRADED: 1,
    Status.FAILING: 2,
    Status.OFFLINE: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    what: str  # tells it from the others: "errors", "gauge disk_frac"
    status: Status
    text: str  # the figure and the limit
    since: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHealth:
    """How an agent is at one moment."""

    name: str
    status: Status
    reasons: tuple[str, ...]  # the worst first; empty: healthy
    since: datetime  # UTC; of the status
    signs: VitalSigns
    findings: tuple[Finding, ...] = ()  # the worst first
    calm_from_s: float | None = None  # on the clock of the signs; while it may soon be better

    @property
    def is_slow(self) -> bool:
        """Return whether calls take too long."""
        return any(found.what == LATENCY for found in self.findings)


def judge(
    card: AgentCard,
    signs: VitalSigns,
    thresholds: Thresholds,
    now: datetime,
    before: AgentHealth | None = None,
) -> AgentHealth:
    """Return how an agent is.

    Args:
        card: who it is.
        signs: what it did.
        thresholds: the limits.
        now: UTC, when the signs were taken.
        before: what the last look came to; None at the first one.
    """
    known = {found.what: found for found in before.findings} if before is not None else {}
    findings: list[Finding] = []
    for what, status, text, lasted_s in _seen(signs, thresholds, known):
        old = known.get(what)
        since = old.since if old is not None else now - timedelta(seconds=lasted_s)
        findings.append(Finding(what=what, status=status, text=text, since=since))
    findings.sort(key=lambda found: -RANK[found.status])
    worst = findings[0].status if findings else Status.HEALTHY
    status, calm_from_s = _settled(worst, signs.at, thresholds, before)
    if before is not None and status is before.status:
        since = before.since
    else:
        since = min((found.since for found in findings if found.status is status), default=now)
    reasons = [f"{found.text}; since {clock_time(found.since, now)}" for found in findings]
    if calm_from_s is not None:
        calm_at = clock_time(now - timedelta(seconds=signs.at - calm_from_s), now)
        reasons.append(
            f"better since {calm_at}; {status} until that has lasted {duration(thresholds.calm_s)}"
        )
    return AgentHealth(
        name=card.name,
        status=status,
        reasons=tuple(reasons),
        since=since,
        signs=signs,
        findings=tuple(findings),
        calm_from_s=calm_from_s,
    )


def clock_time(at: datetime, now: datetime) -> str:
    """Return "14:02", with the date if it is of another day; UTC."""
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def duration(seconds: float) -> str:
    """Return "75 s", "5 min" or "3.2 h"."""
    if seconds < 120:
        return f"{figure(seconds)} s"
    return f"{figure(seconds / 60)} min" if seconds < 7200 else f"{figure(seconds / 3600)} h"


def figure(value: float) -> str:
    """Return a number with three digits that count, without an exponent where that is readable."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


_Seen = tuple[str, Status, str, float]  # what, how bad, in words, for how many seconds already


def _settled(
    worst: Status, at: float, thresholds: Thresholds, before: AgentHealth | None
) -> tuple[Status, float | None]:
    """Return the status, and since when there has been calm if it is to get better."""
    if before is None or RANK[worst] >= RANK[before.status]:
        return worst, None
    calm_from = before.calm_from_s if before.calm_from_s is not None else at
    if at - calm_from >= thresholds.calm_s:
        return worst, None
    # What moves again is not offline, however short the time.
    held = Status.DEGRADED if before.status is Status.OFFLINE else before.status
    return (held if RANK[held] > RANK[worst] else worst), calm_from


def _seen(signs: VitalSigns, limits: Thresholds, known: Mapping[str, Finding]) -> Iterator[_Seen]:
    if signs.silent_s >= min(limits.silence_least_s, limits.offline_s):
        yield from _silence(signs, limits)
    if signs.failed:
        yield from _errors(signs, limits, known)
    latency = signs.latency if known or _may_be_slow(signs, limits) else None
    if latency is not None:
        # Many calls at once, a minute ago, are as much to go by as a few just now.
        is_fresh = max(latency.typical_calls, signs.calls_lately / 1.5) >= limits.least_timed
        yield from _latency(latency, limits, known, is_fresh=is_fresh)
    for gauge in signs.gauges if known or _may_stand_high(signs, limits) else ():
        limit = limits.gauges.get(gauge.name)
        if limit is not None:
            yield from _level(gauge, limit, limits, known)
            if limit.fills:
                yield from _leak(gauge, limit, limits, known)
        if gauge.level is not None and gauge.known_s >= WEEK_S:
            yield from _unusual(gauge, known)
    is_many = most_counted(signs.counter_rows) >= _FLOOD_LEAST
    for counter in signs.counters if is_many else ():
        if counter.lately >= _FLOOD_LEAST and counter.known_s >= WEEK_S:
            yield from _flood(counter, limits, known)


# Most agents are well, and most of what they do is nowhere near a limit. These two say so for less;
# where they are in doubt, all is looked at, as it is where anything is known.


def _may_be_slow(signs: VitalSigns, limits: Thresholds) -> bool:
    """Return whether `_latency` could find anything that is not known yet."""
    if signs.latency_row is None:
        return False
    _, _, p95_s, _, typical_s, _, usual_s, usual_p95_s = signs.latency_row
    slowest_s = max(p95_s, typical_s)
    if slowest_s > limits.slow_s:
        return True
    if usual_s is None or usual_p95_s is None or slowest_s <= limits.slower_least_s:
        return False
    return slowest_s > usual_s * limits.slower_times


def _may_stand_high(signs: VitalSigns, limits: Thresholds) -> bool:
    """Return whether a gauge could be found high, filling up or unusual that is not known yet."""
    for name, value, lowest, highest in heights(signs.gauge_rows):
        if lowest > highest:
            return True
        limit = limits.gauges.get(name)
        if limit is not None and (
            lowest > limit.degraded * limits.keep_gauge_frac or (limit.fills and value >= highest)
        ):
            return True
    return False


def _silence(signs: VitalSigns, limits: Thresholds) -> Iterator[_Seen]:
    silent, longest = signs.silent_s, signs.longest_gap_s
    if silent >= limits.offline_s:
        text = f"no progress for {duration(silent)}, limit {duration(limits.offline_s)}"
        yield "silence", Status.OFFLINE, text, silent
    elif longest is not None:
        usual = max(longest * limits.silence_times, limits.silence_least_s)
        if silent >= usual:
            text = f"no progress for {duration(silent)}, at most {duration(longest)} is usual"
            yield "silence", Status.DEGRADED, text, silent


def _errors(signs: VitalSigns, limits: Thresholds, known: Mapping[str, Finding]) -> Iterator[_Seen]:
    """Look at ten minutes and at two: one has the calls, the other sees what began just now."""
    old = known.get("errors")
    lately = wilson_interval(signs.failed_lately, signs.calls_lately, limits.certainty_z)
    has_recovered = lately is not None and lately.high < limits.degraded_error_frac
    windows = [(signs.failed_lately, signs.calls_lately, 2)]
    if not has_recovered:
        windows.append((signs.failed, signs.calls, 10))
    for status, limit in (
        (Status.FAILING, limits.failing_error_frac),
        (Status.DEGRADED, limits.degraded_error_frac),
    ):
        for failed, calls, minutes in windows:
            if calls < limits.least_calls:
                continue
            is_held = old is not None and RANK[old.status] >= RANK[status]
            if _low(failed, calls, limits.certainty_z) > limit or (
                is_held and failed / calls > limit * limits.keep_frac
            ):
                text = f"{failed} of {calls} calls failed in the last {minutes} min"
                yield "errors", status, f"{text}, limit {limit:.0%}".replace("%", " %"), 0.0
                return
    yield from _own_errors(signs, windows, limits, known)


def _own_errors(
    signs: VitalSigns,
    windows: list[tuple[int, int, int]],
    limits: Thresholds,
    known: Mapping[str, Finding],
) -> Iterator[_Seen]:
    if signs.usual_error_frac is None:
        return
    limit = max(signs.usual_error_frac * limits.error_times, limits.error_least_frac)
    for failed, calls, minutes in windows:
        if calls < _OWN_LEAST_CALLS:
            continue
        is_held = "own errors" in known and failed / calls > limit * limits.keep_frac
        if _low(failed, calls, _OWN_Z) > limit or is_held:
            usual = f"usual is {signs.usual_error_frac * 100:.2g} %"
            text = f"{failed} of {calls} calls failed in the last {minutes} min, {usual}"
            yield "own errors", Status.DEGRADED, text, 0.0
            return


def _latency(
    latency: Latency, limits: Thresholds, known: Mapping[str, Finding], *, is_fresh: bool
) -> Iterator[_Seen]:
    keep = limits.keep_frac if LATENCY in known else 1.0
    # Under twenty calls the 95th percentile is but the slowest one.
    is_tail = latency.calls >= _TAIL_CALLS
    answer_s = latency.p95_s if is_tail else latency.p50_s
    if latency.calls >= limits.least_timed and answer_s > limits.slow_s * keep:
        text = f"{5 if is_tail else 50} % of the calls take {duration(answer_s)} and more"
        yield LATENCY, Status.DEGRADED, f"{text}, limit {duration(limits.slow_s)}", 0.0
        return
    usual, usual_p95 = latency.usual_p50_s, latency.usual_p95_s
    if usual is None or usual_p95 is None:
        return
    limit = max(usual * limits.slower_times, usual_p95 * 1.2, limits.slower_least_s) * keep
    if is_fresh:
        typical, calls = latency.typical_s, latency.typical_calls
    elif latency.calls >= limits.least_timed:  # it is called too seldom to see a minute
        typical, calls = latency.p50_s, latency.calls
    else:
        return
    # A few calls of one whose calls differ widely are slow by chance now and then.
    spread = math.log(max(usual_p95 / usual, 1.0)) / _P95_Z if usual > 0 else 0.0
    if typical > limit * math.exp(_PACE_Z * spread / math.sqrt(max(calls, 1.0))):
        text = f"a call takes {duration(typical)}, usual is {duration(usual)}"
        yield LATENCY, Status.DEGRADED, f"{text}, limit {duration(limit / keep)}", 0.0


def _level(
    gauge: GaugeSigns, limit: GaugeLimit, limits: Thresholds, known: Mapping[str, Finding]
) -> Iterator[_Seen]:
    level = gauge.level
    if level is None or level <= limit.degraded * limits.keep_gauge_frac:
        return
    what = f"gauge {gauge.name}"
    old = known.get(what)
    for status, bound in ((Status.FAILING, limit.failing), (Status.DEGRADED, limit.degraded)):
        is_held = old is not None and RANK[old.status] >= RANK[status]
        if level > bound * (limits.keep_gauge_frac if is_held else 1.0):
            text = f"{gauge.name} stands at {figure(level)}, limit {figure(bound)}"
            yield what, status, text, 0.0
            return


def _leak(
    gauge: GaugeSigns, limit: GaugeLimit, limits: Thresholds, known: Mapping[str, Finding]
) -> Iterator[_Seen]:
    """Look how soon a rise that was never seen before ends at the limit."""
    left = limit.failing - gauge.value
    if gauge.level is None or left <= 0 or gauge.value < gauge.highest:
        return
    noise = min(6.0 * gauge.spread, _LEAK_ROOM * limit.failing)
    if gauge.level < gauge.usual + noise:
        return
    what = f"leak {gauge.name}"
    slack = limits.keep_frac if what in known else 1.0
    for slope, least_fit, least_known_s, within_s in (
        (gauge.steep, _LEAK_FIT, _LEAK_KNOWN_S, limits.leak_within_s),
        (gauge.long, _SLOW_LEAK_FIT, DAY_S, limits.slow_leak_within_s),
    ):
        is_known = gauge.known_s >= least_known_s and slope.fit >= least_fit * slack
        if is_known and slope.per_s > 0 and left / slope.per_s <= within_s / slack:
            text = (
                f"{gauge.name} stands at {figure(gauge.value)}, rises by "
                f"{figure(slope.per_s * 3600)} an hour and reaches its limit of "
                f"{figure(limit.failing)} in {duration(left / slope.per_s)}"
            )
            yield what, Status.DEGRADED, text, 0.0
            return


def _unusual(gauge: GaugeSigns, known: Mapping[str, Finding]) -> Iterator[_Seen]:
    """Look whether a gauge stands higher than in weeks, by a margin."""
    what = f"own {gauge.name}"
    margin = max(
        0.5 * (gauge.highest - gauge.usual), 3.0 * gauge.spread, 0.1 * abs(gauge.highest), 1e-9
    )
    level = gauge.level if gauge.level is not None else gauge.value
    # The height learns what lasts, so an open finding is measured against the middle of the way.
    is_held = what in known and level > 0.5 * (gauge.usual + gauge.highest)
    if level > gauge.highest + margin or is_held:
        text = (
            f"{gauge.name} stands at {figure(level)}, usual is {figure(gauge.usual)} and seldom "
            f"more than {figure(gauge.highest)}"
        )
        yield what, Status.DEGRADED, text, 0.0


def _flood(
    counter: CounterSigns, limits: Thresholds, known: Mapping[str, Finding]
) -> Iterator[_Seen]:
    what = f"flood {counter.name}"
    middle = 0.5 * (counter.usual_per_hour + counter.highest_per_hour)
    is_held = what in known and counter.per_hour > middle
    if counter.per_hour > counter.highest_per_hour * limits.flood_times or is_held:
        text = (
            f"{counter.name} come at {figure(counter.per_hour)} an hour, usual is "
            f"{figure(counter.usual_per_hour)} and seldom more than "
            f"{figure(counter.highest_per_hour)}"
        )
        yield what, Status.DEGRADED, text, 0.0


def _low(failed: int, calls: int, z: float) -> float:
    share = wilson_interval(failed, calls, z)
    return share.low if share is not None else 0.0
