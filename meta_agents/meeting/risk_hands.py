"""Hands that reach the running account; each of them by itself takes risk away, and only away.

What goes the other way is an undoing, and that is a person's: an order in the name of a part of the
house is refused here once more, whatever the doors before it let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from meta_agents.meeting.agreements import HOUSE_NAMES
from meta_agents.meeting.ports import Order
from roboinvest.core.approvals import same_name
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import Act, Knob, json_value, number_in
from roboinvest.core.protections import EVERYTHING
from roboinvest.trading.locks.desk import LockDesk
from roboinvest.trading.lowered_limits import LimitDesk

_LONGEST: Final = 200  # characters of a reason


class LimitHand:
    """Lowers limits of risk below the settings."""

    def __init__(self, desk: LimitDesk) -> None:
        """Take the desk."""
        self._desk = desk

    async def knobs(self) -> tuple[Knob, ...]:
        """Return the limits that can be lowered."""
        return tuple(self._knob(name) for name in self._desk.names())

    async def standing(self, subject: str) -> str | None:
        """Look at what binds."""
        value = self._desk.standing(subject)
        return None if value is None else json_value(value)

    async def put(self, order: Order) -> None:
        """Lower a limit; for a person, go back to what stood there before."""
        set_to = self._desk.restore if _is_person(order.by) else self._desk.lower
        value = number_in(order.value)
        await set_to(order.subject, value, by=order.by, why=order.why[:_LONGEST], at=order.at)

    def _knob(self, name: str) -> Knob:
        least, most = self._desk.bounds(name)
        value = self._desk.standing(name) or Decimal(0)
        return Knob(act=Act.SET_LIMIT, subject=name, value=value, least=least, most=most)


class LockHand:
    """Stops entries, of a ticker or of all; exits go on."""

    def __init__(self, desk: LockDesk, symbols: Sequence[str]) -> None:
        """Take the desk, and the tickers that are traded."""
        self._desk, self._scopes = desk, (EVERYTHING, *symbols)

    async def knobs(self) -> tuple[Knob, ...]:
        """Return what can be locked: true where entries are allowed."""
        return tuple([await self._knob(scope) for scope in self._scopes])

    async def standing(self, subject: str) -> str | None:
        """Look whether a meeting stopped entries there."""
        return (await self._knob(subject)).text if subject in self._scopes else None

    async def put(self, order: Order) -> None:
        """Stop entries; for a person, allow them again."""
        if order.subject not in self._scopes:
            raise Refused(f"{order.subject[:40]!a} is not traded here, so there is nothing to lock")
        if order.value == "false":
            await self._desk.ask(order.subject, why=order.why[:_LONGEST], at=order.at)
            return
        if not _is_person(order.by):
            raise Refused(f"only a person lets {order.subject} be entered again")
        lock = await self._desk.asked(order.subject)
        if lock is None:
            return
        try:
            await self._desk.clear(lock.name, by=order.by, at=None)
        except BadInput:  # somebody cleared it at the same moment
            return

    async def _knob(self, scope: str) -> Knob:
        is_open = await self._desk.asked(scope) is None
        return Knob(act=Act.LOCK_ENTRIES, subject=scope, value=is_open)


def _is_person(name: str) -> bool:
    return bool(name.strip()) and same_name(name) not in HOUSE_NAMES
