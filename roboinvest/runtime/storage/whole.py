"""Work that must not be left half-way: it runs in a task of its own, and is waited for.

A database connection whose owner is cancelled twice is lost with its transaction open, and the
file stays locked (SQLAlchemy closes it on the first cancellation, and the second cuts that short).
The supervisor does cancel twice. So the one who waits may be cancelled as often as anybody likes;
the connection is cancelled at most once, and this returns when it is in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def run_whole(work: Coroutine[Any, Any, ResultT], *, to_the_end: bool) -> ResultT:
    """Return what `work` returns; a cancellation is raised again once `work` has ended.

    `to_the_end`: work that is cancelled goes on to its end; otherwise it is cancelled, once.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            if cancelled is None and not to_the_end:
                task.cancel()
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at, or asyncio would report it as lost
    raise cancelled
