"""How pulses are felt: of services, of the agents of a tick, of market data, of vendors.

Nothing asks an agent how it is. A service is known by its beats and by what its supervisor says,
the agents of a tick by the ticks that were committed, a vendor by the alert that its own client
raises while it is away. A wait that the supervisor grants is no silence.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meta_agents.overseer import Overseer
from meta_agents.overseer_evidence import FAILURES
from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Asks,
    Event,
    ServiceFailed,
    ServiceRecovered,
    TickCompleted,
)
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.oversight.evidence import Origin
from roboinvest.core.oversight.fingerprints import HUNG, RETURNED, http_line, line_of
from roboinvest.core.oversight.health import Status
from roboinvest.core.ports import Clock
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus

STARTS_S: Final = 120.0  # a start that takes longer is told
WINDOW_S: Final = 600.0  # in which failures of a service are counted
MOST_FAILURES: Final = 50
OURS: Final = ("agent.", "heal.")  # begin the keys of what we raise ourselves
MOST_ROWS: Final = 50  # of a look that are counted; more keep their proportion
MOST_ASKS: Final = 50  # of a tick, the same
_UP: Final = frozenset(
    {ServiceState.RUNNING, ServiceState.FINISHED, ServiceState.STOPPED, ServiceState.DOWN}
)


class ServiceSense:
    """Feels the pulse of everything that the supervisor keeps."""

    def __init__(
        self, overseer: Overseer, clock: Clock, statuses: Callable[[], Sequence[ServiceStatus]]
    ) -> None:
        self._overseer, self._clock, self._statuses = overseer, clock, statuses
        self._beats: dict[str, tuple[int, int]] = {}  # restarts and beats at the last look
        self._away: set[str] = set()  # quarantined, at the last look
        self._resting: set[str] = set()  # of those: well until then
        self._in_trouble: set[str] = set()
        self._failed_at: dict[str, deque[float]] = {}

    def hear(self, event: Event) -> None:
        """Take note of a fact that the supervisor told."""
        if isinstance(event, ServiceRecovered):
            self._in_trouble.discard(event.service)
        elif isinstance(event, ServiceFailed):
            pulse, at = self._overseer.pulse(event.service), self._clock.monotonic()
            if pulse is not None:
                pulse.failed(at, _line(event))
                if event.service not in self._in_trouble:
                    pulse.waits(at, at)  # it was well until now
            self._in_trouble.add(event.service)
            self._failed_at.setdefault(event.service, deque(maxlen=MOST_FAILURES)).append(at)

    def feel(self, at: float) -> None:
        """Feel every service once."""
        statuses = self._statuses()
        away = {each.name for each in statuses if each.state is ServiceState.QUARANTINED}
        self._overseer.put_away(away)
        self._note_resting(away)
        for status in statuses:
            pulse = self._overseer.pulse(status.name)
            if pulse is None:
                continue
            moved = self._has_moved(status)
            if moved and status.last_beat_age_s is not None:
                pulse.progressed(at - status.last_beat_age_s)
            rests = status.name in self._resting
            if status.name not in self._in_trouble and (rests or _is_up(status)):
                pulse.waits(at, at)
            failed = self._failed_at.get(status.name, ())
            pulse.gauge(FAILURES, float(sum(at - when < WINDOW_S for when in failed)), at)

    def _note_resting(self, away: set[str]) -> None:
        """Note who was not known to be unwell when somebody put it away: it needs no healing."""
        last = self._overseer.last
        for name in away - self._away:
            health = None if last is None else last.healths.get(name)
            if health is None or health.status is Status.HEALTHY:
                self._resting.add(name)
        self._resting &= away
        self._away = away

    def is_well(self, name: str) -> bool:
        """Return whether a service runs and is not known to fail."""
        found = next((each for each in self._statuses() if each.name == name), None)
        return found is not None and found.state in _UP and name not in self._in_trouble

    def _has_moved(self, status: ServiceStatus) -> bool:
        now = status.restarts, status.beats
        before = self._beats.get(status.name, (status.restarts, 0))
        self._beats[status.name] = now
        return status.beats > (before[1] if before[0] == now[0] else 0)


class TickSense:
    """Feels the agents of a tick, and the market's data, by the ticks that were committed."""

    def __init__(
        self,
        overseer: Overseer,
        clock: Clock,
        *,
        agents: tuple[str, ...],
        data: str,
        host_is_well: Callable[[], bool],
        counts: Callable[[], DataCounts],
        counters: Mapping[str, str] | None = None,
        strategy: str = "",
    ) -> None:
        """Take the names.

        Args:
            overseer: keeps the pulses.
            clock: the machine's.
            agents: that take part in each tick.
            data: name of the market's data.
            host_is_well: whether the service that ticks is well: it waits, and they with it.
            counts: what the quality gate did so far.
            counters: whose counter each of `hourly.COUNTS` is; the others are the house's alone.
            strategy: the installed one that decides; "": there is none.
        """
        self._overseer, self._clock = overseer, clock
        self._counters = dict(counters or {})
        self._agents, self._data, self._strategy = agents, data, strategy
        self._host_is_well, self._counts = host_is_well, counts
        self._seen = (0, 0)  # rows used and quarantined
        self._ticks = self._felt = 0

    def hear(self, event: Event) -> None:
        """Take note of a committed tick."""
        if not isinstance(event, TickCompleted):
            return
        at = self._clock.monotonic()
        self._ticks += 1
        for name in self._agents:
            pulse = self._overseer.pulse(name)
            if pulse is not None:
                pulse.progressed(at)
        for name, by in _counts_of(event).items():
            self._overseer.count(name, by)
            pulse = self._overseer.pulse(self._counters.get(name, ""))
            if pulse is not None and by:
                pulse.counter(name, by, at)
        self._take_asks(event.asks or Asks(), at)
        self._take_rows(at)

    def feel(self, at: float) -> None:
        """Feel once: without a tick there was nothing to do, unless the service is in trouble."""
        ticked, self._felt = self._ticks > self._felt, self._ticks
        if self._host_is_well():
            for name in (*self._agents, self._strategy):
                self._grant(name, at)
        if not ticked:
            self._grant(self._data, at)

    def _grant(self, name: str, at: float) -> None:
        pulse = self._overseer.pulse(name)
        if pulse is not None:
            pulse.waits(at, at)

    def _take_asks(self, asks: Asks, at: float) -> None:
        """Count what the installed strategy was asked; a tick without a question is its part, too.

        Its failures stopped nothing, so that this is all that is ever heard of them.
        """
        pulse = self._overseer.pulse(self._strategy)
        if pulse is None:
            return
        if asks.answered or not asks.failures:
            pulse.progressed(at)
        part = min(MOST_ASKS / max(asks.answered + asks.failed, 1), 1.0)
        for _ in range(math.ceil(asks.answered * part)):
            pulse.succeeded(at, max(asks.seconds, 0.0) / asks.answered)
        for line, count in asks.failures:
            for _ in range(math.ceil(count * part)):
                pulse.failed(at, line)

    def _take_rows(self, at: float) -> None:
        pulse, counts = self._overseer.pulse(self._data), self._counts()
        used, bad = counts.used - self._seen[0], counts.quarantined - self._seen[1]
        self._seen = counts.used, counts.quarantined
        if pulse is None or used + bad <= 0:
            return
        part = min(MOST_ROWS / (used + bad), 1.0)
        for _ in range(round(used * part)):
            pulse.succeeded(at, 0.0)
        if used:
            pulse.progressed(at)
        for _ in range(round(bad * part)):
            pulse.failed(at, line_of("Incomplete", family="TryLater", text="rows were refused"))


