"""One table of figures, with what the machine was doing while they were taken.

A figure is worth as much as what stands beside it: its goal, how often it was taken, and what it
is compared with. The load average is read before and after, because on a busy machine wall time is
everybody's and CPU time alone is ours.
Deliberately absent: judgement. A missed goal is shown and does not fail the run.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

COLUMNS: Final = ("family", "what", "figure", "unit", "goal", "compared with", "n")
_RIGHT: Final = frozenset({"figure", "n"})
_WIDE: Final = 200  # columns of a table that nobody sees on a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound that a figure should keep."""

    limit: float
    at_least: bool = False  # False: the figure should stay below

    def met_by(self, figure: float) -> bool:
        """Return whether a figure keeps the bound."""
        return figure >= self.limit if self.at_least else figure < self.limit

    def in_words(self, figure: float) -> str:
        """Return the bound and whether a figure keeps it."""
        sign = ">=" if self.at_least else "<"
        return f"{sign} {self.limit:g} {'ok' if self.met_by(figure) else 'MISSED'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    family: str
    what: str
    figure: float
    unit: str
    n: int  # what the figure is the median of
    goal: Goal | None = None
    compared: str = ""  # a ratio, a baseline, or what the figure rests on

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of `COLUMNS`."""
        goal = self.goal.in_words(self.figure) if self.goal else ""
        return (
            self.family,
            self.what,
            shown(self.figure),
            self.unit,
            goal,
            self.compared,
            str(self.n),
        )

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        met = self.goal.met_by(self.figure) if self.goal else None
        return {**asdict(self), "goal_met": met}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the figures were taken on."""

    cores: int  # that this process may use
    processor: str
    python: str
    load_before: float  # one-minute average
    load_after: float
    took_s: float
    disk: str  # folder and file system that the runs wrote to

    def in_words(self) -> str:
        """Return the head of the table."""
        return (
            f"{self.cores} cores ({self.processor}), Python {self.python}, {self.disk}, "
            f"load {self.load_before:.2f} before and {self.load_after:.2f} after, "
            f"{self.took_s:.0f} s"
        )


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def machine(folder: Path, *, load_before: float, took_s: float) -> Machine:
    """Return what this machine is, after a run that took `took_s` and wrote to `folder`."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        python=platform.python_version(),
        load_before=load_before,
        load_after=load(),
        took_s=took_s,
        disk=f"{folder} on {_file_system(folder)}",
    )


def show(rows: Iterable[Row], head: Machine, console: Console) -> None:
    """Print the table; without a terminal it is plain text of fixed width."""
    if not console.is_terminal:
        console.width = _WIDE
    console.print(head.in_words(), markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in _RIGHT else "left")
    last = ""
    for row in rows:
        family, *rest = row.cells()
        style = None if row.goal is None or row.goal.met_by(row.figure) else "red"
        table.add_row(family if family != last else "", *rest, style=style)
        last = family
    console.print(table, markup=False)


def write_json(rows: Sequence[Row], head: Machine, path: Path) -> None:
    """Write what `show` prints as one JSON object."""
    tree = {"machine": asdict(head), "rows": [row.plain() for row in rows]}
    path.write_text(json.dumps(tree, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def shown(figure: float) -> str:
    """Return a figure with three digits that count."""
    if not math.isfinite(figure):
        raise ValueError(f"{figure} is no figure; the measurement is broken")
    whole = len(str(int(abs(figure))))
    return f"{figure:,.{max(0, 3 - whole)}f}" if abs(figure) >= 1 else f"{figure:.3g}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _file_system(folder: Path) -> str:
    """Return the kind of file system a folder lies on: a tmpfs makes every commit look free."""
    best = ""
    kind = "an unknown file system"
    for mount in psutil.disk_partitions(all=True):
        is_ours = folder.is_relative_to(mount.mountpoint)
        if is_ours and len(mount.mountpoint) >= len(best):
            best, kind = mount.mountpoint, mount.fstype
    return kind
