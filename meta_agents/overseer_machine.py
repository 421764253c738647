"""The machine and the data folder: gauges of the process, and whether anything can be written.

Read in a thread, because a disk may hang; a folder is believed when a file was written into it and
read back. Memory is measured against what the house could have: its own and what is free.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from meta_agents.overseer import MACHINES, Overseer
from roboinvest.core.errors import TryLater
from roboinvest.core.oversight.fingerprints import fingerprint_of
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.threads import Threads

PROBE: Final = ".overseer"
PROCESS, FOLDER = MACHINES


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
        self._most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._process.cpu_percent()  # the first reading is always zero

    def read(self) -> Readings:
        """Return the gauges, and whether the folder can be written."""
        rss, free = self._process.memory_info().rss, psutil.virtual_memory().available
        process = {"memory_frac": rss / max(rss + free, 1)}
        process["cpu_frac"] = self._process.cpu_percent() / 100.0  # of one core
        if self._most_files > 0:
            process["open_files_frac"] = self._process.num_fds() / self._most_files
        folder: dict[str, float] = {}
        try:
            folder["disk_frac"] = psutil.disk_usage(str(self._root)).percent / 100.0
            self._try()
        except OSError as error:
            return Readings(process=process, folder=folder, trouble=error)
        return Readings(process=process, folder=folder, trouble=None)

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

    async def take(self) -> None:
        """Take a reading; a disk that does not answer is one that failed."""
        began = self._clock.monotonic()
        process, folder = self._overseer.vitals(PROCESS), self._overseer.vitals(FOLDER)
        lag_s = self._lag_s()
        if lag_s < 1e6:
            process.gauge("loop_lag_s", lag_s, began)
        try:
            found = await self._threads.do("a look at the machine", self._read)
        except TryLater as error:
            folder.failed(self._clock.monotonic(), fingerprint_of(error))
            return
        at = self._clock.monotonic()
        process.progressed(at)
        for name, value in found.process.items():
            if name != "cpu_frac" or self._with_cpu:
                process.gauge(name, value, at)
        for name, value in found.folder.items():
            folder.gauge(name, value, at)
        if found.trouble is not None:
            folder.failed(at, fingerprint_of(found.trouble))
            return
        folder.succeeded(at, max(at - began, 0.0))
        folder.progressed(at)
