"""What is usual for each agent, kept over restarts: one row for each, written over.

A row that is damaged, or of another version of the program, is passed over: that agent begins anew.
Blocking, for threads.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.history import OLDEST_S, VERSION, AgentHistory
from roboinvest.runtime.oversight.file import OverseerFile

SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS agent_histories (
        agent TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        at TEXT NOT NULL,
        history TEXT NOT NULL CHECK (length(history) <= 10000)  -- JSON
    ) STRICT
"""
MOST_ROWS: Final = 20_000
_INSERT: Final = "INSERT OR REPLACE INTO agent_histories VALUES (?, ?, ?, ?)"


@functools.cache
def _form() -> TypeAdapter[AgentHistory]:
    """Return what reads and writes a row: it takes milliseconds to make."""
    return TypeAdapter(AgentHistory)


class Kept(NamedTuple):
    """What was found."""

    histories: Mapping[str, tuple[datetime, AgentHistory]]  # by agent, and when it was taken
    damaged: int  # rows that could not be used


class AgentHistories:
    """The rows."""

    def __init__(self, file: OverseerFile) -> None:
        """Take the file, opened with `SCHEMA`."""
        self._file = file
        self._form = _form()

    def write(self, histories: Mapping[str, AgentHistory], at: datetime) -> None:
        """Write each over what was there, all or none.

        Raises:
            TryLater, BadSettings: the file cannot be used.
            Refused: one of them is too long.
        """
        stamp = at.astimezone(UTC).isoformat(timespec="seconds")
        rows = [
            (name, VERSION, stamp, self._form.dump_json(each).decode())
            for name, each in histories.items()
        ]
        self._file.write(lambda db: db.executemany(_INSERT, rows))

    def forget(self, at: datetime) -> None:
        """Drop what is too old to say anything; raises as `write`."""
        oldest = (at.astimezone(UTC) - timedelta(seconds=OLDEST_S)).isoformat(timespec="seconds")
        self._file.write(
            lambda db: db.execute("DELETE FROM agent_histories WHERE at < ?", (oldest,))
        )

    def read(self, now: datetime) -> Kept:
        """Return what can be used of what was written.

        Raises:
            TryLater, BadSettings: the file cannot be used.
        """

        def rows(db: sqlite3.Connection) -> list[tuple[str, int, str, str]]:
            statement = "SELECT agent, version, at, history FROM agent_histories LIMIT ?"
            return db.execute(statement, (MOST_ROWS,)).fetchall()

        found: dict[str, tuple[datetime, AgentHistory]] = {}
        damaged = 0
        for name, version, stamp, text in self._file.read(rows):
            try:
                at = datetime.fromisoformat(stamp).astimezone(UTC)
                if version != VERSION:
                    raise BadInput(f"version {version}, and {VERSION} is read")
                history = self._form.validate_json(text)
            except (ValidationError, ValueError, BadInput):
                damaged += 1
                continue
            if (now - at).total_seconds() <= OLDEST_S:
                found[name] = at, history
        return Kept(found, damaged)
