"""The money of calls, inside a transaction that somebody else begins and ends.

A call's row and the totals it is counted in change together. Money moves from reserved to spent
once; a call that was charged its reservation because nobody heard its end is put right when
somebody does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.llm.spend import totals
from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps, subject_of
from roboinvest.runtime.llm.spend.money import (
    MOST_USD,
    nano_charged,
    usd_of,
    usd_text,
)
from roboinvest.runtime.llm.spend.totals import Scope, Watch
from roboinvest.runtime.llm.spend.values import (
    CallFacts,
    CallState,
    Denied,
    Notice,
    NoticeKind,
    Reserved,
    Spent,
)

NEXT_STATES: Final[Mapping[CallState, frozenset[CallState]]] = {
    CallState.RESERVED: frozenset({CallState.SETTLED, CallState.CUT, CallState.RELEASED}),
    CallState.CUT: frozenset({CallState.SETTLED, CallState.RELEASED}),
    CallState.SETTLED: frozenset(),
    CallState.RELEASED: frozenset(),
}
_MOST_TOKENS: Final = 10**9  # of one call: a server that counts more is not believed

_INSERT_CALL: Final = """
    INSERT INTO calls (call_id, ask_id, at, day, agent, task, about, model, purpose, reserved,
                       state)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'reserved')
"""
_READ_CALL: Final = """
    SELECT call_id, ask_id, day, agent, about, model, reserved, state, charged FROM calls
    WHERE call_id = ?
"""
_END_CALL: Final = """
    UPDATE calls SET state = ?, charged = ?, is_estimated = ?, input_tokens = ?, cached_tokens = ?,
                     output_tokens = ?, latency_ms = ?, failure = ?, ended_at = ?
    WHERE call_id = ?
"""


@dataclass(frozen=True, slots=True)
class _Call:
    """The row of a call, as far as money goes; in nano-USD."""

    call_id: str
    ask_id: str
    day: date
    agent: str
    about: str
    model: str
    reserved: int
    state: CallState
    charged: int

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return totals.scopes_of(self.day, self.agent, self.about or self.ask_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """What a call's row becomes."""

    state: CallState
    charged: int  # nano-USD
    is_estimated: bool = False
    counts: tuple[int | None, int | None, int | None] = (None, None, None)  # tokens
    latency_ms: float | None = None
    failure: str | None = None


