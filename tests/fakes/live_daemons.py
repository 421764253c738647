"""A daemon between loopback vendors, and a command whose lines are read as they come."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fakes.live_vendors import LiveVendors
from tests.fakes.processes import PROGRAM, Daemon, Ended, environment, roboinvest
from tests.fakes.wedgeable import LAGS

WEDGEABLE: Final = (sys.executable, "-m", "tests.fakes.wedgeable")
COMMAND_S: Final = 60.0


class LiveDaemon(Daemon):
    """A daemon that trades with loopback vendors; see `Daemon`."""

    def __init__(
        self,
        data: Path,
        vendors: LiveVendors,
        *,
        wedgeable: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Take the folder and the world; `wedgeable`: its loop can be blocked, and is measured."""
        self.lags = data.with_name(f"{data.name}.lags")
        lags = {LAGS: str(self.lags)} if wedgeable else {}
        everything = {**vendors.env, **lags, **(env or {})}
        super().__init__(data, *vendors.arguments, cwd=data.parent, env=everything)
        if wedgeable:
            self._command = [*WEDGEABLE, *self._command[len(PROGRAM) :]]

    def until_state(self, state: str, timeout_s: float = 60.0) -> Mapping[str, Any]:
        """Wait until this process reports a trading state; return its status."""

        def found() -> Mapping[str, Any] | None:
            report = self.report("system_status")
            if report is None or report["process"]["pid"] != self.pid:
                return None
            return report if report["trading_state"] == state else None

        return self.until(found, f"its status says {state}", timeout_s)

    def ask(self, vendors: LiveVendors, *command: object) -> Ended:
        """Run a command about this folder to its end, as a person does beside the daemon."""
        return asked(vendors, self.data, *command)


def asked(vendors: LiveVendors, data: Path, *command: object) -> Ended:
    """Run a command about a folder to its end, whether a daemon runs or not."""
    return roboinvest(*command, "--data-dir", data, cwd=data.parent, env=vendors.env)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that a command printed."""

    text: str
    after_s: float  # since the command was started


def lines_of(vendors: LiveVendors, data: Path, *command: object) -> tuple[int, Sequence[Line]]:
    """Run a command, and return its exit code and when it printed what."""
    began = time.monotonic()
    with subprocess.Popen(
        [*PROGRAM, *map(str, command), "--data-dir", str(data)],
        cwd=data.parent,
        env=environment(**vendors.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        lines = [
            Line(text=text.rstrip("\n"), after_s=time.monotonic() - began)
            for text in process.stdout
        ]
        return process.wait(COMMAND_S), lines
