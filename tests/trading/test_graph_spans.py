"""The trading graph notes the time of each node, if it is asked to, and decides the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from roboinvest.core.oversight.spans import SpanBook, SpanKind
from roboinvest.trading.graph import SERVICE, TradingGraph
from roboinvest.trading.state import TickState
from tests.fakes.clocks import ManualClock


@dataclass(slots=True)
class Step:
    """A node that takes some seconds, and may fail."""

    clock: ManualClock
    seconds: float
    fails: bool = False

    async def __call__(self, state: TickState) -> TickState:
        self.clock.advance(self.seconds)
        if self.fails:
            raise ValueError("no")
        return TickState()


def graph(clock: ManualClock, spans: SpanBook | None, *, fails: bool = False) -> TradingGraph:
    return TradingGraph(
        monitor=Step(clock, 1.0),
        strategy=Step(clock, 3.0),
        executor=Step(clock, 0.5, fails),
        budget=Step(clock, 0.0),
        playbook=Step(clock, 0.5),
        spans=spans,
    )


def test_each_node_is_timed_and_the_slowest_comes_first() -> None:
    clock = ManualClock()
    book = SpanBook(clock.monotonic)
    state: Any = {"tick": None}
    asyncio.run(graph(clock, book).run(state))
    first = book.bottlenecks(1)[0]
    assert (first.place.service, first.place.name) == (SERVICE, "strategy_agent")
    assert first.share == pytest.approx(0.6, rel=0.02)
    assert first.place.kind is SpanKind.TIME
    assert len(book.summaries()) == 5


def test_a_node_that_fails_is_timed_too_and_its_error_goes_on() -> None:
    clock = ManualClock()
    book = SpanBook(clock.monotonic)
    state: Any = {"tick": None}
    with pytest.raises(ValueError, match="no"):
        asyncio.run(graph(clock, book, fails=True).run(state))
    assert {each.name for each in book.summaries()} == {
        "world_monitor",
        "strategy_agent",
        "trade_executor",
    }
