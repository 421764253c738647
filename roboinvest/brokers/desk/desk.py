"""OrderDesk: the broker of real money, as the house sees it.

It keeps the `Broker` contract over a venue that may lose, repeat, delay or reorder anything, and
over a process that may die between any two of its steps. What it tells the house is what the
journal has: `settle` gives each execution once, counted from a cursor that is stored with the tick
that took it in, so that a kill between a fill and its commit loses nothing and doubles nothing.

Deliberately absent: a correction order, of any kind, ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from pydantic import TypeAdapter, ValidationError

from roboinvest.brokers.desk.cancelling import Cancelling
from roboinvest.brokers.desk.lookups import LookUps
from roboinvest.brokers.desk.order_book import OrderBook, entry_id, is_split
from roboinvest.brokers.desk.parts import JOURNAL_DOUBT, DeskParts, DeskPolicy, MayAct
from roboinvest.brokers.desk.reach import ACCOUNT, Reach
from roboinvest.brokers.desk.reconciling import Reconciliation, Reconciling
from roboinvest.brokers.desk.reports import ReportIntake
from roboinvest.brokers.desk.sending import Sender
from roboinvest.brokers.desk.splits import Splits
from roboinvest.brokers.desk.standing import Alarms, OnState, Standing
from roboinvest.brokers.paper_book import DUST
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.fills import slippage_bps
from roboinvest.core.journal import BookedExecution, JournalState
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.orders import Account, Fill, Order, OrderIntent, Settlement
from roboinvest.core.ports import Clock, OrderJournal, Venue
from roboinvest.core.venue import Execution, VenueOrder

ZERO: Final = Decimal(0)
_PRICE_STEP: Final = Decimal("0.000001")  # USD per share, of a price on another scale


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    cursor: int  # seq of the last execution that the committed ticks know
    told: list[Order]  # the orders as they know them


_NEVER_SENT: Final = frozenset({JournalState.REJECTED, JournalState.EXPIRED})
_SNAPSHOT: Final = TypeAdapter(_Snapshot)


class OrderDesk:
    """Orders over a venue and a journal; see `core.ports.Broker` for the contract."""

    def __init__(
        self,
        venue: Venue,
        journal: OrderJournal,
        clock: Clock,
        *,
        instance: str,
        limits: Callable[[], str],
        may_act: MayAct,
        on_state: OnState,
        alarms: Alarms,
        policy: DeskPolicy | None = None,
    ) -> None:
        self._parts = DeskParts(
            venue=venue,
            journal=journal,
            clock=clock,
            standing=Standing(on_state, alarms),
            reach=Reach(alarms),
            may_act=may_act,
            instance=instance,
            policy=policy or DeskPolicy(),
        )
        self._sender = Sender(self._parts, limits)
        self._intake = ReportIntake(self._parts, self._sender)
        self._lookups = LookUps(self._parts, self._sender)
        self._splits = Splits(self._parts)
        self._reconciling = Reconciling(self._parts, self._lookups, self._intake, self._splits)
        self._cancelling = Cancelling(self._parts, self._sender, self._reconciling.pull)
        self._woken = asyncio.Event()
        self._cursor = 0
        self._told: dict[str, Order] = {}
        self._over: set[str] = set()  # entries that the last snapshot told as ended

    # What the house calls

    async def settle(self, update: MarketUpdate) -> Settlement:
        """Return the executions and the changes of orders that no committed tick knows yet.

        Splits among the update's actions go into our books and are no executions to tell of.

        Raises:
            TryLater: the journal cannot be read or written.
        """
        book = self._parts.book
        await self._splits.learn(update.actions)
        booked = await self._parts.journal.booked(self._cursor)
        book.take_booked(booked)
        executed = {entry_id(b.owner) for b in booked if b.owner and not is_split(b.execution)}
        await self._close_over(but=executed)
        for name in sorted(executed):
            await self._recall(name)
        for our_id, order in self._told.items():
            if order.is_open:
                await self._recall(entry_id(our_id))
        fills = tuple(fill for fill in map(self._fill, booked) if fill is not None)
        if booked:
            self._cursor = booked[-1].seq
        return Settlement(orders=self._changes(), fills=fills)

    async def submit(self, intent: OrderIntent, at: datetime) -> tuple[Order, ...]:
        """Send an intent once; sent before, it is only read.

        Orders come back UNKNOWN where the broker's answer could not be believed; they count as
        open, and are looked up from then on.

        Raises:
            OrderRejected: refused for certain; nothing was booked.
            TryLater: the journal cannot be written; nothing was sent.
        """
        family = await self._sender.ensure(intent, at)
        if not family.entry.is_settled:
            self.wake()
        return self._tell(self._parts.book.family_orders(family))

    async def cancel(self, client_order_id: str, at: datetime, note: str) -> tuple[Order, ...]:
        """Ask for the end of an order and wait a little for it; return every order that changed.

        An order that the broker has not ended by then stays open here; `settle` tells its end.
        """
        changed = await self._cancelling.cancel(client_order_id, at, note)
        self.wake()
        return self._tell(changed)

    async def account(self, marks: Mapping[str, float]) -> Account:  # noqa: ARG002 the port's
        """Return cash and equity as the broker measures them; `marks` are not used.

        Raises:
            TryLater: the broker is away.
        """
        told = await self._parts.asked(self._parts.venue.account(), ACCOUNT)
        power = told.cash if told.buying_power is None else min(told.cash, told.buying_power)
        return Account(cash=told.cash, equity=told.equity, buying_power=max(power, ZERO))

    async def open_orders(self) -> Sequence[Order]:
        """Return every order that can still fill, oldest first; UNKNOWN ones included."""
        return self._parts.book.open_orders()

    def snapshot(self) -> str:
        """Return what has been told, to be stored with the tick that heard it."""
        told = [order for _, order in sorted(self._told.items())]
        ended: dict[str, bool] = {}
        for order in told:
            name = entry_id(order.client_order_id)
            ended[name] = ended.get(name, True) and not order.is_open
        self._over = {name for name, is_over in ended.items() if is_over}
        return _SNAPSHOT.dump_json(_Snapshot(cursor=self._cursor, told=told)).decode()

    def restore(self, snapshot: str) -> None:
        """Take the place that `snapshot` returned; what came after it is told again.

        Raises:
            BadInput: the text is not a snapshot of the desk; nothing was changed.
        """
        try:
            kept = _SNAPSHOT.validate_json(snapshot)
        except ValidationError as error:
            raise BadInput(
                f"the order desk's snapshot cannot be read ({error.error_count()} faults, "
                f"{len(snapshot)} characters); restore the database from a backup"
            ) from error
        self._cursor = kept.cursor
        self._told = {order.client_order_id: order for order in kept.told}
        self._over = set()

    # What services call

    async def begin(self) -> None:
        """Read the journal and put the start barrier down.

        Raises:
            TryLater: the journal cannot be read.
        """
        await self._reconciling.begin()
        await self._cancelling.begin()

    async def reconcile(self) -> Reconciliation:
        """Compare orders, executions and positions with the broker's, once; never raises."""
        found = await self._reconciling.run()
        await self._cancelling.ask_again()
        return found

    async def ask_for_account(self) -> None:
        """Ask for what a tick lacked, once all else is answered: the next one may be far off."""
        reach = self._parts.reach
        if reach.lacks_account():
            with suppress(TryLater):
                await self.account({})
                reach.compared()

    async def resolve(self) -> None:
        """Look up the open questions that are due.

        Raises:
            TryLater: the journal cannot be written.
        """
        await self._lookups.resolve()
        await self._cancelling.ask_again()

    async def before_tick(self) -> None:
        """Reconcile, unless that was done just now and found nothing."""
        if self._woken.is_set() or not self._reconciling.is_fresh():
            self._woken.clear()
            await self.reconcile()

    async def on_update(
        self, order: VenueOrder | None = None, executions: Sequence[Execution] = ()
    ) -> None:
        """Take in what a stream says, in any order, any number of times.

        Never raises for what was said or for a journal that cannot be written: what is not taken
        in here is found by the next reconciliation, which this asks for.
        """
        try:
            if order is not None and not await self._intake.take_order(order):
                self.wake()
            await self._intake.take_executions(executions)
            if any(e.execution_id not in self._parts.book.taken for e in executions):
                self.wake()
            if order is not None and self._parts.book.missing(
                self._parts.book.names.get(order.venue_id, "")
            ):
                self.wake()
        except TryLater as error:
            self._parts.standing.doubt(JOURNAL_DOUBT, f"the order journal: {error}", alarm=True)
            self.wake()

    def wake(self) -> None:
        """Ask for a reconciliation soon: a reconnect, a doubt."""
        self._woken.set()

    async def woken(self) -> None:
        """Return when somebody called `wake` since the last return."""
        await self._woken.wait()
        self._woken.clear()

    def next_in(self, interval_s: float) -> float:
        """Return the seconds until something is due, at most `interval_s`."""
        due = self._lookups.due_in()
        soon = min(interval_s, self._parts.policy.fresh_s)
        wait = soon if self._reconciling.doubts() else interval_s
        return wait if due is None else max(0.1, min(wait, due))

    def state(self) -> tuple[TradingState, str]:
        """Return the desk's share of the trading state, and the reason."""
        return self._parts.standing.now()

    def away(self) -> str | None:
        """Return the key of the alert that says that the broker is away; None: it is not."""
        return self._parts.reach.away()

    @property
    def book(self) -> OrderBook:
        """Return what is known of our orders, to be looked at."""
        return self._parts.book

    # Telling

    def _tell(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        for order in orders:
            self._told[order.client_order_id] = order
        return tuple(orders)

    def _changes(self) -> tuple[Order, ...]:
        """Return the orders that are not as they were told, by time, and note them as told."""
        changed = [o for o in self._parts.book.orders() if self._is_news(o)]
        return self._tell(sorted(changed, key=lambda order: order.updated_at))

    def _is_news(self, order: Order) -> bool:
        before = self._told.get(order.client_order_id)
        if before is None:
            return self._parts.book.families[entry_id(order.client_order_id)].entry.sends > 0
        if order.is_open and not before.is_open and order.filled_qty == before.filled_qty:
            return False  # after a restart, a report from before the end that was told
        return replace(before, updated_at=order.updated_at, note=order.note) != order

    def _fill(self, booked: BookedExecution) -> Fill | None:
        """Return an execution of ours as the house knows fills; None where it is not ours.

        One from before a split that the house has heard of is told in today's shares.
        """
        execution, book = booked.execution, self._parts.book
        order = None if booked.owner is None else book.order(booked.owner)
        if order is None or is_split(execution):
            return None
        scale = book.scale(execution.symbol, execution.at)
        qty, price = execution.qty, execution.price
        if scale != 1:
            qty, price = (qty * scale).quantize(DUST), (price / scale).quantize(_PRICE_STEP)
        return Fill(
            execution_id=execution.execution_id,
            client_order_id=order.client_order_id,
            agent_id=order.agent_id,
            revision_id=order.revision_id,
            symbol=order.symbol,
            leg=order.leg,
            qty=execution.side.sign * qty,
            price=price,
            commission=ZERO,
            slippage_bps=slippage_bps(execution.side, execution.price, order.mark),
            filled_at=execution.at,
        )

    async def _recall(self, name: str) -> None:
        """Put a family that ended before this start back in the book."""
        if name not in self._parts.book.families:
            entry = await self._parts.journal.entry(name)
            if entry is not None:
                self._parts.book.put(entry)

    async def _close_over(self, but: set[str]) -> None:
        """Close the families whose end is committed: the tick after a snapshot proves it was."""
        book, over, self._over = self._parts.book, self._over, set()
        for name in sorted(over - but):
            family = book.families.get(name)
            if family is not None and any(o.is_open for o in book.family_orders(family)):
                continue
            if family is not None:
                if family.entry.state is JournalState.ACCEPTED:
                    await self._parts.move(family.entry, JournalState.CLOSED, reason="ended, told")
                book.forget(family)
            for our_id in [our_id for our_id in self._told if entry_id(our_id) == name]:
                del self._told[our_id]
        for family in tuple(book.families.values()):
            if family.entry.state in _NEVER_SENT and not family.entry.sends:
                book.forget(family)
