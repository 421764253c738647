"""What can be asked of the journal, each as one statement on a connection."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState
from roboinvest.runtime.journal.values import Note, execution_of, instant, intent_of, note_of

_ENTRIES: Final = """
    SELECT e.fact, l.text, i.state, i.venue_id, i.sends, i.clean_lookups, i.reason, i.sent_at,
           i.updated_at
    FROM intents AS i JOIN events AS e ON e.seq = i.event JOIN limits AS l ON l.id = i.limits
"""
# Who owns an execution is never stored: what is learnt later holds for what was taken in before.
_BOOKED: Final = """
    SELECT x.seq, e.fact, COALESCE(l.client_order_id, i.client_order_id)
    FROM executions AS x JOIN events AS e ON e.seq = x.event
    LEFT JOIN links AS l ON l.venue_id = x.venue_id
    LEFT JOIN intents AS i ON i.client_order_id = x.client_order_id
"""


def entry(connection: sqlite3.Connection, client_order_id: str) -> JournalEntry | None:
    """Return what is known of an intent."""
    statement = f"{_ENTRIES} WHERE i.client_order_id = ?"
    row = connection.execute(statement, (client_order_id,)).fetchone()
    return None if row is None else _entry_of(row)


def entries(
    connection: sqlite3.Connection, states: frozenset[JournalState]
) -> tuple[JournalEntry, ...]:
    """Return the intents in these states, oldest first."""
    slots = ",".join("?" * len(states))
    rows = connection.execute(f"{_ENTRIES} WHERE i.state IN ({slots}) ORDER BY i.id", [*states])
    return tuple(_entry_of(row) for row in rows)


def owner_of(connection: sqlite3.Connection, venue_id: str) -> str | None:
    """Return our name for a broker's order."""
    row = connection.execute(
        "SELECT client_order_id FROM links WHERE venue_id = ?", (venue_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def booked(connection: sqlite3.Connection, after_seq: int) -> tuple[BookedExecution, ...]:
    """Return the executions taken in after one, in the order they were."""
    rows = connection.execute(f"{_BOOKED} WHERE x.seq > ? ORDER BY x.seq", (after_seq,))
    return tuple(_booked_of(row) for row in rows)


def notes(connection: sqlite3.Connection, kind: str | None) -> tuple[Note, ...]:
    """Return the notes of a kind, or all, in the order they were made."""
    rows = connection.execute(
        "SELECT e.fact FROM notes AS n JOIN events AS e ON e.seq = n.event "
        "WHERE ?1 IS NULL OR n.kind = ?1 ORDER BY n.event",
        (kind,),
    )
    return tuple(note_of(fact) for (fact,) in rows)


def one_booked(connection: sqlite3.Connection, execution_id: str) -> BookedExecution | None:
    """Return an execution by its name."""
    statement = f"{_BOOKED} WHERE x.execution_id = ?"
    row = connection.execute(statement, (execution_id,)).fetchone()
    return None if row is None else _booked_of(row)


def _entry_of(row: tuple[Any, ...]) -> JournalEntry:
    fact, limits, state, venue_id, sends, clean_lookups, reason, sent_at, updated_at = row
    try:
        plain = json.loads(fact)
        return JournalEntry(
            intent=intent_of(plain["intent"]),
            limits=limits,
            state=JournalState(state),
            venue_id=venue_id,
            sends=sends,
            clean_lookups=clean_lookups,
            reason=reason,
            created_at=instant(plain["at"]),
            sent_at=None if sent_at is None else instant(sent_at),
            updated_at=instant(updated_at),
        )
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise _unreadable(error) from error


def _booked_of(row: tuple[Any, ...]) -> BookedExecution:
    seq, fact, owner = row
    try:
        execution = execution_of(json.loads(fact)["execution"])
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise _unreadable(error) from error
    return BookedExecution(seq=seq, execution=execution, owner=owner)


def _unreadable(error: Exception) -> BadSettings:
    return BadSettings(
        f"a row of the order journal cannot be read ({type(error).__name__}: {error}); halt, put a "
        "copy of the journal in its place, and compare with the broker by hand"
    )
