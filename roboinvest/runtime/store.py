"""The store: what the house knows after a restart, one transaction at a time.

Everything a tick changed (its record, orders, fills, trades, lots, memories, calibration, the
broker's snapshot) is committed in one transaction, so that a tick that was killed has not
happened. One connection writes, guarded by a lock and by `BEGIN IMMEDIATE`; reads have their own
connections and never hold a tick up.

A write that has begun is not cancelled: whoever waits for it is told of its own cancellation when
it is over. No call returns while it is in doubt whether something was stored, so a disk that hangs
holds its caller; `last_commit_age` is how a watchdog sees that.
Deliberately absent: retries, and the order journal, which has a file of its own because it must be
durable before an order leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from roboinvest.core.errors import BadSettings
from roboinvest.core.ports import Clock
from roboinvest.core.records import TickCommit
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage import schema, sqlite
from roboinvest.runtime.storage.failures import store_errors
from roboinvest.runtime.storage.reads import CLOSE_TIMEOUT_S, StoreReader, close_engine
from roboinvest.runtime.storage.statements import (
    Change,
    Statements,
    document_rows,
    tick_changes,
)
from roboinvest.runtime.storage.whole import run_whole

WRITE_TIMEOUT_S: Final = 15.0
UPGRADE_TIMEOUT_S: Final = 600.0
SHRINK_BATCH: Final = 200  # ticks a transaction: the most that a tick's commit waits behind


class Store(StoreReader):
    """Reads and writes of one database; one object per process and database."""

    def __init__(
        self, *, writer: AsyncEngine, readers: AsyncEngine, in_flight: InFlight, clock: Clock
    ) -> None:
        super().__init__(readers, in_flight)
        self._writer = writer
        self._clock = clock
        self._statements = Statements(writer.dialect.name)
        self._turn = asyncio.Lock()
        self._last_commit_at = clock.monotonic()

    @classmethod
    async def open(cls, url_or_path: str | Path, *, in_flight: InFlight, clock: Clock) -> Store:
        """Check the database, bring its tables to this program's revision, and open it.

        A path, or a URL without a driver's scheme, is an SQLite file; it is made if it is absent.

        Raises:
            BadSettings: it is damaged, of a newer revision, or cannot be written; it is untouched.
            TryLater: another process holds it, or the server is away.
        """
        return await run_whole(
            cls._open(url_or_path, in_flight=in_flight, clock=clock), to_the_end=False
        )

    @classmethod
    async def _open(cls, url_or_path: str | Path, *, in_flight: InFlight, clock: Clock) -> Store:
        with in_flight:
            writer, readers = await _engines(url_or_path)
            store = cls(writer=writer, readers=readers, in_flight=in_flight, clock=clock)
            try:
                with store_errors("upgrade its tables", UPGRADE_TIMEOUT_S):
                    async with asyncio.timeout(UPGRADE_TIMEOUT_S), writer.begin() as connection:
                        await connection.run_sync(schema.bring_to_head)
            except BaseException:
                await store.close()
                raise
            return store

    @property
    def last_commit_monotonic(self) -> float:
        """Return when a write was last committed, on the clock's `monotonic`."""
        return self._last_commit_at

    def last_commit_age(self) -> float:
        """Return the seconds since a write was last committed, or since the store was opened."""
        return self._clock.monotonic() - self._last_commit_at

    async def commit_tick(self, commit: TickCommit) -> None:
        """Store everything a tick changed, in one transaction.

        Raises:
            BadInput: the tick, or one of its fills or trades, is stored already; or a figure is
                not a number. Nothing was stored.
            TryLater: the database is locked, full or away. Nothing was stored.
        """
        await self._write("commit the tick", tick_changes(commit, self._statements))

    async def put_document(self, name: str, text: str) -> None:
        """Store a named JSON document in the place of an older one."""
        rows = document_rows([(name, text)])
        await self._write("put a document", [(self._statements.put_document, rows)])

    async def mark_sent(self, ids: Sequence[str], versions: Sequence[int]) -> None:
        """Take memories off the recall queue; one that changed meanwhile stays on it."""
        rows = [
            {"sent_id": memory_id, "sent_version": version}
            for memory_id, version in zip(ids, versions, strict=True)
        ]
        if rows:
            await self._write("mark memories as sent", [(self._statements.mark_sent, rows)])

    async def mark_all_unsent(self) -> None:
        """Queue every memory for recall again."""
        await self._write("queue all memories", [(self._statements.mark_all_unsent, [])])

    async def shrink_hold_ticks(self, before: datetime) -> int:
        """Drop the bodies of ticks older than `before` on which nothing was asked for or done.

        Their figures and digests stay. Works in batches, so that a tick's commit gets its turn.
        Returns the number of ticks that were shrunk.
        """
        rows = [{"before": before, "at_most": SHRINK_BATCH}]
        shrunk = 0
        while True:
            done = await self._write("shrink ticks", [(self._statements.shrink_ticks, rows)])
            shrunk += done
            if done < SHRINK_BATCH:
                return shrunk

    async def close(self) -> None:
        """Fold the write-ahead log into the file and close every connection."""
        await super().close()
        await run_whole(self._close_writer(), to_the_end=True)

    async def _close_writer(self) -> None:
        with self._in_flight:
            async with self._turn:
                if self._writer.dialect.name == "sqlite":
                    with contextlib.suppress(TimeoutError, sa.exc.DBAPIError):  # or the next open
                        async with asyncio.timeout(CLOSE_TIMEOUT_S):
                            await sqlite.fold_wal(self._writer)
                await close_engine(self._writer)

    async def _write(self, what: str, changes: Sequence[Change]) -> int:
        """Run the changes in one transaction and return how many rows the last one touched."""
        self._require_open(what)
        return await run_whole(self._transact(what, changes), to_the_end=True)

    async def _transact(self, what: str, changes: Sequence[Change]) -> int:
        with self._in_flight, store_errors(what, WRITE_TIMEOUT_S):
            async with (
                asyncio.timeout(WRITE_TIMEOUT_S),
                self._turn,
                self._writer.begin() as connection,
            ):
                touched = await connection.run_sync(_apply, changes)
        self._last_commit_at = self._clock.monotonic()
        return touched


def _apply(connection: sa.Connection, changes: Sequence[Change]) -> int:
    touched = 0
    for statement, rows in changes:
        touched = connection.execute(statement, rows or None).rowcount
    return touched


async def _engines(url_or_path: str | Path) -> tuple[AsyncEngine, AsyncEngine]:
    """Return an engine to write with and one to read with."""
    if "://" in str(url_or_path) and not str(url_or_path).startswith("sqlite"):
        return _server_engine(str(url_or_path), 1), _server_engine(str(url_or_path), sqlite.READERS)
    path = _sqlite_path(url_or_path)
    sqlite.claim_file(path)
    await sqlite.check_file(path)
    return sqlite.writer_engine(path), sqlite.reader_engine(path, beside_writer=True)


def _server_engine(url: str, connections: int) -> AsyncEngine:
    try:
        return create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except (sa.exc.ArgumentError, ImportError) as error:
        raise BadSettings(
            f"the database URL cannot be used ({error}); mend it, or install its asyncio driver"
        ) from error


def _sqlite_path(url_or_path: str | Path) -> Path:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return Path(url_or_path)
    return Path(sa.make_url(url_or_path).database or "")
