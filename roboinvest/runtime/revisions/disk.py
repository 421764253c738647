"""The few things that the store asks of a disk, one call each.

A port, because a disk that is full or a machine that dies has to be met at every one of these
calls. Nothing follows a symbolic link, nothing is written over.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, Protocol

from roboinvest.runtime.folder import sync_folder

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SEALED: Final = 0o444  # mode of a file of a revision


class Disk(Protocol):
    """Where revisions lie."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, for our user only; the one above is there."""

    def write_new(self, path: Path, content: bytes) -> None:
        """Write a file that is not there yet, read-only, and make its content durable."""

    def rename(self, path: Path, to: Path) -> None:
        """Give a file or folder another name, at once."""

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable."""

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with what is in it; what is not there is left so."""


class LocalDisk:
    """The machine's own disk."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, for our user only; the one above is there."""
        path.mkdir(mode=0o700)

    def write_new(self, path: Path, content: bytes) -> None:
        """Write a file that is not there yet, read-only, and make its content durable."""
        with os.fdopen(os.open(path, _NEW, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), SEALED)
            os.fsync(file.fileno())

    def rename(self, path: Path, to: Path) -> None:
        """Give a file or folder another name, at once."""
        path.rename(to)

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        sync_folder(folder)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with what is in it; what is not there is left so."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
