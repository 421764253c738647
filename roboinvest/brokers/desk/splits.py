"""Splits of held symbols: what they change in our books, booked once as executions of their own.

The broker changes its shares overnight and reports no execution for it. The house hears of a split
with the first tick of its ex-date and puts its own lots on the new scale; here the split is noted
first, and then the fold of executions gets the missing shares, ours and others' apart, at price 0.
What is due is always computed from what was executed before the ex-date, so that a death between
the two, a tick that is repeated, or an execution that was reported late change nothing in the end.

Fractions stay in the fold. The broker pays cash for them, so that its report may be the whole
number next to the fold in a symbol that was split (see `OrderBook.is_fraction`).
Deliberately absent: orders of that symbol. The broker changes or ends those, and says so itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from roboinvest.brokers.desk.order_book import SPLIT, entry_id
from roboinvest.brokers.desk.parts import DeskParts
from roboinvest.brokers.paper_book import DUST
from roboinvest.core.journal import BookedExecution
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import Side
from roboinvest.core.venue import Execution

NOTE: Final = "split"
ZERO: Final = Decimal(0)
# Between the last trade of an exchange day (01:00 UTC) and the first of the next (08:00 UTC), in
# summer and in winter.
_DAY_BEGINS: Final = time(4, tzinfo=UTC)


class Splits:
    """Knows the splits of the journal, and sees to it that the fold has them."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts
        self._lock = asyncio.Lock()  # a tick and a comparison may come here at once

    async def begin(self) -> None:
        """Read which splits were noted.

        Raises:
            TryLater: the journal cannot be read.
        """
        known = self._parts.book.splits
        known.clear()
        for note in await self._parts.journal.notes(NOTE):
            day = date.fromisoformat(str(note.body["ex_date"]))
            known[str(note.body["symbol"]), _begins(day)] = Decimal(str(note.body["ratio"]))

    async def learn(self, actions: Iterable[CorporateAction]) -> None:
        """Note the splits among the actions, then book what they change.

        Raises:
            TryLater: the journal cannot be written; repeated, it goes on where it was.
        """
        known = self._parts.book.splits
        for action in actions:
            at = _begins(action.ex_date)
            if (
                action.kind is not ActionKind.SPLIT
                or known.get((action.symbol, at)) == action.ratio
            ):
                continue
            body = {
                "symbol": action.symbol,
                "ex_date": action.ex_date.isoformat(),
                "ratio": str(action.ratio),
            }
            await self._parts.journal.note(NOTE, at, body)
            known[action.symbol, at] = action.ratio
        await self.apply()

    async def apply(self) -> None:
        """Book what is due; nothing is written where nothing is.

        Raises:
            TryLater: the journal cannot be written.
        """
        async with self._lock:
            for (symbol, at), ratio in sorted(self._parts.book.splits.items()):
                # Both books in one call: the journal takes both or neither.
                both = (self._due(symbol, at, ratio, ours=ours) for ours in (True, False))
                await self._parts.take([due for due in both if due is not None])

    def _due(self, symbol: str, at: datetime, ratio: Decimal, *, ours: bool) -> Execution | None:
        trades = self._parts.book.trades.get(symbol, ())
        stem = f"{SPLIT}{symbol}-{at.date()}-{'ours' if ours else 'others'}"
        done = [b for b in trades if b.execution.execution_id.startswith(stem)]
        own = [b for b in trades if (b.owner is not None) == ours]
        held = _sum(b for b in own if b.execution.at < at)
        due = (held * (ratio - 1)).quantize(DUST) - _sum(done)
        if abs(due) <= DUST:
            return None
        name = f"{stem}-{len(done) + 1}" if done else stem
        return Execution(
            execution_id=name,
            venue_id=name,
            client_order_id=_some_owner([*own, *done]) if ours else "",
            symbol=symbol,
            side=Side.BUY if due > 0 else Side.SELL,
            qty=abs(due),
            price=ZERO,
            at=at,
        )


def _begins(ex_date: date) -> datetime:
    return datetime.combine(ex_date, _DAY_BEGINS)


def _sum(booked: Iterable[BookedExecution]) -> Decimal:
    signed = (b.execution.qty * b.execution.side.sign for b in booked)
    return sum(signed, ZERO)


def _some_owner(booked: Sequence[BookedExecution]) -> str:
    """Return an intent of ours in this symbol: its name tells the journal whose shares they are."""
    return next((entry_id(b.owner) for b in reversed(booked) if b.owner is not None), "")
