"""Which revisions are active, as anybody may look: without a turn to write, and without a change.

A look at a file that nobody wrote to since is not taken again. Blocking, for threads.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from roboinvest.core.errors import TryLater
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.runtime.governance.file import FILE_NAME
from roboinvest.runtime.governance.schema import KIND
from roboinvest.runtime.lanes.file import in_words, open_reader
from roboinvest.runtime.revisions.book import RevisionBook


class RevisionsInForce:
    """The active revisions of one data folder."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE_NAME
        self._seen: tuple[tuple[int, int], ...] | None = None
        self._found: tuple[Revision, ...] = ()

    def look(self) -> tuple[Revision, ...]:
        """Return the active revision of each agent; none where nothing was ever governed.

        Raises:
            TryLater, BadSettings: the file cannot be read now.
        """
        seen = tuple(map(_state_of, (self._path, self._path.with_name(f"{FILE_NAME}-wal"))))
        if seen != self._seen:
            read = seen[0] != _ABSENT
            self._found = self._read(RevisionBook.in_force) if read else ()
            self._seen = seen
        return self._found

    def of(self, agent: str) -> tuple[Revision, ...]:
        """Return every revision of an agent, oldest first; raises as `look`."""
        if _state_of(self._path) == _ABSENT:
            return ()
        return self._read(lambda book: book.revisions(agent))

    def _read(self, work: Callable[[RevisionBook], tuple[Revision, ...]]) -> tuple[Revision, ...]:
        with contextlib.closing(open_reader(self._path, KIND)) as connection:
            try:
                known = "SELECT 1 FROM sqlite_master WHERE name = 'revisions'"
                if connection.execute(known).fetchone() is None:
                    return ()
                return work(RevisionBook(connection))
            except sqlite3.Error as error:
                raise TryLater(
                    f"{self._path} cannot be read now ({in_words(error)}); try again"
                ) from error


_ABSENT = (0, 0)


def _state_of(path: Path) -> tuple[int, int]:
    """Return when a file was written to, and its size; zeros: it is not there.

    Raises:
        TryLater: its folder cannot be entered now.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return _ABSENT
    except OSError as error:
        raise TryLater(f"{path} cannot be looked at now ({error.strerror}); try again") from error
    return found.st_mtime_ns, found.st_size
