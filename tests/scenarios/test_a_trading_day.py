"""The whole house lives through a day of 390 ticks under virtual time.

Supervisor, bus, gate watch, reports, retention, control port, trading and store are the daemon's
own; only the time is not real. In the end everything that says something of the day agrees: the
store, the report files, the summary, and what is still open.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta_agents.report_schemas import json_schemas, schema_name
from roboinvest.app.house import House
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.core.events import AlertResolved, Event
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.reports.models import REPORTS
from roboinvest.runtime.reports.writer import ReportWriter
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus
from roboinvest.runtime.supervision.watchdog import ForcedExit
from tests.fakes.clocks import START, LoopClock, ManualClock
from tests.fakes.reports import SetReports, system_status
from tests.fakes.services import context
from tests.fakes.town import books_in
from tests.fakes.virtual_time import run_virtual
from tools.markets import MID_SESSION, Market, open_market

POOLS = ("reports", "recall", "overseer")


@dataclass(frozen=True)
class Day:
    """What was left of a day."""

    folder: DataFolder
    outcome: Outcome
    reports: dict[str, Any]
    books: dict[str, list[dict[str, Any]]]
    services: Sequence[ServiceStatus]
    took_s: float  # virtual
    tasks_left: int


def settings_of(folder: Path, cash: int) -> Settings:
    typed = {
        "data_dir": folder,
        "memory.chroma": "off",
        "simulated.symbols": "ALFA,CHRL",
        "broker.starting_cash_usd": cash,
    }
    return load_settings(None, {}, typed)


def one_day(settings: Settings, late: timedelta) -> Market:
    market = open_market(settings)
    opens_at, day = market.starts_at - MID_SESSION, market.starts_at.date()
    return replace(market, starts_at=opens_at + late, last_day=day)


def lived(
    folder: Path,
    *,
    beside: Callable[[House], Coroutine[Any, Any, None]] | None = None,
    cash: int = 100_000,
    late: timedelta = timedelta(0),
) -> Day:
    """Let a house live through a day, and somebody do something `beside` it."""
    settings, data = settings_of(folder, cash), DataFolder(folder)
    data.hold()
    in_flight = InFlight()

    async def main() -> tuple[Outcome, Sequence[ServiceStatus], float, int]:
        house = House(
            settings,
            one_day(settings, late),
            data,
            RunOptions(exit_when_done=True),
            clock=LoopClock(),
            in_flight=in_flight,
        )
        forced = ForcedExit(after_s=25.0, clock=ManualClock(), end_process=lambda _: None)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(house.run(forced))
            if beside is not None:
                group.create_task(beside(house))
        left = len(asyncio.all_tasks()) - 1  # this one
        took_s = asyncio.get_running_loop().time()
        return running.result(), house.services(), took_s, left

    try:
        outcome, services, took_s, left = run_virtual(main, in_flight)
    finally:
        data.release()
    assert in_flight.count == 0
    return Day(
        folder=data,
        outcome=outcome,
        reports={p.stem: json.loads(p.read_text()) for p in data.reports.glob("*.json")},
        books=books_in(data.database),
        services=services,
        took_s=took_s,
        tasks_left=left,
    )


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return lived(tmp_path_factory.mktemp("day") / "data")


def test_the_day_has_all_its_ticks_and_time_passes_at_the_pace_that_was_set(day: Day) -> None:
    assert (day.outcome.exit_code, day.outcome.reason) == (0, "the replay is done")
    assert len(day.books["ticks"]) == 390
    assert day.took_s == pytest.approx(390, abs=3), "one market minute a second"


def test_the_summary_the_store_and_the_reports_tell_the_same_day(day: Day) -> None:
    books, reports, summary = day.books, day.reports, day.outcome.summary
    assert summary is not None
    last = books["ticks"][-1]
    assert len(books["trades"]) > 0, "a day without a trade proves little"
    assert summary["ticks"] == 390
    assert summary["fills"] == len(books["fills"])
    assert summary["orders"] == len(books["orders"])
    assert summary["trades"] == len(books["trades"]) == reports["trades"]["total"]
    assert summary["memories"] == len(books["memories"])
    assert summary["decision_digest"] == last["digest"]
    assert reports["system_status"]["last_tick"]["tick_id"] == last["tick_id"]
    assert reports["system_status"]["last_tick"]["digest"] == last["digest"]
    assert reports["performance"]["equity"] == pytest.approx(float(last["equity"]), abs=0.006)
    assert summary["equity_end"] == reports["performance"]["equity"]
    assert reports["performance"]["trades"] == len(books["trades"])
    assert [line["trade_id"] for line in reports["trades"]["trades"]] == [
        trade["trade_id"] for trade in sorted(books["trades"], key=lambda t: -t["seq"])
    ]
    held = {lot["symbol"] for lot in books["lots"]}
    assert set(reports["positions"]["positions"]) == held


def test_every_dollar_and_every_share_of_the_day_is_accounted_for(day: Day) -> None:
    books = day.books
    last = books["ticks"][-1]
    traded = sum(
        (Decimal(f["qty"]) * Decimal(f["price"]) + Decimal(f["commission"])) for f in books["fills"]
    )
    assert Decimal(last["cash"]) == 100_000 - traded
    assert Decimal(last["realised_pnl"]) == sum(Decimal(t["pnl"]) for t in books["trades"])
    gained = Decimal(last["realised_pnl"]) + Decimal(last["open_pnl"])
    fees_of_open = sum(Decimal(lot["commission"]) for lot in books["lots"])
    assert Decimal(last["equity"]) == 100_000 + gained - fees_of_open
    filled = {o["client_order_id"]: Decimal(o["filled_qty"]) for o in books["orders"]}
    of_fills = dict.fromkeys(filled, Decimal(0))
    for fill in books["fills"]:
        of_fills[fill["client_order_id"]] += abs(Decimal(fill["qty"]))
    assert of_fills == filled


def test_every_report_satisfies_the_schema_that_frontends_are_written_against(day: Day) -> None:
    schemas, found = json_schemas(), set()
    for path in day.folder.reports.rglob("*.json"):
        name = schema_name(str(path.relative_to(day.folder.reports)))
        jsonschema.validate(json.loads(path.read_text()), schemas[name])
        found.add(name)
    assert found >= {*REPORTS, "health", "performance_analysis", "governance_meeting"}


def test_the_status_says_how_the_agents_are_and_when_the_next_meeting_is(day: Day) -> None:
    status = day.reports["system_status"]
    research = ("total_research_cycles", "successful_cycles", "failed_cycles", "insights_generated")
    assert {status[name] for name in research} == {0}, "nothing stands behind them yet"
    assert (status["last_cycle_time"], status["research_tracks"]) == (None, {})
    line, health = status["overseer"], day.reports["health"]
    assert (line["state"], line["healing"], line["open_decisions"]) == ("watching", [], 0)
    assert line["total_agents"] == line["healthy_agents"] == health["total_agents"]
    assert timedelta(0) < datetime.fromisoformat(line["next_meeting"]) - START <= timedelta(days=1)


def test_a_quiet_day_raises_no_alert(day: Day) -> None:
    assert day.reports["alerts"] == {**day.reports["alerts"], "open": 0, "alerts": []}


def test_nothing_is_left_running(day: Day) -> None:
    states = {status.name: status.state for status in day.services}
    assert set(states.values()) <= {ServiceState.STOPPED, ServiceState.FINISHED}
    assert {"bus", "gate_watch", "reports", "trading", "liveness", "control"} <= set(states)
    assert [status.restarts for status in day.services] == [0] * len(states)
    assert day.tasks_left == 0
    assert not day.folder.control_socket.exists()
    for thread in threading.enumerate():
        if thread.name.startswith(POOLS):
            thread.join(5.0)
            assert not thread.is_alive(), thread.name


def test_a_halt_in_the_middle_is_one_alert_that_is_resolved_and_stops_all_orders(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"

    async def person(house: House) -> None:
        await asyncio.sleep(20.2)
        (folder / "HALT").touch()
        await asyncio.sleep(50.0)
        (folder / "HALT").unlink()

    day = lived(folder, beside=person, late=timedelta(minutes=270))
    (alert,) = day.reports["alerts"]["alerts"]
    assert (alert["key"], alert["count"]) == ("halt", 1)
    raised_at, resolved_at = (
        (datetime.fromisoformat(alert[name]) - START).total_seconds()
        for name in ("raised_at", "resolved_at")
    )
    assert 20 < raised_at < 21
    assert 70 < resolved_at < 71
    ticks = day.books["ticks"]
    halted = [t for t in ticks if '"trading_state":"HALTED"' in t["body"]]
    assert len(halted) == 50
    assert len(ticks) == 121, "a halted tick is a tick"
    assert [tick["orders"] for tick in halted] == [0] * 50
    span = (halted[0]["tick_id"], halted[-1]["tick_id"])
    assert not [o for o in day.books["orders"] if span[0] <= o["tick_id"] <= span[1]]


def test_a_finished_day_that_is_started_again_still_reports_what_it_came_to(
    day: Day,
) -> None:
    before = day.reports["performance"]
    again = lived(day.folder.root, cash=50_000)  # too late to matter
    after = again.reports["performance"]
    assert len(again.books["ticks"]) == 390
    for name in ("start_equity", "equity", "trades", "equity_curve", "benchmark"):
        assert after[name] == before[name], name


def test_a_house_that_is_stopped_with_an_open_position_goes_on_with_it(
    day: Day, tmp_path: Path
) -> None:
    (entry, *_) = sorted(day.books["fills"], key=lambda fill: fill["seq"])
    opened_at = datetime.fromisoformat(f"{entry['filled_at']}+00:00")
    ticks = [datetime.fromisoformat(f"{tick['at']}+00:00") for tick in day.books["ticks"]]
    stop_after = sum(at <= opened_at for at in ticks) + 2

    async def service_manager(_house: House) -> None:
        await asyncio.sleep(stop_after + 0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)

    first = lived(tmp_path / "data", beside=service_manager)
    assert (first.outcome.exit_code, first.outcome.reason) == (0, "SIGTERM")
    assert stop_after <= len(first.books["ticks"]) < 390
    assert set(first.reports["positions"]["positions"]) == {entry["symbol"]}
    assert (
        first.reports["system_status"]["last_tick"]["tick_id"]
        == (first.books["ticks"][-1]["tick_id"])
    )

    second = lived(tmp_path / "data")
    for table in set(day.books) - {"documents"}:
        assert second.books[table] == day.books[table], table
    for name in ("equity", "realised_pnl", "trades", "equity_curve", "benchmark"):
        assert second.reports["performance"][name] == day.reports["performance"][name], name


class SlowDisk(ThreadPoolExecutor):
    """Threads whose work, once they are held, waits until the test lets go."""

    def __init__(self) -> None:
        super().__init__(2)
        self.idle = asyncio.Event()  # the first round of reports is on the disk
        self.stuck = asyncio.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._done = 0
        self._loop = asyncio.get_running_loop()

    def hold(self) -> None:
        self._may_go_on.clear()

    def let_go(self) -> None:
        self._may_go_on.set()

    def submit(self, work: Any, /, *args: Any, **named: Any) -> Any:
        def later() -> Any:
            assert self._may_go_on.wait(20.0)
            work(*args, **named)
            self._done += 1
            if self._done > len(REPORTS):  # the first one looks for what is there
                self._loop.call_soon_threadsafe(self.idle.set)

        if not self._may_go_on.is_set():
            self.stuck.set()
        return super().submit(later)


async def test_a_stop_in_the_middle_of_a_write_still_leaves_the_last_figures(
    tmp_path: Path,
) -> None:
    source, said = SetReports(), list[Event]()
    with SlowDisk() as disk:
        writer = ReportWriter(
            tmp_path,
            source,
            interval_s=0.01,
            pool=disk,
            clock=ManualClock(),
            in_flight=InFlight(),
            publish=said.append,
        )
        async with asyncio.timeout(20.0), asyncio.TaskGroup() as group:
            writing = group.create_task(writer.run(context("reports")))
            await disk.idle.wait()
            disk.hold()
            source.system_status_now = system_status(uptime_minutes=20.0)
            await disk.stuck.wait()  # this write is in a thread, and stays there
            source.system_status_now = system_status(uptime_minutes=30.0)
            writing.cancel()
            asyncio.get_running_loop().call_later(0.05, disk.let_go)
    status = json.loads(writer.path("system_status").read_text())
    assert status["uptime_minutes"] == 30.0
    (well,) = said  # from before it
    assert isinstance(well, AlertResolved), "an orderly stop is no trouble"
