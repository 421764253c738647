"""From a view to money: decision, intent, order, fill, position, account.

Money is `Decimal`. A client order id exists before anything is sent and is derived from
(tick, agent, symbol, leg), so that the same intent can never be two orders. The life of an order
is the table `NEXT_STATES`; asking about it is asking a set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final

TICK_SIZE: Final = Decimal("0.01")  # USD, for orders at or above one dollar
SUB_PENNY_TICK: Final = Decimal("0.0001")  # USD, below one dollar, and for fills
HOUSE_AGENT: Final = "house"
HOUSE_REVISION: Final = "built-in"


def to_price(value: float) -> Decimal:
    """Return a market price as money, to a hundredth of a cent."""
    return Decimal(repr(float(value))).quantize(SUB_PENNY_TICK, rounding=ROUND_HALF_EVEN)


def to_tick(value: float | Decimal) -> Decimal:
    """Return a price that an order may carry: whole cents from one dollar up (SEC Rule 612)."""
    price = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    step = TICK_SIZE if price >= 1 else SUB_PENNY_TICK
    return price.quantize(step, rounding=ROUND_HALF_EVEN)


def cents(value: Decimal) -> Decimal:
    """Return an amount of money in whole cents, halves to even."""
    return value.quantize(TICK_SIZE, rounding=ROUND_HALF_EVEN)


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return +1 for a buy and -1 for a sell."""
        return 1 if self is Side.BUY else -1


class Action(StrEnum):
    """What a decision asks for."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class OrderType(StrEnum):
    """How an order may be filled."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class TimeInForce(StrEnum):
    """How long an order lives."""

    DAY = "day"  # dies at the session's real close
    GTC = "gtc"  # lives until filled or cancelled


