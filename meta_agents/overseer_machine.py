"""The machine and the data folder: gauges of the process, and whether anything can be written.

Read in a thread, because a disk may hang; a folder is believed when a file was written into it and
read back. Memory is measured against what the house could have: its own and what is free.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Final

import psutil

from meta_agents.overseer import MACHINES, Overseer
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.oversight.evidence import DISK_SILENT
from roboinvest.core.oversight.fingerprints import fingerprint_of, line_of
from roboinvest.core.oversight.thresholds import CLOCK_OFF, DISK_ANSWERS
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.threads import Threads

PROBE: Final = ".overseer"
PROCESS, FOLDER = MACHINES
STEP_S: Final = 60.0  # by which a wall clock may be set without a word
BELIEVED_S: Final = 86_400.0  # after which a clock that was set is taken for right
_DRIFT_FRAC: Final = 0.1
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What one reading found."""

    process: Mapping[str, float]  # gauges
    folder: Mapping[str, float]
    trouble: OSError | None  # why nothing could be written; None: it could


class Machine:
    """The machine under one data folder. Blocking, for threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first reading is always zero

    def read(self) -> Readings:
        """Return the gauges, and whether the folder can be written."""
        try:
            process = self._gauges()
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
            process = {"open_files_frac": 1.0}  # a look at the others takes a file
            return Readings(process=process, folder={}, trouble=None)
        folder: dict[str, float] = {}
        try:
            folder["disk_frac"] = psutil.disk_usage(str(self._root)).percent / 100.0
            self._try()
        except OSError as error:
            return Readings(process=process, folder=folder, trouble=error)
        return Readings(process=process, folder=folder, trouble=None)

    def _gauges(self) -> dict[str, float]:
        """Return those of the process."""
        rss, free = self._process.memory_info().rss, psutil.virtual_memory().available
        process = {"memory_frac": rss / max(rss + free, 1)}
        process["cpu_frac"] = self._process.cpu_percent() / 100.0  # of one core
        most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # it may be set while we run
        if most_files > 0:
            process["open_files_frac"] = self._process.num_fds() / most_files
        return process

    def _try(self) -> None:
        """Write a file and read it back."""
        path, said = self._root / PROBE, f"{os.getpid()}\n"
        path.write_text(said, encoding="ascii")
        if path.read_text(encoding="ascii") != said:
            raise OSError(0, "what was written cannot be read back", str(path))
        path.unlink()


class MachineSense:
    """Takes readings, and feels the process and the folder by them."""

    def __init__(
        self,
        overseer: Overseer,
        clock: Clock,
        threads: Threads,
        read: Callable[[], Readings],
        *,
        lag_s: Callable[[], float],
        with_cpu: bool = True,
    ) -> None:
        """Take the parts.

        Args:
            overseer: keeps the pulses.
            clock: the machine's.
            threads: for readings.
            read: blocking.
            lag_s: how late the loop is now; infinite: nobody knows.
            with_cpu: False where the house takes all it gets, because it plays its own market.
        """
        self._overseer, self._clock, self._threads = overseer, clock, threads
        self._read, self._lag_s, self._with_cpu = read, lag_s, with_cpu
        self._steps = ClockSteps()

    async def take(self) -> None:
        """Take a reading; a disk that does not answer is one that failed, and the process is well.

        Raises:
            BadInput: a figure is no number; the others were taken.
        """
        began = self._clock.monotonic()
        process, folder = self._overseer.vitals(PROCESS), self._overseer.vitals(FOLDER)
        lag_s = self._lag_s()
        if lag_s < 1e6:
            process.gauge("loop_lag_s", lag_s, began)
        try:
            found = await self._threads.do("a look at the machine", self._read)
        except TryLater as error:
            at = self._clock.monotonic()
            folder.failed(at, line_of(DISK_SILENT, text=str(error)))
            process.progressed(at)  # it asked, and goes on
            return
        at = self._clock.monotonic()
        process.progressed(at)
        process.gauge(CLOCK_OFF, self._steps.off_s(self._clock.now(), at), at)
        self._take(found, began, at)

    def _take(self, found: Readings, began: float, at: float) -> None:
        process, folder = self._overseer.vitals(PROCESS), self._overseer.vitals(FOLDER)
        insane = {
            name: value
            for name, value in (*found.process.items(), *found.folder.items())
            if not isfinite(value)
        }
        for name, value in found.process.items():
            if name not in insane and (name != "cpu_frac" or self._with_cpu):
                process.gauge(name, value, at)
        for name, value in found.folder.items():
            if name not in insane:
                folder.gauge(name, value, at)
        if found.trouble is not None:
            folder.failed(at, fingerprint_of(found.trouble))
        else:
            folder.succeeded(at, max(at - began, 0.0))
            folder.gauge(DISK_ANSWERS, max(at - began, 0.0), at)
            folder.progressed(at)
        for name, value in insane.items():
            raise BadInput(f"{name} of the machine reads {value}; it is left out, look at its tool")


class ClockSteps:
    """How far the wall clock was set, seconds; what lasts long enough is taken for the time."""

    def __init__(self) -> None:
        self._offset_s: float | None = None  # of the wall clock from the other one
        self._off_since: float | None = None

    def off_s(self, wall: datetime, at: float) -> float:
        """Return by how much the wall clock is off at a moment of the clock that is never set."""
        offset_s = wall.timestamp() - at
        if self._offset_s is None:
            self._offset_s = offset_s
        off_s = abs(offset_s - self._offset_s)
        if off_s <= STEP_S:
            self._off_since = None
            self._offset_s += (offset_s - self._offset_s) * _DRIFT_FRAC  # a clock that is slewed
            return off_s
        self._off_since = at if self._off_since is None else self._off_since
        if at - self._off_since >= BELIEVED_S:
            self._offset_s, self._off_since = offset_s, None
        return off_s
