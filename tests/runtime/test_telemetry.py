from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from roboinvest.runtime.redaction import MASK
from roboinvest.runtime.telemetry import LOG_NAME, Telemetry
from tests.fakes.clocks import ManualClock

CANARY = "canary-7f3a9c-do-not-log"


@contextmanager
def logging_to(folder: Path, **terms: Any) -> Iterator[Telemetry]:
    telemetry = Telemetry(folder, clock=ManualClock(), **terms)
    telemetry.start()
    try:
        yield telemetry
    finally:
        telemetry.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return every line of the log as JSON; a line that is none is an error."""
    return [json.loads(line) for line in (folder / LOG_NAME).read_text("utf-8").split("\n")[:-1]]


def test_an_event_is_one_json_object_a_line(tmp_path: Path) -> None:
    with logging_to(tmp_path):
        log = structlog.get_logger("roboinvest.test")
        log.info("order_filled", symbol="SPY", qty=3, note="two\nlines \u2028")
        log.info("odd", text="half a pair: \ud800")
    line, odd = lines(tmp_path)
    assert line == {
        "ts": "2026-01-05T14:30:00.000+00:00",
        "level": "info",
        "event": "order_filled",
        "logger": "roboinvest.test",
        "symbol": "SPY",
        "qty": 3,
        "note": "two\nlines \u2028",
    }
    assert odd["text"] == "half a pair: \ud800"


def test_what_is_below_the_level_is_not_written(tmp_path: Path) -> None:
    with logging_to(tmp_path, level="warning"):
        log = structlog.get_logger("roboinvest.test")
        log.info("quiet")
        log.warning("loud")
    assert [line["event"] for line in lines(tmp_path)] == ["loud"]


def test_a_loggers_life_may_begin_before_the_log_does(tmp_path: Path) -> None:
    log = structlog.get_logger("roboinvest.early")
    with logging_to(tmp_path):
        log.info("late_use")
    assert [line["logger"] for line in lines(tmp_path)] == ["roboinvest.early"]


def test_what_is_bound_for_a_tick_is_in_each_of_its_lines_and_in_no_other_task(
    tmp_path: Path,
) -> None:
    async def tick(tick_id: str) -> None:
        with structlog.contextvars.bound_contextvars(tick_id=tick_id):
            for _ in range(3):
                await asyncio.sleep(0)
                structlog.get_logger("roboinvest.test").info("step", expected=tick_id)

    async def main() -> None:
        await asyncio.gather(tick("a"), tick("b"))
        structlog.get_logger("roboinvest.test").info("after")

    with logging_to(tmp_path):
        asyncio.run(main())
    steps = [line for line in lines(tmp_path) if line["event"] == "step"]
    assert len(steps) == 6
    assert all(line["tick_id"] == line["expected"] for line in steps)
    assert "tick_id" not in lines(tmp_path)[-1]


def test_a_canary_reaches_no_line_by_any_way(tmp_path: Path) -> None:
    console = io.StringIO()
    with logging_to(tmp_path, secrets=[CANARY], console=console):
        log = structlog.get_logger("roboinvest.test")
        event = f"event_{CANARY}"
        log.info(event, a=CANARY, b={"c": [f"x{CANARY}y"]}, **{CANARY: 1})
        log.info("named", api_key="short", nested={"headers": {"Authorization": "abc"}})
        with structlog.contextvars.bound_contextvars(where=CANARY):
            log.info("bound")
        try:
            raise RuntimeError(f"401 for key {CANARY}")
        except RuntimeError:
            log.exception("call_failed")
        logging.getLogger("vendor").warning("sent %s to %s", CANARY, {"key": CANARY})
        logging.getLogger("vendor").error("failed", exc_info=ValueError(CANARY))
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"deprecated {CANARY}", stacklevel=1)
    text = (tmp_path / LOG_NAME).read_text("utf-8")
    assert CANARY not in text
    assert CANARY not in console.getvalue()
    found = lines(tmp_path)
    assert len(found) == 7
    assert found[1]["api_key"] == MASK
    assert "RuntimeError: 401 for key" in found[3]["exception"]
    assert found[4]["logger"] == "vendor"


def test_debug_chatter_of_libraries_stays_out(tmp_path: Path) -> None:
    with logging_to(tmp_path, level="debug"):
        logging.getLogger("httpx").info("GET https://example.test/?apiKey=abcd1234")
        logging.getLogger("httpx").warning("slow")
    assert [line["event"] for line in lines(tmp_path)] == ["slow"]


class BlockedPipe(io.StringIO):
    """A console whose reader does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def write(self, text: str) -> int:
        self.gate.wait(10)
        return super().write(text)


