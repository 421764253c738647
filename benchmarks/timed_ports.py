"""Ports that note what each answer cost, to be put around real ones from outside.

The cost is CPU time of the whole process: on a busy machine it is the part that is ours.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from roboinvest.core.market.bars import BarSeries
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import NewsItem, Timeframe
from roboinvest.core.ports import MarketFeed, NewsSource
from roboinvest.trading.graph import Node, TickGraph
from roboinvest.trading.state import TickState


class Stopwatch:
    """CPU milliseconds that each port took in the running tick."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = defaultdict(float)

    def add(self, port: str, began_s: float) -> None:
        """Add what has passed since `began_s` of `time.process_time`."""
        self._spent[port] += (time.process_time() - began_s) * 1000

    def take(self) -> dict[str, float]:
        """Return the milliseconds by port, and begin anew."""
        spent, self._spent = self._spent, defaultdict(float)
        return spent


class TimedFeed:
    """A feed whose answers are timed."""

    def __init__(self, feed: MarketFeed, watch: Stopwatch) -> None:
        self._feed = feed
        self._watch = watch

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the universe."""
        return self._feed.symbols

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of the bars."""
        return self._feed.timeframe

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        """Advance, timed."""
        began = time.process_time()
        update = await self._feed.advance(at, session)
        self._watch.add("advance", began)
        return update

    async def seek(self, at: datetime) -> None:
        """Take a place in the market."""
        await self._feed.seek(at)

    def window(self, symbol: str, length: int) -> BarSeries:
        """Return the last bars, timed."""
        began = time.process_time()
        series = self._feed.window(symbol, length)
        self._watch.add("window", began)
        return series

    def vix(self) -> float | None:
        """Return the last VIX close."""
        return self._feed.vix()

    def counts(self) -> DataCounts:
        """Return what the gate did."""
        return self._feed.counts()


class TimedNews:
    """A news source whose answers are timed."""

    def __init__(self, news: NewsSource, watch: Stopwatch) -> None:
        self._news = news
        self._watch = watch

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        """Return the items, timed."""
        began = time.process_time()
        items = await self._news.published(after, until)
        self._watch.add("news", began)
        return items


class TimedNode:
    """An agent whose part of a tick is timed."""

    def __init__(self, name: str, node: Node, watch: Stopwatch) -> None:
        self._name = name
        self._node = node
        self._watch = watch

    async def __call__(self, state: TickState) -> TickState:
        """Do the agent's part."""
        began = time.process_time()
        done = await self._node(state)
        self._watch.add(self._name, began)
        return done


class TimedGraph:
    """A graph whose runs are timed."""

    def __init__(self, graph: TickGraph, watch: Stopwatch) -> None:
        self._graph = graph
        self._watch = watch

    async def run(self, state: TickState) -> TickState:
        """Return the state after the last node."""
        began = time.process_time()
        done = await self._graph.run(state)
        self._watch.add("graph", began)
        return done
