"""Small builders of sessions, bars, updates and intents, for tests with known figures.

Everything happens on Tuesday 2024-03-05 (14:30 to 21:00 UTC) unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import Bar, CorporateAction
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Leg,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
)

DAY = date(2024, 3, 5)
MINUTE = timedelta(minutes=1)


def session(day: date = DAY, *, half_day: bool = False) -> Session:
    """Return the regular hours of a winter day in New York."""
    closes = time(18, 0) if half_day else time(21, 0)
    return Session(
        day=day,
        opens_at=datetime.combine(day, time(14, 30), UTC),
        closes_at=datetime.combine(day, closes, UTC),
        is_half_day=half_day,
    )


def minute(number: int, day: date = DAY) -> datetime:
    """Return the instant `number` minutes after the open."""
    return session(day).opens_at + number * MINUTE


def bar(
    ts: datetime,
    prices: Sequence[float],
    *,
    symbol: str = "SPY",
    volume: float = 1_000_000.0,
    length: timedelta = MINUTE,
) -> Bar:
    """Return a bar that opens at `ts`; `prices` are open, high, low and close, or one price."""
    opened, high, low, close = prices if len(prices) > 1 else list(prices) * 4
    return Bar(
        symbol=symbol,
        ts=ts,
        closes_at=ts + length,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
    )


def update(
    at: datetime,
    *bars: Bar,
    on: Session | None = None,
    actions: tuple[CorporateAction, ...] = (),
    suspended: Mapping[str, str] | None = None,
) -> MarketUpdate:
    """Return what a feed reports at `at`, with its bars by time then symbol."""
    return MarketUpdate(
        at=at,
        session=on or session(at.date()),
        bars=tuple(sorted(bars, key=lambda row: (row.ts, row.symbol))),
        actions=actions,
        suspended=suspended or {},
    )


def intent(
    client_order_id: str = "a",
    side: Side = Side.BUY,
    qty: str = "100",
    *,
    symbol: str = "SPY",
    leg: Leg = Leg.ENTRY,
    agent_id: str = HOUSE_AGENT,
    mark: str = "100",
    limit: str | None = None,
    stop: str | None = None,
    stop_loss: str | None = None,
    take_profit: str | None = None,
    time_in_force: TimeInForce = TimeInForce.DAY,
    valid_until: datetime = datetime(2030, 1, 1, tzinfo=UTC),
) -> OrderIntent:
    """Return an intent; its type follows from the prices that are given."""
    kind = OrderType.LIMIT if limit else OrderType.STOP if stop else OrderType.MARKET
    return OrderIntent(
        client_order_id=client_order_id,
        tick_id="20240305T143000Z",
        agent_id=agent_id,
        revision_id=HOUSE_REVISION,
        symbol=symbol,
        leg=leg,
        side=side,
        qty=Decimal(qty),
        order_type=kind,
        time_in_force=time_in_force,
        mark=Decimal(mark),
        limit_price=_money(limit),
        stop_price=_money(stop),
        stop_loss=_money(stop_loss),
        take_profit=_money(take_profit),
        valid_until=valid_until,
    )


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
