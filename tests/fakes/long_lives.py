"""A daemon that is started again and again on one data folder, under virtual time.

What looks after the house is the product's own composition, with its supervisor, bus and board;
there is nobody to trade. Each life has a loop, a clock and objects of its own: nothing but the
folder connects it with the next one. Run as a module it is one life that ends itself as a power cut
would: `python -m tests.fakes.long_lives FOLDER HOUR HOURS NAME` dies when a file whose name begins
with NAME is about to be put in its place, or, with NAME `ask`, when the meeting asks its model.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from meta_agents.daily_report.archive import FOLDER, ReportArchive
from meta_agents.overseer_machine import Readings
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.overseer import Oversight
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.keeper import AlertKeeper
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.fuse import Blown
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group, Service
from roboinvest.runtime.supervision.supervisor import HouseEnd, Supervisor
from roboinvest.trading.gate import TradingGate
from tests.fakes.clocks import START, LoopClock
from tests.fakes.overseen import PlantedModel
from tests.fakes.report_houses import ticks_at
from tests.fakes.virtual_time import run_virtual
from tests.fakes.worlds import invented

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ASK = "ask"
SELDOM = {"overseer.health_interval_s": 600.0, "overseer.healing_interval_s": 3600.0}
_WELL = {"memory_frac": 0.3, "cpu_frac": 0.2, "open_files_frac": 0.1}


@dataclass(kw_only=True)
class Daemon:
    """One life; made and lived on the loop."""

    folder: Path
    in_flight: InFlight
    begins: datetime
    settings: dict[str, Any] = field(default_factory=lambda: dict(SELDOM))
    model: Any = field(default_factory=PlantedModel)
    others: tuple[Service, ...] = ()  # who is watched as well
    rows: int = 0  # of market data that were used so far
    said: list[Event] = field(default_factory=list)
    end: HouseEnd | None = None

    def __post_init__(self) -> None:
        self.clock = LoopClock(self.begins)
        self.data = DataFolder(self.folder)
        self.bus = EventBus(self.clock)
        self.board = AlertBoard(self._keep)
        halt_file = HaltFile(self.data.halt)
        market = replace(invented(3, sessions=2), mode="paper", is_live=True)
        self.oversight = Oversight(
            load_settings(None, {}, self.settings),
            market,
            self.data,
            models=OpenedModels(model=self.model),
            installed=None,
            bus=self.bus,
            gate=TradingGate(halt_file),
            halt_file=halt_file,
            lag_s=lambda: 0.0,
            clock=self.clock,
            in_flight=self.in_flight,
            secrets=Secrets(),
            reads=lambda: Readings(process=_WELL, folder={"disk_frac": 0.4}, trouble=None),
        )
        self.tree: Supervisor | None = None
        self._health: Any = None

    async def live(self, lasts: timedelta) -> None:
        """Live for so long, or until the house ends by itself."""
        if self._board_file.exists():
            self.board.restore(self._board_file.read_text(encoding="utf-8"))
        about: tuple[type[AlertRaised | AlertResolved], ...] = (AlertRaised, AlertResolved)
        self.bus.subscribe("said", (Event,), self._hear)
        self.bus.subscribe("board", about, self.board.receive)
        watchers = self.oversight.children(self._tree, self.board, self._counts, has_broker=False)
        self._health = next(each.service for each in watchers if each.service.name == "health")
        keeper = AlertKeeper(self.board, self.clock, interval_s=600.0)
        fuse = Child(service=self.oversight.fuse, essential=True)
        self.tree = Supervisor(
            [
                Group(children=(Child(service=self.bus, essential=True),)),
                Group(children=(Child(service=keeper), fuse)),
                Group(children=tuple(Child(service=each) for each in self.others)),
                Group(children=watchers),
            ],
            clock=self.clock,
            rng=random.Random(1),
            publish=self.bus.publish,
            limits=RestartLimits(),
            hopeless=(Blown,),
        )
        stops = asyncio.get_running_loop().call_later
        stops(lasts.total_seconds(), self.tree.request_stop, "the end")
        try:
            self.end = await self.tree.run()
        finally:
            self.oversight.close()

    def at(self, after: timedelta, plant: Callable[[], object]) -> None:
        """Do something at a moment of this life."""
        asyncio.get_running_loop().call_at(after.total_seconds(), plant)

    def health_passes(self) -> int:
        """Return how often everybody was looked at."""
        return int(self._health.service.passes)

    def healing_passes(self) -> int:
        """Return how often healing went round."""
        healer = self.oversight._healer
        return 0 if healer is None else healer.passes

    def raised(self) -> list[AlertRaised]:
        """Return every alert that was raised."""
        return [event for event in self.said if isinstance(event, AlertRaised)]

    @property
    def _board_file(self) -> Path:
        return self.folder / "alerts.board"

    async def _keep(self, name: str, text: str) -> None:
        self._board_file.write_text(text, encoding="utf-8")

    async def _hear(self, event: Event) -> None:
        self.said.append(event)

    def _counts(self) -> DataCounts:
        return DataCounts(rows=self.rows, used=self.rows, quarantined=0, by_reason={})

    def _tree(self) -> Supervisor:
        assert self.tree is not None
        return self.tree


def life(
    folder: Path,
    begins: datetime,
    lasts: timedelta,
    plant: Callable[[Daemon], object] = lambda _: None,
    **more: Any,
) -> Daemon:
    """Let a daemon live once, with a committed tick at its start; `plant` is called on its loop."""
    in_flight = InFlight()

    async def main() -> Daemon:
        with held(folder):
            await ticks_at(folder, in_flight, begins)
            daemon = Daemon(folder=folder, in_flight=in_flight, begins=begins, **more)
            plant(daemon)
            await daemon.live(lasts)
        return daemon

    return run_virtual(main, in_flight)


@contextmanager
def held(folder: Path) -> Iterator[DataFolder]:
    """Hold a data folder as a daemon does."""
    data = DataFolder(folder)
    data.hold()
    try:
        if not data.stamped():
            data.write_stamp({"mode": "paper", "symbols": ["AAA", "BBB"]})
        yield data
    finally:
        data.release()


def report_days(folder: Path) -> dict[date, int]:
    """Return the days that have a whole report, and when each was written (ns)."""
    archive = ReportArchive(DataFolder(folder).reports)
    days = sorted(archive.whole_days())
    return {day: archive.path(day).stat().st_mtime_ns for day in days}


def meetings(folder: Path) -> list[tuple[str, str | None, str | None]]:
    """Return day, time of its decision and of its end, of each meeting."""
    columns = "day, decided_at, done_at"
    return _rows(folder, f"SELECT {columns} FROM meetings ORDER BY day")  # noqa: S608 ours


def decisions(folder: Path) -> list[tuple[str, str]]:
    """Return the day and the fingerprint of each decision."""
    return _rows(folder, "SELECT day, fingerprint FROM decisions ORDER BY rowid")


def cadence_runs(folder: Path, name: str) -> int:
    """Return how often a loop of the Overseer's file was done."""
    rows = _rows(folder, "SELECT runs FROM cadences WHERE name = ?", name)
    return int(rows[0][0]) if rows else 0


def _rows(folder: Path, statement: str, *values: object) -> list[Any]:
    with sqlite3.connect(folder / "overseer.db") as connection:
        found = connection.execute(statement, values).fetchall()
    connection.close()
    return found


class DyingModel(PlantedModel):
    """The process ends while the meeting waits for an answer."""

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Die, if a meeting asks."""
        if about.startswith("m2026"):
            _die()
        return await super().ask(task, inputs, about=about)


def _die() -> None:
    print("dies", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, hour: float, hours: float, name: str) -> None:
    """Live once, and die at the named moment."""
    reports = DataFolder(folder).reports / FOLDER

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "os.rename":
            return
        target = Path(os.fsdecode(arguments[1]))
        if target.name.startswith(name) and target.is_relative_to(reports.parent):
            _die()

    sys.addaudithook(look)
    model = DyingModel() if name == ASK else PlantedModel()
    life(folder, START + hour * HOUR, hours * HOUR, model=model)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
