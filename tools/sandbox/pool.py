"""Boxes for the daemon: a few workers, each on a thread of its own, healed and renewed.

Use it as a context manager: on entering, the zygotes start; on leaving, whatever runs is killed, so
that no child outlives the pool. A job waits for a free worker, runs, and gives the worker back. A
job that the candidate is not to blame for (a busy machine, a dead zygote) is run again, a few
times, and what comes out then is told as it is.

Leaving and cancelling kill the job: a thread of the pool is never left behind waiting for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

import numpy as np

from roboinvest.core.errors import Refused
from roboinvest.core.market.bars import Floats
from roboinvest.core.ports import Clock
from roboinvest.runtime.in_flight import InFlight
from tools.sandbox.job import Fault, Outcome, Transform, Walk
from tools.sandbox.talk import Talk
from tools.sandbox.tier import Tier
from tools.sandbox.worker import Worker

AnswerT = TypeVar("AnswerT")
_ATTEMPTS: Final = 3


class SandboxPool:
    """Runs jobs in boxes of one tier."""

    def __init__(
        self,
        tier: Tier,
        *,
        clock: Clock,
        in_flight: InFlight,
        workers: int = 2,
        preload: Sequence[str] = (),
        most_jobs: int = 1_000,
        most_s: float = 600.0,
    ) -> None:
        """Prepare; nothing starts before the pool is entered.

        Args:
            tier: what `detect` found, or a lower one that runs jobs.
            clock: for the age of zygotes.
            in_flight: counts the jobs.
            workers: jobs at once.
            preload: modules that jobs may import besides numpy and the plain library.
            most_jobs: a zygote is renewed after so many.
            most_s: and after so many seconds, with the next job.
        """
        self._tier = tier
        self._clock = clock
        self._in_flight = in_flight
        self._most_jobs = most_jobs
        self._most_s = most_s
        processors = sorted(os.sched_getaffinity(0))
        self._workers = [
            Worker(tier, preload=preload, processor=processors[-1 - number % len(processors)])
            for number in range(workers)
        ]
        self._born = dict.fromkeys(self._workers, clock.monotonic())
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._threads: ThreadPoolExecutor | None = None
        self._calls: set[asyncio.Future[Any]] = set()

    @property
    def tier(self) -> Tier:
        """Return the kind of box."""
        return self._tier

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the processes that were started."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    async def __aenter__(self) -> SandboxPool:
        """Start all workers.

        Raises:
            Refused: the tier runs no jobs.
            TryLater: a zygote does not start.
        """
        if not self._tier.runs_jobs:
            raise Refused(
                f"tier {self._tier} runs no code on arrays; see what `roboinvest doctor` says of "
                "the sandbox"
            )
        self._threads = ThreadPoolExecutor(len(self._workers), thread_name_prefix="sandbox")
        try:
            await asyncio.gather(*(self._on_thread(each, each.start) for each in self._workers))
        except BaseException:
            await self._end()
            raise
        for worker in self._workers:
            self._idle.put_nowait(worker)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def run(self, job: Transform) -> Outcome:
        """Run a job, again where the candidate was not judged.

        Raises:
            BadInput: the job is none that a box can run.
            TryLater: no zygote can be started.
        """
        return await self._settled(lambda worker: worker.run(job))

    async def run_twice(self, job: Transform) -> Outcome:
        """Run a job twice, on two workers where there are two; outputs must not differ by a bit."""
        first = await self.run(job)
        if first.signals is None:
            return first
        return _same(first, await self.run(job))

    async def walk(self, walk: Walk, rows: Floats) -> Outcome:
        """Walk through rows, (n, fields); again where the candidate was not judged."""
        return await self._settled(lambda worker: worker.walk(walk, rows))

    async def walk_twice(self, walk: Walk, rows: Floats) -> Outcome:
        """Walk twice, on two workers where there are two; answers must not differ by a bit."""
        first = await self.walk(walk, rows)
        if first.signals is None:
            return first
        return _same(first, await self.walk(walk, rows))

    @contextlib.asynccontextmanager
    async def open(self, walk: Walk) -> AsyncIterator[PooledTalk]:
        """Hold a worker for a walk whose rows come one by one, as they do live.

        Raises:
            BadInput: the walk is none that a box can run.
            TryLater: no zygote can be started.
        """
        async with self._worker() as worker:
            talk = await self._on_thread(worker, partial(worker.open, walk))
            pooled = PooledTalk(self, worker, talk)
            try:
                yield pooled
            finally:
                await pooled.finish()

    async def on_thread(self, worker: Worker, call: Callable[[], AnswerT]) -> AnswerT:
        """Run a call of a held worker on the pool's threads; for `PooledTalk`."""
        return await self._on_thread(worker, call)

    async def _settled(self, play: Callable[[Worker], Outcome]) -> Outcome:
        for attempt in range(1, _ATTEMPTS + 1):
            async with self._worker() as worker:
                outcome = await self._on_thread(worker, partial(play, worker))
            if not outcome.again or attempt == _ATTEMPTS:
                break
        return outcome

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator[Worker]:
        """Wait for a free worker, renew its zygote where that is due, and hold it."""
        worker = await self._idle.get()
        try:
            now = self._clock.monotonic()
            is_old = now - self._born[worker] >= self._most_s or worker.served >= self._most_jobs
            if is_old or worker.interrupted:
                self._born[worker] = now
                await self._on_thread(worker, worker.start)
            yield worker
        finally:
            self._idle.put_nowait(worker)

    async def _on_thread(self, worker: Worker, call: Callable[[], AnswerT]) -> AnswerT:
        """Run a call of a worker; where nobody wants it any more, kill it and wait for its end."""
        if self._threads is None:
            raise Refused("the pool is not open; enter it first")
        called = asyncio.get_running_loop().run_in_executor(self._threads, call)
        self._calls.add(called)
        called.add_done_callback(self._calls.discard)
        with self._in_flight:
            try:
                return await asyncio.shield(called)
            except asyncio.CancelledError:
                worker.interrupt()
                await asyncio.wait([called])
                if not called.cancelled():
                    called.exception()  # a job that was killed may fail; nobody asks any more
                raise

    async def _end(self) -> None:
        if self._threads is None:
            return
        threads, self._threads = self._threads, None
        for worker in self._workers:
            worker.interrupt()
        loop = asyncio.get_running_loop()
        with self._in_flight:
            if self._calls:
                await asyncio.wait(self._calls)
            await asyncio.wait(
                [loop.run_in_executor(threads, each.close) for each in self._workers]
            )
        threads.shutdown(wait=False)


class PooledTalk:
    """A walk under way in a pool; see `Talk`."""

    def __init__(self, pool: SandboxPool, worker: Worker, talk: Talk) -> None:
        """Take a talk over; `SandboxPool.open` calls this."""
        self._pool = pool
        self._worker = worker
        self._talk = talk

    async def ask(self, rows: Floats) -> Floats:
        """Ask about rows, (n, fields), oldest first; return the answers, (n, outputs).

        Raises:
            BadInput: the rows have another width.
            WalkEnded: a row got no answer, or none within bounds.
        """
        return await self._pool.on_thread(self._worker, partial(self._talk.ask, rows))

    async def finish(self) -> Outcome:
        """End the walk; signals are all answers, (rows, outputs)."""
        return await self._pool.on_thread(self._worker, self._talk.finish)


def _same(first: Outcome, second: Outcome) -> Outcome:
    if first.signals is None or second.signals is None:
        return second
    if np.array_equal(first.signals, second.signals):
        return replace(first, cpu_s=first.cpu_s + second.cpu_s)
    rows = int((first.signals != second.signals).sum())
    detail = f"{rows} of {first.signals.size} signals differ between two runs"
    return replace(second, signals=None, fault=Fault.UNSTEADY, detail=detail)
