"""The foundation: ticks, sessions, orders, fills, trades, lots, memories, calibration, documents.

Types are written out plainly here, so that this step stays as it was when a column type of the
program changes its mind. A table is its rows' only record: there is no way down from here.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from roboinvest.core.errors import BadSettings

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create every table."""
    _create_ticks()
    _create_sessions()
    _create_orders()
    _create_fills()
    _create_trades()
    _create_lots()
    _create_memories()
    _create_calibration()
    _create_documents()


def downgrade() -> None:
    """Refuse: there is nothing below the first revision.

    Raises:
        BadSettings: always.
    """
    raise BadSettings("0001 is the first revision; set the data folder aside with --fresh instead")


def _sequence() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_ticks() -> None:
    shrinkable = sa.text(
        "body IS NOT NULL AND buys = 0 AND sells = 0 AND orders = 0 AND fills = 0 AND rejected = 0"
    )
    op.create_table(
        "ticks",
        sa.Column("tick_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session_day", sa.Date(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("equity", sa.Text(), nullable=False),
        sa.Column("cash", sa.Text(), nullable=False),
        sa.Column("realised_pnl", sa.Text(), nullable=False),
        sa.Column("open_pnl", sa.Text(), nullable=False),
        sa.Column("buys", sa.Integer(), nullable=False),
        sa.Column("sells", sa.Integer(), nullable=False),
        sa.Column("holds", sa.Integer(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("fills", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("tick_id", name=op.f("pk_ticks")),
    )
    op.create_index("ix_ticks_at", "ticks", ["at"], unique=False)
    op.create_index(
        "ix_ticks_shrinkable",
        "ticks",
        ["at"],
        unique=False,
        sqlite_where=shrinkable,
        postgresql_where=shrinkable,
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_day", sa.Date(), nullable=False),
        sa.Column("last_tick_id", sa.Text(), nullable=False),
        sa.Column("open_equity", sa.Text(), nullable=False),
        sa.Column("close_equity", sa.Text(), nullable=False),
        sa.Column("ticks", sa.Integer(), nullable=False),
        sa.Column("buys", sa.Integer(), nullable=False),
        sa.Column("sells", sa.Integer(), nullable=False),
        sa.Column("holds", sa.Integer(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("fills", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("trades", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("session_day", name=op.f("pk_sessions")),
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("seq", _sequence(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("tick_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("qty", sa.Text(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("limit_price", sa.Text(), nullable=True),
        sa.Column("stop_price", sa.Text(), nullable=True),
        sa.Column("filled_qty", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_orders")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_orders_client_order_id")),
    )
    op.create_index(op.f("ix_orders_state"), "orders", ["state"], unique=False)


def _create_fills() -> None:
    op.create_table(
        "fills",
        sa.Column("seq", _sequence(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("qty", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("commission", sa.Text(), nullable=False),
        sa.Column("slippage_bps", sa.Double(), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tick_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_order_id"], ["orders.client_order_id"], name=op.f("fk_fills_client_order_id")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_fills")),
        sa.UniqueConstraint("execution_id", name=op.f("uq_fills_execution_id")),
    )
    op.create_index(op.f("ix_fills_client_order_id"), "fills", ["client_order_id"], unique=False)


def _create_trades() -> None:
    op.create_table(
        "trades",
        sa.Column("seq", _sequence(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("qty", sa.Text(), nullable=False),
        sa.Column("entry_price", sa.Text(), nullable=False),
        sa.Column("exit_price", sa.Text(), nullable=False),
        sa.Column("commission", sa.Text(), nullable=False),
        sa.Column("pnl", sa.Text(), nullable=False),
        sa.Column("r_multiple", sa.Double(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("exit_leg", sa.Text(), nullable=False),
        sa.Column("entry_order_id", sa.Text(), nullable=False),
        sa.Column("exit_order_id", sa.Text(), nullable=False),
        sa.Column("closes_entry", sa.Boolean(), nullable=False),
        sa.Column("tick_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_trades")),
        sa.UniqueConstraint("trade_id", name=op.f("uq_trades_trade_id")),
    )
    op.create_index("ix_trades_symbol_closed_at", "trades", ["symbol", "closed_at"], unique=False)


def _create_lots() -> None:
    op.create_table(
        "lots",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.Text(), nullable=False),
        sa.Column("qty", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("commission", sa.Text(), nullable=False),
        sa.Column("risk_per_share", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_order_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "symbol", "place", name=op.f("pk_lots")),
    )


def _create_memories() -> None:
    unsent = sa.text("unsent")
    op.create_table(
        "memories",
        sa.Column("memory_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("conviction", sa.Double(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("stop", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("outcome_kind", sa.Text(), nullable=True),
        sa.Column("outcome_r_multiple", sa.Double(), nullable=True),
        sa.Column("outcome_closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome_how", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unsent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("memory_id", name=op.f("pk_memories")),
    )
    op.create_index(
        "ix_memories_unsent",
        "memories",
        ["memory_id"],
        unique=False,
        sqlite_where=unsent,
        postgresql_where=unsent,
    )


def _create_calibration() -> None:
    op.create_table(
        "calibration",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wins", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "bucket", name=op.f("pk_calibration")),
    )


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_documents")),
    )
