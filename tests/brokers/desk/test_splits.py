"""A split of what is held: the books follow it once, the house is told of no trade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.core.errors import OrderRejected, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.journal import BookedExecution, positions_of
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import Leg, Order, Settlement, Side
from roboinvest.core.venue import Execution
from tests.fakes.clocks import START
from tests.fakes.desks import DeskHouse
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.markets import session
from tests.fakes.virtual_time import run_virtual

READY, DEGRADED = TradingState.READY, TradingState.DEGRADED
EX_DATE = (START + timedelta(days=1)).date()
NIGHT_S = 23 * 3600.0
FOUR = Decimal(4)
TENTH = Decimal("0.1")


class Night:
    """A house that holds shares in the evening, and a split before the next morning."""

    def __init__(self) -> None:
        self.house = DeskHouse()

    async def holds(self, ours: int, others: int = 0, *, bracket: bool = False) -> OrderDesk:
        """Come to hold shares, all known and told."""
        house = self.house
        desk = await house.opened()
        if others:
            side = Side.BUY if others > 0 else Side.SELL
            house.venue.books.by_hand("AAA", side, Decimal(abs(others)))
        if ours:
            house.venue.books.leg_fills = 0.0
            intent = house.intent("t1", qty=str(ours), bracket=bracket)
            await desk.submit(intent, house.clock.now())
        await house.later(3.0)
        await house.later(3.0)
        await house.settle()
        return desk

    async def splits(self, ratio: Decimal) -> None:
        """Let the night pass, in which the broker changes its books."""
        self.house.venue.books.later(
            NIGHT_S / 2, lambda: self.house.venue.books.split("AAA", ratio)
        )
        await self.house.later(NIGHT_S)

    async def morning(self, ratio: Decimal) -> Settlement:
        """Settle the first tick of the ex-date."""
        now = self.house.clock.now()
        action = CorporateAction(symbol="AAA", kind=ActionKind.SPLIT, ex_date=EX_DATE, ratio=ratio)
        update = MarketUpdate(at=now, session=session(EX_DATE), bars=(), actions=(action,))
        return await self.house.desk.settle(update)

    async def folds(self) -> tuple[str, str]:
        """Return our shares and everybody else's, as the journal has them."""
        booked = await self.house.journal.booked()
        both = (positions_of(booked, ours=ours).get("AAA") for ours in (True, False))
        ours, others = (f"{(qty or Decimal(0)).normalize():f}" for qty in both)
        return ours, others

    async def agrees(self) -> None:
        """Require that the broker agrees, and that a second comparison writes nothing."""
        house = self.house
        for _ in range(4):
            await house.later(6.0)
        events, found = list(house.journal.events), await house.desk.reconcile()
        assert (found.agrees, found.reason) == (True, "")
        assert house.journal.events == events
        assert house.desk.state()[0] is READY
        assert house.desk.book.expected().keys() <= {"AAA"}


def through(script: Callable[[Night], Awaitable[None]]) -> None:
    """Run a script in virtual time."""

    async def main() -> None:
        await script(Night())

    run_virtual(main)


@pytest.mark.parametrize(
    ("ours", "others", "ratio", "after"),
    [
        (10, 0, FOUR, ("40", "0")),
        (0, 7, FOUR, ("0", "28")),
        (10, 7, FOUR, ("40", "28")),
        (20, 30, TENTH, ("2", "3")),
        (9, 0, Decimal(1) / 3, ("3", "0")),
        (10, 4, Decimal("1.5"), ("15", "6")),
        (0, -6, FOUR, ("0", "-24")),
    ],
)
def test_both_books_follow_a_split_and_agree_with_the_broker(
    ours: int, others: int, ratio: Decimal, after: tuple[str, str]
) -> None:
    async def script(night: Night) -> None:
        await night.holds(ours, others)
        await night.splits(ratio)
        assert (await night.morning(ratio)) == Settlement()
        assert await night.folds() == after
        await night.agrees()

    through(script)


def test_before_the_first_tick_a_difference_is_a_doubt_which_lifts_by_itself() -> None:
    async def script(night: Night) -> None:
        await night.holds(10)
        await night.splits(FOUR)
        for _ in range(4):
            await night.house.later(6.0)
        assert night.house.desk.state()[0] is DEGRADED
        await night.morning(FOUR)
        await night.agrees()
        assert night.house.alarms.heard[-1] == ("resolved", "broker.positions")

    through(script)


