"""A journal in a file, and the ways to stand in its writer's way."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.lanes import file


class Disk:
    """What stands between the journal and its file: it keeps the writer's connection in reach."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: sqlite3.Connection | None = None

    def connect(self, path: Path) -> sqlite3.Connection:
        self.writer = file.connect(path)
        return self.writer

    def pragma(self, text: str) -> object:
        """Set or read a pragma of the writer's connection."""
        assert self.writer is not None
        row = self.writer.execute(f"PRAGMA {text}").fetchone()
        return None if row is None else row[0]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep every writer waiting, as another process in the middle of a commit does."""
        with contextlib.closing(self.look()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def look(self) -> sqlite3.Connection:
        """Return a connection of somebody else."""
        return sqlite3.connect(self.path, isolation_level=None)

    def content(self) -> dict[str, bytes]:
        """Return what lies on the disk, the index in shared memory and an empty log left out."""
        files = (path for path in sorted(self.path.parent.iterdir()) if path.is_file())
        found = {path.name: path.read_bytes() for path in files if path.suffix != ".db-shm"}
        return {name: text for name, text in found.items() if text or name == self.path.name}


@pytest.fixture
def in_flight() -> InFlight:
    return InFlight()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "journal.db")


@pytest.fixture
async def journal(disk: Disk, in_flight: InFlight) -> AsyncIterator[SqliteOrderJournal]:
    opened = await SqliteOrderJournal.open(disk.path, in_flight=in_flight, connect=disk.connect)
    yield opened
    await opened.close()
