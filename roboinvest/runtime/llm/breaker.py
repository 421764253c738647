"""Keeps calls away from a model that does not answer, and lets one through now and then to see.

Closed: every call goes. Open: none, until the rest is over. Probing: one call is on its way, and
what becomes of it decides. What can only be mended by a person (no money left, a refused key)
opens it at once and for the longest rest; so does a server that names a time to wait, for that
time. Outcomes of calls that began before it opened do not close it.

Pure: it reads no clock but the one handed in, and is used from one loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from roboinvest.runtime.llm.provider import Trouble

_PERSONS: Final = frozenset({Trouble.QUOTA, Trouble.KEY})  # time alone mends neither
_LEAST_S: Final = 1.0
_WORDS: Final = {
    Trouble.CONNECTION: "nobody answers",
    Trouble.TIMEOUT: "no answer came in time",
    Trouble.RATE: "too many requests",
    Trouble.QUOTA: "the account has no money left: top it up, or name another model",
    Trouble.KEY: "the key is refused: set the right one in the environment, and start again",
    Trouble.REQUEST: "requests are refused",
    Trouble.SERVER: "the server fails",
    Trouble.GARBAGE: "its replies cannot be read",
}


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class CircuitBreaker:
    """One model's breaker; each call that `may_call` lets through ends in one of the reports."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        failures: int = 3,
        rest_s: float = 30.0,
        longest_s: float = 600.0,
    ) -> None:
        """Make a closed breaker.

        Args:
            clock: monotonic seconds.
            failures: how many in a row open it.
            rest_s: how long it stays open the first time; each failed probe doubles it.
            longest_s: the most it is doubled to, and the rest where only a person can help.
        """
        if failures < 1 or not 0 < rest_s <= longest_s:
            raise ValueError(
                f"failures {failures} must be at least 1, and rest_s {rest_s:g} more than 0 and "
                f"at most longest_s {longest_s:g}"
            )
        self._clock = clock
        self._limit = failures
        self._first_rest_s = rest_s
        self._longest_s = longest_s
        self._rest_s = rest_s
        self._failed = 0  # in a row
        self._trouble: Trouble | None = None  # of the last failure
        self._until = -math.inf  # clock; of the rest, or of the patience with a probe
        self._state = BreakerState.CLOSED
        self.is_tried = False  # some call came to an end, good or bad

    @property
    def state(self) -> BreakerState:
        """Return the state; an open one whose rest is over stays so until somebody calls."""
        return self._state

    @property
    def trouble(self) -> str | None:
        """Return why calls are kept away, in words; None where they go."""
        return None if self._state is BreakerState.CLOSED else self._words()

    @property
    def remaining_s(self) -> float:
        """Return the seconds until a call may go; 0.0: now, or a probe is on its way."""
        return max(0.0, self._until - self._clock()) if self._state is BreakerState.OPEN else 0.0

    def may_call(self) -> str | None:
        """Return None where a call may go, else why not, in words.

        A rest that is over lets one call through and no other until its outcome is reported. A
        probe that nobody reports on is forgotten after the longest rest.
        """
        if self._state is BreakerState.CLOSED:
            return None
        left_s = self._until - self._clock()
        if left_s <= 0:
            self._state = BreakerState.PROBING
            self._until = self._clock() + self._longest_s
            return None
        why = f"{self._words()} ({self._failed} failed in a row)"
        if self._state is BreakerState.PROBING:
            return f"{why}; one trial call is on its way"
        return f"{why}; the next trial is in {math.ceil(left_s)} s"

    def succeeded(self) -> None:
        """Note an answer: it closes, unless the call began before it opened."""
        self.is_tried = True
        if self._state is BreakerState.OPEN:
            return
        self._state = BreakerState.CLOSED
        self._failed = 0
        self._trouble = None
        self._rest_s = self._first_rest_s

    def failed(self, trouble: Trouble, retry_after_s: float | None = None) -> None:
        """Note a call that came to nothing, or an answer that could not be read (GARBAGE)."""
        was = self._state
        self.is_tried = True
        self._failed += 1
        self._trouble = trouble
        asked_s = _asked(retry_after_s)
        at_once = trouble in _PERSONS or asked_s > 0
        if was is BreakerState.CLOSED and self._failed < self._limit and not at_once:
            return
        if was is BreakerState.PROBING:
            self._rest_s = min(self._rest_s * 2, self._longest_s)
        self._state = BreakerState.OPEN
        rest_s = asked_s or (self._longest_s if trouble in _PERSONS else self._rest_s)
        until = self._clock() + max(rest_s, _LEAST_S)
        if was is BreakerState.OPEN:  # the call began before: it may only prolong
            self._until = max(self._until, until) if at_once else self._until
        else:
            self._until = until

    def gave_up(self) -> None:
        """Note a call that was cancelled, or never sent: it says nothing; the next may try."""
        if self._state is BreakerState.PROBING:
            self._state = BreakerState.OPEN
            self._until = self._clock()

    def _words(self) -> str:
        return _WORDS[self._trouble] if self._trouble is not None else "it failed"


def _asked(retry_after_s: float | None) -> float:
    """Return the wait that a server asked for; 0.0: none that makes sense."""
    if retry_after_s is None or not math.isfinite(retry_after_s):
        return 0.0
    return max(0.0, retry_after_s)
