"""`data fetch` as a process against the loopback vendor: what it costs, keeps, and survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from roboinvest.core.market.values import Timeframe
from tests.fakes.bar_files import quiet_rows
from tests.fakes.processes import Ended, environment
from tests.fakes.replays import CALENDAR
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_desk import until
from tests.fakes.vendors.polygon_server import (
    AGGREGATES,
    KEY,
    PolygonServer,
    empty,
    not_entitled,
)
from tools.bars.store import BarStore

FIRST, LAST = date(2023, 1, 3), date(2023, 12, 29)
SESSIONS = CALENDAR.sessions(FIRST, LAST)
CALLS: Final = 5  # for a year of minutes
PROGRAM: Final = (
    "import sys; from roboinvest.cli import data, data_fetch, main\n"
    "if not any(c.callback is data_fetch.fetch for c in data.app.registered_commands):\n"
    "    data.app.command('fetch')(data_fetch.fetch)\n"
    "sys.exit(main.run_program(sys.argv[1:]))\n"
)


@pytest.fixture(scope="module")
def year() -> Iterator[PolygonServer]:
    with PolygonServer() as running:
        running.add_bars("SPY", quiet_rows(SESSIONS))
        yield running


@pytest.fixture
def server(year: PolygonServer) -> Iterator[PolygonServer]:
    year.forget_requests()
    yield year
    year.heal()


def command(server: PolygonServer, *more: str) -> list[str]:
    typed = ["data", "fetch", "--symbols", "SPY", "--from", str(FIRST), "--to", str(LAST)]
    return [sys.executable, "-c", PROGRAM, *typed, "--data-dir", "data", *more]


def env(server: PolygonServer, **more: str) -> dict[str, str]:
    return environment(
        **{
            "POLYGON_API_KEY": KEY,
            "ROBOINVEST_POLYGON__BASE_URL": server.url,
            "ROBOINVEST_POLYGON__CALLS_PER_MINUTE": "6000",
            "ROBOINVEST_TESTING__LOOPBACK_ONLY": "on",
            **more,
        }
    )


def typed(server: PolygonServer, cwd: Path, *more: str, **settings: str) -> Ended:
    done = subprocess.run(
        command(server, *more),
        cwd=cwd,
        env=env(server, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr, took_s=0.0)


def test_the_cost_is_said_before_anything_is_asked(server: PolygonServer, tmp_path: Path) -> None:
    ended = typed(server, tmp_path, "--plan", ROBOINVEST_POLYGON__CALLS_PER_MINUTE="5")
    assert ended.code == 0, ended.err
    assert f"7 calls to {server.url}, about 2 min at 5 calls a minute" in ended.err
    assert f"0 of {len(SESSIONS)} sessions" in ended.err
    assert server.requests == []
    assert not (tmp_path / "data").exists()


def test_a_year_is_fetched_once_and_then_costs_nothing(
    server: PolygonServer, tmp_path: Path
) -> None:
    first = typed(server, tmp_path, "--json")
    assert first.code == 0, first.err
    value = first.value()
    assert value["plan"]["calls"] == value["fetched"]["calls"] == CALLS + 2
    assert value["fetched"]["added"] == len(quiet_rows(SESSIONS))
    again = typed(server, tmp_path)
    assert again.code == 0, again.err
    assert "cost     0 calls" in again.err
    assert len(server.requests) == CALLS + 2


def test_a_fetch_that_is_killed_goes_on_where_it_was(server: PolygonServer, tmp_path: Path) -> None:
    server.plant(Fault(kind=FaultKind.STALL, path=AGGREGATES, skip=2))
    killed = subprocess.Popen(command(server), cwd=tmp_path, env=env(server), stderr=-3)
    try:
        until(lambda: len(server.asked_for(AGGREGATES)) == 3, within_s=60)
    finally:
        killed.kill()
        killed.wait()
    again = typed(server, tmp_path, "--json")
    assert again.code == 0, again.err
    assert len(server.asked_for(AGGREGATES)) == 3 + (CALLS - 2)
    held = BarStore(tmp_path / "data" / "bars").read("SPY", Timeframe.MINUTE)
    assert len(held) == len(quiet_rows(SESSIONS))


def test_ctrl_c_is_an_orderly_end_that_says_how_to_go_on(
    server: PolygonServer, tmp_path: Path
) -> None:
    server.plant(Fault(kind=FaultKind.STALL, path=AGGREGATES, skip=1))
    with subprocess.Popen(
        command(server), cwd=tmp_path, env=env(server), stderr=subprocess.PIPE, text=True
    ) as running:
        until(lambda: len(server.asked_for(AGGREGATES)) == 2, within_s=60)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 75
    assert time.monotonic() - began < 5.0
    assert "stopped; what was fetched is kept" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (not_entitled(count=None), 5, "upgrade the plan"),
        (Fault(kind=FaultKind.STATUS, status=401, body="{}", count=None), 3, "POLYGON_API_KEY"),
        (Fault(kind=FaultKind.STATUS, status=400, body="{}", count=None), 2, "knows nothing"),
    ],
)
def test_what_only_a_person_can_mend_is_said_at_once(
    fault: Fault, code: int, says: str, server: PolygonServer, tmp_path: Path
) -> None:
    server.plant(fault)
    ended = typed(server, tmp_path, "--no-actions")
    assert ended.code == code
    assert says in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert KEY not in ended.err + ended.out
    assert len(server.requests) == 1


def test_sessions_that_are_not_whole_are_a_finding(server: PolygonServer, tmp_path: Path) -> None:
    server.plant(empty())
    ended = typed(server, tmp_path, "--json")
    assert ended.code == 1
    short = ended.value()["fetched"]["short"]
    assert {each["lack"] for each in short} == {"empty_session"}
    assert len(short) == 52


@pytest.mark.parametrize(
    ("more", "settings", "code", "says"),
    [
        (("--from", "soon"), {}, 2, "--from soon is no date"),
        (("--from", "2024-01-02"), {}, 2, "swap"),
        (("--timeframe", "2m"), {}, 2, "--timeframe 2m is none of 1m"),
        (("--symbols", ""), {}, 2, "--symbols is empty"),
        ((), {"POLYGON_API_KEY": ""}, 3, "POLYGON_API_KEY is not set"),
        (
            (),
            {"ROBOINVEST_POLYGON__BASE_URL": "https://api.polygon.io"},
            3,
            "testing.loopback_only is on",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    more: tuple[str, ...],
    settings: dict[str, str],
    code: int,
    says: str,
    server: PolygonServer,
    tmp_path: Path,
) -> None:
    ended = typed(server, tmp_path, *more, **settings)
    assert (ended.code, says in ended.refusal()) == (code, True), ended.err
    assert server.requests == []
    assert not (tmp_path / "data").exists()


def test_on_a_terminal_a_bar_shows_how_far_it_is(server: PolygonServer, tmp_path: Path) -> None:
    main, other = os.openpty()
    seen = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(main, 4096):
                seen.extend(chunk)
        except OSError:  # the program closed its end
            return

    reader = threading.Thread(target=read)
    reader.start()
    terminal = {**env(server), "TERM": "xterm"}
    with subprocess.Popen(command(server), cwd=tmp_path, env=terminal, stderr=other) as running:
        os.close(other)
        assert running.wait(60) == 0
    reader.join(10)
    os.close(main)
    assert "6/6" in seen.decode()
