"""Whose account the order journal belongs to: other keys must not trade on its positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity, TradingState
from roboinvest.core.ports import Clock
from roboinvest.trading.gate import TradingGate

NOTE: Final = "account"  # of the journal; the kill switch reads it too
KEY: Final = "broker.account"
_VOICE: Final = "account"


class Noted(Protocol):
    """A fact of the journal."""

    @property
    def body(self) -> Mapping[str, object]:
        """Return what was noted."""


class Notes(Protocol):
    """The part of the order journal that is needed here."""

    async def note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        """Append a fact to the record."""

    async def notes(self, kind: str | None = None) -> Sequence[Noted]:
        """Return the facts of a kind, in the order they were noted."""


class AccountOwner:
    """Notes the account at the first start, and halts trading when it is another one."""

    def __init__(
        self,
        journal: Notes,
        gate: TradingGate,
        publish: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._gate = gate
        self._publish = publish
        self._clock = clock

    async def check(self, account_id: str) -> bool:
        """Return whether the account is the journal's; a first one becomes it.

        Raises:
            TryLater: the journal cannot be read or written.
        """
        at = self._clock.now()
        known = await self._journal.notes(NOTE)
        if not known:
            await self._journal.note(NOTE, at, {"account_id": account_id})
        owner = str(known[0].body["account_id"]) if known else account_id
        if owner == account_id:
            self._gate.hear(_VOICE, TradingState.READY, "the account is the journal's")
            self._publish(AlertResolved(at=at, key=KEY, message=f"the account is {owner}"))
            return True
        reason = (
            f"this data folder traded on account {owner}, and the keys are those of {account_id}; "
            "give the other keys, or another --data-dir"
        )
        self._gate.hear(_VOICE, TradingState.HALTED, reason)
        self._publish(
            AlertRaised(at=at, key=KEY, severity=Severity.CRITICAL, kind="broker", message=reason)
        )
        return False
