"""What the two threads of a file do with a batch: one commits it, one reads it.

GROUP COMMIT: all changes of a batch go into one transaction, and so one wait for the disk; each in
a savepoint, so that one which a rule refuses takes no other along. What the file refuses, it
refuses to the whole batch: nobody is told that something is durable which is not.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.runtime.lanes.file import in_words
from roboinvest.runtime.lanes.requests import Request

TransactionT = TypeVar("TransactionT")


class Writer(Generic[TransactionT]):
    """Commits batches."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        whose: str,
        begin: Callable[[sqlite3.Connection], TransactionT],
    ) -> None:
        """Take the file.

        Args:
            connection: writes.
            path: where it was opened.
            whose: begins its sentences: "the order journal".
            begin: makes what the work of requests is given, from what stands in the file.
        """
        self._connection = connection
        self._path = path
        self._whose = whose
        self._begin = begin
        self._identity = _identity(path)
        self.commits = 0  # transactions that changed something

    def serve(self, batch: Sequence[Request]) -> None:
        """Do a batch in one transaction; it is durable when this returns."""
        try:
            self._require_same_file()
            before = self._connection.total_changes
            self._connection.execute("BEGIN IMMEDIATE")
            transaction = self._begin(self._connection)
            for request in batch:
                transaction = self._attempt(request, transaction)
            self._connection.execute("COMMIT")
            self.commits += self._connection.total_changes != before
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            why = in_words(error) if isinstance(error, sqlite3.Error) else str(error)
            for request in batch:
                request.error = self._unwritten(request.what, why)

    def close(self) -> None:
        """Close the file; SQLite folds the log into it if nobody else has it open."""
        self._connection.close()

    def _attempt(self, request: Request, transaction: TransactionT) -> TransactionT:
        """Do what one asks for; return the transaction to go on with."""
        self._connection.execute("SAVEPOINT one")
        try:
            request.result = request.work(transaction)
        except (RoboInvestError, ValueError) as error:
            request.error = error
            self._connection.execute("ROLLBACK TO one")
            transaction = self._begin(self._connection)  # what it kept in mind did not happen
        self._connection.execute("RELEASE one")
        return transaction

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # the next BEGIN says it again
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _require_same_file(self) -> None:
        """See that the file is where it was: a removed one takes writes, and nobody finds them."""
        if _identity(self._path) != self._identity:
            raise OSError(f"{self._path} was replaced while it was open")

    def _unwritten(self, what: str, why: str) -> TryLater:
        return TryLater(
            f"{self._whose} could not {what}: {why} ({self._path}); nothing was written, so send "
            "nothing: make room or mend the disk, and ask again"
        )


class Reader:
    """Answers questions, each by itself; it never waits for the writer."""

    def __init__(self, connection: sqlite3.Connection, path: Path, whose: str) -> None:
        self._connection = connection
        self._path = path
        self._whose = whose

    def serve(self, batch: Sequence[Request]) -> None:
        """Answer each of a batch."""
        for request in batch:
            self._answer(request, request.work)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _answer(self, request: Request, question: Callable[[sqlite3.Connection], object]) -> None:
        try:
            request.result = question(self._connection)
        except RoboInvestError as error:
            request.error = error
        except sqlite3.Error as error:
            request.error = TryLater(
                f"{self._whose} could not {request.what}: {in_words(error)} ({self._path}); "
                "look at the disk and ask again"
            )


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino
