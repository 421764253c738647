"""When a failed service may start again: back-off, and how many restarts are too many.

Pure arithmetic over loop time, apart from the supervisor, so that the bound on restarts holds by
test for every pattern of failures. The count (MaxR in MaxT, as in Erlang/OTP) is what bounds a
fast crash loop; the back-off is what bounds a slow one.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartLimits:
    """How patient the supervisor is."""

    max_restarts: int = 5  # within `within_s`; one more failure is one too many
    within_s: float = 600.0
    backoff_first_s: float = 1.0
    backoff_max_s: float = 300.0
    healthy_after_s: float = 600.0  # a run that lasted this long starts the back-off afresh
    jitter_frac: float = 0.2  # a delay is cut by up to this, so that services do not beat in time


class RestartRecord:
    """The failures of one service."""

    def __init__(self, limits: RestartLimits, rng: random.Random) -> None:
        self.restarts = 0  # since the daemon started
        self._limits = limits
        self._rng = rng
        self._recent: deque[float] = deque()  # loop times of restarts granted
        self._in_a_row = 0

    def next_delay_s(self, failed_at: float, lived_s: float) -> float | None:
        """Return the wait before the next start after a run of `lived_s`; None: too many."""
        limits = self._limits
        while self._recent and self._recent[0] <= failed_at - limits.within_s:
            self._recent.popleft()
        if len(self._recent) >= limits.max_restarts:
            return None
        if lived_s >= limits.healthy_after_s:
            self._in_a_row = 0
        doublings = min(self._in_a_row, 32)  # far beyond any cap; keeps the power small
        delay = min(limits.backoff_first_s * 2.0**doublings, limits.backoff_max_s)
        delay *= 1.0 - limits.jitter_frac * self._rng.random()
        self._in_a_row += 1
        self._recent.append(failed_at)
        self.restarts += 1
        return delay

    def pardon(self) -> None:
        """Forget the recent failures: a person, or the Overseer, released the service."""
        self._recent.clear()
        self._in_a_row = 0