class Leg(StrEnum):
    """The part an order plays in a trade; one intent per (tick, agent, symbol, leg)."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    FLATTEN = "flatten"


class OrderState(StrEnum):
    """Where an order is in its life."""

    INTENT = "intent"  # written down, not sent
    UNKNOWN = "unknown"  # sent; whether the broker has it is being looked up
    ACCEPTED = "accepted"  # the broker has it
    HELD = "held"  # a protective leg that waits for its entry
    PARTIAL = "partial"  # some of it is filled
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # a day order at the close
    REJECTED = "rejected"  # refused for certain; nothing was booked


NEXT_STATES: Final[Mapping[OrderState, frozenset[OrderState]]] = {
    OrderState.INTENT: frozenset(
        {
            OrderState.ACCEPTED,
            OrderState.HELD,
            OrderState.REJECTED,
            OrderState.CANCELLED,
            OrderState.UNKNOWN,
        }
    ),
    OrderState.UNKNOWN: frozenset(
        {
            OrderState.ACCEPTED,
            OrderState.HELD,
            OrderState.PARTIAL,
            OrderState.FILLED,
            OrderState.CANCELLED,
            OrderState.EXPIRED,
            OrderState.REJECTED,
        }
    ),
    OrderState.HELD: frozenset({OrderState.ACCEPTED, OrderState.CANCELLED, OrderState.EXPIRED}),
    OrderState.ACCEPTED: frozenset(
        {
            OrderState.PARTIAL,
            OrderState.FILLED,
            OrderState.CANCELLED,
            OrderState.EXPIRED,
            OrderState.REJECTED,
        }
    ),
    OrderState.PARTIAL: frozenset(
        {OrderState.PARTIAL, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}
    ),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.EXPIRED: frozenset(),
    OrderState.REJECTED: frozenset(),
}
TERMINAL_STATES: Final = frozenset(state for state, after in NEXT_STATES.items() if not after)
WORKING_STATES: Final = frozenset({OrderState.ACCEPTED, OrderState.PARTIAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One argument behind a decision, with its weight."""

    name: str
    score: float  # in [-1, 1]; positive argues for buying
    weight: float  # share of the whole, the weights of a decision sum to 1
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """BUY, SELL or HOLD for one symbol at one tick, with its reasons."""

    tick_id: str
    agent_id: str
    revision_id: str
    symbol: str
    action: Action
    conviction: float  # signal in [-1, 1] before calibration
    confidence: float  # in [0, 1], calibrated on past outcomes
    stop: Decimal | None  # USD per share; None for HOLD and for a close
    target: Decimal | None  # USD per share
    reasons: tuple[Reason, ...]
    summary: str  # one sentence a person can read
    source: str  # "rules", or "openai:<model>"
    similar_setups: int  # resolved setups that were compared
    similar_mean_r: float  # their mean outcome in R
    cost_usd: Decimal = Decimal(0)
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """What we want to send: sized, priced, and named before it leaves."""

    client_order_id: str
    tick_id: str
    agent_id: str
    revision_id: str
    symbol: str
    leg: Leg
    side: Side
    qty: Decimal  # shares, positive
    order_type: OrderType
    time_in_force: TimeInForce
    mark: Decimal  # USD per share at the decision; what slippage is measured against
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    stop_loss: Decimal | None = None  # bracket: absolute price of the protective stop
    take_profit: Decimal | None = None  # bracket: absolute price of the target
    valid_until: datetime  # UTC; never sent after this

    @property
    def notional(self) -> Decimal:
        """Return the value at the mark, in USD, positive."""
        return self.qty * self.mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An intent and what became of it."""

    client_order_id: str
    tick_id: str
    agent_id: str
    revision_id: str
    symbol: str
    leg: Leg
    side: Side
    qty: Decimal  # shares, positive
    order_type: OrderType
    time_in_force: TimeInForce
    mark: Decimal
    state: OrderState
    created_at: datetime  # UTC
    updated_at: datetime  # UTC
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_qty: Decimal = Decimal(0)
    parent_id: str | None = None  # the entry of a protective leg
    note: str = ""  # why it ended as it did

    @property
    def remaining(self) -> Decimal:
        """Return the shares still to fill."""
        return self.qty - self.filled_qty

    @property
    def is_open(self) -> bool:
        """Return whether it can still fill."""
        return self.state not in TERMINAL_STATES


def moved(
    order: Order,
    state: OrderState,
    at: datetime,
    *,
    filled_qty: Decimal | None = None,
    note: str | None = None,
) -> Order:
    """Return the order after one move of the table `NEXT_STATES`.

    Raises:
        ValueError: the table has no such move.
    """
    if state not in NEXT_STATES[order.state]:
        raise ValueError(f"{order.client_order_id}: no move from {order.state} to {state}")
    return replace(
        order,
        state=state,
        updated_at=at,
        filled_qty=order.filled_qty if filled_qty is None else filled_qty,
        note=order.note if note is None else note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution reported by a broker."""

    execution_id: str
    client_order_id: str
    agent_id: str
    revision_id: str
    symbol: str
    leg: Leg
    qty: Decimal  # shares, signed: negative sells
    price: Decimal  # USD per share
    commission: Decimal  # USD, fees included
    slippage_bps: float  # signed cost against the mark at the decision; 1 bp = 0.01 %
    filled_at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is held in one symbol, all agents together."""

    symbol: str
    qty: Decimal  # shares, signed
    avg_price: Decimal  # USD per share
    mark: Decimal  # USD per share, last good price

    @property
    def value(self) -> Decimal:
        """Return the signed market value in USD."""
        return self.qty * self.mark

    @property
    def open_pnl(self) -> Decimal:
        """Return the unrealised profit in USD."""
        return self.qty * (self.mark - self.avg_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the broker says we own."""

    cash: Decimal  # USD
    equity: Decimal  # USD, cash and positions at their marks
    buying_power: Decimal  # USD; equals cash, because the house never borrows


@dataclass(frozen=True, slots=True, kw_only=True)
class CashFlow:
    """Money that moved without a trade: a dividend received, or paid on a short position."""

    symbol: str
    amount: Decimal  # USD, signed
    at: datetime  # UTC
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of our orders since the last time we asked."""

    orders: tuple[Order, ...] = ()  # changed orders, in the order of the changes
    fills: tuple[Fill, ...] = ()  # new executions, in the order they happened
    cash_flows: tuple[CashFlow, ...] = ()


def client_order_id(instance: str, tick_id: str, agent_id: str, symbol: str, leg: Leg) -> str:
    """Return the name of an intent: the same four facts always give the same id.

    `instance` tells two data folders on one account apart. 20 hex digits of SHA-256 keep the id
    short enough for every broker; a collision in a million orders has odds below 1e-12.
    """
    facts = "|".join((instance, tick_id, agent_id, symbol, leg))
    return f"ri1-{instance}-{hashlib.sha256(facts.encode()).hexdigest()[:20]}"
