"""Running totals: what each cap has spent and holds, and who is told when one is reached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps, subject_of
from roboinvest.runtime.llm.spend.days import month_of
from roboinvest.runtime.llm.spend.money import nano_allowed, usd_of, usd_text
from roboinvest.runtime.llm.spend.values import CapStanding, Notice, NoticeKind

_READ: Final = """
    SELECT spent, reserved, denied, wanted FROM totals WHERE cap = ? AND span = ? AND name = ?
"""
_ADD: Final = """
    INSERT INTO totals (cap, span, name, spent, reserved) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET spent = spent + excluded.spent,
                              reserved = reserved + excluded.reserved,
                              wanted = CASE WHEN excluded.reserved > 0 THEN 0 ELSE wanted END
"""
_DENY: Final = """
    INSERT INTO totals (cap, span, name, denied, wanted) VALUES (?, ?, ?, 1, ?)
    ON CONFLICT DO UPDATE SET denied = denied + 1, wanted = excluded.wanted
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a total is of."""

    cap: Cap
    span: str  # exchange day, month, or "" for an iteration
    name: str  # the agent or the iteration; "" for the others


@dataclass(frozen=True, slots=True)
class Total:
    """A row, in nano-USD."""

    spent: int = 0
    reserved: int = 0
    denied: int = 0  # calls
    wanted: int = 0  # by the last call that was denied, until another one fits


def scopes_of(day: date, agent: str, iteration: str) -> tuple[Scope, ...]:
    """Return what a call is counted in, from the inside out."""
    return (
        Scope(Cap.ITERATION, "", iteration),
        Scope(Cap.AGENT, day.isoformat(), agent),
        Scope(Cap.DAY, day.isoformat(), ""),
        Scope(Cap.MONTH, month_of(day), ""),
    )


def call_scope(day: date) -> Scope:
    """Return where calls are counted that were too dear by themselves."""
    return Scope(Cap.CALL, day.isoformat(), "")


def total(connection: sqlite3.Connection, scope: Scope) -> Total:
    """Return what is known of a scope."""
    row = connection.execute(_READ, (scope.cap, scope.span, scope.name)).fetchone()
    return Total() if row is None else Total(*row)


def add(connection: sqlite3.Connection, scope: Scope, spent: int, reserved: int) -> None:
    """Change what is spent and held."""
    connection.execute(_ADD, (scope.cap, scope.span, scope.name, spent, reserved))


def deny(connection: sqlite3.Connection, scope: Scope, wanted: int) -> None:
    """Count a call that was refused."""
    connection.execute(_DENY, (scope.cap, scope.span, scope.name, wanted))


def agents_of(connection: sqlite3.Connection, day: date) -> Iterator[Scope]:
    """Yield the agents that were counted in a day."""
    for (name,) in connection.execute(
        "SELECT name FROM totals WHERE cap = ? AND span = ? ORDER BY name",
        (Cap.AGENT, day.isoformat()),
    ):
        yield Scope(Cap.AGENT, day.isoformat(), name)


def day_cap(connection: sqlite3.Connection, caps: SpendCaps) -> Decimal:
    """Return the day's cap in USD as it was moved last, under the ceiling in force now."""
    row = connection.execute("SELECT after FROM cap_moves ORDER BY id DESC LIMIT 1").fetchone()
    return caps.day_usd if row is None else min(usd_of(row[0]), caps.ceiling_usd)


def limit_of(connection: sqlite3.Connection, caps: SpendCaps, cap: Cap) -> int | None:
    """Return a cap in nano-USD as it stands now; None: there is none."""
    usd = caps.limit(cap, day_cap(connection, caps) if cap is Cap.DAY else caps.day_usd)
    return None if usd is None else nano_allowed(usd)


def standing_of(
    connection: sqlite3.Connection, caps: SpendCaps, scope: Scope
) -> CapStanding | None:
    """Return where a cap stands; None: there is no such cap."""
    limit = limit_of(connection, caps, scope.cap)
    if limit is None:
        return None
    found = total(connection, scope)
    left = limit - found.spent - found.reserved
    is_stopped = scope.cap is not Cap.CALL and (left <= 0 or left < found.wanted)
    is_warned = found.spent >= limit * caps.soft_frac
    return CapStanding(
        cap=scope.cap,
        name=scope.name,
        cap_usd=usd_of(limit),
        spent_usd=usd_of(found.spent),
        reserved_usd=usd_of(found.reserved),
        denied=found.denied,
        is_warned=is_warned,
        is_stopped=is_stopped,
        text=_sentence(scope, limit, found, is_stopped=is_stopped, is_warned=is_warned),
    )


def _sentence(scope: Scope, limit: int, found: Total, *, is_stopped: bool, is_warned: bool) -> str:
    subject, cap = subject_of(scope.cap, scope.name), usd_text(usd_of(limit))
    if scope.cap is Cap.CALL:
        over = f"; {found.denied} would have cost more" if found.denied else ""
        return f"{subject} is {cap} USD{over}"
    spent, held = usd_text(usd_of(found.spent)), usd_text(usd_of(found.reserved))
    fact = f"{subject} is {cap} USD, {spent} are spent and {held} are reserved"
    if is_stopped:
        which = f"calls of {usd_text(usd_of(found.wanted))} USD" if found.wanted else "calls"
        return f"{fact}: {which} are refused, and the rules answer"
    return f"{fact}: {'most of it is gone' if is_warned else 'calls are made'}"


class Watch:
    """Sees which caps are reached in a transaction, and keeps what people are to be told."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._notices: list[Notice] = []

    def take(self) -> tuple[Notice, ...]:
        """Return what came up since this was asked last."""
        taken, self._notices = tuple(self._notices), []
        return taken

    def add(self, notice: Notice) -> None:
        """Tell people in any case."""
        self._notices.append(notice)

    def look(self, scope: Scope, day: date, caps: SpendCaps) -> None:
        """See whether a cap is reached, or nearly."""
        limit = limit_of(self._connection, caps, scope.cap)
        if limit is None:
            return
        spent = total(self._connection, scope).spent
        if spent < limit * caps.soft_frac:
            return
        is_over = spent >= limit
        subject = subject_of(scope.cap, scope.name)
        fact = f"{usd_text(usd_of(spent))} USD of {usd_text(usd_of(limit))} are spent"
        then = "the rules answer instead of models" if is_over else "calls stop at the cap"
        kind = NoticeKind.STOP if is_over else NoticeKind.SOFT
        self.tell(kind, scope, day, f"{subject}: {fact}; {then}")

    def tell(self, kind: NoticeKind, scope: Scope, day: date, text: str) -> None:
        """Tell people, once a day for each cap; iterations share one."""
        name = "" if scope.cap is Cap.ITERATION else scope.name
        done = self._connection.execute(
            "INSERT OR IGNORE INTO told (day, kind, cap, name) VALUES (?, ?, ?, ?)",
            (day.isoformat(), kind, scope.cap, name),
        )
        if done.rowcount:
            self._notices.append(Notice(kind=kind, cap=scope.cap, name=name, day=day, text=text))
