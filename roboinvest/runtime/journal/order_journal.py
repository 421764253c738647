"""The order journal in an SQLite file of its own: durable before any call returns.

A file of its own, because it must be committed before an order leaves, whatever the store does.
Two threads: one writes, with group commit, and one reads beside it, so that what is open can still
be read while the disk takes nothing. Every method of the port has a deadline; those that end in
`_now` are the same for a thread that works while the event loop is wedged.
Deliberately absent: retries, and any judgement of what a broker said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState
from roboinvest.core.orders import OrderIntent
from roboinvest.core.venue import Execution
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal import reads, values
from roboinvest.runtime.journal.schema import KIND
from roboinvest.runtime.journal.transaction import Transaction
from roboinvest.runtime.journal.values import Chain, Note
from roboinvest.runtime.journal.verify import verify_file
from roboinvest.runtime.lanes import file
from roboinvest.runtime.lanes.lane import Lane
from roboinvest.runtime.lanes.servers import Reader, Writer

ResultT = TypeVar("ResultT")
WHOSE: Final = "the order journal"
CALL_TIMEOUT_S: Final = 10.0
OPEN_TIMEOUT_S: Final = 120.0  # the check reads every page: about 1 s per GB from cache
CLOSE_TIMEOUT_S: Final = 5.0


class SqliteOrderJournal:
    """An `OrderJournal`; one object per process and file."""

    def __init__(self, path: Path, *, in_flight: InFlight, connect: file.Connect) -> None:
        self._path = path
        self._in_flight = in_flight
        self._connect = connect
        self._writing: Writer[Transaction] | None = None
        self._writer = Lane("order-journal", WHOSE, self._open_writer, in_flight)
        self._reader = Lane("order-journal-reader", WHOSE, self._open_reader, in_flight)

    @classmethod
    async def open(
        cls, path: Path, *, in_flight: InFlight, connect: file.Connect = file.connect
    ) -> Self:
        """Make the file, or check the one that is there, and open it.

        Raises:
            BadSettings: it is damaged, not a journal, of a newer program, or cannot be written.
            TryLater: another process holds it, or the disk is full.
        """
        journal = cls(path, in_flight=in_flight, connect=connect)
        try:
            await journal._writer.open(OPEN_TIMEOUT_S)
            await journal._reader.open(OPEN_TIMEOUT_S)
        except BaseException:
            await journal.close()
            raise
        return journal

    @classmethod
    def open_now(
        cls,
        path: Path,
        *,
        timeout_s: float = OPEN_TIMEOUT_S,
        in_flight: InFlight | None = None,
        connect: file.Connect = file.connect,
    ) -> Self:
        """Open it without a loop, as `open` does: for a command that has to act at once."""
        journal = cls(path, in_flight=in_flight or InFlight(), connect=connect)
        try:
            journal._writer.open_now(timeout_s)
            journal._reader.open_now(timeout_s)
        except BaseException:
            journal.close_now()
            raise
        return journal

    @property
    def commits(self) -> int:
        """Return how many transactions changed something since it was opened."""
        return 0 if self._writing is None else self._writing.commits

    @property
    def waiting(self) -> int:
        """Return how many requests wait; with `commits` standing still, the disk hangs."""
        return self._writer.waiting + self._reader.waiting

    async def record(self, intent: OrderIntent, limits: str, at: datetime) -> JournalEntry:
        """Write an intent down, or return what is known of it; the second time is a read.

        The limits of the first time stand.

        Raises:
            Refused: another intent has this id, or this (tick, agent, symbol, leg).
        """
        return await self._write("record an intent", _recording(intent, limits, at))

    def record_now(
        self, intent: OrderIntent, limits: str, at: datetime, *, timeout_s: float
    ) -> JournalEntry:
        """Do what `record` does, for a thread that waits at most `timeout_s`."""
        work = _recording(intent, limits, at)
        return self._writer.ask_now("record an intent", work, timeout_s)

    async def move(
        self,
        client_order_id: str,
        state: JournalState,
        at: datetime,
        *,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        """Move an intent along the table `NEXT_JOURNAL_STATES`; SENDING counts a send.

        A `venue_id` is linked as well.

        Raises:
            ValueError: the table has no such move.
            BadInput: there is no such intent.
            Refused: the broker's order belongs to another intent.
        """
        work = _moving(client_order_id, state, at, reason, venue_id, clean_lookups)
        return await self._write(f"move an intent to {state}", work)

    def move_now(
        self,
        client_order_id: str,
        state: JournalState,
        at: datetime,
        *,
        timeout_s: float,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        """Do what `move` does, for a thread that waits at most `timeout_s`."""
        work = _moving(client_order_id, state, at, reason, venue_id, clean_lookups)
        return self._writer.ask_now(f"move an intent to {state}", work, timeout_s)

    async def link(self, venue_id: str, client_order_id: str) -> None:
        """Note that a broker's order is one of ours: a bracket's leg, or a replacement.

        Its executions are ours then, also those taken in before.

        Raises:
            Refused: it belongs to another order of ours.
            BadInput: it has no name at the broker.
        """
        if not venue_id:
            raise BadInput(f"an order of {client_order_id} has no id at the broker to link it by")
        await self._write(
            "link an order",
            partial(Transaction.link, venue_id=venue_id, client_order_id=client_order_id),
        )

    async def book(self, executions: Sequence[Execution]) -> tuple[BookedExecution, ...]:
        """Take executions in, each once, in any order; return those that are new.

        One that comes again with other figures changes nothing, and is noted as an
        "execution_conflict".
        """
        if not executions:
            return ()
        facts = [(execution, values.execution_fact(execution)) for execution in executions]
        return await self._write("book executions", partial(Transaction.book, executions=facts))

    async def note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        """Append a fact to the record; the very same fact again writes nothing."""
        await self._write("note a fact", _noting(kind, at, body))

    def note_now(
        self, kind: str, at: datetime, body: Mapping[str, object], *, timeout_s: float
    ) -> None:
        """Do what `note` does, for a thread that waits at most `timeout_s`."""
        self._writer.ask_now("note a fact", _noting(kind, at, body), timeout_s)

    async def entry(self, client_order_id: str) -> JournalEntry | None:
        """Return what is known of an intent."""
        question = partial(reads.entry, client_order_id=client_order_id)
        return await self._reader.ask("look an intent up", question, CALL_TIMEOUT_S)

    def entry_now(self, client_order_id: str, *, timeout_s: float) -> JournalEntry | None:
        """Do what `entry` does, for a thread that waits at most `timeout_s`."""
        question = partial(reads.entry, client_order_id=client_order_id)
        return self._reader.ask_now("look an intent up", question, timeout_s)

    async def entries(self, states: frozenset[JournalState]) -> tuple[JournalEntry, ...]:
        """Return the intents in these states, oldest first."""
        question = partial(reads.entries, states=states)
        return await self._reader.ask("list intents", question, CALL_TIMEOUT_S)

    def entries_now(
        self, states: frozenset[JournalState], *, timeout_s: float
    ) -> tuple[JournalEntry, ...]:
        """Do what `entries` does, for a thread that waits at most `timeout_s`."""
        return self._reader.ask_now(
            "list intents", partial(reads.entries, states=states), timeout_s
        )

    async def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order."""
        question = partial(reads.owner_of, venue_id=venue_id)
        return await self._reader.ask("look an order up", question, CALL_TIMEOUT_S)

    def owner_of_now(self, venue_id: str, *, timeout_s: float) -> str | None:
        """Do what `owner_of` does, for a thread that waits at most `timeout_s`."""
        question = partial(reads.owner_of, venue_id=venue_id)
        return self._reader.ask_now("look an order up", question, timeout_s)

    async def booked(self, after_seq: int = 0) -> tuple[BookedExecution, ...]:
        """Return the executions taken in after one, in the order they were.

        Owners are those known now: after a `link`, earlier executions may have one.
        """
        question = partial(reads.booked, after_seq=after_seq)
        return await self._reader.ask("list executions", question, CALL_TIMEOUT_S)

    def booked_now(self, after_seq: int = 0, *, timeout_s: float) -> tuple[BookedExecution, ...]:
        """Do what `booked` does, for a thread that waits at most `timeout_s`."""
        question = partial(reads.booked, after_seq=after_seq)
        return self._reader.ask_now("list executions", question, timeout_s)

    async def notes(self, kind: str | None = None) -> tuple[Note, ...]:
        """Return the notes of a kind, or all of them, in the order they were made."""
        return await self._reader.ask("list notes", partial(reads.notes, kind=kind), CALL_TIMEOUT_S)

    def notes_now(self, kind: str | None = None, *, timeout_s: float) -> tuple[Note, ...]:
        """Do what `notes` does, for a thread that waits at most `timeout_s`."""
        return self._reader.ask_now("list notes", partial(reads.notes, kind=kind), timeout_s)

    async def verify(self) -> Chain:
        """Prove that the record is whole, and that the tables say what it says.

        Reads everything, about 1 s for 100,000 events, in a thread and on a connection of its own.

        Raises:
            BadSettings: it was changed, or is damaged; the sentence names the place.
            TryLater: it cannot be read now.
        """
        with self._in_flight:
            return await asyncio.to_thread(verify_file, self._path)

    async def close(self) -> None:
        """Write what is queued and let go of the file, within `CLOSE_TIMEOUT_S`.

        A disk that hangs is left behind: its thread ends with the process. Closing twice is fine.
        """
        for lane in (self._writer, self._reader):
            with contextlib.suppress(TryLater):
                await lane.close(CLOSE_TIMEOUT_S)

    def close_now(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Close it without a loop, as `close` does."""
        for lane in (self._writer, self._reader):
            with contextlib.suppress(TryLater):
                lane.close_now(timeout_s)

    async def _write(self, what: str, work: Callable[[Transaction], ResultT]) -> ResultT:
        return await self._writer.ask(what, work, CALL_TIMEOUT_S)

    def _open_writer(self) -> Writer[Transaction]:
        connection = file.open_writer(self._path, KIND, self._connect)
        self._writing = Writer(connection, self._path, WHOSE, Transaction)
        return self._writing

    def _open_reader(self) -> Reader:
        return Reader(file.open_reader(self._path, KIND), self._path, WHOSE)


def _recording(
    intent: OrderIntent, limits: str, at: datetime
) -> Callable[[Transaction], JournalEntry]:
    fact = values.intent_fact(intent, limits, at)
    return partial(Transaction.record, intent=intent, limits=limits, at=at, fact=fact)


def _moving(
    client_order_id: str,
    state: JournalState,
    at: datetime,
    reason: str,
    venue_id: str | None,
    clean_lookups: int | None,
) -> Callable[[Transaction], JournalEntry]:
    move = values.Move(
        client_order_id=client_order_id,
        state=state,
        reason=values.writable(reason),
        venue_id=venue_id or None,
        clean_lookups=clean_lookups,
    )
    return partial(Transaction.move, move=move, at=at, fact=values.move_fact(move, at))


def _noting(kind: str, at: datetime, body: Mapping[str, object]) -> Callable[[Transaction], None]:
    return partial(Transaction.note, kind=kind, fact=values.note_fact(kind, at, body))