def test_the_tick_repeated_and_a_restart_book_nothing_more() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(10, 7)
        evening = desk.snapshot()
        await night.splits(FOUR)
        await night.morning(FOUR)
        events = list(night.house.journal.events)
        night.house.venue.books.by_hand("AAA", Side.BUY, Decimal(5))  # after the split
        await night.house.later(1.0)
        await night.morning(FOUR)
        for snapshot in (desk.snapshot(), evening):
            night.house.restarted(snapshot)
            await night.house.opened()
            assert (await night.morning(FOUR)).fills == ()
        new = [event for event in night.house.journal.events if event not in events]
        assert [event[: len("execution x")] for event in new] == ["execution x"]
        assert await night.folds() == ("40", "33")
        await night.agrees()

    through(script)


class TiredJournal(InMemoryOrderJournal):
    """Fails once, before or after it took in the executions of a split."""

    def __init__(self, known: InMemoryOrderJournal, *, before: bool) -> None:
        super().__init__()
        for name in ("events", "_entries", "_links", "_executions", "_notes"):
            setattr(self, name, getattr(known, name))
        self._before, self._is_tired = before, True

    async def book(self, executions: Sequence[Execution]) -> tuple[BookedExecution, ...]:
        """Fail once where a split is booked."""
        fails = self._is_tired and any(e.execution_id.startswith("split-") for e in executions)
        if fails and self._before:
            self._is_tired = False
            raise TryLater("the process dies here")
        booked = await super().book(executions)
        if fails:
            self._is_tired = False
            raise TryLater("the process dies here")
        return booked


@pytest.mark.parametrize("before", [True, False])
def test_a_death_between_the_note_and_the_snapshot_changes_nothing_in_the_end(
    *, before: bool
) -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(10, 7)
        evening = desk.snapshot()
        await night.splits(FOUR)
        night.house.journal = TiredJournal(night.house.journal, before=before)
        night.house.restarted(evening)
        await night.house.desk.begin()
        with pytest.raises(TryLater):
            await night.morning(FOUR)
        night.house.restarted(evening)
        await night.house.opened()
        assert await night.folds() == ("40", "28")  # by the note alone
        assert await night.morning(FOUR) == Settlement()
        assert await night.folds() == ("40", "28")
        await night.agrees()

    through(script)


def test_an_exit_of_the_new_quantity_is_taken_and_fills() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(10)
        await night.splits(FOUR)
        await night.morning(FOUR)
        house = night.house
        exit_ = house.intent("t2", leg=Leg.EXIT, qty="40")
        await desk.submit(exit_, house.clock.now())
        await house.later(3.0)
        (fill,) = (await house.settle()).fills
        assert fill.qty == Decimal(-40)
        assert house.venue.books.positions() == {}
        await night.agrees()

    through(script)


def test_in_the_tick_of_a_reverse_split_the_exit_is_as_large_as_what_is_left() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(20)
        await night.splits(TENTH)
        for _ in range(4):
            await night.house.later(6.0)  # the difference of 18 shares is believed by now
        await night.morning(TENTH)
        exit_ = night.house.intent("t2", leg=Leg.EXIT, qty="2")
        await desk.submit(exit_, night.house.clock.now())
        assert night.house.venue.posts[-1].qty == Decimal(2)

    through(script)


def test_a_fraction_paid_in_cash_is_no_difference_and_an_exit_sells_the_whole_shares() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(105, 34)
        await night.splits(TENTH)
        await night.morning(TENTH)
        assert await night.folds() == ("10.5", "3.4")
        assert night.house.venue.books.positions() == {"AAA": Decimal(13)}
        await night.agrees()
        night.house.venue.books.give("AAA", Decimal(-1))  # a whole share is a difference again
        found = await night.house.desk.reconcile()
        assert found.differences == {"AAA": Decimal("-1.9")}
        night.house.venue.books.give("AAA", Decimal(1))
        night.house.venue.books.by_hand("AAA", Side.SELL, Decimal(3))
        await night.house.later(1.0)
        exit_ = night.house.intent("t2", leg=Leg.EXIT, qty="10.5")
        now = night.house.clock.now()
        (order,) = await desk.submit(exit_, now)
        assert (order.qty, night.house.venue.posts[-1].qty) == (Decimal(10), Decimal(10))
        await night.house.later(3.0)
        await night.agrees()
        with pytest.raises(OrderRejected, match="the broker holds 0"):
            await desk.submit(night.house.intent("t3", leg=Leg.EXIT, qty="0.5"), now)

    through(script)


