"""Where a life can end: before and after every journal commit and every network effect.

`Wire` and `Disk` stand between the desk and what lasts. Each crossing is a step with a number;
at the steps of a scenario the process dies, which nothing in it can catch or outlive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Noted, OrderJournal, Venue
from roboinvest.core.venue import Execution, Outcome, VenueAccount, VenueOrder, VenuePosition

ResultT = TypeVar("ResultT")


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Counts the steps of all lives of a scenario, and kills at some of them."""

    def __init__(
        self, deaths: Sequence[int] = (), watch: Callable[[], None] = lambda: None
    ) -> None:
        self.taken = 0
        self.deaths = sorted(deaths)
        self.killed = 0
        self._watch = watch

    def step(self, life: Life) -> None:
        """Take a step, the last one of this life perhaps."""
        if not life.lives:
            raise Killed
        self.taken += 1
        self._watch()
        if self.deaths and self.taken >= self.deaths[0]:
            self.deaths.pop(0)
            self.killed += 1
            life.lives = False
            raise Killed


class Life:
    """One run of the process; dead, it can touch nothing any more."""

    def __init__(self, steps: Steps, number: int) -> None:
        self.lives = True
        self.number = number
        self._steps = steps

    async def crossing(self, call: Awaitable[ResultT]) -> ResultT:
        """Do what lasts, with a step before and one after."""
        try:
            self._steps.step(self)
        except Killed:
            getattr(call, "close", lambda: None)()  # a coroutine that was never awaited
            raise
        found = await call
        self._steps.step(self)
        return found

    def looking(self) -> None:
        """Touch without changing anything: no step, but the dead cannot do it."""
        if not self.lives:
            raise Killed


class Wire:
    """A `Venue` as one life reaches it."""

    def __init__(self, venue: Venue, life: Life) -> None:
        self.venue = venue
        self.life = life

    async def place(self, intent: OrderIntent) -> Outcome:
        return await self.life.crossing(self.venue.place(intent))

    async def cancel(self, venue_id: str) -> Outcome:
        return await self.life.crossing(self.venue.cancel(venue_id))

    async def find(self, client_order_id: str) -> tuple[VenueOrder, ...]:
        self.life.looking()
        return await self.venue.find(client_order_id)

    async def orders(self, since: datetime) -> Sequence[VenueOrder]:
        self.life.looking()
        return await self.venue.orders(since)

    async def executions(self, since: datetime) -> Sequence[Execution]:
        self.life.looking()
        return await self.venue.executions(since)

    async def positions(self) -> Sequence[VenuePosition]:
        self.life.looking()
        return await self.venue.positions()

    async def account(self) -> VenueAccount:
        self.life.looking()
        return await self.venue.account()


class Disk:
    """An `OrderJournal` as one life reaches it."""

    def __init__(self, journal: OrderJournal, life: Life) -> None:
        self.journal = journal
        self.life = life

    async def record(self, intent: OrderIntent, limits: str, at: datetime) -> JournalEntry:
        return await self.life.crossing(self.journal.record(intent, limits, at))

    async def move(
        self,
        client_order_id: str,
        state: JournalState,
        at: datetime,
        *,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        return await self.life.crossing(
            self.journal.move(
                client_order_id,
                state,
                at,
                reason=reason,
                venue_id=venue_id,
                clean_lookups=clean_lookups,
            )
        )

    async def link(self, venue_id: str, client_order_id: str) -> None:
        await self.life.crossing(self.journal.link(venue_id, client_order_id))

    async def book(self, executions: Sequence[Execution]) -> tuple[BookedExecution, ...]:
        return await self.life.crossing(self.journal.book(executions))

    async def note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        await self.life.crossing(self.journal.note(kind, at, body))

    async def notes(self, kind: str | None = None) -> Sequence[Noted]:
        self.life.looking()
        return await self.journal.notes(kind)

    async def entry(self, client_order_id: str) -> JournalEntry | None:
        self.life.looking()
        return await self.journal.entry(client_order_id)

    async def entries(self, states: frozenset[JournalState]) -> tuple[JournalEntry, ...]:
        self.life.looking()
        return await self.journal.entries(states)

    async def owner_of(self, venue_id: str) -> str | None:
        self.life.looking()
        return await self.journal.owner_of(venue_id)

    async def booked(self, after_seq: int = 0) -> tuple[BookedExecution, ...]:
        self.life.looking()
        return await self.journal.booked(after_seq)
