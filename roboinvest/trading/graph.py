"""The workflow as a LangGraph graph: five nodes in a line, one run per tick.

No checkpointer: a tick that is killed is reconciled (live) or runs again from its start (replay),
because everything it changes is committed once, at its end. No RetryPolicy: the default retries
what must not be repeated. One deadline covers the tick, so that a hung source cannot hold the
house.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from roboinvest.core.oversight.spans import SpanBook, SpanKind
from roboinvest.trading.state import TickState

SERVICE: Final = "trading"  # as spans call it
TICK_TIMEOUT_S: Final = 60.0
RECURSION_LIMIT: Final = 25  # the library's default lets a loop run ten thousand steps


class Node(Protocol):
    """An agent: one call is its part of a tick."""

    def __call__(self, state: TickState) -> Coroutine[Any, Any, TickState]:
        """Return its own key of the state."""


class TickGraph(Protocol):
    """A compiled graph: one call is one tick."""

    async def run(self, state: TickState) -> TickState:
        """Return the state after the last node."""


class TradingGraph:
    """WorldMonitor -> Strategy -> TradeExecutor -> Budget -> RAGPlaybook."""

    def __init__(
        self,
        *,
        monitor: Node,
        strategy: Node,
        executor: Node,
        budget: Node,
        playbook: Node,
        spans: SpanBook | None = None,
    ) -> None:
        """Take the agents, and where the time of each is noted; None: nowhere."""
        nodes = {
            "world_monitor": monitor,
            "strategy_agent": strategy,
            "trade_executor": executor,
            "budget_agent": budget,
            "rag_playbook": playbook,
        }
        builder = StateGraph(TickState)
        previous = START
        for name, node in nodes.items():
            builder.add_node(name, node if spans is None else _timed(name, node, spans))
            builder.add_edge(previous, name)
            previous = name
        builder.add_edge(previous, END)
        self._graph = builder.compile()

    async def run(self, state: TickState) -> TickState:
        """Return the state after the last node.

        Raises:
            TimeoutError: the nodes took longer than `TICK_TIMEOUT_S` together.
        """
        config = RunnableConfig(recursion_limit=RECURSION_LIMIT)
        async with asyncio.timeout(TICK_TIMEOUT_S):
            return cast("TickState", await self._graph.ainvoke(state, config))


def _timed(name: str, node: Node, spans: SpanBook) -> Node:
    """Return a node that does the same and has its time noted."""

    async def timed(state: TickState) -> TickState:
        with spans.span(SERVICE, name, SpanKind.TIME):
            return await node(state)

    return timed
