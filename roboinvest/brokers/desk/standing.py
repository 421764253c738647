"""What the desk lets through, and why: its share of the trading state.

Closed until the first reconciliation (the start barrier), then open, then open for exits only
while any doubt stands. A doubt has a name, so that the one who raised it lifts it and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from roboinvest.core.events import TradingState

OnState = Callable[[TradingState, str], None]


class Alarms(Protocol):
    """Who tells people. `key` names the cause."""

    def raised(self, key: str, message: str) -> None:
        """Something that a person has to know happened."""

    def resolved(self, key: str, message: str) -> None:
        """The cause is gone."""


class Standing:
    """The start barrier and the doubts."""

    def __init__(self, on_state: OnState, alarms: Alarms) -> None:
        self._on_state = on_state
        self._alarms = alarms
        self._is_open = False
        self._closed_because = "orders and positions are being compared with the broker"
        self._doubts: dict[str, str] = {}
        self._alarmed: set[str] = set()
        self._known: set[str] = set()  # of what an earlier run may have told: it is over
        self._told: tuple[TradingState, str] | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the start barrier was passed."""
        return self._is_open

    def now(self) -> tuple[TradingState, str]:
        """Return RECONCILING, READY or DEGRADED, and the reason."""
        if not self._is_open:
            return TradingState.RECONCILING, self._closed_because
        if self._doubts:
            return TradingState.DEGRADED, "; ".join(self._doubts.values())
        return TradingState.READY, "orders and positions agree with the broker"

    def doubts(self, name: str) -> bool:
        """Return whether a doubt of this name stands."""
        return name in self._doubts

    def close(self) -> None:
        """Put the barrier down: a start, or a restart."""
        self._is_open = False
        self.tell()

    def hold(self, reason: str) -> None:
        """Say why the barrier is still down."""
        self._closed_because = reason
        self.tell()

    def open(self) -> None:
        """Lift the barrier."""
        self._is_open = True
        self.tell()

    def doubt(self, name: str, reason: str, *, alarm: bool = False) -> None:
        """Let only exits through until `trust` is called with the same name."""
        self._doubts[name] = reason
        if alarm and name not in self._alarmed:
            self._alarmed.add(name)
            self._alarms.raised(f"broker.{name}", reason)
        self.tell()

    def trust(self, name: str, why: str) -> None:
        """Lift a doubt."""
        if self._doubts.pop(name, None) is None:
            return
        if name in self._alarmed:
            self._alarmed.discard(name)
            self._alarms.resolved(f"broker.{name}", why)
        self.tell()

    def proven(self, name: str, why: str) -> None:
        """Lift a doubt that was looked into, and the alarm that an earlier run left about it."""
        if name not in self._known | self._doubts.keys():
            self._alarms.resolved(f"broker.{name}", why)
        self._known.add(name)
        self.trust(name, why)

    def tell(self) -> None:
        """Call back with the state, if it is not the one told last."""
        now = self.now()
        if now != self._told:
            self._told = now
            self._on_state(*now)
