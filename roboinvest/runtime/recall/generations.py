"""The folders of the index: one is served, named by a pointer file, and no folder is used twice.

A live Chroma never has its folder deleted or recreated below it: each rebuild gets a new number,
the pointer moves by atomic replace, and the folders left behind go once the new one serves. One
damaged folder is kept for a look. Everything here blocks; callers use a thread.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

POINTER: Final = "CURRENT"
_NUMBERED: Final = re.compile(r"(?:generation|damaged)-(\d+)")


class Generations:
    """The folders under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def current(self) -> Path | None:
        """Return the folder the pointer names; None where either cannot be used."""
        name = self._pointed()
        if name is None or not (self._root / name).is_dir():
            return None
        return self._root / name

    def begin(self) -> Path:
        """Make the next folder and point at it before anything is put there.

        The pointer goes first so that a kill in the middle of a rebuild is found as a wrong count,
        never as an old index that looks complete.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        folder = self._root / f"generation-{self._last_number() + 1:04d}"
        folder.mkdir()
        fresh = self._root / f"{POINTER}.new"
        fresh.write_text(folder.name + "\n", encoding="utf-8")
        fresh.replace(self._root / POINTER)
        return folder

    def quarantine(self, folder: Path) -> None:
        """Set a damaged folder aside under another name, in place of the one kept before."""
        if not folder.is_dir():
            return
        for older in self._root.glob("damaged-*"):
            shutil.rmtree(older, ignore_errors=True)
        folder.rename(folder.with_name(folder.name.replace("generation-", "damaged-")))

    def discard(self, folder: Path) -> None:
        """Remove a folder that no server uses."""
        shutil.rmtree(folder, ignore_errors=True)

    def forget_all_but(self, folder: Path) -> None:
        """Remove the generations that no server uses any more."""
        for other in self._root.glob("generation-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)

    def _pointed(self) -> str | None:
        try:
            name = (self._root / POINTER).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None  # whatever is wrong with it, the table can fill another index
        return name if name.startswith("generation-") and _NUMBERED.fullmatch(name) else None

    def _last_number(self) -> int:
        names = [path.name for path in self._root.iterdir()] + [self._pointed() or ""]
        found = [_NUMBERED.fullmatch(name) for name in names]
        return max((int(match[1]) for match in found if match), default=0)


def fingerprint(folder: Path) -> tuple[int, int] | None:
    """Return what tells this folder's database from one put in its place; None where it is gone.

    A server whose folder was deleted answers from its open files as if nothing had happened.
    """
    try:
        found = (folder / "chroma.sqlite3").stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
