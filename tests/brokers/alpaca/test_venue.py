"""The venue against a broker with real books, through the real client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.errors import KeysRefused
from roboinvest.brokers.alpaca.venue import AlpacaVenue
from roboinvest.core.errors import BadSettings, OrderRejected
from roboinvest.core.orders import Leg, OrderType, Side
from roboinvest.core.venue import OutcomeKind, VenueStatus
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret
from tests.brokers.alpaca.conftest import MakeIntent, MakeVenue
from tests.fakes.vendors.alpaca_server import AlpacaServer

D = Decimal
HOUR = timedelta(hours=1)


def posts(server: AlpacaServer) -> int:
    return sum(request.method == "POST" for request in server.requests)


async def test_an_order_is_sent_once_and_answered_with_the_brokers_id(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    outcome = await venue.place(order("ri1-test-1", qty="10"))
    assert outcome.kind is OutcomeKind.ACCEPTED
    (booked,) = server.orders_for("ri1-test-1")
    assert outcome.orders[0].venue_id == booked.id
    assert (booked.qty, booked.symbol, booked.side) == (D(10), "SPY", "buy")
    assert posts(server) == 1
    assert (await venue.positions())[0].qty == D(10)


async def test_a_bracket_stands_at_the_broker_with_both_its_legs(
    venue: AlpacaVenue, order: MakeIntent
) -> None:
    outcome = await venue.place(order(stop_loss="95.50", take_profit="110"))
    entry, *legs = outcome.orders
    assert {(leg.order_type, leg.stop_price or leg.limit_price) for leg in legs} == {
        (OrderType.STOP, D("95.5")),
        (OrderType.LIMIT, D(110)),
    }
    assert {leg.parent_id for leg in legs} == {entry.venue_id}
    found = await venue.find("ri1-test-1")
    assert [order.venue_id for order in found] == [order.venue_id for order in outcome.orders]


async def test_a_fraction_is_sent_to_the_last_digit(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    outcome = await venue.place(order(qty="0.123456789"))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert server.positions()["SPY"] == D("0.123456789")


async def test_what_the_broker_refuses_is_rejected_with_its_reason(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    outcome = await venue.place(order(side=Side.SELL, leg=Leg.EXIT, qty="5", symbol="NOPE"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "42210000")
    assert 'asset "NOPE" not found' in outcome.text
    assert posts(server) == 1


async def test_the_same_id_twice_is_one_order_and_the_second_answer_says_look_it_up(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """A3."""
    first = await venue.place(order())
    second = await venue.place(order())
    assert (second.kind, second.is_duplicate) == (OutcomeKind.REJECTED, True)
    assert server.booked_count("ri1-test-1") == 1
    found = await venue.find("ri1-test-1")
    assert found[0].venue_id == first.orders[0].venue_id


async def test_an_id_stays_taken_after_its_order_was_cancelled(
    venue: AlpacaVenue, order: MakeIntent
) -> None:
    """A4: a new decision needs a new id."""
    first = await venue.place(order(limit="90"))
    assert (await venue.cancel(first.orders[0].venue_id)).kind is OutcomeKind.ACCEPTED
    assert (await venue.place(order(limit="90"))).is_duplicate
    assert (await venue.place(order("ri1-test-2", limit="90"))).kind is OutcomeKind.ACCEPTED


async def test_a_cancel_is_accepted_once_and_refused_for_what_has_ended_or_never_was(
    venue: AlpacaVenue, order: MakeIntent
) -> None:
    booked = (await venue.place(order(limit="90"))).orders[0].venue_id
    assert (await venue.cancel(booked)).kind is OutcomeKind.ACCEPTED
    again = await venue.cancel(booked)
    assert (again.kind, again.code) == (OutcomeKind.REJECTED, "42210000")
    unknown = await venue.cancel("61e69015-8549-4bfd-b9c3-01e75843f47d")
    assert (unknown.kind, unknown.code) == (OutcomeKind.REJECTED, "40410000")
    assert (await venue.find("ri1-test-1"))[0].status is VenueStatus.CANCELLED


async def test_a_name_in_a_path_stays_one_part_of_it(
    venue: AlpacaVenue, server: AlpacaServer
) -> None:
    assert (await venue.cancel("../positions")).kind is OutcomeKind.REJECTED
    assert [request.path for request in server.requests] == ["/v2/orders/../positions"]


async def test_an_unknown_id_is_a_clean_nothing(venue: AlpacaVenue) -> None:
    assert await venue.find("ri1-never") == ()


async def test_nothing_held_and_nothing_ordered_are_empty_lists(venue: AlpacaVenue) -> None:
    since = SystemClock().now() - HOUR
    assert await venue.positions() == ()
    assert list(await venue.orders(since)) == []
    assert list(await venue.executions(since)) == []


async def test_the_account_is_read_without_any_day_trade_field(
    venue: AlpacaVenue, server: AlpacaServer
) -> None:
    server.set_account(has_day_trade_fields=False)
    account = await venue.account()
    assert (account.cash, account.equity, account.blocked) == (D(100_000), D(100_000), None)
    assert account.is_paper


async def test_executions_come_in_pages_complete_and_in_order(
    venue: AlpacaVenue, server: AlpacaServer
) -> None:
    since = SystemClock().now() - HOUR
    for number in range(230):
        server.person_trades("SPY", "buy", 1, 100 + number)
    found = await venue.executions(since)
    assert [execution.price for execution in found] == [D(100 + number) for number in range(230)]
    assert {execution.execution_id for execution in found} == {
        trade.execution_id for trade in server.executions()
    }
    pages = [r for r in server.requests if "activities" in r.path]
    assert len(pages) == 3


async def test_executions_that_fill_their_last_page_are_not_asked_for_without_end(
    venue: AlpacaVenue, server: AlpacaServer
) -> None:
    for _ in range(100):
        server.person_trades("SPY", "buy", 1)
    assert len(await venue.executions(SystemClock().now() - HOUR)) == 100


async def test_orders_are_told_with_their_legs_open_ones_and_those_that_ended(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    since = SystemClock().now() - timedelta(seconds=1)
    await venue.place(order("ri1-a", stop_loss="95", take_profit="110"))
    await venue.place(order("ri1-b", limit="90", symbol="AAPL"))
    found = {each.client_order_id: each for each in await venue.orders(since)}
    assert found["ri1-a"].status is VenueStatus.FILLED
    assert found["ri1-b"].status is VenueStatus.ACCEPTED
    legs = [each for each in found.values() if each.parent_id == found["ri1-a"].venue_id]
    assert [leg.status for leg in legs] == [VenueStatus.ACCEPTED] * 2


async def test_an_open_leg_is_told_also_where_its_group_is_not_listed_as_open(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """A group whose entry is filled may be missing from the list of open groups."""
    outcome = await venue.place(order(stop_loss="95", take_profit="110"))
    server.add_fault(path="nested=true", kind="status", status=200, body=[], count=None)
    found = await venue.orders(SystemClock().now() - HOUR)
    assert {each.venue_id for each in found} == {leg.venue_id for leg in outcome.orders[1:]}


async def test_an_old_order_that_ended_since_the_last_look_is_told(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """The interface lists by submission; an order may end long after that."""
    old = (await venue.place(order("ri1-old", limit="90"))).orders[0].venue_id
    later = SystemClock().now() + timedelta(seconds=30)  # as if it had been long ago
    assert [each.venue_id for each in await venue.orders(later)] == [old]
    server.set_clock(60)
    await venue.cancel(old)
    (told,) = await venue.orders(later)
    assert (told.venue_id, told.status) == (old, VenueStatus.CANCELLED)
    assert list(await venue.orders(later + HOUR)) == []


async def test_many_old_orders_that_ended_are_found_by_a_list(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    for number in range(20):
        await venue.place(order(f"ri1-{number}", limit="90", qty="1"))
    later = SystemClock().now() + timedelta(seconds=30)
    assert len(await venue.orders(later)) == 20
    server.set_clock(60)
    for each in server.orders():
        await venue.cancel(each.id)
    before = len(server.requests)
    assert {each.status for each in await venue.orders(later)} == {VenueStatus.CANCELLED}
    assert len(server.requests) - before < 10


async def test_a_restarted_venue_finds_what_ended_while_nobody_looked(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    first = make_venue()
    old = (await first.place(order("ri1-old", limit="90"))).orders[0].venue_id
    later = SystemClock().now() + timedelta(seconds=30)
    server.set_clock(60)
    await first.cancel(old)
    (told,) = await make_venue().orders(later)
    assert (told.venue_id, told.status) == (old, VenueStatus.CANCELLED)


async def test_a_thousand_open_orders_are_read_whole_in_pages(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    venue = make_venue(per_minute=100_000)
    server.set_account(cash=10_000_000)
    calls = (venue.place(order(f"ri1-{n}", limit="90", qty="1", leg=Leg.EXIT)) for n in range(1100))
    assert {outcome.kind for outcome in await asyncio.gather(*calls)} == {OutcomeKind.ACCEPTED}
    found = await venue.orders(SystemClock().now() - HOUR)
    assert len({each.client_order_id for each in found}) == 1100
    ages = [each.created_at for each in found]
    assert ages == sorted(age for age in ages if age)


async def test_the_brokers_clock_and_calendar_are_utc(
    venue: AlpacaVenue, server: AlpacaServer
) -> None:
    """A23."""
    clock = await venue.clock()
    assert clock.is_open
    assert abs(clock.at - SystemClock().now()) < timedelta(seconds=30)
    server.close_market()
    assert not (await venue.clock()).is_open
    sessions = await venue.sessions(date(2024, 11, 27), date(2024, 12, 2))
    assert [(each.day.day, each.is_half_day) for each in sessions] == [
        (27, False),
        (29, True),
        (2, False),
    ]
    assert sessions[1].closes_at.hour == 18


async def test_an_asset_is_asked_for_once_a_day(venue: AlpacaVenue, server: AlpacaServer) -> None:
    assert (await venue.asset("SPY")).is_tradable
    assert (await venue.asset("SPY")).is_tradable
    assert len(server.requests) == 1
    with pytest.raises(OrderRejected, match="unknown at Alpaca"):
        await venue.asset("NOPE")


async def test_a_second_entry_needs_no_read_before_it_is_sent(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    await venue.place(order("ri1-1", qty="1"))
    before = len(server.requests)
    await venue.place(order("ri1-2", qty="1"))
    assert len(server.requests) - before == 1


async def test_wrong_keys_are_told_as_such_and_never_shown(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """I-SEC-1."""
    access = AlpacaAccess(
        key_id=Secret("PKWRONGWRONGWRONG"), secret_key=Secret("hunter2hunter2"), base_url=server.url
    )
    venue = make_venue(access)
    with pytest.raises(KeysRefused, match="check the keys") as refusal:
        await venue.account()
    outcome = await venue.place(order(leg=Leg.EXIT))
    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "auth")
    shown = f"{refusal.value!r} {outcome!r} {access!r}"
    assert "hunter2" not in shown
    assert "PKWRONG" not in shown


def test_the_real_broker_is_never_reached_where_only_this_machine_is_allowed() -> None:
    access = AlpacaAccess(key_id=Secret("k"), secret_key=Secret("s"), loopback_only=True)
    with pytest.raises(BadSettings, match=r"paper-api\.alpaca\.markets"):
        access.rest_address()
    with pytest.raises(BadSettings, match=r"paper-api\.alpaca\.markets"):
        access.stream_address()


def test_paper_is_what_is_reached_unless_live_is_said() -> None:
    paper = AlpacaAccess(key_id=Secret("k"), secret_key=Secret("s"))
    live = replace(paper, live=True)
    assert paper.rest_address() == "https://paper-api.alpaca.markets"
    assert paper.stream_address() == "wss://paper-api.alpaca.markets/stream"
    assert live.rest_address() == "https://api.alpaca.markets"
    assert live.stream_address() == "wss://api.alpaca.markets/stream"
