"""TradingGate: what the daemon may do with money right now, and why.

The HALT file is looked at before every tick, so that a halt works without the control port, the
store or a model. Only a person clears it; the gate never does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Event,
    Severity,
    TradingState,
    TradingStateChanged,
)
from roboinvest.core.ports import Clock
from roboinvest.core.records import canonical_json
from roboinvest.runtime.halt import Halt, HaltFile
from roboinvest.runtime.supervision.service import ServiceContext

DOCUMENT: Final = "trading_state"


class KeepsDocuments(Protocol):
    """The part of the store that is needed here."""

    async def put_document(self, name: str, text: str) -> None:
        """Store a named JSON document in the place of an older one."""


_STRICTNESS: Final = (
    TradingState.HALTED,
    TradingState.STARTING,
    TradingState.RECONCILING,
    TradingState.DEGRADED,
    TradingState.READY,
)
_DAEMON: Final = "daemon"


class TradingGate:
    """Folds the HALT file and what each part of the daemon says into one trading state.

    Whoever has a doubt is believed: the strictest voice decides, and its reason is the one shown.
    """

    def __init__(self, halt_file: HaltFile) -> None:
        self._halt_file = halt_file
        self._voices = {_DAEMON: (TradingState.STARTING, "starting")}
        self.halt: Halt | None = None

    def enter(self, phase: TradingState, reason: str) -> None:
        """Note the phase that the daemon itself is in."""
        self.hear(_DAEMON, phase, reason)

    def hear(self, voice: str, state: TradingState, reason: str) -> None:
        """Note what one part of the daemon says of trading; it replaces what it said before."""
        self._voices[voice] = (state, reason)

    def look(self) -> tuple[TradingState, str]:
        """Return the state and its reason, after a fresh look at the HALT file."""
        self.halt = self._halt_file.read()
        return self.state()

    def state(self) -> tuple[TradingState, str]:
        """Return the state as of the last look."""
        if self.halt is not None:
            return TradingState.HALTED, self.halt.reason
        return min(self._voices.values(), key=lambda said: _STRICTNESS.index(said[0]))


class StateKeeper:
    """Writes every change of the trading state into the store, as the document `trading_state`."""

    def __init__(self, store: KeepsDocuments) -> None:
        self._store = store

    async def keep(self, event: Event) -> None:
        """Store the state that a `TradingStateChanged` tells; other events are not for us."""
        if isinstance(event, TradingStateChanged):
            text = canonical_json({"at": event.at, "state": event.state, "reason": event.reason})
            await self._store.put_document(DOCUMENT, text)


class GateWatch:
    """A service that looks at the HALT file twice a second and tells the house what changed."""

    name: Final = "gate_watch"
    interval_s: Final = 0.5

    def __init__(
        self, gate: TradingGate, *, publish: Callable[[Event], None], clock: Clock
    ) -> None:
        self._gate = gate
        self._publish = publish
        self._clock = clock
        self._told: tuple[TradingState, str] | None = None
        self._log = structlog.get_logger("roboinvest.gate")

    async def run(self, ctx: ServiceContext) -> None:
        """Watch until cancelled."""
        async for _ in ctx.every(self.interval_s):
            self.look_once()

    def look_once(self) -> None:
        """Publish the trading state if it is not the one told last."""
        now = self._gate.look()
        if now == self._told:
            return
        before, self._told = self._told, now
        state, reason = now
        at = self._clock.now()
        self._log.info("trading_state_changed", state=state.value, reason=reason)
        self._publish(TradingStateChanged(at=at, state=state, reason=reason))
        if state is TradingState.HALTED:
            message = f"trading is halted: {reason}; a person resumes it (roboinvest resume)"
            self._publish(
                AlertRaised(
                    at=at, key="halt", severity=Severity.HIGH, kind="system", message=message
                )
            )
        elif before is None or before[0] is TradingState.HALTED:
            message = f"trading is {state.value}: no halt is in force"
            self._publish(AlertResolved(at=at, key="halt", message=message))
