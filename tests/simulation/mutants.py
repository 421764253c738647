"""Wrong designs, planted on purpose: each must be caught, or the checker proves nothing.

The first four are orders gone wrong, the last four are the house around them. Each is as small as
the mistake it plays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.brokers.desk.reconciling import Reconciliation
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.orders import Order, OrderIntent
from roboinvest.core.venue import Outcome, OutcomeKind, VenueOrder
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.journals import InMemoryOrderJournal
from tests.simulation.wire import Wire


class NoClientOrderId(Wire):
    """no_coid: the id is drawn anew in each life, so the next one cannot find the order."""

    async def place(self, intent: OrderIntent) -> Outcome:
        named = replace(intent, client_order_id=self._drawn(intent.client_order_id))
        outcome = await super().place(named)
        return replace(outcome, orders=tuple(map(self._ours, outcome.orders)))

    async def find(self, client_order_id: str) -> tuple[VenueOrder, ...]:
        return tuple(map(self._ours, await super().find(self._drawn(client_order_id))))

    async def orders(self, since: datetime) -> Sequence[VenueOrder]:
        return tuple(map(self._ours, await super().orders(since)))

    def _drawn(self, name: str) -> str:
        return f"drawn{self.life.number}-{name}"

    def _ours(self, order: VenueOrder) -> VenueOrder:
        drawn = f"drawn{self.life.number}-"
        return replace(order, client_order_id=order.client_order_id.removeprefix(drawn))


class SubmitFirst(OrderDesk):
    """submit_first: the order leaves, and is written down when the answer is there."""

    async def submit(self, intent: OrderIntent, at: datetime) -> tuple[Order, ...]:
        parts = self._parts
        if self._sender.why_not(await _unsaved(self, intent)) is not None:
            return ()
        outcome = await parts.venue.place(intent)
        entry = await parts.journal.record(intent, "{}", at)
        if entry.state is JournalState.INTENT:
            parts.book.put(entry)
            entry = await parts.move(entry, JournalState.SENDING)
            await self._sender._judge(entry, outcome)
        return await super().submit(intent, at)


class NoReconcile(OrderDesk):
    """no_reconcile: whatever the last life left behind is left behind."""

    async def reconcile(self) -> Reconciliation:
        self._parts.standing.open()
        return Reconciliation(agrees=True, booked=0, differences={}, reason="")

    async def resolve(self) -> None:
        pass


class RetryPost(Wire):
    """retry_POST: what was not answered is sent again at once, as a client library may do."""

    async def place(self, intent: OrderIntent) -> Outcome:
        outcome = await super().place(intent)
        for _ in range(3):
            if outcome.kind is not OutcomeKind.UNKNOWN:
                break
            outcome = await super().place(intent)
        return outcome


class SwallowCancel(Reconciler):
    """swallow_cancel: a service that takes a cancellation for one more failed call."""

    swallows = 2  # then it ends, because a test has to end as well

    async def run(self, ctx: ServiceContext) -> None:
        for _ in range(self.swallows):
            try:
                await super().run(ctx)
            except asyncio.CancelledError:
                continue
        await super().run(ctx)


def naive_json(path: Path, content: bytes) -> None:
    """naive_json: the report is written where it lies."""
    path.write_bytes(content)


class HealthLoop:
    """Looks at the house once a minute; what the Overseer's health loop will be."""

    name = "health"

    def __init__(self) -> None:
        self.looks = 0

    async def run(self, ctx: ServiceContext) -> None:
        async for _ in ctx.every(60.0):
            self.looks += 1


class DoubleOverseer(HealthLoop):
    """double_overseer: one run starts the loop twice."""

    async def run(self, ctx: ServiceContext) -> None:
        async with asyncio.TaskGroup() as both:
            for _ in range(2):
                both.create_task(super().run(ctx))


async def _unsaved(desk: OrderDesk, intent: OrderIntent) -> JournalEntry:
    """Return the entry that is known, or the one that will be written too late."""
    known = await desk._parts.journal.entry(intent.client_order_id)
    return known or await InMemoryOrderJournal().record(intent, "{}", desk._parts.clock.now())
