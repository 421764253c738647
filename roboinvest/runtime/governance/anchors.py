"""The anchors of the audit log: a line for each transaction that wrote to it, in a log file.

They are written after the commit. A process that dies in between leaves a tail that nothing
anchors; the next process that opens the file anchors it. A line that a power cut tore is taken
away before the next one is written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from roboinvest.core.audit import Anchor, Break, anchor_line, anchor_of
from roboinvest.core.errors import BadInput
from roboinvest.core.ports import Clock
from roboinvest.runtime.folder import sync_folder
from roboinvest.runtime.governance.turns import PATIENCE_S, take_turn

_LONGEST_LINE: Final = 400  # bytes


def anchors_beside(database: Path) -> Path:
    """Return where the anchors of a governance file lie unless somebody says otherwise."""
    return database.parent / "audit_anchors.jsonl"


class AnchorLog:
    """Appends anchors to one file; several processes may."""

    def __init__(self, path: Path, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self.path = path
        self._clock = clock
        self._patience_s = patience_s

    def append(self, anchor: Anchor) -> None:
        """Write an anchor, durably.

        Raises:
            OSError: the file cannot be written.
            TryLater: others held it for too long.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            take_turn(handle, self.path, self._clock, patience_s=self._patience_s)
            _drop_torn_line(handle)
            os.write(handle, anchor_line(anchor).encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        if is_new:
            sync_folder(self.path.parent)

    def last(self) -> Anchor | None:
        """Return the anchor of the last whole line; None where there is none."""
        found, _ = read_anchors(self.path)
        return found[-1] if found else None


def read_anchors(path: Path) -> tuple[Sequence[Anchor], Sequence[Break]]:
    """Return the anchors of a file, and its lines that are none; a torn last line is neither.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return (), ()
    anchors: list[Anchor] = []
    breaks: list[Break] = []
    lines = content.split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        try:
            anchors.append(anchor_of(line.decode()))
        except (BadInput, UnicodeDecodeError):
            text = f"line {number} of {path.name} is no anchor: it was edited"
            breaks.append(Break(number=0, text=text))
    return anchors, breaks


def _drop_torn_line(handle: int) -> None:
    """Take away what stands after the last end of a line."""
    size = os.fstat(handle).st_size
    begin = max(0, size - _LONGEST_LINE)
    tail = os.pread(handle, size - begin, begin)
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(handle, begin + tail.rfind(b"\n") + 1 if b"\n" in tail else begin)
