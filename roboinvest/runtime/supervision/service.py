"""The contract between a service and the supervisor that keeps it alive.

A service is a loop with a name. It says when it is ready, beats when it has made progress, and
says so before it waits for something that may take long. A heartbeat is progress, not life: a
service that spins without getting anywhere is as dead as one that hangs, so an announced wait is
granted once per beat and no more.

`run` may be called again on the same object after a failure, so it must build what it needs at
its start. It must not swallow `CancelledError`. Deliberately absent: a start and a stop method;
what a service opens, it closes in its own `finally`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ServiceContext:
    """What the supervisor hands to one run of a service."""

    def __init__(
        self,
        name: str,
        *,
        patience_s: float,
        ready_within_s: float,
        loop_time: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.beats = 0  # progress made by this run
        self.is_ready = False
        self.started_at = loop_time()  # loop time, s
        self.last_beat_at = self.started_at  # loop time, s
        self._patience_s = patience_s
        self._loop_time = loop_time
        self._changed = changed
        self._progress: int | None = None
        self._may_wait = False  # a start is not a place to wait
        self._hung_at: float | None = self.started_at + ready_within_s

    def ready(self) -> None:
        """Say that what starts after this service may start; the first beat says it as well."""
        if self.is_ready:
            return
        self.is_ready = True
        self._may_wait = True
        self._allow(self._patience_s)
        self._changed()

    def beat(self, progress: int | None = None) -> None:
        """Say that work was done.

        `progress` is a counter of that work: the same figure twice is no progress. Without one,
        every beat counts.
        """
        if progress is not None and progress == self._progress:
            return
        self._progress = progress
        self.beats += 1
        self.last_beat_at = self._loop_time()
        self._may_wait = True
        self._allow(self._patience_s)
        self.ready()
        if self.beats == 1:
            self._changed()

    def idle(self, for_s: float | None = None) -> None:
        """Announce a wait of `for_s` seconds, or of any length when None.

        Granted once per beat: a loop that waits again and again without progress is hung.
        """
        if not self._may_wait:
            return
        self._may_wait = False
        if for_s is None:
            self._hung_at = None
        else:
            self._allow(max(for_s, 0.0) + self._patience_s)

    async def sleep(self, seconds: float) -> None:
        """Wait, announced."""
        self.idle(seconds)
        await asyncio.sleep(max(seconds, 0.0))

    async def every(
        self, interval_s: float | Callable[[], float], *, at_once: bool = True
    ) -> AsyncIterator[int]:
        """Yield at each multiple of `interval_s` from now, and how many of them were missed.

        After a stall it yields once, never in a burst, and stays on the same grid. An interval that
        is a function is asked after each wait: whoever changes it begins another grid.
        """
        fixed = 0.0 if callable(interval_s) else interval_s
        asked = interval_s if callable(interval_s) else lambda: fixed
        due = self._loop_time() + (0.0 if at_once else asked())
        while True:
            await self.sleep(due - self._loop_time())
            step_s = asked()
            missed = max(0, int((self._loop_time() - due) // step_s))
            due += (missed + 1) * step_s
            self.beat()
            yield missed

    def hung_at(self) -> float | None:
        """Return the loop time at which this run counts as hung; None while any wait is granted."""
        return self._hung_at

    def forgive(self, seconds: float) -> None:
        """Give back time during which the loop itself stood still."""
        if self._hung_at is not None:
            self._hung_at += seconds

    def _allow(self, seconds: float) -> None:
        self._hung_at = self._loop_time() + seconds


class Service(Protocol):
    """A supervised loop."""

    @property
    def name(self) -> str:
        """Return a name that is unique in the house."""

    async def run(self, ctx: ServiceContext) -> None:
        """Work until cancelled; whether a return is a failure is the business of `Restart`."""


class Restart(StrEnum):
    """What the end of a run means."""

    PERMANENT = "permanent"  # any end is a failure
    TRANSIENT = "transient"  # a clean return is an end; an error is a failure
    TEMPORARY = "temporary"  # never started again


class Strategy(StrEnum):
    """Who is started again when one fails."""

    ONE_FOR_ONE = "one_for_one"  # the one alone
    REST_FOR_ONE = "rest_for_one"  # the one and those that started after it in the group


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A service and the terms it is kept on."""

    service: Service
    restart: Restart = Restart.PERMANENT
    essential: bool = False  # the house stops (70) when it cannot be kept alive
    patience_s: float = 60.0  # without a beat for longer, outside an announced wait: hung
    ready_within_s: float = 30.0  # a start that takes longer is a failure
    stop_within_s: float = 5.0  # after which a cancelled run is cancelled again, then abandoned


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Children in their order of start."""

    children: tuple[Child, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE


class ServiceState(StrEnum):
    """Where a service stands."""

    DOWN = "down"  # its turn has not come
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing_off"  # failed; starts again by itself
    QUARANTINED = "quarantined"  # starts again when released
    FINISHED = "finished"
    STOPPED = "stopped"  # the house is stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """A service at one instant, for reports and for people."""

    name: str
    state: ServiceState
    essential: bool
    restarts: int  # since the daemon started
    last_error: str | None  # in words
    beats: int  # of the current run
    last_beat_age_s: float | None  # None while it does not run


def in_words(error: BaseException) -> str:
    """Return an exception as one line: its class and message; of a group, the first that counts."""
    if isinstance(error, BaseExceptionGroup):
        more = len(error.exceptions) - 1
        return in_words(error.exceptions[0]) + (f" (and {more} more)" if more else "")
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
