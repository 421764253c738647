"""daily_report_<date>.json as a model; its first parts have the names that frontends know.

A figure that is not known is null, and `unknown` says why, under the figure's path. Lists are cut;
what they are cut from is counted. Every text was made harmless before it got here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import AwareDatetime

from roboinvest.core.events import Severity
from roboinvest.runtime.reports.fields import (
    Cost,
    Count,
    Figure,
    Fraction,
    Percent,
    Record,
    Report,
    Usd,
)
from roboinvest.runtime.reports.models import Interval


class SystemHealth(Record):
    """How the agents were at the last look of the day."""

    total_agents: Count | None
    healthy_agents: Count | None
    health_percentage: Percent | None
    critical_alerts: Count | None  # open at the end
    unresolved_alerts: Count | None  # open at the end, of all severities
    degraded_agents: Count | None
    failing_agents: Count | None
    offline_agents: Count | None


class PerformanceMetrics(Record):
    """What the house got done."""

    avg_success_rate: Fraction | None  # of all calls of all agents
    total_insights_generated: Count | None
    total_trades_executed: Count | None  # executions at the broker
    system_uptime: Figure | None  # hours of the day in which the daemon was up
    avg_response_time: Figure | None  # seconds a call, of all agents


class RecentActivities(Record):
    """What was done to the house."""

    code_changes_applied: Count | None
    optimizations_applied: Count | None  # recommendations that were taken
    agents_restarted: Count | None  # by healing
    new_alerts: Count | None


class UsdInterval(Record):
    """A mean in USD with its 95 % interval."""

    value: Usd
    low: Usd
    high: Usd
    n: Count


class BuyAndHold(Record):
    """The same money left alone."""

    base: str  # what it is counted from
    total_return: Fraction | None
    excess_return: Fraction | None  # ours minus this


class SymbolReturn(Record):
    """What one symbol did on the day, splits and dividends counted in."""

    symbol: str
    total_return: Fraction


class TradingResult(Record):
    """What trading came to on the day."""

    start_equity: Usd | None  # at the close before, or at the first tick
    end_equity: Usd | None
    result_usd: Usd | None
    total_return: Fraction | None
    day: BuyAndHold
    since_start: BuyAndHold
    since_start_return: Fraction | None
    universe: tuple[SymbolReturn, ...]
    ticks: Count | None
    decisions: Count | None  # buys, sells and holds
    buys: Count | None
    sells: Count | None
    fills: Count | None
    rejected: Count | None
    round_trips: Count | None  # entries with nothing left open
    win_rate: Interval | None
    expectancy_usd: UsdInterval | None
    equity_curve: tuple[tuple[AwareDatetime, Usd], ...]  # thinned


class AlertEntry(Record):
    """An alert that was open on the day."""

    key: str
    severity: Severity
    kind: str
    message: str
    since: AwareDatetime
    until: AwareDatetime | None  # null: still open
    count: Count
    recovered_by: str | None
    follows_from: str | None  # key of the alert that it is folded under
    acknowledged_by: str | None


class HealEntry(Record):
    """What healing did once."""

    agent: str
    cause: str
    rung: str
    action: str
    at: AwareDatetime
    metric: str
    before: Figure
    after: Figure | None
    verdict: str  # healed, not_healed, refused, unknown, or "not measured yet"
    reason: str


class Healing(Record):
    """What healing did, by what was measured."""

    attempts: Count
    healed: Count
    not_healed: Count
    refused: Count
    unknown: Count
    not_measured_yet: Count
    entries: tuple[HealEntry, ...]  # newest first


class ChangeEntry(Record):
    """Something that was changed, and what that did where it was measured."""

    at: AwareDatetime
    what: str
    subject: str
    who: str
    why: str
    effect: str | None  # measured, in words; null: not measured
    undo: str | None


class SpendEntry(Record):
    """What one agent's task asked of models."""

    agent: str
    task: str
    calls: Count
    failed: Count
    cost_usd: Cost
    mean_latency_ms: Figure | None


class LlmSpend(Record):
    """What language models cost on the day."""

    cost_usd: Cost
    calls: Count
    cost_per_decision_usd: Cost | None
    cost_per_insight_usd: Cost | None
    by_task: tuple[SpendEntry, ...]  # the dearest first


class Incident(Record):
    """Something that went wrong, from when to when, and what was tried."""

    what: str
    severity: Severity
    since: AwareDatetime
    until: AwareDatetime | None  # null: not over
    tried: tuple[str, ...]
    ended_by: str | None


class AdviceEntry(Record):
    """A recommendation of the PerformanceAnalystAgent."""

    text: str
    evidence: str
    metric: str
    expected: str
    deadline: AwareDatetime
    state: str
    effect: str | None  # measured, in words
    verdict: str | None  # helped, no_difference, worse, unknown


class ToDo(Record):
    """Something that only a person can do."""

    urgency: Literal["now", "today"]
    text: str
    since: AwareDatetime | None
    command: str | None


class DailyReport(Report):
    """daily_report_<date>.json"""

    date: date
    zone: str  # whose days they are
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    complete: bool  # the day is over on the run's own clock
    as_of: AwareDatetime  # on the run's own clock
    mode: str | None
    running: bool  # a daemon was at work when this was made
    headline: str
    system_health: SystemHealth
    performance_metrics: PerformanceMetrics
    recent_activities: RecentActivities
    recommendations: tuple[str, ...]
    needs_person: tuple[ToDo, ...]
    incidents: tuple[Incident, ...]
    trading_result: TradingResult
    alerts: tuple[AlertEntry, ...] | None
    healing: Healing | None
    changes: tuple[ChangeEntry, ...] | None
    llm_spend: LlmSpend | None
    advice: tuple[AdviceEntry, ...] | None
    left_out: Mapping[str, Count]  # what lists were cut by
    notes: tuple[str, ...]  # how figures are meant
    unknown: Mapping[str, str]  # path of a null -> why


class Unknowns:
    """Collects a reason for each null."""

    def __init__(self, reasons: dict[str, str] | None = None, path: str = "") -> None:
        """Take where reasons are put, and the path that they are put under."""
        self.reasons: dict[str, str] = {} if reasons is None else reasons
        self._path = path

    def under(self, part: str) -> Unknowns:
        """Return the same for a part of the report."""
        return Unknowns(self.reasons, f"{self._path}{part}.")

    def unless(self, name: str, value: object | None, reason: str) -> None:
        """Put a reason down where there is no value."""
        if value is None:
            self.reasons[f"{self._path}{name}"] = reason or "it is not on record"
