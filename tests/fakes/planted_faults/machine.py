"""Faults of the machine: memory, files, disk, loop, clock."""

from __future__ import annotations

import asyncio
import errno
from typing import Final

from roboinvest.core.errors import TryLater
from tests.fakes.overseen import World
from tests.fakes.overseen_parts import a_crew
from tests.fakes.planted_faults.values import Fault, Plant, both, bug, fails, sets

JUMP_S: Final = 3 * 3_600.0


def leaks(world: World) -> None:
    """Let memory grow by a twentieth a minute."""
    world.memory_frac = min(world.memory_frac + 0.05, 0.99)
    if world.memory_frac < 0.99:
        asyncio.get_running_loop().call_later(60.0, leaks, world)


def clock(seconds: float) -> Plant:
    """Return what sets the wall clock."""
    return lambda world: world.clock.set_forward(seconds)


def slow_scribe(takes_s: float) -> Plant:
    """Return what lets the scribe take so long for a call."""
    return lambda world: world.parts["crew"].takes_s.update(scribe=takes_s)


def hides_reports(world: World) -> None:
    """Put a file where the folder of reports was."""
    folder = world.data.reports
    folder.rename(folder.with_name("reports aside"))
    folder.write_text("in the way")


def shows_reports(world: World) -> None:
    """Put the folder of reports back."""
    folder = world.data.reports
    folder.unlink()
    folder.with_name("reports aside").rename(folder)


FAULTS: Final = (
    Fault(
        name="the process leaks memory",
        mechanism="resources",
        agent="process",
        causes=("resource",),
        plant=leaks,
        ends_in="escalated",
        rung="escalate",
        is_sample=True,
    ),
    Fault(
        name="file descriptors run out",
        mechanism="resources",
        agent="process",
        causes=("resource",),
        plant=sets(gauges={"open_files_frac": 0.99}),
        ends_in="escalated",
        rung="escalate",
    ),
    Fault(
        name="the loop is late",
        mechanism="slowness",
        agent="process",
        causes=("resource",),
        plant=sets(lag_s=1.0),
        mends=sets(lag_s=0.0),
        ends_in="recovered",
    ),
    Fault(
        name="a reading of the machine is no number",
        mechanism="blindness",
        agent="health.senses",
        says="memory_frac",
        plant=sets(gauges={"memory_frac": float("nan")}),
        mends=sets(gauges={}),
        ends_in="recovered",
    ),
    Fault(
        name="the disk is nearly full",
        mechanism="disk",
        agent="data folder",
        causes=("resource",),
        plant=sets(disk_frac=0.98),
        mends=sets(disk_frac=0.5),
        ends_in="recovered",
    ),
    Fault(
        name="the disk is full",
        mechanism="disk",
        agent="data folder",
        causes=("resource",),
        plant=sets(trouble=OSError(errno.ENOSPC, "No space left on device")),
        mends=sets(trouble=None),
        ends_in="recovered",
        is_sample=True,
    ),
    Fault(
        name="the data folder is read-only",
        mechanism="disk",
        agent="data folder",
        causes=("resource",),
        plant=sets(trouble=OSError(errno.EROFS, "Read-only file system")),
        mends=sets(trouble=None),
        ends_in="recovered",
    ),
    Fault(
        name="the disk does not answer",
        mechanism="disk",
        agent="data folder",
        causes=("resource",),
        plant=sets(reads_fail=TryLater("a look at the machine took more than 10 s")),
        mends=sets(reads_fail=None),
        ends_in="recovered",
    ),
    Fault(
        name="the folder of reports cannot be written",
        mechanism="disk",
        agent="health.unwritable",
        says="reports",
        plant=hides_reports,
        mends=shows_reports,
        ends_in="recovered",
    ),
    Fault(
        name="an agent is slow because of the disk",
        mechanism="slowness",
        agent="data folder",
        causes=("resource",),
        plant=both(sets(disk_takes_s=2.0), slow_scribe(2.0)),
        begins_s=5_400.0,
        mends=both(sets(disk_takes_s=0.0), slow_scribe(0.1)),
        ends_in="recovered",
        folds={"scribe": "data folder"},
        house={"services": a_crew(scribe=("data folder",))},
        is_sample=True,
    ),
    Fault(
        name="the clock is set three hours forward, and back",
        mechanism="clock",
        agent="process",
        causes=("resource",),
        plant=clock(JUMP_S),
        mends=clock(-JUMP_S),
        ends_in="recovered",
        is_sample=True,
    ),
    Fault(
        name="two at once: a bug beside a full disk",
        mechanism="two at once",
        agent="scout",
        causes=("own_code",),
        plant=both(fails(bug), sets(trouble=OSError(errno.ENOSPC, "No space left"))),
        mends=sets(trouble=None),
        ends_in="acted",
        tells=("agent.scout", "agent.data folder"),
    ),
)
