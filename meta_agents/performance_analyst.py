"""PerformanceAnalystAgent: every hour it notes what the house did, says what that means, and
whether what it advised helped.

Figures of the hour go into the Overseer's file; trends, comparisons with last week, bottlenecks,
costs and trading groups follow from what is there. Advice comes from rules, is measured only where
somebody took it, and is not given again for a month where it did not help. Trading neither waits
for any of this nor reads it. Deliberately absent: a model that would write the advice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from numpy.random import default_rng

from meta_agents.analyst_ports import NO_REGIME, HourOfTrading, Senses, TradingBooks
from meta_agents.harmless import harmless_tree
from meta_agents.one_trouble import OneTrouble, in_words
from roboinvest.core.errors import RoboInvestError
from roboinvest.core.events import Event, Severity
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.advice import Advice, AdviceState, AdviceVerdict
from roboinvest.core.oversight.advisor import advise
from roboinvest.core.oversight.analysis import (
    COMPARED,
    TRADES_OVER,
    TREND_OVER,
    WEEK,
    Analysis,
    regressions_of,
    unit_cost,
    views_of,
)
from roboinvest.core.oversight.spans import SpanBook
from roboinvest.core.oversight.trade_groups import TradeGroup, grouped
from roboinvest.core.oversight.trends import difference
from roboinvest.core.oversight.vitals import VitalSigns
from roboinvest.core.ports import Clock
from roboinvest.core.records import plain_json, to_plain
from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE
from roboinvest.runtime.folder import replace_file
from roboinvest.runtime.oversight.analyst_tables import AdviceBook, HourlyFigures
from roboinvest.runtime.oversight.cadence import Cadence, keep
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.reports.writer import ALERT_KEY as REPORTS_KEY
from roboinvest.runtime.supervision.service import ServiceContext

FILE_NAME: Final = "performance_analysis.json"
CADENCE: Final = "performance review"
EVERY: Final = timedelta(hours=1)
ALERT_KEY: Final = "performance_analysis.unwritable"
MOST_AGENTS: Final = 50  # of which figures are kept: those with the most calls
RESTS: Final = timedelta(days=30)  # of advice that did not help
CATCH_UP: Final = 24  # hours whose trading is noted afterwards
_LONGEST_UP_S: Final = 2 * 3600.0  # between two reviews; more is a review that was missed
_HOUR: Final = timedelta(hours=1)
_Figures = dict[str, tuple[float, int]]


class PerformanceAnalystAgent:
    """The service; `review` is one hour's work."""

    name: Final = "performance_analyst"

    def __init__(
        self,
        file: OverseerFile,
        *,
        senses: Senses,
        trading: TradingBooks | None,
        spans: SpanBook | None,
        reports: Path,
        redactor: Redactor,
        clock: Clock,
        threads: Threads,
        new_id: Callable[[], str],
        publish: Callable[[Event], None],
        left_open: bool = False,
    ) -> None:
        """Take the parts.

        Args:
            file: opened with `analyst_tables.SCHEMA`.
            senses: the agents as they are.
            trading: the books of trading; None in a replay, whose market has a time of its own.
            spans: where time goes; None: nobody records it.
            reports: the folder that the analysis is written to.
            redactor: knows the configured secrets.
            clock: the machine's.
            threads: for what blocks.
            new_id: names advice.
            publish: for the alert.
            left_open: whether the alert was left open by whoever was here before.
        """
        self.figures, self.advice = HourlyFigures(file), AdviceBook(file)
        self.newest: Analysis | None = None
        self.cadence = Cadence(file, CADENCE, EVERY)
        self._senses, self._trading, self._spans = senses, trading, spans
        self._path = reports / FILE_NAME
        self._redactor, self._clock, self._threads = redactor, clock, threads
        self._new_id = new_id
        self._up_from_s: float | None = None
        self._trouble = OneTrouble(
            ALERT_KEY,
            Severity.LOW,
            clock=clock,
            publish=publish,
            recovered="the performance analysis is written again",
            follows_from=REPORTS_KEY,
            left_open=left_open,
        )
        self._log = structlog.get_logger("roboinvest.performance_analyst")

    async def run(self, ctx: ServiceContext) -> None:
        """Review every hour, until cancelled; when the next one is due outlives the process."""
        if self._up_from_s is None:
            self._up_from_s = self._clock.monotonic()
        await keep(ctx, self.cadence, self.review_at, clock=self._clock, threads=self._threads)

    async def review_at(self, now: datetime) -> None:
        """Review, as a cadence asks for it."""
        await self.review(now)

    async def review(self, now: datetime) -> Analysis:
        """Note the hour, analyse, settle advice that is due, advise, and write it all down.

        Raises:
            TryLater, BadSettings: the Overseer's file cannot be used.
        """
        await self._note_house(now)
        trouble = await self._note_trading(now)
        figures = await self._threads.do(
            "reading hourly figures",
            partial(self.figures.read_all, now - WEEK - TREND_OVER, now + _HOUR),
        )
        groups = await self._trade_groups(now, trouble)
        build = partial(self._analysed, now, figures, groups)
        analysis = await self._threads.do("analysing the hours", build)
        await self._threads.do("settling advice", partial(self._settle, now))
        given = await self._threads.do("advising", partial(self._advise, analysis))
        self.newest = analysis
        await self._write(analysis, given)
        return analysis

    async def _note_house(self, now: datetime) -> None:
        measured, counted = _measured(self._senses), self._counted()
        for total in self._spans.take_totals() if self._spans else ():
            where = (total.service, total.kind.value)
            counted[hourly.of(hourly.SPAN_S, *where)] = (total.seconds, total.count)
            mean = total.seconds / total.count
            measured[hourly.of(hourly.SPAN_MEAN, *where)] = (mean, total.count)
        hour = _floor(now)
        put, add = (
            partial(self.figures.put, hour, measured),
            partial(self.figures.add, hour, counted),
        )
        await self._threads.do("noting the hour", put)
        await self._threads.do("noting the hour", add)

    def _counted(self) -> _Figures:
        counts = self._senses.take_counts()
        found: _Figures = {}
        for name in hourly.COUNTS:
            if name in counts:
                figure = (float(counts[name]), max(counts[name], 1))
                found[hourly.of(hourly.COUNTED, name.replace(" ", "_"))] = figure
        if "insights" in counts:
            found[hourly.INSIGHTS] = (float(counts["insights"]), max(counts["insights"], 1))
        at = self._clock.monotonic()
        if self._up_from_s is not None:
            up_s = min(max(at - self._up_from_s, 0.0), _LONGEST_UP_S)
            found[hourly.UP_S] = (up_s, 1)
        self._up_from_s = at
        return found

    async def _note_trading(self, now: datetime) -> str:
        """Note the full hours that have no trading yet; return why they cannot be read, or ""."""
        if self._trading is None:
            return "the market has a time of its own in this run"
        last = _floor(now)
        known = await self._threads.do(
            "reading hourly figures",
            partial(self.figures.read, hourly.DECISIONS, last - CATCH_UP * _HOUR, last),
        )
        there = {at for at, _, _ in known}
        hours = (last - back * _HOUR for back in range(CATCH_UP, 0, -1))
        try:
            for hour in [each for each in hours if each not in there]:
                found = await self._trading.hour(hour, hour + _HOUR)
                figures = _traded(found, await self._known_agents(hour))
                await self._threads.do("noting", partial(self.figures.put, hour, figures))
        except (RoboInvestError, OSError) as error:
            return in_words(error)
        return ""

    async def _known_agents(self, hour: datetime) -> frozenset[str]:
        """Return the agents that traded lately: an hour without a trade came to 0 for them."""
        begin = f"{hourly.PNL}/"
        found = await self._threads.do(
            "reading hourly figures", partial(self.figures.names, begin, hour - WEEK, hour)
        )
        return frozenset(name[len(begin) :] for name in found)

    async def _trade_groups(self, now: datetime, trouble: str) -> _Groups:
        if self._trading is None or trouble:
            return _Groups(reason=trouble)
        try:
            ended = await self._trading.round_trips(now - TRADES_OVER, now)
            entries = {each.entry_order_id: each.symbol for each in ended}
            regimes = await self._trading.regimes(entries)
        except (RoboInvestError, OSError) as error:
            return _Groups(reason=in_words(error))
        if not ended:
            return _Groups(reason="no round trip ended in the last 30 days")
        rng, zone = default_rng(int(_floor(now).timestamp())), ZoneInfo(EXCHANGE_ZONE)
        return _Groups(
            by_agent=grouped(ended, lambda each: each.agent_id, rng),
            by_regime=grouped(ended, lambda e: regimes.get(e.entry_order_id, NO_REGIME), rng),
            by_hour=grouped(ended, lambda e: f"{e.opened_at.astimezone(zone):%H}:00", rng),
        )

    def _analysed(
        self,
        now: datetime,
        figures: Mapping[str, tuple[tuple[datetime, float, int], ...]],
        groups: _Groups,
    ) -> Analysis:
        views = views_of(figures, now)
        since = now - COMPARED
        cost = figures.get(hourly.LLM_USD, ())
        found = self._spans.bottlenecks() if self._spans else ()
        reason = "nothing was timed yet" if self._spans else "nobody records where time goes"
        return Analysis(
            at=now,
            metrics=views,
            regressions=regressions_of(views),
            bottlenecks=found,
            bottlenecks_reason="" if found else reason,
            places=self._spans.by_service() if self._spans else (),
            per_decision=unit_cost(
                cost, figures.get(hourly.DECISIONS, ()), "decisions", since=since
            ),
            per_insight=unit_cost(cost, figures.get(hourly.INSIGHTS, ()), "insights", since=since),
            by_agent=groups.by_agent,
            by_regime=groups.by_regime,
            by_hour=groups.by_hour,
            trades_reason=groups.reason,
        )

    def _settle(self, now: datetime) -> None:
        """Close advice that nobody took, and measure what was taken. Blocking."""
        for each in self.advice.pending():
            if now < each.deadline:
                continue
            if each.state is AdviceState.OPEN or each.taken_at is None:
                self.advice.settle(each.lapsed(at=now))
                continue
            before = self.figures.read(each.metric, each.taken_at - each.watch, each.taken_at)
            after = self.figures.read(each.metric, each.taken_at, each.deadline)
            # The hour in which it was taken is neither before nor after.
            kept = [row for row in before if row[0] + _HOUR <= each.taken_at]
            found = difference([value for _, value, _ in kept], [value for _, value, _ in after])
            settled = each.measured(found, at=now)
            self.advice.settle(settled)
            self._log.info("advice_measured", subject=each.subject, verdict=settled.verdict)

    def _advise(self, analysis: Analysis) -> tuple[Advice, ...]:
        """Write new advice down, and return what is pending. Blocking."""
        now = analysis.at
        helped = (AdviceVerdict.HELPED.value, "")
        old = self.advice.touched(now - RESTS, now)
        useless = {(each.rule, each.subject) for each in old if each.verdict not in helped}
        pending = {(each.rule, each.subject) for each in self.advice.pending()}
        for each in advise(analysis, rests=pending | useless, new_id=self._new_id):
            self.advice.add(each)
        return self.advice.pending()

    async def _write(self, analysis: Analysis, given: tuple[Advice, ...]) -> None:
        """Write the analysis for frontends; a folder that cannot be written is an alert."""
        stamp = {"schema_version": 1, "generated_at": self._clock.now()}
        report = {**stamp, "analysis": analysis, "advice": given}
        try:
            write = partial(_replaced, self._path, report, self._redactor)
            await self._threads.do("writing the performance analysis", write)
        except (OSError, RoboInvestError) as error:
            self._trouble.failed(f"{FILE_NAME} was not written: {in_words(error)}")
            return
        self._trouble.succeeded()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    """Round trips by what they have in common; None where that is not known, and why."""

    by_agent: tuple[TradeGroup, ...] | None = None
    by_regime: tuple[TradeGroup, ...] | None = None
    by_hour: tuple[TradeGroup, ...] | None = None
    reason: str = ""


