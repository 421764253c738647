"""What goes into the box and what comes out of it, as values.

A job brings code and numbers; an outcome brings signals or a fault, and nothing else. There is no
room in it for a profit, a score or a verdict: those are computed outside, from the signals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.strategy import Number

_LONGEST_CODE: Final = 1_000_000  # bytes
_MOST_VALUES: Final = 16_000_000  # float64 in
_WIDEST: Final = 500  # values of a row or an answer: both then fit a pipe in one piece
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LARGEST_WHOLE: Final = 2.0**53


class Fault(StrEnum):
    """Why there are no signals."""

    CODE = "code"  # it raised, does not compile, or returned another shape
    CPU = "cpu"  # CPU seconds used up
    CRASHED = "crashed"  # a signal, or an exit of its own
    OUTPUT = "output"  # it wrote too much, too little, or not in the form
    SIGNALS = "signals"  # not finite, not whole or out of range
    UNSTEADY = "unsteady"  # two runs differed
    WALL = "wall"  # wall seconds used up, CPU seconds not: the machine was busy, or it waited
    BOX = "box"  # the box failed, not the candidate

    @property
    def again(self) -> bool:
        """Return whether the candidate is not judged by this: run the job again."""
        return self in (Fault.WALL, Fault.BOX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a job may use. CPU is what judges; the wall is a back-stop for a busy machine."""

    cpu_s: int = 2
    wall_s: float = 10.0
    memory_mb: int = 512  # address space; the libraries take about 200 of it
    files: int = 16  # open descriptors, the five it has included

    def faults(self) -> list[str]:
        """Return what is wrong with them, each as the rest of a sentence."""
        ranges = {
            "cpu_s": (self.cpu_s, 1, 3_600),
            "wall_s": (self.wall_s, 0.05, 7 * 86_400),
            "memory_mb": (self.memory_mb, 300, 8_192),
            "files": (self.files, 5, 64),
        }
        return [
            f"{name} is {value}; give {low} to {high}"
            for name, (value, low, high) in ranges.items()
            if not low <= value <= high
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a signal may be."""

    low: float = -1e9
    high: float = 1e9
    whole: bool = False  # only integers

    def fault_of(self, signals: Floats) -> str | None:
        """Return what is wrong with an array of any shape, or None."""
        if not np.isfinite(signals).all():
            return "a signal is not finite"
        if signals.size and (signals.min() < self.low or signals.max() > self.high):
            worst = signals.min() if signals.min() < self.low else signals.max()
            return f"a signal is {worst:g}, outside {self.low:g} to {self.high:g}"
        if self.whole and ((signals != np.rint(signals)) | (abs(signals) > _LARGEST_WHOLE)).any():
            return "a signal is not whole"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """What both kinds of job have."""

    code: str  # Python; defines `transform` or `step`, see tools.sandbox.inside.harness
    params: Mapping[str, Number] = field(default_factory=dict)
    seed: int = 0  # of random and numpy.random, before the code runs
    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)
    driver: str = ""  # "module:function" of ours that makes the function from the code

    def _faults_of_code(self) -> list[str]:
        found = self.limits.faults()
        size = len(self.code.encode(errors="replace"))
        if size > _LONGEST_CODE:
            found.append(f"its code has {size} bytes; give {_LONGEST_CODE} at most")
        if not 0 <= self.seed < 1 << 63:
            found.append(f"its seed is {self.seed}; give 0 to 2**63 - 1")
        for name, value in self.params.items():
            if not (_NAME.fullmatch(name) and math.isfinite(value)):
                found.append(f"its parameter {name!r} is {value!r}; give a name and a number")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform(_Code):
    """One call: columns in, signals out. All rows are in the process, so it may look ahead."""

    columns: Mapping[str, Floats]  # name -> (n,), all of one length
    length: int  # of the signals: (length,)

    def check(self) -> None:
        """Refuse what no box can run.

        Raises:
            BadInput: names, shapes, sizes or limits are wrong; the message says which.
        """
        found = self._faults_of_code() + _faults_of_names(self.columns)
        shapes = {np.shape(each) for each in self.columns.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            found.append(f"its columns have the shapes {sorted(shapes)}; give one length")
        if sum(np.size(each) for each in self.columns.values()) > _MOST_VALUES:
            found.append(f"its columns are longer than {_MOST_VALUES} values together")
        if not 0 <= self.length <= _MOST_VALUES:
            found.append(f"its length is {self.length}; give 0 to {_MOST_VALUES}")
        _refuse(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk(_Code):
    """One call for each row. A row enters the process after the answer to the row before left."""

    fields: tuple[str, ...]  # what a row holds
    outputs: int = 1  # numbers in an answer
    history: Floats | None = None  # (rows, fields) before the first asked one, given at the start

    def check(self) -> None:
        """Refuse what no box can run.

        Raises:
            BadInput: names, sizes or limits are wrong; the message says which.
        """
        found = self._faults_of_code() + _faults_of_names(self.fields)
        if not 1 <= len(self.fields) <= _WIDEST:
            found.append(f"its rows have {len(self.fields)} values; give 1 to {_WIDEST}")
        if not 1 <= self.outputs <= _WIDEST:
            found.append(f"its answers have {self.outputs} values; give 1 to {_WIDEST}")
        given = self.history
        if given is not None and (given.ndim != 2 or given.shape[1] != len(self.fields)):
            found.append(f"its history has shape {given.shape}; give rows of its fields")
        if given is not None and given.size > _MOST_VALUES:
            found.append(f"its history has {given.size} values; give {_MOST_VALUES} at most")
        _refuse(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended."""

    signals: Floats | None  # Transform: (length,); Walk: (rows, outputs); None: there is a fault
    fault: Fault | None
    detail: str = ""  # one line; of a CODE fault the candidate's own words, so untrusted text
    cpu_s: float = 0.0  # user and system, as the kernel says
    wall_s: float = 0.0  # from fork to end
    peak_mb: float = 0.0  # resident set, pages shared with the zygote included

    @property
    def again(self) -> bool:
        """Return whether the job should run again, because the candidate was not judged."""
        return self.fault is not None and self.fault.again


def _faults_of_names(names: Mapping[str, object] | tuple[str, ...]) -> list[str]:
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if len(set(names)) != len(names):
        wrong.append("a name that comes twice")
    return [f"its columns include {wrong[0]!r}; give small letters, digits and _"] if wrong else []


def _refuse(found: list[str]) -> None:
    if found:
        raise BadInput(f"this job cannot run: {found[0]}")
