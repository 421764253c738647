"""The governance file: whatever changes state is one transaction together with its audit row.

Blocking, for commands and for threads of the daemon alike; several processes may hold it. Writes
take turns, reads see a moment that stands still and wait for nobody. Deliberately absent: a way to
write to the audit log other than `Transaction.audit`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from roboinvest.core.audit import (
    GENESIS,
    Anchor,
    AuditEntry,
    AuditRow,
    StoredRow,
    fields_of,
    row_digest,
    row_of,
)
from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.ports import Clock
from roboinvest.runtime.governance.anchors import AnchorLog, anchors_beside
from roboinvest.runtime.governance.schema import KIND
from roboinvest.runtime.governance.turns import turn_in
from roboinvest.runtime.lanes.file import both_open, creating, in_words

FILE_NAME: Final = "governance.db"
WAIT_S: Final = 30.0  # that a write waits for those of others
COLUMNS: Final = "number, kind, subject, who, why, before, after, undo, at, previous, digest"
_HEAD: Final = "SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1"
_APPEND: Final = f"INSERT INTO audit ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 the columns are ours
_DAMAGE: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
ResultT = TypeVar("ResultT")


class Transaction:
    """What is written at once or not at all."""

    def __init__(self, connection: sqlite3.Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now  # UTC; the instant of everything in it
        self.head: tuple[int, str] | None = None  # after the last row that it wrote

    def audit(self, entry: AuditEntry) -> AuditRow:
        """Append a row to the audit log; it stands when the transaction does."""
        number, previous = head_of(self.connection)
        number += 1
        digest = row_digest(previous, number, entry)
        self.connection.execute(_APPEND, (number, *fields_of(entry), previous, digest))
        self.head = (number, digest)
        return AuditRow(number=number, entry=entry, previous=previous, digest=digest)


class GovernanceFile:
    """Reads and writes of one governance file; any thread may use it."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        anchors: AnchorLog,
        *,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        patience_s: float = WAIT_S,
    ) -> None:
        self.path = path
        self._patience_s = patience_s
        self.unanchored: str | None = None  # why the last rows are in no anchor, if they are not
        self._clock = clock
        self._anchors = anchors
        self._writer = writer
        self._reader = reader
        self._writes = threading.Lock()
        self._reads = threading.Lock()
        self._who_writes: int | None = None  # a thread's identity

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        schemas: Sequence[str] = (),
        anchors: Path | None = None,
        patience_s: float = WAIT_S,
    ) -> Self:
        """Open the file, made where it is absent, with the tables of whoever asks.

        Args:
            path: of the database; its folder is made where it is absent.
            clock: stamps transactions.
            schemas: further statements, each a CREATE ... IF NOT EXISTS.
            anchors: the log file that keeps anchors; None: audit_anchors.jsonl beside it.
            patience_s: how long a write waits for those of others.

        Raises:
            BadSettings: it is damaged, of another or a newer program, or cannot be written.
            BadInput: a schema does something else than create.
            TryLater: other processes hold it for too long.
        """
        statements = [each for text in schemas for each in creating(text)]
        turn = turn_in(path.parent, clock, patience_s=patience_s)
        with turn, both_open(path, KIND, patience_s) as (writer, reader):
            log = AnchorLog(anchors or anchors_beside(path), clock, patience_s=patience_s)
            file = cls(path, clock, log, writer=writer, reader=reader, patience_s=patience_s)
            file._create(statements)
            file.anchor_tail()
            return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def anchors(self) -> Path:
        """Return the log file that keeps the anchors."""
        return self._anchors.path

    def close(self) -> None:
        """Close the file."""
        with self._writes, self._reads:
            self._reader.close()
            self._writer.close()

    def write(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Return what `work` returns once all that it wrote is on the disk; an error undoes it all.

        Raises:
            Refused: a rule of the tables said no.
            TryLater: the file is busy or the disk is full; nothing was written.
        """
        if self._who_writes == threading.get_ident():
            raise RuntimeError("a write within a write would wait for itself; hand on the first")
        if not self._writes.acquire(timeout=self._patience_s):
            raise TryLater(
                f"{self.path} was written to for {self._patience_s:.0f} s by others; try again"
            )
        self._who_writes = threading.get_ident()
        try:
            transaction, result = self._written(work)
            if transaction.head is not None:
                self._anchor(*transaction.head)
            return result
        finally:
            self._who_writes = None
            self._writes.release()

    def read(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Return what `work` reads; it sees one moment, and cannot write.

        Raises:
            TryLater: the file cannot be read now.
        """
        with self._reads, self._told_in_words("read"):
            self._reader.execute("BEGIN")
            try:
                return work(self._reader)
            finally:
                self._reader.execute("ROLLBACK")

    def head(self) -> tuple[int, str]:
        """Return number and digest of the last audit row; 0 and the genesis before the first."""
        return self.read(head_of)

    def rows(
        self, *, subject: str | None = None, after: int = 0, limit: int = 1000
    ) -> tuple[AuditRow, ...]:
        """Return the newest audit rows, oldest first, of one subject where it is given."""
        statement = (
            f"SELECT {COLUMNS} FROM audit WHERE number > ? AND (? IS NULL OR subject = ?) "  # noqa: S608 the columns are ours
            "ORDER BY number DESC LIMIT ?"
        )

        def select(connection: sqlite3.Connection) -> list[StoredRow]:
            return connection.execute(statement, (after, subject, subject, limit)).fetchall()

        return tuple(row_of(stored) for stored in reversed(self.read(select)))

    def _written(self, work: Callable[[Transaction], ResultT]) -> tuple[Transaction, ResultT]:
        with self._told_in_words("written to"):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._writer, self._clock.now())
                result = work(transaction)
                if not self._writer.in_transaction:
                    raise RuntimeError("whoever writes does not end the transaction it was handed")
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            return transaction, result

    @contextlib.contextmanager
    def _told_in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise Refused(f"{self.path} was not {what}: {in_words(error)}") from error
        except sqlite3.Error as error:
            raise TryLater(
                f"{self.path} cannot be {what} now ({in_words(error)}); nothing was changed: look "
                "at the disk, and try again"
            ) from error

    def _create(self, statements: Sequence[str]) -> None:
        """Make the tables that are missing."""

        def create(transaction: Transaction) -> None:
            for statement in statements:
                transaction.connection.execute(statement)

        if statements:
            self.write(create)

    def anchor_tail(self) -> None:
        """Anchor what a process that died left without one; a new file begins with number 0.

        Where that cannot be done, `unanchored` says why.

        Raises:
            TryLater: the file cannot be read now.
        """
        number, digest = self.head()
        try:
            last = self._anchors.last()
        except OSError as error:
            self.unanchored = f"{self.anchors} cannot be read ({error.strerror})"
            return
        is_known = (last is None) is (number == 0)  # else one of both files is gone or another
        if is_known and (last is None or last.number < number):
            self._anchor(number, digest)
        elif is_known:
            self.unanchored = None

    def _anchor(self, number: int, digest: str) -> None:
        """Write an anchor; what was committed stands, also where its anchor cannot be written."""
        try:
            self._anchors.append(Anchor(number=number, digest=digest, at=self._clock.now()))
        except (OSError, TryLater) as error:
            self.unanchored = f"{self.anchors} cannot be written ({error})"
        else:
            self.unanchored = None


def head_of(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return number and digest of the last audit row; 0 and the genesis before the first."""
    found = connection.execute(_HEAD).fetchone()
    return (0, GENESIS) if found is None else (int(found[0]), str(found[1]))
