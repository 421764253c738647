"""Counts the jobs that only the outside can finish: a thread, a child process, a socket.

Under real time nobody reads it. Under the virtual-time loop of the tests it is what keeps time
from jumping over a database write: the clock moves only while the count is zero.
"""

from __future__ import annotations

import threading
from types import TracebackType


class InFlight:
    """A counter that a port holds while it waits for such a job: `with in_flight: await ...`."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Return how many jobs are under way."""
        return self._count

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._count -= 1
