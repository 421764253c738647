"""Names of the figures that are kept for every hour, so that who writes and who reads agree."""

from __future__ import annotations

from typing import Final

SUCCESS: Final = "house.success"  # share of calls that went well
LATENCY: Final = "house.latency_s"  # median seconds of a call
UP_S: Final = "house.up_s"  # seconds of the hour in which the daemon was up
AGENTS: Final = "house.agents"  # by status: "house.agents/failing"
INSIGHTS: Final = "house.insights"  # counted in the hour
COUNTED: Final = "house.counted"  # by what: "house.counted/trades", those of the hour
DECISIONS: Final = "trading.decisions"  # buys, sells and holds
FILLS: Final = "trading.fills"
LLM_USD: Final = "llm.usd"
LLM_FAILED: Final = "llm.failed"  # share of calls; by agent and task
LLM_LATENCY: Final = "llm.latency_s"  # by agent and task
COST_PER_DECISION: Final = "llm.usd_per_decision"
COST_PER_INSIGHT: Final = "llm.usd_per_insight"
AGENT_SUCCESS: Final = "agent.success"  # by agent
AGENT_LATENCY: Final = "agent.latency_s"  # by agent
PNL: Final = "trading.pnl_usd"  # by agent, of what was closed in the hour
SPAN_S: Final = "span.seconds"  # by service and kind
SPAN_MEAN: Final = "span.mean_s"  # by service and kind
GAUGE: Final = "process"  # by gauge: "process/rss_mb"

# What is counted of a house, by the names under which `Overseer.count` takes it.
COUNTS: Final = (
    *("decisions", "fills", "trades", "insights"),
    *("lookups", "lookup hits"),  # in the memory of past setups
    *("asks", "cache hits"),  # of language models: answered before, and not asked again
)


def of(metric: str, *parts: str) -> str:
    """Return the name of a figure of something: of("agent.success", "feed")."""
    return "/".join((metric, *parts))
