"""The one way to change the state of an order."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from roboinvest.core.orders import (
    NEXT_STATES,
    Leg,
    Order,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
    moved,
)
from tests.fakes.markets import minute


def order(state: OrderState) -> Order:
    return Order(
        client_order_id="a",
        tick_id="20240305T143000Z",
        agent_id="house",
        revision_id="built-in",
        symbol="SPY",
        leg=Leg.ENTRY,
        side=Side.BUY,
        qty=Decimal(10),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        mark=Decimal(100),
        state=state,
        created_at=minute(0),
        updated_at=minute(0),
        note="kept",
    )


@pytest.mark.parametrize("before", OrderState)
@pytest.mark.parametrize("after", OrderState)
def test_an_order_makes_the_moves_of_the_table_and_no_other(
    before: OrderState, after: OrderState
) -> None:
    if after in NEXT_STATES[before]:
        assert moved(order(before), after, minute(1)).state is after
    else:
        with pytest.raises(ValueError, match=f"no move from {before} to {after}"):
            moved(order(before), after, minute(1))


def test_a_move_stamps_its_time_and_keeps_what_it_is_not_told() -> None:
    at = minute(0) + timedelta(seconds=7)
    partial = moved(order(OrderState.ACCEPTED), OrderState.PARTIAL, at, filled_qty=Decimal(3))
    assert (partial.updated_at, partial.filled_qty, partial.note) == (at, Decimal(3), "kept")
    ended = moved(partial, OrderState.CANCELLED, at, note="asked")
    assert (ended.filled_qty, ended.note) == (Decimal(3), "asked")
