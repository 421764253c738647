"""The books agree with the broker's, or nothing new is risked and a person is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.core.errors import OrderRejected
from roboinvest.core.events import TradingState
from roboinvest.core.journal import JournalState, positions_of
from roboinvest.core.orders import Leg, Side
from tests.fakes.desks import DeskHouse
from tests.fakes.services import context
from tests.fakes.venues import CALM
from tests.fakes.virtual_time import run_virtual

READY, DEGRADED = TradingState.READY, TradingState.DEGRADED
RECONCILING = TradingState.RECONCILING


def lived(script: Callable[[DeskHouse], Awaitable[None]]) -> None:
    """Run a script in a house whose desk has passed the barrier."""

    async def main() -> None:
        house = DeskHouse()
        await house.opened()
        await script(house)

    run_virtual(main)


async def compared(house: DeskHouse, times: int, seconds: float = 6.0) -> None:
    for _ in range(times):
        await house.later(seconds)


def test_the_barrier_is_down_until_everything_was_compared() -> None:
    async def main() -> None:
        house = DeskHouse()
        await house.opened()
        assert house.states == [RECONCILING, RECONCILING, READY]

    run_virtual(main)


def test_i_rec_1_twice_is_once_and_no_change_writes_nothing() -> None:
    async def script(house: DeskHouse) -> None:
        await house.desk.submit(house.intent(bracket=True), house.clock.now())
        house.venue.books.by_hand("BBB", Side.BUY, Decimal(3))
        await compared(house, 2)
        events, book = list(house.journal.events), dict(house.desk.book.expected())
        await compared(house, 3, seconds=0.0)
        assert (house.journal.events, house.desk.book.expected()) == (events, book)

    lived(script)


def test_i_rec_2_a_positions_report_that_fails_is_not_read_as_flat() -> None:
    async def script(house: DeskHouse) -> None:
        await house.desk.submit(house.intent(), house.clock.now())
        await house.later(3.0)
        house.venue.no_positions = True
        await compared(house, 6)
        assert house.desk.state()[0] is DEGRADED
        assert "cannot be read" in house.desk.state()[1]
        assert house.desk.book.ours == {"AAA": Decimal(10)}
        assert house.alarms.heard == [("raised", "broker.away")]
        house.venue.no_positions = False
        await house.later(1.0)
        assert house.desk.state()[0] is READY

    lived(script)


def test_a_real_mismatch_stops_new_risk_alarms_and_corrects_nothing() -> None:
    async def script(house: DeskHouse) -> None:
        await house.desk.submit(house.intent("t1"), house.clock.now())
        await house.later(3.0)
        house.venue.books.give("AAA", Decimal(-4))  # shares vanish without an execution
        await house.later(1.0)
        assert house.desk.state()[0] is READY  # one look may be a race between two reports
        await compared(house, 3)
        state, reason = house.desk.state()
        assert (state, house.alarms.heard) == (DEGRADED, [("raised", "broker.positions")])
        assert "AAA -4" in reason
        with pytest.raises(OrderRejected, match="DEGRADED"):
            await house.desk.submit(house.intent("t2", "BBB"), house.clock.now())
        await house.desk.submit(house.intent("t3", leg=Leg.EXIT, qty="6"), house.clock.now())
        assert [post.leg for post in house.venue.posts] == [Leg.ENTRY, Leg.EXIT]

    lived(script)


def test_a_mismatch_that_an_earlier_run_told_of_is_over_once_positions_agree_for_a_while() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.give("AAA", Decimal(4))
        await compared(house, 4)
        assert house.alarms.heard == [("raised", "broker.positions")]
        house.venue.books.give("AAA", Decimal(-4))
        house.restarted()
        await house.opened()
        assert house.alarms.heard == [("raised", "broker.positions")], "one look proves little"
        await compared(house, 4)
        told = [("raised", "broker.positions"), ("resolved", "broker.positions")]
        assert house.alarms.heard == told

    lived(script)


def test_a_mismatch_that_is_gone_is_lifted_once_it_stays_gone() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.give("AAA", Decimal(-4))
        await compared(house, 4)
        assert house.desk.state()[0] is DEGRADED
        house.venue.books.give("AAA", Decimal(4))
        await house.later(1.0)
        assert house.desk.state()[0] is DEGRADED
        await compared(house, 3)
        assert house.desk.state()[0] is READY
        assert house.alarms.heard[-1] == ("resolved", "broker.positions")

    lived(script)


def test_a_difference_that_stays_the_same_over_an_execution_is_another_one() -> None:
    async def script(house: DeskHouse) -> None:
        await house.opened()
        house.venue.books.give("AAA", Decimal(4))
        await house.later(1.0)
        await house.later(10.0)
        house.venue.books.by_hand("AAA", Side.BUY, Decimal(3))
        for _ in range(3):
            await house.later(4.0)
            assert house.desk.state()[0] is TradingState.READY
        await house.later(8.0)
        assert house.desk.state()[0] is TradingState.DEGRADED

    lived(script)


def test_executions_without_end_do_not_hide_a_difference_for_ever() -> None:
    async def script(house: DeskHouse) -> None:
        await house.opened()
        house.venue.books.give("AAA", Decimal(4))
        for _ in range(50):
            house.venue.books.by_hand("AAA", Side.BUY, Decimal(1))
            await house.later(10.0)
        assert house.desk.state()[0] is TradingState.DEGRADED

    lived(script)


def test_a_mismatch_at_the_start_lets_exits_through_and_no_entry() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        await desk.submit(house.intent(), house.clock.now())
        await house.later(3.0)
        house.venue.books.give("AAA", Decimal(-4))
        house.restarted()
        await house.desk.begin()
        await house.later(1.0)
        assert house.desk.state()[0] is RECONCILING
        await compared(house, 4)
        assert house.desk.state()[0] is DEGRADED

    run_virtual(main)


def test_positions_that_lag_behind_their_executions_are_no_mismatch() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.faults = replace(CALM, positions_lag_s=10.0)
        for number in range(5):
            await house.desk.submit(house.intent(f"t{number}"), house.clock.now())
            await compared(house, 3)
        house.venue.faults = CALM
        await compared(house, 2)
        assert (house.alarms.heard, house.desk.state()[0]) == ([], READY)

    lived(script)


def test_a_persons_trades_and_holdings_are_their_own_book_and_no_mismatch() -> None:
    async def main() -> None:
        house = DeskHouse()
        house.venue.books.give("AAA", Decimal(7))
        house.venue.books.by_hand("BBB", Side.BUY, Decimal(2))
        desk = await house.opened()
        house.venue.books.by_hand("AAA", Side.SELL, Decimal(5))
        await desk.submit(house.intent(), house.clock.now())
        await compared(house, 5)
        booked = await house.journal.booked()
        assert positions_of(booked, ours=True) == {"AAA": Decimal(10)}
        assert positions_of(booked, ours=False) == {"AAA": Decimal(2), "BBB": Decimal(2)}
        assert (house.alarms.heard, desk.state()[0]) == ([], READY)
        assert all(fill.symbol == "AAA" for fill in (await house.settle()).fills)

    run_virtual(main)


def test_a_legs_fill_is_ours_although_its_entry_is_still_being_looked_up() -> None:
    async def script(house: DeskHouse) -> None:
        books, intent = house.venue.books, house.intent(bracket=True)
        house.venue.next_fault = "lost_reply"
        house.venue.faults = replace(CALM, timeout_s=0.1)
        await house.desk.submit(intent, house.clock.now())
        head, *legs = books.family(books.by_name[intent.client_order_id])
        books.fill(head.venue_id, Decimal(10))
        books.fill(legs[0].venue_id, Decimal(10))
        unnamed = [replace(each, client_order_id="") for each in books.executions]
        hidden = [replace(leg, parent_id=None) for leg in legs]  # listed without their entry
        await house.desk.on_update(hidden[0], unnamed)
        assert await house.journal.booked() == ()
        await house.later(1.0)
        assert positions_of(await house.journal.booked(), ours=False) == {}
        assert house.desk.book.ours == {"AAA": Decimal(0)}
        assert len((await house.settle()).fills) == 2

    lived(script)


def test_after_a_restart_an_older_report_does_not_open_an_order_that_was_told_as_ended() -> None:
    async def main() -> None:
        house = DeskHouse()
        house.venue.books.slow_fills = 1.0
        desk = await house.opened()
        (order,) = await desk.submit(house.intent(), house.clock.now())
        older = await house.venue.find(order.client_order_id)
        await desk.cancel(order.client_order_id, house.clock.now(), "changed my mind")
        desk = house.restarted(desk.snapshot())
        await desk.begin()
        await desk.on_update(older[0])
        assert (await house.settle()).orders == ()

    run_virtual(main)


def test_opening_balances_are_taken_once() -> None:
    async def main() -> None:
        house = DeskHouse()
        house.venue.books.give("AAA", Decimal(7))
        await house.opened()
        house.venue.books.give("AAA", Decimal(1))  # while we were away, without an execution
        house.restarted()
        await house.opened()
        await compared(house, 4)
        notes = [event for event in house.journal.events if event.startswith("note opening")]
        assert len(notes) == 1
        assert house.desk.state()[0] is DEGRADED

    run_virtual(main)


def test_an_order_of_ours_that_the_journal_does_not_know_alarms() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.books.book(house.intent("from a lost journal"))
        await house.later(1.0)
        assert house.desk.state()[0] is DEGRADED
        assert "does not know" in house.desk.state()[1]

    lived(script)


def test_a_fill_during_a_disconnect_arrives_with_the_next_comparison() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        await desk.submit(house.intent(), house.clock.now())
        async with asyncio.TaskGroup() as services:
            running = services.create_task(Reconciler(desk).run(context("reconciler")))
            await asyncio.sleep(5.0)
            assert desk.book.ours == {}
            desk.wake()  # as the stream does when it is back
            await asyncio.sleep(1.0)
            assert desk.book.ours == {"AAA": Decimal(10)}
            running.cancel()

    run_virtual(main)


def test_a_crash_while_sending_is_settled_by_the_next_life() -> None:
    async def main() -> None:
        house = DeskHouse()
        await house.opened()
        intent = house.intent()
        house.venue.stuck = True
        sending = asyncio.ensure_future(house.desk.submit(intent, house.clock.now()))
        await asyncio.sleep(0.5)
        sending.cancel()
        await asyncio.wait([sending])
        house.venue.stuck = False
        house.venue.books.book(intent)  # it had arrived
        house.restarted()
        await house.opened()
        entry = await house.journal.entry(intent.client_order_id)
        assert entry is not None
        assert (entry.state, entry.sends) == (JournalState.ACCEPTED, 1)

    run_virtual(main)


def test_before_a_tick_a_fresh_comparison_is_not_repeated() -> None:
    async def script(house: DeskHouse) -> None:
        started = house.clock.monotonic()
        await house.desk.before_tick()
        assert house.clock.monotonic() == started
        await asyncio.sleep(6.0)
        await house.desk.before_tick()
        assert house.clock.monotonic() > started + 6.0

    lived(script)
