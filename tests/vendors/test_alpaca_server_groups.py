"""The loopback Alpaca ends brackets, pairs and replacements as one, and its books always agree."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderStatus
from alpaca.trading.models import Order, Position
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from tests.fakes.vendors.alpaca_client import (
    BUY,
    SELL,
    bracket,
    limit,
    market,
    refreshed,
    refusal,
    submit,
)
from tests.fakes.vendors.alpaca_server import AlpacaServer


@pytest.fixture
def server() -> Iterator[AlpacaServer]:
    with AlpacaServer(cash=10_000) as server:
        server.set_price("SPY", 100)
        yield server


@pytest.fixture
def client(server: AlpacaServer) -> TradingClient:
    return TradingClient(server.key, server.secret, url_override=server.url)


def test_a_bracket_holds_its_legs_until_the_entry_has_filled(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.behave(holds_fills=True)
    entry = submit(client, bracket(client_order_id="ri1-entry"))
    assert entry.legs is not None
    assert {each.client_order_id for each in entry.legs}.isdisjoint({"ri1-entry"})
    assert [each.status for each in entry.legs] == [OrderStatus.HELD] * 2
    server.fill(str(entry.id), 4)
    assert [each.status for each in server.orders()] == ["partially_filled", "held", "held"]
    server.fill(str(entry.id))
    assert [each.status for each in server.orders()] == ["filled", "new", "new"]


@pytest.mark.parametrize(("price", "kept"), [("94.5", "stop"), ("111", "limit")])
def test_one_leg_of_a_bracket_that_fills_cancels_the_other(
    server: AlpacaServer, client: TradingClient, price: str, kept: str
) -> None:
    submit(client, bracket())
    server.set_price("SPY", price)
    ends = {each.type: each.status for each in server.orders() if each.parent_id}
    assert ends == {kept: "filled", ({"stop", "limit"} - {kept}).pop(): "canceled"}
    assert server.positions() == {}


def test_a_leg_on_the_wrong_side_of_the_price_is_refused(client: TradingClient) -> None:
    wrong = bracket()
    wrong.stop_loss = StopLossRequest(stop_price=100)
    status, body = refusal(client, wrong)
    assert (status, body["code"], body["base_price"]) == (422, 42210000, "100")
    assert body["message"] == "stop_loss.stop_price must be <= base_price - 0.01"


def test_cancelling_an_entry_cancels_its_legs_even_after_a_part_has_filled(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.behave(holds_fills=True)
    entry = submit(client, bracket())
    server.fill(str(entry.id), 4)
    client.cancel_order_by_id(entry.id)
    assert [each.status for each in server.orders()] == ["canceled"] * 3
    assert server.positions() == {"SPY": Decimal(4)}


def test_an_oco_pair_holds_the_shares_once_and_ends_as_one(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, market(10))
    pair = limit(
        10,
        110,
        SELL,
        order_class=OrderClass.OCO,
        take_profit=TakeProfitRequest(limit_price=110),
        stop_loss=StopLossRequest(stop_price=95),
    )
    order = submit(client, pair)
    position = client.get_open_position("SPY")
    assert isinstance(position, Position)
    assert position.qty_available == "0"
    server.set_price("SPY", 94)
    assert refreshed(client, order).status is OrderStatus.CANCELED
    assert server.positions() == {}


def test_an_order_that_has_ended_cannot_be_cancelled_or_replaced(client: TradingClient) -> None:
    done = submit(client, market(1))
    with pytest.raises(APIError, match='order is already in \\\\"filled\\\\" state') as cancelled:
        client.cancel_order_by_id(done.id)
    assert cancelled.value.status_code == 422
    with pytest.raises(APIError, match="only open orders can be replaced") as replaced:
        client.replace_order_by_id(done.id, ReplaceOrderRequest(qty=2))
    assert replaced.value.status_code == 422


def test_a_replacement_is_a_new_order_that_points_back(
    server: AlpacaServer, client: TradingClient
) -> None:
    old = submit(client, limit(10, 50))
    new = client.replace_order_by_id(old.id, ReplaceOrderRequest(qty=5, limit_price=60))
    assert isinstance(new, Order)
    assert (new.replaces, new.qty, new.limit_price) == (old.id, "5", "60")
    before = refreshed(client, old)
    assert (before.status, before.replaced_by) == (OrderStatus.REPLACED, new.id)
    server.set_price("SPY", 60)
    assert server.positions() == {"SPY": Decimal(5)}


def test_a_fill_that_overtakes_a_replacement_rejects_it(
    server: AlpacaServer, client: TradingClient
) -> None:
    old = submit(client, limit(10, 50))
    server.behave(holds_changes=True)
    new = client.replace_order_by_id(old.id, ReplaceOrderRequest(qty=5))
    assert isinstance(new, Order)
    server.fill(str(old.id), price=50)
    server.settle()
    assert refreshed(client, old).status is OrderStatus.FILLED
    assert refreshed(client, new).status is OrderStatus.REJECTED
    assert server.positions() == {"SPY": Decimal(10)}


def test_a_cancel_that_waits_can_still_lose_to_a_fill(
    server: AlpacaServer, client: TradingClient
) -> None:
    order = submit(client, limit(10, 50))
    server.behave(holds_changes=True)
    client.cancel_order_by_id(order.id)
    assert refreshed(client, order).status is OrderStatus.PENDING_CANCEL
    server.fill(str(order.id), 3, 50)
    server.settle()
    ended = refreshed(client, order)
    assert (ended.status, ended.filled_qty) == (OrderStatus.CANCELED, "3")


def test_the_legs_of_a_bracket_can_be_moved_one_by_one(
    server: AlpacaServer, client: TradingClient
) -> None:
    entry = submit(client, bracket())
    stop = next(each for each in entry.legs or () if each.stop_price)
    moved = client.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=98))
    assert isinstance(moved, Order)
    server.set_price("SPY", "97.5")
    assert refreshed(client, moved).status is OrderStatus.FILLED
    assert server.positions() == {}
    assert client.get_orders() == []


def test_an_entry_that_is_replaced_hands_its_legs_over(
    server: AlpacaServer, client: TradingClient
) -> None:
    entry = submit(
        client,
        limit(
            10,
            98,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=90),
        ),
    )
    new = client.replace_order_by_id(entry.id, ReplaceOrderRequest(qty=4))
    assert isinstance(new, Order)
    server.set_price("SPY", 98)
    found = client.get_order_by_id(new.id, GetOrderByIdRequest(nested=True))
    assert isinstance(found, Order)
    assert [(each.qty, each.status) for each in found.legs or ()] == [("4", OrderStatus.NEW)] * 2


def test_a_stop_leg_may_go_on_saying_held_and_protects_all_the_same(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.set_account(stop_legs_stay_held=True)
    entry = submit(client, bracket())
    said = {each.type: refreshed(client, each).status for each in entry.legs or ()}
    assert set(said.values()) == {OrderStatus.NEW, OrderStatus.HELD}
    server.set_price("SPY", 94)
    assert server.positions() == {}


@pytest.mark.parametrize("seed", range(8))
def test_no_sequence_of_requests_and_prices_makes_the_books_disagree(seed: int) -> None:
    rng = random.Random(seed)
    with AlpacaServer(cash=20_000, seed=seed) as server:
        can_short = rng.random() < 0.5
        server.set_account(multiplier=1 + can_short, shorting_enabled=True)
        client = TradingClient(server.key, server.secret, url_override=server.url)
        server.set_price("SPY", 100)
        for _ in range(60):
            step(rng, server, client)
            held, cash = Decimal(0), Decimal(20_000)
            for each in server.executions():
                sign = 1 if each.side == "buy" else -1
                held, cash = held + sign * each.qty, cash - sign * each.qty * each.price
            assert (server.positions().get("SPY", Decimal(0)), server.cash()) == (held, cash)
            assert held >= 0 or can_short
            for order in server.orders():
                filled = [each.qty for each in server.executions() if each.order_id == order.id]
                assert sum(filled) == order.filled_qty
                assert order.filled_qty <= (order.qty or 0)
                assert (order.status == "filled") == (order.filled_qty == order.qty)


def step(rng: random.Random, server: AlpacaServer, client: TradingClient) -> None:
    """Do one thing by chance; a refusal is as good as anything."""
    qty, side = rng.randint(1, 60), rng.choice([BUY, SELL])
    price = rng.randint(90, 110)
    try:
        match rng.randint(0, 6):
            case 0 | 1:
                submit(client, market(qty, side))
            case 2:
                submit(client, limit(qty, price, side))
            case 3:
                submit(client, bracket(qty))
            case 4:
                server.set_price("SPY", price, shares=rng.choice([None, 5, 20]))
            case 5:
                order = rng.choice(server.orders() or [None])
                if order is not None:
                    client.cancel_order_by_id(order.id)
            case _:
                order = rng.choice(server.orders() or [None])
                if order is not None:
                    at = None if order.limit_price is None else price
                    change = ReplaceOrderRequest(qty=qty, limit_price=at)
                    client.replace_order_by_id(order.id, change)
    except APIError:
        pass


def test_a_closing_order_cannot_be_replaced_by_one_for_more_than_is_held(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, market(10))
    resting = submit(client, limit(6, 120, SELL))
    with pytest.raises(APIError, match="requested: 11, available: 10"):
        client.replace_order_by_id(resting.id, ReplaceOrderRequest(qty=11))
    client.replace_order_by_id(resting.id, ReplaceOrderRequest(qty=10))
    server.set_price("SPY", 120)
    assert server.positions() == {}
