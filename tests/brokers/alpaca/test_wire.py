"""Alpaca's JSON as values: exact money, no closed words, and nothing invented."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.brokers.alpaca.errors import Unreadable
from roboinvest.brokers.alpaca.wire import (
    account_of,
    asset_of,
    clock_of,
    execution_of,
    orders_of,
    plain,
    position_of,
    request_of,
    rows,
    session_of,
    streamed_execution,
)
from roboinvest.core.orders import OrderType, Side, TimeInForce
from roboinvest.core.venue import VenueStatus
from tests.fakes.markets import intent

D = Decimal
Cassette = Callable[[str], Any]

ORDER: dict[str, Any] = {
    "id": "o1",
    "client_order_id": "c1",
    "symbol": "SPY",
    "side": "buy",
    "qty": "10",
    "filled_qty": "0",
    "type": "limit",
    "limit_price": "99.5",
    "status": "new",
    "submitted_at": "2024-03-05T14:30:00.123456789Z",
    "updated_at": "2024-03-05T09:31:00-05:00",
}
ACCOUNT: dict[str, Any] = {"id": "a1", "status": "ACTIVE", "cash": "1000.5", "equity": "2000"}
FILL: dict[str, Any] = {
    "id": "20240305143000000::e1",
    "order_id": "o1",
    "symbol": "SPY",
    "side": "sell",
    "qty": "0.1",
    "price": "100.01",
    "transaction_time": "2024-03-05T14:30:00Z",
}


def test_an_order_is_read_exactly_and_in_utc() -> None:
    (order,) = orders_of(ORDER)
    assert (order.venue_id, order.client_order_id, order.side) == ("o1", "c1", Side.BUY)
    assert (order.qty, order.filled_qty, order.limit_price) == (D(10), D(0), D("99.5"))
    assert order.created_at == datetime(2024, 3, 5, 14, 30, 0, 123456, UTC)
    assert order.updated_at == datetime(2024, 3, 5, 14, 31, tzinfo=UTC)
    assert order.order_type is OrderType.LIMIT


def test_a_recorded_bracket_is_its_entry_and_two_held_legs(cassette: Cassette) -> None:
    entry, target, stop = orders_of(cassette("supports_bracket_orders"))
    assert (entry.client_order_id, entry.status) == ("BRACKET_ORDER_ID", VenueStatus.ACCEPTED)
    assert (target.limit_price, stop.stop_price) == (D(335), D(315))
    assert target.status is stop.status is VenueStatus.HELD
    assert target.parent_id == stop.parent_id == entry.venue_id
    assert entry.parent_id is None


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("new", "0", VenueStatus.ACCEPTED),
        ("pending_cancel", "0", VenueStatus.ACCEPTED),
        ("pending_cancel", "3", VenueStatus.PARTIAL),
        ("done_for_day", "3", VenueStatus.PARTIAL),
        ("held", "0", VenueStatus.HELD),
        ("partially_filled", "3", VenueStatus.PARTIAL),
        ("filled", "10", VenueStatus.FILLED),
        ("canceled", "3", VenueStatus.CANCELLED),
        ("replaced", "0", VenueStatus.REPLACED),
        ("expired", "0", VenueStatus.EXPIRED),
        ("rejected", "0", VenueStatus.REJECTED),
        ("frozen_by_comet", "3", VenueStatus.UNKNOWN),
        ("", "0", VenueStatus.UNKNOWN),
    ],
)
def test_a_status_is_translated_and_a_new_one_is_unknown_and_open(
    word: str, filled: str, status: VenueStatus
) -> None:
    """A15."""
    (order,) = orders_of({**ORDER, "status": word, "filled_qty": filled})
    assert order.status is status
    assert order.is_open is (status.value in {"accepted", "partial", "held", "unknown"})


def test_an_order_by_value_or_of_a_kind_we_never_send_is_still_an_order() -> None:
    (order,) = orders_of({**ORDER, "qty": None, "notional": "500", "type": "trailing_stop"})
    assert (order.qty, order.order_type) == (D(0), None)


def test_a_strategy_of_options_by_hand_is_its_legs() -> None:
    leg = {**ORDER, "id": "l1", "side": "sell_short"}
    strategy = {**ORDER, "order_class": "mleg", "symbol": "", "side": None, "legs": [leg]}
    (order,) = orders_of(strategy)
    assert (order.venue_id, order.side, order.parent_id) == ("l1", Side.SELL, "o1")


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 7},
        {"symbol": ""},
        {"side": "hold"},
        {"qty": "NaN"},
        {"qty": "Infinity"},
        {"qty": "ten"},
        {"qty": True},
        {"qty": ["10"]},
        {"limit_price": {}},
        {"submitted_at": "yesterday"},
        {"legs": {}},
        {"legs": [None]},
    ],
)
def test_a_figure_that_cannot_be_believed_makes_the_reply_unreadable(change: Any) -> None:
    with pytest.raises(Unreadable):
        orders_of({**ORDER, **change})


@pytest.mark.parametrize("raw", [None, "", [], 7, "order", {}])
def test_what_is_no_order_is_not_read_as_one(raw: object) -> None:
    with pytest.raises(Unreadable):
        orders_of(raw)


@pytest.mark.parametrize("raw", [None, {}, "", 0, {"message": "x"}])
def test_a_missing_list_is_never_an_empty_one(raw: object) -> None:
    """I-REC-2."""
    with pytest.raises(Unreadable):
        rows(raw)


def test_an_execution_has_one_name_in_the_list_and_on_the_stream() -> None:
    (order,) = orders_of(ORDER)
    listed = execution_of(FILL)
    streamed = streamed_execution(
        {
            "event": "fill",
            "execution_id": "e1",
            "qty": "0.1",
            "price": "100.01",
            "timestamp": "2024-03-05T14:30:00Z",
        },
        order,
    )
    assert streamed is not None
    assert listed.execution_id == streamed.execution_id == "e1"
    assert (listed.qty, listed.price, listed.side) == (D("0.1"), D("100.01"), Side.SELL)


def test_an_update_that_executes_nothing_or_names_no_execution_is_none() -> None:
    (order,) = orders_of(ORDER)
    assert streamed_execution({"event": "canceled", "execution_id": "e"}, order) is None
    assert streamed_execution({"event": "fill", "execution_id": None}, order) is None


def test_recorded_executions_are_read_with_exact_prices(cassette: Cassette) -> None:
    found = [execution_of(row) for row in cassette("returns_an_Array_of_TradeActivity_objects")]
    assert found[0].execution_id == "a80dfbdf-42ea-459f-82ea-61cf91691913"
    assert (found[0].qty, found[0].price) == (D(26), D("186.98"))
    assert len({execution.execution_id for execution in found}) == len(found)


@pytest.mark.parametrize("change", [{"qty": "0"}, {"price": "-1"}, {"qty": None}, {"id": ""}])
def test_an_execution_of_nothing_is_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        execution_of({**FILL, **change})


@given(st.lists(st.decimals("0.000000001", "1000", places=9), min_size=1, max_size=20))
def test_quantities_add_up_exactly(amounts: list[Decimal]) -> None:
    """A24: what was sent as text comes back as the same figure."""
    wire = json.loads(json.dumps([{**FILL, "qty": plain(amount)} for amount in amounts]))
    assert sum(execution_of(row).qty for row in wire) == sum(amounts)


def test_a_short_position_is_negative_however_it_is_written(cassette: Cassette) -> None:
    recorded = position_of(cassette("returns_a_Position_object"))
    assert (recorded.symbol, recorded.qty, recorded.avg_price) == ("FB", D(-100), D("198.4"))
    row = {"symbol": "X", "qty": "100", "avg_entry_price": "1", "side": "short"}
    assert position_of(row).qty == D(-100)
    assert position_of({**row, "side": "long"}).qty == D(100)


def test_an_account_without_day_trade_fields_is_read(cassette: Cassette) -> None:
    account = account_of(ACCOUNT, is_paper=True)
    assert (account.cash, account.equity, account.blocked) == (D("1000.5"), D(2000), None)
    assert account.buying_power is account.maintenance_margin is account.last_equity is None
    old = account_of(cassette("_account/returns_an_Account_object"), is_paper=True)
    assert old.equity == D(103160)


@pytest.mark.parametrize("field", ["id", "cash", "equity"])
def test_an_account_without_its_money_is_unreadable(field: str) -> None:
    with pytest.raises(Unreadable):
        account_of({**ACCOUNT, field: None}, is_paper=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "ACCOUNT_CLOSED"}, "the account is ACCOUNT_CLOSED"),
        ({"account_blocked": True}, "the account is blocked"),
        ({"trading_blocked": True}, "trading is blocked"),
        ({"trade_suspended_by_user": True}, "its owner suspended trading"),
    ],
)
def test_a_blocked_account_says_why(change: dict[str, Any], reason: str) -> None:
    assert account_of({**ACCOUNT, **change}, is_paper=True).blocked == reason


def test_a_permission_that_is_not_given_is_not_there() -> None:
    bare = asset_of({"symbol": "X"})
    assert (bare.is_tradable, bare.is_fractionable, bare.is_shortable) == (False, False, False)
    full = asset_of(
        {"symbol": "X", "tradable": True, "status": "active", "maintenance_margin_requirement": 30}
    )
    assert (full.is_tradable, full.margin_frac) == (True, D("0.3"))
    assert not asset_of({"symbol": "X", "tradable": True, "status": "inactive"}).is_tradable


def test_the_recorded_clock_and_calendar_are_utc(cassette: Cassette) -> None:
    """A23: the calendar's hours are exchange time without a zone."""
    clock = clock_of(cassette("returns_the_market_clock"))
    assert clock.next_open == datetime(2019, 7, 8, 13, 30, tzinfo=UTC)
    assert not clock.is_open
    first = session_of(cassette("returns_Calendar_objects")[0])
    assert first.day == date(2019, 6, 3)
    assert first.opens_at == datetime(2019, 6, 3, 13, 30, tzinfo=UTC)
    winter = session_of({"date": "2024-11-29", "open": "09:30", "close": "13:00"})
    assert winter.closes_at == datetime(2024, 11, 29, 18, 0, tzinfo=UTC)
    assert winter.is_half_day
    assert not first.is_half_day


