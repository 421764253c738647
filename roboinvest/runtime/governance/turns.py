"""One process at a time: a lock of the kernel that is waited for, and not for ever."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.ports import Clock

PATIENCE_S: Final = 30.0
_LOOK_S: Final = 0.02  # s between two looks


@contextlib.contextmanager
def turn_in(folder: Path, clock: Clock, *, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the turn of a folder, which is made where it is absent; a kill frees it.

    Raises:
        BadSettings: the folder cannot be used.
        TryLater: others held the turn for longer than `patience_s`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BadSettings(
            f"{folder} cannot be used ({error.strerror}); give --data-dir a folder that this "
            "user owns"
        ) from error
    try:
        take_turn(handle, folder, clock, patience_s=patience_s)
        yield
    finally:
        os.close(handle)


def take_turn(handle: int, path: Path, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
    """Lock an open file or folder; closing the handle gives the turn back.

    Raises:
        TryLater: others held it for longer than `patience_s`.
    """
    deadline, looks = clock.monotonic() + patience_s, threading.Event()
    for _ in range(max(1, int(patience_s / _LOOK_S))):  # also where the clock stands still
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= deadline:
                break
            looks.wait(_LOOK_S)
        else:
            return
    raise TryLater(f"{path} was held by others for {patience_s:.0f} s; try again")
