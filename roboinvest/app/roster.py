"""Who is watched in a house, on which terms, and who needs whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from meta_agents.overseer import MACHINES, Overseer
from meta_agents.overseer_evidence import FAILURES, Terms
from meta_agents.overseer_models import MODEL
from meta_agents.overseer_senses import Signal
from roboinvest.core.news.reading import READ_NEWS
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.spans import SpanBook, SpanKind
from roboinvest.core.oversight.thresholds import GAUGE_LIMITS, GaugeLimit, Thresholds
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.runtime.supervision.service import ServiceStatus
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.strategy_task import STRATEGY_TASK

PROCESS, FOLDER = MACHINES
TRADING: Final = "trading"
STRATEGY: Final = "strategy "  # begins the name of an installed one
DATA: Final = "market data"
BROKER: Final = "broker"
VENDOR: Final = "market data vendor"  # of a market that goes by whether we look or not
NODES: Final = {  # agents by the names of their nodes in the graph
    "world_monitor": "WorldMonitorAgent",
    "strategy_agent": "SimpleOrganicStrategyAgent",
    "trade_executor": "TradeExecutorAgent",
    "budget_agent": "BudgetAgent",
    "rag_playbook": "RAGPlaybookAgent",
}
MOST_WORDS: Final = 120  # of a specialization
TRADERS: Final = tuple(NODES.values())
PAYERS: Final = {"strategy": "SimpleOrganicStrategyAgent", "reader": "WorldMonitorAgent"}
COUNTERS: Final = {  # whose it is what a tick brings about
    "fills": "TradeExecutorAgent",
    "trades": "TradeExecutorAgent",
    "insights": "RAGPlaybookAgent",
    "lookup hits": "RAGPlaybookAgent",
}
PROMPTS: Final = {
    "SimpleOrganicStrategyAgent": STRATEGY_TASK.prompt,
    "WorldMonitorAgent": READ_NEWS.prompt,
}
TOUCHING_MONEY: Final = frozenset({TRADING, "SimpleOrganicStrategyAgent", "TradeExecutorAgent"})
SIGNALS: Final = (
    Signal(agent=BROKER, kinds=("broker",)),
    Signal(agent=VENDOR, prefixes=("market_data.",)),
    Signal(agent=MODEL, prefixes=("llm.model.",)),
)
# A service is down a minute after it failed; three failures in ten minutes are no accident.
SERVICE_LIMITS: Final = Thresholds(
    offline_s=60.0,
    gauges={**GAUGE_LIMITS, FAILURES: GaugeLimit(degraded=2.5, failing=4.5, fills=False)},
)
USUAL: Final = Thresholds(offline_s=60.0, least_calls=5)
_TOLD: Final = replace(USUAL, calm_s=30.0)  # its own client says when it is well again
_AWAY: Final = replace(_TOLD, offline_s=1.0)  # at once: its client waited before it said so
_DATA_LIMITS: Final = Thresholds(offline_s=110.0)  # nearly two bars of a minute
_TALKS: Final = {  # of services: what they need beside the process
    TRADING: (FOLDER, DATA, BROKER),
    "reports": (FOLDER,),
    "retention": (FOLDER,),
    "alert_keeper": (FOLDER,),
    "governance": (FOLDER,),
    "healing": (FOLDER,),
    "recall": (FOLDER,),
    "prompts": (FOLDER,),
    "reconciler": (BROKER,),
    "alpaca-trade-stream": (BROKER,),
    "market_care": (VENDOR,),
    "market_stream": (VENDOR,),
}


def name_of(installed: Installed) -> str:
    """Return the name of who decides in place of the house's own agent, whatever its revision."""
    return f"{STRATEGY}{installed.stamp}"


def card_of_strategy(installed: Installed) -> AgentCard:
    """Return the card of who decides in place of the house's own agent now."""
    revision = installed.current.revision
    runs = f" revision {revision}" if revision else ""
    return AgentCard(
        name=name_of(installed),
        kind=AgentKind.GENERATED,
        specialization=f"decides in place of the house's own agent{runs}",
        dependencies=("SimpleOrganicStrategyAgent",),
    )


