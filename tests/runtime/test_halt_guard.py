"""The kill switch's thread acts by itself, and says what it did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.halt import Halt, HaltFile, HaltLevel
from roboinvest.runtime.halt_guard import HaltGuard, HaltResults, key_of
from tests.fakes.clocks import START, ManualClock

Tell = Callable[[str], None]


class Hands:
    """Does what it is told to, and counts."""

    def __init__(self, *answers: bool | TryLater) -> None:
        self.answers = list(answers)
        self.halts = list[Halt]()

    def act(self, halt: Halt, tell: Tell) -> bool:
        self.halts.append(halt)
        tell(f"acting on {halt.level}")
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, TryLater):
            raise answer
        return answer


def guard_of(folder: Path, hands: Hands | None, clock: ManualClock) -> HaltGuard:
    return HaltGuard(
        HaltFile(folder / "HALT"),
        HaltResults(folder / "halt.results"),
        act=hands.act if hands else None,
        clock=clock,
    )


def test_a_halt_is_carried_out_once_and_told_line_by_line(tmp_path: Path) -> None:
    hands, clock = Hands(), ManualClock()
    guard = guard_of(tmp_path, hands, clock)
    halt = HaltFile(tmp_path / "HALT").set(HaltLevel.FLATTEN, reason="x", by="ann", at=START)
    for _ in range(5):
        guard.look_once()
        clock.advance(10)
    assert [h.level for h in hands.halts] == [HaltLevel.FLATTEN]
    told = HaltResults(tmp_path / "halt.results").of(key_of(halt))
    assert [r.is_last for r in told] == [False, False, True]
    assert told[-1].is_clean


def test_level_new_is_for_trading_itself(tmp_path: Path) -> None:
    hands = Hands()
    (tmp_path / "HALT").touch()
    guard_of(tmp_path, hands, ManualClock()).look_once()
    assert hands.halts == []


def test_what_failed_is_tried_again_with_growing_pauses_until_it_is_done(tmp_path: Path) -> None:
    hands, clock = Hands(TryLater("the broker is away"), False, True), ManualClock()
    guard = guard_of(tmp_path, hands, clock)
    HaltFile(tmp_path / "HALT").set(HaltLevel.CANCEL, reason="x", by="ann", at=START)
    tries = list[float]()
    for _ in range(100):
        before = len(hands.halts)
        guard.look_once()
        if len(hands.halts) > before:
            tries.append(clock.monotonic())
        clock.advance(0.5)
    assert tries == [0.0, 1.0, 3.0]


def test_a_stronger_level_and_a_new_halt_are_carried_out_again(tmp_path: Path) -> None:
    hands, clock = Hands(), ManualClock()
    guard, file = guard_of(tmp_path, hands, clock), HaltFile(tmp_path / "HALT")
    file.set(HaltLevel.CANCEL, reason="x", by="ann", at=clock.now())
    guard.look_once()
    clock.advance(5)
    file.set(HaltLevel.FLATTEN, reason="x", by="ann", at=clock.now())
    guard.look_once()
    file.clear()
    guard.look_once()
    clock.advance(5)
    file.set(HaltLevel.FLATTEN, reason="x", by="ann", at=clock.now())
    guard.look_once()
    assert [h.level for h in hands.halts] == ["cancel", "flatten", "flatten"]


def test_a_file_made_by_hand_gets_the_instant_it_was_seen(tmp_path: Path) -> None:
    hands, clock = Hands(False, True), ManualClock()
    guard = guard_of(tmp_path, hands, clock)
    (tmp_path / "HALT").write_text('{"level": "flatten"}')
    guard.look_once()
    clock.advance(2)
    guard.look_once()
    assert [h.at for h in hands.halts] == [START, START]


def test_a_fault_of_any_kind_is_told_and_tried_again_and_the_thread_lives(tmp_path: Path) -> None:
    class Faulty(Hands):
        def act(self, halt: Halt, tell: Tell) -> bool:
            if not self.halts:
                self.halts.append(halt)
                raise OverflowError("a figure nobody thought of")
            return super().act(halt, tell)

    hands, clock = Faulty(), ManualClock()
    guard = guard_of(tmp_path, hands, clock)
    HaltFile(tmp_path / "HALT").set(HaltLevel.CANCEL, reason="x", by="ann", at=START)
    guard.look_once()
    clock.advance(2)
    guard.look_once()
    assert len(hands.halts) == 2


def test_results_that_cannot_be_written_or_read_stop_nothing(tmp_path: Path) -> None:
    hands = Hands()
    (tmp_path / "halt.results").mkdir()
    HaltFile(tmp_path / "HALT").set(HaltLevel.CANCEL, reason="x", by="ann", at=START)
    guard_of(tmp_path, hands, ManualClock()).look_once()
    assert len(hands.halts) == 1
    assert HaltResults(tmp_path / "halt.results").of("x") == []


PROGRAM = """
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # before any library starts threads
from pathlib import Path
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.halt_guard import HaltGuard, HaltResults
folder = Path(sys.argv[1])
def act(halt, tell):
    (folder / "acted").write_text(halt.level)
    return True
guard = HaltGuard(HaltFile(folder / "HALT"), HaltResults(folder / "halt.results"), act=act,
                  clock=SystemClock())
guard.start()
print("up", flush=True)
while sys.argv[2] == "busy":
    pass
time.sleep(60)
"""


@pytest.mark.parametrize("main", ["busy", "asleep"])
def test_a_wedged_main_thread_stops_neither_the_file_nor_the_signal(
    tmp_path: Path, main: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), main], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGUSR1)
        _until(lambda: (tmp_path / "HALT").exists())
        halt_file = HaltFile(tmp_path / "HALT")
        halt_file.set(HaltLevel.FLATTEN, reason="x", by="ann", at=SystemClock().now())
        _until(lambda: (tmp_path / "acted").exists())
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _until(condition: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + 10, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)