def test_in_the_tick_of_the_split_the_exit_leaves_out_the_fraction_that_was_paid() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(105)
        await night.splits(TENTH)
        await night.morning(TENTH)
        exit_ = night.house.intent("t2", leg=Leg.EXIT, qty="10.5")
        (order,) = await desk.submit(exit_, night.house.clock.now())
        assert order.qty == Decimal(10)

    through(script)


def test_a_fraction_is_a_difference_where_nothing_was_split() -> None:
    async def script(night: Night) -> None:
        await night.holds(10)
        night.house.venue.books.by_hand("AAA", Side.BUY, Decimal("0.5"))
        await night.house.later(1.0)
        night.house.venue.books.give("AAA", Decimal("-0.5"))
        assert not (await night.house.desk.reconcile()).agrees

    through(script)


def test_a_trade_of_the_evening_that_is_reported_late_follows_the_split_too() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(10, 7)
        books = night.house.venue.books
        books.by_hand("AAA", Side.BUY, Decimal(2))
        late = books.executions.pop()  # the broker does not report it yet
        books._adjusted.append((books.now, "AAA", late.qty))
        await night.splits(FOUR)
        await night.morning(FOUR)
        assert await night.folds() == ("40", "28")
        books._adjusted.append((books.now, "AAA", -late.qty))
        books.executions.append(late)
        await desk.on_update(None, (late,))
        await night.agrees()
        assert await night.folds() == ("40", "36")

    through(script)


def test_a_fill_of_the_evening_is_told_in_the_shares_of_the_morning() -> None:
    async def script(night: Night) -> None:
        house = night.house
        desk = await house.opened()
        await desk.submit(house.intent("t1"), house.clock.now())
        await house.later(3.0)
        await night.splits(FOUR)
        (fill,) = (await night.morning(FOUR)).fills
        assert (fill.qty, fill.price) == (Decimal(40), Decimal("25.0625"))
        await night.agrees()

    through(script)


def test_a_resting_order_that_the_broker_changed_is_told_as_the_broker_has_it() -> None:
    async def script(night: Night) -> None:
        desk = await night.holds(10, bracket=True)
        await night.splits(FOUR)
        told = (await night.morning(FOUR)).orders
        legs = [order for order in told if order.is_open]
        assert [order.qty for order in legs] == [Decimal(40), Decimal(40)]
        exit_ = night.house.intent("t2", leg=Leg.EXIT, qty="30")
        with pytest.raises(OrderRejected, match="cancel those"):
            await desk.submit(exit_, night.house.clock.now())
        snapshot = desk.snapshot()
        night.house.restarted(snapshot)
        await night.house.opened()
        await night.agrees()
        assert (await night.house.settle()) == Settlement()
        await _legs_fill(night, legs)

    through(script)


async def _legs_fill(night: Night, legs: Sequence[Order]) -> None:
    """Let the stop of a bracket sell everything."""
    books = night.house.venue.books
    stop = next(o for o in books.orders.values() if o.now.parent_id and o.is_alive)
    books.fill(stop.now.venue_id, Decimal(40))
    await night.house.later(1.0)
    told = await night.house.settle()
    assert [fill.qty for fill in told.fills] == [Decimal(-40)]
    assert {o.client_order_id for o in told.orders} == {o.client_order_id for o in legs}
    assert not any(order.is_open for order in told.orders)
    await night.agrees()


def test_two_splits_of_one_symbol_multiply() -> None:
    async def script(night: Night) -> None:
        await night.holds(10)
        await night.splits(FOUR)
        await night.morning(FOUR)
        night.house.venue.books.split("AAA", Decimal(2))
        later = CorporateAction(
            symbol="AAA",
            kind=ActionKind.SPLIT,
            ex_date=EX_DATE + timedelta(days=1),
            ratio=Decimal(2),
        )
        now = night.house.clock.now()
        update = MarketUpdate(at=now, session=session(later.ex_date), bars=(), actions=(later,))
        await night.house.desk.settle(update)
        assert await night.folds() == ("80", "0")
        await night.agrees()

    through(script)


def test_an_order_of_ours_that_the_broker_changed_is_no_stranger() -> None:
    async def script(night: Night) -> None:
        house = night.house
        house.venue.books.slow_fills = 1.0
        desk = await house.opened()
        intent = house.intent("t1")
        await desk.submit(intent, house.clock.now())
        house.venue.books.split("AAA", FOUR)
        found = await house.venue.find(intent.client_order_id)
        entry = await house.journal.entry(intent.client_order_id)
        assert entry is not None
        await desk._sender.adopt(entry, found)  # as a list does that leaves it out
        (order,) = await desk.open_orders()
        assert (order.qty, desk.state()[0]) == (Decimal(40), READY)

    through(script)
