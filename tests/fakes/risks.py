"""A buy and a sale within every limit, and the book they are judged by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from roboinvest.core.events import TradingState
from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import Leg, OrderIntent, OrderType, Side, TimeInForce
from roboinvest.core.risk import RiskBook, RiskLimits, Verdict

AT = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
SESSION = Session(
    day=date(2024, 3, 4),
    opens_at=datetime(2024, 3, 4, 14, 30, tzinfo=UTC),
    closes_at=datetime(2024, 3, 4, 21, 0, tzinfo=UTC),
    is_half_day=False,
)
LIMITS = RiskLimits(
    max_order_usd=Decimal(10_000),
    max_position_frac=Decimal("0.20"),
    max_gross_frac=Decimal("0.50"),
)
BOOK = RiskBook(
    at=AT,
    session=SESSION,
    state=TradingState.READY,
    state_reason="reconciled",
    equity=Decimal(100_000),
    cash=Decimal(100_000),
    day_start_equity=Decimal(100_000),
    peak_equity=Decimal(100_000),
    position_qty=Decimal(0),
    gross_usd=Decimal(0),
    trades_today=0,
    open_orders=0,
    last_price=Decimal(100),
    bar_age=timedelta(0),
)
BUY = OrderIntent(
    client_order_id="ri1-t-1",
    tick_id="20240304T150000Z",
    agent_id="house",
    revision_id="built-in",
    symbol="SPY",
    leg=Leg.ENTRY,
    side=Side.BUY,
    qty=Decimal(50),
    order_type=OrderType.MARKET,
    time_in_force=TimeInForce.DAY,
    mark=Decimal(100),
    stop_loss=Decimal(99),
    take_profit=Decimal(102),
    valid_until=AT + timedelta(minutes=5),
)
SELL = replace(BUY, leg=Leg.EXIT, side=Side.SELL, stop_loss=None, take_profit=None)


def rules(verdict: Verdict) -> set[str]:
    """Return the rules that bit."""
    return {clamp.rule for clamp in verdict.clamps}
