"""An asyncio loop whose time jumps to the next timer, so that a month runs in seconds.

Time moves only when nothing is ready to run and no job is in flight outside the loop. While one
is (a database write in a thread, say), the loop really waits for it, and its time stands still:
a run is the same run however fast the disk is, as long as jobs do not race each other.

A loop with nothing to wait for, or a job that never ends, is a `Deadlock` and not a hanging test.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from roboinvest.runtime.in_flight import InFlight

ResultT = TypeVar("ResultT")

_RESOLUTION_S = 1e-6  # timers closer than this are due together; floats are finer for 100 years
_REAL_PATIENCE_S = 20.0  # real seconds for a job outside the loop


class Deadlock(Exception):
    """Nothing can ever happen any more."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop with its own time."""

    def __init__(self, in_flight: InFlight, *, real_patience_s: float = _REAL_PATIENCE_S) -> None:
        self._virtual_now = 0.0
        super().__init__(_JumpingSelector(in_flight, self.jump, real_patience_s))
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._virtual_now

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass; a test calls it to play a loop that stood still."""
        self._virtual_now += seconds


class _JumpingSelector(selectors.BaseSelector):
    """A real selector that passes virtual time where the loop would have slept."""

    def __init__(
        self, in_flight: InFlight, jump: Callable[[float], None], real_patience_s: float
    ) -> None:
        self._real = selectors.DefaultSelector()
        self._in_flight = in_flight
        self._jump = jump
        self._real_patience_s = real_patience_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        if self._in_flight.count or timeout is None:
            return self._wait_really()
        events = self._real.select(0)
        if not events:
            self._jump(timeout)
        return events

    def _wait_really(self) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(self._real_patience_s)
        if not events:
            raise Deadlock(
                f"nothing happened for {self._real_patience_s} real seconds "
                f"with {self._in_flight.count} jobs in flight"
            )
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


def run_virtual(
    main: Callable[[], Awaitable[ResultT]],
    in_flight: InFlight | None = None,
    *,
    real_patience_s: float = _REAL_PATIENCE_S,
) -> ResultT:
    """Run `main()` to its end under virtual time and return what it returned."""

    async def entry() -> ResultT:
        return await main()

    def loop_factory() -> VirtualTimeLoop:
        return VirtualTimeLoop(in_flight or InFlight(), real_patience_s=real_patience_s)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(entry())


async def stall(seconds: float) -> None:
    """Play a loop that stands still for `seconds`: nobody runs, and then it is later."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.jump(seconds)
    await asyncio.sleep(0)
