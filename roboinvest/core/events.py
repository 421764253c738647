"""Facts that services tell each other over the bus: frozen, past tense, one class each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TradingState(StrEnum):
    """What the daemon may do with money."""

    STARTING = "STARTING"
    RECONCILING = "RECONCILING"
    READY = "READY"
    DEGRADED = "DEGRADED"  # exits only
    HALTED = "HALTED"  # nothing is sent; a person resumes


class Severity(StrEnum):
    """How much an alert matters."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact."""

    at: datetime  # UTC, real time


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """What became of the questions to an installed strategy in one tick."""

    answered: int = 0
    seconds: float = 0.0  # that the answers took, all of them together
    failures: tuple[tuple[str, int], ...] = ()  # few lines of `oversight.fingerprints`; how often

    @property
    def failed(self) -> int:
        """Return how many questions had no answer."""
        return sum(count for _, count in self.failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickCompleted(Event):
    """A tick was decided, executed and committed."""

    tick_id: str
    tick_at: datetime  # UTC, market time
    decisions: int = 0  # buys, sells and holds
    fills: int = 0
    trades: int = 0  # round trips that ended
    insights: int = 0  # setups that were found worth remembering
    lookups: int = 0  # views for which past setups were looked for
    lookup_hits: int = 0  # of these: some were found
    asks: Asks | None = None  # None: the house's own agent decided


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateChanged(Event):
    """The daemon may now do more, or less, with money."""

    state: TradingState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFailed(Event):
    """A supervised service raised, returned, or made no progress."""

    service: str
    reason: str
    restarts: int
    quarantined: bool
    fingerprint: str = ""  # of what it raised, as `oversight.fingerprints` has it; "": nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecovered(Event):
    """A service that had failed makes progress again."""

    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Event):
    """Something a person may have to know. `key` names the cause: raised once, then counted."""

    key: str
    severity: Severity
    kind: str  # "data", "system", "agent", "performance", "broker", "risk", "budget", "security"
    message: str
    caused_by: str | None = None  # key of the alert that this one follows from, where it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(Event):
    """The cause of an alert is gone; `message` says what recovered it."""

    key: str
    message: str
