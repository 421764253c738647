"""What every part of the desk shares: the broker, the journal, the book, and one lock.

Whoever moves an intent or sends something holds the lock and reads the entry again under it, so
that a look-up which began before another move never undoes it. Look-ups themselves run without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

from roboinvest.brokers.desk.order_book import OrderBook
from roboinvest.brokers.desk.reach import Reach
from roboinvest.brokers.desk.standing import Standing
from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Clock, OrderJournal, Venue
from roboinvest.core.venue import Execution

ResultT = TypeVar("ResultT")
MayAct = Callable[[OrderIntent], str | None]  # why an intent may not be sent now; None: it may
JOURNAL_DOUBT: Final = "journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskPolicy:
    """How patient the desk is."""

    settle_s: float = 60.0  # the broker shows by then what it has taken, or never took it
    watched_s: float = 3.0  # and it was looked up for so long, by a clock that nobody can set
    call_s: float = 20.0  # most that any one request may take, whatever the venue promises
    silent_s: float = 12.0  # without an answer, after which people are told; it is waited for still
    first_look_s: float = 0.5  # first pause between look-ups of one order; doubles
    longest_look_s: float = 30.0
    looks_to_expire: int = 2  # clean ones, all begun after the intent's last instant
    confirm_s: float = 15.0  # a difference in positions is believed when it stays so long
    excuse_s: float = 420.0  # the same where an order in that symbol is still being looked up
    opening_s: float = 2.0  # an account that stays empty so long opens empty
    opening_held_s: float = 15.0  # the same where shares are held: their executions may lag behind
    cancel_wait_s: float = 5.0  # how long `cancel` waits for the broker's word
    fresh_s: float = 5.0  # a reconciliation this young need not be repeated before a tick
    overlap: timedelta = timedelta(hours=1)  # how far a question reaches back behind the last fact
    may_short: bool = False  # whether a sale may exceed the shares that the account holds
    adopt_after_s: float = 120.0  # an execution of an order nobody reports is somebody else's


@dataclass(slots=True, kw_only=True)
class DeskParts:
    """The shared things."""

    venue: Venue
    journal: OrderJournal
    clock: Clock
    standing: Standing
    reach: Reach
    may_act: MayAct
    instance: str
    policy: DeskPolicy
    book: OrderBook = field(default_factory=OrderBook)
    left_at: dict[str, float] = field(default_factory=dict)  # monotonic: a request, by our id
    moved_at: dict[str, float] = field(default_factory=dict)  # monotonic: an execution was booked
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sending: str | None = None  # client order id of the request that is under way
    unwanted: set[str] = field(default_factory=set)  # cancelled before the broker was known to

    async def asked(self, call: Awaitable[ResultT], what: str) -> ResultT:
        """Return a broker's answer, within the desk's own deadline.

        Raises:
            TryLater: no answer that can be believed.
        """
        loop, silent_s = asyncio.get_running_loop(), self.policy.silent_s
        late = loop.call_later(silent_s, self.reach.waits, what, silent_s)
        try:
            async with asyncio.timeout(self.policy.call_s):
                answer = await call
        except TimeoutError as error:
            why = f"the broker gave no {what} within {self.policy.call_s:.0f} s; asked again later"
            self.reach.missed(what, why)
            raise TryLater(why) from error
        except TryLater as error:
            self.reach.missed(what, str(error))
            raise
        finally:
            late.cancel()
        self.reach.heard(what)
        return answer

    async def move(
        self,
        entry: JournalEntry,
        state: JournalState,
        *,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        """Move an entry in the journal and in the book.

        Raises:
            TryLater: the journal cannot be written.
        """
        try:
            moved = await self.journal.move(
                entry.intent.client_order_id,
                state,
                self.clock.now(),
                reason=reason,
                venue_id=venue_id,
                clean_lookups=clean_lookups,
            )
        except TryLater as error:
            self.standing.doubt(JOURNAL_DOUBT, f"the order journal: {error}", alarm=True)
            raise
        except ValueError:
            # The kill switch writes beside us; what it moved is taken over as it is.
            known = await self.journal.entry(entry.intent.client_order_id)
            if known is None or known.state is entry.state:
                raise
            moved = known
        self.book.put(moved)
        return moved

    async def prove_journal(self) -> None:
        """Lift the doubt in the journal, if there is one, by writing to it.

        Raises:
            TryLater: the journal cannot be written.
        """
        if self.standing.doubts(JOURNAL_DOUBT):
            await self.journal.note("journal_works_again", self.clock.now(), {})
            self.standing.trust(JOURNAL_DOUBT, "the order journal can be written again")

    async def link(self, venue_id: str, our_id: str) -> None:
        """Note that a broker's order is ours; nothing is written where that is known."""
        if self.book.names.get(venue_id) == our_id:
            return
        if await self.journal.owner_of(venue_id) != our_id:
            try:
                await self.journal.link(venue_id, our_id)
            except Refused as error:
                self.standing.doubt(f"order.{our_id}", str(error), alarm=True)
                return
        self.book.names[venue_id] = our_id

    async def take(self, executions: Sequence[Execution]) -> int:
        """Book executions whose owners are linked; return how many were new."""
        new = [e for e in executions if e.execution_id not in self.book.taken]
        if not new:
            return 0
        booked = await self.journal.book(new)
        self.book.take_booked(booked)
        now = self.clock.monotonic()
        self.moved_at.update({each.execution.symbol: now for each in booked})
        return len(booked)
