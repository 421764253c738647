"""Bars on disk, for processes that all read the same pages of memory.

One .npy file a column, mapped copy-on-write: pages are shared, and who writes to one has his own.
They are not mapped read-only, because compiled code takes such arrays for another type and would be
compiled anew in every child. A folder carries the pid of the process that wrote it, so that those
of a killed search are found and removed by the next one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from roboinvest.core.errors import BadSettings
from roboinvest.core.market.session_bars import SessionBars, among

_COLUMNS: Final = tuple(
    each.name for each in fields(SessionBars) if each.name not in ("symbol", "others")
)
_PREFIX: Final = "bars-"


def write_bars(scratch: Path, bars: Mapping[str, SessionBars]) -> Path:
    """Write bars into a new folder under `scratch` and return it.

    Raises:
        BadSettings: the disk is full, or `scratch` cannot be written.
    """
    try:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_abandoned(scratch)
        folder = _new_folder(scratch)
        symbols = sorted(bars)
        for number, symbol in enumerate(symbols):
            place = folder / str(number)
            place.mkdir()
            for column in _COLUMNS:
                np.save(
                    place / f"{column}.npy", np.ascontiguousarray(getattr(bars[symbol], column))
                )
        (folder / "symbols.json").write_text(json.dumps(symbols))
    except OSError as error:
        raise BadSettings(
            f"bars for a search cannot be laid down in {scratch} ({error.strerror}); make room, "
            "or search in this process alone"
        ) from error
    return folder


def read_bars(folder: Path) -> dict[str, SessionBars]:
    """Return the bars that `write_bars` laid down, mapped, with all others beside each.

    Raises:
        OSError, ValueError: the folder is gone or damaged.
    """
    symbols: list[str] = json.loads((folder / "symbols.json").read_text())
    return among({symbol: _mapped(folder / str(n), symbol) for n, symbol in enumerate(symbols)})


def _mapped(folder: Path, symbol: str) -> SessionBars:
    columns: dict[str, Any] = {
        name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in _COLUMNS
    }
    return SessionBars(symbol=symbol, **columns)


def remove_bars(folder: Path) -> None:
    """Remove what `write_bars` laid down; who has mapped it keeps it."""
    shutil.rmtree(folder, ignore_errors=True)


def _new_folder(scratch: Path) -> Path:
    number = 0
    while True:
        folder = scratch / f"{_PREFIX}{os.getpid()}-{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return folder


def _remove_abandoned(scratch: Path) -> None:
    for folder in scratch.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not _lives(int(pid)):
            remove_bars(folder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
