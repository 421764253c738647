"""Opening balances: what the account held before we first looked, booked once as others' shares.

They are kept as executions that nobody here owns, so that one fold gives what the broker should
hold. They are taken only when two looks some seconds apart saw the same, and only as long as
nothing was ever sent: until then every share in the account is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from roboinvest.brokers.desk.parts import DeskParts
from roboinvest.brokers.paper_book import DUST
from roboinvest.core.journal import BookedExecution, JournalState
from roboinvest.core.orders import Side
from roboinvest.core.venue import Execution, VenuePosition

OPENING: Final = "opening"  # begins the execution ids; no broker's order has this name
ZERO: Final = Decimal(0)
_Seen = tuple[frozenset[str], tuple[tuple[str, Decimal], ...]]


class OpeningBalances:
    """Takes the balances of a first start."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts
        self._seen: tuple[_Seen, float] | None = None
        self.is_due = False

    async def begin(self, booked: Iterable[BookedExecution]) -> None:
        """See in the journal whether they are still to be taken."""
        self._seen, self.is_due = None, False
        if any(b.execution.execution_id.startswith(f"{OPENING}-") for b in booked):
            return
        entries = await self._parts.journal.entries(frozenset(JournalState))
        self.is_due = not any(entry.sends for entry in entries)

    async def take(
        self, executions: Sequence[Execution], positions: Sequence[VenuePosition]
    ) -> bool:
        """Book the balances if the account stood still since the last look; return whether."""
        parts, now = self._parts, self._parts.clock.monotonic()
        held = tuple(sorted((p.symbol, p.qty) for p in positions))
        known = parts.book.taken.union(e.execution_id for e in executions)
        seen: _Seen = (frozenset(known), held)
        if self._seen is None or self._seen[0] != seen:
            self._seen = (seen, now)
            return False
        patience_s = parts.policy.opening_held_s if held else parts.policy.opening_s
        if now - self._seen[1] < patience_s:
            return False
        await self._book(executions, positions)
        self.is_due = False
        return True

    async def _book(
        self, executions: Sequence[Execution], positions: Sequence[VenuePosition]
    ) -> None:
        parts, at = self._parts, self._parts.clock.now()
        new = [e for e in executions if e.execution_id not in parts.book.taken]
        told = parts.book.expected()  # what a stream may have told before
        for execution in new:
            signed = execution.qty * execution.side.sign
            told[execution.symbol] = told.get(execution.symbol, ZERO) + signed
        prices = {p.symbol: p.avg_price for p in positions}
        held = {p.symbol: p.qty for p in positions}
        opening: list[Execution] = []
        for symbol in sorted({*held, *told}):
            qty = held.get(symbol, ZERO) - told.get(symbol, ZERO)
            if abs(qty) > DUST:
                opening.append(
                    Execution(
                        execution_id=f"{OPENING}-{symbol}",
                        venue_id=OPENING,
                        client_order_id="",
                        symbol=symbol,
                        side=Side.BUY if qty > 0 else Side.SELL,
                        qty=abs(qty),
                        price=prices.get(symbol, ZERO),
                        at=at,
                    )
                )
        if opening:
            balances = {e.symbol: f"{e.qty * e.side.sign}" for e in opening}
            await parts.journal.note("opening_balances", at, balances)
        await parts.take([*opening, *new])
