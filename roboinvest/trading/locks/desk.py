"""What may be done about locks: see them, ask for one, and, a person, clear them by name.

The same code answers the control port of a running daemon and a command that holds the folder of
one that does not run. It works on what is committed, so that it never waits for a tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.ports import Clock
from roboinvest.core.protections import Lock, LockRule
from roboinvest.core.records import canonical_json
from roboinvest.trading.locks.book import (
    ASKED,
    CLEARINGS,
    DOCUMENT,
    MAX_CLEARINGS,
    Clearing,
    LockBook,
    asked_in,
    clearings_in,
    locks_in,
)


class ReadsDocuments(Protocol):
    """The part of the store that listing needs."""

    async def document(self, name: str) -> str | None:
        """Return a named JSON document; None if there is none."""


class Documents(ReadsDocuments, Protocol):
    """The part of the store that clearing needs."""

    async def put_document(self, name: str, text: str) -> None:
        """Store a named JSON document in the place of an older one."""


async def committed_locks(store: ReadsDocuments, at: datetime | None) -> tuple[Lock, ...]:
    """Return the locks in force at market time `at`, by name; None: no tick was committed yet."""
    locks = locks_in(await store.document(DOCUMENT))
    asked = asked_in(await store.document(ASKED))
    cleared = clearings_in(await store.document(CLEARINGS))
    kept = {lock.name: lock for lock in (*locks, *asked)}  # what is asked for comes after
    return tuple(
        kept[name]
        for name in sorted(kept)
        if (at is None or kept[name].holds(at)) and not _is_lifted(kept[name], cleared)
    )


def cleared_text(cleared: tuple[Lock, ...]) -> str:
    """Return the sentence that says what was cleared."""
    if not cleared:
        return "no lock that a person may clear is in force"
    names = ", ".join(lock.name for lock in cleared)
    return f"cleared {names}; it holds from the next tick on"


class LockDesk:
    """Clears locks for a person, and takes those that a meeting asks for."""

    def __init__(
        self, store: Documents, clock: Clock, running: Callable[[], LockBook | None]
    ) -> None:
        """Take where locks are kept, and the book of the running account if there is one."""
        self._store = store
        self._clock = clock
        self._running = running

    async def clear(self, name: str | None, *, by: str, at: datetime | None) -> tuple[Lock, ...]:
        """Lift one lock, or with None each that a person may lift; return them.

        `at` is the market time at which they count as in force.

        Raises:
            BadInput: no lock of this name is in force.
            Refused: it stays for the day.
        """
        held = await committed_locks(self._store, at)
        wanted = _wanted(held, name)
        if wanted:
            now = self._clock.now()
            clearings = tuple(
                Clearing(name=lock.name, since=lock.since, by=by, at=now) for lock in wanted
            )
            before = clearings_in(await self._store.document(CLEARINGS))
            kept = (*before, *clearings)[-MAX_CLEARINGS:]
            await self._store.put_document(CLEARINGS, canonical_json(kept))
            if (book := self._running()) is not None:
                book.take_cleared(clearings)
            await self._put_asked(())
        return wanted

    async def asked(self, scope: str) -> Lock | None:
        """Return the lock that a meeting asked for on a ticker or on everything; None: none."""
        name = f"{LockRule.GOVERNANCE}:{scope}"
        held = await committed_locks(self._store, None)
        return next((lock for lock in held if lock.name == name), None)

    async def ask(self, scope: str, *, why: str, at: datetime) -> Lock:
        """Stop entries in a ticker or in everything, from the next tick on, until a person clears.

        Asked for again it is one lock. `at` is real time, so that no two are the same one.
        """
        known = await self.asked(scope)
        if known is not None:
            return known
        lock = Lock(scope=scope, rule=LockRule.GOVERNANCE, since=at, until=None, text=why)
        await self._put_asked((lock,))
        if (book := self._running()) is not None:
            book.take_asked((lock,))
        return lock

    async def _put_asked(self, more: tuple[Lock, ...]) -> None:
        """Write down what is asked for, without what was cleared since."""
        before = asked_in(await self._store.document(ASKED))
        cleared = clearings_in(await self._store.document(CLEARINGS))
        kept = tuple(lock for lock in (*before, *more) if not _is_lifted(lock, cleared))
        if kept != before:
            await self._store.put_document(ASKED, canonical_json(kept))


def _is_lifted(lock: Lock, cleared: Iterable[Clearing]) -> bool:
    return any(one.lifts(lock) for one in cleared)


def _wanted(held: tuple[Lock, ...], name: str | None) -> tuple[Lock, ...]:
    if name is None:
        return tuple(lock for lock in held if not lock.is_for_the_day)
    found = tuple(lock for lock in held if lock.name == name)
    if not found:
        names = ", ".join(lock.name for lock in held) or "there is none"
        raise BadInput(f"no lock in force is called {name}; in force: {names}")
    if found[0].is_for_the_day:
        raise Refused(f"{name} stays until the session ends ({found[0].text}); wait for the next")
    return found
