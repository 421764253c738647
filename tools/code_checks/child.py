"""The child that judges: bounded in memory and time, it reads files from a pipe and answers."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from typing import Final

from tools.code_checks.judge import judged
from tools.code_checks.linters import Bandit, RoundTrip, Ruff
from tools.code_checks.wire import answered, question_of

_MEMORY: Final = 2 << 30  # bytes of address space


def main(arguments: Sequence[str]) -> None:
    """Judge what stands on standard input; `arguments` are the seconds, and ruff's path."""
    seconds, ruff = int(arguments[0]), arguments[1]
    linters = (RoundTrip(), Bandit(), Ruff(ruff))
    question = question_of(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # pipes are no files
    report = judged(*question, linters=linters)
    sys.stdout.buffer.write(answered(report))
    sys.stdout.buffer.flush()
