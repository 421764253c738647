"""The service that keeps the report files true.

It is a bystander: an unwritable folder, or a source that is away, is logged and raised as one
alert, and trading never hears of it. Only what changed is written, and a write that is stuck in a
thread is not joined by a second one for the same file: a later round writes what is latest then.
It asks for figures and has none of its own; how a file is written is in `report_files`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import structlog

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.folder import disk_words
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.reports.fields import Report
from roboinvest.runtime.reports.files import read_report, write_json_atomically
from roboinvest.runtime.reports.models import (
    REPORTS,
    Alerts,
    Budget,
    Performance,
    Positions,
    SystemStatus,
    Trades,
)
from roboinvest.runtime.supervision.service import ServiceContext

ALERT_KEY: Final = "reports.unwritable"
FILE_TIMEOUT_S: Final = 5.0  # for one file: asking the source, and writing
FINAL_TIMEOUT_S: Final = 3.0  # for all of them, when the house stops
_STAMP: Final = {"generated_at", "sequence"}


class ReportSource(Protocol):
    """Whoever knows the figures. Each call returns a report that is true now."""

    async def system_status(self) -> SystemStatus:
        """Return what the daemon is doing."""

    async def performance(self) -> Performance:
        """Return what it came to."""

    async def positions(self) -> Positions:
        """Return what is held."""

    async def trades(self) -> Trades:
        """Return the latest round trips."""

    async def alerts(self) -> Alerts:
        """Return the alerts, open ones first."""

    async def budget(self) -> Budget:
        """Return what language models cost."""


class ReportWriter:
    """The service that keeps the report files true."""

    name: Final = "reports"

    def __init__(
        self,
        folder: Path,
        source: ReportSource,
        *,
        interval_s: float,
        pool: Executor,
        clock: Clock,
        in_flight: InFlight,
        publish: Callable[[Event], None],
    ) -> None:
        self._folder = folder
        self.interval_s = interval_s  # may be changed at any time
        self._pool = pool
        self._clock = clock
        self._in_flight = in_flight
        self._publish = publish
        self._log = structlog.get_logger("roboinvest.reports")
        self._sources: Mapping[str, Callable[[], Awaitable[Report]]] = {
            "system_status": source.system_status,
            "performance": source.performance,
            "positions": source.positions,
            "trades": source.trades,
            "alerts": source.alerts,
            "budget": source.budget,
        }
        self._written: dict[str, Report] = {}
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._trouble: str | None = ""  # empty: not known, and an earlier run may have told it

    async def run(self, ctx: ServiceContext) -> None:
        """Write what changed at every interval, and once more when the house stops."""
        with self._in_flight:
            await self._submit(self._begin)
        try:
            async for _ in ctx.every(lambda: self.interval_s):
                await self.write_all()
        finally:
            await self._write_last()

    async def write_all(self) -> None:
        """Write every report whose content changed. Trouble is an alert, not an error."""
        trouble: str | None = None
        for name in self._sources:
            try:
                async with asyncio.timeout(FILE_TIMEOUT_S):
                    await self._write(name)
            except (OSError, TryLater) as error:  # OSError holds TimeoutError
                trouble = trouble or f"{name}.json was not written: {_words(error)}"
        self._note(trouble)

    def path(self, name: str) -> Path:
        """Return where a report is written."""
        return self._folder / f"{name}.json"

    async def _write(self, name: str) -> None:
        under_way = self._under_way.get(name)
        if under_way is not None and not under_way.done():
            raise TryLater("the write before it has not come back from the disk")
        report = await self._sources[name]()
        before = self._written.get(name)
        if before is not None and _content(before) == _content(report):
            return
        sequence = before.sequence + 1 if before else report.sequence
        stamp = {"sequence": sequence, "generated_at": self._clock.now()}
        stamped = report.model_copy(update=stamp)
        write = self._submit(partial(write_json_atomically, self.path(name), stamped))
        self._under_way[name] = write
        with self._in_flight:
            await asyncio.shield(write)  # a thread cannot be cancelled, only left behind
        self._written[name] = stamped

    async def _write_last(self) -> None:
        try:
            async with asyncio.timeout(FINAL_TIMEOUT_S):
                if self._under_way:  # what was cut off by the stop is still in its thread
                    with self._in_flight:
                        await asyncio.wait(self._under_way.values())
                await self.write_all()
        except TimeoutError:
            self._log.warning("last_reports_not_written", within_s=FINAL_TIMEOUT_S)

    def _begin(self) -> None:
        """Go on counting where the files on disk stopped, and clear what a kill left behind."""
        for name, model in REPORTS.items():
            path = self.path(name)
            try:
                for part in self._folder.glob(f"{path.name}.part-*"):
                    part.unlink(missing_ok=True)
                self._written.setdefault(name, read_report(path, model))
            except (BadInput, TryLater, OSError):
                continue  # absent or unreadable: it is written anew, and trouble shows then

    def _submit(self, work: Callable[[], None]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _note(self, trouble: str | None) -> None:
        before, at = self._trouble, self._clock.now()
        if (before is None) if trouble is None else before:
            return  # it is no news
        self._trouble = trouble
        if trouble is None:
            if before:
                self._log.info("reports_written_again")
            message = "the report files are written again"
            self._publish(AlertResolved(at=at, key=ALERT_KEY, message=message))
            return
        self._log.warning("reports_not_written", trouble=trouble)
        self._publish(
            AlertRaised(
                at=at, key=ALERT_KEY, severity=Severity.MEDIUM, kind="system", message=trouble
            )
        )


def _content(report: Report) -> Report:
    return report.model_copy(update=dict.fromkeys(_STAMP))


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return disk_words(error)
    return str(error) or type(error).__name__
