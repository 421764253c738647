"""What the kill switch writes down before it acts: in the order journal, or in the halt log.

Once the journal has taken nothing it is not written to for the rest of the halt, so that no request
waits for a dead disk more than once. It is still read: a file that another process locks, or a disk
that is full, tells as well as ever which orders and shares are ours.
"""

from __future__ import annotations

import contextlib
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
CLOSE_OTHERS: Final = "halt_close_others"
LIMITS: Final = '{"halt":true}'  # a closing order of a halt is bound by no limit
ACCOUNT: Final = "account"  # the note that ties the journal to an account
_OPEN: Final = frozenset(JournalState) - {
    JournalState.REJECTED,
    JournalState.EXPIRED,
    JournalState.CLOSED,
}
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
        self._reads = self._writes = journal  # None once it failed at that
        self._halt_log = halt_log
        self._instance = instance

    def known(self) -> Mapping[str, JournalEntry]:
        """Return the intents that may be at the broker, by client order id; {} if unreadable."""
        if self._reads is None:
            return {}
        try:
            entries = self._reads.entries_now(_OPEN, timeout_s=WAIT_S)
        except RoboInvestError:
            self._reads = None
            return {}
        return {entry.intent.client_order_id: entry for entry in entries}

    def entry(self, client_order_id: str) -> JournalEntry | None:
        """Return what is known of an intent, as far as it can be read."""
        if self._reads is None:
            return None
        try:
            return self._reads.entry_now(client_order_id, timeout_s=WAIT_S)
        except RoboInvestError:
            return None

    def account(self) -> str | None:
        """Return the account that the journal belongs to, as far as it can be read."""
        if self._reads is None:
            return None
        try:
            noted = self._reads.notes_now(ACCOUNT, timeout_s=WAIT_S)
        except RoboInvestError:
            return None
        return str(noted[0].body["account_id"]) if noted else None

    def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order, as far as it can be read."""
        if self._reads is None:
            return None
        try:
            return self._reads.owner_of_now(venue_id, timeout_s=WAIT_S)
        except RoboInvestError:
            self._reads = None
            return None

    def held(self, news: Iterable[Execution]) -> Mapping[str, Decimal] | None:
        """Return our signed shares by symbol; None: unreadable."""
        if self._reads is None:
            return None
        try:
            booked = self._reads.booked_now(timeout_s=6 * WAIT_S)
        except RoboInvestError:
            self._reads = None
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
        with contextlib.suppress(TryLater):  # a cancel adds no risk: it leaves unrecorded
            self._note(CANCEL, at, body)

    def closing(self, intent: OrderIntent, at: datetime) -> OrderIntent:
        """Write down that a closing order is about to leave; return the one to send.

        Raises:
            TryLater: it can be written nowhere.
            Refused: the broker refused it before.
        """
        if self._writes is not None:
            try:
                return self._recorded(self._writes, intent, at)
            except TryLater:
                self._writes = None
        for note in self._halt_log.read():
            if note.kind == CLOSE and note.body["client_order_id"] == intent.client_order_id:
                return intent_of(note.body)
        self._halt_log.append(CLOSE, at, to_plain(intent))
        return intent

    def closing_others(self, intent: OrderIntent, at: datetime) -> None:
        """Write down that an order is about to leave which closes what is not ours.

        Raises:
            TryLater: it can be written nowhere.
        """
        self._note(CLOSE_OTHERS, at, to_plain(intent))

    def closed(self, intent: OrderIntent, outcome: Outcome, at: datetime) -> None:
        """Write down what the broker said to it, as far as anything can be written."""
        if self._writes is None:
            return
        kind = OutcomeKind.UNKNOWN if outcome.is_duplicate else outcome.kind
        venue_id = outcome.orders[0].venue_id if outcome.orders else None
        try:
            self._writes.move_now(
                intent.client_order_id,
                _AFTER[kind],
                at,
                reason=outcome.text or "sent by the kill switch",
                venue_id=venue_id,
                timeout_s=WAIT_S,
            )
        except (RoboInvestError, ValueError):
            return  # the next reconciliation finds the order by its id

    def _note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        if self._writes is not None:
            try:
                self._writes.note_now(kind, at, body, timeout_s=WAIT_S)
            except RoboInvestError:
                self._writes = None
            else:
                return
        self._halt_log.append(kind, at, body)

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
            with contextlib.suppress(ValueError):  # the desk has learned what became of it
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
        try:
            entry = await journal.record(intent, LIMITS, note.at)
        except Refused as refusal:  # the journal knows it otherwise, and its word stands
            await journal.note("halt_log_conflict", note.at, {"why": str(refusal)})
            continue
        if entry.state is JournalState.INTENT:
            await journal.move(intent.client_order_id, JournalState.SENDING, at)
    return await halt_log.fold_into(journal)
