"""What decisions are held against in this house: its own books, and nothing that anybody says.

Figures of the hour come from the PerformanceAnalystAgent, trades and equity from the store, answers
and caps from the ledger of models. An hour counts where all of it lies in the span. What nobody
measured is None, and so is what was measured where the market had a time of its own: a score then
says how many observations there were, and makes none up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Final, Protocol

from roboinvest.core.ledger import Trade
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.scoring import HOUSE_METRICS, Metric, Sample
from roboinvest.core.records import TickRecord
from roboinvest.runtime.llm.spend.looks_back import answers_between, cap_at_hours
from roboinvest.runtime.oversight.analyst_tables import HourlyFigures
from roboinvest.runtime.oversight.threads import Threads

HOUR: Final = timedelta(hours=1)
DAY_HOURS: Final = 24.0
LONGEST: Final = timedelta(days=60)  # of a span that is looked at
Rows = Sequence[tuple[datetime, float, int]]


class TradingRecord(Protocol):
    """Equity and round trips of an account whose market has the time of the house."""

    async def ticks(self, since: datetime, until: datetime) -> tuple[TickRecord, ...]:
        """Return the ticks of a span, oldest first.

        Raises:
            TryLater, BadSettings: the books cannot be read.
        """

    async def trades(self, since: datetime, until: datetime) -> tuple[Trade, ...]:
        """Return the round trips that ended in a span, as they were booked; raises as `ticks`."""

    async def peak(self, before: datetime) -> float | None:
        """Return the highest equity of the sessions before an instant, in USD; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseMeasures:
    """The books of one house."""

    figures: HourlyFigures
    record: TradingRecord | None  # None: the market has a time of its own, or nobody trades
    spend: Path  # the ledger of models
    payers: Mapping[str, str]  # by agent: the name that pays
    threads: Threads

    async def metrics(self) -> tuple[Metric, ...]:
        """Return what a house measures; that one of them was not yet is no reason not to try."""
        return HOUSE_METRICS

    async def sample(
        self, metric: str, subject: str, since: datetime, until: datetime
    ) -> Sample | None:
        """Return observations of a metric over a span; None: nothing was observed.

        Raises:
            TryLater, BadSettings: a file is away.
        """
        since = max(since, until - LONGEST)
        match metric:
            case "error_share":
                return await self._of_hours(
                    hourly.AGENT_SUCCESS,
                    hourly.SUCCESS,
                    subject,
                    since,
                    until,
                    lambda share: 1.0 - share,
                )
            case "latency_s":
                return await self._of_hours(
                    hourly.AGENT_LATENCY,
                    hourly.LATENCY,
                    subject,
                    since,
                    until,
                    lambda seconds: seconds,
                )
            case "bad_reply_share":
                return await self._bad_replies(subject, since, until)
            case "insights_per_day":
                return await self._insights_a_day(since, until)
            case "insights_per_usd":
                return await self._insights_a_usd(since, until)
            case "llm_cap_usd":
                read = partial(cap_at_hours, self.spend, since, until)
                return sample_of(await self.threads.do("reading how the cap was moved", read))
            case "drawdown_frac" if self.record is not None:
                return await self._drawdown(self.record, since, until)
            case "expectancy_r" if self.record is not None:
                return await self._expectancy(self.record, subject, since, until)
            case _:
                return None

    async def _of_hours(
        self,
        own: str,
        house: str,
        subject: str,
        since: datetime,
        until: datetime,
        turned: Callable[[float], float],
    ) -> Sample | None:
        """Return a figure of the subject where it has its own, and of the house otherwise."""
        rows = await self._rows(hourly.of(own, subject), since, until)
        rows = rows or await self._rows(house, since, until)
        return sample_of(turned(value) for _, value, _ in rows)

    async def _bad_replies(self, subject: str, since: datetime, until: datetime) -> Sample | None:
        """Return a share for each hour with answers: of the subject's, or of all where it asks
        nobody."""
        payer = self.payers.get(subject)
        read = partial(answers_between, self.spend, since, until, payer)
        hours = await self.threads.do("reading what models answered", read)
        return sample_of(bad / asked for asked, bad in hours)

    async def _insights_a_day(self, since: datetime, until: datetime) -> Sample | None:
        """Return what each hour that the house was up would come to in a day."""
        counted = {at: value for at, value, _ in await self._rows(hourly.INSIGHTS, since, until)}
        if not counted:
            return None
        up = await self._rows(hourly.UP_S, since, until)
        return sample_of(counted.get(at, 0.0) * DAY_HOURS for at, seconds, _ in up if seconds > 0)

    async def _insights_a_usd(self, since: datetime, until: datetime) -> Sample | None:
        """Return the ratio of each day on which money was spent."""
        insights = _by_day(await self._rows(hourly.INSIGHTS, since, until))
        usd = _by_day(await self._rows(hourly.LLM_USD, since, until))
        if not insights:
            return None
        return sample_of(insights.get(day, 0.0) / spent for day, spent in usd.items() if spent > 0)

    async def _drawdown(
        self, record: TradingRecord, since: datetime, until: datetime
    ) -> Sample | None:
        """Return how far the last equity of each hour lay below the highest until then."""
        ticks = await record.ticks(since, until)
        highest = await record.peak(since) or 0.0
        ends: dict[datetime, float] = {}
        for tick in ticks:
            equity = float(tick.equity)
            highest = max(highest, equity)
            if highest > 0:
                at = tick.at.replace(minute=0, second=0, microsecond=0)
                ends[at] = max(1.0 - equity / highest, 0.0)
        return sample_of(ends.values())

    async def _expectancy(
        self, record: TradingRecord, subject: str, since: datetime, until: datetime
    ) -> Sample | None:
        """Return the R of each round trip: of the subject's where it trades, or of all."""
        trades = [t for t in await record.trades(since, until) if t.r_multiple is not None]
        own = [t for t in trades if t.agent_id == subject]
        return sample_of(t.r_multiple or 0.0 for t in own or trades)

    async def _rows(self, metric: str, since: datetime, until: datetime) -> Rows:
        """Return the hours of which all lies in the span."""
        read = partial(self.figures.read, metric, since, until)
        found = await self.threads.do("reading hourly figures", read)
        return [row for row in found if row[0] >= since and row[0] + HOUR <= until]


def sample_of(values: Iterable[float]) -> Sample | None:
    """Return the sample of observations; None of none."""
    found = [value for value in values if math.isfinite(value)]
    if not found:
        return None
    deviation = stdev(found) if len(found) > 1 else 0.0
    return Sample(mean=fmean(found), deviation=deviation, n=len(found))


def _by_day(rows: Rows) -> dict[date, float]:
    sums: dict[date, float] = {}
    for at, value, _ in rows:
        sums[at.date()] = sums.get(at.date(), 0.0) + value
    return sums
