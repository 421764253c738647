"""Report files: always whole, always valid, and never the trouble of anybody else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.reports.files import read_report, write_json_atomically
from roboinvest.runtime.reports.models import REPORTS, Performance, SystemStatus, json_schemas
from roboinvest.runtime.reports.writer import ALERT_KEY, ReportWriter
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.clocks import ManualClock
from tests.fakes.reports import SetReports, budget, performance, samples, system_status
from tests.fakes.virtual_time import run_virtual

REPOSITORY = Path(__file__).resolve().parents[3]


class Desk:
    """A writer with a source, a folder and ears for what it publishes."""

    def __init__(self, folder: Path, pool: Executor, in_flight: InFlight | None = None) -> None:
        self.folder = folder
        self.source = SetReports()
        self.clock = ManualClock()
        self.heard: list[Event] = []
        self.writer = ReportWriter(
            folder,
            self.source,
            interval_s=1.0,
            pool=pool,
            clock=self.clock,
            in_flight=in_flight or InFlight(),
            publish=self.heard.append,
        )

    def on_disk(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return content


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def desk(tmp_path: Path, pool: Executor) -> Desk:
    return Desk(tmp_path / "reports", pool)


# Content


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_report_satisfies_its_schema_and_is_read_back_the_same(
    name: str, tmp_path: Path
) -> None:
    report = samples()[name]
    path = tmp_path / f"{name}.json"
    write_json_atomically(path, report)

    schema = json_schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads(path.read_text())
    jsonschema.Draft202012Validator(schema).validate(content)
    assert read_report(path, type(report)) == report
    for key in content:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate({**content, key: []} | {"odd": 1})


def test_the_field_names_of_the_frontend_are_there() -> None:
    status = json_schemas()["system_status"]["properties"]
    assert {"service_started", "uptime_minutes", "status_updated"} <= set(status)
    assert {"active_research_tracks", "research_tracks"} <= set(status)
    move = json.loads(budget().model_dump_json())["last_move"]
    assert set(move) == {"from", "to", "reason", "at"}


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=8))
def test_money_is_a_number_in_whole_cents(amount: Decimal) -> None:
    written = json.loads(performance(cash=amount).model_dump_json())["cash"]
    text = repr(written)
    assert Decimal(text) == Decimal(text).quantize(Decimal("0.01"))
    assert abs(Decimal(text) - amount) <= Decimal("0.00500001")
    assert text != "-0.0"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), -float("inf")])
def test_what_is_not_a_number_is_refused(value: float | Decimal) -> None:
    with pytest.raises(ValidationError):
        performance(equity=value)


# Files


def test_a_reader_beside_the_writer_never_sees_a_part_of_a_report(tmp_path: Path) -> None:
    path = tmp_path / "system_status.json"
    schema = jsonschema.Draft202012Validator(json_schemas()["system_status"])
    services = system_status().services
    small, large = system_status(services=()), system_status(services=services * 400)
    write_json_atomically(path, small)
    stop = threading.Event()
    seen: list[int] = []

    def read_on() -> None:
        while not stop.is_set():
            seen.append(len(read_report(path, SystemStatus).services))
            if len(seen) % 50 == 1:
                schema.validate(json.loads(path.read_text()))

    with ThreadPoolExecutor(2) as readers:
        reading = [readers.submit(read_on) for _ in range(2)]
        for _ in range(40):
            write_json_atomically(path, large)
            write_json_atomically(path, small)
        stop.set()
        for one in reading:
            one.result(timeout=5)
    assert set(seen) == {0, 400}
    assert [file.name for file in tmp_path.iterdir()] == ["system_status.json"]


async def test_all_reports_are_written_and_only_a_changed_one_again(desk: Desk) -> None:
    await desk.writer.write_all()
    assert {file.name for file in desk.folder.iterdir()} == {f"{name}.json" for name in REPORTS}
    before = {file.name: file.stat().st_ino for file in desk.folder.iterdir()}

    desk.clock.advance(1)
    desk.source.budget_now = budget(tokens=13_000)
    desk.source.performance_now = performance(generated_at=desk.clock.now())  # no new content
    await desk.writer.write_all()

    after = {file.name: file.stat().st_ino for file in desk.folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"budget.json"}
    assert desk.on_disk("budget")["tokens"] == 13_000
    assert desk.on_disk("budget")["sequence"] == desk.on_disk("performance")["sequence"] + 1


async def test_the_first_reports_end_the_alert_that_an_earlier_run_may_have_left(
    desk: Desk,
) -> None:
    for _ in range(3):
        await desk.writer.write_all()
    (resolved,) = desk.heard
    assert isinstance(resolved, AlertResolved)
    assert resolved.key == ALERT_KEY


def test_a_restarted_writer_goes_on_counting_and_clears_what_a_kill_left(
    tmp_path: Path, pool: Executor
) -> None:
    def live(tokens: int) -> Desk:
        in_flight = InFlight()
        desk = Desk(tmp_path, pool, in_flight)
        desk.source.budget_now = budget(tokens=tokens)
        run_virtual(lambda: run_for(desk, 3.5), in_flight)
        return desk

    assert live(1).on_disk("budget")["sequence"] == 0
    assert live(1).on_disk("budget")["sequence"] == 0
    (tmp_path / "budget.json.part-4711").write_text('{"half":')
    (tmp_path / "alerts.json").write_text('{"half":')
    desk = live(2)
    assert desk.on_disk("budget")["sequence"] == 1
    assert desk.on_disk("alerts")["open"] == 1
    assert not list(tmp_path.glob("*.part-*"))


async def run_for(desk: Desk, seconds: float, at_stop: Callable[[], None] = lambda: None) -> int:
    """Run the service under a context and stop it; return its beats."""
    loop_time = asyncio.get_running_loop().time
    ctx = ServiceContext("reports", patience_s=60, ready_within_s=30, loop_time=loop_time)
    task = asyncio.ensure_future(desk.writer.run(ctx))
    await asyncio.sleep(seconds)
    at_stop()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return ctx.beats


def test_the_service_beats_at_its_interval_and_writes_once_more_at_the_stop(
    tmp_path: Path, pool: Executor
) -> None:
    in_flight = InFlight()
    desk = Desk(tmp_path, pool, in_flight)

    def last_words() -> None:
        desk.source.system_status_now = system_status(trading_state_reason="stopping")

    beats = run_virtual(lambda: run_for(desk, 10.5, last_words), in_flight)
    assert beats == 11
    assert desk.on_disk("system_status")["trading_state_reason"] == "stopping"
    assert in_flight.count == 0


# Trouble


async def test_a_folder_that_cannot_be_written_is_one_alert_and_heals(desk: Desk) -> None:
    desk.folder.write_text("a file where the folder should be")
    for _ in range(3):
        await desk.writer.write_all()
    (raised,) = desk.heard
    assert isinstance(raised, AlertRaised)
    assert raised.key == ALERT_KEY

    desk.folder.unlink()
    await desk.writer.write_all()
    await desk.writer.write_all()
    (resolved,) = desk.heard[1:]
    assert isinstance(resolved, AlertResolved)
    assert resolved.key == ALERT_KEY
    assert len(list(desk.folder.iterdir())) == len(REPORTS)


async def test_a_source_that_is_away_does_not_hold_up_the_other_reports(desk: Desk) -> None:
    desk.source.performance_now = TryLater("the store is locked")
    await desk.writer.write_all()
    assert {file.stem for file in desk.folder.iterdir()} == set(REPORTS) - {"performance"}
    (raised,) = desk.heard
    assert isinstance(raised, AlertRaised)
    assert "performance.json was not written: the store is locked" in raised.message


async def test_a_fault_of_ours_is_not_hidden(desk: Desk) -> None:
    desk.source.performance_now = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        await desk.writer.write_all()


class StuckPool(Executor):
    """A pool whose disk does not answer until it is freed."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def free(self) -> None:
        for future, work in self.waiting:
            future.set_result(work())
        self.waiting.clear()


