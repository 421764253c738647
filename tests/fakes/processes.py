"""The program as real processes: one command to its end, or a daemon to watch, signal and end.

Output goes to files, so that no pipe fills up and a killed daemon still shows what it said. Every
wait is a wait for the process itself with a deadline: a daemon that dies while something is awaited
fails the test at once, with its last words. Whatever a test does, `with` ends the daemon by its pid
and waits until its child is gone as well.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

import psutil

from tests.fakes.stored_runs import StoredRun

FoundT = TypeVar("FoundT")
REPOSITORY: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = (sys.executable, "-m", "roboinvest")
LOOK_S: Final = 0.02  # s between two looks at a condition
GONE_S: Final = 10.0  # s that a killed process and its children may take to disappear
AT_ONCE: Final = 2  # processes beside each other: one for each core that can be relied on


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str
    err: str
    took_s: float

    def value(self) -> Any:
        """Return the one JSON value on stdout; anything beside it fails the test."""
        assert "Traceback" not in self.err, self.err
        try:
            return strict_json(self.out)
        except ValueError as error:
            raise AssertionError(f"stdout is not one JSON value ({error}): {self.out!r}") from None

    def refusal(self) -> str:
        """Return the one sentence on stderr; anything beside it, stdout too, fails the test."""
        assert not self.out, f"a refusal wrote to stdout: {self.out!r}"
        start, lines = "roboinvest: ", self.err.splitlines()
        assert len(lines) == 1, f"not one line on stderr: {self.err!r}"
        assert lines[0].startswith(start), self.err
        return lines[0].removeprefix(start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A replay that has ended, and where everything about it lies."""

    place: Path  # where its command was typed
    bars: Path
    data: Path
    arguments: tuple[object, ...]  # without --data-dir and --json
    ended: Ended


def strict_json(text: str | bytes) -> Any:
    """Return the one value of a JSON text; NaN and Infinity, which Python would take, are none."""
    return json.loads(text, parse_constant=_no_number)


def environment(**more: str) -> dict[str, str]:
    """Return ours without settings of the product, and with this tree as the one that runs.

    Bytecode is kept, whatever the machine says: a daemon that is started a hundred times would
    spend most of its lives on compiling libraries.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ROBOINVEST_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200", **more}


def roboinvest(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 90.0
) -> Ended:
    """Run one command to its end in `cwd`."""
    began = time.monotonic()
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    took_s = time.monotonic() - began
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr, took_s=took_s)


def side_by_side(work: Iterable[Callable[[], FoundT]]) -> list[FoundT]:
    """Return what each call returns, in order, a few of them at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda call: call(), work))


def runs(
    commands: Iterable[Sequence[object]], *, cwd: Path, timeout_s: float = 90.0
) -> list[Ended]:
    """Run commands to their end, a few of them at a time."""
    return side_by_side(
        partial(roboinvest, *command, cwd=cwd, timeout_s=timeout_s) for command in commands
    )


