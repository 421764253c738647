"""What the venue refuses before it is sent, and what it sends whatever it believes."""

from __future__ import annotations

from datetime import datetime, timedelta

from roboinvest.brokers.alpaca.venue import AlpacaVenue
from roboinvest.core.orders import Leg, Side, TimeInForce
from roboinvest.core.venue import OutcomeKind
from roboinvest.runtime.clock import SystemClock
from tests.brokers.alpaca.conftest import MakeIntent, MakeVenue
from tests.fakes.vendors.alpaca_server import AlpacaServer

HOUR = timedelta(hours=1)


def posts(server: AlpacaServer) -> int:
    return sum(request.method == "POST" for request in server.requests)


async def test_a_refused_entry_is_never_sent(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.close_market()
    outcome = await venue.place(order())
    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "refused-here")
    assert "the market is closed until" in outcome.text
    assert posts(server) == 0


async def test_a_price_that_is_no_number_is_refused_without_a_single_request(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    outcome = await venue.place(order(limit="NaN"))
    assert outcome.kind is OutcomeKind.REJECTED
    assert "NaN is not a positive number" in outcome.text
    assert server.requests == []


async def test_an_entry_beyond_what_is_left_of_buying_power_is_refused(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.set_account(multiplier=1)
    assert (await venue.place(order("ri1-1", qty="600"))).kind is OutcomeKind.ACCEPTED
    outcome = await venue.place(order("ri1-2", qty="401", symbol="AAPL"))
    assert "buying power is 40000.00" in outcome.text
    assert (
        await venue.place(order("ri1-3", qty="400", symbol="AAPL"))
    ).kind is OutcomeKind.ACCEPTED
    assert posts(server) == 2


async def test_an_entry_that_the_broker_refused_takes_no_buying_power(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.set_account(multiplier=1)
    await venue.place(order("ri1-1", qty="1"))
    again = await venue.place(order("ri1-1", qty="900"))
    assert again.is_duplicate
    outcome = await venue.place(order("ri1-2", qty="900"))
    assert outcome.kind is OutcomeKind.ACCEPTED


async def test_what_the_account_shows_already_is_not_counted_twice(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.set_account(multiplier=1)
    await venue.place(order("ri1-1", qty="600"))
    await venue.account()  # says 40,000 USD now
    assert (await venue.place(order("ri1-2", qty="400"))).kind is OutcomeKind.ACCEPTED


async def test_an_exit_is_sent_whatever_is_believed_about_market_and_account(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.person_trades("SPY", "buy", 10)
    server.close_market()
    outcome = await venue.place(order(side=Side.SELL, qty="10", leg=Leg.EXIT))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert len(server.requests) == 1


async def test_an_order_that_is_no_longer_valid_never_leaves(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """I-ORD-4."""
    late = SystemClock().now() - timedelta(seconds=1)
    outcome = await venue.place(order(leg=Leg.EXIT, valid_until=late))
    assert outcome.kind is OutcomeKind.REJECTED
    assert server.requests == []


class HourAGlance(SystemClock):
    """A clock on which an hour passes between two looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = -1

    def now(self) -> datetime:
        self._looks += 1
        return super().now() + self._looks * HOUR


async def test_an_order_whose_time_ran_out_while_it_waited_for_its_turn_never_leaves(
    make_venue: MakeVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    """I-ORD-4: the last look is right before it is sent."""
    venue = make_venue(clock=HourAGlance())
    soon = SystemClock().now() + timedelta(minutes=30)
    outcome = await venue.place(order(leg=Leg.EXIT, valid_until=soon))
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, "not-sent")
    assert "it was not sent" in outcome.text
    assert server.requests == []


async def test_a_stop_that_protects_lives_until_it_is_cancelled(
    venue: AlpacaVenue, server: AlpacaServer, order: MakeIntent
) -> None:
    server.person_trades("SPY", "buy", 10)
    stop = order(side=Side.SELL, qty="10", leg=Leg.STOP, stop="95", time_in_force=TimeInForce.GTC)
    assert (await venue.place(stop)).kind is OutcomeKind.ACCEPTED
    server.set_price("SPY", 94)
    assert server.positions() == {}
