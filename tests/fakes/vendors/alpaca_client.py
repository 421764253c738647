"""Orders as tests send them through the real trading client, and what comes back."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.models import Order, TradeAccount
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    OrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

DAY: Final = TimeInForce.DAY
GTC: Final = TimeInForce.GTC
BUY: Final = OrderSide.BUY
SELL: Final = OrderSide.SELL


def market(qty: float, side: OrderSide = BUY, **more: Any) -> MarketOrderRequest:
    terms = {"time_in_force": DAY, "symbol": "SPY", **more}
    return MarketOrderRequest(qty=qty, side=side, **terms)


def limit(qty: float, price: float, side: OrderSide = BUY, **more: Any) -> LimitOrderRequest:
    terms = {"time_in_force": DAY, "symbol": "SPY", **more}
    return LimitOrderRequest(qty=qty, side=side, limit_price=price, **terms)


def bracket(qty: float = 10, **more: Any) -> MarketOrderRequest:
    return market(
        qty,
        order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=110),
        stop_loss=StopLossRequest(stop_price=95),
        **more,
    )


def submit(client: TradingClient, request: OrderRequest) -> Order:
    order = client.submit_order(request)
    assert isinstance(order, Order)
    return order


def refreshed(client: TradingClient, order: Order) -> Order:
    found = client.get_order_by_id(order.id)
    assert isinstance(found, Order)
    return found


def refusal(client: TradingClient, request: OrderRequest) -> tuple[int | None, dict[str, Any]]:
    with pytest.raises(APIError) as refused:
        client.submit_order(request)
    body = json.loads(str(refused.value))
    assert isinstance(body, dict)
    return refused.value.status_code, body


def account(client: TradingClient) -> TradeAccount:
    found = client.get_account()
    assert isinstance(found, TradeAccount)
    return found
