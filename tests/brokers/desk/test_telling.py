"""What the house is told: each execution once, each change once, whatever dies in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.brokers.desk.order_book import OrderBook
from roboinvest.core.errors import BadInput
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import OrderState, Side
from roboinvest.core.venue import Execution, VenueOrder, VenueStatus
from tests.fakes.clocks import START
from tests.fakes.desks import DeskHouse
from tests.fakes.journals import InMemoryOrderJournal, an_execution, an_intent
from tests.fakes.virtual_time import run_virtual


def test_a_fill_is_told_once_with_its_cost() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        await desk.submit(house.intent(), house.clock.now())
        await house.later(3.0)
        told = await house.settle()
        (fill,), (order,) = told.fills, told.orders
        assert (fill.qty, fill.price, fill.commission) == (
            Decimal(10),
            Decimal("100.25"),
            Decimal(0),
        )
        assert fill.slippage_bps == pytest.approx(25.0)
        assert (order.state, order.filled_qty) == (OrderState.FILLED, Decimal(10))
        assert (await house.settle()).fills == ()

    run_virtual(main)


def test_a_kill_between_fill_and_commit_loses_nothing_and_doubles_nothing() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        await house.settle()
        committed = desk.snapshot()
        await desk.submit(house.intent(), house.clock.now())
        await house.later(3.0)
        first = await house.settle()
        lost = desk.snapshot()  # of a tick that dies before its commit
        house.restarted(committed)
        await house.opened()
        second = await house.settle()
        assert [f.execution_id for f in first.fills] == [f.execution_id for f in second.fills]
        assert [o.state for o in second.orders] == [OrderState.FILLED]
        house.restarted(lost)
        await house.opened()
        assert (await house.settle()).fills == ()

    run_virtual(main)


def test_an_end_is_closed_in_the_journal_only_when_its_tick_was_committed() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        intent = house.intent()
        await desk.submit(intent, house.clock.now())
        await house.later(3.0)
        await house.settle()
        entry = await house.journal.entry(intent.client_order_id)
        assert entry is not None
        assert entry.state is JournalState.ACCEPTED
        desk.snapshot()
        await house.settle()
        entry = await house.journal.entry(intent.client_order_id)
        assert entry is not None
        assert entry.state is JournalState.CLOSED
        assert '"told":[]' in desk.snapshot()

    run_virtual(main)


def test_an_order_is_not_told_as_filled_before_its_executions_are_here() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        (sent,) = await desk.submit(house.intent(), house.clock.now())
        (report,) = await house.venue.find(sent.client_order_id)
        await desk.on_update(replace(report, status=VenueStatus.FILLED, filled_qty=Decimal(10)))
        (order,) = await desk.open_orders()
        assert order.is_open
        await house.later(3.0)
        assert await desk.open_orders() == ()

    run_virtual(main)


def test_a_cancel_returns_the_end_and_a_fill_that_crosses_it_is_not_lost() -> None:
    async def main() -> None:
        house = DeskHouse()
        house.venue.books.slow_fills = 1.0
        desk = await house.opened()
        (order,) = await desk.submit(house.intent(), house.clock.now())
        venue_id = house.venue.books.by_name[order.client_order_id]
        house.venue.books.fill(venue_id, Decimal(4))
        (ended,) = await desk.cancel(order.client_order_id, house.clock.now(), "changed my mind")
        assert (ended.state, ended.filled_qty) == (OrderState.CANCELLED, Decimal(4))
        assert [fill.qty for fill in (await house.settle()).fills] == [Decimal(4)]
        assert await desk.cancel(order.client_order_id, house.clock.now(), "again") == ()

    run_virtual(main)


def test_a_cancel_of_an_order_that_is_looked_up_keeps_it_from_leaving_again() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        house.venue.faults = replace(house.venue.faults, late_s=50.0)
        house.venue.next_fault = "late_arrival"
        house.venue.books.slow_fills = 1.0
        (order,) = await desk.submit(house.intent(), house.clock.now())
        assert order.state is OrderState.UNKNOWN
        await desk.cancel(order.client_order_id, house.clock.now(), "changed my mind")
        for _ in range(8):
            await house.later(12.0)
        assert len(house.venue.posts) == 1
        (booked,) = house.venue.books.orders.values()
        assert booked.now.status is VenueStatus.CANCELLED

    run_virtual(main)


def test_a_replacement_by_hand_stays_our_order() -> None:
    async def main() -> None:
        house = DeskHouse()
        house.venue.books.slow_fills = 1.0
        desk = await house.opened()
        (order,) = await desk.submit(house.intent(), house.clock.now())
        house.venue.books.replace_by_hand(house.venue.books.by_name[order.client_order_id])
        await house.later(5.0)
        told = await house.settle()
        assert [fill.client_order_id for fill in told.fills] == [order.client_order_id]
        assert [o.state for o in told.orders] == [OrderState.FILLED]
        assert desk.book.ours == {"AAA": Decimal(10)}

    run_virtual(main)


def test_fractions_add_up_exactly() -> None:
    async def main() -> None:
        house = DeskHouse()
        house.venue.books.slow_fills = 1.0
        desk = await house.opened()
        (order,) = await desk.submit(house.intent(qty="0.3"), house.clock.now())
        venue_id = house.venue.books.by_name[order.client_order_id]
        for part in ("0.1", "0.2"):
            house.venue.books.fill(venue_id, Decimal(part))
        await house.later(1.0)
        assert desk.book.ours == {"AAA": Decimal("0.3")}
        assert (await house.settle()).orders[-1].state is OrderState.FILLED

    run_virtual(main)


def test_a_broken_snapshot_is_refused_and_changes_nothing() -> None:
    async def main() -> None:
        house = DeskHouse()
        desk = await house.opened()
        before = desk.snapshot()
        with pytest.raises(BadInput, match="snapshot cannot be read"):
            desk.restore('{"cursor":"x"}')
        assert desk.snapshot() == before

    run_virtual(main)


REPORTS = tuple(
    VenueOrder(
        venue_id="v0",
        client_order_id="a",
        symbol="SPY",
        side=Side.BUY,
        qty=Decimal(10),
        filled_qty=Decimal(filled),
        status=status,
        order_type=None,
        updated_at=START.replace(second=second),
    )
    for second, (status, filled) in enumerate(
        [
            (VenueStatus.ACCEPTED, 0),
            (VenueStatus.PARTIAL, 4),
            (VenueStatus.UNKNOWN, 4),
            (VenueStatus.CANCELLED, 8),
        ]
    )
)
EXECUTIONS = (an_execution("x1"), an_execution("x2"))


@given(st.permutations([*REPORTS, *EXECUTIONS, *REPORTS, *EXECUTIONS]), st.booleans())
def test_i_ord_5_any_order_and_any_duplicates_fold_to_the_same(
    said: list[VenueOrder | Execution], timed: bool
) -> None:
    async def fold() -> tuple[object, ...]:
        journal, book = InMemoryOrderJournal(), OrderBook()
        intent = an_intent(0, stop_loss=None, take_profit=None)
        await journal.record(intent, "{}", START)
        await journal.move(intent.client_order_id, JournalState.SENDING, START)
        book.put(
            await journal.move(intent.client_order_id, JournalState.ACCEPTED, START, venue_id="v0")
        )
        for each in said:
            if isinstance(each, Execution):
                book.take_booked(await journal.book([each]))
            else:
                report = each if timed else replace(each, updated_at=None)
                book.take_report(intent.client_order_id, report)
        order = book.order(intent.client_order_id)
        assert order is not None
        return order.state, order.filled_qty, book.ours

    assert asyncio.run(fold()) == (
        OrderState.CANCELLED,
        Decimal(8),
        {"SPY": Decimal(8)},
    )
