"""How the house was: agents, calls, uptime, what was done to it, what models cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from meta_agents.daily_report.document import (
    LlmSpend,
    PerformanceMetrics,
    RecentActivities,
    SpendEntry,
    SystemHealth,
    Unknowns,
)
from meta_agents.daily_report.facts import DayFacts, HourRow
from roboinvest.core.events import Severity
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.advice import AdviceState
from roboinvest.core.oversight.healing_record import ActionEnd, Rung
from roboinvest.runtime.alerting.values import Alert

MOST_TASKS: Final = 30
_SLACK: Final = timedelta(minutes=5)  # of a look at health after the day's end
CODE_CHANGES: Final = ("revision.activated", "revision.rolled_back")
_NO_FIGURES: Final = "the PerformanceAnalystAgent noted none on this day"


def health_part(facts: DayFacts, unknown: Unknowns) -> SystemHealth:
    """Return how the agents were at the last look of the day."""
    note = unknown.under("system_health")
    health, why = facts.health, facts.missing.get("health", "")
    if health is not None and not _is_of_the_day(facts):
        why = f"the last look at the agents was at {health.checked_at:%Y-%m-%d %H:%M} UTC"
        health = None
    total = health.total_agents if health else None
    for name in ("total", "healthy", "degraded", "failing", "offline"):
        note.unless(f"{name}_agents", health, why)
    share = 100.0 * health.healthy_agents / health.total_agents if health and total else None
    note.unless("health_percentage", share, why or "no agent is registered")
    still_open = None if facts.alerts is None else open_at_the_end(facts)
    for name in ("critical_alerts", "unresolved_alerts"):
        note.unless(name, still_open, facts.missing.get("alerts", ""))
    return SystemHealth(
        total_agents=total,
        healthy_agents=health.healthy_agents if health else None,
        health_percentage=share,
        critical_alerts=None
        if still_open is None
        else sum(alert.severity is Severity.CRITICAL for alert in still_open),
        unresolved_alerts=None if still_open is None else len(still_open),
        degraded_agents=health.degraded_agents if health else None,
        failing_agents=health.failing_agents if health else None,
        offline_agents=health.offline_agents if health else None,
    )


def open_at_the_end(facts: DayFacts) -> list[Alert]:
    """Return the alerts that were open when the day ended, or are if it has not ended."""
    end = facts.house.end
    return [
        alert
        for alert in facts.alerts or ()
        if alert.raised_at < end and (alert.resolved_at is None or alert.resolved_at >= end)
    ]


def metrics_part(facts: DayFacts, unknown: Unknowns) -> PerformanceMetrics:
    """Return what the house got done."""
    note = unknown.under("performance_metrics")
    why = facts.missing.get("figures") or _NO_FIGURES
    success, latency = _mean(facts, hourly.SUCCESS), _mean(facts, hourly.LATENCY)
    insights = _sum(facts, hourly.INSIGHTS)
    fills = None if facts.ticks is None else sum(tick.fills for tick in facts.ticks)
    uptime, uptime_why = _uptime_h(facts)
    note.unless("avg_success_rate", success, why)
    note.unless("total_insights_generated", insights, why)
    note.unless("total_trades_executed", fills, facts.missing.get("ticks", ""))
    note.unless("system_uptime", uptime, uptime_why)
    note.unless("avg_response_time", latency, why)
    return PerformanceMetrics(
        avg_success_rate=success,
        total_insights_generated=None if insights is None else round(insights),
        total_trades_executed=fills,
        system_uptime=uptime,
        avg_response_time=latency,
    )


def activities_part(facts: DayFacts, unknown: Unknowns) -> RecentActivities:
    """Return what was done to the house."""
    note = unknown.under("recent_activities")
    note.unless("code_changes_applied", facts.audit, facts.missing.get("audit", ""))
    note.unless("optimizations_applied", facts.advice, facts.missing.get("advice", ""))
    note.unless("agents_restarted", facts.attempts, facts.missing.get("attempts", ""))
    note.unless("new_alerts", facts.alerts, facts.missing.get("alerts", ""))
    taken = (AdviceState.TAKEN, AdviceState.MEASURED)
    return RecentActivities(
        code_changes_applied=None
        if facts.audit is None
        else sum(row.entry.kind in CODE_CHANGES for row in facts.audit),
        optimizations_applied=None
        if facts.advice is None
        else sum(
            each.state in taken and each.taken_at is not None and each.taken_at in facts.house
            for each in facts.advice
        ),
        agents_restarted=None
        if facts.attempts is None
        else sum(
            each.rung is Rung.RESTART
            and each.action_end is ActionEnd.RETURNED
            and each.at in facts.house
            for each in facts.attempts
        ),
        new_alerts=None
        if facts.alerts is None
        else sum(alert.raised_at in facts.house for alert in facts.alerts),
    )


def spend_part(facts: DayFacts, unknown: Unknowns, left_out: dict[str, int]) -> LlmSpend | None:
    """Return what models cost."""
    unknown.unless("llm_spend", facts.spend, facts.missing.get("spend", ""))
    if facts.spend is None:
        return None
    note = unknown.under("llm_spend")
    parts = sorted(facts.spend, key=lambda part: (-part.cost_usd, part.agent, part.task))
    cost, calls = float(sum(p.cost_usd for p in parts)), sum(p.calls for p in parts)
    decisions = sum(t.buys + t.sells + t.holds for t in facts.ticks or ())
    insights = _sum(facts, hourly.INSIGHTS)
    each_decision = cost / decisions if decisions else None
    each_insight = cost / insights if insights else None
    note.unless("cost_per_decision_usd", each_decision, "nothing was decided on this day")
    why = facts.missing.get("figures") or (_NO_FIGURES if insights is None else "there was none")
    note.unless("cost_per_insight_usd", each_insight, why)
    if len(parts) > MOST_TASKS:
        left_out["llm_spend.by_task"] = len(parts) - MOST_TASKS
    return LlmSpend(
        cost_usd=cost,
        calls=calls,
        cost_per_decision_usd=each_decision,
        cost_per_insight_usd=each_insight,
        by_task=tuple(
            SpendEntry(
                agent=part.agent,
                task=part.task,
                calls=part.calls,
                failed=part.failed,
                cost_usd=float(part.cost_usd),
                mean_latency_ms=part.mean_latency_ms,
            )
            for part in parts[:MOST_TASKS]
        ),
    )


def _is_of_the_day(facts: DayFacts) -> bool:
    health = facts.health
    return health is not None and (
        facts.house.start <= health.checked_at < facts.house.end + _SLACK
    )


def _rows(facts: DayFacts, metric: str) -> Sequence[HourRow]:
    return (facts.figures or {}).get(metric, ())


def _mean(facts: DayFacts, metric: str) -> float | None:
    rows = _rows(facts, metric)
    weight = sum(n for _, _, n in rows)
    return sum(value * n for _, value, n in rows) / weight if weight else None


def _sum(facts: DayFacts, metric: str) -> float | None:
    rows = _rows(facts, metric)
    return sum(value for _, value, _ in rows) if rows else None


def _uptime_h(facts: DayFacts) -> tuple[float | None, str]:
    """Return the hours in which the daemon was up, as far as that is on record."""
    noted = _sum(facts, hourly.UP_S)
    if noted is not None:
        return noted / 3600.0, ""
    status = facts.status
    if status is None:
        return None, facts.missing.get("status", "")
    start = max(status.service_started, facts.house.start)
    end = min(status.status_updated, facts.house.end)
    if end <= start:
        return None, "only the last run of the daemon is on record, and it was not on this day"
    return (end - start).total_seconds() / 3600.0, ""
