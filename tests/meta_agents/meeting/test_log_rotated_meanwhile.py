"""A log that is rotated while a meeting reads it: every line is read once, none twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from meta_agents.meeting.sources import LogInThreads
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.log_tail import MAX_RECORDS, LogTail
from roboinvest.runtime.oversight.threads import Threads

ResultT = TypeVar("ResultT")
FIRST, MORE, LAST = MAX_RECORDS + 500, 700, 300  # lines; the first are more than one part


class Busy(Threads):
    """Threads beside which somebody does something after each job."""

    def __init__(self, pool: ThreadPoolExecutor, meanwhile: Iterator[Callable[[], None]]) -> None:
        super().__init__(pool, InFlight())
        self._meanwhile = meanwhile

    async def do(self, what: str, work: Callable[[], ResultT]) -> ResultT:
        """Do it, and let the others do theirs."""
        result = await super().do(what, work)
        next(self._meanwhile, lambda: None)()
        return result


class Log:
    """A log of numbered lines."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "roboinvest.log"
        self.written = 0

    def write(self, lines: int) -> None:
        """Write some."""
        with self.path.open("a") as file:
            for _ in range(lines):
                line = {"ts": "2026-01-05T14:30:00Z", "level": "error", "event": "feed_failed"}
                file.write(json.dumps({**line, "number": self.written}) + "\n")
                self.written += 1

    def rotate(self) -> None:
        """Put the file aside, and begin another one."""
        older = self.path.with_name(f"{self.path.name}.1")
        if older.exists():
            older.rename(self.path.with_name(f"{self.path.name}.2"))
        self.path.rename(older)


@pytest.mark.parametrize("rotations", [1, 2])
async def test_every_line_is_read_once_whatever_rotates_meanwhile(
    tmp_path: Path, rotations: int
) -> None:
    log = Log(tmp_path)
    log.write(FIRST)

    def turned() -> None:
        for _ in range(rotations):
            log.rotate()
            log.write(MORE)

    meanwhile = iter([turned])
    with ThreadPoolExecutor(1) as pool:
        source = LogInThreads(LogTail(log.path, ("error",)), Busy(pool, meanwhile))
        first = await source.since(None)
        log.write(LAST)
        log.rotate()
        log.write(LAST)
        second = await source.since(first.mark)
        third = await source.since(second.mark)
    numbers = [record["number"] for part in (first, second, third) for record in part.records]
    assert len(first.records) == FIRST + rotations * MORE
    assert numbers == list(range(log.written))
    assert not third.records
    assert first.skipped + second.skipped == 0
