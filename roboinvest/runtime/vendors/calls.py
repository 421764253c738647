"""Blocking vendor clients, called from the loop: a few threads of their own, and a deadline each.

A vendor's client can hang for ever. The caller gets `TryLater` at its deadline whatever the client
does; the thread is written off until its socket gives up, and a pool whose threads are all written
off says so at once instead of queueing. The threads are daemons, so that a call that hangs cannot
keep the process from ending, which the standard pool's threads would.

A call whose caller gave up before it began never begins: an order that nobody waits for any more
must not leave. `NotSent` says so; a plain `TryLater` says that the call had begun, and that nobody
knows how it ended.

Orders and everything else get an instance each, so that a stalled read never holds up an order.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.rate_limiter import Lane, RateLimiter

ResultT = TypeVar("ResultT")
_LAST: Final = len(Lane)  # the place of a stop in the queue: behind every call


class NotSent(TryLater):
    """The call never began, and never will: whatever it asks for was not asked."""


class VendorCalls:
    """A bounded pool of threads in which one vendor's client is called."""

    def __init__(
        self, name: str, *, threads: int, limiter: RateLimiter | None, in_flight: InFlight
    ) -> None:
        """Make an idle pool; its threads start when they are needed.

        Args:
            name: of the vendor and the purpose, as a person may read it.
            threads: how many calls may be under way at once.
            limiter: the vendor's allowance; None: there is none.
            in_flight: counts the calls under way.
        """
        if threads < 1:
            raise ValueError(f"{name}: {threads} threads; at least 1 is needed")
        self.name = name
        self._limit = threads
        self._limiter = limiter
        self._in_flight = in_flight
        self._queue: queue.PriorityQueue[tuple[int, int, _Job[Any] | None]] = queue.PriorityQueue()
        self._lock = threading.Lock()  # guards what follows
        self._threads = 0
        self._idle = 0
        self._queued = 0
        self._stuck = 0
        self._number = 0
        self._is_closed = False

    @property
    def stuck(self) -> int:
        """Return how many threads are busy with a call that nobody waits for any more."""
        return self._stuck

    async def run(self, call: Callable[[], ResultT], *, lane: Lane, deadline_s: float) -> ResultT:
        """Return what `call()` returns, or raise what it raises.

        The deadline includes the wait for a turn and for a thread. `call` runs in a thread.

        Raises:
            NotSent: the deadline passed before `call` began, every thread is stuck, or the pool is
                closed; `call` never begins.
            TryLater: the deadline passed while `call` ran; how it ended is not known.
        """
        self._refuse_when_stuck()
        job = _Job(call)
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                if self._limiter is not None:
                    await self._limiter.wait(lane)
                    self._refuse_when_stuck()
                with self._in_flight:
                    self._submit(job, lane)
                    return await job.reply
        except TimeoutError:
            if not deadline.expired():
                raise  # the call's own error, in time
            self._give_up(job)
            if job.has_begun:
                raise TryLater(
                    f"{self.name}: no answer within {deadline_s:g} s; look up what became of it"
                ) from None
            raise NotSent(
                f"{self.name}: no turn within {deadline_s:g} s; nothing was sent, try again later"
            ) from None
        finally:
            self._give_up(job)

    def close(self) -> None:
        """Take no more calls; what has not begun never will, and what runs is not waited for."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._threads):
                self._put(None, _LAST)

    def _refuse_when_stuck(self) -> None:
        if self._stuck >= self._limit:
            raise NotSent(
                f"{self.name}: all {self._limit} threads wait for answers that are overdue; "
                "nothing was sent, try again later"
            )

    def _submit(self, job: _Job[ResultT], lane: Lane) -> None:
        with self._lock:
            if self._is_closed:
                raise NotSent(f"{self.name}: closed, the house is stopping; nothing was sent")
            self._put(job, lane)
            self._queued += 1
            if self._queued > self._idle and self._threads < self._limit:
                self._threads += 1
                name = f"{self.name}-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()

    def _put(self, job: _Job[ResultT] | None, place: int) -> None:
        self._number += 1
        self._queue.put((place, self._number, job))

    def _work(self) -> None:
        """Take calls until told to stop; the body of every thread."""
        while True:
            with self._lock:
                self._idle += 1
            job = self._queue.get()[2]
            with self._lock:
                self._idle -= 1
                if job is None:
                    return
                self._queued -= 1
                if self._is_closed or not job.begin():
                    job.tell(error=NotSent(f"{self.name}: given up before it began"))
                    continue
            job.work()
            with self._lock:
                job.has_ended = True
                self._stuck -= job.is_written_off
            job.answer()

    def _give_up(self, job: _Job[ResultT]) -> None:
        """Let go of a call: it never begins, or its thread is written off, or it has ended."""
        with self._lock:
            if job.is_given_up:
                return
            job.is_given_up = True
            if job.has_begun and not job.has_ended:
                job.is_written_off = True
                self._stuck += 1
        job.forget()


class _Job(Generic[ResultT]):
    """One call on its way through a thread; its flags are guarded by the pool's lock."""

    def __init__(self, call: Callable[[], ResultT]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[ResultT] = self._loop.create_future()
        self._result: ResultT | None = None
        self._error: BaseException | None = None
        self.has_begun = False
        self.has_ended = False
        self.is_given_up = False
        self.is_written_off = False

    def begin(self) -> bool:
        """Return whether the call may be made: somebody still waits for it."""
        self.has_begun = not self.is_given_up
        return self.has_begun

    def work(self) -> None:
        """Make the call, in a thread."""
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 it is raised again where the call is awaited
            self._error = error

    def answer(self) -> None:
        """Hand the outcome to the loop; nobody may be there any more."""
        self.tell(self._result, self._error)

    def tell(self, result: ResultT | None = None, error: BaseException | None = None) -> None:
        """Settle the reply, from a thread."""
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def forget(self) -> None:
        """Look at an error that nobody will, so that it is not reported as lost."""
        if self.reply.done() and not self.reply.cancelled():
            self.reply.exception()

    def _settle(self, result: Any, error: BaseException | None) -> None:  # noqa: ANN401 any result
        if self.reply.done():
            return
        if error is None:
            self.reply.set_result(result)
        else:
            self.reply.set_exception(error)
