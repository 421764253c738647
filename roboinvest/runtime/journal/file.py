"""The journal's file: made, checked and opened, and SQLite's errors told in our words.

A file that is damaged, empty beside a log that is not, of another program or of a newer one is
refused before anything is written to it. `synchronous=FULL` because an order that was sent must
be known after a power cut.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.runtime.folder import sync_folder
from roboinvest.runtime.journal import schema

Connect = Callable[[Path], sqlite3.Connection]

BUSY_TIMEOUT_S: Final = 5.0
_WAL_BYTES_KEPT: Final = 16 * 1024 * 1024
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_READ_ONLY: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that writes; whoever uses it begins its transactions."""
    return _connection(path, "rw")


def open_writer(path: Path, connect: Connect) -> sqlite3.Connection:
    """Make the file or check the one that is there, and return the connection that writes.

    Raises:
        BadSettings: it is damaged, not a journal, of a newer program, or cannot be written.
        TryLater: another process holds it, or the disk is full.
    """
    _claim(path)
    with _opening(path):
        _check(path)
        connection = connect(path)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads; the file has to be there."""
    with _opening(path):
        connection = _connection(path, "rw")  # a reader of a log needs its index in shared memory
        try:
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection


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


def _check(path: Path) -> None:
    """Read the whole file through SQLite's quick check; nothing is written."""
    log = path.with_name(f"{path.name}-wal")
    if path.stat().st_size == 0:
        if log.exists() and log.stat().st_size > 0:  # SQLite would throw the log away
            raise _damaged(path, f"it is empty and {log.name} is not")
        return
    with contextlib.closing(_connection(path, "ro")) as connection:
        finding = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if finding != "ok":
            raise _damaged(path, finding.splitlines()[0])
        if not schema.is_ours(connection):
            raise BadSettings(
                f"{path} is a database of another program, and no order journal; move it away"
            )
        version = schema.version_of(connection)
    if version > schema.VERSION:
        raise BadSettings(
            f"{path} was written by a newer program (version {version}, this one knows "
            f"{schema.VERSION}); install that program again"
        )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    mode = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    if mode != "wal":
        raise BadSettings(
            f"{path} lies on a disk without shared memory (journal mode {mode}); "
            "give --data-dir a folder on a local disk"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    connection.execute("BEGIN IMMEDIATE")
    schema.bring_to_head(connection)
    connection.execute("UPDATE intents SET reason = reason WHERE 0")  # may it be written? no change
    connection.execute("COMMIT")


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        _refuse(path, error)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _refuse(path: Path, error: sqlite3.Error) -> NoReturn:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(_DAMAGED):
        raise _damaged(path, in_words(error)) from error
    if name.startswith(_READ_ONLY):
        raise _unwritable(path, in_words(error)) from error
    raise TryLater(
        f"{path} cannot be opened ({in_words(error)}); nothing was written to it: "
        "make room, or wait for the process that holds it, and start again"
    ) from error


def _damaged(path: Path, finding: str) -> BadSettings:
    return BadSettings(
        f"{path} is damaged ({finding}); nothing was written to it: put a copy in its place, or "
        "move it and its -wal away, and compare orders and positions with the broker by hand"
    )


def _unwritable(path: Path, why: str) -> BadSettings:
    return BadSettings(
        f"{path} cannot be opened for writing ({why}); give --data-dir a folder that this user owns"
    )
