"""Ends orders: asked once it is written down, then waited for a little.

A cancel and a fill may cross. The broker's last word on the order decides, and an order counts as
ended only when the executions that the word speaks of are here. An order that the broker is not
yet known to have cannot be cancelled there: it is not sent again, and cancelled when it shows up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from roboinvest.brokers.desk.order_book import Family
from roboinvest.brokers.desk.parts import DeskParts
from roboinvest.brokers.desk.sending import Sender
from roboinvest.core.errors import TryLater
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Order

NOTE: Final = "cancel"
_FIRST_PAUSE_S: Final = 0.1


class Cancelling:
    """Asks for ends, and sees to it that they come."""

    def __init__(
        self,
        parts: DeskParts,
        sender: Sender,
        pull: Callable[[frozenset[str]], Awaitable[None]],
    ) -> None:
        self._parts = parts
        self._sender = sender
        self._pull = pull

    async def begin(self) -> None:
        """Read back from the journal which orders that are still open were to be ended.

        Raises:
            TryLater: the journal cannot be read.
        """
        parts = self._parts
        for note in await parts.journal.notes(NOTE):
            our_id = str(note.body["client_order_id"])
            family = parts.book.family_of(our_id)
            if family is None or (family.entry.is_settled and our_id not in parts.book.families):
                continue  # it has ended, or is a leg, whose own order the house cancels again
            parts.unwanted.add(family.entry.intent.client_order_id)

    async def cancel(self, our_id: str, at: datetime, note: str) -> tuple[Order, ...]:
        """Return the orders that changed by the end of the wait.

        Raises:
            TryLater: the journal cannot be written; nothing was asked for.
        """
        parts = self._parts
        family, order = parts.book.family_of(our_id), parts.book.order(our_id)
        if family is None or order is None or not order.is_open:
            return ()
        before = parts.book.family_orders(family)
        await parts.journal.note(NOTE, at, {"client_order_id": our_id, "why": note})
        if not family.entry.is_settled:
            await self._unsend(family)
        elif family.current(our_id) is not None:
            await self._ask(family, our_id)
            await self._wait(family, our_id)
        now = parts.book.family_orders(family)
        return tuple(after for was, after in zip(before, now, strict=True) if was != after)

    async def ask_again(self) -> None:
        """Ask for the end of orders that were cancelled before the broker was known to have them.

        Raises:
            TryLater: the journal cannot be written.
        """
        parts = self._parts
        for name in tuple(parts.unwanted):
            family = parts.book.families.get(name)
            if family is None or (family.entry.is_settled and family.current(name) is not None):
                parts.unwanted.discard(name)
            order = parts.book.order(name)
            if family is not None and family.entry.is_settled and order and order.is_open:
                await self._ask(family, name)

    async def _unsend(self, family: Family) -> None:
        """See to it that an order which the broker may not have is never sent (again)."""
        parts, name = self._parts, family.entry.intent.client_order_id
        parts.unwanted.add(name)
        async with parts.lock:
            if family.entry.state is JournalState.INTENT:
                await parts.move(family.entry, JournalState.REJECTED, reason="cancelled, not sent")

    async def _ask(self, family: Family, our_id: str) -> None:
        """Send one request; whatever is answered, the order's own report decides."""
        parts, report = self._parts, family.current(our_id)
        if report is None:
            return
        try:
            await parts.asked(parts.venue.cancel(report.venue_id), "answer to a cancel")
        except TryLater:
            return

    async def _wait(self, family: Family, our_id: str) -> None:
        """Look the order up until it has ended or patience has."""
        parts, pause = self._parts, _FIRST_PAUSE_S
        until = parts.clock.monotonic() + parts.policy.cancel_wait_s
        while parts.clock.monotonic() < until:
            await self._look(family)
            order = parts.book.order(our_id)
            if order is None or not order.is_open:
                return
            await asyncio.sleep(min(pause, max(0.0, until - parts.clock.monotonic())))
            pause *= 2

    async def _look(self, family: Family) -> None:
        parts, name = self._parts, family.entry.intent.client_order_id
        try:
            found = await parts.asked(parts.venue.find(name), "order by its id")
            async with parts.lock:
                await self._sender.adopt(family.entry, found)
            await self._pull(frozenset(family.drafts))
        except TryLater:
            return  # the reconciliation goes on asking
