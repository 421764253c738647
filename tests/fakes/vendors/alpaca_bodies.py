"""Alpaca's answers as JSON: every figure is a text, as recorded, so that no float is between."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.fakes.vendors.alpaca_values import Asset, BookedOrder, Holding, Trade

Body = dict[str, Any]


def text(value: Decimal | None) -> str | None:
    """Return a figure without exponent and without trailing zeros."""
    if value is None:
        return None
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def stamp(at: datetime | None) -> str | None:
    """Return an instant as "2019-07-09T21:07:24.662832Z"."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def order_body(
    order: BookedOrder, asset: Asset, legs: list[Body] | None, *, says_held: bool = False
) -> Body:
    """Return an order; `legs` None says that they were not asked for."""
    average = order.filled_value / order.filled_qty if order.filled_qty else None
    ended = {order.status: stamp(order.ended_at)}
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": stamp(order.created_at),
        "updated_at": stamp(order.updated_at),
        "submitted_at": stamp(order.created_at),
        "filled_at": ended.get("filled"),
        "expired_at": ended.get("expired"),
        "canceled_at": ended.get("canceled"),
        "failed_at": ended.get("rejected"),
        "replaced_at": ended.get("replaced"),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset.id,
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": text(order.notional),
        "qty": None if order.notional is not None else text(order.qty),
        "filled_qty": text(order.filled_qty),
        "filled_avg_price": text(None if average is None else round(average, 6)),
        "order_class": "" if order.order_class == "simple" else order.order_class,
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": None,
        "time_in_force": order.time_in_force,
        "limit_price": text(order.limit_price),
        "stop_price": text(order.stop_price),
        "status": "held" if says_held else order.status,
        "extended_hours": order.extended_hours,
        "legs": legs,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "source": None,
        "subtag": None,
    }


def asset_body(asset: Asset) -> Body:
    """Return an asset."""
    return {
        "id": asset.id,
        "class": "us_equity",
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": f"{asset.symbol} Common Stock",
        "status": asset.status,
        "tradable": asset.tradable,
        "marginable": True,
        "maintenance_margin_requirement": 30,
        "shortable": asset.shortable,
        "easy_to_borrow": asset.shortable,
        "fractionable": asset.fractionable,
        "attributes": ["fractional_eh_enabled"] if asset.fractionable else [],
    }


def position_body(held: Holding, asset: Asset, price: Decimal, available: Decimal) -> Body:
    """Return a position at a price; `available` are the shares that no order holds."""
    value, cost = held.qty * price, held.qty * held.avg_price
    gain = value - cost
    share = round(gain / abs(cost), 6) if cost else Decimal(0)
    return {
        "asset_id": asset.id,
        "symbol": held.symbol,
        "exchange": asset.exchange,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": text(held.qty),
        "avg_entry_price": text(round(held.avg_price, 6)),
        "side": "long" if held.qty > 0 else "short",
        "market_value": text(value),
        "cost_basis": text(round(cost, 6)),
        "unrealized_pl": text(round(gain, 6)),
        "unrealized_plpc": text(share),
        "unrealized_intraday_pl": text(round(gain, 6)),
        "unrealized_intraday_plpc": text(share),
        "current_price": text(price),
        "lastday_price": text(price),
        "change_today": "0",
        "qty_available": text(available if held.qty > 0 else -available),
    }


def activity_body(trade: Trade) -> Body:
    """Return an account activity of type FILL."""
    return {
        "id": trade.activity_id,
        "activity_type": "FILL",
        "transaction_time": stamp(trade.at),
        "type": "partial_fill" if trade.leaves_qty else "fill",
        "price": text(trade.price),
        "qty": text(trade.qty),
        "side": trade.side,
        "symbol": trade.symbol,
        "leaves_qty": text(trade.leaves_qty),
        "order_id": trade.order_id,
        "cum_qty": text(trade.cum_qty),
        "order_status": trade.order_status,
    }


def update_body(
    event: str, event_id: str, order: Mapping[str, Any], at: datetime, trade: Trade | None
) -> Body:
    """Return a message of the trade stream; `position_qty` is added by the books."""
    data: Body = {
        "event": event,
        "event_id": event_id,
        "execution_id": trade.execution_id if trade else None,
        "timestamp": stamp(trade.at if trade else at),
        "order": dict(order),
    }
    if trade is not None:
        data |= {"price": text(trade.price), "qty": text(trade.qty)}
    return {"stream": "trade_updates", "data": data}
