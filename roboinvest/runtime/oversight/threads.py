"""Blocking work in threads, with a deadline: what a loop of the Overseer asks of files.

A thread that hangs is not waited for longer than its deadline; what was asked of it may still be
done, and whoever asks again has to bear that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight

DEADLINE_S: Final = 10.0
ResultT = TypeVar("ResultT")


class Threads:
    """A pool of threads that stays the caller's."""

    def __init__(
        self, pool: ThreadPoolExecutor, in_flight: InFlight, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._pool = pool
        self._in_flight = in_flight
        self._deadline_s = deadline_s

    async def do(self, what: str, work: Callable[[], ResultT]) -> ResultT:
        """Return what the work returns; `what` begins the sentence where it takes too long.

        Raises:
            TryLater: it takes longer than the deadline.
        """
        loop = asyncio.get_running_loop()
        # Several times a minute, all year: this passes the answer on with one call, and no more.
        answer: asyncio.Future[ResultT] = loop.create_future()
        with self._in_flight:
            job = self._pool.submit(work)
            job.add_done_callback(partial(_call_back, loop, answer))
            timer = loop.call_later(self._deadline_s, self._give_up, what, answer)
            try:
                return await answer
            finally:
                timer.cancel()
                job.cancel()  # where it has not begun, it never does

    def _give_up(self, what: str, answer: asyncio.Future[ResultT]) -> None:
        if answer.done():
            return
        answer.set_exception(
            TryLater(
                f"{what} took more than {self._deadline_s:g} s; it may still be done: look, and "
                "try again"
            )
        )


def _call_back(
    loop: asyncio.AbstractEventLoop, answer: asyncio.Future[ResultT], job: Future[ResultT]
) -> None:
    """Let the loop take the answer; called in the thread that has it."""
    if not loop.is_closed():  # or there is nobody left who could want it
        loop.call_soon_threadsafe(_pass_on, answer, job)


def _pass_on(answer: asyncio.Future[ResultT], job: Future[ResultT]) -> None:
    if answer.done():
        return
    if job.cancelled():
        answer.cancel()
    elif (error := job.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(job.result())
