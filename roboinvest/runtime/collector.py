"""The interpreter's garbage collector, so that trading does not wait for it.

A full collection looks at every object that holds others, and the loop stands still meanwhile: for
a tenth of a second and more with all that we import, and longer with thousands of agents. Nearly
all of these live as long as the process does, so they are set aside once the house stands, and
never looked at again; what comes and goes is looked at less often, because most of it goes by
itself. The price: what lies in circles at the moments of setting aside is never freed. That is a
few times in a life, minutes apart, and no more than what was in use then.
"""

from __future__ import annotations

import asyncio
import gc
from types import TracebackType
from typing import Final, Self

# Objects more than before, and each next generation after so many times. Ten thousand are looked
# at in well under a millisecond; from the interpreter's 700 on, a health pass would be stopped for
# the same objects again and again.
THRESHOLDS: Final = (10_000, 10, 20)
AGAIN_S: Final = (60.0, 600.0)  # after READY: what is loaded late and registered is there by then


class Collector:
    """Held for as long as a house runs; then all is as it was before."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()
        self._timers: list[asyncio.TimerHandle] = []

    def __enter__(self) -> Self:
        gc.set_threshold(*THRESHOLDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget_timers()
        gc.unfreeze()
        gc.set_threshold(*self._before)

    def settle(self) -> None:
        """Set aside all that lives now, and again when what comes late is there; quick."""
        self._forget_timers()
        gc.freeze()
        later = asyncio.get_running_loop().call_later
        self._timers = [later(after_s, gc.freeze) for after_s in AGAIN_S]

    def _forget_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
