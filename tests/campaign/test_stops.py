"""A stop asked for at any instant is orderly: code 0, soon, nothing left running or half done."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from meta_agents.report_schemas import ALL
from roboinvest.runtime.folder import DataFolder
from tests.fakes.processes import Daemon, Ended, Finished, roboinvest, side_by_side
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED = 31
WITHIN_S = 20.0
START_UP_S = 4.0  # s in which a start may be hit anywhere, from the imports to the first tick
STOPS = (signal.SIGTERM, signal.SIGINT)
SIMULATED = ("run", "--speed", 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A daemon that is asked to stop at some moment."""

    name: str
    number: signal.Signals
    arguments: tuple[object, ...]
    moment: Callable[[Daemon], object]


def minds_signals(daemon: Daemon) -> bool:
    """Return whether the command has taken over SIGTERM, as the kernel sees it.

    Before that the interpreter and the parser of arguments are on their own for half a second, have
    touched nothing, and die of a signal as any program does.
    """
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def during_start_up(pause_s: float, daemon: Daemon) -> None:
    daemon.until(lambda: minds_signals(daemon), "the command minds signals")
    daemon.lives_on_for(pause_s)


def mid_run(daemon: Daemon) -> None:
    daemon.until_ready()
    daemon.until(lambda: daemon.recall()[0] == "ready", "text recall is ready")
    daemon.until_tick(StoredRun(daemon.data).tick_count() + 5)


def in_a_replay(daemon: Daemon) -> None:
    daemon.until_tick(50)


def stopped(stop: Stop, folder: Path) -> tuple[Ended, float]:
    """Run until the moment has come, stop, and look at what is left."""
    data = folder / stop.name
    with Daemon(data, *stop.arguments, cwd=folder) as daemon:
        stop.moment(daemon)
        asked = time.monotonic()
        daemon.send(stop.number)
        ended = daemon.ended(WITHIN_S)
        took_s = time.monotonic() - asked
        assert daemon.chroma_left(0.0) is None, "Chroma lives on"
    assert ended.code == 0, (stop.name, ended)
    assert "Traceback" not in ended.err, (stop.name, ended.err)
    assert DataFolder(data).holder() is None
    reports = data / "reports"
    for path in reports.glob("*.json"):
        ALL[path.stem].model_validate_json(path.read_bytes())
    assert not list(reports.glob("*.part-*"))
    return ended, took_s


def test_a_stop_is_orderly_at_any_moment(uncut: Finished, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"moments of the start drawn with seed {SEED}")
    stops = [
        *(
            Stop(
                name=f"start-{number.name}-{place}",
                number=number,
                arguments=SIMULATED,
                moment=partial(during_start_up, chance.uniform(0.0, START_UP_S)),
            )
            for number in STOPS
            for place in range(3)
        ),
        *(
            Stop(name=f"run-{number.name}", number=number, arguments=SIMULATED, moment=mid_run)
            for number in STOPS
        ),
        *(
            Stop(
                name=f"replay-{number.name}",
                number=number,
                arguments=uncut.arguments,
                moment=in_a_replay,
            )
            for number in STOPS
        ),
    ]
    ends = side_by_side(partial(stopped, stop, tmp_path) for stop in stops)
    for stop, (_, took_s) in zip(stops, ends, strict=True):
        ticks = StoredRun(tmp_path / stop.name).tick_count()
        print(f"{stop.name}: stopped within {took_s:.2f} s after {ticks} ticks")
        assert took_s < WITHIN_S


def test_a_stopped_replay_says_how_far_it_came_and_goes_on_to_the_same_end(
    uncut: Finished, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with Daemon(data, *uncut.arguments, cwd=tmp_path) as daemon:
        daemon.until_tick(50)
        daemon.send(signal.SIGTERM)
        summary = daemon.ended(WITHIN_S).value()
    assert summary["ticks"] == StoredRun(data).tick_count() < 210
    rest = roboinvest(*uncut.arguments, "--data-dir", data, cwd=tmp_path).value()
    assert rest["decision_digest"] == uncut.ended.value()["decision_digest"]


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data", *SIMULATED, cwd=tmp_path) as daemon:
        mid_run(daemon)
        child = daemon.chroma()
        assert child is not None
        child.suspend()  # it will not take its SIGTERM, so that the orderly stop takes 3 s
        asked = time.monotonic()
        daemon.send(signal.SIGINT)
        daemon.until_event("house_stopping")
        daemon.send(signal.SIGINT)
        ended = daemon.ended(WITHIN_S)
        took_s = time.monotonic() - asked
        assert daemon.chroma_left(5.0) is None
    print(f"ended {took_s:.2f} s after the first of two signals")
    assert (ended.code, took_s < 2.0) == (75, True)