def test_a_clock_that_does_not_say_whether_it_is_open_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="open"):
        clock_of({"timestamp": "2024-03-05T14:30:00Z"})


def test_an_intent_is_asked_for_in_texts() -> None:
    assert request_of(intent("c1", Side.SELL, "10", limit="101.10")) == {
        "symbol": "SPY",
        "qty": "10",
        "side": "sell",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": "c1",
        "extended_hours": False,
        "limit_price": "101.1",
    }


def test_a_bracket_has_absolute_prices_on_their_ticks() -> None:
    body = request_of(intent(limit="100", stop_loss="95.004", take_profit="0.12346"))
    assert body["order_class"] == "bracket"
    assert body["stop_loss"] == {"stop_price": "95"}
    assert body["take_profit"] == {"limit_price": "0.1235"}
    assert request_of(intent(stop_loss="95"))["order_class"] == "oto"
    assert "order_class" not in request_of(intent())


def test_the_stop_of_a_market_entry_outlives_the_day() -> None:
    """The legs of a bracket live as long as its entry says."""
    assert request_of(intent(stop_loss="95"))["time_in_force"] == "gtc"
    assert request_of(intent())["time_in_force"] == "day"
    assert request_of(intent(limit="99", stop_loss="95"))["time_in_force"] == "day"
    stop = request_of(intent(stop="95", time_in_force=TimeInForce.GTC))
    assert (stop["type"], stop["stop_price"], stop["time_in_force"]) == ("stop", "95", "gtc")


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0.10", "0.1"), ("100", "100"), ("1E-9", "0.000000001"), ("5.000", "5")],
)
def test_a_number_is_written_without_an_exponent(value: str, text: str) -> None:
    assert plain(D(value)) == text
