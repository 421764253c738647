"""Blocking work in threads, with a deadline: what a loop of the Overseer asks of files.

A thread that hangs is not waited for longer than its deadline; what was asked of it may still be
done, and whoever asks again has to bear that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                with self._in_flight:
                    return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise TryLater(
                f"{what} took more than {self._deadline_s:g} s; it may still be done: look, and "
                "try again"
            ) from None
