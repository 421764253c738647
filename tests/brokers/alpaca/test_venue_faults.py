"""The venue against a broker that misbehaves: no order twice, no doubt taken for a no."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from roboinvest.brokers.alpaca.venue import AlpacaVenue
from roboinvest.core.errors import TryLater
from roboinvest.core.orders import Leg, Side
from roboinvest.core.venue import Outcome, OutcomeKind, VenueStatus
from roboinvest.runtime.clock import SystemClock
from tests.brokers.alpaca.conftest import MakeIntent, MakeVenue
from tests.fakes.vendors.alpaca_server import AlpacaServer

SHORT_S = 0.4  # a socket's patience in these tests
HOUR = timedelta(hours=1)
HTML = "<html><body>gateway</body></html>"


async def placed(venue: AlpacaVenue, make: MakeIntent, **kwargs: Any) -> Outcome:
    """Send an exit of 10 SPY, which is judged by its form alone."""
    return await venue.place(make(side=Side.SELL, qty="10", leg=Leg.EXIT, **kwargs))


@pytest.fixture(autouse=True)
def holding(server: AlpacaServer) -> None:
    server.person_trades("SPY", "buy", 10)


@pytest.mark.parametrize(
    ("fault", "booked"),
    [
        ({"kind": "status_after", "status": 504, "body": HTML}, 1),
        ({"kind": "status_after", "status": 500}, 1),
        ({"kind": "status", "status": 503}, 0),
        ({"kind": "status", "status": 502, "body": HTML}, 0),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}, 0),
        ({"kind": "status", "status": 403, "body": HTML}, 0),
        ({"kind": "status", "status": 302, "headers": {"Location": "/v2/account"}}, 0),
        ({"kind": "reset_before"}, 0),
        ({"kind": "reset_after"}, 1),
        ({"kind": "cut", "at_byte": 20}, 1),
        ({"kind": "truncated", "at_byte": 0}, 1),
        ({"kind": "truncated", "at_byte": 1}, 1),
        ({"kind": "rewrite", "fields": {"client_order_id": "somebody-elses"}}, 1),
        ({"kind": "rewrite", "fields": {"side": "sideways"}}, 1),
        ({"kind": "stall"}, 0),
        ({"kind": "stall_after"}, 1),
        ({"kind": "drip", "drip_s": 0.05}, 1),
        ({"kind": "late", "delay_s": 0.01, "status": 504}, None),
    ],
)
async def test_an_answer_that_cannot_be_believed_is_unknown_and_nothing_is_sent_again(
    make_venue: MakeVenue,
    server: AlpacaServer,
    order: MakeIntent,
    fault: dict[str, Any],
    booked: int | None,
) -> None:
    """I-ORD-6; A1, A2, A16, A17: the vendor's client would have sent a 504 four times."""
    venue = make_venue(total_s=SHORT_S)
    server.add_fault(method="POST", **fault)
    outcome = await placed(venue, order)
    assert outcome.kind is OutcomeKind.UNKNOWN, outcome
    assert outcome.code not in {"", "not-sent"}
    assert "html" not in outcome.text
    assert sum(request.method == "POST" for request in server.requests) == 1
    if booked is not None:
        assert server.booked_count("ri1-test-1") == booked
        assert len(await venue.find("ri1-test-1")) == booked


async def test_a_reply_cut_at_any_byte_never_rejects_and_never_sends_again(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """A16."""
    venue = make_venue(per_minute=100_000)
    server.person_trades("SPY", "buy", 10_000)
    whole = (await placed(venue, order)).orders[0]
    assert whole.client_order_id == "ri1-test-1"
    length = 1_000
    for at_byte in range(0, length, 7):
        client_order_id = f"ri1-cut-{at_byte}"
        server.add_fault(method="POST", kind="truncated", at_byte=at_byte)
        intent = order(client_order_id, side=Side.SELL, qty="10", leg=Leg.EXIT)
        outcome = await venue.place(intent)
        assert outcome.kind in {OutcomeKind.UNKNOWN, OutcomeKind.ACCEPTED}
        assert server.booked_count(client_order_id) == 1
        if outcome.kind is OutcomeKind.ACCEPTED:  # nothing was cut off any more
            assert at_byte > 700


async def test_a_status_that_nobody_knows_is_an_accepted_order_with_its_id(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """A15."""
    server.add_fault(method="POST", kind="rewrite", fields={"status": "some_new_status"})
    outcome = await placed(venue, order)
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert outcome.orders[0].status is VenueStatus.UNKNOWN
    assert outcome.orders[0].venue_id == server.orders_for("ri1-test-1")[0].id


async def test_a_stalled_call_ends_by_its_deadline_and_the_loop_goes_on(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """A1, A6."""
    venue, loop, ticks = make_venue(total_s=SHORT_S), asyncio.get_running_loop(), 0
    server.add_fault(kind="stall", count=None)
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(placed(venue, order))
        while not call.done():
            await asyncio.sleep(0)
            ticks += 1
    assert call.result().code == "timeout"
    assert loop.time() - began < SHORT_S + 2
    assert ticks > 100


async def test_stalled_reads_never_hold_up_an_order(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    venue = make_venue(total_s=5)
    server.add_fault(method="GET", kind="stall", count=None)
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(_ends(venue)) for _ in range(10)]
        await asyncio.to_thread(server.until, lambda: len(server.requests) == 4)
        async with asyncio.timeout(4):
            assert (await placed(venue, order)).kind is OutcomeKind.ACCEPTED
        for read in reads:
            read.cancel()


async def _ends(venue: AlpacaVenue) -> None:
    with pytest.raises(TryLater):
        await venue.positions()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 404, "body": HTML},
        {"kind": "status", "body": "null", "status": 200},
        {"kind": "status", "body": "{}", "status": 200},
        {"kind": "status", "body": "", "status": 200},
        {"kind": "truncated", "at_byte": 1},
        {"kind": "cut", "at_byte": 1},
        {"kind": "reset_before"},
        {"kind": "rewrite", "fields": {"qty": None, "filled_qty": "NaN"}},
    ],
)
async def test_a_read_that_fails_is_never_read_as_nothing(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent, fault: dict[str, Any]
) -> None:
    """I-REC-2: a missing position report is never read as flat; neither are the other lists."""
    venue, since = make_venue(total_s=SHORT_S, reads=2), SystemClock().now() - HOUR
    await placed(venue, order)
    server.person_trades("AAPL", "buy", 1)
    server.add_fault(method="GET", count=None, **fault)
    with pytest.raises(TryLater):
        await venue.positions()
    with pytest.raises(TryLater):
        await venue.executions(since)
    with pytest.raises(TryLater):
        await venue.orders(since)
    with pytest.raises(TryLater):
        await venue.find("ri1-test-1")


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncated", "stall"])
async def test_a_read_is_tried_again_after_a_passing_fault(
    make_venue: MakeVenue, server: AlpacaServer, kind: str
) -> None:
    venue = make_venue(total_s=SHORT_S)
    server.add_fault(method="GET", kind=kind, count=2)
    assert len(await venue.positions()) == 1
    assert len(server.requests) == 3


