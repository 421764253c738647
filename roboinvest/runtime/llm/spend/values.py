"""What the ledger is told and what it tells: calls, asks, caps and where they stand.

Money is `Decimal` USD here and whole nano-USD in the file. Texts come redacted; halves of
characters, which JSON may carry and a file cannot, become question marks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from roboinvest.runtime.journal.values import writable
from roboinvest.runtime.llm.provider import Usage
from roboinvest.runtime.llm.spend.caps import Cap

FactsT = TypeVar("FactsT")


class CallState(StrEnum):
    """How far the money of a call came."""

    RESERVED = "reserved"  # the request is leaving, or left before a crash
    SETTLED = "settled"  # the cost is known, or taken to be what was reserved
    CUT = "cut"  # nobody heard the end of it: charged what was reserved, until the cost is known
    RELEASED = "released"  # certainly not billed


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """One request that is about to be sent."""

    call_id: str  # a new one for each attempt
    ask_id: str
    at: datetime  # UTC; its exchange day pays
    agent: str
    task: str
    about: str  # the tick or iteration; "": the ask is one by itself
    model: str
    purpose: str  # "answer", "repair", "look-up"
    reserved_usd: Decimal  # the most that it can cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The call may be sent."""

    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The call would pass a cap; nothing was reserved."""

    cap: Cap
    name: str  # the agent or the iteration; "" for the others
    cap_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal  # by calls that are under way
    wanted_usd: Decimal
    text: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What came of a call."""

    cost_usd: Decimal | None  # None: all that was reserved
    usage: Usage | None  # None: nobody counted, so the cost is an estimate
    latency_ms: float
    failure: str | None = None  # why there is no reply
    prompt: str = ""  # what was sent, redacted
    reply: str = ""  # what was said, redacted


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFacts:
    """One ask that has ended, whoever answered it."""

    ask_id: str
    at: datetime  # UTC
    agent: str
    task: str
    about: str
    prompt_name: str
    prompt_version: str
    inputs_digest: str
    inputs: str  # JSON, redacted
    source: str  # as in `Answer`
    reason: str
    output: str  # JSON, redacted
    latency_ms: float
    attempts: int  # calls that were sent
    cost_usd: Decimal  # as the caller counted it
    looked_up: tuple[str, ...] = ()  # tools that were called


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What is known of a call."""

    facts: CallFacts
    day: date  # exchange day that pays
    state: CallState
    charged_usd: Decimal  # 0 while it is reserved
    is_estimated: bool
    usage: Usage | None
    latency_ms: float | None
    failure: str | None
    ended_at: datetime | None
    prompt: str | None  # None: not ended, or dropped since
    reply: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRecord:
    """What is known of an ask; its inputs are "" once they were dropped."""

    facts: AskFacts
    outcome: str | None  # what became of its answer, where that was linked
    calls: tuple[CallRecord, ...]  # in the order they were reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCapMove:
    """A change of the day's cap."""

    at: datetime  # UTC
    before_usd: Decimal | None  # None: there was none before
    after_usd: Decimal
    by: str  # "owner": the settings; "budget": the trading result
    reason: str


class NoticeKind(StrEnum):
    """What people are told."""

    SOFT = "soft"  # a cap is nearly reached
    STOP = "stop"  # a cap is reached, or refused a call
    OVERRUN = "overrun"  # a call cost more than was reserved for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell people: once for each kind, cap and exchange day; an overrun each time."""

    kind: NoticeKind
    cap: Cap
    name: str  # the agent; "" for the others
    day: date
    text: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CapStanding:
    """Where a cap stands now."""

    cap: Cap
    name: str  # the agent or the iteration; "" for the others
    cap_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal  # by calls that are under way
    denied: int  # calls that it refused
    is_warned: bool  # its soft share is spent
    is_stopped: bool  # nothing is left, or less than the last call that it refused would take
    text: str  # one sentence

    @property
    def left_usd(self) -> Decimal:
        """Return what may still be reserved; less than zero when the cap was moved below."""
        return self.cap_usd - self.spent_usd - self.reserved_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the money stands."""

    day: date  # exchange day
    caps: tuple[CapStanding, ...]  # those there are, from the inside out
    moves: tuple[DayCapMove, ...]  # of the day's cap, newest first

    @property
    def stopped(self) -> tuple[CapStanding, ...]:
        """Return the caps that stop calls now."""
        return tuple(cap for cap in self.caps if cap.is_stopped)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLine:
    """What one agent, task, model or day came to."""

    name: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: Decimal  # charged
    reserved_usd: Decimal  # by calls that are under way
    settled_usd: Decimal  # of the cost: as the provider counted
    estimated_usd: Decimal  # of the cost: all that was reserved, because nobody counted
    cut_usd: Decimal  # of the cost: all that was reserved, because the call was cut off
    released: int  # calls that were certainly not billed


def cleaned(facts: FactsT) -> FactsT:
    """Return a value with every text of it as a file can hold it."""
    changes: dict[str, Any] = {}
    for field in fields(facts):  # type: ignore[arg-type]
        value = getattr(facts, field.name)
        if isinstance(value, str) and not value.isascii():
            changes[field.name] = writable(value)
    return replace(facts, **changes) if changes else facts  # type: ignore[type-var]