def _counts_of(event: TickCompleted) -> Mapping[str, int]:
    return {
        "decisions": event.decisions,
        "fills": event.fills,
        "trades": event.trades,
        "insights": event.insights,
        "lookups": event.lookups,
        "lookup hits": event.lookup_hits,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """By which alerts of others an agent is known to be away."""

    agent: str
    prefixes: tuple[str, ...] = ()  # of their keys
    kinds: tuple[str, ...] = ()  # of alert


class AlertSense:
    """Feels what has no pulse of its own by the alerts that its owner raises and resolves."""

    def __init__(self, overseer: Overseer, clock: Clock, signals: Sequence[Signal]) -> None:
        self._overseer, self._clock = overseer, clock
        self._signals = tuple(signals)
        self._open: dict[str, set[str]] = {each.agent: set() for each in signals}

    def resume(self, open_alerts: Mapping[str, str]) -> None:
        """Take over what an earlier run left open: the kind of each alert, by key."""
        for key, kind in open_alerts.items():
            for signal in self._signals:
                if _is_about(signal, key, kind):
                    self._open[signal.agent].add(key)

    def hear(self, event: Event) -> None:
        """Take note of an alert."""
        if isinstance(event, (AlertRaised, AlertResolved)) and event.key.startswith(OURS):
            return
        if isinstance(event, AlertResolved):
            for keys in self._open.values():
                keys.discard(event.key)
        elif isinstance(event, AlertRaised):
            for signal in self._signals:
                if _is_about(signal, event.key, event.kind):
                    self._take(signal.agent, event)

    def key_of(self, agent: str) -> str | None:
        """Return the key of the alert that says that an agent is away; None: there is none."""
        return next(iter(sorted(self._open.get(agent, ()))), None)

    def feel(self, at: float) -> None:
        """Feel each once: what nobody raises an alert on gets on."""
        for signal in self._signals:
            pulse = self._overseer.pulse(signal.agent)
            if pulse is not None and not self._open[signal.agent]:
                pulse.progressed(at)

    def _take(self, agent: str, event: AlertRaised) -> None:
        """Count an alert as one failure, however long it lasts: a share is for calls."""
        pulse, known = self._overseer.pulse(agent), self._open[agent]
        if pulse is not None and event.key not in known:
            pulse.failed(self._clock.monotonic(), said_of(event.message))
        known.add(event.key)


def said_of(text: str) -> str:
    """Return the line of an error of somebody outside, from what was said of it."""
    lower = text.casefold()
    if any(word in lower for word in ("budget", " cap ", "reserved", "spent")):
        return line_of("BudgetSpent", text=text)
    for word in lower.replace(":", " ").replace(",", " ").replace("(", " ").split():
        if len(word) == 3 and word.isdigit() and word[0] in "45":
            code = "insufficient_quota" if "insufficient_quota" in lower else ""
            return http_line(int(word), code)
    is_late = any(word in lower for word in ("timed out", "time-out", "deadline", "no answer"))
    kind = "TimeoutError" if is_late else "TryLater"
    return line_of(kind, origin=Origin.VENDOR, text=text)


def _is_up(status: ServiceStatus) -> bool:
    """Return whether a service runs, has ended as it should, or starts as it should."""
    if status.state is ServiceState.STARTING:
        return (status.last_beat_age_s or 0.0) < STARTS_S
    return status.state in _UP


def _is_about(signal: Signal, key: str, kind: str) -> bool:
    return key.startswith(signal.prefixes) if signal.prefixes else kind in signal.kinds


def _line(event: ServiceFailed) -> str:
    if event.fingerprint:
        return event.fingerprint
    ended = event.reason.startswith(("returned", "was cancelled"))
    return line_of(RETURNED if ended else HUNG, text=event.reason)
