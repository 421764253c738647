"""The supervisor: starts services in order, keeps them alive, and stops them in reverse.

A service that raises, returns, hangs or is cancelled by nobody starts again after a back-off. One
that fails too often is quarantined; if the house cannot do without it, the house stops with code
70 and the service manager starts a clean process. Others may only ask (`restart`, `quarantine`,
`release`); nobody else touches a task.

A run that ignores its cancellation is abandoned: a new one may start beside it, but never for an
essential service, because two of those could do the same thing twice. Deliberately absent: health
judgements and healing, which belong to the Overseer, and any knowledge of what a service does.
"""

from __future__ import annotations

import asyncio
import difflib
import itertools
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Event,
    ServiceFailed,
    ServiceRecovered,
    Severity,
)
from roboinvest.core.oversight.fingerprints import fingerprint_of
from roboinvest.core.ports import Clock
from roboinvest.runtime.supervision.keeping import Asked, End, Kept, UnitOfRestart, units_of
from roboinvest.runtime.supervision.restarts import RestartLimits, RestartRecord
from roboinvest.runtime.supervision.rounds import Rounds
from roboinvest.runtime.supervision.service import (
    Group,
    Restart,
    ServiceContext,
    ServiceState,
    ServiceStatus,
    in_words,
)

STOPPED: Final = 0
ESCALATED: Final = 70
ALERT_PREFIX: Final = "service."  # begins the keys of alerts about services
_SECOND_CANCEL_S: Final = 1.0  # how long a run may live after it was cancelled twice
_LAST_CALL_FRAC: Final = 0.1  # of the grace: kept for those that are cancelled all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseEnd:
    """Why the house stopped."""

    exit_code: int
    reason: str
    abandoned: tuple[str, ...] = ()  # services with a run that ignored its cancellation
    error: BaseException | None = None  # that no restart mends


