"""Where a meeting reads and writes in this house: log, daily reports, and what a frontend sees."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from meta_agents.meeting.facts import ReportFacts, report_facts
from meta_agents.meeting.ports import LogPart
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.folder import replace_file
from roboinvest.runtime.log_tail import Bookmark, LogTail
from roboinvest.runtime.oversight.threads import Threads

_PARTS: Final = 50  # of a log that are read at one meeting; the rest waits for the next


class LogInThreads:
    """The log of a data folder."""

    def __init__(self, tail: LogTail, threads: Threads) -> None:
        self._tail, self._threads = tail, threads

    async def since(self, mark: str | None) -> LogPart:
        """Read on from a mark; one that cannot be read begins anew."""
        try:
            bookmark = None if mark is None else Bookmark.from_json(mark)
        except BadInput:
            bookmark = None
        records: list[Mapping[str, Any]] = []
        skipped = 0
        for _ in range(_PARTS):
            read = partial(self._tail.read, bookmark)
            part = await self._threads.do("the log", read)
            records += part.records
            skipped += part.counts.corrupt + part.counts.too_long
            bookmark = part.bookmark
            if part.is_done:
                break
        kept = None if bookmark is None else bookmark.to_json()
        return LogPart(records=records, mark=kept, skipped=skipped)


class ReportFiles:
    """The daily reports of a folder: daily_report_<date>.json, the newest date first."""

    def __init__(self, folder: Path, threads: Threads) -> None:
        self._folder, self._threads = folder, threads

    async def newest(self) -> ReportFacts | None:
        """Read the newest."""
        return await self._threads.do("the daily report", self.read)

    def read(self) -> ReportFacts | None:
        """Read the newest; blocking."""
        names = sorted(self._folder.glob("daily_report_????-??-??.json"), reverse=True)
        try:
            return report_facts(names[0].read_bytes()) if names else None
        except OSError as error:
            raise TryLater(f"{names[0]} cannot be read ({error.strerror}); look at it") from error


class JsonFolder:
    """JSON documents in a folder, each written whole or not at all."""

    def __init__(self, folder: Path, threads: Threads) -> None:
        self._folder, self._threads = folder, threads

    async def show(self, name: str, text: str) -> None:
        """Write a document."""

        def write() -> None:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(self._folder / f"{name}.json", f"{text}\n".encode())
            except OSError as error:
                raise TryLater(
                    f"{self._folder} cannot be written ({error.strerror}); look at it"
                ) from error

        await self._threads.do(f"{name}.json", write)
