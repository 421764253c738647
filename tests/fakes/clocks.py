"""Clocks for tests: one that stands still until told, one that follows the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


class ManualClock:
    """Time that passes when the test says so."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed_s = 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        """Return the seconds passed so far."""
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed_s += seconds

    def set_forward(self, seconds: float) -> None:
        """Set the wall clock, as a time server does; intervals know nothing of it."""
        self._start += timedelta(seconds=seconds)


class LoopClock:
    """The running loop's time, virtual or real, as a clock."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._loop: asyncio.AbstractEventLoop | None = None  # the last one that asked

    def now(self) -> datetime:
        """Return the wall time: the start plus the loop's time."""
        return self._start + timedelta(seconds=self.monotonic())

    def set_forward(self, seconds: float) -> None:
        """Set the wall clock, as a time server does; intervals know nothing of it."""
        self._start += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        """Return the loop's time in seconds; a thread that works for a loop gets that one's."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is None:
                raise
        return self._loop.time()

    def pass_in_thread(self, seconds: float) -> None:
        """Let virtual time pass while a thread works: nobody on the loop runs meanwhile."""
        if self._loop is None:
            raise RuntimeError("no loop has asked for the time yet")
        jump: Callable[[float], None] = self._loop.jump  # type: ignore[attr-defined]
        self._loop.call_soon_threadsafe(jump, seconds)
