"""What can be asked: a tick, an instant, the last tick, a decision, a symbol, an order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from roboinvest.core.errors import BadInput
from roboinvest.core.journal import OUR_PREFIX
from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE
from roboinvest.trading.explain.plain import one_line

TICK_FORMAT: Final = "%Y%m%dT%H%M%SZ"
LAST: Final = "last"
_TICK: Final = re.compile(r"\d{8}T\d{6}Z")
_SYMBOL: Final = re.compile(r"[A-Z][A-Z0-9.\-]{0,14}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN: Final = 80  # characters of what was typed, in a refusal
_FORMS: Final = (
    "ask for a tick (20110103T143100Z), a time (2011-01-03T09:31), last, TICK/SYMBOL, a symbol, "
    "or a client order id (ri1-...)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTick:
    """A tick by its name."""

    tick_id: str
    at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTime:
    """The tick at or before an instant."""

    at: datetime  # UTC
    notes: tuple[str, ...] = ()  # what was assumed
    is_day: bool = False  # a whole day was named: its last tick is meant


@dataclass(frozen=True, slots=True)
class AskedLast:
    """The last tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSymbol:
    """The last decision on a symbol that was not HOLD, or its last one."""

    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOrder:
    """An order, any leg."""

    client_order_id: str


AskedPlace = AskedTick | AskedTime | AskedLast


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDecision:
    """One symbol at one tick."""

    place: AskedPlace
    symbol: str


Question = AskedPlace | AskedDecision | AskedSymbol | AskedOrder


def question_of(what: str) -> Question:
    """Return what is asked.

    Raises:
        BadInput: it is none of the forms.
    """
    text = what.strip()
    if text.startswith(OUR_PREFIX):
        return AskedOrder(client_order_id=text)
    place, slash, symbol = text.partition("/")
    if slash:
        return _decision(text, place, symbol)
    found = _place(text)
    if found is not None:
        return found
    if _SYMBOL.fullmatch(text.upper()):
        return AskedSymbol(symbol=text.upper())
    raise _not_understood(text)


def _decision(text: str, place: str, symbol: str) -> AskedDecision:
    """Return TICK/SYMBOL; a memory's id, TICK/AGENT/SYMBOL, names the same."""
    found, ticker = _place(place), symbol.rpartition("/")[2].strip().upper()
    if found is None or not _SYMBOL.fullmatch(ticker):
        raise _not_understood(text)
    return AskedDecision(place=found, symbol=ticker)


def _place(text: str) -> AskedPlace | None:
    text = text.strip()
    if text.lower() == LAST:
        return AskedLast()
    if _TICK.fullmatch(text.upper()):
        return _tick(text.upper())
    return _time(text)


def _tick(name: str) -> AskedTick:
    try:
        at = datetime.strptime(name, TICK_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(f"{name} is no instant, so there is no such tick; {_FORMS}") from error
    return AskedTick(tick_id=name, at=at)


def _time(text: str) -> AskedTime | None:
    """Return an instant; where no zone is given it is New York's."""
    try:
        if _DAY.fullmatch(text):
            last = datetime.combine(date.fromisoformat(text), time.max, ZoneInfo(EXCHANGE_ZONE))
            return AskedTime(at=last.astimezone(UTC), is_day=True)
        at = datetime.fromisoformat(text)
        notes: tuple[str, ...] = ()
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(EXCHANGE_ZONE))
            notes = (
                f"no time zone was given: {one_line(text)} was read as {EXCHANGE_ZONE} "
                f"({at:%Z}), which is {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            )
        return AskedTime(at=at.astimezone(UTC), notes=notes)
    except ValueError:
        return None
    except OverflowError as error:
        raise BadInput(f"{one_line(text)[:_SHOWN]} lies outside of time; {_FORMS}") from error


def _not_understood(text: str) -> BadInput:
    shown = one_line(text)[:_SHOWN]
    return BadInput(f"{shown!r} is nothing that can be explained; {_FORMS}")
