"""The real program as a process of its own: started, watched from outside, ended by its pid.

What it has committed is read from its database and what it says from its report, both as any
reader would. Bytecode goes to a folder of the bench, so that a second start is a warm one whatever
the environment says about it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

REPOSITORY: Final = Path(__file__).resolve().parent.parent
LOOK_S: Final = 0.02  # between two looks at a condition
STOP_S: Final = 30.0  # for an orderly end, before it is killed
_OURS: Final = ("ROBOINVEST_", "PYTHONDONTWRITEBYTECODE")


class Daemon:
    """`roboinvest run` on a data folder, until the `with` block ends."""

    def __init__(self, root: Path, bytecode: Path, *arguments: str) -> None:
        self._root = root
        self._output = root.with_name(f"{root.name}.out")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        self._environ = {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONPYCACHEPREFIX": str(bytecode),
        }
        self._command = [sys.executable, "-m", "roboinvest", "run", "--data-dir", str(root)]
        self._command += arguments

    def __enter__(self) -> Self:
        self.started_at = time.perf_counter()  # s
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._root.parent,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is ours; the daemon hears of it by `__exit__`
            )
        self.seen = psutil.Process(self._process.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        children = self._children()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _, alive = psutil.wait_procs(children, timeout=5.0)
        for child in alive:
            child.kill()

    def wait_for(self, what: str, check: Callable[[], bool], within_s: float) -> float:
        """Return the seconds from the start until `check` holds.

        Raises:
            RuntimeError: the daemon ended first, or it took too long.
        """
        while not check():
            passed_s = time.perf_counter() - self.started_at
            if passed_s > within_s:
                raise RuntimeError(f"{what}: not within {within_s:g} s; {self._last_words()}")
            self.let_pass(LOOK_S)
        return time.perf_counter() - self.started_at

    def let_pass(self, seconds: float) -> None:
        """Wait while the daemon lives.

        Raises:
            RuntimeError: it ended.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise RuntimeError(f"the daemon ended with {code}; {self._last_words()}")

    def ticks(self) -> int:
        """Return how many ticks are committed."""
        database = self._root / "roboinvest.db"
        try:
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
                return int(connection.execute("SELECT count(*) FROM ticks").fetchone()[0])
        except sqlite3.OperationalError:  # no file yet, no table yet, or it is being upgraded
            return 0

    def status(self) -> dict[str, Any]:
        """Return system_status.json; empty before it is written."""
        try:
            text = (self._root / "reports" / "system_status.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        found: dict[str, Any] = json.loads(text)
        return found

    def cpu_s(self) -> float:
        """Return the CPU seconds of the daemon, its child left out."""
        times = self.seen.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> tuple[float, float]:
        """Return the resident memory of the daemon and of its children, in MB."""
        own = self.seen.memory_info().rss / 1e6
        return own, sum(child.memory_info().rss for child in self._children()) / 1e6

    def _children(self) -> list[psutil.Process]:
        try:
            found: list[psutil.Process] = self.seen.children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return found

    def _last_words(self) -> str:
        return f"it said: {self._output.read_text(errors='replace')[-500:]!r}"
