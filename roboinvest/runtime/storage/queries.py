"""Every statement that reads. Rows of one kind come with the columns of that kind and no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from roboinvest.core.ledger import Lot, Trade
from roboinvest.core.orders import TERMINAL_STATES, Fill, Order
from roboinvest.core.quant.memories import CalibrationCell
from roboinvest.core.records import TickRecord
from roboinvest.runtime.storage.rows import columns_of, memory_columns
from roboinvest.runtime.storage.stored import SessionEquity
from roboinvest.runtime.storage.tables import (
    UNSENT,
    calibration,
    documents,
    fills,
    lots,
    memories,
    orders,
    sessions,
    ticks,
    trades,
)

Select = sa.Select[Any]

_BODILESS: Final = [
    sa.null().label("body") if column.name == "body" else column
    for column in columns_of(ticks, TickRecord)
]
_SUMMED: Final = ("ticks", "buys", "sells", "holds", "orders", "fills", "rejected", "trades")
_IS_OPEN: Final = orders.c.state.not_in(sorted(TERMINAL_STATES))

MEMORY_COUNT: Final[Select] = sa.select(sa.func.count()).select_from(memories)
LOTS: Final[Select] = sa.select(*columns_of(lots, Lot)).order_by(
    lots.c.agent_id, lots.c.symbol, lots.c.place
)
OPEN_ORDERS: Final[Select] = (
    sa.select(*columns_of(orders, Order)).where(_IS_OPEN).order_by(orders.c.seq)
)
CALIBRATION: Final[Select] = sa.select(*columns_of(calibration, CalibrationCell)).order_by(
    calibration.c.agent_id, calibration.c.bucket
)
DOCUMENTS: Final[Select] = sa.select(documents.c.name, documents.c.text)
LAST_EXITS: Final[Select] = (
    sa.select(trades.c.symbol, sa.func.max(trades.c.closed_at, type_=trades.c.closed_at.type))
    .group_by(trades.c.symbol)
    .order_by(trades.c.symbol)
)
SESSION_EQUITY: Final[Select] = sa.select(*columns_of(sessions, SessionEquity)).order_by(
    sessions.c.session_day
)
SESSION_SUMS: Final[Select] = sa.select(
    sa.func.count().label("sessions"),
    *(sa.func.coalesce(sa.func.sum(sessions.c[name]), 0).label(name) for name in _SUMMED),
).select_from(sessions)
ALL_TRADES: Final[Select] = sa.select(*columns_of(trades, Trade)).order_by(trades.c.seq)


def document(name: str) -> Select:
    """Return the text of one document."""
    return sa.select(documents.c.text).where(documents.c.name == name)


def tick(tick_id: str) -> Select:
    """Return one tick, with its body."""
    return sa.select(*columns_of(ticks, TickRecord)).where(ticks.c.tick_id == tick_id)


def recent_ticks(limit: int) -> Select:
    """Return the last ticks without their bodies, newest first."""
    return sa.select(*_BODILESS).order_by(ticks.c.at.desc()).limit(limit)


def tick_before(at: datetime) -> Select:
    """Return the last tick at or before an instant, without its body."""
    return sa.select(*_BODILESS).where(ticks.c.at <= at).order_by(ticks.c.at.desc()).limit(1)


def tick_after(at: datetime) -> Select:
    """Return the first tick after an instant, without its body."""
    return sa.select(*_BODILESS).where(ticks.c.at > at).order_by(ticks.c.at).limit(1)


def ticks_between(start: datetime, end: datetime) -> Select:
    """Return the ticks of a span without their bodies, oldest first."""
    wanted = sa.select(*_BODILESS).where(ticks.c.at >= start, ticks.c.at < end)
    return wanted.order_by(ticks.c.at)


def trades_between(start: datetime, end: datetime) -> Select:
    """Return the round trips that ended within a span, as they were booked."""
    wanted = sa.select(*columns_of(trades, Trade))
    return wanted.where(trades.c.closed_at >= start, trades.c.closed_at < end).order_by(
        trades.c.seq
    )


def active_ticks(limit: int, before: datetime | None) -> Select:
    """Return ticks on which something was to be bought or sold, with bodies, newest first."""
    wanted = sa.select(*columns_of(ticks, TickRecord)).where(ticks.c.buys + ticks.c.sells > 0)
    if before is not None:
        wanted = wanted.where(ticks.c.at < before)
    return wanted.order_by(ticks.c.at.desc()).limit(limit)


def order(client_order_id: str) -> Select:
    """Return one order."""
    return sa.select(*columns_of(orders, Order)).where(orders.c.client_order_id == client_order_id)


def orders_of(tick_id: str) -> Select:
    """Return the orders that a tick sent, legs included, as they arrived."""
    wanted = sa.select(*columns_of(orders, Order)).order_by(orders.c.seq)
    return wanted.where(orders.c.tick_id == tick_id)


def trades_of(client_order_id: str) -> Select:
    """Return the round trips that one order began or ended, as they were booked."""
    wanted = sa.select(*columns_of(trades, Trade)).order_by(trades.c.seq)
    return wanted.where(
        sa.or_(
            trades.c.entry_order_id == client_order_id, trades.c.exit_order_id == client_order_id
        )
    )


def recent_orders(limit: int, *, open_only: bool) -> Select:
    """Return orders, the last to arrive first."""
    newest = sa.select(*columns_of(orders, Order)).order_by(orders.c.seq.desc()).limit(limit)
    return newest.where(_IS_OPEN) if open_only else newest


def fills_of(client_order_id: str) -> Select:
    """Return the executions of one order, as they were booked."""
    wanted = sa.select(*columns_of(fills, Fill)).order_by(fills.c.seq)
    return wanted.where(fills.c.client_order_id == client_order_id)


def recent_trades(limit: int) -> Select:
    """Return the last round trips, newest first."""
    return sa.select(*columns_of(trades, Trade)).order_by(trades.c.seq.desc()).limit(limit)


def memories_after(memory_id: str, limit: int) -> Select:
    """Return one page of all memories, by id."""
    page = sa.select(*memory_columns(memories)).order_by(memories.c.memory_id).limit(limit)
    return page.where(memories.c.memory_id > memory_id)


def memories_of(ids: Sequence[str]) -> Select:
    """Return the memories of these ids that exist, by id."""
    wanted = sa.select(*memory_columns(memories)).order_by(memories.c.memory_id)
    return wanted.where(memories.c.memory_id.in_(ids))


def queued_memories(limit: int) -> Select:
    """Return memories that recall does not have, with their versions, by id."""
    queued = sa.select(*memory_columns(memories), memories.c.version).where(UNSENT)
    return queued.order_by(memories.c.memory_id).limit(limit)
