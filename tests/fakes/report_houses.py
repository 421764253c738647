"""A data folder with a few ticks, and whoever makes its daily reports, under any clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from meta_agents.daily_report.archive import ReportArchive
from meta_agents.daily_report.books import HouseBooks
from meta_agents.daily_report.service import DailyReports
from roboinvest.core.events import Event
from roboinvest.core.ports import Clock
from roboinvest.core.records import canonical_json
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.store import Store
from tests.fakes.clocks import ManualClock
from tests.fakes.records import commit, record


@dataclass(slots=True)
class ReportHouse:
    """The parts, and what was published."""

    folder: DataFolder
    archive: ReportArchive
    books: HouseBooks
    reports: DailyReports
    published: list[Event] = field(default_factory=list)


@contextmanager
def report_house(
    root: Path,
    clock: Clock,
    in_flight: InFlight,
    *,
    mode: str = "paper",
    running: bool = True,
    run_now: Callable[[], datetime | None] | None = None,
) -> Iterator[ReportHouse]:
    """Open the reports of a folder; it is held as by a daemon, unless none is running."""
    folder = DataFolder(root)
    folder.create()
    if running:
        folder.hold()
    if not folder.stamped():
        folder.write_stamp({"mode": mode, "symbols": ["AAA", "BBB"]})
    published: list[Event] = []
    try:
        with ThreadPoolExecutor(1) as pool:
            threads = Threads(pool, in_flight)
            books = HouseBooks(folder, clock=clock, in_flight=in_flight, threads=threads)
            archive = ReportArchive(folder.reports)
            reports = DailyReports(
                books,
                archive,
                redactor=Redactor(),
                clock=clock,
                threads=threads,
                publish=published.append,
                run_now=run_now,
            )
            yield ReportHouse(folder, archive, books, reports, published)
    finally:
        folder.release()


async def ticks_at(root: Path, in_flight: InFlight, *instants: datetime) -> None:
    """Commit a tick at each instant; the market rises by a hundredth with each."""
    root.mkdir(parents=True, exist_ok=True)
    store = await Store.open(root / "roboinvest.db", in_flight=in_flight, clock=ManualClock())
    try:
        for number, at in enumerate(instants):
            body = {
                "observations": {"AAA": {"close": 100.0 * 1.01**number}},
                "actions": [],
            }
            tick = record(
                number, tick_id=f"{at:%Y%m%dT%H%M%SZ}", at=at, session_day=at.date(),
                body=canonical_json(body),
            )  # fmt: skip
            await store.commit_tick(commit(number, record=tick))
    finally:
        await store.close()
