"""A file of ours: made, checked and opened, and SQLite's errors told in our words.

A file that is damaged, empty beside a log that is not, of another program or of a newer one is
refused before anything is written to it. `synchronous=FULL` because an order that was sent, and
money that was spent, must be known after a power cut.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.runtime.folder import sync_folder

Connect = Callable[[Path], sqlite3.Connection]

BUSY_TIMEOUT_S: Final = 5.0
_WAL_BYTES_KEPT: Final = 16 * 1024 * 1024
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_READ_ONLY: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """What a file is told by, how it came to be, and what is said of it.

    A step that was released is never edited: the next one goes below it.
    """

    name: str  # "order journal"
    application_id: int  # SQLite's mark of whose file it is
    steps: tuple[tuple[str, ...], ...]  # statements; the last step is the version
    probe: str  # a statement that changes nothing, and fails where nothing can be written
    when_damaged: str  # what a person does then

    @property
    def version(self) -> int:
        """Return the number of the last step."""
        return len(self.steps)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that writes; whoever uses it begins its transactions."""
    return _connection(path, "rw")


def open_writer(path: Path, kind: FileKind, connect: Connect) -> sqlite3.Connection:
    """Make the file or check the one that is there, and return the connection that writes.

    Raises:
        BadSettings: it is damaged, of another kind, of a newer program, or cannot be written.
        TryLater: another process holds it, or the disk is full.
    """
    _claim(path)
    with _opening(path, kind):
        _check(path, kind)
        connection = connect(path)
        try:
            _prepare(connection, path, kind)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path, kind: FileKind) -> sqlite3.Connection:
    """Return a connection that only reads; the file has to be there.

    Raises:
        BadSettings: it is no file of this kind, of a newer program, or damaged where it was read.
        TryLater: another process holds it.
    """
    with _opening(path, kind):
        connection = _connection(path, "rw")  # a reader of a log needs its index in shared memory
        try:
            connection.execute("PRAGMA query_only = ON")
            _require_ours(connection, path, kind)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def both_open(
    path: Path, kind: FileKind, patience_s: float
) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Open one connection that writes and one that reads; whoever takes them closes them.

    They wait `patience_s` for other processes, and are closed here where the body raises.

    Raises:
        BadSettings, TryLater: as `open_writer` does.
    """
    with contextlib.ExitStack() as opened:
        writer = opened.enter_context(contextlib.closing(open_writer(path, kind, connect)))
        reader = opened.enter_context(contextlib.closing(open_reader(path, kind)))
        for connection in (writer, reader):
            connection.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
        yield writer, reader
        opened.pop_all()


def creating(text: str) -> list[str]:
    """Return the statements of a schema, which may only create what is not there.

    Raises:
        BadInput: one of them does something else.
    """
    found, begun = [], ""
    for part in text.strip().rstrip(";").split(";"):
        begun += f"{part};"
        if sqlite3.complete_statement(begun):
            found.append(begun.strip())
            begun = ""
    if begun:
        found.append(begun.strip())
    for statement in found:
        words = " ".join(statement.split()).upper()
        if not (words.startswith("CREATE ") and " IF NOT EXISTS " in words):
            raise BadInput(f"a schema only creates what is not there, and this does not: {words}")
    return found


def in_words(error: sqlite3.Error) -> str:
    """Return what SQLite said, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # opened, used and closed by one thread; tests look in
    )
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    return connection


def _claim(path: Path) -> None:
    """Create the file, or take the existing one, readable by its owner alone."""
    try:
        is_new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, 0o600)  # the -wal and -shm files take their mode from this one
        finally:
            os.close(handle)
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _check(path: Path, kind: FileKind) -> None:
    """Read the whole file through SQLite's quick check; nothing is written."""
    log = path.with_name(f"{path.name}-wal")
    if path.stat().st_size == 0:
        if log.exists() and log.stat().st_size > 0:  # SQLite would throw the log away
            raise _damaged(path, kind, f"it is empty and {log.name} is not")
        return
    with contextlib.closing(_connection(path, "ro")) as connection:
        finding = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if finding != "ok":
            raise _damaged(path, kind, finding.splitlines()[0])
        _require_ours(connection, path, kind)


def _require_ours(connection: sqlite3.Connection, path: Path, kind: FileKind) -> None:
    version = _version_of(connection)
    mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if mark != kind.application_id:
        tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        if (mark, tables, version) != (0, 0, 0):  # else it is new
            raise BadSettings(
                f"{path} is a database of another program, and no {kind.name}; move it away"
            )
    if version > kind.version:
        raise BadSettings(
            f"{path} was written by a newer program (version {version}, this one knows "
            f"{kind.version}); install that program again"
        )


def _prepare(connection: sqlite3.Connection, path: Path, kind: FileKind) -> None:
    mode = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    if mode != "wal":
        raise BadSettings(
            f"{path} lies on a disk without shared memory (journal mode {mode}); "
            "give --data-dir a folder on a local disk"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    connection.execute("BEGIN IMMEDIATE")
    _bring_to_head(connection, kind)
    connection.execute(kind.probe)
    connection.execute("COMMIT")


def _bring_to_head(connection: sqlite3.Connection, kind: FileKind) -> None:
    """Take the steps that are missing, all in the transaction that is open."""
    done = _version_of(connection)
    for statement in (statement for step in kind.steps[done:] for statement in step):
        connection.execute(statement)
    if done < kind.version:
        connection.execute(f"PRAGMA application_id = {kind.application_id}")
        connection.execute(f"PRAGMA user_version = {kind.version}")


def _version_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last step that was taken; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def _opening(path: Path, kind: FileKind) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        _refuse(path, kind, error)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _refuse(path: Path, kind: FileKind, error: sqlite3.Error) -> NoReturn:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(_DAMAGED):
        raise _damaged(path, kind, in_words(error)) from error
    if name.startswith(_READ_ONLY):
        raise _unwritable(path, in_words(error)) from error
    raise TryLater(
        f"{path} cannot be opened ({in_words(error)}); nothing was written to it: "
        "make room, or wait for the process that holds it, and start again"
    ) from error


def _damaged(path: Path, kind: FileKind, finding: str) -> BadSettings:
    return BadSettings(
        f"{path} is damaged ({finding}); nothing was written to it: put a copy in its place, or "
        f"move it and its -wal away, and {kind.when_damaged}"
    )


def _unwritable(path: Path, why: str) -> BadSettings:
    return BadSettings(
        f"{path} cannot be opened for writing ({why}); give --data-dir a folder that this user owns"
    )
