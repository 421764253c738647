"""Wishes for a meeting, good ones; what is wrong with one stands in the test. And a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from meta_agents.meeting.facts import AgentFact, ReportFacts
from roboinvest.core.oversight.health import Status

AGENTS = frozenset({"alpha", "beta", "gamma"})


def a_wish(**fields: Any) -> dict[str, Any]:
    """Return the wish to look half as often after the track deep_research."""
    values: dict[str, Any] = {
        "decision_type": "resource_allocation",
        "action": "set_interval",
        "subject": "deep_research",
        "amount": "14400",
        "topic": "",
        "hypothesis": "it finds as much in half the time",
        "metric": "insights_per_usd",
        "expected": 2.0,
        "confidence": 0.7,
        "effort": "low",
        "estimated_impact": "medium",
        "priority": "medium",
        "deadline_days": 7,
        "implementation_plan": ["set it", "look at it"],
        "approval_required": False,
    }
    return {**values, **fields}


def raise_cap(amount: str = "0.20", **fields: Any) -> dict[str, Any]:
    """Return the wish for a higher cap of language models."""
    values = {"action": "set_llm_cap", "subject": "llm_day", "amount": amount}
    return a_wish(**{**values, "metric": "insights_per_day", **fields})


def lower_limit(amount: str | None = "10", **fields: Any) -> dict[str, Any]:
    """Return the wish for fewer trades a day."""
    values = {
        "decision_type": "risk_management",
        "action": "set_limit",
        "subject": "max_trades_per_day",
        "amount": amount,
        "metric": "drawdown_frac",
        "expected": -0.01,
    }
    return a_wish(**{**values, **fields})


def quarantine(agent: str = "gamma", **fields: Any) -> dict[str, Any]:
    """Return the wish to stop an agent."""
    values = {
        "decision_type": "risk_management",
        "action": "quarantine_agent",
        "subject": agent,
        "amount": None,
        "metric": "error_share",
        "expected": -0.1,
    }
    return a_wish(**{**values, **fields})


def request(action: str, kind: str, agent: str = "alpha", **fields: Any) -> dict[str, Any]:
    """Return the wish to ask somebody for something."""
    values = {
        "decision_type": kind,
        "action": action,
        "subject": agent,
        "amount": None,
        "topic": "optimise: slow_bars",
        "metric": "error_share",
        "expected": -0.05,
    }
    return a_wish(**{**values, **fields})


FIVE = (
    lower_limit(),
    raise_cap(),
    request("request_prompt", "system_improvement"),
    request("request_code", "code_optimization", "beta"),
    request("request_agent", "new_agent", "range-calm", metric="expectancy_r", expected=0.1),
)


def a_report(**fields: Any) -> ReportFacts:
    """Return the report of a quiet day."""
    values: dict[str, Any] = {
        "date": "2026-01-04",
        "total_agents": 3,
        "healthy_agents": 3,
        "critical_alerts": 0,
        "unresolved_alerts": 0,
        "success_rate": 0.99,
        "insights": 12,
        "trades": 4,
        "pnl_usd": 10.0,
        "benchmark_usd": 20.0,
        "drawdown_frac": 0.01,
        "drawdown_limit_frac": 0.10,
        "llm_spent_usd": 0.05,
        "llm_cap_usd": 0.10,
        "agents": tuple(
            AgentFact(name=name, status=Status.HEALTHY, hours=24.0, error_share=0.0)
            for name in sorted(AGENTS)
        ),
    }
    return ReportFacts(**{**values, **fields})


def told(*wishes: Any) -> str:
    """Return the reply that holds wishes."""
    return json.dumps({"decisions": list(wishes)})


def texts_of(wishes: Sequence[Any]) -> tuple[str, ...]:
    """Return wishes as JSON texts."""
    return tuple(json.dumps(each) for each in wishes)
