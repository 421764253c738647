"""What a real broker says, as values: its orders, executions, positions, account, and its answers.

A venue is a broker's interface, unjudged. Its reports are its own word; what we asked for stands in
the order journal. The two meet in the order desk, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from roboinvest.core.orders import OrderState, OrderType, Side


class VenueStatus(StrEnum):
    """Where a broker says an order is. What we have no word for is UNKNOWN, and counts as open."""

    ACCEPTED = "accepted"
    HELD = "held"  # a protective leg that waits for its entry
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"  # another order took its place
    UNKNOWN = "unknown"


ORDER_STATES: Final[Mapping[VenueStatus, OrderState | None]] = {
    VenueStatus.ACCEPTED: OrderState.ACCEPTED,
    VenueStatus.HELD: OrderState.HELD,
    VenueStatus.PARTIAL: OrderState.PARTIAL,
    VenueStatus.FILLED: OrderState.FILLED,
    VenueStatus.CANCELLED: OrderState.CANCELLED,
    VenueStatus.EXPIRED: OrderState.EXPIRED,
    VenueStatus.REJECTED: OrderState.REJECTED,
    VenueStatus.REPLACED: OrderState.CANCELLED,
    VenueStatus.UNKNOWN: None,  # says nothing about the order's state
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the broker reports it."""

    venue_id: str
    client_order_id: str  # as the broker has it; the legs of a bracket carry one of its own making
    symbol: str
    side: Side
    qty: Decimal  # shares, positive; 0 where the broker names none (an order by value)
    filled_qty: Decimal  # shares
    status: VenueStatus
    order_type: OrderType | None  # None: a kind that we never send
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    created_at: datetime | None = None  # UTC
    updated_at: datetime | None = None  # UTC
    parent_id: str | None = None  # venue id of the entry of a protective leg, where it is told
    replaces: str | None = None  # venue id
    replaced_by: str | None = None  # venue id
    reason: str = ""  # why it was rejected or ended, as far as the broker says

    @property
    def is_open(self) -> bool:
        """Return whether it can still fill, as far as the broker says."""
        return self.status in _OPEN


_OPEN: Final = frozenset(
    {VenueStatus.ACCEPTED, VenueStatus.HELD, VenueStatus.PARTIAL, VenueStatus.UNKNOWN}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution as the broker reports it; the same one may be reported many times."""

    execution_id: str  # unique for the account; what duplicates are told by
    venue_id: str  # of its order
    client_order_id: str  # as the broker has it; "" where it does not say
    symbol: str
    side: Side
    qty: Decimal  # shares, positive
    price: Decimal  # USD per share
    at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """What the broker says is held in one symbol, by whomever it was bought."""

    symbol: str
    qty: Decimal  # shares, signed
    avg_price: Decimal  # USD per share


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAccount:
    """What the broker says we own and may do. A figure that it left out is None, never zero."""

    account_id: str
    cash: Decimal  # USD
    equity: Decimal  # USD
    last_equity: Decimal | None  # USD, at the close of the day before
    buying_power: Decimal | None  # USD
    maintenance_margin: Decimal | None  # USD
    blocked: str | None  # why it may not trade; None: it may
    is_paper: bool


class OutcomeKind(StrEnum):
    """How sure we are of what became of a request."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # refused for certain: nothing was booked
    UNKNOWN = "unknown"  # it may have been booked; it has to be looked up


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A broker's answer to one request that changes something."""

    kind: OutcomeKind
    orders: tuple[VenueOrder, ...] = ()  # the order, then the legs of its bracket
    code: str = ""  # the broker's own, or "timeout", "connection", "unreadable", "http-503"
    text: str = ""  # one sentence for a person; never a secret, never a whole page
    is_duplicate: bool = False  # REJECTED because this client order id is taken: look it up
    retry_after_s: float | None = None  # the broker asked for so much patience
