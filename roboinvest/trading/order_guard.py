"""What stands between an order and the broker at the last moment, and the desk's voice at the gate.

Risk has judged an intent against the world of its tick; between then and the request that leaves,
a person may have halted, or a reconciliation may have found a difference. This is asked right
before each request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity, TradingState
from roboinvest.core.orders import Leg, OrderIntent
from roboinvest.core.ports import Clock
from roboinvest.trading.gate import TradingGate

_VOICE: Final = "orders"
_EXITS_ALLOWED: Final = frozenset({TradingState.READY, TradingState.DEGRADED})


class OrderGuard:
    """The last look before a request, and the desk's voice at the gate."""

    def __init__(
        self, gate: TradingGate, *, publish: Callable[[Event], None], clock: Clock
    ) -> None:
        self._gate = gate
        self._publish = publish
        self._clock = clock

    def may_act(self, intent: OrderIntent) -> str | None:
        """Return why an intent may not be sent now, after a fresh look at HALT; None: it may."""
        state, reason = self._gate.look()
        if state is TradingState.READY:
            return None
        if intent.leg is not Leg.ENTRY and state in _EXITS_ALLOWED:
            return None
        return f"trading is {state}: {reason}"

    def on_state(self, state: TradingState, reason: str) -> None:
        """Let the gate hear what the desk says of orders and positions."""
        self._gate.hear(_VOICE, state, reason)

    def raised(self, key: str, message: str) -> None:
        """Tell people of a difference, or of a broker that is away."""
        at = self._clock.now()
        self._publish(
            AlertRaised(at=at, key=key, severity=Severity.CRITICAL, kind="broker", message=message)
        )

    def resolved(self, key: str, message: str) -> None:
        """Tell people that the cause is gone."""
        self._publish(AlertResolved(at=self._clock.now(), key=key, message=message))
