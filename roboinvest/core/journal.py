"""The life of an intent on its way to a broker, as the order journal keeps it.

An intent is durable before anything is sent. What was sent and not answered is UNKNOWN, never
REJECTED: it is looked up by its client order id, and sent again, with that same id, only while it
is still valid and after the broker had time to show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from roboinvest.core.orders import OrderIntent
from roboinvest.core.venue import Execution

OUR_PREFIX: Final = "ri1-"  # every client order id of ours begins with it


class JournalState(StrEnum):
    """How far an intent came."""

    INTENT = "intent"  # durable, not sent
    SENDING = "sending"  # the request is leaving, or left before a crash
    UNKNOWN = "unknown"  # sent, and no answer that could be believed
    ACCEPTED = "accepted"  # the broker has it
    REJECTED = "rejected"  # refused for certain, by us or by the broker; nothing was booked
    EXPIRED = "expired"  # never reached the broker, and never will
    CLOSED = "closed"  # the broker had it, and it can no longer fill


NEXT_JOURNAL_STATES: Final[Mapping[JournalState, frozenset[JournalState]]] = {
    JournalState.INTENT: frozenset(
        {JournalState.SENDING, JournalState.REJECTED, JournalState.EXPIRED}
    ),
    JournalState.SENDING: frozenset(
        {JournalState.ACCEPTED, JournalState.REJECTED, JournalState.UNKNOWN}
    ),
    JournalState.UNKNOWN: frozenset(
        {
            JournalState.UNKNOWN,
            JournalState.SENDING,
            JournalState.ACCEPTED,
            JournalState.REJECTED,
            JournalState.EXPIRED,
        }
    ),
    JournalState.ACCEPTED: frozenset({JournalState.CLOSED}),
    JournalState.REJECTED: frozenset(),
    JournalState.EXPIRED: frozenset(),
    JournalState.CLOSED: frozenset(),
}
SETTLED_STATES: Final = frozenset(
    state for state, after in NEXT_JOURNAL_STATES.items() if not after
) | {JournalState.ACCEPTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """An intent and how far it came."""

    intent: OrderIntent
    limits: str  # canonical JSON of the limits that were in force
    state: JournalState
    venue_id: str | None  # None until the broker named it
    sends: int  # how often a request left
    clean_lookups: int  # how often the broker said, in good order, that it has no such order
    reason: str  # why it is where it is
    created_at: datetime  # UTC
    sent_at: datetime | None  # UTC, of the last request
    updated_at: datetime  # UTC

    @property
    def is_settled(self) -> bool:
        """Return whether it is known what became of the request."""
        return self.state in SETTLED_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedExecution:
    """An execution that the journal took in, once."""

    seq: int  # 1, 2, 3 ... in the order in which they were taken in
    execution: Execution
    owner: str | None  # our client order id; None: somebody else's order


def is_ours(client_order_id: str, instance: str) -> bool:
    """Return whether an order was sent by this installation."""
    return client_order_id.startswith(f"{OUR_PREFIX}{instance}-")


def positions_of(executions: Iterable[BookedExecution], *, ours: bool) -> dict[str, Decimal]:
    """Return the signed shares that executions add up to, by symbol: ours, or everybody else's."""
    held: dict[str, Decimal] = {}
    for booked in executions:
        if (booked.owner is not None) == ours:
            execution = booked.execution
            signed = execution.qty * execution.side.sign
            held[execution.symbol] = held.get(execution.symbol, Decimal(0)) + signed
    return {symbol: qty for symbol, qty in held.items() if qty}
