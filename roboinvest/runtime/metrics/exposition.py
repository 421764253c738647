"""The figures of the house in Prometheus' text format.

They are those of the reports, so that a graph and a status page never disagree; nothing is counted
twice. Each text is built from values and belongs to no registry but its own. Labels come from
closed lists or are bounded and cleaned, so that no stranger's text makes a series.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from roboinvest.core.events import Severity, TradingState
from roboinvest.runtime.metrics.figures import Figures
from roboinvest.runtime.reports.models import Alerts, Budget, SystemStatus

MAX_LABELS: Final = 200  # values of one label; what is more is summed under `OTHER`
OTHER: Final = "other"
_LONGEST: Final = 60  # characters of a label
_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.:/ -]")
SERVICE_STATES: Final = (
    *("down", "starting", "running", "backing_off", "quarantined", "finished", "stopped"),
)


def exposition(figures: Figures) -> bytes:
    """Return the figures as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(figures))
    return generate_latest(registry)


class _Once(Collector):
    """Tells one set of figures."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        figures = self._figures
        yield from _of_trading(figures)
        yield from _of_services(figures.status)
        yield from _of_process(figures.status)
        yield from _of_data(figures.status)
        yield from _of_alerts(figures.alerts)
        yield from _of_budget(figures.budget)
        yield from _of_governance(figures.status)
        yield from _of_agents(figures)


def _of_trading(figures: Figures) -> Iterator[Metric]:
    status, performance = figures.status, figures.performance
    yield _counter("ticks", "Ticks committed since the daemon started", figures.ticks)
    if status.last_tick is not None:
        at = status.last_tick.at.timestamp()
        yield _gauge("last_tick_market_time_seconds", "Market time of the last tick", at)
    state = GaugeMetricFamily(
        "roboinvest_trading_state", "1 for the state that trading is in", labels=["state"]
    )
    for each in TradingState:
        state.add_metric([each.value], float(each is status.trading_state))
    yield state
    yield _gauge("halted", "1 while the kill switch is set", float(status.halted))
    yield _gauge("equity_usd", "Equity", performance.equity)
    yield _gauge("open_pnl_usd", "Profit of open positions", performance.open_pnl)
    yield _gauge("realised_pnl_usd", "Profit of closed positions", performance.realised_pnl)
    yield _counter("trades", "Round trips since the start of the account", performance.trades)
    yield _gauge("locks", "Locks on entries in force", len(status.locks))


def _of_services(status: SystemStatus) -> Iterator[Metric]:
    states = Counter(service.state for service in status.services)
    by_state = GaugeMetricFamily("roboinvest_services", "Services in each state", labels=["state"])
    for state in SERVICE_STATES:
        by_state.add_metric([state], states[state])
    yield by_state
    restarts = CounterMetricFamily(
        "roboinvest_service_restarts", "Restarts of a service", labels=["service"]
    )
    for name, count in _bounded((s.name, s.restarts) for s in status.services).items():
        restarts.add_metric([name], count)
    yield restarts


def _of_process(status: SystemStatus) -> Iterator[Metric]:
    process = status.process
    started = status.service_started.timestamp()
    yield _gauge("start_time_seconds", "When the daemon started", started)
    yield _gauge("resident_memory_bytes", "Resident memory", process.rss_mb * 1e6)
    yield _gauge("cpu_percent", "CPU of one core, in percent", process.cpu_pct)
    yield _gauge("open_files", "Open file descriptors", process.open_files)
    if process.loop_lag_p99_ms is not None:
        lag_s = process.loop_lag_p99_ms / 1000
        yield _gauge("loop_lag_p99_seconds", "Lag of the loop over five minutes", lag_s)


def _of_data(status: SystemStatus) -> Iterator[Metric]:
    yield _counter("data_rows", "Rows that the market gave", status.data.rows)
    yield _counter("data_rows_used", "Rows that passed the quality gate", status.data.used)
    refused = CounterMetricFamily(
        "roboinvest_data_rows_quarantined", "Rows that did not pass, by reason", labels=["reason"]
    )
    for reason, count in _bounded(status.data.by_reason.items()).items():
        refused.add_metric([reason], count)
    yield refused


def _of_alerts(alerts: Alerts) -> Iterator[Metric]:
    still_open = Counter(line.severity for line in alerts.alerts if line.resolved_at is None)
    family = GaugeMetricFamily(
        "roboinvest_open_alerts", "Open alerts of each severity", labels=["severity"]
    )
    for severity in Severity:
        family.add_metric([severity.value], still_open[severity])
    yield family
    unseen = sum(1 for a in alerts.alerts if a.resolved_at is None and not a.acknowledged_at)
    yield _gauge("unacknowledged_alerts", "Open alerts that nobody looks after", unseen)


def _of_budget(budget: Budget) -> Iterator[Metric]:
    yield _gauge("llm_spend_today_usd", "Spent on language models today", budget.cost_today)
    yield _gauge("llm_day_cap_usd", "Cap of the day", budget.day_cap_usd)
    yield _gauge("llm_tokens_today", "Tokens of language models today", budget.tokens)
    answers = CounterMetricFamily("roboinvest_answers", "Answers of each source", labels=["source"])
    for source, count in _bounded(budget.by_source.items()).items():
        answers.add_metric([source], count)
    yield answers


def _of_governance(status: SystemStatus) -> Iterator[Metric]:
    line = status.governance
    if line is None:
        return
    waiting = GaugeMetricFamily(
        "roboinvest_proposals_waiting", "Proposals that wait, by level", labels=["level"]
    )
    for level, count in _bounded(line.proposals_waiting.items()).items():
        waiting.add_metric([level], count)
    yield waiting
    yield _gauge("quarantined_agents", "Agents in quarantine", len(line.quarantined))
    frozen = float(line.promotions_frozen is not None)
    yield _gauge("promotions_frozen", "1 while nothing is promoted", frozen)
    if line.audit_whole is not None:
        whole = float(line.audit_whole)
        yield _gauge("audit_whole", "1 while the audit log is what was written", whole)
    if line.audit_rows is not None:
        yield _gauge("audit_rows", "Rows of the audit log that were verified", line.audit_rows)


def _of_agents(figures: Figures) -> Iterator[Metric]:
    """Tell how the agents are, and what the house brought about."""
    counted = CounterMetricFamily(
        "roboinvest_counted", "Counted since the daemon started, by what", labels=["what"]
    )
    for what, count in _bounded(sorted(figures.counted.items())).items():
        counted.add_metric([what], count)
    yield counted
    line = figures.status.overseer
    if line is None or line.total_agents is None:
        return
    agents = GaugeMetricFamily(
        "roboinvest_agents", "Agents in each status, by the Overseer", labels=["status"]
    )
    by_status = {
        "healthy": line.healthy_agents,
        "degraded": line.degraded_agents,
        "failing": line.failing_agents,
        "offline": line.offline_agents,
    }
    for status, number in by_status.items():
        agents.add_metric([status], float(number or 0))
    yield agents
    yield _gauge("agents_under_repair", "Agents that healing acts on", len(line.healing))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"roboinvest_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"roboinvest_{name}", text, value=value)


def _bounded(pairs: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """Return counts by label, the labels cleaned and no more of them than there may be."""
    found: dict[str, int] = {}
    for name, count in pairs:
        label = _STRANGE.sub("_", name)[:_LONGEST] or OTHER
        if label not in found and len(found) >= MAX_LABELS:
            label = OTHER
        found[label] = found.get(label, 0) + count
    return found
