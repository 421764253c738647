"""Makes our books agree with the broker's: orders, then executions, then positions.

A report that fails is no report, never an empty one. A difference in positions is believed once it
stays the same for a while, because positions and executions are two reports of two instants. Then
no new risk is taken and a person is told; a correction is never sent. Running it twice changes
nothing more than running it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.brokers.desk.lookups import LookUps
from roboinvest.brokers.desk.opening import OpeningBalances
from roboinvest.brokers.desk.parts import DeskParts
from roboinvest.brokers.desk.reports import ReportIntake, executions_since, orders_since
from roboinvest.brokers.desk.splits import Splits
from roboinvest.brokers.paper_book import DUST
from roboinvest.core.errors import TryLater
from roboinvest.core.journal import JournalState
from roboinvest.core.venue import VenuePosition

REPORTS_DOUBT: Final = "reports"
POSITIONS_DOUBT: Final = "positions"
_SIGHTINGS: Final = 3  # two may be two different delays that look alike
_LIVE: Final = frozenset(JournalState) - {
    JournalState.REJECTED,
    JournalState.EXPIRED,
    JournalState.CLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What one comparison found."""

    agrees: bool  # every report was read, and positions are equal
    booked: int  # executions that were new
    differences: Mapping[str, Decimal]  # symbol -> shares the broker has beyond our books
    reason: str  # why it does not agree; "" where it does


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspect:
    difference: Decimal
    since: float  # monotonic
    sightings: int = 1


