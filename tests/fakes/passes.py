"""A loop that counts its passes, so that a run can be cut at each of them.

Between two passes every task stands at an await, and each await of a run is such a place. A cut
there is what a cancellation, or the end of the process, can do to asyncio code: nothing runs
between two awaits but the code itself.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class _CountingSelector(selectors.BaseSelector):
    """A real selector that is asked once a pass, and says so first; woken, it does not wait."""

    def __init__(self, each: Callable[[], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._each = each

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._real.select(0 if self._each() else timeout)

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


def watched(work: Coroutine[Any, Any, ResultT], each: Callable[[], bool]) -> ResultT:
    """Run `work` to its end, calling `each` before every pass of its loop.

    `each` returns whether it woke something up, such as by a cancellation.
    """
    selector = _CountingSelector(each)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(work)
