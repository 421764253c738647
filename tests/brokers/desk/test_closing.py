"""What closes a position: never more than the broker has, and an end that is not forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.core.errors import OrderRejected
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Leg, OrderState, Side
from roboinvest.core.venue import Outcome, OutcomeKind
from tests.fakes.desks import DeskHouse
from tests.fakes.virtual_time import run_virtual

Script = Callable[[DeskHouse], Awaitable[None]]


def holding(script: Script) -> None:
    """Run a script in a house that holds 10 AAA."""

    async def main() -> None:
        house = DeskHouse()
        await house.opened()
        await house.desk.submit(house.intent("t1"), house.clock.now())
        await house.later(3.0)
        await house.settle()
        await script(house)

    run_virtual(main)


def test_shares_that_a_person_sold_are_not_sold_again() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.by_hand("AAA", Side.SELL, Decimal(10))
        await house.later(3.0)
        exit_ = house.intent("t2", leg=Leg.EXIT)
        with pytest.raises(OrderRejected, match="sell 10 shares: the broker holds 0, of which 0"):
            await house.desk.submit(exit_, house.clock.now())
        assert len(house.venue.posts) == 1

    holding(script)


def test_an_exit_is_limited_to_what_the_broker_holds_and_stays_so_when_it_is_repeated() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.by_hand("AAA", Side.SELL, Decimal(4))
        await house.later(3.0)
        exit_ = house.intent("t2", leg=Leg.EXIT)
        (order,) = await house.desk.submit(exit_, house.clock.now())
        assert (order.qty, house.venue.posts[-1].qty) == (Decimal(6), Decimal(6))
        house.restarted(house.desk.snapshot())
        await house.opened()
        assert (await house.desk.submit(exit_, house.clock.now()))[0].qty == Decimal(6)
        with pytest.raises(OrderRejected, match="another intent"):
            await house.desk.submit(replace(exit_, qty=Decimal(9)), house.clock.now())
        await house.later(3.0)
        assert house.venue.books.positions() == {}
        assert len(house.venue.posts) == 2

    holding(script)


def test_shares_that_are_missing_for_certain_are_not_sold() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.give("AAA", Decimal(-4))
        await house.later(1.0)  # one look may be a race between two reports
        for _ in range(4):
            await house.later(6.0)
        (order,) = await house.desk.submit(house.intent("t2", leg=Leg.EXIT), house.clock.now())
        assert order.qty == Decimal(6)

    holding(script)


def test_a_position_report_that_lags_behind_limits_no_exit() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.give("AAA", Decimal(-10))
        await house.later(1.0)
        (order,) = await house.desk.submit(house.intent("t2", leg=Leg.EXIT), house.clock.now())
        assert order.qty == Decimal(10)

    holding(script)


@pytest.mark.parametrize("side", list(Side))
def test_more_than_is_ours_is_refused_however_much_the_broker_holds(side: Side) -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.by_hand("AAA", side, Decimal(5))
        await house.later(3.0)
        exit_ = house.intent("t2", leg=Leg.EXIT, qty="12")
        with pytest.raises(OrderRejected, match="10 are held"):
            await house.desk.submit(exit_, house.clock.now())

    holding(script)


def test_a_cancel_of_an_order_that_is_looked_up_outlives_a_restart() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN, code="timeout")]
        intent = house.intent("t2", "BBB")
        await house.desk.submit(intent, house.clock.now())
        await house.desk.cancel(intent.client_order_id, house.clock.now(), "changed my mind")
        house.restarted(house.desk.snapshot())
        await house.opened()
        for _ in range(4):
            await house.later(70.0)
        assert [post.symbol for post in house.venue.posts] == ["AAA", "BBB"]  # never sent again

    holding(script)


@pytest.mark.parametrize("fault", ["lost_reply", "late_arrival"])
def test_an_order_that_shows_up_after_a_restart_is_ended_as_it_was_wanted(fault: str) -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.slow_fills = 1.0
        house.venue.faults = replace(house.venue.faults, late_s=20.0)
        house.venue.next_fault = fault
        intent = house.intent("t2", "BBB")
        await house.desk.submit(intent, house.clock.now())
        await house.desk.cancel(intent.client_order_id, house.clock.now(), "changed my mind")
        house.restarted(house.desk.snapshot())
        await house.opened()
        await house.later(25.0)
        await house.later(1.0)
        ended = [o for o in (await house.settle()).orders if o.symbol == "BBB"]
        assert [order.state for order in ended] == [OrderState.CANCELLED]
        assert "BBB" not in house.venue.books.positions()

    holding(script)


def test_a_death_between_the_note_and_the_request_of_a_cancel_does_not_lose_it() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.slow_fills = 1.0
        intent = house.intent("t2", "BBB")
        await house.desk.submit(intent, house.clock.now())
        entry = await house.journal.entry(intent.client_order_id)
        assert entry is not None
        assert entry.state is JournalState.ACCEPTED
        body = {"client_order_id": intent.client_order_id, "why": "changed my mind"}
        await house.journal.note("cancel", house.clock.now(), body)
        house.restarted(house.desk.snapshot())
        await house.opened()
        await house.later(1.0)
        assert "BBB" not in {order.symbol for order in await house.desk.open_orders()}

    holding(script)
