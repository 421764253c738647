"""The limits that bind the running account: those of the settings, and what was lowered since.

What was lowered is a document of the account's own store, beside its locks, written before it
binds. So it is there after a kill, trading waits for nobody else's file, and damage elsewhere
takes no limit away. A document that cannot be read leaves the settings' limits in force, and people
are told. From the next tick on a change binds: a tick never changes its mind half-way.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.lowered_limits import (
    LOWERABLE,
    LoweredLimit,
    in_force,
    is_whole,
    least_of,
    lowered_in,
    lowered_json,
    value_of,
)
from roboinvest.core.risk import RiskLimits, limits_snapshot
from roboinvest.trading.locks.desk import Documents

DOCUMENT: Final = "lowered_limits"
ALERT_PREFIX: Final = "risk."
ALERT_NAME: Final = "lowered_limits"


class LimitBook:
    """Which limits bind now."""

    def __init__(self, own: RiskLimits) -> None:
        """Take those of the settings, under the mandate."""
        self.own = own
        self.take(())

    def read(self, text: str | None) -> str | None:
        """Take the document over; return why that cannot be: the settings' limits bind then.

        What a person took back whole is no lowering any more: settings edited since bind again.
        """
        try:
            found = lowered_in(text)
        except BadInput as error:
            self.take(())
            return f"{error}; the limits of the settings bind; lower them anew, or edit them"
        self.take(tuple(each for each in found if each.value < each.own))
        return None

    def take(self, lowered: tuple[LoweredLimit, ...]) -> None:
        """Let these bind from the next tick on, those that are no wider than the settings."""
        self.lowered = lowered
        self.now = in_force(self.own, lowered)
        self.snapshot = limits_snapshot(self.now)  # for the order journal

    def shown(self) -> tuple[LoweredLimit, ...]:
        """Return what binds below the settings, by name."""
        return tuple(
            each
            for each in self.lowered
            if value_of(self.now, each.name) != value_of(self.own, each.name)
        )


class LimitDesk:
    """Lowers limits, and takes them back for a person, never above the settings."""

    def __init__(self, store: Documents, book: LimitBook) -> None:
        """Take where it is kept, and the book that binds."""
        self._store, self._book = store, book
        self._writing = asyncio.Lock()  # each writes all that was lowered

    def names(self) -> tuple[str, ...]:
        """Return the limits that can be lowered here."""
        return tuple(n for n in sorted(LOWERABLE) if value_of(self._book.own, n) is not None)

    def standing(self, name: str) -> Decimal | None:
        """Return what binds now; None: there is no such limit here."""
        return value_of(self._book.now, name)

    def bounds(self, name: str) -> tuple[Decimal, Decimal]:
        """Return how far it can be lowered, and what the settings say."""
        return least_of(self._book.own, name), value_of(self._book.own, name) or Decimal(0)

    async def lower(self, name: str, value: Decimal, *, by: str, why: str, at: datetime) -> None:
        """Lower a limit further.

        Raises:
            Refused: that would raise it, or is lower than it can be.
            TryLater: it could not be written; nothing was changed.
        """
        async with self._writing:
            standing = self._require(name, value)
            if value > standing:
                raise Refused(
                    f"{name} is at {standing}, and {value} is more risk; only a person goes back"
                )
            await self._put(name, value, by=by, why=why, at=at)

    async def restore(self, name: str, value: Decimal, *, by: str, why: str, at: datetime) -> None:
        """Set a limit for a person, up to what the settings say.

        Raises:
            Refused: it is above the settings, or lower than it can be.
            TryLater: it could not be written; nothing was changed.
        """
        async with self._writing:
            self._require(name, value)
            await self._put(name, value, by=by, why=why, at=at)

    def _require(self, name: str, value: Decimal) -> Decimal:
        """Return what binds now, where the value is one that a limit can have."""
        standing = self.standing(name)
        if standing is None:
            raise Refused(f"there is no limit {name[:40]!a} that can be lowered here")
        least, most = self.bounds(name)
        if not (value.is_finite() and least <= value <= most):
            raise Refused(f"{name} lies between {least} and {most} here, and {value} does not")
        if is_whole(name) and value != value.to_integral_value():
            raise Refused(f"{name} counts, and {value} is no whole number")
        return standing

    async def _put(self, name: str, value: Decimal, *, by: str, why: str, at: datetime) -> None:
        book = self._book
        own = value_of(book.own, name) or value
        before = next((each for each in book.lowered if each.name == name), None)
        first = own if before is None or value > before.own else before.own
        others = tuple(each for each in book.lowered if each.name != name)
        entry = LoweredLimit(name=name, value=value, own=first, by=by, why=why, at=at)
        if before is not None and value == before.value:
            entry = replace(entry, by=before.by, why=before.why, at=before.at)
        kept = others if value >= own else (*others, entry)
        await self._store.put_document(DOCUMENT, lowered_json(kept))
        book.take(tuple(sorted(kept, key=lambda each: each.name)))
