"""The kill switch's own thread: it looks at HALT and acts while everything else may be wedged.

It owns nothing that the event loop owns. Five times a second it looks at the file and takes
SIGUSR1, which sets the file. A halt that asks for more than "no new risk" is carried out by the
`act` that was handed in, tried again until it succeeds or the halt is lifted, and told in
`halt.results` line by line, where a command of another process reads it.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from roboinvest.core.errors import BadSettings, RoboInvestError
from roboinvest.core.ports import Clock
from roboinvest.runtime.halt import Halt, HaltFile, HaltLevel

LOOK_S: Final = 0.2  # s between two looks
AGAIN_S: Final = 1.0  # s after an attempt that failed; doubled each time
LONGEST_S: Final = 10.0  # s between two attempts
SIGNAL: Final = signal.SIGUSR1


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltResult:
    """One line of what a halt did."""

    halted_at: str  # ISO instant of the halt it belongs to
    by: str  # "daemon" or "command"
    text: str
    is_last: bool = False
    is_clean: bool = False  # the last line says so when nothing was refused or left open


class HaltResults:
    """What halts did: a file of JSON lines that several processes append to and read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, result: HaltResult) -> None:
        """Write a line, as far as the disk takes it: what was done does not depend on it."""
        body = {
            "halted_at": result.halted_at,
            "by": result.by,
            "text": result.text,
            "is_last": result.is_last,
            "is_clean": result.is_clean,
        }
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            return
        try:
            os.write(handle, (json.dumps(body) + "\n").encode())
        except OSError:
            return
        finally:
            os.close(handle)

    def of(self, halted_at: str) -> list[HaltResult]:
        """Return the lines of one halt, oldest first; what cannot be read is left out."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        found = list[HaltResult]()
        for line in text.splitlines():
            try:
                result = HaltResult(**json.loads(line))
            except (ValueError, TypeError):
                continue
            if result.halted_at == halted_at:
                found.append(result)
        return found


def key_of(halt: Halt) -> str:
    """Return what a halt is told by: the instant at which it was set."""
    return halt.at.isoformat() if halt.at else "by hand"


def block_signal() -> None:
    """Keep SIGUSR1 for the guard, in this thread and all that it starts; call it early."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {SIGNAL})


class HaltGuard:
    """A daemon thread; `start` it before the loop, `stop` it last."""

    def __init__(
        self,
        halt_file: HaltFile,
        results: HaltResults,
        *,
        act: Callable[[Halt, Callable[[str], None]], bool] | None,
        clock: Clock,
    ) -> None:
        """Take the file and what carries a halt out.

        Args:
            halt_file: an object of this thread's own.
            results: where each result is told.
            act: blocking; returns whether nothing was left open; None: trading itself obeys.
            clock: called in this thread.
        """
        self._halt_file = halt_file
        self._results = results
        self._act = act
        self._clock = clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="halt-guard", daemon=True)
        self._done: tuple[str, HaltLevel] | None = None
        self._first_seen: datetime | None = None  # of a halt that does not say when
        self._failed: tuple[str, HaltLevel] | None = None  # the halt that the pause belongs to
        self._again_s = AGAIN_S
        self._next_try_s = 0.0  # monotonic
        self._log = structlog.get_logger("roboinvest.halt_guard")

    def start(self) -> None:
        """Begin to look. Call it in the main thread.

        A thread that was started before SIGUSR1 was blocked may be handed the signal; then the main
        thread sets the halt, as soon as it runs.
        """
        block_signal()
        signal.signal(SIGNAL, lambda _number, _frame: self._set_by_signal())
        self._thread.start()

    def lives(self) -> bool:
        """Return whether the thread looks; a daemon without it must not go on unnoticed."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop looking; an attempt under way is left to its end."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * LOOK_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            # A wait that does not sleep: CPython tells one that was cut off by a stop of the whole
            # process (SIGSTOP, a frozen machine) as if the signal had come.
            if signal.sigtimedwait({SIGNAL}, 0) is not None:
                self._set_by_signal()
            self.look_once()
            self._ending.wait(LOOK_S)

    def look_once(self) -> None:
        """Carry out the halt in force, unless that is done or was tried a moment ago."""
        halt = self._halt_file.read()
        if halt is None:
            self._done = self._first_seen = None
            return
        if halt.at is None:
            self._first_seen = self._first_seen or self._clock.now()
            halt = replace(halt, at=self._first_seen)
        wanted = (key_of(halt), halt.level)
        if self._act is None or halt.level is HaltLevel.NEW or wanted == self._done:
            return
        if wanted != self._failed:
            self._failed, self._again_s, self._next_try_s = wanted, AGAIN_S, 0.0
        if self._clock.monotonic() < self._next_try_s:
            return
        if self._carry_out(self._act, halt):
            self._done = wanted
            return
        self._next_try_s = self._clock.monotonic() + self._again_s
        self._again_s = min(2 * self._again_s, LONGEST_S)

    def _carry_out(self, act: Callable[[Halt, Callable[[str], None]], bool], halt: Halt) -> bool:
        key = key_of(halt)

        def tell(text: str) -> None:
            self._log.warning("halt_result", text=text)
            self._results.append(HaltResult(halted_at=key, by="daemon", text=text))

        tell(f"carrying out {halt.level.value}: {halt.reason}")
        try:
            clean = act(halt, tell)
        except (RoboInvestError, ValueError, ArithmeticError, OSError) as error:
            # The thread has to live: what is wrong with one attempt is told, and tried again.
            tell(f"not done, tried again in {self._again_s:g} s: {error}")
            return False
        text = "done" if clean else "done as far as possible; what failed is tried again"
        self._results.append(
            HaltResult(halted_at=key, by="daemon", text=text, is_last=True, is_clean=clean)
        )
        return clean

    def _set_by_signal(self) -> None:
        try:
            self._halt_file.set(
                HaltLevel.NEW, reason="signal SIGUSR1", by="signal", at=self._clock.now()
            )
        except BadSettings as error:
            self._log.error("halt_not_set", reason=str(error))
