"""What Alpaca's books hold: orders, trades, holdings, assets, and the terms of the account.

Plain values without rules; pydantic reads them back from the state file of a server that lives in
a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

Side = Literal["buy", "sell"]
ACTIVE: Final = frozenset({"new", "partially_filled"})  # may fill while the market is open
PENDING: Final = frozenset({"pending_cancel", "pending_replace"})  # may still fill
TERMINAL: Final = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})


class Refusal(Exception):
    """The vendor's error answer: a status and a JSON body."""

    def __init__(self, status: int, code: int | None, message: str, **fields: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {**({} if code is None else {"code": code}), "message": message, **fields}


@dataclass(slots=True, kw_only=True)
class Asset:
    """A security, as /v2/assets describes it."""

    id: str
    symbol: str
    tradable: bool = True
    fractionable: bool = True
    shortable: bool = True
    status: str = "active"
    exchange: str = "NASDAQ"


@dataclass(slots=True, kw_only=True)
class BookedOrder:
    """An order in the vendor's books."""

    id: str
    client_order_id: str
    symbol: str
    side: Side
    type: str  # market, limit, stop, stop_limit
    time_in_force: str
    order_class: str  # simple, bracket, oco, oto
    qty: Decimal | None  # shares; None: by value, until the first price is known
    notional: Decimal | None  # USD
    limit_price: Decimal | None
    stop_price: Decimal | None
    extended_hours: bool
    status: str
    created_at: datetime  # UTC
    updated_at: datetime  # UTC
    visible_at: datetime  # UTC; look-ups before it find nothing
    filled_qty: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)  # USD, the sum of qty times price
    ended_at: datetime | None = None  # UTC, at the move to a terminal status
    triggered: bool = False  # its stop was met
    parent_id: str | None = None
    leg_ids: list[str] = field(default_factory=list)
    replaces: str | None = None
    replaced_by: str | None = None
    is_live: bool = True  # False: a leg whose entry is not filled

    @property
    def sign(self) -> int:
        """Return +1 for a buy and -1 for a sell."""
        return 1 if self.side == "buy" else -1

    @property
    def remaining(self) -> Decimal:
        """Return the shares still to fill; 0 while an order by value has no price."""
        return (self.qty or Decimal(0)) - self.filled_qty

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended."""
        return self.status not in TERMINAL


@dataclass(slots=True, kw_only=True)
class Trade:
    """One execution."""

    execution_id: str  # in the stream, and behind the "::" of the activity's id
    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal  # shares, positive
    price: Decimal  # USD per share
    at: datetime  # UTC
    cum_qty: Decimal  # of the order, after this one
    leaves_qty: Decimal
    order_status: str

    @property
    def activity_id(self) -> str:
        """Return the id of its account activity."""
        return f"{self.at:%Y%m%d%H%M%S}{self.at.microsecond // 1000:03d}::{self.execution_id}"


@dataclass(slots=True, kw_only=True)
class Holding:
    """What is held in one symbol."""

    symbol: str
    qty: Decimal  # shares, signed, never 0
    avg_price: Decimal  # USD per share


@dataclass(slots=True, kw_only=True)
class Terms:
    """What the account may do. A test changes these to see what becomes of the house."""

    id: str = "e6fe16f3-64a4-4921-8928-cadf02f92f98"
    status: str = "ACTIVE"
    multiplier: int = 1  # buying power over equity; 1: a cash account
    shorting_enabled: bool = False
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False
    has_day_trade_fields: bool = False  # pattern_day_trader and its kin, gone since 2026-07-06
    stop_legs_stay_held: bool = False  # an active stop leg goes on saying "held"
    omitted: list[str] = field(default_factory=list)  # account fields left out of the answer


@dataclass(slots=True, kw_only=True)
class BooksState:
    """All that a server would have to remember to go on."""

    cash: Decimal
    last_equity: Decimal
    terms: Terms = field(default_factory=Terms)
    assets: dict[str, Asset] = field(default_factory=dict)
    orders: dict[str, BookedOrder] = field(default_factory=dict)  # by id, oldest first
    trades: list[Trade] = field(default_factory=list)  # oldest first
    holdings: dict[str, Holding] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    booked_ids: dict[str, list[str]] = field(default_factory=dict)  # client id -> order ids
    equity_curve: list[tuple[datetime, Decimal]] = field(default_factory=list)
