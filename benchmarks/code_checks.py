"""What it takes to look through generated code: one file of 300 lines, and the checks alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.figures import median, repeat
from benchmarks.table import Goal, Row
from roboinvest.core.proposals import Capability
from roboinvest.runtime.in_flight import InFlight
from tools.code_checks.check import check_code
from tools.code_checks.children import Children
from tools.code_checks.judge import judged

FAMILY: Final = "code checks"
_LINES: Final = 300
_TIMES: Final = 7
_HEAD: Final = """import numpy as np


def transform(columns):
    return sum(part(columns["close"]) for part in (part_0, part_1))
"""
_PART: Final = """

def part_{number}(close):
    \"\"\"Return the distance from the mean of the last bars, in units of what is usual.\"\"\"
    window = close[-{number} - 20 :]
    usual = float(np.std(window)) or 1.0
    if len(window) < 3:
        return np.zeros(len(close))
    return (close - window.mean()) / usual
"""


def rows(_: Path) -> list[Row]:
    """Return how long the checks of one file take."""
    code = _HEAD + "".join(_PART.format(number=number) for number in range(_LINES))
    files = {"code/strategy.py": "\n".join(code.splitlines()[: _LINES - 1]).encode() + b"\n"}
    runner, nothing = Children(InFlight()), frozenset[Capability]()
    whole = repeat(_TIMES, lambda: _timed(lambda: check_code(files, nothing, runner=runner)))
    alone = repeat(_TIMES, lambda: _timed(lambda: judged(files, nothing)))
    said = f"{_LINES} lines; a new child with libcst, bandit and ruff each time"
    ours = "parse, names, constructs, texts; no child, no linters"
    return [
        _row("one file checked", whole, 1_000.0, said),
        _row("of which our rules", alone, None, ours),
    ]


def _row(what: str, taken_s: list[float], limit_ms: float | None, compared: str) -> Row:
    goal = None if limit_ms is None else Goal(limit=limit_ms)
    return Row(
        family=FAMILY,
        what=what,
        figure=median(taken_s) * 1_000,
        unit="ms",
        n=len(taken_s),
        goal=goal,
        compared=compared,
    )


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
