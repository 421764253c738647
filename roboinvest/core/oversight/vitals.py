"""The vital signs of one agent: what it did lately, beside what is usual for it.

All of it forgets. Calls are counted for ten minutes, exactly, so that a sentence can
say "12 of 40"; latencies, gauges and counters fade, and the agent's own history is about a day of
the same things. Times are seconds of one clock that never runs backwards, handed in.
Deliberately absent: limits. Whether a figure is bad is judged in `health`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.gauges import (
    CounterRows,
    Counters,
    CounterSigns,
    Gaps,
    GaugeRows,
    Gauges,
    GaugeSigns,
    counter_signs,
    gauge_signs,
)
from roboinvest.core.oversight.history import AgentHistory, short
from roboinvest.core.oversight.windows import (
    DAY_S,
    LEAST_S,
    MINUTES,
    SHORT_S,
    Fading,
    Latencies,
    MinuteCounts,
)

LATELY_MINUTES: Final = 2
TYPICAL_S: Final = 30.0  # half-life of how long calls take at present
MAX_GAUGES: Final = 8
MAX_COUNTERS: Final = 6
MAX_FINGERPRINTS: Final = 6  # the rarest makes room
MAX_FINGERPRINT: Final = 120  # characters
_LONGEST_GAP_S: Final = 120.0  # a longer one is a fault, and nothing to get used to
_HISTORY_EVERY_S: Final = 600.0  # how often the own history is looked up
_HISTORY_CALLS: Final = 50
_HISTORY_AGE_S: Final = 3600.0
_STRAYS_TIMES: Final = 3.0  # so far from what is usual nothing is learned, for a day at most
_OUTLIER_LOG: Final = 3.0  # one call counts as at most 20 times the usual


@dataclass(frozen=True, slots=True)
class Latency:
    """How long calls take, seconds; a percentile is within 9.6 % (`windows.RELATIVE_ERROR`)."""

    calls: float  # that the percentiles rest on, the older the less
    p50_s: float  # of about ten minutes
    p95_s: float
    p99_s: float
    typical_s: float  # geometric mean of about a minute
    typical_calls: float  # that it rests on
    usual_p50_s: float | None  # of about a day; None: too little history
    usual_p95_s: float | None


# The fields of `Latency`, in their order.
LatencyRow = tuple[float, float, float, float, float, float, float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalSigns:
    """An agent at one moment.

    There are thousands of these at a time, so figures that few ask for lie here as they were kept,
    in what the garbage collector need not look through, and are worked out for whoever asks.
    """

    at: float  # seconds, on the clock that was handed in
    age_s: float  # since it was first watched
    silent_s: float  # without progress, announced waits left out
    longest_gap_s: float | None  # between two signs of progress, of about a week; None: unknown
    calls: int  # in the last ten minutes
    failed: int  # of these
    calls_lately: int  # in the last two minutes
    failed_lately: int
    usual_error_frac: float | None  # of about a day; None: too few calls
    latency_row: LatencyRow | None  # None: no call was timed
    fingerprints: tuple[tuple[str, float], ...]  # errors of about ten minutes, most frequent first
    gauge_rows: GaugeRows
    counter_rows: CounterRows

    @property
    def latency(self) -> Latency | None:
        """Return how long calls take; None: no call was timed."""
        return None if self.latency_row is None else Latency(*self.latency_row)

    @property
    def gauges(self) -> tuple[GaugeSigns, ...]:
        """Return what it read off itself."""
        return gauge_signs(self.gauge_rows, self.at)

    @property
    def counters(self) -> tuple[CounterSigns, ...]:
        """Return what it brought about."""
        return counter_signs(self.counter_rows, self.at)

    @property
    def success_frac(self) -> float | None:
        """Return the share of calls of the last ten minutes that went well; None without one."""
        return (self.calls - self.failed) / self.calls if self.calls else None


class Vitals:
    """The pulse of one agent; under 10 KB whatever it does."""

    __slots__ = (
        "_began_at",
        "_calls",
        "_counters",
        "_errors",
        "_gaps",
        "_gauges",
        "_paces",
        "_progress_at",
        "_usual_calls",
        "_usual_failed",
        "_waiting_until",
    )

    def __init__(self, began_at: float) -> None:
        """Begin to watch; until its first progress an agent has as long as between two."""
        self._began_at = self._progress_at = began_at
        self._waiting_until = began_at
        self._gaps = Gaps(began_at)
        self._calls = MinuteCounts()
        self._usual_calls, self._usual_failed = Fading(DAY_S, began_at), Fading(DAY_S, began_at)
        self._paces: _Paces | None = None
        self._errors: dict[str, Fading] = {}
        self._gauges, self._counters = Gauges(), Counters()

    def successor(self, at: float) -> Vitals:
        """Return the pulse of what takes its place: nothing is known of it but the usual pace."""
        found = Vitals(at)
        found._paces = self._paces
        return found

    def progressed(self, at: float) -> None:
        """Note that work got on; a wait that was announced is over."""
        gap = at - max(self._progress_at, min(self._waiting_until, at))
        self._gaps.learn(min(max(gap, 0.0), _LONGEST_GAP_S), at)
        self._progress_at = self._waiting_until = max(at, self._progress_at)

    def waits(self, at: float, until: float) -> None:
        """Note that no progress is to be expected before `until`."""
        self._progress_at = max(at, self._progress_at)
        self._waiting_until = max(until, at)

    def succeeded(self, at: float, seconds: float) -> None:
        """Count a call that went well, and how long it took.

        Raises:
            BadInput: the seconds are negative or no number.
        """
        self._time(seconds, at)
        self._calls.add(at, failed=False)
        self._usual_calls.add(1.0, at)

    def failed(self, at: float, fingerprint: str, seconds: float | None = None) -> None:
        """Count a call that failed, and how long it took if that is known.

        Raises:
            BadInput: the seconds are negative or no number.
        """
        if seconds is not None:
            self._time(seconds, at)
        self._calls.add(at, failed=True)
        self._usual_calls.add(1.0, at)
        self._usual_failed.add(1.0, at)
        name, errors = fingerprint[:MAX_FINGERPRINT], self._errors
        if name not in errors and len(errors) >= MAX_FINGERPRINTS:
            del errors[min(errors, key=lambda each: errors[each].read(at))]
        errors.setdefault(name, Fading(SHORT_S, at)).add(1.0, at)

    def gauge(self, name: str, value: float, at: float) -> None:
        """Take a reading.

        Raises:
            BadInput: the value is no finite number, or there are too many gauges.
        """
        if not math.isfinite(value):
            raise BadInput(f"the gauge {name} reads {value}; hand in a finite number")
        _require_room(self._gauges, name, MAX_GAUGES, "gauges")
        self._gauges.read(name, value, at)

    def counter(self, name: str, by: float, at: float) -> None:
        """Count something that the agent brought about.

        Raises:
            BadInput: `by` is negative or no finite number, or there are too many counters.
        """
        if not (math.isfinite(by) and by >= 0.0):
            raise BadInput(f"the counter {name} moved by {by}; hand in a number of 0 or more")
        _require_room(self._counters, name, MAX_COUNTERS, "counters")
        self._counters.add(name, by, at)

    def history(self, now: float) -> AgentHistory:
        """Return what is usual, for a process that comes later."""
        paces = self._paces
        return AgentHistory(
            age_s=short(max(now - self._began_at, 0.0)),
            calls=short(self._usual_calls.read(now)),
            failed=short(self._usual_failed.read(now)),
            gaps=self._gaps.count,
            gap=self._gaps.history(now),
            paces=paces.shares(now) if paces is not None else (),
            usual_s=paces.usual if paces is not None else None,
            gauges=self._gauges.history(now),
            counters=self._counters.history(now),
        )

    def recall(self, history: AgentHistory, now: float, away_s: float) -> None:
        """Go on from what was usual before; what was not fed meanwhile has faded.

        Args:
            history: of this agent, by another process.
            now: on the clock of this one.
            away_s: since the history was taken.
        """
        then, left = now - away_s, math.exp2(-away_s / DAY_S)
        self._began_at = min(self._began_at, then - history.age_s)
        self._usual_calls.add(history.calls * left, now)
        self._usual_failed.add(history.failed * left, now)
        self._gaps.recall(history.gaps, history.gap, then)
        if history.paces:
            if self._paces is None:
                self._paces = _Paces(now)
            self._paces.recall([(each, w * left) for each, w in history.paces], history, now)
        for name, usual in history.gauges.items():
            if name in self._gauges or len(self._gauges) < MAX_GAUGES:
                self._gauges.recall(name, usual, now, then)
        for name, (total, usual) in history.counters.items():
            if name in self._counters or len(self._counters) < MAX_COUNTERS:
                self._counters.recall(name, total * left, usual, now, then)

    def snapshot(self, now: float) -> VitalSigns:
        """Return the signs at a moment."""
        paces = self._paces
        calls, failed = self._calls.read(now, MINUTES)
        calls_lately, failed_lately = self._calls.read(now, LATELY_MINUTES) if calls else (0, 0)
        is_old = now - self._began_at >= _HISTORY_AGE_S
        usual_calls = self._usual_calls.read(now) if is_old else 0.0
        has_history = usual_calls >= _HISTORY_CALLS
        return VitalSigns(
            at=now,
            age_s=now - self._began_at,
            silent_s=max(now - max(self._progress_at, self._waiting_until), 0.0),
            longest_gap_s=self._longest_gap_s(now),
            calls=calls,
            failed=failed,
            calls_lately=calls_lately,
            failed_lately=failed_lately,
            usual_error_frac=self._usual_failed.read(now) / usual_calls if has_history else None,
            latency_row=paces.read(now, is_old) if paces is not None and paces.is_timed else None,
            fingerprints=self._fingerprints(now) if failed else (),
            gauge_rows=self._gauges.rows(),
            counter_rows=self._counters.rows(),
        )

    def _longest_gap_s(self, now: float) -> float | None:
        is_known = now - self._began_at >= DAY_S and self._gaps.count >= _HISTORY_CALLS
        return self._gaps.longest_s if is_known else None

    def _fingerprints(self, now: float) -> tuple[tuple[str, float], ...]:
        found = [(name, left.read(now)) for name, left in self._errors.items()]
        return tuple(sorted(found, key=lambda each: (-each[1], each[0])))

    def _time(self, seconds: float, at: float) -> None:
        if not (math.isfinite(seconds) and seconds >= 0.0):
            raise BadInput(f"a call took {seconds} s; hand in a finite number of 0 or more")
        if self._paces is None:
            self._paces = _Paces(at)
        self._paces.add(seconds, at)


class _Paces:
    """How long calls take: at present, lately, usually."""

    __slots__ = ("_day", "_logs", "_looked_at", "_short", "_usual", "_weights", "is_timed")

    def __init__(self, at: float) -> None:
        self._short, self._day = Latencies(SHORT_S, at), Latencies(DAY_S, at)
        self._logs, self._weights = Fading(TYPICAL_S, at), Fading(TYPICAL_S, at)
        self._usual: tuple[float, float] | None = None
        self._looked_at = at
        self.is_timed = False  # since the process began

    def add(self, seconds: float, at: float) -> None:
        self.is_timed = True
        self._short.add(seconds, at)
        self._day.add(seconds, at)
        log = math.log(max(seconds, LEAST_S))
        if self._usual is not None:
            log = min(log, math.log(self._usual[0]) + _OUTLIER_LOG)
        self._logs.add(log, at)
        self._weights.add(1.0, at)

    @property
    def usual(self) -> tuple[float, float] | None:
        return self._usual

    def shares(self, now: float) -> tuple[tuple[int, float], ...]:
        return tuple((bucket, short(weight)) for bucket, weight in self._day.shares(now))

    def recall(
        self, shares: Iterable[tuple[int, float]], history: AgentHistory, now: float
    ) -> None:
        self._day.add_shares(shares, now)
        self._usual, self._looked_at = self._usual or history.usual_s, now

    def read(self, now: float, is_old: bool) -> LatencyRow:
        p50, p95, p99 = self._short.quantiles(0.5, 0.95, 0.99)
        weight = self._weights.read(now)
        typical_s = math.exp(self._logs.read(now) / weight) if weight > 1e-9 else p50
        if is_old:
            self._look_back(now, typical_s)
        usual = self._usual or (None, None)
        return self._short.weight(now), p50, p95, p99, typical_s, weight, *usual

    def _look_back(self, now: float, typical_s: float) -> None:
        """Look up what is usual, but not while calls stray: what lasts minutes is no habit."""
        since_s = now - self._looked_at
        if self._usual is not None:
            strays = typical_s > self._usual[0] * _STRAYS_TIMES
            if since_s < (DAY_S if strays else _HISTORY_EVERY_S):
                return
        self._looked_at = now
        if self._day.weight(now) >= _HISTORY_CALLS:
            p50, p95 = self._day.quantiles(0.5, 0.95)
            self._usual = p50, p95


def _require_room(known: Gauges | Counters, name: str, most: int, what: str) -> None:
    if len(known) >= most and name not in known:
        raise BadInput(
            f"{name} would be one of {most + 1} {what}, and {most} are kept; leave one out"
        )
