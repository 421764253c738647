"""A loop in a thread of its own, so that a vendor lives whatever becomes of the test beside it.

A stalled or blocked test, or a virtual-time loop, changes nothing about the vendor. All state of a
vendor is touched on its loop only: a test reaches it by `LoopThread.call`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

PATIENCE_S: Final = 30.0  # how long a test waits for a vendor's loop before it gives up
T = TypeVar("T")


class LoopThread:
    """A loop in a thread of its own, for a vendor that lives beside the test."""

    def __init__(self, name: str) -> None:
        self.crashes: list[BaseException] = []  # raised by the vendor's own code, oldest first
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_running(self) -> bool:
        """Return whether calls are taken."""
        return self._started.is_set() and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread and wait until its loop runs."""
        self._thread.start()
        if not self._started.wait(PATIENCE_S):
            raise TimeoutError(f"the loop of {self._thread.name} did not start")

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function on the loop, from any thread, and return what it returns."""
        if threading.get_ident() == self._thread.ident:
            return function(*args, **kwargs)

        async def run() -> T:
            return function(*args, **kwargs)

        return self.run(run())

    def run(self, work: Awaitable[T]) -> T:
        """Run a coroutine on the loop, from another thread, and return what it returns."""
        if self._loop is None:
            raise RuntimeError("start the loop first")

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(PATIENCE_S)

    def stop(self) -> None:
        """End the loop with all that runs on it, and wait for the thread."""
        if self._loop is not None and self._ends is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._crashed)
        self._ends = asyncio.Event()
        self._started.set()
        await self._ends.wait()

    def _crashed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, asyncio.CancelledError):
            return  # a connection that was open at the end
        loop.default_exception_handler(context)
        self.crashes.append(error or RuntimeError(context["message"]))
