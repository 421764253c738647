"""What the kill switch writes down before it acts: in the order journal, or in the halt log.

Once the journal has failed it is left alone for the rest of the halt, so that no request waits for
a dead disk more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import Refused, RoboInvestError, TryLater
from roboinvest.core.journal import (
    BookedExecution,
    JournalEntry,
    JournalState,
    is_ours,
    positions_of,
)
from roboinvest.core.orders import OrderIntent
from roboinvest.core.records import to_plain
from roboinvest.core.venue import Execution, Outcome, OutcomeKind, VenueOrder
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.journal.values import intent_of

WAIT_S: Final = 0.5  # for the journal, whose disk may hang
CANCEL: Final = "halt_cancel"
CLOSE: Final = "halt_close"
LIMITS: Final = '{"halt":true}'  # a closing order of a halt is bound by no limit
_OPEN: Final = frozenset(JournalState) - {JournalState.REJECTED, JournalState.EXPIRED}
_AFTER: Final[Mapping[OutcomeKind, JournalState]] = {
    OutcomeKind.ACCEPTED: JournalState.ACCEPTED,
    OutcomeKind.REJECTED: JournalState.REJECTED,
    OutcomeKind.UNKNOWN: JournalState.UNKNOWN,
}


class HaltNotebook:
    """A `Notebook` over the journal, with the halt log behind it."""

    def __init__(
        self, journal: SqliteOrderJournal | None, halt_log: HaltLog, *, instance: str
    ) -> None:
        """Take where to write; None: the journal could not even be opened."""
        self._journal = journal
        self._halt_log = halt_log
        self._instance = instance

    def known(self) -> Mapping[str, JournalEntry]:
        """Return the intents that may be at the broker, by client order id; {} if unreadable."""
        if self._journal is None:
            return {}
        try:
            entries = self._journal.entries_now(_OPEN, timeout_s=WAIT_S)
        except RoboInvestError:
            return {}
        return {entry.intent.client_order_id: entry for entry in entries}

    def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order, as far as it can be read."""
        if self._journal is None:
            return None
        try:
            return self._journal.owner_of_now(venue_id, timeout_s=WAIT_S)
        except RoboInvestError:
            return None

    def held(self, news: Iterable[Execution]) -> Mapping[str, Decimal] | None:
        """Return our signed shares by symbol; None: unreadable."""
        if self._journal is None:
            return None
        try:
            booked = self._journal.booked_now(timeout_s=2 * WAIT_S)
        except RoboInvestError:
            return None
        there = {item.execution.execution_id for item in booked}
        late = [
            BookedExecution(seq=0, execution=execution, owner=owner)
            for execution in news
            if execution.execution_id not in there and (owner := self._owner(execution)) is not None
        ]
        return positions_of([*booked, *late], ours=True)

    def cancelling(self, order: VenueOrder, at: datetime) -> None:
        """Write down that a cancel is about to leave; one that cannot be is asked for as well."""
        body = {"venue_id": order.venue_id, "symbol": order.symbol, "order": order.client_order_id}
        if self._journal is not None:
            try:
                self._journal.note_now(CANCEL, at, body, timeout_s=WAIT_S)
            except RoboInvestError:
                self._journal = None
            else:
                return
        try:
            self._halt_log.append(CANCEL, at, body)
        except TryLater:
            return  # a cancel adds no risk: it leaves unrecorded rather than not at all

    def closing(self, intent: OrderIntent, at: datetime) -> OrderIntent:
        """Write down that a closing order is about to leave; return the one to send.

        Raises:
            TryLater: it can be written nowhere.
            Refused: the broker refused it before.
        """
        if self._journal is not None:
            try:
                return self._recorded(self._journal, intent, at)
            except TryLater:
                self._journal = None
        for note in self._halt_log.read():
            if note.kind == CLOSE and note.body["client_order_id"] == intent.client_order_id:
                return intent_of(note.body)
        self._halt_log.append(CLOSE, at, to_plain(intent))
        return intent

    def closed(self, intent: OrderIntent, outcome: Outcome, at: datetime) -> None:
        """Write down what the broker said to it, as far as anything can be written."""
        if self._journal is None:
            return
        kind = OutcomeKind.UNKNOWN if outcome.is_duplicate else outcome.kind
        venue_id = outcome.orders[0].venue_id if outcome.orders else None
        try:
            self._journal.move_now(
                intent.client_order_id,
                _AFTER[kind],
                at,
                reason=outcome.text or "sent by the kill switch",
                venue_id=venue_id,
                timeout_s=WAIT_S,
            )
        except (RoboInvestError, ValueError):
            return  # the next reconciliation finds the order by its id

    def _recorded(
        self, journal: SqliteOrderJournal, intent: OrderIntent, at: datetime
    ) -> OrderIntent:
        """Write an intent down as one that is leaving; return the recorded one."""
        known = journal.entry_now(intent.client_order_id, timeout_s=WAIT_S)
        if known is None:
            known = journal.record_now(intent, LIMITS, at, timeout_s=WAIT_S)
        if known.state is JournalState.REJECTED:
            raise Refused(f"the broker refused it: {known.reason}; halt again for another try")
        if known.state in {JournalState.INTENT, JournalState.UNKNOWN}:
            journal.move_now(
                intent.client_order_id,
                JournalState.SENDING,
                at,
                reason="the kill switch closes",
                timeout_s=WAIT_S,
            )
        return known.intent

    def _owner(self, execution: Execution) -> str | None:
        if is_ours(execution.client_order_id, self._instance):
            return execution.client_order_id
        return self.owner_of(execution.venue_id)


async def fold_halt_log(halt_log: HaltLog, journal: SqliteOrderJournal, at: datetime) -> int:
    """Take into the journal what the kill switch wrote beside it; return how many facts.

    A closing order becomes an intent whose outcome is unknown, so that the next reconciliation
    looks it up. May be cut off and repeated.

    Raises:
        TryLater: the journal takes nothing yet.
    """
    for note in halt_log.read():
        if note.kind != CLOSE:
            continue
        intent = intent_of(note.body)
        entry = await journal.record(intent, LIMITS, note.at)
        if entry.state is JournalState.INTENT:
            await journal.move(intent.client_order_id, JournalState.SENDING, at)
    return await halt_log.fold_into(journal)
