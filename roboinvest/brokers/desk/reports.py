"""Takes in what the broker lists: its orders, and its executions.

Every order of ours in a list is linked before any execution is booked, because an execution goes
to the book of whoever owns its order. One whose order nobody has named yet waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from roboinvest.brokers.desk.order_book import Family, entry_id, leg_id
from roboinvest.brokers.desk.parts import DeskParts
from roboinvest.brokers.desk.sending import Sender
from roboinvest.core.journal import JournalState, is_ours
from roboinvest.core.orders import OrderIntent, OrderType
from roboinvest.core.venue import Execution, VenueOrder


class ReportIntake:
    """Turns lists of the broker into what the book knows."""

    def __init__(self, parts: DeskParts, sender: Sender) -> None:
        self._parts = parts
        self._sender = sender
        self._strangers: dict[str, VenueOrder] = {}  # by venue id: orders that are not ours
        self._closed: set[str] = set()  # entries whose end was told and committed
        self._waiting: dict[str, float] = {}  # execution id -> when it was first seen, monotonic

    def begin(self) -> None:
        """Forget what was seen: a new start."""
        self._strangers.clear()
        self._closed.clear()
        self._waiting.clear()

    async def take_orders(self, listed: Sequence[VenueOrder]) -> None:
        """Take in a list of orders: link, adopt, and note what each has come to."""
        left = [report for report in listed if not await self._taken(report, listed)]
        while left:  # a leg or a replacement is known by an order that may come later in the list
            still = [report for report in left if not await self._taken(report, listed)]
            if len(still) == len(left):
                break
            left = still
        for report in left:
            if await self._name(report) is None:  # ours may be under way, and named a moment later
                self._strangers[report.venue_id] = report

    async def take_order(self, report: VenueOrder) -> bool:
        """Take in one report; return whether it is of an order of ours that is settled."""
        return await self._taken(report, (report,))

    async def find_absent(self, listed: Sequence[VenueOrder]) -> None:
        """Look up each open order of ours that a list of all open orders does not show.

        Raises:
            TryLater: the broker is away.
        """
        parts = self._parts
        shown = {report.venue_id for report in listed}
        for name, family in tuple(parts.book.families.items()):
            if family.entry.state is not JournalState.ACCEPTED or not self._absent(family, shown):
                continue
            found = await parts.asked(parts.venue.find(name), "order by its id")
            if not found:
                shown_by = family.entry.updated_at + timedelta(seconds=parts.policy.settle_s)
                if parts.clock.now() < shown_by:
                    continue  # accepted just now; look-ups may lag behind
                reason = f"the broker no longer knows {name}, which it had accepted"
                parts.standing.doubt(f"order.{name}", reason, alarm=True)
                continue
            async with parts.lock:
                await self._sender.adopt(family.entry, found)
            parts.standing.trust(f"order.{name}", f"the broker shows {name} again")
            for report in found:
                if report.replaced_by is not None and report.replaced_by not in shown:
                    await self._follow(report)

    async def take_executions(self, listed: Sequence[Execution]) -> int:
        """Book what is new and whose owner is certain; return how many were booked."""
        parts = self._parts
        ready: list[Execution] = []
        for execution in listed:
            if execution.execution_id in parts.book.taken:
                continue
            if await self._is_owned(execution) or self._is_strange(execution):
                ready.append(execution)
                self._waiting.pop(execution.execution_id, None)
            else:
                self._waiting.setdefault(execution.execution_id, parts.clock.monotonic())
        return await parts.take(ready)

    def waits(self) -> bool:
        """Return whether an execution waits for somebody to name its order."""
        taken = self._parts.book.taken
        return any(execution not in taken for execution in self._waiting)

    async def _taken(self, report: VenueOrder, listed: Sequence[VenueOrder]) -> bool:
        """Take a report in if it is ours; False where nothing says so yet."""
        parts = self._parts
        our_id = await self._name(report)
        if our_id is None:
            return False
        name = entry_id(our_id)
        self._strangers.pop(report.venue_id, None)
        if name in self._closed:
            return True
        family = parts.book.families.get(name) or await self._recalled(name)
        if family is None:
            reason = f"the broker has {name}, which the order journal does not know"
            parts.standing.doubt(f"unknown.{name}", reason, alarm=True)
            return False
        parts.standing.trust(f"unknown.{name}", f"the order journal knows {name}")
        if family.entry.state is JournalState.CLOSED:
            self._closed.add(name)
            parts.book.forget(family)
            return True
        if not family.entry.is_settled:
            if name == parts.sending or our_id != name:
                return False
            kin = [r for r in listed if r is report or r.parent_id == report.venue_id]
            async with parts.lock:
                if not family.entry.is_settled:
                    await self._sender.adopt(family.entry, kin)
            return family.entry.is_settled
        if family.entry.state in (JournalState.EXPIRED, JournalState.REJECTED):
            self._tell_of_stray(name, report)
            if not report.is_open and not report.filled_qty:
                return True
        await parts.link(report.venue_id, our_id)
        parts.book.take_report(our_id, report)
        return True

    async def _name(self, report: VenueOrder) -> str | None:
        """Return our name for a broker's order; None where it is nobody's or not known yet."""
        parts = self._parts
        names = parts.book.names
        if report.venue_id in names:
            return names[report.venue_id]
        if is_ours(report.client_order_id, parts.instance):
            return report.client_order_id
        if report.replaces is not None and report.replaces in names:
            return names[report.replaces]
        if report.parent_id is not None and report.parent_id in names:
            return leg_id(entry_id(names[report.parent_id]), report.order_type)
        return await parts.journal.owner_of(report.venue_id)

    async def _recalled(self, name: str) -> Family | None:
        """Return the family of an intent that ended before this start."""
        entry = await self._parts.journal.entry(name)
        return None if entry is None else self._parts.book.put(entry)

    async def _follow(self, report: VenueOrder) -> None:
        """Note the order that took another's place, although no list shows it yet."""
        our_id = self._parts.book.names.get(report.venue_id)
        if our_id is not None and report.replaced_by is not None:
            await self._parts.link(report.replaced_by, our_id)

    async def _is_owned(self, execution: Execution) -> bool:
        """Link the order of an execution that is ours; False where nothing says so."""
        parts = self._parts
        our_id = parts.book.names.get(execution.venue_id)
        if our_id is None:
            our_id = await parts.journal.owner_of(execution.venue_id)
        if our_id is None and execution.venue_id in self._strangers:
            our_id = await self._name(self._strangers[execution.venue_id])  # named by now, perhaps
        if our_id is None and is_ours(execution.client_order_id, parts.instance):
            our_id = execution.client_order_id
        if our_id is None:
            return False
        name = entry_id(our_id)
        if parts.book.families.get(name) is None and await self._recalled(name) is None:
            return False
        await parts.link(execution.venue_id, our_id)
        return True

    def _is_strange(self, execution: Execution) -> bool:
        """Return whether an execution is certainly of somebody else's order."""
        parts = self._parts
        stranger = self._strangers.get(execution.venue_id)
        if stranger is not None:
            return not any(_may_be_ours(stranger, e.intent) for e in parts.book.unsettled())
        first_seen = self._waiting.get(execution.execution_id)
        if first_seen is None or any(e for e in parts.book.unsettled()):
            return False
        return parts.clock.monotonic() - first_seen >= parts.policy.adopt_after_s

    def _absent(self, family: Family, shown: set[str]) -> bool:
        parts = self._parts
        if family.lacks_reports():
            return True
        for our_id in family.drafts:
            report, order = family.current(our_id), parts.book.order(our_id)
            if report is not None and order is not None and order.is_open:
                unfinished = report.is_open or report.replaced_by is not None
                if unfinished and report.venue_id not in shown:
                    return True
        return False

    def _tell_of_stray(self, name: str, report: VenueOrder) -> None:
        reason = f"the broker shows {name}, which was given up as never received; look at it"
        if report.is_open:
            self._parts.standing.doubt(f"order.{name}", reason, alarm=True)
        else:
            self._parts.standing.trust(f"order.{name}", f"{name} has ended")


def _may_be_ours(report: VenueOrder, intent: OrderIntent) -> bool:
    """Return whether an order may belong to an intent that is not found yet.

    It may be a leg of its bracket, or have taken its place.
    """
    if report.symbol != intent.symbol:
        return False
    if report.replaces is not None or report.parent_id is not None:
        return True
    has_legs = intent.stop_loss is not None or intent.take_profit is not None
    is_leg = report.side is not intent.side and report.order_type is not OrderType.MARKET
    return has_legs and is_leg and report.qty in (intent.qty, 0)


def orders_since(parts: DeskParts, last: datetime | None) -> datetime:
    """Return since when orders are asked for: the last clean list, or the oldest open question."""
    known = [family.entry.created_at for family in parts.book.families.values()]
    first = last or min(known, default=parts.clock.now())
    return first - parts.policy.overlap


def executions_since(parts: DeskParts, *, widely: bool) -> datetime:
    """Return since when executions are asked for: behind the last that is booked."""
    known = [family.entry.created_at for family in parts.book.families.values()]
    last = parts.book.last_execution_at or min(known, default=parts.clock.now())
    return last - parts.policy.overlap * (24 if widely else 1)
