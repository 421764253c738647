"""Where combinations are played: in this process, or in one process for each core.

A child that raises, hangs or dies costs its one combination, which is then a failure with a
sentence, and a fresh child takes its place. Children are killed when the search ends, whichever way
it ends. The pool of another machine, or of many, has only to keep to `Pool`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.ports import Clock
from tools.backtester.contract import Request
from tools.backtester.search.jobs import Failure, Job, Outcome, Play, attempt
from tools.backtester.search.shared_bars import remove_bars, write_bars
from tools.backtester.search.worker import Recipe, serve

Answer = tuple[Job, Outcome | Failure]
START_S: Final = 120.0  # s that a child may take to import, load and compile
DEADLINE_S: Final = 600.0  # s that one combination may take
END_S: Final = 10.0  # s that a killed child may take to be gone
FEW_ROWS: Final = 10_000_000  # rows over all combinations that do not pay for starting children


class Pool(Protocol):
    """Plays combinations; what comes of each is told as soon as it is known, in any order."""

    def answers(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        """Yield each job with its outcome or failure.

        Raises:
            BadInput: no worker can load the strategy.
            TryLater: workers cannot be started.
        """


class InProcess:
    """Plays here, one after the other: no start-up, and no deadline."""

    def __init__(self, request: Request, play: Play) -> None:
        self._request = request
        self._play = play

    def answers(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        """Yield each job with its outcome or failure, in order."""
        for job in jobs:
            yield job, attempt(self._request, self._play, job)


@dataclass(slots=True)
class _Worker:
    """One child, and what it is at."""

    process: SpawnProcess
    connection: Connection
    due: float  # monotonic s
    is_ready: bool = False
    job: Job | None = None

    @property
    def is_busy(self) -> bool:
        """Return whether something is awaited of it."""
        return not self.is_ready or self.job is not None


class LocalProcesses:
    """Plays in children of this process, over bars that all of them map; use it in a `with`."""

    def __init__(
        self,
        request: Request,
        recipe: Recipe,
        *,
        scratch: Path,
        clock: Clock,
        workers: int | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Prepare; nothing is started before there are jobs.

        Args:
            request: its bars are those that the children see.
            recipe: how a child comes by the rest.
            scratch: a folder for the bars; what is laid down there is removed in the end.
            clock: tells how long a combination has taken.
            workers: None: one for each core that this process may use.
            deadline_s: after which a combination has failed.
        """
        self._request = request
        self._recipe = recipe
        self._scratch = scratch
        self._clock = clock
        self._most = max(1, workers or len(os.sched_getaffinity(0)))
        self._deadline_s = deadline_s
        self._folder: Path | None = None
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill every child and remove the bars."""
        for worker in list(self._workers):
            self._end(worker)
        if self._folder is not None:
            remove_bars(self._folder)
            self._folder = None

    def answers(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        """Yield each job with its outcome or failure, as they come."""
        waiting, left = deque(jobs), len(jobs)
        try:
            while left:
                self._hand_out(waiting)
                for answer in self._heard():
                    left -= 1
                    yield answer
        finally:  # a caller that stopped listening gets no late answers the next time
            for worker in [each for each in self._workers if each.job is not None]:
                self._end(worker)

    def _hand_out(self, waiting: deque[Job]) -> None:
        """Give every idle worker a job, and have as many workers as there is work for."""
        for worker in self._workers:
            if waiting and not worker.is_busy:
                worker.job = waiting.popleft()
                worker.due = self._clock.monotonic() + self._deadline_s
                self._tell(worker, worker.job)
        starting = sum(not worker.is_ready for worker in self._workers)
        while len(self._workers) < self._most and starting < len(waiting):
            self._workers.append(self._started())
            starting += 1

    def _tell(self, worker: _Worker, job: Job) -> None:
        try:
            worker.connection.send(job)
        except (BrokenPipeError, ConnectionResetError):
            return  # it died idle: reading from it says so, and the job fails with its sentence

    def _heard(self) -> Iterator[Answer]:
        """Wait until a worker answers, ends or is late; yield what became of its job."""
        awaited = [worker for worker in self._workers if worker.is_busy]
        patience = min((worker.due for worker in awaited), default=0.0) - self._clock.monotonic()
        told = wait([worker.connection for worker in awaited], max(0.0, patience))
        for worker in awaited:
            if worker.connection in told:
                yield from self._answer(worker)
            elif worker.due <= self._clock.monotonic():
                yield from self._late(worker)

    def _answer(self, worker: _Worker) -> Iterator[Answer]:
        try:
            answer = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield from self._died(worker)
            return
        if worker.is_ready:
            job, worker.job = worker.job, None
            if job is not None:
                yield job, answer
        elif isinstance(answer, Failure):
            raise BadInput(f"the search cannot load the strategy: {answer.why}")
        else:
            worker.is_ready = True

    def _late(self, worker: _Worker) -> Iterator[Answer]:
        job = worker.job
        self._end(worker)
        if job is None:
            raise TryLater(f"a search process was not ready after {START_S:.0f} s; try again")
        why = f"it took longer than {self._deadline_s:g} s and was ended"
        yield job, Failure(why=why)

    def _died(self, worker: _Worker) -> Iterator[Answer]:
        job = worker.job
        worker.process.join(END_S)
        code = worker.process.exitcode
        self._end(worker)
        if job is None:
            raise TryLater(
                f"a search process ended {_how(code)} before its first combination; search in one "
                "process, or free some memory"
            )
        yield job, Failure(why=f"the process that played it ended {_how(code)}")

    def _started(self) -> _Worker:
        if self._folder is None:
            self._folder = write_bars(self._scratch, self._request.bars)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve,
            args=(theirs, self._recipe, self._folder, os.getpid()),
            name="backtest-search",
            daemon=True,
        )
        # a Ctrl-C while it imports waits in the child until it can die of it without a traceback
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return _Worker(process, ours, self._clock.monotonic() + START_S)

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join(END_S)
        worker.connection.close()


def pays_for_processes(rows: int, combinations: int) -> bool:
    """Return whether so many combinations over so many bars are worth starting children."""
    return combinations > 1 and rows * combinations > FEW_ROWS


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"
