"""What reads of the store return, beside the core's own values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from roboinvest.core.ledger import Lot
from roboinvest.core.orders import Order
from roboinvest.core.quant.memories import CalibrationCell, Memory
from roboinvest.core.records import TickRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEquity:
    """One exchange day of the equity curve."""

    session_day: date
    open_equity: Decimal  # USD, after its first tick
    close_equity: Decimal  # USD, after its last tick so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What was done since the data folder was first used."""

    sessions: int
    ticks: int
    buys: int  # decisions
    sells: int
    holds: int
    orders: int  # newly sent, protective legs included
    fills: int
    rejected: int  # intents
    trades: int  # round trips
    memories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """All that a restart needs, as of one instant."""

    last_tick: TickRecord | None  # without its body
    lots: tuple[Lot, ...]  # by book, first to close first
    open_orders: tuple[Order, ...]  # as they first arrived
    open_memories: tuple[Memory, ...]  # by id, which begins with the tick's instant
    resolved_memories: tuple[Memory, ...]  # by id
    calibration: tuple[CalibrationCell, ...]  # by agent, then bucket
    documents: Mapping[str, str]
    last_exits: Mapping[str, datetime]  # by symbol: when its latest trade closed, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMemory:
    """A memory that recall does not have in this version."""

    memory: Memory
    version: int
