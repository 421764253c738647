"""From a question to the tick, the symbols and the order that it is about."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, assert_never
from zoneinfo import ZoneInfo

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.journal import JournalEntry
from roboinvest.core.orders import Action, Order
from roboinvest.core.records import TickRecord
from roboinvest.runtime.configuration.policies import EXCHANGE_HOURS, EXCHANGE_ZONE
from roboinvest.trading.explain.body import Body, body_of
from roboinvest.trading.explain.plain import one_line
from roboinvest.trading.explain.questions import (
    AskedDecision,
    AskedLast,
    AskedOrder,
    AskedPlace,
    AskedSymbol,
    AskedTick,
    AskedTime,
    Question,
)
from roboinvest.trading.explain.sources import Records, StoredFacts
from roboinvest.trading.explain.story import Kind
from roboinvest.trading.explain.words import utc

if TYPE_CHECKING:  # what it needs costs a tenth of a second to load
    from roboinvest.core.ports import Calendar

_PAGE: Final = 64  # ticks with a BUY or a SELL that are looked at together
_NEAR: Final = 1_000  # orders among which one with a like name is sought
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a question is about."""

    kind: Kind
    record: TickRecord | None  # with its body; None: nothing is stored of an order's tick
    body: Body
    symbols: tuple[str, ...] | None = None  # None: all of the tick
    order: Order | None = None
    intent: JournalEntry | None = None  # of an order that the store never saw
    lead: str = ""  # a sentence that goes before the answer
    notes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


