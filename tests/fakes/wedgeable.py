"""The program with two things more: its event loop can be blocked, and tells how late it is.

    LOOP_LAGS=lags.txt python -m tests.fakes.wedgeable run --data-dir data

SIGUSR2 blocks the loop as a careless call would: in Python, so that other threads run on. (To stop
those as well, use SIGSTOP.) Twenty times a second the loop's lateness is appended to the file, as
"<time.monotonic> <seconds late>" in each line.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Final, TextIO

BLOCKED_S: Final = 30.0
EACH_S: Final = 0.05
LAGS: Final = "LOOP_LAGS"  # in the environment: the file


class WatchedLoops(asyncio.DefaultEventLoopPolicy):
    """Makes loops that block for `BLOCKED_S` on SIGUSR2, and write down their lags."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a loop; it belongs to the process's first thread."""
        loop = super().new_event_loop()
        loop.call_soon(loop.add_signal_handler, signal.SIGUSR2, _block)
        if path := os.environ.get(LAGS):
            lags = Path(path).open("a", buffering=1)  # noqa: SIM115 open until the process ends
            loop.call_soon(_measure, loop, lags, loop.time())
        return loop


def lags_between(path: Path, began: float, ended: float) -> list[float]:
    """Return the lags of a span of `time.monotonic`, in seconds, sorted."""
    rows = (line.split() for line in path.read_text().splitlines(keepends=True) if line[-1] == "\n")
    return sorted(float(lag) for at, lag in rows if began <= float(at) <= ended)


def _block() -> None:
    threading.Event().wait(BLOCKED_S)


def _measure(loop: asyncio.AbstractEventLoop, lags: TextIO, due: float) -> None:
    now = loop.time()  # time.monotonic
    lags.write(f"{now:.6f} {now - due:.6f}\n")
    loop.call_at(now + EACH_S, _measure, loop, lags, now + EACH_S)


if __name__ == "__main__":
    from roboinvest.cli.main import run_and_exit

    asyncio.set_event_loop_policy(WatchedLoops())
    run_and_exit()
