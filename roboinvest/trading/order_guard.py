"""What stands between an order and the broker at the last moment, and the desk's voice at the gate.

Risk has judged an intent against the world of its tick; between then and the request that leaves,
a person may have halted, or a reconciliation may have found a difference. This is asked right
before each request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity, TradingState
from roboinvest.core.orders import Leg, OrderIntent
from roboinvest.core.ports import Clock
from roboinvest.trading.gate import TradingGate

LEFT_BY_ORDERS: Final = "broker."  # begins the keys of what the desk tells
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
        self._left: set[str] = set()  # keys that an earlier run left open

    def resume(self, left_open: Collection[str]) -> None:
        """Take over what an earlier run told (keys without the prefix); agreement ends it.

        An order may have ended, or a stranger's been explained, while nobody looked.
        """
        self._left = {f"{LEFT_BY_ORDERS}{key}" for key in left_open}

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
        if state is TradingState.READY:
            for key in sorted(self._left):
                self.resolved(key, reason)

    def raised(self, key: str, message: str) -> None:
        """Tell people of a difference, or of a broker that is away."""
        self._left.discard(key)
        at = self._clock.now()
        self._publish(
            AlertRaised(at=at, key=key, severity=Severity.CRITICAL, kind="broker", message=message)
        )

    def resolved(self, key: str, message: str) -> None:
        """Tell people that the cause is gone."""
        self._left.discard(key)
        self._publish(AlertResolved(at=self._clock.now(), key=key, message=message))