def cards_of(
    statuses: Sequence[ServiceStatus], installed: Installed | None, *, has_broker: bool, asks: bool
) -> tuple[AgentCard, ...]:
    """Return the cards of a house.

    Args:
        statuses: of the services.
        installed: the strategy in the place of the house's own, if there is one.
        has_broker: whether orders go to a real one.
        asks: whether language models are asked.
    """
    vendor = (VENDOR,) if any(status.name == "market_care" for status in statuses) else ()
    there = {PROCESS, FOLDER, DATA, *vendor, *({BROKER} if has_broker else ())}
    cards = [
        _dependency(PROCESS, "memory, files and loop of this process"),
        _dependency(FOLDER, "the disk under the data folder"),
        *(_dependency(each, "who sends bars, and is asked for those missed") for each in vendor),
        replace(_dependency(DATA, "bars that passed the quality gate"), dependencies=vendor),
    ]
    if has_broker:
        cards.append(_dependency(BROKER, "where orders are sent"))
    if asks:
        cards.append(_dependency(MODEL, "who answers tasks"))
    for status in statuses:
        needs = [PROCESS, *(each for each in _TALKS.get(status.name, ()) if each in there)]
        cards.append(AgentCard(name=status.name, kind=AgentKind.SERVICE, dependencies=tuple(needs)))
    if any(status.name == TRADING for status in statuses):
        cards += [
            AgentCard(name=name, kind=AgentKind.TRADING, dependencies=(TRADING, *needed))
            for name in TRADERS
            for needed in [(MODEL,) if asks and name in PROMPTS else ()]
        ]
        if installed is not None:
            cards.append(card_of_strategy(installed))
    return tuple(cards)


def card_of_revision(revision: Revision) -> AgentCard:
    """Return the card of an agent that the house wrote, as its active revision is."""
    needs = [PROCESS, *([DATA] if Capability.MARKET_DATA in revision.capabilities else [])]
    return AgentCard(
        name=revision.agent_id,
        kind=AgentKind.GENERATED,
        specialization=f"revision {revision.short}, made by {revision.made_by}"[:MOST_WORDS],
        capabilities=tuple(sorted(each.value for each in revision.capabilities)),
        dependencies=(*needs, *(each for each in revision.calls if each not in needs)),
    )


def metadata_of(card: AgentCard) -> dict[str, object]:
    """Return what an agent says of itself as it registers."""
    return {
        "type": card.kind.value,
        "specialization": card.specialization,
        "capabilities": list(card.capabilities),
        "dependencies": list(card.dependencies),
    }


def terms_of(card: AgentCard, statuses: Sequence[ServiceStatus]) -> Terms:
    """Return on which terms an agent is judged."""
    if card.kind is AgentKind.SERVICE:
        is_vital = any(each.name == card.name and each.essential for each in statuses)
        return Terms(limits=SERVICE_LIMITS, is_vital=is_vital)
    if card.name == DATA:
        return Terms(limits=_DATA_LIMITS, is_data=True)
    if card.name in (BROKER, VENDOR):
        return Terms(limits=_AWAY, is_outside=True, is_vital=card.name == BROKER)
    if card.name == MODEL:
        return Terms(limits=_TOLD, is_outside=True)
    if card.name in MACHINES:
        return Terms(limits=replace(SERVICE_LIMITS, least_calls=5), is_vital=True)
    return Terms(limits=USUAL)


class HeardSpans(SpanBook):
    """Spans that the agents' pulses hear of as well."""

    def __init__(self, now: Callable[[], float], overseer: Overseer) -> None:
        super().__init__(now)
        self._overseer = overseer

    def note(
        self,
        key: tuple[str, str, SpanKind],
        began: float,
        ended: float,
        *,
        inside_s: float = 0.0,
    ) -> None:
        """Take a span that has ended."""
        super().note(key, began, ended, inside_s=inside_s)
        pulse = self._overseer.pulse(NODES.get(key[1], ""))
        if pulse is not None:
            pulse.succeeded(ended, self.last_s)


def _dependency(name: str, specialization: str) -> AgentCard:
    return AgentCard(name=name, kind=AgentKind.DEPENDENCY, specialization=specialization)
