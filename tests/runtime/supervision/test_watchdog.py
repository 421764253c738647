from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.supervision.watchdog import (
    ForcedExit,
    LagProbe,
    LivenessFeeder,
    ServiceManager,
    stop_signals,
)
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual, stall

REPOSITORY = Path(__file__).resolve().parents[3]


class Systemd:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """Return the messages since the last call."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4_096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(str(tmp_path / "notify"))
    yield listening
    listening.socket.close()


def manager(tmp_path: Path, **environ: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **environ})


def test_the_probe_reports_the_lag_of_the_last_five_minutes() -> None:
    async def main() -> None:
        stalls: list[float] = []
        probe = LagProbe(on_stall=stalls.append)
        assert probe.current_s() == math.inf
        async with asyncio.TaskGroup() as group:
            task = group.create_task(probe.run(context("lag_probe")))
            await asyncio.sleep(100.5)
            await stall(7.0)
            assert probe.current_s() == pytest.approx(6.5)
            await asyncio.sleep(30.0)
            figures = probe.figures()
            assert figures.max_s == pytest.approx(6.5)
            assert figures.p50_s == pytest.approx(0.0, abs=1e-6)
            assert stalls == pytest.approx([6.5])
            assert probe.current_s() < 1.0
            await asyncio.sleep(301.0)
            assert probe.figures().max_s < 1.0
            assert probe.figures().samples == 300
            task.cancel()

    run_virtual(main)


def test_the_feeder_says_ready_feeds_at_half_the_watchdog_time_and_says_stopping(
    tmp_path: Path, systemd: Systemd
) -> None:
    async def main() -> None:
        speaker = manager(tmp_path, WATCHDOG_USEC="10000000", WATCHDOG_PID=str(os.getpid()))
        feeder = LivenessFeeder(speaker, lambda: 0.0, {})
        async with asyncio.TaskGroup() as group:
            task = group.create_task(feeder.run(context("liveness")))
            await asyncio.sleep(12.0)
            task.cancel()

    run_virtual(main)
    heard = systemd.heard()
    assert heard[0] == "READY=1\nSTATUS=running"
    assert heard[1:-1] == ["WATCHDOG=1\nSTATUS=running"] * 3
    assert heard[-1] == "STOPPING=1\nSTATUS=stopping"


@pytest.mark.parametrize(
    ("lag_s", "store_is_fresh", "wrong"),
    [
        (0.0, True, ()),
        (4.9, True, ()),
        (5.0, True, ("the loop is 5.0 s late, limit 5 s",)),
        (math.inf, True, ("the loop is inf s late, limit 5 s",)),
        (math.nan, True, ("the loop is nan s late, limit 5 s",)),
        (0.0, False, ("the store's last commit is old",)),
    ],
)
def test_only_a_daemon_that_makes_progress_is_fed(
    tmp_path: Path, systemd: Systemd, lag_s: float, store_is_fresh: bool, wrong: tuple[str, ...]
) -> None:
    checks = {"the store's last commit is old": lambda: store_is_fresh}
    feeder = LivenessFeeder(manager(tmp_path), lambda: lag_s, checks)
    assert feeder.feed() == wrong
    (message,) = systemd.heard()
    assert ("WATCHDOG=1" in message) is (not wrong)
    assert all(text in message for text in wrong)


def test_after_a_stall_the_feeding_waits_for_a_good_sample_and_then_goes_on(
    tmp_path: Path, systemd: Systemd
) -> None:
    async def main() -> None:
        probe = LagProbe()
        feeder = LivenessFeeder(manager(tmp_path, WATCHDOG_USEC="4000000"), probe.current_s, {})
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(feeder.run(context("liveness"))),
                group.create_task(probe.run(context("lag_probe"))),
            ]
            await asyncio.sleep(10.5)
            systemd.heard()
            await stall(7.0)
            await asyncio.sleep(4.0)
            for task in tasks:
                task.cancel()

    run_virtual(main)
    fed = ["WATCHDOG=1" in message for message in systemd.heard()]
    assert fed == [False, False, True, False]  # late; no newer sample yet; good; STOPPING


def test_an_abstract_socket_works_and_text_stays_on_one_line(tmp_path: Path) -> None:
    name = f"roboinvest-test-{os.getpid()}"
    listening = Systemd(f"\0{name}")
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).tell(STATUS="a\nREADY=1")
    assert listening.heard() == ["STATUS=a READY=1"]
    listening.socket.close()


def test_without_a_service_manager_nothing_is_said_and_a_lost_one_is_counted(
    tmp_path: Path,
) -> None:
    alone = ServiceManager({})
    alone.tell(READY="1")
    assert alone.failed == 0
    assert alone.feed_interval_s() is None
    lost = manager(tmp_path)
    lost.tell(READY="1")
    assert lost.failed == 1


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_feeding_interval_is_half_of_what_systemd_asks_of_this_process(
    environ: dict[str, str], interval_s: float | None
) -> None:
    assert ServiceManager(environ).feed_interval_s() == interval_s


class Exit:
    """Takes the place of os._exit."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.called = threading.Event()
        self.words = 0

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.called.set()

    def last_words(self) -> None:
        self.words += 1


def forced(after_s: float) -> tuple[ForcedExit, Exit]:
    end = Exit()
    made = ForcedExit(
        after_s=after_s, clock=SystemClock(), end_process=end, last_words=end.last_words
    )
    made.start()
    return made, end


def test_a_stop_that_does_not_end_is_ended_with_75_and_a_trace() -> None:
    watch, end = forced(0.05)
    watch.arm()
    watch.arm()  # a second signal does not start the count again
    assert end.called.wait(5)
    assert end.codes == [75]
    assert end.words == 1


def test_a_stop_that_ends_in_time_ends_the_thread_instead() -> None:
    watch, end = forced(0.2)
    watch.arm()
    watch.disarm()
    assert not end.called.wait(0.4)
    never_armed, other_end = forced(0.01)
    never_armed.disarm()
    assert not other_end.called.wait(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_for_a_stop_arms_the_exit_and_gives_the_handlers_back(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    watch, end = forced(30.0)
    asked: asyncio.Queue[str] = asyncio.Queue()
    with stop_signals(asked.put_nowait, watch):
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            assert await asked.get() == number.name
    assert signal.getsignal(number) is before
    watch.disarm()
    assert end.codes == []


WEDGED = """
import asyncio, time
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.supervision.watchdog import ForcedExit, stop_signals

async def main():
    forced = ForcedExit(after_s=0.2, clock=SystemClock())
    forced.start()
    with stop_signals(lambda reason: None, forced):
        print("ready", flush=True)
        while True:
            pass

asyncio.run(main())
"""


def test_a_process_whose_loop_is_wedged_is_ended_by_sigterm_with_75() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WEDGED],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(signal.SIGTERM)
    _, trace = process.communicate(timeout=20)
    assert process.returncode == 75
    assert "in main" in trace
