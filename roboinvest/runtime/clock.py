"""Clocks: the machine's own, and the pace at which a replayed or simulated market goes by.

This is the only file that reads the machine's time. The paced clock counts loop time, so that it
runs unchanged under a virtual-time loop. It knows no calendar: it is only ever asked for tick
times, and a gap longer than the longest one inside a session is closed hours and costs no more
than one tick.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the status command tells the time, and must not load what ports speak of
    from roboinvest.core.ports import Clock

_LONGEST_SLEEP: Final = timedelta(minutes=1)


class SystemClock:
    """The machine's time, or one that is derived from it to try the daemon on vendors of ours."""

    def __init__(
        self,
        offset: timedelta = timedelta(0),
        *,
        rate: float = 1.0,
        anchor: datetime | None = None,
    ) -> None:
        """Tell the machine's wall time, shifted, and faster from `anchor` on.

        Args:
            offset: added.
            rate: seconds that pass in one second of the machine.
            anchor: machine time at which the two are `offset` apart; wanted where `rate` is not 1.
        """
        self._offset = offset
        self._rate = rate
        self._anchor = anchor

    def now(self) -> datetime:
        """Return the aware UTC wall time."""
        now = datetime.now(UTC)  # noqa: TID251 this is the clock
        if self._anchor is not None:
            now = self._anchor + (now - self._anchor) * self._rate
        return now + self._offset

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


class PacedMarketClock:
    """A market's time that passes at a chosen speed, tick by tick."""

    def __init__(self, start: datetime, speed: float | None, *, longest_gap: timedelta) -> None:
        """Begin at `start`, or at the last committed tick of a run that is resumed.

        Args:
            start: UTC, market time.
            speed: market minutes per real minute; None: as fast as possible.
            longest_gap: between two ticks of one session; what is longer is closed hours.
        """
        self._at = start
        self._speed = speed
        self._longest_gap = longest_gap
        self._reached_at: float | None = None  # loop time at which `_at` was due

    def now(self) -> datetime:
        """Return the market instant that was last waited for."""
        return self._at

    async def wait_until(self, instant: datetime) -> None:
        """Return when the market reaches `instant`; at once if it has.

        Work that takes longer than the pace makes the next tick start at once; the pace then
        goes on from there, so that a stall is never followed by a burst.
        """
        gap = instant - self._at
        if gap <= timedelta(0):
            return
        loop_now = asyncio.get_running_loop().time()
        due = loop_now
        if self._speed is not None:
            pay_s = min(gap, self._longest_gap).total_seconds() / self._speed
            before = loop_now if self._reached_at is None else self._reached_at
            due = max(before + pay_s, loop_now)
        await asyncio.sleep(due - loop_now)  # also when it is 0: other services need their turn
        self._reached_at = due
        self._at = instant


class LiveMarketClock:
    """A real market's time: a bar is waited for until vendors have had time to publish it."""

    def __init__(self, clock: Clock, *, publish_s: float, rate: float = 1.0) -> None:
        """Take the market's time.

        Args:
            clock: tells it.
            publish_s: how long after its close a bar may still arrive.
            rate: seconds of that clock that pass in one of the loop's.
        """
        self._clock = clock
        self._publish = timedelta(seconds=publish_s)
        self._rate = rate

    def now(self) -> datetime:
        """Return the wall time."""
        return self._clock.now()

    async def wait_until(self, instant: datetime) -> None:
        """Return when bars that closed at `instant` are there to be had.

        The wall clock is looked at again at least once a minute, because it may be set, and because
        a machine may sleep.
        """
        due = instant + self._publish
        while (left := due - self._clock.now()) > timedelta(0):  # noqa: ASYNC110 a clock tells no event
            await asyncio.sleep(min(left / self._rate, _LONGEST_SLEEP).total_seconds())
