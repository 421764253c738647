"""The record of last resort: cancels and flattening orders while the journal takes nothing.

One JSON object a line, written and synced before the request leaves. The file is made beforehand
and filled with empty lines, so that a disk without room still takes what is written into it (where
the file system writes in place). Every use takes a lock of the kernel for a moment, because the
daemon's watchdog and a command of another process may write at the same time.
What was not written whole was never acknowledged, and is dropped by `read`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.core.ports import OrderJournal
from roboinvest.runtime.folder import sync_folder
from roboinvest.runtime.journal.values import Note, note_fact, note_of

RESERVED: Final = 64 * 1024  # bytes: some 300 lines
_EMPTY: Final = b"\n\0"  # what lies after the last line; NUL where a power cut lost a block
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class HaltLog:
    """Appends facts, reads them, and hands them to the journal once it works again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._leaving = path.with_name(f"{path.name}.folding")  # on its way into the journal

    def reserve(self) -> None:
        """Take the room on the disk that `append` will need; call it while there is some.

        Raises:
            TryLater: there is none.
        """
        with self._in_words("reserved"), self._locked() as handle:
            size = os.fstat(handle).st_size
            if size < RESERVED:
                _write(handle, b"\n" * (RESERVED - size), size)

    def append(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        """Write a fact down; it is on the disk when this returns.

        Raises:
            TryLater: the disk takes nothing.
        """
        line = note_fact(kind, at, body).encode() + b"\n"
        with self._in_words("written"), self._locked() as handle:
            there = _content(handle)
            _write(handle, b"\n" + line if there else line, len(there))

    def read(self) -> tuple[Note, ...]:
        """Return the facts that wait for the journal, oldest first.

        Raises:
            TryLater: the file is there and cannot be read.
        """
        with self._in_words("read"):
            texts = [path.read_bytes() for path in (self._leaving, self._path) if path.exists()]
        return tuple(note for text in texts for note in _notes_in(text))

    async def fold_into(self, journal: OrderJournal) -> int:
        """Note every fact in the journal, set the file aside, and return how many there were.

        It may be cut off anywhere and be called again: a fact that is noted is noted once. Touches
        small files in the loop's thread, which is why only a resume does it.

        Raises:
            TryLater: the journal takes nothing yet; nothing is lost.
        """
        count = await self._fold_leaving(journal)
        if not self.read():
            return count
        with self._in_words("set aside"), self._locked():
            self._path.rename(self._leaving)
            sync_folder(self._path.parent)
        count += await self._fold_leaving(journal)
        with contextlib.suppress(TryLater):  # the next start asks for the room again
            self.reserve()
        return count

    async def _fold_leaving(self, journal: OrderJournal) -> int:
        if not self._leaving.exists():
            return 0
        with self._in_words("read"):
            notes = _notes_in(self._leaving.read_bytes())
        for note in notes:
            await journal.note(note.kind, note.at, note.body)
        with self._in_words("set aside"):
            self._leaving.rename(self._aside())
            sync_folder(self._path.parent)
        return len(notes)

    def _aside(self) -> Path:
        """Return a name that is free: halt.log.1, halt.log.2 ..."""
        number = 1
        while (path := self._path.with_name(f"{self._path.name}.{number}")).exists():
            number += 1
        return path

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Lend the file, made if it is absent, to nobody else meanwhile."""
        while True:
            is_new = not self._path.exists()
            handle = os.open(self._path, _OPEN, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if not self._is_at_its_place(handle):
                    continue  # set aside between the opening and the lock
                if is_new:
                    sync_folder(self._path.parent)
                yield handle
                return
            finally:
                os.close(handle)

    def _is_at_its_place(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self._path.stat())
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _in_words(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TryLater(
                f"{self._path} cannot be {done} ({error.strerror or error}); make room on its "
                "disk, or let this user own its folder"
            ) from error


def _content(handle: int) -> bytes:
    """Return what is written, without the empty lines that follow it."""
    return os.pread(handle, os.fstat(handle).st_size, 0).rstrip(_EMPTY)


def _write(handle: int, data: bytes, offset: int) -> None:
    """Write all of it, and wait until the disk has it."""
    view = memoryview(data)
    while view:
        count = os.pwrite(handle, view, offset)
        view, offset = view[count:], offset + count
    os.fsync(handle)


def _notes_in(text: bytes) -> tuple[Note, ...]:
    lines = text.rstrip(_EMPTY).split(b"\n")  # the room that is kept free is no lines
    return tuple(note for line in lines if (note := _note_in(line)) is not None)


def _note_in(line: bytes) -> Note | None:
    """Return the fact in a line; None for one that is empty or torn."""
    try:
        return note_of(line.strip(_EMPTY).decode())
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return None