class Calls:
    """What can happen to the money of calls."""

    def __init__(self, connection: sqlite3.Connection, watch: Watch) -> None:
        self._connection = connection
        self._watch = watch

    def reserve(self, call: CallFacts, day: date, caps: SpendCaps) -> Reserved | Denied:
        """Hold the money of a call, or say which cap has no room; asked again it is a read."""
        wanted = nano_charged(call.reserved_usd)
        known = self._known(call.call_id)
        if known is not None:
            self._require_same(known, call, wanted)
            return Reserved(call_id=call.call_id)
        scopes = totals.scopes_of(day, call.agent, call.about or call.ask_id)
        for scope in (totals.call_scope(day), *scopes):
            denied = self._denied(scope, wanted, day, caps)
            if denied is not None:
                return denied
        self._connection.execute(
            _INSERT_CALL,
            (
                *(call.call_id, call.ask_id, call.at.isoformat(), day.isoformat()),
                *(call.agent, call.task, call.about, call.model, call.purpose, wanted),
            ),
        )
        for scope in scopes:
            totals.add(self._connection, scope, 0, wanted)
        return Reserved(call_id=call.call_id)

    def settle(self, call_id: str, spent: Spent, at: datetime, caps: SpendCaps) -> Decimal:
        """Charge a call what it cost; return that in USD."""
        call = self._known(call_id)
        if call is None:
            raise BadInput(f"no call {call_id} was reserved; nothing was charged")
        ending = _ending_of(call, spent)
        if ending.state not in NEXT_STATES[call.state]:
            raise Refused(
                f"the call {call_id} is {call.state} at {usd_text(usd_of(call.charged))} USD "
                "already; nothing was changed"
            )
        self._end(call, ending, at, caps)
        return usd_of(ending.charged)

    def cut(self, call_id: str, reason: str, at: datetime, caps: SpendCaps) -> bool:
        """Charge a call that nobody heard the end of all that was reserved for it.

        Returns False, and changes nothing, where its end is known, or nothing was reserved.
        """
        call = self._known(call_id)
        if call is None or call.state is not CallState.RESERVED:
            return False
        charged = call.reserved
        ending = _Ending(state=CallState.CUT, charged=charged, is_estimated=True, failure=reason)
        self._end(call, ending, at, caps)
        return True

    def release(self, call_id: str, reason: str, at: datetime, caps: SpendCaps) -> bool:
        """Let go of the money of a call that was certainly not billed.

        Returns False, and changes nothing, where it was settled, or nothing is held.
        """
        call = self._known(call_id)
        if call is None or CallState.RELEASED not in NEXT_STATES[call.state]:
            return False
        ending = _Ending(state=CallState.RELEASED, charged=0, failure=reason)
        self._end(call, ending, at, caps)
        return True

    def cut_all(self, reason: str, at: datetime, caps: SpendCaps) -> int:
        """Charge every call that is under way; return how many there were."""
        rows = self._connection.execute("SELECT call_id FROM calls WHERE state = 'reserved'")
        return sum(self.cut(name, reason, at, caps) for (name,) in rows.fetchall())

    def _known(self, call_id: str) -> _Call | None:
        row = self._connection.execute(_READ_CALL, (call_id,)).fetchone()
        if row is None:
            return None
        name, ask_id, day, agent, about, model, reserved, state, charged = row
        return _Call(
            *(name, ask_id, date.fromisoformat(day), agent, about, model, reserved),
            *(CallState(state), charged),
        )

    def _require_same(self, known: _Call, call: CallFacts, wanted: int) -> None:
        facts = (known.ask_id, known.agent, known.about, known.model, known.reserved)
        if known.state is not CallState.RESERVED or facts != (
            *(call.ask_id, call.agent, call.about, call.model, wanted),
        ):
            raise Refused(
                f"a call {call.call_id} was reserved before, and is {known.state}; "
                "give each attempt a name of its own"
            )

    def _denied(self, scope: Scope, wanted: int, day: date, caps: SpendCaps) -> Denied | None:
        limit = totals.limit_of(self._connection, caps, scope.cap)
        if limit is None:
            return None
        found = totals.total(self._connection, scope)
        if found.spent + found.reserved + wanted <= limit:
            return None
        totals.deny(self._connection, scope, wanted)
        subject, cap = subject_of(scope.cap, scope.name), usd_text(usd_of(limit))
        held = (
            ""
            if scope.cap is Cap.CALL
            else (
                f", {usd_text(usd_of(found.spent))} are spent and "
                f"{usd_text(usd_of(found.reserved))} reserved"
            )
        )
        text = f"{subject} is {cap} USD{held}, and a call of {usd_text(usd_of(wanted))} has no room"
        self._watch.tell(NoticeKind.STOP, scope, day, f"{text}; the rules answer instead")
        return Denied(
            cap=scope.cap,
            name=scope.name,
            cap_usd=usd_of(limit),
            spent_usd=usd_of(found.spent),
            reserved_usd=usd_of(found.reserved),
            wanted_usd=usd_of(wanted),
            text=text,
        )

    def _end(self, call: _Call, ending: _Ending, at: datetime, caps: SpendCaps) -> None:
        """Bring a call's row and all its totals to its end."""
        self._connection.execute(
            _END_CALL,
            (
                *(ending.state, ending.charged, ending.is_estimated, *ending.counts),
                *(ending.latency_ms, ending.failure, at.isoformat(), call.call_id),
            ),
        )
        held = call.reserved if call.state is CallState.RESERVED else 0
        for scope in call.scopes:
            totals.add(self._connection, scope, ending.charged - call.charged, -held)
            self._watch.look(scope, call.day, caps)
        if ending.charged > call.reserved:
            self._watch.add(_overrun(call, ending))


def _ending_of(call: _Call, spent: Spent) -> _Ending:
    """Return what a call came to: as counted, all that was reserved, or nothing."""
    usage, cost = spent.usage, spent.cost_usd
    counts = (
        None
        if usage is None
        else (
            usage.input_tokens,
            usage.cached_tokens,
            usage.output_tokens,
        )
    )
    if counts is not None and not all(0 <= count <= _MOST_TOKENS for count in counts):
        counts = cost = None
    if cost is not None and cost > MOST_USD:
        counts = cost = None
    charged = call.reserved if cost is None else nano_charged(cost)
    is_free = counts is None and not charged and spent.failure is not None
    return _Ending(
        state=CallState.RELEASED if is_free else CallState.SETTLED,
        charged=charged,
        is_estimated=counts is None and not is_free,
        counts=counts or (None, None, None),
        latency_ms=spent.latency_ms,
        failure=spent.failure,
    )


def _overrun(call: _Call, ending: _Ending) -> Notice:
    charged, reserved = usd_text(usd_of(ending.charged)), usd_text(usd_of(call.reserved))
    return Notice(
        kind=NoticeKind.OVERRUN,
        cap=Cap.CALL,
        name=call.model,
        day=call.day,
        text=(
            f"a call of {call.agent} to {call.model} cost {charged} USD, and {reserved} were "
            "reserved; all of it is charged: compare the provider's count with the prompt"
        ),
    )