def test_a_stuck_write_is_not_joined_by_a_second_one_and_the_latest_wins(tmp_path: Path) -> None:
    pool = StuckPool()
    desk = Desk(tmp_path, pool)

    async def stuck_then_free() -> None:
        for tokens in (1, 2, 3):
            desk.source.budget_now = budget(tokens=tokens)
            async with asyncio.timeout(60):
                await desk.writer.write_all()
        assert len(pool.waiting) == len(REPORTS)
        pool.free()
        assert desk.on_disk("budget")["tokens"] == 1
        await asyncio.sleep(0.1)

    # the disk is stuck outside any count, so that virtual time passes over the deadlines
    class Uncounted(InFlight):
        def __enter__(self) -> None:
            return

        def __exit__(self, *_: object) -> None:
            return

    desk = Desk(tmp_path, pool, Uncounted())
    run_virtual(stuck_then_free)
    with ThreadPoolExecutor(1) as healthy:
        desk.writer._pool = healthy
        asyncio.run(desk.writer.write_all())
    assert desk.on_disk("budget")["tokens"] == 3
    assert [type(event) for event in desk.heard] == [AlertRaised, AlertResolved]


def test_a_report_that_is_not_there_is_try_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="start the daemon"):
        read_report(tmp_path / "performance.json", Performance)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "the text"),
        ("{}", "generated_at"),
        (performance().model_dump_json().replace('"schema_version":1', '"schema_version":2'), "1"),
    ],
)
def test_a_report_of_another_form_is_bad_input_that_says_where(
    tmp_path: Path, text: str, fault: str
) -> None:
    path = tmp_path / "performance.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=fault):
        read_report(path, Performance)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        read_report(path, Performance)


def test_reading_a_report_loads_nothing_heavy() -> None:
    probe = "import sys, roboinvest.runtime.reports.files; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout.split()
    assert "pydantic" in loaded
    assert not {"sqlalchemy", "aiosqlite", "alembic", "numpy", "asyncio"} & set(loaded)
