"""How long ago attempts were made and when they are due, whatever the wall clock is set to.

What this process began is timed by a clock that nobody sets. Of what an earlier process began only
the instants on file are known: they are believed as far as they can be, so that nothing waits for
longer than it would have, and what lies in the future counts as made when it was first seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from roboinvest.core.oversight.healing_record import HealAttempt
from roboinvest.core.ports import Clock

BACK_SLACK: Final = timedelta(minutes=5)  # by which two stamps may disagree


class AttemptTimes:
    """When attempts began, on the clock of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}  # s, monotonic, by attempt
        self._due: dict[str, float] = {}  # the same; open ones alone

    def began(self, attempt: HealAttempt) -> None:
        """Take note of an attempt that begins now."""
        at = self._clock.monotonic()
        self._began[attempt.attempt_id] = at
        self._due[attempt.attempt_id] = at + _seconds(attempt.deadline - attempt.at)

    def due(self, still_open: Sequence[HealAttempt]) -> tuple[HealAttempt, ...]:
        """Return those that are to be measured now, and forget when others are due.

        One that an earlier process began waits for what was left of its time, and never for more
        than all of it.
        """
        now, at = self._clock.now(), self._clock.monotonic()
        due = dict[str, float]()
        for each in still_open:
            self._see(each)
            left = min(max(each.deadline - now, timedelta(0)), each.deadline - each.at)
            due[each.attempt_id] = self._due.get(each.attempt_id, at + _seconds(left))
        self._due = due
        return tuple(
            each
            for each in still_open
            if due[each.attempt_id] <= at or self.is_from_the_future(each)
        )

    def is_from_the_future(self, attempt: HealAttempt) -> bool:
        """Return whether the clock was set back since an earlier process began an attempt."""
        is_known = attempt.attempt_id in self._began
        return not is_known and self._clock.now() < attempt.at - BACK_SLACK

    def of_today(self, attempt: HealAttempt) -> HealAttempt:
        """Return an attempt with the instants that it would carry by the clock as it is set now."""
        began, now = self._began.get(attempt.attempt_id), self._clock.now()
        if began is None:
            return attempt
        at = now - timedelta(seconds=self._clock.monotonic() - began)
        if abs(at - attempt.at) <= BACK_SLACK:
            return attempt
        settled = attempt.settled_at
        return replace(attempt, at=at, settled_at=None if settled is None else min(settled, now))

    def all_of_today(self, known: Iterable[HealAttempt]) -> list[HealAttempt]:
        """Return all of them so; what lies in the future begins to count when it is first seen."""
        found, at = list(known), self._clock.monotonic()
        for each in found:
            self._see(each)
            self._began.setdefault(each.attempt_id, at)
        names: Collection[str] = {each.attempt_id for each in found}
        self._began = {name: when for name, when in self._began.items() if name in names}
        return [self.of_today(each) for each in found]

    def until_next_s(self, usual_s: float) -> float:
        """Return for how long nothing is due; `usual_s` where nothing is open."""
        if not self._due:
            return usual_s
        return min(self._due.values()) - self._clock.monotonic()

    def _see(self, attempt: HealAttempt) -> None:
        """Believe what the file says of an attempt, the first time that it is seen."""
        if attempt.attempt_id not in self._began and not self.is_from_the_future(attempt):
            ago = max(self._clock.now() - attempt.at, timedelta(0))
            self._began[attempt.attempt_id] = self._clock.monotonic() - _seconds(ago)

    def closed(self, attempt_id: str) -> None:
        """Take note that an attempt was measured, or refused."""
        self._due.pop(attempt_id, None)


def _seconds(length: timedelta) -> float:
    return length.total_seconds()
