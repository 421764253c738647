"""A broker that does not answer is told of once, and is back when everything was read again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.core.errors import TryLater
from roboinvest.core.orders import Side
from tests.fakes.desks import DeskHouse
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

RAISED, RESOLVED = ("raised", "broker.away"), ("resolved", "broker.away")


def lived(script: Callable[[DeskHouse], Awaitable[None]]) -> None:
    """Run a script in a house whose desk has passed the barrier."""

    async def main() -> None:
        house = DeskHouse()
        await house.opened()
        await script(house)

    run_virtual(main)


def test_one_failed_comparison_is_weather_and_two_are_told_once() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.no_positions = True
        await house.later(6.0)
        assert (house.alarms.heard, house.desk.away()) == ([], None)
        for _ in range(4):
            await house.later(6.0)
        assert (house.alarms.heard, house.desk.away()) == ([RAISED], "broker.away")
        house.venue.no_positions = False
        await house.later(6.0)
        assert (house.alarms.heard, house.desk.away()) == ([RAISED, RESOLVED], None)

    lived(script)


def test_failures_with_an_answer_between_them_are_not_added_up() -> None:
    async def script(house: DeskHouse) -> None:
        for _ in range(4):
            house.venue.no_positions = True
            await house.later(6.0)
            house.venue.no_positions = False
            await house.later(6.0)
        assert house.alarms.heard == []

    lived(script)


def test_a_broker_that_says_nothing_is_told_of_before_the_first_question_ends() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.stuck = True
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(house.desk.reconcile())
            await asyncio.sleep(11.0)
            assert house.alarms.heard == []
            await asyncio.sleep(2.0)
            assert house.alarms.heard == [RAISED]
            assert not looking.done()
        assert not looking.result().agrees
        house.venue.stuck = False
        await house.later(6.0)
        assert house.alarms.heard == [RAISED, RESOLVED]

    lived(script)


def test_a_tick_that_gets_no_account_says_so_before_it_fails() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.stuck = True
        with pytest.raises(TryLater):
            await house.desk.account({})
        assert house.alarms.heard == [RAISED]

    lived(script)


def test_the_reconciler_asks_for_the_account_that_a_tick_lacked_so_that_it_ends() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.stuck = True
        with pytest.raises(TryLater):
            await house.desk.account({})
        house.venue.stuck = False
        await house.later(1.0)
        assert house.alarms.heard == [RAISED], "a comparison asks for no account"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20.0):
                await Reconciler(house.desk).run(context())
        assert house.alarms.heard == [RAISED, RESOLVED]

    lived(script)


def test_a_broker_that_was_away_when_the_house_stopped_is_told_to_be_back_by_the_next_one() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.no_positions = True
        for _ in range(3):
            await house.later(6.0)
        assert house.alarms.heard == [RAISED]
        house.restarted()
        await house.desk.begin()
        await house.later(6.0)
        assert house.alarms.heard == [RAISED], "nothing was read yet"
        house.venue.no_positions = False
        await house.opened()
        assert house.alarms.heard == [RAISED, RESOLVED]

    lived(script)


def test_a_journal_that_takes_nothing_is_no_broker_that_is_away() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.by_hand("BBB", Side.BUY, Decimal(3))  # there is something to write
        house.journal.takes_writes = False
        for _ in range(4):
            await house.later(6.0)
        assert "disk is full" in house.desk.state()[1]
        assert house.desk.away() is None

    lived(script)