class Finder:
    """Looks up what is asked about."""

    def __init__(
        self, store: StoredFacts, records: Records, calendar: Callable[[], Calendar]
    ) -> None:
        """Take the sources; `calendar` is made only where a gap between ticks has to be told."""
        self._store = store
        self._records = records
        self._calendar = calendar

    async def find(self, question: Question) -> Found:
        """Return what is asked about.

        Raises:
            BadInput: there is no such thing; the sentence names the nearest.
            TryLater: there is nothing at all yet.
        """
        match question:
            case AskedTick() | AskedTime() | AskedLast():
                return await self._place(question)
            case AskedDecision():
                return await self._decision(question)
            case AskedSymbol():
                return await self._symbol(question.symbol)
            case AskedOrder():
                return await self._order(question.client_order_id)
            case _:
                assert_never(question)

    async def _place(self, place: AskedPlace) -> Found:
        match place:
            case AskedTick():
                return await self._full("tick", await self._named(place))
            case AskedLast():
                return await self._full("last", await self._last())
            case AskedTime():
                return await self._at(place)
            case _:
                assert_never(place)

    async def _named(self, asked: AskedTick) -> TickRecord:
        found = await self._store.tick(asked.tick_id)
        if found is not None:
            return found
        around = (
            await self._store.tick_before(asked.at),
            await self._store.tick_after(asked.at),
        )
        near = [record for record in around if record is not None]
        if not near:
            raise _nothing_yet()
        nearest = min(near, key=lambda record: abs(record.at - asked.at))
        raise BadInput(f"there is no tick {asked.tick_id}; the nearest is {nearest.tick_id}")

    async def _last(self) -> TickRecord:
        found = next(iter(await self._store.recent_ticks(1)), None)
        if found is None:
            raise _nothing_yet()
        return found

    async def _at(self, asked: AskedTime) -> Found:
        record = await self._store.tick_before(asked.at)
        after = await self._store.tick_after(asked.at)
        if record is None:
            if after is None:
                raise _nothing_yet()
            raise BadInput(
                f"there is no tick at or before {utc(asked.at)}; the first is {after.tick_id}"
            )
        found = await self._full("time", record)
        if asked.is_day:
            lead = self._day(asked.at, record)
            notes = () if lead else ("a day was named: this is its last tick",)
            return replace(found, lead=lead, notes=notes)
        bar = timedelta(minutes=found.body.bar_minutes)
        lead = self._between(asked.at, record, after, bar)
        return replace(found, lead=lead, notes=asked.notes)

    def _day(self, at: datetime, record: TickRecord) -> str:
        """Return a sentence where no tick ran on the day that ends at `at`."""
        day = at.astimezone(ZoneInfo(EXCHANGE_ZONE)).date()
        if record.session_day == day:
            return ""
        closed = not self._calendar().sessions(day, day)
        why = "the market was closed" if closed else "the daemon was not running, or had no data"
        return f"No tick ran on {day}: {why}; this is the one before it."

    def _between(
        self, at: datetime, record: TickRecord, after: TickRecord | None, bar: timedelta
    ) -> str:
        """Return a sentence where no tick of its own belongs to an instant."""
        if at - record.at < bar:
            return ""
        why = self._closed(at)
        if why is not None:
            return f"No tick ran at {utc(at)}, {why}; this is the one before it."
        if after is None:
            return f"Nothing was decided at {utc(at)}: this is the last tick so far."
        if after.at - at <= bar:
            return f"No tick had run at {utc(at)} yet; this is the one before it."
        gap = f"between {utc(record.at)} and {utc(after.at)}"
        return f"No tick ran {gap}: the daemon was not running, or had no data."

    def _closed(self, at: datetime) -> str | None:
        """Return why the market was closed; None where it was open.

        The calendar is asked last: it takes a second to load, and the clock answers most times.
        """
        local = at.astimezone(ZoneInfo(EXCHANGE_ZONE))
        opens, closes = EXCHANGE_HOURS
        if local.weekday() >= _SATURDAY:
            return f"a {local:%A}"
        if not opens <= local.time() < closes:
            return f"the market was closed ({local:%H:%M} in New York)"
        session = next(iter(self._calendar().sessions(local.date(), local.date())), None)
        if session is None:
            return f"the market was closed ({local.date()} is a holiday)"
        return None if session.holds(at) else "the market had closed early"

    async def _decision(self, asked: AskedDecision) -> Found:
        found = await self._place(asked.place)
        known = [decision.symbol for decision in found.body.decisions]
        if known and asked.symbol not in known:
            tick_id = found.record.tick_id if found.record else ""
            raise BadInput(
                f"tick {tick_id} decided nothing about {asked.symbol}; it looked at "
                f"{', '.join(known)}"
            )
        return replace(found, kind="decision", symbols=(asked.symbol,))

    async def _symbol(self, symbol: str) -> Found:
        """Return the last decision that was not HOLD, or the last one."""
        before: datetime | None = None
        while page := await self._store.active_ticks(_PAGE, before=before):
            for record in page:
                body, _ = body_of(record.body)
                decision = body.decision(symbol)
                if decision is not None and decision.action != Action.HOLD:
                    return Found(kind="symbol", record=record, body=body, symbols=(symbol,))
            before = page[-1].at
        found = await self._full("symbol", await self._last())
        known = [decision.symbol for decision in found.body.decisions]
        if known and symbol not in known:
            raise BadInput(
                f"nothing was ever decided about {symbol}; the last tick looked at "
                f"{', '.join(known)}"
            )
        notes = (f"{symbol} was never bought or sold: this is the last decision on it",)
        return replace(found, symbols=(symbol,), notes=notes)

    async def _order(self, name: str) -> Found:
        order = await self._store.order(name)
        if order is not None:
            found = await self._of_tick(order.tick_id)
            return replace(found, symbols=(order.symbol,), order=order)
        for entry in await self._records.intents("", [name]):
            found = await self._of_tick(entry.intent.tick_id)
            return replace(found, symbols=(entry.intent.symbol,), intent=entry)
        names = [order.client_order_id for order in await self._store.orders(_NEAR)]
        nearest = next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.0)), None)
        if nearest is None:
            raise BadInput(f"there is no order {one_line(name)}; none was sent yet")
        raise BadInput(f"there is no order {one_line(name)}; the nearest is {nearest}")

    async def _of_tick(self, tick_id: str) -> Found:
        record = await self._store.tick(tick_id)
        if record is None:
            gap = f"its tick {tick_id} is not stored: it was cut off before its end"
            return Found(kind="order", record=None, body=body_of(None)[0], gaps=(gap,))
        return await self._full("order", record)

    async def _full(self, kind: Kind, record: TickRecord) -> Found:
        """Return a tick with all that is stored of it."""
        whole = record if record.body else await self._store.tick(record.tick_id) or record
        body, fault = body_of(whole.body)
        return Found(kind=kind, record=whole, body=body, gaps=(fault,) if fault else ())


def _nothing_yet() -> TryLater:
    return TryLater("no tick was committed yet; wait for the first one, or see `roboinvest status`")