def _measured(senses: Senses) -> _Figures:
    """Return the figures that are read off the living agents."""
    signs = senses.signs()
    found: _Figures = {}
    calls, failed = (sum(getattr(each, name) for each in signs.values()) for name in _CALLS)
    if calls:
        found[hourly.SUCCESS] = ((calls - failed) / calls, calls)
    timed = [each.latency for each in signs.values() if each.latency is not None]
    if timed:
        heard = max(round(sum(each.calls for each in timed)), 1)
        found[hourly.LATENCY] = (median(each.p50_s for each in timed), heard)
    busiest = sorted(signs, key=lambda name: (-signs[name].calls, name))[:MOST_AGENTS]
    for name in busiest:
        found |= _of_agent(name, signs[name])
    for status, count in senses.statuses().items():
        found[hourly.of(hourly.AGENTS, status)] = (float(count), 1)
    for gauge, value in senses.gauges().items():
        found[hourly.of(hourly.GAUGE, gauge)] = (value, 1)
    return {name: each for name, each in found.items() if isfinite(each[0])}


_CALLS: Final = ("calls", "failed")


def _of_agent(name: str, signs: VitalSigns) -> _Figures:
    found: _Figures = {}
    if signs.success_frac is not None:
        found[hourly.of(hourly.AGENT_SUCCESS, name)] = (signs.success_frac, signs.calls)
    if signs.latency is not None:
        calls = max(round(signs.latency.calls), 1)
        found[hourly.of(hourly.AGENT_LATENCY, name)] = (signs.latency.p50_s, calls)
    return found