class Reconciling:
    """Compares, and remembers what it suspects."""

    def __init__(
        self, parts: DeskParts, lookups: LookUps, intake: ReportIntake, splits: Splits
    ) -> None:
        self._parts = parts
        self._splits = splits
        self._lookups = lookups
        self._intake = intake
        self._opening = OpeningBalances(parts)
        self._lock = asyncio.Lock()
        self._suspects: dict[str, _Suspect] = {}
        self._believed: dict[str, Decimal] = {}
        self._is_clear = False  # that nothing is believed was told, to this run at least
        self._agreed_since: float | None = None
        self._last_list_at: datetime | None = None
        self._done_at: float | None = None
        self.last: Reconciliation | None = None

    async def begin(self) -> None:
        """Read the journal and put the barrier down.

        Raises:
            TryLater: the journal cannot be read.
        """
        parts = self._parts
        parts.standing.close()
        booked = await parts.journal.booked()
        for entry in await parts.journal.entries(_LIVE):
            parts.book.put(entry)
        parts.book.take_booked(booked)
        await self._splits.begin()
        await self._opening.begin(booked)
        self._lookups.begin()
        self._intake.begin()
        self._suspects.clear()
        self._last_list_at = self._done_at = None

    def is_fresh(self) -> bool:
        """Return whether the last comparison agreed and is young."""
        if self.last is None or not self.last.agrees or self._done_at is None:
            return False
        return self._parts.clock.monotonic() - self._done_at < self._parts.policy.fresh_s

    def doubts(self) -> bool:
        """Return whether it should be repeated soon."""
        return self.last is None or not self.last.agrees or bool(self._believed)

    async def run(self) -> Reconciliation:
        """Compare once; one comparison at a time."""
        async with self._lock:
            try:
                found = await self._compare()
            except TryLater as error:
                found = self._failed(str(error))
            self.last, self._done_at = found, self._parts.clock.monotonic()
            return found

    async def pull(self, our_ids: frozenset[str]) -> None:
        """Fetch executions until those of some orders are complete, as far as they are shown.

        Raises:
            TryLater: the broker is away.
        """
        parts = self._parts
        if any(parts.book.missing(our_id) for our_id in our_ids):
            since = executions_since(parts, widely=False)
            listed = await parts.asked(parts.venue.executions(since), "executions")
            await self._intake.take_executions(listed)

    async def _compare(self) -> Reconciliation:
        parts = self._parts
        began = parts.clock.now()
        since = orders_since(parts, self._last_list_at)
        listed = await parts.asked(parts.venue.orders(since), "order list")
        await self._intake.take_orders(listed)
        await self._intake.find_absent(listed)
        self._last_list_at = began
        await self._lookups.resolve()
        since = executions_since(parts, widely=bool(self._suspects or self._believed))
        executions = await parts.asked(parts.venue.executions(since), "executions")
        if self._opening.is_due:
            positions = await parts.asked(parts.venue.positions(), "positions")
            if not await self._opening.take(executions, positions):
                return self._open_question("what was held before the first start is being read")
        booked = await self._intake.take_executions(executions)
        await self._splits.apply()
        positions = await parts.asked(parts.venue.positions(), "positions")
        await parts.prove_journal()
        parts.standing.trust(REPORTS_DOUBT, "the broker's reports are read again")
        parts.reach.compared()
        return self._judge(self._differences(positions), booked)

    def _differences(self, positions: Sequence[VenuePosition]) -> dict[str, Decimal]:
        theirs: dict[str, Decimal] = {}
        for position in positions:
            theirs[position.symbol] = theirs.get(position.symbol, Decimal(0)) + position.qty
        book = self._parts.book
        ours = book.expected()
        gaps = {
            symbol: theirs.get(symbol, Decimal(0)) - ours.get(symbol, Decimal(0))
            for symbol in sorted({*theirs, *ours})
        }
        book.reported = theirs
        book.gaps = {symbol: gap for symbol, gap in gaps.items() if abs(gap) > DUST}
        return {symbol: gap for symbol, gap in book.gaps.items() if not book.is_fraction(symbol)}

    def _judge(self, gaps: dict[str, Decimal], booked: int) -> Reconciliation:
        now = self._parts.clock.monotonic()
        before = self._suspects
        self._suspects = {
            symbol: replace(before[symbol], sightings=before[symbol].sightings + 1)
            if symbol in before and before[symbol].difference == gap
            else _Suspect(difference=gap, since=now)
            for symbol, gap in gaps.items()
        }
        certain = {
            symbol: suspect.difference
            for symbol, suspect in self._suspects.items()
            if suspect.sightings >= _SIGHTINGS and self._has_lasted(symbol, suspect.since, now)
        }
        self._parts.book.certain = set(certain)
        if certain:
            self._believe(certain)
        elif not gaps:
            self._maybe_lift(now)
        if gaps:
            self._agreed_since = None
        return self._answer(gaps, booked)

    def _answer(self, gaps: dict[str, Decimal], booked: int) -> Reconciliation:
        reason = ""
        if gaps:
            reason = "; ".join(f"{s}: {gap:+} shares at the broker" for s, gap in gaps.items())
        elif self._intake.waits():
            reason = "an execution waits for its order to be named"
        elif not self._lookups.all_answered():
            reason = "an order is being looked up"
        standing = self._parts.standing
        if not standing.is_open:
            settled = self._lookups.all_answered() and not self._intake.waits()
            if settled and (not gaps or self._believed.keys() >= gaps.keys()):
                standing.open()
            else:
                standing.hold(f"comparing with the broker: {reason}")
        return Reconciliation(agrees=not reason, booked=booked, differences=gaps, reason=reason)

    def _believe(self, certain: dict[str, Decimal]) -> None:
        self._believed, self._is_clear = {**self._believed, **certain}, False
        gaps = ", ".join(f"{s} {gap:+}" for s, gap in sorted(self._believed.items()))
        self._parts.standing.doubt(
            POSITIONS_DOUBT,
            f"the broker's positions differ from our books ({gaps} shares); nothing is corrected "
            "by itself: compare by hand",
            alarm=True,
        )

    def _maybe_lift(self, now: float) -> None:
        if self._is_clear:
            return
        self._agreed_since = now if self._agreed_since is None else self._agreed_since
        if now - self._agreed_since >= self._parts.policy.confirm_s:
            self._believed, self._is_clear = {}, True
            self._parts.standing.proven(POSITIONS_DOUBT, "positions agree with the broker again")

    def _has_lasted(self, symbol: str, since: float, now: float) -> bool:
        """Return whether a difference has lasted too long for a report that lags behind.

        What was booked meanwhile may have moved both sides by the same, so that the difference is
        another one of the same size: its time begins with the last execution, up to a limit.
        """
        policy = self._parts.policy
        if now - since >= policy.excuse_s:
            return True
        since = max(since, self._parts.moved_at.get(symbol, since))
        return now - since >= self._patience_s(symbol)

    def _patience_s(self, symbol: str) -> float:
        """Return how long a difference may last before it is believed."""
        parts = self._parts
        excused = self._intake.waits() or any(
            entry.intent.symbol == symbol for entry in parts.book.unsettled()
        )
        excused = excused or any(
            order.symbol == symbol and parts.book.missing(order.client_order_id)
            for order in parts.book.orders()
        )
        return parts.policy.excuse_s if excused else parts.policy.confirm_s

    def _failed(self, why: str) -> Reconciliation:
        reason = f"the broker's reports cannot be read: {why}"
        standing = self._parts.standing
        if standing.is_open:
            standing.doubt(REPORTS_DOUBT, reason)
        return self._open_question(reason)

    def _open_question(self, reason: str) -> Reconciliation:
        if not self._parts.standing.is_open:
            self._parts.standing.hold(reason)
        return Reconciliation(agrees=False, booked=0, differences={}, reason=reason)
