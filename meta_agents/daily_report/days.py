"""Days of the report: those of the exchange, New York's clocks, by the run's own clock.

A day of the exchange is what trading, the budget of models and the equity curve are counted by, so
a report by UTC days would disagree with all of them. A day has 23 or 25 hours where clocks change.
In a replay, or on a simulated market, market time is the run's clock; what the house itself did
carries the machine's time, and belongs to the day that was played meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE
from roboinvest.runtime.llm.spend.days import exchange_day

ZONE_NAME: Final = EXCHANGE_ZONE
APART: Final = frozenset({"replay", "simulation"})  # modes in which the market has its own time
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time."""

    start: datetime  # UTC
    end: datetime  # UTC, not in it

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    @property
    def seconds(self) -> float:
        """Return its length."""
        return (self.end - self.start).total_seconds()


def day_of(at: datetime) -> date:
    """Return the exchange's date at an instant."""
    return exchange_day(at)


def span_of(day: date) -> Span:
    """Return the span of a day, from midnight to midnight on the exchange's clocks."""
    zone = ZoneInfo(EXCHANGE_ZONE)
    start, end = (
        datetime.combine(each, time(), tzinfo=zone).astimezone(UTC) for each in (day, day + _A_DAY)
    )
    return Span(start=start, end=end)


def days_between(first: date, last: date) -> Iterator[date]:
    """Yield every day from the first to the last."""
    for number in range((last - first).days + 1):
        yield first + number * _A_DAY
