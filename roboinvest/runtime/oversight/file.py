"""The Overseer's file: blocking, for threads; one writer, and reads that wait for nobody.

Everything in it is the Overseer's own memory. Where it is damaged, locked or full the Overseer
says so and rests; trading neither reads it nor waits for it. Deliberately absent: a way to change
or remove a table.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from roboinvest.core.errors import BadSettings, Refused, TryLater
from roboinvest.runtime.lanes.file import both_open, creating, in_words, open_reader
from roboinvest.runtime.oversight.schema import KIND

FILE_NAME: Final = "overseer.db"
WAIT_S: Final = 5.0  # that a write waits for those of others
ROOM: Final = 1 << 20  # bytes that the disk has to take, once it was full
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
ResultT = TypeVar("ResultT")


class OverseerFile:
    """Reads and writes of one file; any thread may use it, and no task of a loop."""

    def __init__(
        self,
        path: Path,
        *,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        patience_s: float = WAIT_S,
    ) -> None:
        """Take two connections to one file; `open` makes them."""
        self.path = path
        self._writer, self._reader = writer, reader
        self._opened = path.stat()
        self._patience_s = patience_s
        self._writes, self._reads = threading.Lock(), threading.Lock()

    @classmethod
    def open(cls, path: Path, *, schemas: Sequence[str] = (), patience_s: float = WAIT_S) -> Self:
        """Open the file, made where it is absent, with the tables of whoever asks.

        Args:
            path: of the database; its folder is made where it is absent.
            schemas: further statements, each a CREATE ... IF NOT EXISTS.
            patience_s: how long a write waits for those of others.

        Raises:
            BadSettings: it is damaged, of another or a newer program, or cannot be written.
            BadInput: a schema does something else than create.
            TryLater: another process holds it, or the disk is full.
        """
        statements = [each for text in schemas for each in creating(text)]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadSettings(
                f"{path.parent} cannot be made ({error.strerror}); give --data-dir a folder that "
                "this user owns"
            ) from error
        with both_open(path, KIND, patience_s) as (writer, reader):
            file = cls(path, writer=writer, reader=reader, patience_s=patience_s)
            if statements:
                file.write(lambda db: [db.execute(statement) for statement in statements])
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

    def require_ours(self) -> None:
        """See that the file under our name is the one that is open, and is sound where it begins.

        What is open may be removed, replaced or overwritten, and what memory holds is read on.
        SQLite has to look: a file that we open and close ourselves would lose it its locks.

        Raises:
            BadSettings: it is damaged, or another program's.
            TryLater: it is gone, or another one lies there.
        """
        try:
            is_ours = os.path.samestat(self.path.stat(), self._opened)
        except OSError as error:
            raise TryLater(f"{self.path} is gone ({error.strerror}); it is made anew") from error
        if not is_ours:
            raise TryLater(f"{self.path} was replaced while it was open; it is opened anew")
        try:
            open_reader(self.path, KIND).close()  # its head was read, and it is ours
        except TryLater:
            return  # busy, or no more files: nobody can look now, and what is open serves
        except BadSettings as error:
            name = str(getattr(error.__cause__, "sqlite_errorname", ""))
            if name.startswith(_DAMAGED) or error.__cause__ is None:
                raise

    def require_room(self) -> None:
        """See that the disk takes more: that a file can be opened and read does not prove it.

        Raises:
            TryLater: it takes nothing.
        """
        probe = self.path.with_name(f"{self.path.name}.probe")
        try:
            with probe.open("wb") as file:
                file.write(bytes(ROOM))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TryLater(
                f"{probe} of {ROOM >> 10} KB cannot be written now ({error.strerror}): make room"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        with self._writes, self._reads:
            self._reader.close()
            self._writer.close()

    def write(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Return what `work` returns once all that it wrote is on the disk; an error undoes it all.

        Raises:
            Refused: a rule of the tables said no.
            BadSettings: the file is damaged.
            TryLater: the file is busy or the disk is full; nothing was written.
        """
        if not self._writes.acquire(timeout=self._patience_s):
            raise TryLater(
                f"{self.path} was written to for {self._patience_s:g} s by others; try again"
            )
        try:
            with self._told_in_words("written to"):
                return self._written(work)
        finally:
            self._writes.release()

    def read(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Return what `work` reads; it sees one moment, and cannot write.

        Raises:
            BadSettings: the file is damaged.
            TryLater: the file cannot be read now.
        """
        with self._reads, self._told_in_words("read"):
            self._reader.execute("BEGIN")
            try:
                return work(self._reader)
            finally:
                self._reader.execute("ROLLBACK")

    def version(self) -> int:
        """Return a number that is another one after each write, by whomever; raises as `read`."""
        return int(self.read(lambda db: db.execute("PRAGMA data_version").fetchone()[0]))

    def _written(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._writer)
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        return result

    @contextlib.contextmanager
    def _told_in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise Refused(f"{self.path} was not {what}: {in_words(error)}") from error
        except sqlite3.Error as error:
            if str(getattr(error, "sqlite_errorname", "")).startswith(_DAMAGED):
                raise BadSettings(
                    f"{self.path} is damaged ({in_words(error)}): move it and its -wal away, and "
                    f"{KIND.when_damaged}"
                ) from error
            raise TryLater(
                f"{self.path} cannot be {what} now ({in_words(error)}); nothing was changed: look "
                "at the disk, and try again"
            ) from error


def damage(path: Path) -> str | None:
    """Return what is damaged in a file, in words; None: nothing, or there is no file.

    Blocking; nothing is written, and a daemon beside it is not held up.
    """
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:
        return None  # it is held, or its disk takes nothing: that says nothing of the file
    except sqlite3.DatabaseError as error:
        return in_words(error)
    return None if found == "ok" else found
