"""Makes the report of each day once the day is over, and those that were missed, whoever was away.

Which reports are there is what the folder shows; there is no second book of it that could say
otherwise. A folder that cannot be written is one alert, tried again every minute, and nothing else
waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

import structlog
from numpy.random import default_rng

from meta_agents.daily_report.archive import ReportArchive
from meta_agents.daily_report.books import HouseBooks
from meta_agents.daily_report.builder import build
from meta_agents.daily_report.days import Span, day_of, days_between, span_of
from meta_agents.daily_report.document import DailyReport
from meta_agents.one_trouble import OneTrouble, in_words
from roboinvest.core.errors import BadInput, RoboInvestError, TryLater
from roboinvest.core.events import Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.reports.writer import ALERT_KEY as REPORTS_KEY
from roboinvest.runtime.supervision.service import ServiceContext

ALERT_KEY: Final = "daily_report.unwritable"
LOOK_S: Final = 60.0
MOST_MISSED: Final = 400  # days that are made after a long absence, the newest
SLACK: Final = timedelta(hours=4)  # by which a clock may have run ahead: nothing trades so late


class DailyReports:
    """The service; also what a command asks for a report of one day."""

    name: Final = "daily_reports"

    def __init__(
        self,
        books: HouseBooks,
        archive: ReportArchive,
        *,
        redactor: Redactor,
        clock: Clock,
        threads: Threads,
        publish: Callable[[Event], None],
        run_now: Callable[[], datetime | None] | None = None,
        left_open: bool = False,
    ) -> None:
        """Take the parts.

        Args:
            books: what the run has on record.
            archive: where reports are kept.
            redactor: knows the configured secrets.
            clock: the machine's.
            threads: for what blocks; its deadline holds for one report.
            publish: for the alert.
            run_now: the time on the run's own clock, None while it is not known; cheap, asked
                every minute. Without it the books are asked.
            left_open: whether an earlier process left the alert open.
        """
        self._books = books
        self._archive = archive
        self._redactor = redactor
        self._clock = clock
        self._threads = threads
        self._run_now = run_now
        self._looked_at: date | None = None  # the day up to which nothing is missing
        self._made_s: dict[date, float] = {}  # monotonic: when we made the report of a day
        self._trouble = OneTrouble(
            ALERT_KEY,
            Severity.MEDIUM,
            clock=clock,
            publish=publish,
            recovered="daily reports are written again",
            follows_from=REPORTS_KEY,
            left_open=left_open,
        )
        self._log = structlog.get_logger("roboinvest.daily_report")

    async def run(self, ctx: ServiceContext) -> None:
        """Make what is due, every minute, until cancelled."""
        ctx.ready()
        async for _ in ctx.every(LOOK_S):
            await self.make_due()

    async def make_due(self) -> tuple[date, ...]:
        """Make every report that is missing of days that are over, and return their days."""
        try:
            now = await self._now()
            if now is None or day_of(now) == self._looked_at:
                return ()
            made = [day for day in await self._missing(day_of(now)) if await self._made(day)]
        except (RoboInvestError, OSError) as error:
            text = f"the daily report was not written: {in_words(error)}"
            if self._trouble.failed(text):
                self._log.warning("daily_report_not_written", trouble=text)
            return ()
        self._looked_at = day_of(now)
        self._trouble.succeeded()
        return tuple(made)

    async def report(self, day: date) -> DailyReport:
        """Return the report of a day: the one that is kept, or one that is made now.

        A report of a day that lasts is made anew each time, and kept until the next one.

        Raises:
            BadInput: the day lies before the run, or is still to come.
            TryLater: nothing has run yet.
        """
        now = await self._books.run_now()
        first, last = await self._books.first_day(), day_of(now)
        if day > last:
            raise BadInput(f"{day} is still to come: on the run's own clock it is {last}")
        if first is not None and day < first:
            raise BadInput(f"{day} lies before this run, which began on {first}")
        read = partial(self._archive.read, day)
        try:
            kept = await self._threads.do("reading a daily report", read)
        except (TryLater, BadInput):
            kept = None
        latest = self._clock.now() + SLACK
        if kept is not None and kept.complete and kept.generated_at <= latest:
            return kept
        return await self.build(day)

    async def build(self, day: date) -> DailyReport:
        """Return the report of a day from what is on record now; nothing is written."""
        all_of_it = Span(start=datetime.min.replace(tzinfo=UTC), end=self._clock.now())
        played = partial(self._archive.played, day, all_of_it)
        house = await self._threads.do("reading daily reports", played)
        facts = await self._books.facts(day, house=house)
        chance = default_rng(day.toordinal())  # the same day, the same intervals
        work = partial(build, facts, redactor=self._redactor, rng=chance)
        return await self._threads.do("building a daily report", work)

    async def keep(self, report: DailyReport) -> bool:
        """Write a report unless a whole one is there; return whether it was written.

        Raises:
            OSError: the folder cannot be written.
            TryLater: the disk does not answer.
        """
        day, latest = report.date, self._clock.now() + SLACK
        write = partial(self._archive.keep, report, latest, anew=self._is_early(day))
        made_s = self._clock.monotonic()
        is_written = await self._threads.do("writing a daily report", write)
        if is_written and report.complete:
            self._made_s[day] = made_s
        return is_written

    async def _now(self) -> datetime | None:
        if self._run_now is not None:
            return self._run_now()
        try:
            return await self._books.run_now()
        except TryLater:
            return None

    async def _missing(self, today: date) -> list[date]:
        first = await self._books.first_day()
        if first is None:
            return []
        first = max(first, today - timedelta(days=MOST_MISSED))
        whole = partial(self._archive.whole_days, self._clock.now() + SLACK)
        there = await self._threads.do("reading daily reports", whole)
        past = days_between(first, today - timedelta(days=1))
        return [day for day in past if day not in there or self._is_early(day)]

    def _is_early(self, day: date) -> bool:
        """Return whether we made a report before its day was over, by a clock that ran ahead.

        It says that it is whole; by the clock as it is set now it was made too early.
        """
        made_s = self._made_s.get(day)
        if made_s is None or self._run_now is None:  # the market has a time of its own
            return False
        made_at = self._clock.now() - timedelta(seconds=self._clock.monotonic() - made_s)
        return made_at < span_of(day).end - SLACK

    async def _made(self, day: date) -> bool:
        made = await self.keep(await self.build(day))
        if made:
            self._log.info("daily_report_written", day=day.isoformat())
        await asyncio.sleep(0)  # after a long absence there are many
        return made
