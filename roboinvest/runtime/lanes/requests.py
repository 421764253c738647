"""Work that waits for a lane's thread, and how its result comes back.

Two kinds of callers wait: tasks of an event loop, and threads that work while the loop is wedged.
Whoever gives up waiting gives up the answer alone: what is queued is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight

ResultT = TypeVar("ResultT")
_PENDING: Final = object()


@dataclass(frozen=True, slots=True)
class Asked(Generic[ResultT]):
    """What a lane is asked for, and the words for it."""

    whose: str  # "the order journal"
    what: str  # completes "... could not"
    work: Callable[[Any], ResultT]

    def too_late(self, timeout_s: float) -> TryLater:
        """Return the error of what was not answered in time."""
        return TryLater(
            f"{self.whose} did not {self.what} within {timeout_s:g} s; it may still be written, so "
            "send nothing, look at the disk, and ask again: what is known is only read"
        )


class Request(Protocol):
    """What the thread sees of a request; it sets one of `result` and `error`."""

    what: str  # completes "... could not"
    work: Callable[[Any], object]
    result: object
    error: BaseException | None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop in whose thread `tell` has to be called; None: in any."""

    def tell(self) -> None:
        """Wake whoever waits."""

    def drop(self) -> None:
        """Nobody can be told any more: the loop is closed."""


class LoopRequest(Generic[ResultT]):
    """A request of a task; its job counts as in flight until it is done, waited for or not."""

    def __init__(
        self,
        asked: Asked[ResultT],
        in_flight: InFlight,
        *,
        after: Callable[[ResultT], None] | None = None,
    ) -> None:
        self.what = asked.what
        self.work: Callable[[Any], object] = asked.work
        self.result: object = _PENDING
        self.error: BaseException | None = None
        self._asked = asked
        self._after = after
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[object] = self._loop.create_future()
        self._held = contextlib.ExitStack()
        self._held.enter_context(in_flight)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop of the task that waits."""
        return self._loop

    async def wait(self, timeout_s: float) -> ResultT:
        """Return the result.

        Raises:
            TryLater: it took longer; it may still be done, and asking again is safe.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return cast("ResultT", await self._future)
        except TimeoutError as error:
            raise self._asked.too_late(timeout_s) from error

    def leave(self) -> None:
        """Wait no more: the work is done, and its answer dropped."""
        self._future.cancel()

    def tell(self) -> None:
        """Wake the task, if it still waits; what comes after the work happens in any case."""
        self._held.close()
        if self._after is not None and self.error is None:  # by the loop: it may fail by itself
            self._loop.call_soon(self._after, cast("ResultT", self.result))
        if self._future.done():
            return
        if self.error is not None:
            self._future.set_exception(self.error)
        else:
            self._future.set_result(self.result)

    def drop(self) -> None:
        """Count the job as done."""
        self._held.close()


class ThreadRequest(Generic[ResultT]):
    """A request of a thread that waits with a deadline."""

    loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, asked: Asked[ResultT]) -> None:
        self.what = asked.what
        self.work: Callable[[Any], object] = asked.work
        self.result: object = _PENDING
        self.error: BaseException | None = None
        self._asked = asked
        self._told = threading.Event()

    def wait(self, timeout_s: float) -> ResultT:
        """Return the result.

        Raises:
            TryLater: it took longer; it may still be done, and asking again is safe.
        """
        if not self._told.wait(timeout_s):
            raise self._asked.too_late(timeout_s)
        if self.error is not None:
            raise self.error
        return cast("ResultT", self.result)

    def tell(self) -> None:
        """Wake the thread."""
        self._told.set()

    def drop(self) -> None:
        """Wake the thread."""
        self._told.set()


def tell_all(requests: Iterable[Request]) -> None:
    """Wake everybody, with one call for each loop."""
    of_loops: dict[asyncio.AbstractEventLoop, list[Request]] = {}
    for request in requests:
        if request.loop is None:
            request.tell()
        else:
            of_loops.setdefault(request.loop, []).append(request)
    for loop, waiting in of_loops.items():
        try:
            loop.call_soon_threadsafe(_tell_each, waiting)
        except RuntimeError:  # the loop is closed, and with it everybody who waited there
            for request in waiting:
                request.drop()


def _tell_each(requests: Iterable[Request]) -> None:
    for request in requests:
        request.tell()