class Supervisor:
    """Keeps a tree of services."""

    def __init__(
        self,
        groups: Sequence[Group],
        *,
        clock: Clock,
        rng: random.Random,
        publish: Callable[[Event], None],
        limits: RestartLimits,
        stop_grace_s: float = 20.0,
        on_stopping: Callable[[], None] = lambda: None,
        hopeless: tuple[type[Exception], ...] = (),
        left_open: Collection[str] = (),
    ) -> None:
        """Take the tree; nothing runs yet.

        Args:
            groups: in order of start.
            clock: for the time of events.
            rng: jitter of the back-off.
            publish: where facts go.
            limits: of restarts.
            stop_grace_s: for the whole stop.
            on_stopping: called once, at the moment a stop begins.
            hopeless: errors of essential services that no restart mends: the first ends it all.
            left_open: services with an open alert of an earlier run, which closes when they work.
        """
        records = (RestartRecord(limits, rng) for _ in itertools.count())
        self._units = units_of(groups, records)
        self._rounds = Rounds(self._units)
        self._kept = {kept.name: kept for unit in self._units for kept in unit.members}
        if len(self._kept) != sum(len(unit.members) for unit in self._units):
            raise ValueError("two services have the same name")
        for kept in self._kept.values():
            kept.in_trouble = kept.is_alerted = kept.name in left_open
        self._clock, self._publish = clock, publish
        self._stop_grace_s, self._on_stopping, self._hopeless = stop_grace_s, on_stopping, hopeless
        self._log = structlog.get_logger("roboinvest.supervisor")
        self._end: HouseEnd | None = None
        self._ending = asyncio.Event()
        self._abandoned: dict[asyncio.Task[None], str] = {}
        self.is_started = False  # every barrier was passed once

    async def run(self) -> HouseEnd:
        """Start everything, keep it, and return after the last service is stopped."""
        try:
            async with asyncio.TaskGroup() as keepers:
                tasks = []
                for unit in self._units:
                    tasks.append(keepers.create_task(self._keep(unit)))
                    await unit.settled.wait()
                    if self._end is not None:
                        break
                self.is_started = self._end is None
                await self._ending.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._rounds.end()
            self._finish(STOPPED, "cancelled")
            await self._stop_house()
        end = self._end or HouseEnd(exit_code=STOPPED, reason="cancelled")
        return replace(end, abandoned=tuple(sorted(set(self._abandoned.values()))))

    def request_stop(self, reason: str) -> None:
        """Begin an orderly stop."""
        self._finish(STOPPED, reason)

    def restart(self, name: str) -> None:
        """Stop and start a service, and what depends on it; this is not a failure of its own."""
        self._ask(name, Asked.RESTART)

    def quarantine(self, name: str) -> None:
        """Stop a service, and what depends on it, until it is released.

        Raises:
            Refused: the house cannot do without it.
        """
        if self._find(name).child.essential:
            raise Refused(f"{name} is essential and cannot be quarantined; stop the daemon instead")
        self._ask(name, Asked.QUARANTINE)

    def release(self, name: str) -> None:
        """Let a quarantined service start again, with its failures forgotten."""
        kept = self._find(name)
        if kept.state is ServiceState.QUARANTINED:
            kept.record.pardon()
            kept.state = ServiceState.DOWN
            self._unit_of(kept).changed.set()

    def forgive(self, stall_s: float) -> None:
        """Give every service back a time during which the loop stood still, and log it."""
        self._log.warning("loop_stood_still", stall_s=round(stall_s, 1))
        for unit in self._units:
            unit.forgive(stall_s)

    def names(self) -> tuple[str, ...]:
        """Return the name of every service in order of start."""
        return tuple(self._kept)

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return every service in order of start."""
        now = asyncio.get_running_loop().time()
        return tuple(kept.status(now) for kept in self._kept.values())

    def essentials_run(self) -> bool:
        """Return whether every essential service is up."""
        return all(kept.is_settled for kept in self._kept.values() if kept.child.essential)

    async def _keep(self, unit: UnitOfRestart) -> None:
        while True:
            unit.due = None
            unit.changed.clear()
            await self._look_after(unit)
            self._rounds.expect(unit)
            await unit.changed.wait()

    async def _look_after(self, unit: UnitOfRestart) -> None:
        """Take note of what happened, then start what is next in order."""
        now = asyncio.get_running_loop().time()
        for kept in unit.members:
            if kept.asked is not None:
                await self._obey(unit, kept)
            elif (end := kept.look(now)) is not None:
                await self._take_end(unit, kept, end)
            elif kept.has_recovered(now):
                self._note_recovery(kept)
        self._bring_up(unit)
        unit.note_settled()

    def _bring_up(self, unit: UnitOfRestart) -> None:
        now = asyncio.get_running_loop().time()
        for kept in unit.members:
            if kept.state is ServiceState.STARTING and kept.ctx is not None and kept.ctx.is_ready:
                kept.state = ServiceState.RUNNING
                self._log.info("service_ready", service=kept.name)
            due = kept.state is ServiceState.BACKING_OFF and now >= kept.retry_at
            if kept.state is ServiceState.DOWN or due:
                self._start(unit, kept)
            if not kept.is_settled:
                return

    def _start(self, unit: UnitOfRestart, kept: Kept) -> None:
        loop = asyncio.get_running_loop()
        kept.ctx = ServiceContext(
            kept.name,
            patience_s=kept.child.patience_s,
            ready_within_s=kept.child.ready_within_s,
            loop_time=loop.time,
            changed=unit.changed.set,
        )
        kept.state = ServiceState.STARTING
        kept.task = loop.create_task(_run_named(kept, kept.ctx), name=kept.name)
        kept.task.add_done_callback(lambda _: unit.changed.set())

    async def _take_end(self, unit: UnitOfRestart, kept: Kept, end: End) -> None:
        """Act on the end of a run: clean, or a failure that is paid with a back-off."""
        loop = asyncio.get_running_loop()
        if end.reason is None:
            kept.task, kept.state = None, ServiceState.FINISHED
            self._log.info("service_finished", service=kept.name)
            return
        lived_s = 0.0 if kept.ctx is None else loop.time() - kept.ctx.started_at
        kept.last_error, kept.in_trouble = end.reason, True
        if kept.child.essential and isinstance(end.error, self._hopeless):
            kept.task, kept.state = None, ServiceState.QUARANTINED
            self._finish(ESCALATED, end.reason, end.error)
            return
        self._log.error("service_failed", service=kept.name, reason=end.reason, exc_info=end.error)
        if await self._take_down(unit, kept):
            self._decide(kept, end.reason, lived_s)
            if kept.child.essential and kept.state is ServiceState.BACKING_OFF:
                text = f"{kept.name} failed and starts again by itself: {end.reason}"
                self._alert(kept, Severity.HIGH, text)
        self._publish(
            ServiceFailed(
                at=self._clock.now(),
                service=kept.name,
                reason=end.reason,
                restarts=kept.record.restarts,
                quarantined=kept.state is ServiceState.QUARANTINED,
                fingerprint="" if end.error is None else fingerprint_of(end.error),
            )
        )

    def _decide(self, kept: Kept, reason: str, lived_s: float) -> None:
        """Choose what follows a failure: never again, a back-off, or no more of it."""
        now = asyncio.get_running_loop().time()
        if kept.child.restart is Restart.TEMPORARY:
            kept.state = ServiceState.FINISHED
        elif (delay_s := kept.record.next_delay_s(now, lived_s)) is not None:
            kept.state, kept.retry_at = ServiceState.BACKING_OFF, now + delay_s
        else:
            self._give_up(kept, reason)

    def _give_up(self, kept: Kept, reason: str) -> None:
        kept.state = ServiceState.QUARANTINED
        if kept.child.essential:
            self._escalate(kept, f"{kept.name} failed too often; the last time it {reason}")
            return
        text = f"{kept.name} is quarantined after {kept.record.restarts} restarts: {reason}"
        self._alert(kept, Severity.HIGH, f"{text}; release it when the cause is gone")

    async def _obey(self, unit: UnitOfRestart, kept: Kept) -> None:
        asked, kept.asked = kept.asked, None
        if not await self._take_down(unit, kept):
            return
        if asked is Asked.RESTART:
            kept.record.restarts += 1
            kept.state = ServiceState.DOWN
            self._log.info("service_restart_asked", service=kept.name)
        else:
            kept.state = ServiceState.QUARANTINED
            self._log.info("service_quarantine_asked", service=kept.name)

    async def _take_down(self, unit: UnitOfRestart, kept: Kept) -> bool:
        """Stop a service after those that depend on it; False: the house is ending instead."""
        for other in (*unit.after(kept), kept):
            was_up, stopped = other.is_up, await self._stop(other, other.child.stop_within_s)
            if was_up:
                other.state = ServiceState.DOWN
            if not stopped:
                text = f"{other.name} ignored its cancellation"
                if other.child.essential:
                    other.state = ServiceState.QUARANTINED
                    self._escalate(other, f"{text}, and two of it must never run")
                    return False
                self._alert(other, Severity.HIGH, f"{text}; a run of it is left behind")
        return True

    async def _stop(self, kept: Kept, within_s: float) -> bool:
        """Cancel a run, twice if need be; False: it ignored both and was abandoned."""
        task = kept.task
        if task is None:
            return True
        for wait_s in (within_s, min(_SECOND_CANCEL_S, within_s)):
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=wait_s)
        kept.task = None
        if task.done():
            self._note_last_words(kept, task)
            return True
        self._abandon(kept, task)
        return False

    async def _stop_house(self) -> None:
        """Stop in reverse, each within its own time and all within the grace."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._stop_grace_s
        last_call = deadline - self._stop_grace_s * _LAST_CALL_FRAC
        order = list(reversed(self._kept.values()))
        for kept in order:
            left_s = last_call - loop.time()
            if left_s > 0:
                await self._stop(kept, min(kept.child.stop_within_s, left_s))
        rest = {kept.task: kept for kept in order if kept.task is not None}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=max(deadline - loop.time(), 0.0))
        for task, kept in rest.items():
            kept.task = None
            if not task.done():
                self._abandon(kept, task)
        for kept in order:
            if kept.state not in (ServiceState.FINISHED, ServiceState.QUARANTINED):
                kept.state = ServiceState.STOPPED

    def _abandon(self, kept: Kept, task: asyncio.Task[None]) -> None:
        self._abandoned[task] = kept.name  # also keeps the task from the garbage collector
        task.add_done_callback(_hear_out)
        self._log.error("service_abandoned", service=kept.name)

    def _note_last_words(self, kept: Kept, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and kept.last_error != in_words(error):
            self._log.warning("service_stopped_with_error", service=kept.name, exc_info=error)

    def _note_recovery(self, kept: Kept) -> None:
        at, kept.in_trouble = self._clock.now(), False
        self._publish(ServiceRecovered(at=at, service=kept.name))
        if kept.is_alerted:
            kept.is_alerted = False
            text = f"{kept.name} makes progress again"
            self._publish(AlertResolved(at=at, key=f"{ALERT_PREFIX}{kept.name}", message=text))

    def _escalate(self, kept: Kept, reason: str) -> None:
        self._alert(kept, Severity.CRITICAL, f"{reason}; the daemon stops with code {ESCALATED}")
        self._finish(ESCALATED, reason)

    def _alert(self, kept: Kept, severity: Severity, text: str) -> None:
        kept.is_alerted, at = True, self._clock.now()
        key, root = f"{ALERT_PREFIX}{kept.name}", f"agent.{kept.name}"  # the Overseer's, if told
        told = AlertRaised(at=at, key=key, severity=severity, kind="system", message=text)
        self._publish(replace(told, caused_by=root))

    def _finish(self, exit_code: int, reason: str, error: BaseException | None = None) -> None:
        if self._end is not None:
            return
        self._end = HouseEnd(exit_code=exit_code, reason=reason, error=error)
        self._log.info("house_stopping", exit_code=exit_code, reason=reason)
        self._on_stopping()
        self._ending.set()
        for unit in self._units:
            unit.settled.set()

    def _ask(self, name: str, asked: Asked) -> None:
        kept = self._find(name)
        kept.asked = asked
        self._unit_of(kept).changed.set()

    def _find(self, name: str) -> Kept:
        kept = self._kept.get(name)
        if kept is None:
            near = difflib.get_close_matches(name, self._kept, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._kept)}"
            raise BadInput(f"no service is called {name}; {hint}")
        return kept

    def _unit_of(self, kept: Kept) -> UnitOfRestart:
        return next(unit for unit in self._units if kept in unit.members)


async def _run_named(kept: Kept, ctx: ServiceContext) -> None:
    structlog.contextvars.bind_contextvars(service=kept.name)
    await kept.child.service.run(ctx)


def _hear_out(task: asyncio.Task[None]) -> None:
    """Take the late error of an abandoned run, which nobody else will ask for."""
    if not task.cancelled():
        task.exception()
