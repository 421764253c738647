"""Tells the house when text recall is degraded, and when it answers again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.recall.recall import RecallState

KEY: Final = "recall"


class RecallAnnouncer:
    """Turns states of recall into alerts; give it to `Recall` as `on_state`."""

    def __init__(self, publish: Callable[[Event], None], clock: Clock) -> None:
        self._publish = publish
        self._clock = clock

    def __call__(self, state: RecallState, reason: str) -> None:
        """Raise or resolve the one alert of recall."""
        at = self._clock.now()
        if state is RecallState.READY:
            self._publish(AlertResolved(at=at, key=KEY, message="text recall answers again"))
        elif state is RecallState.DEGRADED:
            message = f"text recall is degraded ({reason}); trading does not need it"
            self._publish(
                AlertRaised(at=at, key=KEY, severity=Severity.LOW, kind="system", message=message)
            )