class Daemon:
    """A `roboinvest` process on one data folder, from its start to its end."""

    def __init__(
        self, data: Path, *arguments: object, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Take the folder, and the arguments after `roboinvest`; `--data-dir` is added."""
        self.data = data
        self._command = [*PROGRAM, *map(str, arguments), "--data-dir", str(data)]
        self._cwd = cwd
        self._env = environment(**{"ROBOINVEST_REPORTS__INTERVAL_S": "0.2", **(env or {})})
        self._out = data.with_name(f"{data.name}.out")
        self._err = data.with_name(f"{data.name}.err")
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # a Ctrl-C of who runs the tests is not the daemon's
            )
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Return the process id; it stays the daemon's until this object has reaped it."""
        return self._running().pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._running().send_signal(number)

    def kill(self) -> Ended:
        """Kill it as a power cut would, wait until its children are gone too, and say how it was.

        A process that has ended by itself is only reaped.
        """
        process = self._running()
        if process.poll() is None:
            process.kill()
        ended = self.ended(GONE_S)
        left = self.chroma_left(GONE_S)
        assert left is None, f"Chroma outlived the daemon: pid {left}"
        return ended

    def ended(self, timeout_s: float) -> Ended:
        """Wait for its end; one that takes longer fails the test."""
        process = self._running()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._failure(f"it did not end within {timeout_s:g} s") from None
        return Ended(
            code=process.returncode,
            out=self._out.read_text(),
            err=self._err.read_text(),
            took_s=time.monotonic() - self._began,
        )

    def lives_on_for(self, seconds: float) -> bool:
        """Wait that long; return whether it still runs then, at once if it ended before."""
        try:
            self._running().wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def until(
        self, condition: Callable[[], FoundT | None], what: str, timeout_s: float = 30.0
    ) -> FoundT:
        """Return the first thing found; fail at the deadline, or when the daemon ends before."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            lives = self.lives_on_for(LOOK_S)
            found = condition()
            if found:
                return found
            if not lives:
                raise self._failure(f"it ended while this was awaited: {what}")
        raise self._failure(f"within {timeout_s:g} s it did not come to this: {what}")

    def until_tick(self, number: int, timeout_s: float = 60.0) -> int:
        """Wait until so many ticks are committed; return how many there are."""
        return self.until(
            lambda: count if (count := StoredRun(self.data).tick_count()) >= number else None,
            f"{number} ticks in the store",
            timeout_s,
        )

    def until_event(self, name: str, timeout_s: float = 30.0, **fields: str) -> Mapping[str, Any]:
        """Wait for a line of the log with these fields, whoever wrote it."""

        def found() -> Mapping[str, Any] | None:
            wanted = {"event": name, **fields}
            lines = (line for line in self.events() if wanted.items() <= line.items())
            return next(lines, None)

        return self.until(found, f"{name} in the log", timeout_s)

    def until_ready(self, timeout_s: float = 60.0) -> Mapping[str, Any]:
        """Wait until this process reports that trading is ready or halted; return its status."""

        def found() -> Mapping[str, Any] | None:
            report = self.report("system_status")
            if report is None or report["process"]["pid"] != self.pid:
                return None
            return report if report["trading_state"] in ("READY", "HALTED") else None

        return self.until(found, "trading is ready", timeout_s)

    def report(self, name: str) -> Mapping[str, Any] | None:
        """Return a report as it lies there now, or None."""
        try:
            text = (self.data / "reports" / f"{name}.json").read_bytes()
        except FileNotFoundError:
            return None
        found: Mapping[str, Any] = strict_json(text)
        return found

    def recall(self) -> tuple[str, str]:
        """Return the reported state of text recall, and why."""
        line = (self.report("system_status") or {}).get("recall") or {}
        return line.get("state", ""), line.get("reason") or ""

    def events(self) -> list[Mapping[str, Any]]:
        """Return the complete lines of the log."""
        try:
            text = (self.data / "logs" / "roboinvest.jsonl").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def chroma(self) -> psutil.Process | None:
        """Return the Chroma child of this data folder, whoever started it."""
        memory = str(self.data / "memory")
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or ()
            if any(word.endswith("confined.py") for word in words) and any(
                word.startswith(memory) for word in words
            ):
                return process
        return None

    def chroma_left(self, timeout_s: float) -> int | None:
        """Return the pid of a Chroma child that lives on after so long."""
        child = self.chroma()
        _, alive = psutil.wait_procs([child] if child else [], timeout_s)
        return alive[0].pid if alive else None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "use the daemon in a with statement"
        return self._process

    def _failure(self, what: str) -> AssertionError:
        errors = self._err.read_text()[-2000:]
        log = "\n".join(json.dumps(line) for line in self.events()[-15:])
        return AssertionError(f"{' '.join(self._command[2:])}: {what}\n{errors}\n{log}")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
