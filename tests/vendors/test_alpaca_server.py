"""The loopback Alpaca keeps real books: asked and moved by the real trading client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus, QueryOrderStatus
from alpaca.trading.models import Order, Position
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OrderRequest,
    StopOrderRequest,
)

from tests.fakes.vendors.alpaca_client import (
    BUY,
    DAY,
    GTC,
    SELL,
    account,
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


def test_a_market_order_is_taken_then_filled_at_the_price(
    server: AlpacaServer, client: TradingClient
) -> None:
    taken = submit(client, market(10, client_order_id="ri1-a"))
    assert taken.status is OrderStatus.PENDING_NEW
    found = client.get_order_by_client_id("ri1-a")
    assert isinstance(found, Order)
    assert (found.id, found.status) == (taken.id, OrderStatus.FILLED)
    assert (found.filled_qty, found.filled_avg_price) == ("10", "100")
    position = client.get_open_position("SPY")
    assert isinstance(position, Position)
    assert (position.qty, position.avg_entry_price) == ("10", "100")
    assert account(client).cash == "9000"
    assert server.positions() == {"SPY": Decimal(10)}
    assert [each.client_order_id for each in server.executions()] == ["ri1-a"]


def test_money_and_shares_add_up_after_many_trades(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, market(10))
    server.set_price("SPY", "110")
    submit(client, market(5))
    server.set_price("SPY", "120")
    submit(client, market(12, SELL))
    assert server.positions() == {"SPY": Decimal(3)}
    spent = sum(
        each.price * each.qty * (1 if each.side == "buy" else -1) for each in server.executions()
    )
    assert server.cash() == Decimal(10_000) - spent
    assert Decimal(account(client).equity or "0") == server.cash() + 3 * Decimal(120)


def test_a_limit_waits_for_its_price_and_a_stop_for_its_trigger(
    server: AlpacaServer, client: TradingClient
) -> None:
    waiting = submit(client, limit(10, 99))
    assert refreshed(client, waiting).status is OrderStatus.NEW
    server.set_price("SPY", "99.01")
    assert refreshed(client, waiting).status is OrderStatus.NEW
    server.set_price("SPY", "98.50")
    assert refreshed(client, waiting).filled_avg_price == "98.5"
    stop = submit(
        client,
        StopOrderRequest(symbol="SPY", qty=10, side=SELL, time_in_force=GTC, stop_price=95),
    )
    server.set_price("SPY", "95.01")
    assert refreshed(client, stop).status is OrderStatus.NEW
    server.set_price("SPY", "94")
    assert refreshed(client, stop).filled_avg_price == "94"
    assert server.positions() == {}


def test_shares_that_are_not_there_make_partial_fills(
    server: AlpacaServer, client: TradingClient
) -> None:
    order = submit(client, limit(10, 101))
    waiting = submit(client, limit(10, 90))
    server.set_price("SPY", 90, shares=4)
    assert refreshed(client, order).status is OrderStatus.FILLED
    part = refreshed(client, waiting)
    assert (part.status, part.filled_qty) == (OrderStatus.PARTIALLY_FILLED, "4")
    server.set_price("SPY", "89.5", shares=1)
    server.fill(str(waiting.id), 2, "89.75")
    assert refreshed(client, waiting).filled_qty == "7"
    server.set_price("SPY", 89)
    full = refreshed(client, waiting)
    assert (full.status, full.filled_qty) == (OrderStatus.FILLED, "10")
    cumulated = [each.cum_qty for each in server.executions() if each.order_id == str(waiting.id)]
    assert cumulated == [4, 5, 7, 10]


def test_a_client_order_id_is_taken_for_the_life_of_the_account(
    server: AlpacaServer, client: TradingClient
) -> None:
    first = submit(client, limit(1, 50, client_order_id="ri1-once"))
    client.cancel_order_by_id(first.id)
    assert refreshed(client, first).status is OrderStatus.CANCELED
    assert refusal(client, limit(1, 50, client_order_id="ri1-once")) == (
        422,
        {"code": 40010001, "message": "client_order_id must be unique"},
    )
    assert server.booked_count("ri1-once") == 1
    server.behave(forgets_ids=True)
    submit(client, limit(1, 50, client_order_id="ri1-once"))
    assert server.booked_count("ri1-once") == 2


def test_an_order_that_is_refused_leaves_its_id_free(
    server: AlpacaServer, client: TradingClient
) -> None:
    assert refusal(client, limit(101, 100, client_order_id="ri1-big"))[0] == 403
    assert server.booked_count("ri1-big") == 0
    submit(client, limit(99, 99, client_order_id="ri1-big"))
    assert server.booked_count("ri1-big") == 1


def test_buying_power_bites_at_the_cent_and_counts_what_is_promised(client: TradingClient) -> None:
    submit(client, limit(50, 50))
    assert account(client).buying_power == "7500"
    status, body = refusal(client, limit(75, 100.01))
    assert status == 403
    assert body == {
        "code": 40310000,
        "message": "insufficient buying power",
        "buying_power": "7500",
        "cost_basis": "7500.75",
    }
    submit(client, limit(75, 100))


def test_a_cash_account_and_a_stopped_account_refuse_by_their_own_words(
    server: AlpacaServer, client: TradingClient
) -> None:
    assert refusal(client, market(1, SELL))[1]["message"] == "account is not allowed to short"
    server.set_account(trade_suspended_by_user=True)
    assert refusal(client, market(1)) == (
        403,
        {"code": 40310000, "message": "new orders are rejected by user request"},
    )
    server.set_account(trade_suspended_by_user=False, trading_blocked=True)
    assert refusal(client, market(1))[0] == 403
    assert account(client).trading_blocked is True


def test_a_margin_account_sells_short_and_covers(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.set_account(multiplier=2, shorting_enabled=True)
    submit(client, market(10, SELL))
    assert server.positions() == {"SPY": Decimal(-10)}
    assert account(client).cash == "11000"
    assert refusal(client, market(11))[1]["available"] == "10"
    submit(client, market(10))
    assert server.positions() == {}
    server.asset("SPY", shortable=False)
    assert refusal(client, market(1, SELL))[1]["message"] == 'asset "SPY" cannot be sold short'


def test_shares_that_an_order_holds_cannot_be_sold_again(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, market(10))
    resting = submit(client, limit(6, 120, SELL))
    status, body = refusal(client, market(5, SELL))
    assert (status, body["code"]) == (403, 40310000)
    assert body["message"] == "insufficient qty available for order (requested: 5, available: 4)"
    assert (body["existing_qty"], body["held_for_orders"]) == ("10", "6")
    assert body["related_orders"] == [str(resting.id)]
    submit(client, market(4, SELL))


def test_an_opposite_order_that_could_trade_with_ours_is_a_wash(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, market(10))
    stop = StopOrderRequest(symbol="SPY", qty=10, side=SELL, time_in_force=GTC, stop_price=90)
    resting = submit(client, stop)
    status, body = refusal(client, market(1))
    assert (status, body["existing_order_id"]) == (403, str(resting.id))
    assert body["message"] == "potential wash trade detected. use complex orders"
    assert body["reject_reason"] == "opposite side market/stop order exists"


@pytest.mark.parametrize(
    ("asset", "order", "status", "message"),
    [
        ({"tradable": False}, market(1), 422, 'asset "SPY" is not tradable'),
        ({"status": "inactive"}, market(1), 422, 'asset "SPY" is not active'),
        ({"fractionable": False}, market(0.5), 403, 'asset "SPY" is not fractionable'),
        ({}, market(0.5, time_in_force=GTC), 422, "fractional orders must be DAY orders"),
        ({}, bracket(0.5), 422, "fractional orders must be simple orders"),
        ({}, market(1, symbol="NOPE"), 422, 'asset "NOPE" not found'),
        ({}, limit(1, 100.001), 422, "invalid limit_price 100.001. sub-penny increment does"),
    ],
)
def test_what_the_rules_forbid_is_refused_with_the_recorded_words(
    server: AlpacaServer,
    client: TradingClient,
    asset: dict[str, Any],
    order: OrderRequest,
    status: int,
    message: str,
) -> None:
    server.asset("SPY", **asset)
    said = refusal(client, order)
    assert said[0] == status
    assert said[1]["message"].startswith(message)
    assert server.orders() == []


def test_fractions_and_orders_by_value_are_booked_to_nine_places(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, market(1.8))
    server.set_price("SPY", 150)
    by_value = submit(
        client, MarketOrderRequest(symbol="SPY", notional=100, side=BUY, time_in_force=DAY)
    )
    assert (by_value.qty, by_value.notional) == (None, "100")
    assert refreshed(client, by_value).filled_qty == "0.666666667"
    assert server.positions() == {"SPY": Decimal("2.466666667")}
    status, body = refusal(
        client,
        LimitOrderRequest(symbol="SPY", notional=100, side=BUY, time_in_force=DAY, limit_price=9),
    )
    assert (status, body["message"]) == (422, "notional orders must be market orders")


def test_the_close_ends_what_lived_for_the_day_and_queues_what_comes_after(
    server: AlpacaServer, client: TradingClient
) -> None:
    day, gtc = submit(client, limit(1, 50)), submit(client, limit(1, 50, time_in_force=GTC))
    server.close_market()
    late = submit(client, market(1))
    assert late.status is OrderStatus.ACCEPTED
    assert refreshed(client, day).status is OrderStatus.EXPIRED
    assert refreshed(client, gtc).status is OrderStatus.NEW
    assert server.positions() == {}
    server.open_market()
    assert refreshed(client, late).status is OrderStatus.FILLED


def test_a_person_s_trades_move_the_same_books(server: AlpacaServer, client: TradingClient) -> None:
    order_id = server.person_trades("AAPL", "buy", 3, "10")
    assert server.positions() == {"AAPL": Decimal(3)}
    found = client.get_order_by_id(order_id)
    assert isinstance(found, Order)
    assert not found.client_order_id.startswith("ri1-")


def test_lists_of_orders_filter_sort_and_nest(server: AlpacaServer, client: TradingClient) -> None:
    done = submit(client, market(1))
    entry = submit(client, bracket())
    waiting = submit(client, limit(1, 50, symbol="AAPL"))

    def ids(**query: Any) -> list[Any]:
        return [each.id for each in client.get_orders(GetOrdersRequest(**query))]  # type: ignore[union-attr]

    legs = [each.id for each in entry.legs or ()]
    assert ids() == [waiting.id, *reversed(legs)]
    everything = ids(status=QueryOrderStatus.ALL, nested=True)
    assert everything == [waiting.id, entry.id, done.id]
    assert ids(status=QueryOrderStatus.CLOSED, direction="asc") == [done.id, entry.id]
    assert ids(symbols=["AAPL"]) == [waiting.id]
    assert ids(status=QueryOrderStatus.ALL, limit=1) == [waiting.id]


def test_everything_can_be_cancelled_and_closed_at_once(
    server: AlpacaServer, client: TradingClient
) -> None:
    submit(client, bracket())
    server.set_price("AAPL", 10)
    submit(client, market(5, symbol="AAPL"))
    with pytest.raises(APIError, match="insufficient qty available"):
        client.close_position("SPY")
    client.close_position("AAPL", ClosePositionRequest(qty="2"))
    assert server.positions() == {"SPY": Decimal(10), "AAPL": Decimal(3)}
    client.close_all_positions(cancel_orders=True)
    assert server.positions() == {}
    assert client.get_orders() == []
    with pytest.raises(APIError, match="position does not exist") as missing:
        client.close_position("SPY")
    assert missing.value.status_code == 404


def test_who_asks_before_booking_sees_the_order_before_anyone_else(
    server: AlpacaServer, client: TradingClient
) -> None:
    seen: list[tuple[str, int]] = []
    server.before_booking(lambda body: seen.append((body["client_order_id"], len(server.orders()))))
    submit(client, market(1, client_order_id="ri1-a"))
    refusal(client, market(1, client_order_id="ri1-a"))
    submit(client, market(1, client_order_id="ri1-b"))
    assert seen == [("ri1-a", 0), ("ri1-b", 1)]


def complain(body: Mapping[str, Any]) -> None:
    raise KeyError(f"no journal row for {body['symbol']}")


def test_a_callback_that_fails_fails_the_test_and_not_only_the_request() -> None:
    server = AlpacaServer()
    server.start()
    server.before_booking(complain)
    client = TradingClient(server.key, server.secret, url_override=server.url)
    with pytest.raises(requests.ConnectionError):
        client.submit_order(market(1))
    with pytest.raises(KeyError, match="no journal row"):
        server.stop()