def test_a_full_queue_loses_lines_counts_them_and_says_so_without_waiting(tmp_path: Path) -> None:
    pipe = BlockedPipe()
    with logging_to(tmp_path, console=pipe, queue_lines=10) as telemetry:
        log = structlog.get_logger("roboinvest.test")
        for n in range(100):
            log.info("flood", n=n)
        assert telemetry.dropped >= 80
        pipe.gate.set()
    found = lines(tmp_path)
    assert found[-1]["event"] == "log_lines_dropped"
    assert found[-1]["total"] == telemetry.dropped
    assert len(found) - 1 + telemetry.dropped == 100


def test_a_full_disk_does_not_raise_and_is_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOG_NAME).symlink_to("/dev/full")
    with logging_to(tmp_path) as telemetry:
        log = structlog.get_logger("roboinvest.test")
        for n in range(5):
            log.info("lost", n=n)
    assert telemetry.failed == 5
    assert capfd.readouterr().err == ""


def test_writing_goes_on_when_the_disk_has_room_again(tmp_path: Path) -> None:
    log_file = tmp_path / LOG_NAME
    log_file.symlink_to("/dev/full")
    with logging_to(tmp_path) as telemetry:
        log = structlog.get_logger("roboinvest.test")
        log.info("lost")
        deadline = threading.Event()
        for _ in range(500):
            if telemetry.failed:
                break
            deadline.wait(0.01)
        log_file.unlink()
        log.info("written")
    assert [line["event"] for line in lines(tmp_path)] == ["written"]


def test_a_folder_that_is_gone_does_not_raise(tmp_path: Path) -> None:
    with logging_to(tmp_path / "none") as telemetry:
        structlog.get_logger("roboinvest.test").error("lost")
    assert telemetry.failed == 1


def test_an_object_that_cannot_be_shown_costs_its_line_and_nothing_else(tmp_path: Path) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no text")

    with logging_to(tmp_path) as telemetry:
        log = structlog.get_logger("roboinvest.test")
        log.info("broken", value=Broken())
        log.info("whole")
    assert telemetry.dropped == 1
    assert [line["event"] for line in lines(tmp_path)] == ["whole", "log_lines_dropped"]


def test_a_full_file_is_set_aside_and_only_so_many_are_kept(tmp_path: Path) -> None:
    with logging_to(tmp_path, max_mb=0.002, backups=2):
        log = structlog.get_logger("roboinvest.test")
        for n in range(100):
            log.info("filler", n=n, text="x" * 100)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [LOG_NAME, f"{LOG_NAME}.1", f"{LOG_NAME}.2"]
    assert all(path.stat().st_size <= 2_200 for path in tmp_path.iterdir())
    assert lines(tmp_path)[-1]["n"] == 99


def test_closing_gives_the_loggers_back(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    with logging_to(tmp_path):
        assert list(root.handlers) != before
    assert list(root.handlers) == before
    assert not structlog.is_configured()


def test_a_log_call_costs_microseconds_of_the_callers_time(tmp_path: Path) -> None:
    with logging_to(tmp_path):
        log = structlog.get_logger("roboinvest.test")
        began = os.times().user
        for n in range(2_000):
            log.info("order_filled", symbol="SPY", qty=n, price_usd="431.17")
        took_us = (os.times().user - began) / 2_000 * 1e6
    print(f"{took_us:.0f} us a line, writer thread included")
    assert took_us < 2_000
