"""A paper broker whose orders go through the order journal, as real ones do.

The paper books are restored to before a killed tick, so its orders have to be booked again; the
journal still has its intents, so each is read and not written twice. That the same tick asks for
something else the second time is a fault, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from roboinvest.brokers.paper import PaperBroker
from roboinvest.brokers.paper_book import FillCounts
from roboinvest.brokers.paper_checks import check_form
from roboinvest.core.errors import BadInput, OrderRejected, Refused
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.orders import Account, Order, OrderIntent, Settlement
from roboinvest.core.ports import OrderJournal


class JournaledPaperBroker:
    """Fills orders against bars, each written down first; see `core.ports.Broker`."""

    def __init__(
        self, paper: PaperBroker, journal: OrderJournal, *, limits: Callable[[], str]
    ) -> None:
        self._paper = paper
        self._journal = journal
        self._limits = limits

    async def submit(self, intent: OrderIntent, at: datetime) -> tuple[Order, ...]:
        """Write an intent down and book it; written down before, it is only booked again.

        Raises:
            OrderRejected: refused, now or the first time; nothing was booked.
            TryLater: the journal cannot be written; nothing was booked.
        """
        entry = await self._recorded(intent, at)
        if entry.state in (JournalState.REJECTED, JournalState.EXPIRED):
            raise OrderRejected(entry.reason)
        name = intent.client_order_id
        if entry.state is JournalState.INTENT:
            entry = await self._journal.move(name, JournalState.SENDING, at)
        try:
            orders = await self._paper.submit(intent, at)
        except OrderRejected as refusal:
            if not entry.is_settled:
                await self._journal.move(name, JournalState.REJECTED, at, reason=str(refusal))
            raise
        if not entry.is_settled:
            await self._journal.move(name, JournalState.ACCEPTED, at, venue_id=name)
        return orders

    async def settle(self, update: MarketUpdate) -> Settlement:
        """Return what became of our orders up to `update.at`; each change is reported once."""
        return await self._paper.settle(update)

    async def cancel(self, client_order_id: str, at: datetime, note: str) -> tuple[Order, ...]:
        """Write the wish down, then cancel; return every order that changed."""
        await self._journal.note("cancel", at, {"client_order_id": client_order_id, "why": note})
        return await self._paper.cancel(client_order_id, at, note)

    async def account(self, marks: Mapping[str, float]) -> Account:
        """Return cash and equity; a holding without a mark counts at what was paid for it."""
        return await self._paper.account(marks)

    async def open_orders(self) -> Sequence[Order]:
        """Return every order that can still fill, oldest first."""
        return await self._paper.open_orders()

    def snapshot(self) -> str:
        """Return the paper books as JSON; the journal keeps itself."""
        return self._paper.snapshot()

    def restore(self, snapshot: str) -> None:
        """Take the state that `snapshot` returned.

        Raises:
            BadInput: the text is not a snapshot of a paper broker; the state is unchanged.
        """
        self._paper.restore(snapshot)

    def holdings(self) -> dict[str, Decimal]:
        """Return the signed shares held, by symbol."""
        return self._paper.holdings()

    def counts(self) -> FillCounts:
        """Return how often a bar was ambiguous and how often cash cut a fill."""
        return self._paper.counts()

    async def _recorded(self, intent: OrderIntent, at: datetime) -> JournalEntry:
        try:
            return await self._journal.record(intent, self._limits(), at)
        except BadInput as error:  # a figure that is no number: the broker has better words for it
            check_form(intent, at)
            raise OrderRejected(str(error)) from error
        except Refused as error:
            raise OrderRejected(str(error)) from error
