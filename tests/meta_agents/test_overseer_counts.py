"""What a house brings about is counted: for the agents, for the hour, for graphs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from meta_agents.overseer import Overseer
from meta_agents.overseer_models import MODEL, WatchedModel
from meta_agents.overseer_senses import TickSense
from roboinvest.app.roster import COUNTERS, TRADERS
from roboinvest.core.events import TickCompleted
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.tasks import Answer
from roboinvest.runtime.metrics.exposition import exposition
from roboinvest.runtime.reports.health import agent_line
from roboinvest.runtime.reports.overseer_line import OverseerLine
from tests.fakes.clocks import START, ManualClock
from tests.fakes.metric_figures import figures

TICK = TickCompleted(
    at=START,
    tick_id="t",
    tick_at=START,
    decisions=5,
    fills=2,
    trades=1,
    insights=3,
    lookups=5,
    lookup_hits=4,
)


def watched() -> tuple[Overseer, ManualClock]:
    clock = ManualClock()
    overseer = Overseer(clock)
    cards = [AgentCard(name=name, kind=AgentKind.TRADING) for name in TRADERS]
    overseer.register_all([*cards, AgentCard(name=MODEL, kind=AgentKind.DEPENDENCY)])
    return overseer, clock


async def test_what_a_tick_brought_about_is_told_of_the_agents_and_of_the_hour() -> None:
    overseer, clock = watched()
    sense = TickSense(
        overseer,
        clock,
        agents=TRADERS,
        data="market data",
        host_is_well=lambda: True,
        counts=lambda: DataCounts(rows=0, used=0, quarantined=0, by_reason={}),
        counters=COUNTERS,
    )
    for _ in range(2):
        sense.hear(TICK)
    sense.hear(replace(TICK, fills=0, trades=0, insights=0, lookup_hits=0))
    counted = {
        "decisions": 15,
        "fills": 4,
        "trades": 2,
        "insights": 6,
        "lookups": 15,
        "lookup hits": 8,
    }
    assert overseer.totals() == counted
    assert set(counted) <= set(hourly.COUNTS)
    assert overseer.take_counts() == counted
    assert overseer.take_counts() == {}
    assert overseer.totals() == counted  # a graph never goes back
    found = await overseer.look()
    health = found.healths["TradeExecutorAgent"]
    line = agent_line(found.cards["TradeExecutorAgent"], health)
    assert line.counts == {"fills": 4.0, "trades": 2.0}
    keeper = agent_line(found.cards["RAGPlaybookAgent"], found.healths["RAGPlaybookAgent"])
    assert keeper.counts == {"insights": 6.0, "lookup hits": 8.0}


async def test_an_answer_that_was_recalled_is_a_cache_hit_and_says_nothing_of_the_model() -> None:
    overseer, clock = watched()

    class Recalls:
        async def ask(self, task: Any, inputs: Any, *, about: str = "") -> Answer[Any]:
            """Answer; what is asked about "old" was answered before."""
            return Answer(
                output=None,
                source="openai:m",
                cost_usd=Decimal(0),
                latency_ms=1.0,
                is_recalled=about == "old",
            )

    payers = {"strategy": "SimpleOrganicStrategyAgent"}
    model = WatchedModel(Recalls(), overseer, clock, payers)
    task: Any = SimpleNamespace(agent="strategy")
    for about in ("new", "old", "old"):
        await model.ask(task, None, about=about)
    assert overseer.totals() == {"asks": 3, "cache hits": 2}
    at = clock.monotonic()
    assert overseer.vitals(MODEL).snapshot(at).calls == 1
    signs = overseer.vitals("SimpleOrganicStrategyAgent").snapshot(at)
    assert signs.calls == 3
    assert [(each.name, each.lately) for each in signs.counters] == [("cache hits", 2.0)]


def test_graphs_show_the_agents_and_what_was_counted() -> None:
    known = figures()
    line = OverseerLine(
        state="watching",
        total_agents=9,
        healthy_agents=7,
        degraded_agents=1,
        failing_agents=0,
        offline_agents=1,
    )
    shown = replace(
        known,
        status=known.status.model_copy(update={"overseer": line}),
        counted={"fills": 4, "lookup hits": 8},
    )
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition(shown).decode())
        for sample in family.samples
    }
    assert found["roboinvest_counted_total", "fills"] == 4
    assert found["roboinvest_counted_total", "lookup hits"] == 8
    assert found["roboinvest_agents", "offline"] == 1
    assert found["roboinvest_agents", "healthy"] == 7
    assert found["roboinvest_agents_under_repair",] == 0
