"""What can be written to the journal, inside a transaction that somebody else begins and ends.

Each change appends its event to the chain and brings the tables that point into it up to date.
A rule that says no says so before anything is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.journal import (
    NEXT_JOURNAL_STATES,
    BookedExecution,
    JournalEntry,
    JournalState,
)
from roboinvest.core.orders import OrderIntent
from roboinvest.core.venue import Execution
from roboinvest.runtime.journal import reads
from roboinvest.runtime.journal.schema import GENESIS
from roboinvest.runtime.journal.values import (
    Move,
    conflict_fact,
    digest_after,
    digest_of,
    link_fact,
    same_trade,
    utc_text,
)

_INSERT_INTENT: Final = """
    INSERT INTO intents (client_order_id, tick_id, agent_id, symbol, leg, event, limits, state,
                         venue_id, sends, clean_lookups, reason, sent_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0, '', NULL, ?)
"""
_UPDATE_INTENT: Final = """
    UPDATE intents SET state = ?, venue_id = ?, sends = ?, clean_lookups = ?, reason = ?,
                       sent_at = ?, updated_at = ?
    WHERE client_order_id = ?
"""


class Transaction:
    """The changes of one transaction; the chain goes on from where the file ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1")
        self._head: tuple[int, bytes] = row.fetchone() or (0, GENESIS)

    def record(self, intent: OrderIntent, limits: str, at: datetime, fact: str) -> JournalEntry:
        """Write an intent down, or return what is known of it."""
        known = reads.entry(self._connection, intent.client_order_id)
        if known is not None:
            if known.intent != intent:
                raise Refused(
                    f"{intent.client_order_id} is the name of another intent "
                    f"({known.intent.side} {known.intent.qty} {known.intent.symbol}); "
                    "a new decision needs a new tick"
                )
            return known
        self._require_free_place(intent)
        event = self._append(fact)
        self._connection.execute(
            _INSERT_INTENT,
            (
                intent.client_order_id,
                intent.tick_id,
                intent.agent_id,
                intent.symbol,
                intent.leg,
                event,
                self._limits_id(limits),
                JournalState.INTENT,
                utc_text(at),
            ),
        )
        return self._known(intent.client_order_id)

    def move(self, move: Move, at: datetime, fact: str) -> JournalEntry:
        """Move an intent along the table `NEXT_JOURNAL_STATES`."""
        before = self._known(move.client_order_id)
        if move.state not in NEXT_JOURNAL_STATES[before.state]:
            raise ValueError(f"{move.client_order_id}: no move from {before.state} to {move.state}")
        if move.venue_id:
            self._require_free_link(move.venue_id, move.client_order_id)
        sends = move.state is JournalState.SENDING
        after = replace(
            before,
            state=move.state,
            venue_id=move.venue_id or before.venue_id,
            sends=before.sends + sends,
            clean_lookups=(
                before.clean_lookups if move.clean_lookups is None else move.clean_lookups
            ),
            reason=move.reason,
            sent_at=at if sends else before.sent_at,
            updated_at=at,
        )
        self._append(fact)
        if move.venue_id:
            self._insert_link(move.venue_id, move.client_order_id)
        self._update(after)
        return after

    def link(self, venue_id: str, client_order_id: str) -> None:
        """Note that a broker's order is one of ours; the second time writes nothing."""
        if self._require_free_link(venue_id, client_order_id):
            self._append(link_fact(venue_id, client_order_id))
            self._insert_link(venue_id, client_order_id)

    def book(self, executions: Sequence[tuple[Execution, str]]) -> tuple[BookedExecution, ...]:
        """Take executions in, each beside its fact; return those that are new."""
        new: list[str] = []
        for execution, fact in executions:
            self._learn_owner(execution)
            known = reads.one_booked(self._connection, execution.execution_id)
            if known is None:
                self._insert_execution(execution, self._append(fact))
                new.append(execution.execution_id)
            elif not same_trade(known.execution, execution):
                self.note("execution_conflict", conflict_fact(known.execution, execution))
        found = (reads.one_booked(self._connection, execution_id) for execution_id in new)
        return tuple(booked for booked in found if booked is not None)

    def note(self, kind: str, fact: str) -> None:
        """Append a note; the very same one again writes nothing."""
        digest = digest_of(fact)
        known = self._connection.execute("SELECT 1 FROM notes WHERE digest = ?", (digest,))
        if known.fetchone() is None:
            self._connection.execute(
                "INSERT INTO notes (event, kind, digest) VALUES (?, ?, ?)",
                (self._append(fact), kind, digest),
            )

    def _update(self, entry: JournalEntry) -> None:
        self._connection.execute(
            _UPDATE_INTENT,
            (
                entry.state,
                entry.venue_id,
                entry.sends,
                entry.clean_lookups,
                entry.reason,
                None if entry.sent_at is None else utc_text(entry.sent_at),
                utc_text(entry.updated_at),
                entry.intent.client_order_id,
            ),
        )

    def _append(self, fact: str) -> int:
        seq, digest = self._head
        self._head = (seq + 1, digest_after(digest, fact))
        self._connection.execute(
            "INSERT INTO events (seq, fact, digest) VALUES (?, ?, ?)",
            (self._head[0], fact, self._head[1]),
        )
        return self._head[0]

    def _known(self, client_order_id: str) -> JournalEntry:
        known = reads.entry(self._connection, client_order_id)
        if known is None:
            raise BadInput(
                f"{client_order_id} is not in the order journal; an intent is recorded before "
                "anything else is said of it"
            )
        return known

    def _require_free_place(self, intent: OrderIntent) -> None:
        place = (intent.tick_id, intent.agent_id, intent.symbol, intent.leg)
        taken = self._connection.execute(
            "SELECT client_order_id FROM intents "
            "WHERE tick_id = ? AND agent_id = ? AND symbol = ? AND leg = ?",
            place,
        ).fetchone()
        if taken is not None:
            raise Refused(
                f"{' / '.join(place)} has the intent {taken[0]} already, so "
                f"{intent.client_order_id} is refused; a new decision needs a new tick"
            )

    def _require_free_link(self, venue_id: str, client_order_id: str) -> bool:
        """Return whether the link is new."""
        owner = reads.owner_of(self._connection, venue_id)
        if owner is not None and owner != client_order_id:
            raise Refused(
                f"the broker's order {venue_id} belongs to {owner} and cannot belong to "
                f"{client_order_id} as well; compare the two with the broker by hand"
            )
        return owner is None

    def _insert_link(self, venue_id: str, client_order_id: str) -> None:
        self._connection.execute(
            "INSERT INTO links (venue_id, client_order_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (venue_id, client_order_id),
        )

    def _limits_id(self, text: str) -> int:
        digest = digest_of(text)
        row = self._connection.execute("SELECT id FROM limits WHERE digest = ?", (digest,))
        known = row.fetchone()
        if known is not None:
            return int(known[0])
        added = self._connection.execute(
            "INSERT INTO limits (digest, text) VALUES (?, ?)", (digest, text)
        )
        return int(added.lastrowid or 0)

    def _learn_owner(self, execution: Execution) -> None:
        """Link a venue order that is reported under an id of ours.

        Other reports of the same order leave the id out; they are ours by the link then.
        """
        name, venue_id = execution.client_order_id, execution.venue_id
        if not name or not venue_id or reads.owner_of(self._connection, venue_id) is not None:
            return
        if self._has_intent(name):
            self.link(venue_id, name)

    def _has_intent(self, client_order_id: str) -> bool:
        found = self._connection.execute(
            "SELECT 1 FROM intents WHERE client_order_id = ?", (client_order_id,)
        )
        return found.fetchone() is not None

    def _insert_execution(self, execution: Execution, event: int) -> None:
        self._connection.execute(
            "INSERT INTO executions (seq, execution_id, venue_id, client_order_id, event) VALUES "
            "((SELECT COALESCE(max(seq), 0) + 1 FROM executions), ?, ?, ?, ?)",
            (execution.execution_id, execution.venue_id, execution.client_order_id, event),
        )
