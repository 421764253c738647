"""What an intent must look like to be booked, and the orders it becomes.

The paper broker is as strict as a real one: an intent that would be refused with money at stake is
refused here, so that it is found in a replay. Everything is checked before anything is booked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.brokers.paper_book import STOP_SUFFIX, TARGET_SUFFIX
from roboinvest.core.errors import OrderRejected
from roboinvest.core.orders import (
    Leg,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
    to_tick,
)

# order type -> (needs a limit price, needs a stop price)
_NEEDS: Final[Mapping[OrderType, tuple[bool, bool]]] = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
}
_LEG_TYPES: Final[Mapping[Leg, OrderType]] = {
    Leg.STOP: OrderType.STOP,
    Leg.TARGET: OrderType.LIMIT,
}


def check_form(intent: OrderIntent, at: datetime) -> None:
    """Refuse an intent that makes no sense, whatever is held.

    Raises:
        OrderRejected: the first fault that was found.
    """
    for check in _CHECKS:
        check(intent)
    if at > intent.valid_until:
        raise OrderRejected(
            f"{intent.symbol}: sent at {at.isoformat()}, valid until "
            f"{intent.valid_until.isoformat()}; decide again"
        )


def booked_orders(intent: OrderIntent, at: datetime) -> list[Order]:
    """Return the entry and its protective legs, as intents not yet accepted.

    The mark of a leg is its own level: that is the price it was decided at, so its slippage is
    what the gap or the market order cost beyond it.
    """
    entry = Order(
        client_order_id=intent.client_order_id,
        tick_id=intent.tick_id,
        agent_id=intent.agent_id,
        revision_id=intent.revision_id,
        symbol=intent.symbol,
        leg=intent.leg,
        side=intent.side,
        qty=intent.qty,
        order_type=intent.order_type,
        time_in_force=intent.time_in_force,
        mark=intent.mark,
        state=OrderState.INTENT,
        created_at=at,
        updated_at=at,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
    )
    orders = [entry]
    if intent.stop_loss is not None:
        orders.append(_leg(entry, Leg.STOP, intent.stop_loss))
    if intent.take_profit is not None:
        orders.append(_leg(entry, Leg.TARGET, intent.take_profit))
    return orders


def _leg(entry: Order, leg: Leg, level: Decimal) -> Order:
    is_stop = leg is Leg.STOP
    return Order(
        client_order_id=entry.client_order_id + (STOP_SUFFIX if is_stop else TARGET_SUFFIX),
        tick_id=entry.tick_id,
        agent_id=entry.agent_id,
        revision_id=entry.revision_id,
        symbol=entry.symbol,
        leg=leg,
        side=Side.SELL if entry.side is Side.BUY else Side.BUY,
        qty=entry.qty,
        order_type=_LEG_TYPES[leg],
        time_in_force=TimeInForce.GTC,
        mark=level,
        state=OrderState.INTENT,
        created_at=entry.created_at,
        updated_at=entry.created_at,
        limit_price=None if is_stop else level,
        stop_price=level if is_stop else None,
        parent_id=entry.client_order_id,
    )


def _check_figures(intent: OrderIntent) -> None:
    figures = {
        "quantity": intent.qty,
        "mark": intent.mark,
        "limit price": intent.limit_price,
        "stop price": intent.stop_price,
        "stop loss": intent.stop_loss,
        "take profit": intent.take_profit,
    }
    for name, figure in figures.items():
        if figure is not None and not (figure.is_finite() and figure > 0):
            raise OrderRejected(
                f"{intent.symbol}: the {name} {figure} is not a positive number; correct it"
            )


def _check_ticks(intent: OrderIntent) -> None:
    for price in (intent.limit_price, intent.stop_price, intent.stop_loss, intent.take_profit):
        if price is not None and price != to_tick(price):
            raise OrderRejected(
                f"{intent.symbol}: the price {price} USD is between ticks; send {to_tick(price)}"
            )


def _check_type(intent: OrderIntent) -> None:
    given = (intent.limit_price is not None, intent.stop_price is not None)
    if given != _NEEDS[intent.order_type]:
        raise OrderRejected(
            f"{intent.symbol}: a {intent.order_type} order with limit {intent.limit_price} and "
            f"stop {intent.stop_price}; a limit order takes the first, a stop order the second"
        )


def _check_leg(intent: OrderIntent) -> None:
    is_bracket = intent.stop_loss is not None or intent.take_profit is not None
    if is_bracket and intent.leg is not Leg.ENTRY:
        raise OrderRejected(
            f"{intent.symbol}: {intent.leg} carries a bracket; only an entry may have one"
        )
    wanted = _LEG_TYPES.get(intent.leg, intent.order_type)
    if intent.order_type is not wanted:
        raise OrderRejected(
            f"{intent.symbol}: {intent.leg} sent as a {intent.order_type} order; send a {wanted}"
        )


def _check_levels(intent: OrderIntent) -> None:
    """Levels stand beyond the price that they are measured from."""
    sign, mark = intent.side.sign, intent.mark
    entry = intent.limit_price or intent.stop_price or mark
    rules = (
        ("stop", intent.stop_price, mark, sign),  # a buy stop waits above the market
        ("stop loss", intent.stop_loss, entry, -sign),
        ("take profit", intent.take_profit, entry, sign),
        ("target", intent.limit_price if intent.leg is Leg.TARGET else None, mark, -sign),
    )
    for name, level, reference, direction in rules:
        if level is not None and (level - reference) * direction <= 0:
            where = "above" if direction > 0 else "below"
            raise OrderRejected(
                f"{intent.symbol}: the {name} {level} of a {intent.side} must lie {where} "
                f"{reference}; correct the level"
            )


_CHECKS: Final[tuple[Callable[[OrderIntent], None], ...]] = (
    _check_figures,
    _check_ticks,
    _check_type,
    _check_leg,
    _check_levels,
)
