"""One vendor's allowance of calls, shared by everything that calls it, most urgent first.

Two rules together. A window: at most `per_minute` calls in any rolling minute, whoever makes them.
A pace: whatever is not an order is spread evenly over the minute and leaves a tenth of it alone, so
that research can neither use up the minute nor leave a hole that an order falls into. An order
therefore waits for a fraction of a second, also while research floods.

When the vendor itself asks for patience (`hold`), everything but orders waits for as long as it
said; an order still goes, at a slow pace, because a refused cancel costs less than one never sent.

Everything happens on the running loop and by its time; there is no task and no thread in here.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

WINDOW_S: Final = 60.5  # a call takes a moment to arrive: the vendor's minute is not quite ours
_SPARED: Final = 10  # one tenth of the minute is for orders alone
_HELD_ORDER_GAP_S: Final = 0.5  # between orders while the vendor asked for patience
_NOW_S: Final = 1e-6  # timers are no finer than this


class Lane(IntEnum):
    """How urgent a call is; the lowest number goes first."""

    ORDERS = 0  # send, cancel, and what became of it
    ACCOUNT = 1  # what we own: reconciliation
    DATA = 2  # what a tick needs
    RESEARCH = 3  # what can wait


@dataclass(order=True, slots=True)
class _Waiter:
    lane: Lane
    number: int  # of two calls of one lane, the older goes first
    turn: asyncio.Future[None] = field(compare=False)
    granted_at: float = field(default=0.0, compare=False)  # loop time


class RateLimiter:
    """Grants calls to one vendor."""

    def __init__(self, per_minute: int, *, burst: int = 1) -> None:
        """Allow `per_minute` calls a minute.

        Args:
            per_minute: the vendor's limit, or less.
            burst: how many calls other than orders may go at once after a quiet time.
        """
        if per_minute < 1 or burst < 1:
            raise ValueError(f"per_minute {per_minute} and burst {burst} must both be at least 1")
        self.per_minute = per_minute
        self._paced_limit = per_minute - per_minute // _SPARED
        self._gap_s = WINDOW_S / self._paced_limit
        self._slack_s = (burst - 1) * self._gap_s
        self._granted: deque[float] = deque()  # loop times within the window, oldest first
        self._paced_at = float("-inf")  # loop time at which an unbroken series would be due next
        self._last_order_at = float("-inf")  # loop time
        self._held_until = float("-inf")  # loop time
        self._waiting: list[_Waiter] = []  # a heap
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, lane: Lane) -> None:
        """Return when a call of this lane may be made, and count it.

        A wait that is cancelled costs nothing, also when its turn had just come.
        """
        loop = asyncio.get_running_loop()
        self._count += 1
        waiter = _Waiter(lane, self._count, loop.create_future())
        heapq.heappush(self._waiting, waiter)
        self._serve(loop)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if not waiter.turn.cancelled():
                self._take_back(waiter)
            self._serve(loop)
            raise

    def hold(self, seconds: float) -> None:
        """Let everything but orders wait for `seconds` from now; a shorter hold changes nothing."""
        loop = asyncio.get_running_loop()
        self._held_until = max(self._held_until, loop.time() + seconds)
        self._serve(loop)

    def held_for(self) -> float:
        """Return for how many more seconds the vendor asked us to be patient; 0.0: it did not."""
        return max(0.0, self._held_until - asyncio.get_running_loop().time())

    def waiting(self) -> int:
        """Return how many calls wait for their turn."""
        return sum(not waiter.turn.done() for waiter in self._waiting)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Grant every call that is due, and come back when the next one is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        while self._waiting:
            first = self._waiting[0]
            if first.turn.done():  # it was cancelled
                heapq.heappop(self._waiting)
                continue
            due = self._due_at(first.lane, now)
            if due > now + _NOW_S:
                self._timer = loop.call_at(due, self._serve, loop)
                return
            heapq.heappop(self._waiting)
            self._grant(first, now)

    def _due_at(self, lane: Lane, now: float) -> float:
        """Return when a call of this lane could be made; what an order waits for, all wait for."""
        while self._granted and self._granted[0] <= now - WINDOW_S:
            self._granted.popleft()
        if lane is Lane.ORDERS:
            due = self._free_at(self.per_minute, now)
            held = now < self._held_until
            return max(due, self._last_order_at + _HELD_ORDER_GAP_S) if held else due
        paced = self._paced_at - self._slack_s
        return max(self._free_at(self._paced_limit, now), paced, self._held_until)

    def _free_at(self, limit: int, now: float) -> float:
        """Return when fewer than `limit` calls stand in the window."""
        surplus = len(self._granted) - limit
        return now if surplus < 0 else self._granted[surplus] + WINDOW_S

    def _grant(self, waiter: _Waiter, now: float) -> None:
        self._granted.append(now)
        if waiter.lane is Lane.ORDERS:
            self._last_order_at = now
        else:
            self._paced_at = max(self._paced_at, now) + self._gap_s
        waiter.granted_at = now
        waiter.turn.set_result(None)

    def _take_back(self, waiter: _Waiter) -> None:
        """Undo a grant that nobody used."""
        if waiter.granted_at in self._granted:
            self._granted.remove(waiter.granted_at)
        if waiter.lane is not Lane.ORDERS:
            self._paced_at -= self._gap_s