async def test_a_page_that_is_missing_makes_the_whole_list_missing(
    make_venue: MakeVenue, server: AlpacaServer
) -> None:
    """I-DATA-1 for executions."""
    for _ in range(150):
        server.person_trades("SPY", "buy", 1)
    server.add_fault(path="page_token", kind="status", status=500, count=None)
    with pytest.raises(TryLater, match="executions"):
        await make_venue(reads=2).executions(SystemClock().now() - HOUR)


async def test_a_lookup_that_finds_the_order_late_says_nothing_before(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.behave(hidden_s=3_600)
    server.add_fault(method="POST", kind="status_after", status=504)
    assert (await placed(venue, order)).kind is OutcomeKind.UNKNOWN
    assert await venue.find("ri1-test-1") == ()
    server.set_clock(7_200)
    assert len(await venue.find("ri1-test-1")) == 1


async def test_a_cancel_that_gets_no_answer_is_unknown(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    venue = make_venue(total_s=SHORT_S)
    booked = (await placed(venue, order, limit="110")).orders[0].venue_id
    server.add_fault(method="DELETE", kind="reset_after")
    assert (await venue.cancel(booked)).kind is OutcomeKind.UNKNOWN
    assert (await venue.find("ri1-test-1"))[0].status is VenueStatus.CANCELLED


async def test_a_redirect_is_no_answer_to_a_cancel(
    venue: AlpacaVenue, server: AlpacaServer
) -> None:
    location = {"Location": "/v2/account"}
    server.add_fault(method="DELETE", kind="status", status=302, headers=location)
    assert (await venue.cancel("x")).kind is OutcomeKind.UNKNOWN


async def test_after_a_429_nothing_but_orders_is_sent_until_the_reset(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """A5."""
    venue = make_venue(total_s=SHORT_S, reads=1)
    server.add_fault(kind="status", status=429, headers={"Retry-After": "30"})
    with pytest.raises(TryLater):
        await venue.positions()
    with pytest.raises(TryLater, match="no turn"):
        await venue.positions()
    assert len(server.requests) == 1
    assert (await placed(venue, order)).kind is OutcomeKind.ACCEPTED


async def test_the_brokers_own_limit_is_never_overdrawn(
    access: Any, make_venue: MakeVenue, server: AlpacaServer
) -> None:
    venue = make_venue(per_minute=60)
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(venue.positions()) for _ in range(20)]
    assert all(len(read.result()) == 1 for read in reads)
    assert len(server.requests) == 20  # the burst; the next would have to wait


async def test_an_entry_that_cannot_be_judged_is_not_sent_and_says_so(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    venue = make_venue(total_s=SHORT_S, reads=1)
    server.add_fault(method="GET", path="/v2/account", kind="stall", count=None)
    outcome = await venue.place(order())
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, "not-sent")
    assert not any(request.method == "POST" for request in server.requests)


async def test_a_cancelled_caller_leaves_no_answer_that_says_rejected(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """I-ORD-6: a cancellation goes through, and the order is found by its id."""
    venue = make_venue(total_s=SHORT_S)
    server.add_fault(method="POST", kind="stall_after")
    async with asyncio.TaskGroup() as group:
        call = group.create_task(placed(venue, order))
        await asyncio.to_thread(server.until, lambda: server.booked_count("ri1-test-1") == 1)
        call.cancel()
    assert call.cancelled()
    assert len(await venue.find("ri1-test-1")) == 1


async def test_a_broker_that_is_down_and_comes_back_is_used_again(
    make_venue: MakeVenue, server: AlpacaServer
) -> None:
    venue = make_venue(reads=1)
    assert len(await venue.positions()) == 1
    server.go_down()
    with pytest.raises(TryLater, match="connection broke"):
        await venue.positions()
    server.come_back()
    assert len(await venue.positions()) == 1
