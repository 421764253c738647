"""The loopback Alpaca fails on request, on the wire, and its books say what was really done."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import Clock, Order
from alpaca.trading.requests import MarketOrderRequest
from pydantic import ValidationError
from requests.adapters import HTTPAdapter

from tests.fakes.clocks import ManualClock
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.http_faults import Fault, FaultKind, FaultPlan, Request, RollingLimit


class Deadline(HTTPAdapter):
    """Gives up after a time, which alpaca-py cannot."""

    def send(self, request: Any, **terms: Any) -> Any:  # type: ignore[override]
        return super().send(request, **{**terms, "timeout": 0.5})


@pytest.fixture
def server() -> Iterator[AlpacaServer]:
    with AlpacaServer() as server:
        server.set_price("SPY", 100)
        yield server


@pytest.fixture
def client(server: AlpacaServer) -> TradingClient:
    client = TradingClient(server.key, server.secret, url_override=server.url)
    client._session.mount("http://", Deadline())
    client._retry_codes = []
    return client


def send(client: TradingClient, client_order_id: str = "ri1-a") -> Order:
    order = client.submit_order(
        MarketOrderRequest(
            symbol="SPY",
            qty=1,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            client_order_id=client_order_id,
        )
    )
    assert isinstance(order, Order)
    return order


@pytest.mark.parametrize(
    ("kind", "error", "booked"),
    [
        (FaultKind.STALL, requests.ReadTimeout, 0),
        (FaultKind.STALL_AFTER, requests.ReadTimeout, 1),
        (FaultKind.RESET_BEFORE, requests.ConnectionError, 0),
        (FaultKind.RESET_AFTER, requests.ConnectionError, 1),
        (FaultKind.STATUS, APIError, 0),
        (FaultKind.STATUS_AFTER, APIError, 1),
        (FaultKind.TRUNCATED, requests.JSONDecodeError, 1),
        (FaultKind.CUT, requests.exceptions.ChunkedEncodingError, 1),
    ],
)
def test_a_spoilt_answer_says_nothing_about_whether_the_order_is_booked(
    server: AlpacaServer,
    client: TradingClient,
    kind: FaultKind,
    error: type[Exception],
    booked: int,
) -> None:
    server.add_fault(Fault(kind=kind, method="POST", path="/v2/orders", status=504, body="<html>"))
    with pytest.raises(error):
        send(client)
    assert server.booked_count("ri1-a") == booked
    assert [each.method for each in server.requests] == ["POST"]
    send(client, "ri1-next")
    assert server.booked_count("ri1-next") == 1


def test_an_order_can_arrive_after_its_answer(server: AlpacaServer, client: TradingClient) -> None:
    server.add_fault(Fault(kind=FaultKind.LATE, method="POST", status=504, delay_s=0.2))
    with pytest.raises(APIError):
        send(client)
    assert server.booked_count("ri1-a") == 0
    server.until(lambda: server.booked_count("ri1-a") == 1)
    assert len(server.executions()) == 1


def test_a_late_order_can_lose_its_answer_altogether(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.add_fault(Fault(kind=FaultKind.LATE, method="POST", status=0, delay_s=0.1))
    with pytest.raises(requests.ConnectionError):
        send(client)
    server.until(lambda: server.booked_count("ri1-a") == 1)


def test_an_answer_drips_in_byte_by_byte(server: AlpacaServer, client: TradingClient) -> None:
    server.add_fault(Fault(kind=FaultKind.DRIP, drip_s=0.0005))
    assert send(client).client_order_id == "ri1-a"


def test_an_unknown_status_is_more_than_the_client_can_read(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.add_fault(
        Fault(kind=FaultKind.REWRITE, method="POST", fields={"status": "some_new_status"})
    )
    with pytest.raises(ValidationError):
        send(client)
    assert server.booked_count("ri1-a") == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_status_comes_with_the_body_and_headers_that_were_asked_for(
    server: AlpacaServer, client: TradingClient, status: int
) -> None:
    server.add_fault(
        Fault(
            kind=FaultKind.STATUS,
            status=status,
            body={"message": "not now"},
            headers={"Retry-After": "7"},
        )
    )
    with pytest.raises(APIError, match="not now") as failed:
        client.get_account()
    assert failed.value.status_code == status
    assert failed.value.response.headers["Retry-After"] == "7"
    client.get_account()


def test_a_skipped_and_counted_fault_spoils_only_its_requests(
    server: AlpacaServer, client: TradingClient
) -> None:
    server.add_fault(kind="status", method="GET", path="/v2/account$", skip=1, count=2, status=500)
    outcomes = []
    for _ in range(4):
        try:
            client.get_account()
        except APIError:
            outcomes.append("500")
        else:
            outcomes.append("ok")
    assert outcomes == ["ok", "500", "500", "ok"]


def test_chance_is_seeded() -> None:
    def spoilt(seed: int) -> list[bool]:
        plan = FaultPlan(random.Random(seed))
        plan.add(Fault(kind=FaultKind.STALL, count=None, probability=0.5))
        now = datetime(2026, 1, 5, tzinfo=UTC)
        request = Request(method="GET", path="/", query={}, headers={}, body=b"", at=now)
        return [plan.take(request) is not None for _ in range(40)]

    assert spoilt(1) == spoilt(1)
    assert spoilt(1) != spoilt(2)
    assert {True, False} == set(spoilt(1))


def test_the_limit_counts_a_rolling_minute() -> None:
    limit = RollingLimit(2)
    assert [limit.admit(at) for at in (0.0, 30.0, 59.9, 60.0, 89.9, 90.0)] == [
        *(True, True, False),
        *(True, False, True),
    ]
    assert limit.most == 2
    assert limit.reset_in_s(90.0) == 30.0


def test_requests_beyond_the_limit_are_told_when_to_come_back() -> None:
    with AlpacaServer(limit_per_minute=2) as server:
        client = TradingClient(server.key, server.secret, url_override=server.url)
        client._retry_codes = []
        client.get_account()
        client.get_account()
        with pytest.raises(APIError, match="rate limit exceeded") as refused:
            client.get_account()
        headers = refused.value.response.headers
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("2", "0")
        waits = (
            datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), UTC) - server.requests[0].at
        )
        assert timedelta(seconds=58) < waits < timedelta(seconds=63)


def test_a_wrong_key_is_refused_as_recorded(server: AlpacaServer) -> None:
    stranger = TradingClient("PKWRONG", "wrong", url_override=server.url)
    with pytest.raises(APIError, match="access key verification failed") as refused:
        stranger.get_account()
    assert (refused.value.status_code, refused.value.code) == (401, 40110000)


def test_an_order_is_not_found_at_once_where_look_ups_lag() -> None:
    clock = ManualClock()
    with AlpacaServer(clock=clock) as server:
        client = TradingClient(server.key, server.secret, url_override=server.url)
        server.behave(hidden_s=5.0)
        send(client)
        with pytest.raises(APIError, match="order not found"):
            client.get_order_by_client_id("ri1-a")
        assert client.get_orders() == []
        clock.advance(5.0)
        assert client.get_order_by_client_id("ri1-a").client_order_id == "ri1-a"  # type: ignore[union-attr]


def test_a_clock_that_is_wrong_is_wrong_everywhere(server: AlpacaServer) -> None:
    server.set_clock(offset_s=-3600)
    client = TradingClient(server.key, server.secret, url_override=server.url)
    clock = client.get_clock()
    assert isinstance(clock, Clock)
    behind = server.requests[0].at - clock.timestamp
    assert abs(behind) < timedelta(seconds=5)
    raw = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    raw.request("GET", "/nowhere")
    said = parsedate_to_datetime(raw.getresponse().headers["Date"])
    raw.close()
    server.set_clock(offset_s=0)
    client.get_clock()
    assert timedelta(minutes=59) < server.requests[-1].at - said < timedelta(minutes=61)


def test_a_server_that_was_down_comes_back_with_its_books(
    server: AlpacaServer, client: TradingClient
) -> None:
    send(client)
    server.go_down()
    with pytest.raises(requests.ConnectionError):
        client.get_account()
    server.come_back()
    order = client.get_order_by_client_id("ri1-a")
    assert isinstance(order, Order)
    assert order.filled_qty == "1"


def test_what_no_one_answers_is_not_found(server: AlpacaServer) -> None:
    raw = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    keys = {"APCA-API-KEY-ID": server.key, "APCA-API-SECRET-KEY": server.secret}
    raw.request("GET", "/v2/nowhere", headers=keys)
    answer = raw.getresponse()
    assert (answer.status, json.loads(answer.read())) == (404, {"message": "endpoint not found."})
    raw.close()
