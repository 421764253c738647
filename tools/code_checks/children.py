"""A child that is given bytes and answers with bytes, and is ended with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from roboinvest.runtime.in_flight import InFlight

DEADLINE_S: Final = 20.0  # a check takes half a second; a machine under load takes longer
_ROOT: Final = Path(__file__).resolve().parent.parent.parent
# No settings, no caches and no keys of ours; a home in which nothing can be made.
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "HOME": "/dev/null",
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a child ended."""

    code: int | None  # None: it was late, and was ended
    answer: bytes


class Runner(Protocol):
    """Starts a program, hands it bytes and takes its answer, within a deadline."""

    def run(self, command: Sequence[str], given: bytes) -> Ran:
        """Return how it ended; blocks until then.

        Raises:
            OSError: it cannot be started.
        """
        ...


class Children:
    """Runs programs as children of this process, each in a session of its own."""

    def __init__(self, in_flight: InFlight, *, deadline_s: float = DEADLINE_S) -> None:
        """Take the counter of outside jobs, and how long a child may take."""
        self._in_flight = in_flight
        self._deadline_s = deadline_s

    def run(self, command: Sequence[str], given: bytes) -> Ran:
        """Return how a child ended; one that is late is ended, with its own children.

        Raises:
            OSError: it cannot be started.
        """
        with (
            self._in_flight,
            subprocess.Popen(  # noqa: S603 the command is ours
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(_ENVIRONMENT),
                cwd="/",
                start_new_session=True,
            ) as child,
        ):
            try:
                answer, _ = child.communicate(given, timeout=self._deadline_s)
            except subprocess.TimeoutExpired:
                return Ran(code=None, answer=b"")
            finally:
                if child.returncode is None:  # its number is its own until it is waited for
                    _end(child)
            return Ran(code=child.returncode, answer=answer)


def python_command(module: str, *arguments: str) -> list[str]:
    """Return what starts one of our modules in a Python that takes no settings from outside."""
    start = (
        f"import sys; sys.path.insert(0, {str(_ROOT)!r}); import {module} as program; "
        "program.main(sys.argv[1:])"
    )
    return [sys.executable, "-I", "-c", start, *arguments]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child's session: the child, where it is not gone, and what it started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