def _traded(found: HourOfTrading, known: frozenset[str]) -> _Figures:
    """Return the figures of an hour of trading; agents that traded lately came to 0 or more."""
    cost, calls = float(sum(each.cost_usd for each in found.spend)), 0
    figures: _Figures = {
        hourly.DECISIONS: (float(found.decisions), max(found.decisions, 1)),
        hourly.FILLS: (float(found.fills), max(found.fills, 1)),
    }
    for agent in sorted(known | found.pnl_usd.keys())[:MOST_AGENTS]:
        figures[hourly.of(hourly.PNL, agent)] = (found.pnl_usd.get(agent, 0.0), 1)
    for part in found.spend[:MOST_AGENTS]:
        calls += part.calls
        figures[hourly.of(hourly.LLM_FAILED, part.agent, part.task)] = (
            part.failed / part.calls,
            part.calls,
        )
        if part.mean_latency_ms is not None:
            latency_s = part.mean_latency_ms / 1000.0
            figures[hourly.of(hourly.LLM_LATENCY, part.agent, part.task)] = (latency_s, part.calls)
    figures[hourly.LLM_USD] = (cost, max(calls, 1))
    if found.decisions:
        figures[hourly.COST_PER_DECISION] = (cost / found.decisions, found.decisions)
    return figures


def _floor(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _replaced(path: Path, report: Mapping[str, object], redactor: Redactor) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    tree = to_plain({**report, "sequence": _last_sequence(path) + 1})
    text = plain_json(harmless_tree(tree, redactor))
    replace_file(path, f"{text}\n".encode())


def _last_sequence(path: Path) -> int:
    """Return the number of what was written last, 0 where that cannot be read."""
    try:
        found = json.loads(path.read_bytes())["sequence"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return 0
    return max(found, 0) if isinstance(found, int) else 0
