"""Builders of what a tick commits: valid in every field, and different where a test says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from roboinvest.core.ledger import BookKey, Lot, Trade
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Action,
    Fill,
    Leg,
    Order,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
)
from roboinvest.core.quant.memories import CalibrationCell, Memory, Outcome, OutcomeKind
from roboinvest.core.records import EMPTY_DIGEST, TickCommit, TickRecord, canonical_json

FIRST_TICK = datetime(2011, 1, 3, 14, 31, tzinfo=UTC)


def tick_at(number: int) -> datetime:
    """Return the instant of the tick `number` minutes after the first."""
    return FIRST_TICK + timedelta(minutes=number)


def tick_id(number: int) -> str:
    """Return the name of that tick."""
    return tick_at(number).strftime("%Y%m%dT%H%M%SZ")


def record(number: int, **fields: Any) -> TickRecord:
    """Return the record of a tick that held."""
    at = tick_at(number)
    values: dict[str, Any] = {
        "tick_id": tick_id(number),
        "at": at,
        "session_day": at.date(),
        "digest": EMPTY_DIGEST,
        "equity": Decimal("100000.12"),
        "cash": Decimal("100000.12"),
        "realised_pnl": Decimal(0),
        "open_pnl": Decimal(0),
        "buys": 0,
        "sells": 0,
        "holds": 1,
        "orders": 0,
        "fills": 0,
        "rejected": 0,
        "body": canonical_json({"tick": number, "decisions": []}),
    }
    return TickRecord(**{**values, **fields})


def commit(number: int = 0, **fields: Any) -> TickCommit:
    """Return what a tick commits: nothing but its record, unless `fields` say more."""
    values: dict[str, Any] = {
        "record": record(number),
        "orders": (),
        "fills": (),
        "trades": (),
        "books": {},
        "memories": (),
        "calibration": (),
        "documents": {},
    }
    return TickCommit(**{**values, **fields})


def order(name: str, number: int = 0, **fields: Any) -> Order:
    """Return an accepted market buy of 10 SPY."""
    values: dict[str, Any] = {
        "client_order_id": name,
        "tick_id": tick_id(number),
        "agent_id": HOUSE_AGENT,
        "revision_id": HOUSE_REVISION,
        "symbol": "SPY",
        "leg": Leg.ENTRY,
        "side": Side.BUY,
        "qty": Decimal(10),
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.DAY,
        "mark": Decimal("125.50"),
        "state": OrderState.ACCEPTED,
        "created_at": tick_at(number),
        "updated_at": tick_at(number),
    }
    return Order(**{**values, **fields})


def fill(name: str, of: str, number: int = 0, **fields: Any) -> Fill:
    """Return an execution of 10 SPY for the order `of`."""
    values: dict[str, Any] = {
        "execution_id": name,
        "client_order_id": of,
        "agent_id": HOUSE_AGENT,
        "revision_id": HOUSE_REVISION,
        "symbol": "SPY",
        "leg": Leg.ENTRY,
        "qty": Decimal(10),
        "price": Decimal("125.5125"),
        "commission": Decimal("0.01"),
        "slippage_bps": 1.25,
        "filled_at": tick_at(number),
    }
    return Fill(**{**values, **fields})


def trade(name: str, number: int = 0, **fields: Any) -> Trade:
    """Return a round trip of 10 SPY that won 12 USD."""
    values: dict[str, Any] = {
        "trade_id": name,
        "agent_id": HOUSE_AGENT,
        "revision_id": HOUSE_REVISION,
        "symbol": "SPY",
        "qty": Decimal(10),
        "entry_price": Decimal("125.50"),
        "exit_price": Decimal("126.72"),
        "commission": Decimal("0.20"),
        "pnl": Decimal("12.00"),
        "r_multiple": 1.2,
        "opened_at": tick_at(number - 30),
        "closed_at": tick_at(number),
        "exit_leg": Leg.TARGET,
        "entry_order_id": f"{name}-in",
        "exit_order_id": f"{name}-out",
        "closes_entry": True,
    }
    return Trade(**{**values, **fields})


def lot(name: str, number: int = 0, **fields: Any) -> Lot:
    """Return 10 SPY, open."""
    values: dict[str, Any] = {
        "lot_id": name,
        "agent_id": HOUSE_AGENT,
        "revision_id": HOUSE_REVISION,
        "symbol": "SPY",
        "qty": Decimal(10),
        "price": Decimal("125.5125"),
        "commission": Decimal("0.01"),
        "risk_per_share": Decimal("1.50"),
        "opened_at": tick_at(number),
        "entry_order_id": f"{name}-order",
    }
    return Lot(**{**values, **fields})


def memory(number: int = 0, **fields: Any) -> Memory:
    """Return a setup that has not come to anything yet."""
    values: dict[str, Any] = {
        "memory_id": f"{tick_id(number)}/{HOUSE_AGENT}/SPY",
        "agent_id": HOUSE_AGENT,
        "revision_id": HOUSE_REVISION,
        "symbol": "SPY",
        "seen_at": tick_at(number),
        "action": Action.BUY,
        "vector": (0.1, -0.2, 1e-300, 3.0),
        "conviction": 0.4,
        "entry": Decimal("125.50"),
        "stop": Decimal("124.00"),
        "target": Decimal("128.50"),
        "expires_at": tick_at(number + 60),
        "text": "SPY broke its range with volume.",
    }
    return Memory(**{**values, **fields})


def outcome(number: int = 0, **fields: Any) -> Outcome:
    """Return a shadow outcome of one R."""
    values: dict[str, Any] = {
        "kind": OutcomeKind.SHADOW,
        "r_multiple": 1.0,
        "closed_at": tick_at(number),
        "how": "target",
    }
    return Outcome(**{**values, **fields})


def busy_commit(number: int, documents: Mapping[str, str] | None = None) -> TickCommit:
    """Return a tick on which everything happened at once: a row in every table."""
    name = f"t{number}"
    book: BookKey = (HOUSE_AGENT, "SPY")
    sell = {"leg": Leg.EXIT, "side": Side.SELL, "state": OrderState.FILLED}
    return commit(
        number,
        record=record(number, buys=1, sells=1, holds=0, orders=2, fills=2, rejected=1),
        orders=(order(f"{name}-in", number), order(f"{name}-out", number, **sell)),
        fills=(
            fill(f"{name}-f1", f"{name}-in", number),
            fill(f"{name}-f2", f"{name}-out", number, qty=Decimal(-10), leg=Leg.EXIT),
        ),
        trades=(trade(name, number),),
        books={book: (lot(f"{name}-b", number), lot(f"{name}-a", number))},
        memories=(memory(number),),
        calibration=(CalibrationCell(agent_id=HOUSE_AGENT, bucket=3, wins=number, losses=1),),
        documents=documents or {"account": f'{{"tick":{number}}}'},
    )
