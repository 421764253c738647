"""When ticks happen: at each bar close of each session, as the exchange's calendar says.

The calendar rules, not the data: a minute without a bar is still a tick, whose observation is
stale. That keeps the count of ticks a fact about the exchange, and a hole in the data visible.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Final

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Calendar

_CHUNK: Final = timedelta(days=40)
_FOREVER: Final = timedelta(days=366 * 50)


class TickSchedule:
    """The tick times of a run, in order."""

    def __init__(
        self,
        calendar: Calendar,
        timeframe: Timeframe,
        first: datetime,
        last: date | None,
        *,
        max_ticks: int | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Take the bounds of the run.

        Args:
            calendar: of the exchange.
            timeframe: of the bars.
            first: UTC; ticks at or after it.
            last: exchange day, included; None: for ever.
            max_ticks: yielded by one call of `after` at most; None: all.
            now: the time of a market that does not wait for us: ticks whose successor is due
                already are left out, so that a stall is followed by one tick and not by a burst.
        """
        self._calendar = calendar
        self._timeframe = timeframe
        self._first = first
        self._last = last
        self._max_ticks = max_ticks
        self._now = now

    def after(self, instant: datetime | None) -> Iterator[tuple[Session, datetime]]:
        """Yield (session, tick time) of every tick after `instant`, or all of them for None."""
        return itertools.islice(self._all_after(instant), self._max_ticks)

    def _all_after(self, instant: datetime | None) -> Iterator[tuple[Session, datetime]]:
        day = (instant or self._first).date() - timedelta(days=1)
        end = self._last or day + _FOREVER
        while day <= end:
            upto = min(day + _CHUNK, end)
            for session in self._calendar.sessions(day, upto):
                for at in session.tick_times(self._timeframe):
                    if at < self._first or (instant is not None and at <= instant):
                        continue
                    if not self._is_missed(at):
                        yield session, at
            day = upto + timedelta(days=1)

    def _is_missed(self, at: datetime) -> bool:
        return self._now is not None and at + self._timeframe.length <= self._now()
