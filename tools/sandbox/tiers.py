"""Finds the best box this machine gives, by trying it.

Version numbers and settings do not tell: a container may refuse namespaces to a kernel that has
them, and a unit file may refuse Landlock. So a worker is started, and a job inside attempts what
must fail: to open a directory, a socket and another process, to use more memory than it has, to
find an environment. A tier counts only where all of that fails and an honest sum comes out right.

It fails closed: whatever goes wrong on the way, the answer is a lower tier, and D in the end.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.errors import RoboInvestError
from tools.sandbox.inside.filter import MACHINE
from tools.sandbox.job import Limits, Transform
from tools.sandbox.launch import ENVIRONMENT
from tools.sandbox.scripts import scripts_missing
from tools.sandbox.tier import Tier
from tools.sandbox.worker import JobRunner, Worker

_TRIALS: Final = ("a directory opens", "a socket opens", "a process forks", "memory has no limit")
_PROBE: Final = """
import ctypes
import os

import numpy as np

libc = ctypes.CDLL(None)
KNOWN = {known!r}

def transform(columns):
    found = [0.0] * 4
    try:
        os.close(os.open("/", os.O_RDONLY))
        found[0] = 1.0
    except OSError:
        pass
    found[1] = float(libc.syscall(41, 2, 2, 0) >= 0)
    child = libc.syscall(57)
    if child == 0:
        os._exit(0)
    found[2] = float(child > 0)
    try:
        found[3] = float(np.empty(1 << 27).size > 0)
    except MemoryError:
        pass
    return found + [float(len(set(os.environ) - set(KNOWN))), float(columns["close"].sum())]
"""


_KNOWN: Final = (*ENVIRONMENT, "LD_LIBRARY_PATH", "PYTHONHOME", "PWD", "LC_CTYPE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Which box there is."""

    tier: Tier
    reason: str  # one sentence
    refused: Mapping[Tier, str]  # the better tiers, and why each is not there


def detect() -> Detection:
    """Return the best tier that holds; takes about a second, and blocks."""
    refused: dict[Tier, str] = {}
    for tier, holds in (
        (Tier.A, "bubblewrap, Landlock, seccomp and limits hold"),
        (Tier.B, "Landlock, seccomp and limits hold, without namespaces"),
    ):
        why = why_not(tier)
        if why is None:
            without = "".join(f" ({each})" for each in refused.values())
            return Detection(tier=tier, reason=f"{holds}{without}", refused=refused)
        refused[tier] = why
    missing = scripts_missing()
    because = "; ".join(f"tier {tier}: {why}" for tier, why in refused.items())
    if missing is None:
        reason = f"only scripts run, and no code on arrays: {because}"
        return Detection(tier=Tier.C, reason=reason, refused=refused)
    refused[Tier.C] = missing
    reason = f"generated code stays off, because nothing would hold it: {because}; {missing}"
    return Detection(tier=Tier.D, reason=reason, refused=refused)


def why_not(tier: Tier) -> str | None:
    """Return why a tier does not hold here, or None where it does."""
    if sys.platform != "linux" or platform.machine() != MACHINE:
        return f"the filter is for Linux on {MACHINE}, this is {sys.platform} {platform.machine()}"
    if tier is Tier.A and shutil.which("bwrap") is None:
        return "bwrap is not installed; install the package bubblewrap"
    try:
        with Worker(tier) as worker:
            return hole_in(worker)
    except RoboInvestError as error:
        return str(error)


def hole_in(worker: JobRunner) -> str | None:
    """Return what a worker's box lets through, or None where it holds."""
    outcome = worker.run(
        Transform(
            code=_PROBE.format(known=_KNOWN),
            columns={"close": np.array([40.0, 2.0])},
            length=len(_TRIALS) + 2,
            limits=Limits(cpu_s=2, wall_s=5.0),
        )
    )
    if outcome.signals is None:
        return f"the job that tries the box failed ({outcome.fault}): {outcome.detail}"
    *open_doors, variables_left, total = outcome.signals
    for door, what in zip(open_doors, _TRIALS, strict=True):
        if door != 0.0:
            return f"the box does not hold: {what}"
    if variables_left > 0:
        return "the box does not hold: an environment is in it"
    return None if total == 42.0 else f"the box cannot add: 40 and 2 came to {total:g}"
