"""Too many causes at once: when they count as a storm, and the ones there is no room for.

A storm hides nothing: its causes stay on the board, folded under one alert that people hear of.
Criticals are counted apart, so that a crowd of small troubles cannot hide one. Beyond the room of
the board a cause is kept as a digest, which is enough to know when it has recovered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.events import Severity
from roboinvest.runtime.alerting.values import digest_of

STORM: Final = "alerts.storm."  # begins the keys of storm alerts
OVERFLOW: Final = "alerts.overflow"  # key of the alert for causes without room
MAX_SPILLED: Final = 5_000  # digests


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLimits:
    """How much a board takes."""

    storm_causes: int = 20  # new ones of a kind within `storm_window`
    storm_window: timedelta = timedelta(minutes=1)
    room: Mapping[Severity, int] = field(  # open alerts up to which one more finds its own place
        default_factory=lambda: {
            Severity.CRITICAL: 2_000,
            Severity.HIGH: 1_800,
            Severity.MEDIUM: 1_500,
            Severity.LOW: 1_000,
        }
    )


class StormWatch:
    """Counts new causes of a kind within a window."""

    def __init__(self, limits: BoardLimits) -> None:
        self._limits = limits
        self._lately: dict[str, deque[datetime]] = {}

    def storm_of(self, kind: str, severity: Severity, at: datetime) -> str | None:
        """Count one more cause; return the key of the storm that it belongs to, if there is one."""
        name = f"{kind}.critical" if severity is Severity.CRITICAL else kind
        lately = self._lately.setdefault(name, deque(maxlen=self._limits.storm_causes + 1))
        while lately and not timedelta(0) <= at - lately[0] <= self._limits.storm_window:
            lately.popleft()  # too old, or from a time before the clock was set back
        lately.append(at)
        return STORM + name if len(lately) > self._limits.storm_causes else None


class Spilled:
    """The causes that found no room, by digest."""

    def __init__(self) -> None:
        self._digests: dict[str, None] = {}
        self.unnamed = 0  # seen when even the digests were full: nobody can say when they recover

    @property
    def count(self) -> int:
        """Return how many causes are not on the board."""
        return len(self._digests) + self.unnamed

    def digests(self) -> tuple[str, ...]:
        """Return what a restart needs to know."""
        return tuple(self._digests)

    def restore(self, digests: Iterable[str], unnamed: int) -> None:
        """Take over what the run before could not show."""
        self._digests = dict.fromkeys(list(digests)[:MAX_SPILLED])
        self.unnamed = max(0, unnamed)

    def add(self, key: str) -> None:
        """Note a cause that found no room."""
        digest = digest_of(key)
        if digest in self._digests:
            return
        if len(self._digests) < MAX_SPILLED:
            self._digests[digest] = None
        else:
            self.unnamed += 1

    def take(self, key: str) -> bool:
        """Forget a cause, because it recovered or found room; return whether it was here."""
        digest = digest_of(key)
        if digest not in self._digests:
            return False
        del self._digests[digest]
        return True
