"""A thread with a connection of its own, and the queue before it.

The thread takes everything that is queued at once: what arrives while it works is its next batch.
It is a daemon thread, because a disk that hangs must not keep the process from ending; what was
acknowledged is durable, and the rest was never promised.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.lanes.requests import (
    Asked,
    LoopRequest,
    Request,
    ThreadRequest,
    tell_all,
)

ResultT = TypeVar("ResultT")
MAX_QUEUED: Final = 10_000
MAX_BATCH: Final = 512  # requests: what the last of them waits for


class Server(Protocol):
    """What a lane's thread works with. It answers every request, and raises only by mistake."""

    def serve(self, batch: Sequence[Request]) -> None:
        """Set the result or the error of each request."""

    def close(self) -> None:
        """Let go of the file."""


class Lane:
    """One thread; `ask` and `ask_now` hand it work, and return what came of it."""

    def __init__(
        self, name: str, whose: str, open_server: Callable[[], Server], in_flight: InFlight
    ) -> None:
        """Take what to work with.

        Args:
            name: of the thread.
            whose: begins its sentences: "the order journal".
            open_server: called by the thread.
            in_flight: counts what tasks wait for.
        """
        self._name = name
        self._whose = whose
        self._open_server = open_server
        self._in_flight = in_flight
        self._wake = threading.Condition()
        self._queue: deque[Request] = deque()
        self._batch: Sequence[Request] = ()
        self._ends: list[Request] = []  # who waits for the end of the thread
        self._closed_because: str | None = None
        self._is_running = False

    @property
    def waiting(self) -> int:
        """Return how many requests are queued or being worked on."""
        with self._wake:  # a batch on its way from the queue is in neither
            return len(self._queue) + len(self._batch)

    async def open(self, timeout_s: float) -> None:
        """Start the thread, and return when it has its connection."""
        request = LoopRequest(self._asked("open", _serves), self._in_flight)
        self._start(request)
        await request.wait(timeout_s)

    def open_now(self, timeout_s: float) -> None:
        """Start the thread, and return when it has its connection."""
        request = ThreadRequest(self._asked("open", _serves))
        self._start(request)
        request.wait(timeout_s)

    async def ask(
        self,
        what: str,
        work: Callable[[Any], ResultT],
        timeout_s: float,
        *,
        after: Callable[[ResultT], None] | None = None,
    ) -> ResultT:
        """Return what the work returns; a caller that is cancelled leaves it to be done.

        The loop calls `after` with what came of it, before the caller goes on, and also when
        nobody waits any more.
        """
        request = LoopRequest(self._asked(what, work), self._in_flight, after=after)
        self._put(request)
        return await request.wait(timeout_s)

    def post(self, what: str, work: Callable[[Any], object]) -> None:
        """Have work done for which nobody waits; what it comes to is dropped.

        Raises:
            TryLater: the lane takes nothing any more.
        """
        request = LoopRequest(self._asked(what, work), self._in_flight)
        request.leave()
        self._put(request)

    def ask_now(self, what: str, work: Callable[[Any], ResultT], timeout_s: float) -> ResultT:
        """Return what the work returns; for a thread that may wait."""
        request = ThreadRequest(self._asked(what, work))
        self._put(request)
        return request.wait(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Refuse what comes from now on, do what is queued, and end the thread."""
        request = LoopRequest(self._asked("close", _serves), self._in_flight)
        self._end(request)
        await request.wait(timeout_s)

    def close_now(self, timeout_s: float) -> None:
        """Refuse what comes from now on, do what is queued, and end the thread."""
        request = ThreadRequest(self._asked("close", _serves))
        self._end(request)
        request.wait(timeout_s)

    def _asked(self, what: str, work: Callable[[Any], ResultT]) -> Asked[ResultT]:
        return Asked(self._whose, what, work)

    def _start(self, opened: Request) -> None:
        self._is_running = True
        threading.Thread(target=self._run, args=(opened,), name=self._name, daemon=True).start()

    def _put(self, request: Request) -> None:
        with self._wake:
            why = self._closed_because
            if why is None and len(self._queue) >= MAX_QUEUED:
                why = f"{MAX_QUEUED} requests wait already"
            if why is None:
                self._queue.append(request)
                self._wake.notify()
                return
        request.drop()
        raise TryLater(f"{self._whose} could not {request.what}: {why}; nothing was written")

    def _end(self, request: Request) -> None:
        with self._wake:
            self._closed_because = self._closed_because or "it is closed"
            if self._is_running:
                self._ends.append(request)
                self._wake.notify()
                return
        tell_all([request])

    def _run(self, opened: Request) -> None:
        try:
            server = self._open_server()
        except RoboInvestError as error:
            opened.error = error
            tell_all([opened])
            self._over(f"it was not opened ({error})")
            return
        except BaseException as error:
            self._over(f"its thread died of {error!r}", opened)
            raise
        tell_all([opened])
        try:
            self._work_with(server)
        except BaseException as error:  # a mistake of ours: nobody may wait for ever because of it
            self._over(f"its thread died of {error!r}")
            raise
        self._over("it is closed")

    def _work_with(self, server: Server) -> None:
        with contextlib.closing(server):
            while batch := self._take():
                server.serve(batch)
                self._batch = ()
                tell_all(batch)

    def _take(self) -> Sequence[Request]:
        """Return what is queued, or nothing once the lane is closed and all is done."""
        with self._wake:
            while not self._queue and self._closed_because is None:
                self._wake.wait()
            count = min(len(self._queue), MAX_BATCH)
            self._batch = [self._queue.popleft() for _ in range(count)]
            return self._batch

    def _over(self, why: str, *also: Request) -> None:
        with self._wake:
            self._closed_because = why
            self._is_running = False
            left = [*also, *self._batch, *self._queue]
            self._queue.clear()
            self._batch = ()
            ends = self._ends
        for request in left:
            request.error = TryLater(
                f"{self._whose} could not {request.what}: {why}; start the daemon again"
            )
        tell_all([*left, *ends])


def _serves(_: object) -> bool:
    """Be the work of a request that only waits for its turn: the thread serves requests."""
    return True
