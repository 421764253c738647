"""The tables of the store, one a kind of value, columns named as the fields they hold.

`seq` keeps the order in which rows first arrived: two legs of one bracket share an instant, and a
restart must see them in the order in which they were sent.
`sessions` counts what its ticks did, so that no figure on a report needs a walk over all ticks.
Foreign keys are few on purpose: a fill without its order is a fault of ours; a lot whose entry
order was placed before this database existed is not.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from roboinvest.core.orders import Action, Leg, OrderState, OrderType, Side, TimeInForce
from roboinvest.core.quant.memories import OutcomeKind
from roboinvest.runtime.storage.column_types import (
    CompressedText,
    ExactDecimal,
    FiniteFloat,
    FloatVector,
    UtcInstant,
    Word,
)

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Literal, not bound: an index on a part of a table is used only where the text implies it.
SHRINKABLE: Final = sa.text(
    "body IS NOT NULL AND buys = 0 AND sells = 0 AND orders = 0 AND fills = 0 AND rejected = 0"
)
UNSENT: Final = sa.text("unsent")


def _sequence() -> sa.Column[int]:
    return sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _money(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, ExactDecimal, nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UtcInstant, nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


ticks: Final = sa.Table(
    "ticks",
    metadata,
    sa.Column("tick_id", sa.Text, primary_key=True),
    _instant("at"),
    sa.Column("session_day", sa.Date, nullable=False),
    _text("digest"),
    _money("equity"),
    _money("cash"),
    _money("realised_pnl"),
    _money("open_pnl"),
    *(_count(name) for name in ("buys", "sells", "holds", "orders", "fills", "rejected")),
    sa.Column("body", CompressedText, nullable=True),
    sa.Index("ix_ticks_at", "at"),
    sa.Index("ix_ticks_shrinkable", "at", sqlite_where=SHRINKABLE, postgresql_where=SHRINKABLE),
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_day", sa.Date, primary_key=True),
    _text("last_tick_id"),
    _money("open_equity"),  # after the first tick
    _money("close_equity"),  # after the last tick so far
    *(
        _count(name)
        for name in ("ticks", "buys", "sells", "holds", "orders", "fills", "rejected", "trades")
    ),
)

orders: Final = sa.Table(
    "orders",
    metadata,
    _sequence(),
    sa.Column("client_order_id", sa.Text, nullable=False, unique=True),
    _text("tick_id"),
    _text("agent_id"),
    _text("revision_id"),
    _text("symbol"),
    sa.Column("leg", Word(Leg), nullable=False),
    sa.Column("side", Word(Side), nullable=False),
    _money("qty"),
    sa.Column("order_type", Word(OrderType), nullable=False),
    sa.Column("time_in_force", Word(TimeInForce), nullable=False),
    _money("mark"),
    sa.Column("state", Word(OrderState), nullable=False, index=True),
    _instant("created_at"),
    _instant("updated_at"),
    _money("limit_price", nullable=True),
    _money("stop_price", nullable=True),
    _money("filled_qty"),
    _text("parent_id", nullable=True),
    _text("note"),
)

fills: Final = sa.Table(
    "fills",
    metadata,
    _sequence(),
    sa.Column("execution_id", sa.Text, nullable=False, unique=True),
    sa.Column(
        "client_order_id",
        sa.Text,
        sa.ForeignKey("orders.client_order_id"),
        nullable=False,
        index=True,
    ),
    _text("agent_id"),
    _text("revision_id"),
    _text("symbol"),
    sa.Column("leg", Word(Leg), nullable=False),
    _money("qty"),
    _money("price"),
    _money("commission"),
    sa.Column("slippage_bps", FiniteFloat, nullable=False),
    _instant("filled_at"),
    _text("tick_id"),  # the tick that booked it
)

trades: Final = sa.Table(
    "trades",
    metadata,
    _sequence(),
    sa.Column("trade_id", sa.Text, nullable=False, unique=True),
    _text("agent_id"),
    _text("revision_id"),
    _text("symbol"),
    _money("qty"),
    _money("entry_price"),
    _money("exit_price"),
    _money("commission"),
    _money("pnl"),
    sa.Column("r_multiple", FiniteFloat, nullable=True),
    _instant("opened_at"),
    _instant("closed_at"),
    sa.Column("exit_leg", Word(Leg), nullable=False),
    _text("entry_order_id"),
    _text("exit_order_id"),
    sa.Column("closes_entry", sa.Boolean, nullable=False),
    _text("tick_id"),  # the tick that booked it
    sa.Index("ix_trades_symbol_closed_at", "symbol", "closed_at"),
)

lots: Final = sa.Table(
    "lots",
    metadata,
    sa.Column("agent_id", sa.Text, primary_key=True),
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),  # 0 closes first
    _text("lot_id"),
    _text("revision_id"),
    _money("qty"),
    _money("price"),
    _money("commission"),
    _money("risk_per_share", nullable=True),
    _instant("opened_at"),
    _text("entry_order_id"),
)

memories: Final = sa.Table(
    "memories",
    metadata,
    sa.Column("memory_id", sa.Text, primary_key=True),
    _text("agent_id"),
    _text("revision_id"),
    _text("symbol"),
    _instant("seen_at"),
    sa.Column("action", Word(Action), nullable=False),
    sa.Column("vector", FloatVector, nullable=False),
    sa.Column("conviction", FiniteFloat, nullable=False),
    _money("entry"),
    _money("stop"),
    _money("target"),
    _instant("expires_at"),
    _text("text"),
    _text("order_id", nullable=True),
    sa.Column("outcome_kind", Word(OutcomeKind), nullable=True),
    sa.Column("outcome_r_multiple", FiniteFloat, nullable=True),
    _instant("outcome_closed_at", nullable=True),
    _text("outcome_how", nullable=True),
    _count("version"),  # grows with every change; a copy of an older version is stale
    sa.Column("unsent", sa.Boolean, nullable=False),  # recall does not have this version yet
    sa.Index("ix_memories_unsent", "memory_id", sqlite_where=UNSENT, postgresql_where=UNSENT),
)

calibration: Final = sa.Table(
    "calibration",
    metadata,
    sa.Column("agent_id", sa.Text, primary_key=True),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    _count("wins"),
    _count("losses"),
)

documents: Final = sa.Table(
    "documents",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("text"),
)
