"""Exchange sessions as values: half days, holidays and clock changes are just other instants.

Nothing here knows a time zone. Whoever builds a `Session` (the Calendar port) has already turned
the exchange's wall clock into UTC, so that no rule downstream can get a clock change wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from roboinvest.core.market.values import Timeframe

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The regular trading hours of one exchange day."""

    day: date  # exchange date
    opens_at: datetime  # UTC
    closes_at: datetime  # UTC, the real close, also on half days
    is_half_day: bool

    def holds(self, instant: datetime) -> bool:
        """Return whether `instant` lies in [open, close)."""
        return self.opens_at <= instant < self.closes_at

    def tick_times(self, timeframe: Timeframe) -> Iterator[datetime]:
        """Yield the instants at which a bar of `timeframe` closes in this session, oldest first.

        Bars start on clock multiples of their length (an hour bar at 14:00 UTC), as vendors cut
        them; the last tick is the session's close whatever the length.
        """
        if timeframe is not Timeframe.DAY:
            step = timeframe.length
            tick = self.opens_at - ((self.opens_at - EPOCH) % step) + step
            while tick < self.closes_at:
                yield tick
                tick += step
        yield self.closes_at

    def bar_close(self, bar_open: datetime, timeframe: Timeframe) -> datetime:
        """Return when a bar that opened at `bar_open` is closed: never after the session."""
        if timeframe is Timeframe.DAY:
            return self.closes_at
        return min(bar_open + timeframe.length, self.closes_at)

    def covers(self, bar_open: datetime, timeframe: Timeframe) -> bool:
        """Return whether a bar belongs to the regular hours of this session.

        An hour bar stamped 09:00 that holds 09:30 to 10:00 belongs to it; a bar that only
        touches the open from before does not.
        """
        if timeframe is Timeframe.DAY:
            return True
        return bar_open < self.closes_at and bar_open + timeframe.length > self.opens_at

    def time_left(self, instant: datetime) -> timedelta:
        """Return the time from `instant` to the close, never negative."""
        return max(self.closes_at - instant, timedelta(0))
