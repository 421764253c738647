"""The one sender: durable first, sent once, and judged by what the broker really says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.core.errors import OrderRejected, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Leg, OrderState
from roboinvest.core.venue import Outcome, OutcomeKind
from tests.fakes.desks import DeskHouse
from tests.fakes.venues import UNTRADABLE, Faults
from tests.fakes.virtual_time import run_virtual

Script = Callable[[DeskHouse], Awaitable[None]]


def lived(script: Script, faults: Faults | None = None) -> None:
    """Run a script in a house whose desk has passed the barrier."""

    async def main() -> None:
        house = DeskHouse()
        await house.opened()
        if faults is not None:
            house.venue.faults = faults
        await script(house)

    run_virtual(main)


async def state_of(house: DeskHouse, name: str) -> JournalState:
    entry = await house.journal.entry(name)
    assert entry is not None
    return entry.state


def test_an_order_is_intent_then_sending_then_accepted_and_leaves_once() -> None:
    async def script(house: DeskHouse) -> None:
        intent = house.intent(bracket=True)
        orders = await house.desk.submit(intent, house.clock.now())
        assert [order.state for order in orders] == [
            OrderState.ACCEPTED,
            OrderState.HELD,
            OrderState.HELD,
        ]
        name = intent.client_order_id
        assert [order.client_order_id for order in orders] == [name, f"{name}-s", f"{name}-t"]
        told = [event for event in house.journal.events if event.startswith(("intent", "move"))]
        assert told == [f"intent {name}", f"move {name} sending", f"move {name} accepted"]
        assert len(house.venue.posts) == 1

    lived(script)


def test_a_second_submit_is_a_read() -> None:
    async def script(house: DeskHouse) -> None:
        intent = house.intent()
        first = await house.desk.submit(intent, house.clock.now())
        events = list(house.journal.events)
        assert await house.desk.submit(intent, house.clock.now()) == first
        assert (len(house.venue.posts), house.journal.events) == (1, events)

    lived(script)


def test_other_content_under_the_same_id_is_rejected() -> None:
    async def script(house: DeskHouse) -> None:
        intent = house.intent()
        await house.desk.submit(intent, house.clock.now())
        with pytest.raises(OrderRejected, match="another intent"):
            await house.desk.submit(replace(intent, qty=Decimal(11)), house.clock.now())

    lived(script)


def test_a_definite_refusal_is_rejected_and_recorded() -> None:
    async def script(house: DeskHouse) -> None:
        intent = house.intent(symbol=UNTRADABLE)
        for _ in range(2):
            with pytest.raises(OrderRejected, match="not tradable"):
                await house.desk.submit(intent, house.clock.now())
        assert await state_of(house, intent.client_order_id) is JournalState.REJECTED
        assert len(house.venue.posts) == 1

    lived(script)


@pytest.mark.parametrize("code", ["timeout", "connection", "unreadable", "http-503", "http-429"])
def test_i_ord_6_no_answer_is_unknown_counts_as_open_and_is_never_rejected(code: str) -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN, code=code)]
        intent = house.intent(bracket=True)
        orders = await house.desk.submit(intent, house.clock.now())
        assert {order.state for order in orders} == {OrderState.UNKNOWN}
        assert all(order.is_open for order in await house.desk.open_orders())
        assert await state_of(house, intent.client_order_id) is JournalState.UNKNOWN

    lived(script)


def test_a_lost_reply_is_looked_up_and_adopted_with_its_legs() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.next_fault = "lost_reply"
        intent = house.intent(bracket=True)
        await house.desk.submit(intent, house.clock.now())
        await house.desk.resolve()
        assert await state_of(house, intent.client_order_id) is JournalState.ACCEPTED
        assert len([e for e in house.journal.events if e.startswith("link")]) == 2
        assert len(house.venue.posts) == 1

    lived(script)


def test_a_lost_request_is_sent_again_with_the_same_id_after_the_settle_time_and_not_before() -> (
    None
):
    async def script(house: DeskHouse) -> None:
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN, code="timeout")]
        intent = house.intent()
        await house.desk.submit(intent, house.clock.now())
        for _ in range(5):
            await house.later(11.0)
        assert len(house.venue.posts) == 1
        await house.later(31.0)
        assert [post.client_order_id for post in house.venue.posts] == [intent.client_order_id] * 2
        assert await state_of(house, intent.client_order_id) is JournalState.ACCEPTED

    lived(script)


def test_past_its_last_instant_it_is_expired_after_two_clean_look_ups_and_never_sent() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN, code="timeout")]
        intent = house.intent(valid_s=20.0)
        await house.desk.submit(intent, house.clock.now())
        for seconds in (25.0, 40.0):
            await house.later(seconds)
        entry = await house.journal.entry(intent.client_order_id)
        assert entry is not None
        assert (entry.state, entry.clean_lookups) == (JournalState.UNKNOWN, 1)
        await house.later(31.0)
        assert await state_of(house, intent.client_order_id) is JournalState.EXPIRED
        assert len(house.venue.posts) == 1
        (told,) = (await house.settle()).orders
        assert told.state is OrderState.EXPIRED

    lived(script)


def test_a_wall_clock_that_is_set_forward_does_not_send_twice_at_once() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN)]
        await house.desk.submit(house.intent(valid_s=9_000.0), house.clock.now())
        house.clock.set_forward(3_600.0)
        await house.later(1.0)
        await house.later(1.0)
        assert len(house.venue.posts) == 1
        await house.later(2.0)
        assert len(house.venue.posts) == 2

    lived(script)


def test_a_refusal_of_a_second_request_is_not_believed() -> None:
    async def script(house: DeskHouse) -> None:
        refusal = Outcome(kind=OutcomeKind.REJECTED, code="40310000", text="buying power")
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN), refusal, refusal]
        intent = house.intent()
        await house.desk.submit(intent, house.clock.now())
        await house.later(61.0)
        assert len(house.venue.posts) == 2
        assert await state_of(house, intent.client_order_id) is JournalState.UNKNOWN

    lived(script)


def test_a_taken_id_is_looked_up_and_adopted_when_it_is_ours() -> None:
    async def script(house: DeskHouse) -> None:
        intent = house.intent()
        house.venue.books.book(intent)
        (order,) = await house.desk.submit(intent, house.clock.now())
        assert order.state is OrderState.ACCEPTED
        assert house.alarms.heard == []

    lived(script)


def test_a_taken_id_with_another_content_raises_an_alarm_and_stops_new_risk() -> None:
    async def script(house: DeskHouse) -> None:
        intent = house.intent()
        house.venue.books.book(replace(intent, qty=Decimal(99)))
        with pytest.raises(OrderRejected, match="another order under"):
            await house.desk.submit(intent, house.clock.now())
        assert house.alarms.heard == [("raised", f"broker.order.{intent.client_order_id}")]
        assert house.desk.state()[0] is TradingState.DEGRADED

    lived(script)


def test_i_ord_4_nothing_leaves_before_the_barrier_after_its_time_or_against_the_gate() -> None:
    async def main() -> None:
        house = DeskHouse()
        await house.desk.begin()
        with pytest.raises(OrderRejected, match="RECONCILING"):
            await house.desk.submit(house.intent("early"), house.clock.now())
        await house.opened()
        late = house.intent("late", valid_s=1.0)
        await asyncio.sleep(2.0)
        with pytest.raises(OrderRejected, match="valid until"):
            await house.desk.submit(late, house.clock.now())
        assert await state_of(house, late.client_order_id) is JournalState.EXPIRED
        house.refusal = "halted by anna"
        with pytest.raises(OrderRejected, match="halted by anna"):
            await house.desk.submit(house.intent("halted"), house.clock.now())
        assert house.venue.posts == []

    run_virtual(main)


def test_i_ord_4_a_halt_that_comes_while_the_disk_writes_still_stops_the_order() -> None:
    async def script(house: DeskHouse) -> None:
        move = house.journal.move

        async def halt_meanwhile(*given: object, **named: object) -> object:
            house.refusal = "halted by anna"
            return await move(*given, **named)  # type: ignore[arg-type]

        house.journal.move = halt_meanwhile  # type: ignore[method-assign, assignment]
        intent = house.intent()
        with pytest.raises(OrderRejected, match="halted by anna"):
            await house.desk.submit(intent, house.clock.now())
        assert house.venue.posts == []
        assert await state_of(house, intent.client_order_id) is JournalState.REJECTED

    lived(script)


def test_i_ord_3_a_journal_that_cannot_write_lets_nothing_out() -> None:
    async def script(house: DeskHouse) -> None:
        house.journal.takes_writes = False
        with pytest.raises(TryLater):
            await house.desk.submit(house.intent(), house.clock.now())
        assert house.venue.posts == []
        assert house.desk.state()[0] is TradingState.DEGRADED
        house.journal.takes_writes = True
        await house.desk.reconcile()
        assert house.desk.state()[0] is TradingState.READY
        assert house.alarms.heard == [("raised", "broker.journal"), ("resolved", "broker.journal")]

    lived(script)


def test_a_nonsense_figure_is_rejected_with_its_name_and_never_sent() -> None:
    async def script(house: DeskHouse) -> None:
        for figure in ("NaN", "-1", "Infinity"):
            intent = replace(house.intent(), limit_price=None, mark=Decimal(figure))
            with pytest.raises(OrderRejected, match="mark"):
                await house.desk.submit(intent, house.clock.now())
        assert house.venue.posts == []

    lived(script)


def test_new_risk_in_a_symbol_waits_while_an_order_in_it_is_looked_up() -> None:
    async def script(house: DeskHouse) -> None:
        house.venue.answers = [Outcome(kind=OutcomeKind.UNKNOWN, code="timeout")]
        await house.desk.submit(house.intent("t1"), house.clock.now())
        with pytest.raises(OrderRejected, match="still being looked up"):
            await house.desk.submit(house.intent("t2"), house.clock.now())

    lived(script)


def test_an_exit_never_sells_more_than_is_held_less_what_open_orders_may_sell() -> None:
    async def script(house: DeskHouse) -> None:
        await house.desk.submit(house.intent(bracket=True), house.clock.now())
        await house.later(3.0)
        assert house.desk.book.held("AAA") == 10
        with pytest.raises(OrderRejected, match="may close 10"):
            await house.desk.submit(house.intent("t2", leg=Leg.EXIT), house.clock.now())
        with pytest.raises(OrderRejected, match="0 are held"):
            await house.desk.submit(house.intent("t3", "BBB", leg=Leg.EXIT), house.clock.now())

    lived(script)


def test_an_intent_that_never_left_is_sent_after_a_restart_while_it_is_valid() -> None:
    async def main() -> None:
        house = DeskHouse()
        fresh, stale = house.intent("t1"), house.intent("t2", "BBB", valid_s=1.0)
        for intent in (fresh, stale):
            await house.journal.record(intent, "{}", house.clock.now())
        await house.opened()
        await asyncio.sleep(1.0)
        await house.desk.resolve()
        assert await state_of(house, fresh.client_order_id) is JournalState.ACCEPTED
        assert await state_of(house, stale.client_order_id) is JournalState.EXPIRED
        assert [post.symbol for post in house.venue.posts] == ["AAA"]

    run_virtual(main)
