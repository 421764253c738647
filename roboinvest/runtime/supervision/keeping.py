"""What the supervisor knows of each service it keeps: its run, its state, and what ails it.

A unit of restart is what goes down together: one service of a one-for-one group, or all of a
rest-for-one group. Everything here is a look or a note; the supervisor alone acts on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roboinvest.runtime.supervision.restarts import RestartRecord
from roboinvest.runtime.supervision.service import (
    Child,
    Group,
    Restart,
    ServiceContext,
    ServiceState,
    ServiceStatus,
    Strategy,
    in_words,
)

_UP: Final = frozenset({ServiceState.STARTING, ServiceState.RUNNING})
_SETTLED: Final = frozenset({ServiceState.RUNNING, ServiceState.FINISHED})
_AT_REST: Final = _SETTLED | {ServiceState.QUARANTINED, ServiceState.STOPPED}


class Asked(StrEnum):
    """What somebody asked the supervisor to do with a service."""

    RESTART = "restart"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run ended, or why it has to."""

    reason: str | None  # None: a clean end
    error: BaseException | None = None


class Kept:
    """One service, over all its runs."""

    def __init__(self, child: Child, record: RestartRecord) -> None:
        self.child = child
        self.name = child.service.name
        self.record = record
        self.state = ServiceState.DOWN
        self.ctx: ServiceContext | None = None
        self.task: asyncio.Task[None] | None = None
        self.asked: Asked | None = None
        self.last_error: str | None = None
        self.retry_at = 0.0  # loop time; while backing off
        self.in_trouble = False  # failed, and no progress seen since
        self.is_alerted = False

    @property
    def is_up(self) -> bool:
        """Return whether a run is under way."""
        return self.state in _UP

    @property
    def is_settled(self) -> bool:
        """Return whether what starts after it may start."""
        return self.state in _SETTLED

    def look(self, now: float) -> End | None:
        """Return how the current run ended, or None while it is well."""
        if self.task is None or self.ctx is None:
            return None
        if self.task.done():
            return self._ended(self.task)
        hung_at = self.ctx.hung_at()
        if hung_at is None or now < hung_at:
            return None
        if not self.ctx.is_ready:
            return End(reason=f"was not ready within {self.child.ready_within_s:g} s")
        return End(reason=f"made no progress for {self.child.patience_s:g} s")

    def is_quiet(self, now: float) -> bool:
        """Return whether there is nothing to note, to start or to stop."""
        if self.in_trouble or self.asked is not None or self.state not in _AT_REST:
            return False
        return self.look(now) is None

    def has_recovered(self, now: float) -> bool:
        """Return whether a service that had failed makes progress, or waits in peace, again."""
        if not self.in_trouble or self.state is not ServiceState.RUNNING or self.ctx is None:
            return False
        return self.ctx.beats > 0 or now >= self.ctx.started_at + self.child.patience_s

    def look_again_at(self, now: float) -> float | None:
        """Return the loop time of the next look, unless something happens before."""
        if self.state is ServiceState.BACKING_OFF:
            return self.retry_at
        if not self.is_up or self.ctx is None:
            return None
        patience_s = self.child.patience_s  # a beat can bring the end of patience this close
        hung_at = self.ctx.hung_at()
        return now + patience_s if hung_at is None else min(hung_at, now + patience_s)

    def status(self, now: float) -> ServiceStatus:
        """Return a snapshot."""
        ctx = self.ctx if self.is_up else None
        return ServiceStatus(
            name=self.name,
            state=self.state,
            essential=self.child.essential,
            restarts=self.record.restarts,
            last_error=self.last_error,
            beats=0 if ctx is None else ctx.beats,
            last_beat_age_s=None if ctx is None else now - ctx.last_beat_at,
        )

    def _ended(self, task: asyncio.Task[None]) -> End:
        if task.cancelled():
            return End(reason="was cancelled by nobody")
        error = task.exception()
        if error is not None:
            return End(reason=in_words(error), error=error)
        if self.child.restart is Restart.PERMANENT:
            return End(reason="returned, although it must run until it is stopped")
        return End(reason=None)


class UnitOfRestart:
    """Services that go down together, in their order of start."""

    def __init__(self, members: tuple[Kept, ...]) -> None:
        self.members = members
        self.changed = asyncio.Event()  # something happened: look now
        self.settled = asyncio.Event()  # what starts after this unit may start
        self.due: float | None = None  # loop time of the next look; None: now, or when it changed

    def after(self, kept: Kept) -> tuple[Kept, ...]:
        """Return the members that started after `kept`, last first."""
        return tuple(reversed(self.members[self.members.index(kept) + 1 :]))

    def note_settled(self) -> None:
        """Open the barrier: all is up, or what is not may be missing for now."""
        missing = [kept for kept in self.members if not kept.is_settled]
        has_failed = any(kept.last_error is not None for kept in self.members)
        if not missing or (has_failed and not any(kept.child.essential for kept in missing)):
            self.settled.set()

    def is_quiet(self, now: float) -> bool:
        """Return whether a look would find nothing to do."""
        return all(kept.is_quiet(now) for kept in self.members)

    def look_again_at(self, now: float) -> float | None:
        """Return the loop time of the next look, unless something happens before."""
        times = [kept.look_again_at(now) for kept in self.members]
        return min([time for time in times if time is not None], default=None)

    def forgive(self, seconds: float) -> None:
        """Give every run back time during which the loop itself stood still."""
        for kept in self.members:
            if kept.ctx is not None:
                kept.ctx.forgive(seconds)


def units_of(groups: Iterable[Group], records: Iterable[RestartRecord]) -> list[UnitOfRestart]:
    """Return the units of restart in order of start; `records` yields one for each child."""
    fresh = iter(records)
    units: list[UnitOfRestart] = []
    for group in groups:
        members = tuple(Kept(child, next(fresh)) for child in group.children)
        if group.strategy is Strategy.REST_FOR_ONE:
            units.append(UnitOfRestart(members))
        else:
            units.extend(UnitOfRestart((member,)) for member in members)
    return units
