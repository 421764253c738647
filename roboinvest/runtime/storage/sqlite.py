"""Everything about the store that is SQLite's own; no other file names a pragma.

A write transaction takes its lock at BEGIN (IMMEDIATE): one that reads first and upgrades later
fails at once with "database is locked", whatever the busy timeout. The driver is kept from
beginning transactions by itself (`isolation_level = None`), so that DDL is part of them too.
`synchronous=FULL` because a tick that was reported must survive a power cut.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.runtime.storage.one_hop import OneHopDriver

BUSY_TIMEOUT_S: Final = 5.0
READERS: Final = 2
_CHECK_TIMEOUT_S: Final = 120.0  # quick_check reads every page: about 1 s per GB from cache
_WAL_BYTES_KEPT: Final = 16 * 1024 * 1024
_BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")

_WRITER_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",  # first: the next ones may wait
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}",
)
_READER_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
    "PRAGMA query_only = ON",
)


def writer_engine(path: Path) -> AsyncEngine:
    """Return the engine with the one connection that writes."""
    return _engine(_uri(path, "rw"), _WRITER_PRAGMAS, begin="BEGIN IMMEDIATE", connections=1)


def reader_engine(path: Path, *, beside_writer: bool) -> AsyncEngine:
    """Return the engine that reads; without a writer in this process it may not even create."""
    mode = "rw" if beside_writer else "ro"
    return _engine(_uri(path, mode), _READER_PRAGMAS, begin="BEGIN", connections=READERS)


def claim_file(path: Path) -> None:
    """Create the database file, or take the existing one, readable by its owner alone.

    Raises:
        BadSettings: it cannot be opened for writing.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, 0o600)  # the -wal and -shm files take their mode from this one
        finally:
            os.close(handle)
    except OSError as error:
        raise BadSettings(
            f"{path} cannot be opened for writing ({error.strerror}); "
            "give --data-dir a folder that this user owns"
        ) from error


async def check_file(path: Path) -> None:
    """Read the whole file through SQLite's quick check; nothing is written.

    Raises:
        BadSettings: it is damaged, or no SQLite database at all.
        TryLater: another process holds it.
    """
    try:
        async with (
            asyncio.timeout(_CHECK_TIMEOUT_S),
            aiosqlite.connect(_uri(path, "ro"), uri=True, timeout=BUSY_TIMEOUT_S) as connection,
        ):
            findings = await connection.execute_fetchall("PRAGMA quick_check(1)")
    except TimeoutError as error:
        raise TryLater(f"{path} was not checked within {_CHECK_TIMEOUT_S:.0f} s") from error
    except aiosqlite.DatabaseError as error:
        if str(getattr(error, "sqlite_errorname", "")).startswith(_BUSY):
            raise TryLater(f"{path} is held by another process ({error})") from error
        raise _damaged(path, str(error)) from error
    first = str(next(iter(findings))[0])
    if first != "ok":
        raise _damaged(path, first)


async def fold_wal(engine: AsyncEngine) -> None:
    """Bring what the write-ahead log holds into the file and cut the log to nothing."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()  # not through `connection`: it would BEGIN
        driver: Any = raw.driver_connection
        await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")


def _engine(uri: str, pragmas: tuple[str, ...], *, begin: str, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{uri}&uri=true",
        module=OneHopDriver(),
        pool_size=connections,
        max_overflow=0,
        pool_reset_on_return=None,  # every use ends its own transaction; a reset is one more trip
        hide_parameters=True,
    )

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 DBAPI
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    sa.event.listen(engine.sync_engine, "connect", prepare)
    sa.event.listen(engine.sync_engine, "begin", start)
    return engine


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def _damaged(path: Path, finding: str) -> BadSettings:
    return BadSettings(
        f"{path} is damaged ({finding.splitlines()[0] if finding else 'unreadable'}); nothing was "
        "written to it: put a copy in its place, or start with --fresh to set it aside"
    )
