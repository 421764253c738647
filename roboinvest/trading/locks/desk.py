"""What a person may do about locks: see them, and clear them by name, for the record.

The same code answers the control port of a running daemon and a command that holds the folder of
one that does not run. It works on what is committed, so that it never waits for a tick.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.ports import Clock
from roboinvest.core.protections import Lock
from roboinvest.core.records import canonical_json
from roboinvest.trading.locks.book import (
    CLEARINGS,
    DOCUMENT,
    MAX_CLEARINGS,
    Clearing,
    LockBook,
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
    cleared = clearings_in(await store.document(CLEARINGS))
    return tuple(
        lock
        for lock in locks
        if (at is None or lock.holds(at)) and not any(one.lifts(lock) for one in cleared)
    )


def cleared_text(cleared: tuple[Lock, ...]) -> str:
    """Return the sentence that says what was cleared."""
    if not cleared:
        return "no lock that a person may clear is in force"
    names = ", ".join(lock.name for lock in cleared)
    return f"cleared {names}; it holds from the next tick on"


class LockDesk:
    """Clears locks for a person."""

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
        return wanted


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
