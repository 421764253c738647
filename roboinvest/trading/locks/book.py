"""The locks of one account: in force, persisted with each tick, lifted by time or by a person.

What a person clears is a document of its own, written at once by whoever was asked; the book takes
it over when the next tick begins, so that a tick never changes its mind half-way and a clearing is
not lost with a killed tick. A clearing names a lock and when that began: another lock of the same
name is another matter. What a meeting asks for goes the same way in.

Cooldowns are not kept here. They follow from the last exits, and are written down only to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog
from pydantic import TypeAdapter

from roboinvest.core.ledger import Trade
from roboinvest.core.protections import Lock, LockRule, ProtectionRules, locks_after
from roboinvest.core.records import canonical_json

DOCUMENT: Final = "locks"
CLEARINGS: Final = "lock_clearings"
ASKED: Final = "locks_asked"
MAX_CLEARINGS: Final = 200  # kept as the record of who lifted what


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """A person lifted a lock."""

    name: str  # of the lock
    since: datetime  # UTC, when that lock began
    by: str
    at: datetime  # UTC, real time

    def lifts(self, lock: Lock) -> bool:
        """Return whether it was this lock that was lifted."""
        return (self.name, self.since) == (lock.name, lock.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    locks: tuple[Lock, ...]
    trades: tuple[Trade, ...]  # round trips that a protection may still count, oldest first


def locks_in(text: str | None) -> tuple[Lock, ...]:
    """Return the locks of the document, those that ran out since included."""
    return () if text is None else TypeAdapter(_Kept).validate_json(text).locks


def clearings_in(text: str | None) -> tuple[Clearing, ...]:
    """Return the clearings of their document, oldest first."""
    return () if text is None else TypeAdapter(tuple[Clearing, ...]).validate_json(text)


def asked_in(text: str | None) -> tuple[Lock, ...]:
    """Return the locks that were asked for and not cleared, by name."""
    return () if text is None else TypeAdapter(tuple[Lock, ...]).validate_json(text)


@dataclass(slots=True, kw_only=True)
class LockBook:
    """Which locks bind, and the round trips that the next one is judged by."""

    rules: ProtectionRules = field(default_factory=ProtectionRules)
    locks: tuple[Lock, ...] = ()  # by name
    cooldowns: tuple[Lock, ...] = ()  # as of the last tick, to be seen
    _trades: tuple[Trade, ...] = ()
    _cleared: tuple[Clearing, ...] = ()  # since the last tick began
    _asked: tuple[Lock, ...] = ()  # as it was asked for since

    @classmethod
    def read(
        cls,
        text: str | None,
        clearings: str | None,
        rules: ProtectionRules,
        asked: str | None = None,
    ) -> LockBook:
        """Return the book as it was committed, and what was cleared and asked for since."""
        wanted = asked_in(asked)
        if text is None:
            return cls(rules=rules, _asked=wanted)
        kept = TypeAdapter(_Kept).validate_json(text)
        return cls(
            rules=rules,
            locks=tuple(lock for lock in kept.locks if lock.rule is not LockRule.COOLDOWN),
            _trades=kept.trades,
            _cleared=clearings_in(clearings),
            _asked=wanted,
        )

    def binding(self, symbol: str, at: datetime) -> tuple[Lock, ...]:
        """Return the locks that stop an entry in `symbol` at `at`, by name."""
        return tuple(lock for lock in self.locks if lock.binds(symbol, at))

    def in_force(self, at: datetime) -> tuple[Lock, ...]:
        """Return every lock that holds at `at`, cooldowns included, by name."""
        held = (lock for lock in (*self.locks, *self.cooldowns) if lock.holds(at))
        return tuple(sorted(held, key=lambda lock: lock.name))

    def holds(self, rule: LockRule, at: datetime) -> bool:
        """Return whether a lock of a rule is in force."""
        return any(lock.rule is rule and lock.holds(at) for lock in self.locks)

    def begin(self, at: datetime) -> tuple[Lock, ...]:
        """Begin a tick: drop what ran out and what was cleared, add what was asked for.

        Return what was cleared.
        """
        for lock in self._asked:
            if lock not in self.locks:
                self.add(lock)
        self._asked = ()
        gone = tuple(
            lock
            for lock in (*self.locks, *self.cooldowns)
            if any(clearing.lifts(lock) for clearing in self._cleared)
        )
        self._cleared = ()
        self.locks = tuple(lock for lock in self.locks if lock not in gone and lock.holds(at))
        return gone

    def take_cleared(self, clearings: Iterable[Clearing]) -> None:
        """Note what a person cleared; it holds from the next tick on."""
        self._cleared += tuple(clearings)

    def take_asked(self, locks: Iterable[Lock]) -> None:
        """Note what was asked for; it holds from the next tick on."""
        self._asked += tuple(locks)

    def judge(self, trades: Sequence[Trade], equity: Decimal) -> None:
        """Take round trips over as they closed, and lock what they call for."""
        if not trades or not self.rules.memory:
            return
        at = max(trade.closed_at for trade in trades)
        remembered = (trade for trade in self._trades if at - trade.closed_at < self.rules.memory)
        self._trades = (*remembered, *trades)
        for lock in locks_after(self._trades, at, self.rules, equity):
            self.add(lock)

    def add(self, lock: Lock) -> None:
        """Put a lock in force, in the place of an older one of its name."""
        others = (other for other in self.locks if other.name != lock.name)
        self.locks = tuple(sorted((*others, lock), key=lambda one: one.name))
        log = structlog.get_logger("roboinvest.locks")
        until = lock.until.isoformat() if lock.until else None
        log.warning("lock_set", lock=lock.name, until=until, text=lock.text)

    def document(self) -> str:
        """Return the JSON document that a restart reads."""
        shown = tuple(sorted((*self.locks, *self.cooldowns), key=lambda lock: lock.name))
        return canonical_json(_Kept(locks=shown, trades=self._trades))
