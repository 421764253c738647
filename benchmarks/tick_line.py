"""One account and its store without the house around them, every port wrapped to be timed.

What is timed is what a port is asked, so the parts say who waits for whom: `observe` is the world
monitor without the feed and the news that it asks, `graph` is what is left of a graph run when its
five nodes are taken away, and `record` is settling before it and writing the tick down after it.
Parts are CPU time, because they are compared with each other; what the disk adds shows in the wall
time of the whole and of the commit.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from benchmarks.figures import Moment, Took, median, one_core
from benchmarks.houses import scratch, settings_for
from benchmarks.timed_ports import Stopwatch, TimedFeed, TimedGraph, TimedNews, TimedNode
from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.events import TradingState
from roboinvest.core.market.bars import BarSeries
from roboinvest.core.market.sessions import Session
from roboinvest.core.quant.observation import LOOKBACK
from roboinvest.core.records import TickCommit
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.policies import (
    budget_policy,
    fill_rules,
    instance_of,
    risk_limits,
)
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from roboinvest.trading.books import Books
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.graph import TradingGraph
from roboinvest.trading.news_desk import NewsDesk
from roboinvest.trading.rag_playbook import RAGPlaybookAgent
from roboinvest.trading.schedule import TickSchedule
from roboinvest.trading.strategy import SimpleOrganicStrategyAgent
from roboinvest.trading.tick import TickRunner
from roboinvest.trading.trade_executor import TradeExecutorAgent
from roboinvest.trading.world_monitor import WorldMonitorAgent
from tools.markets import Market, open_market

PARTS: Final = ("feed", "observe", "strategy", "other agents", "graph", "record", "commit")
OTHER_AGENTS: Final = ("executor", "budget", "playbook")


@dataclass(slots=True, kw_only=True)
class Line:
    """What one run came to."""

    parts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # CPU ms
    wholes: list[Took] = field(default_factory=list)  # each tick with its commit
    stored: list[Took] = field(default_factory=list)  # each commit
    commits: list[TickCommit] = field(default_factory=list)
    windows: list[tuple[BarSeries, datetime, Session]] = field(default_factory=list)

    def p50_ms(self, part: str) -> float:
        """Return the middle of the CPU time that a part took."""
        return median(self.parts[part])

    def note(self, spent: Mapping[str, float], run: Took, commit: Took) -> None:
        """Fold what one tick cost into its parts; `spent` is CPU ms by port."""
        asked_by_monitor = spent["window"] + spent["news"]
        others = sum(spent[name] for name in OTHER_AGENTS)
        nodes = spent["monitor"] + spent["strategy"] + others
        figures = {
            "feed": spent["advance"] + asked_by_monitor,
            "observe": spent["monitor"] - asked_by_monitor,
            "strategy": spent["strategy"],
            "other agents": others,
            "graph": spent["graph"] - nodes,
            "record": run.cpu_ms - spent["advance"] - spent["graph"],
            "commit": commit.cpu_ms,
        }
        for part, cpu_ms in figures.items():
            self.parts[part].append(cpu_ms)
        self.stored.append(commit)
        self.wholes.append(
            Took(wall_ms=run.wall_ms + commit.wall_ms, cpu_ms=run.cpu_ms + commit.cpu_ms)
        )


def run_line(parent: Path, *, universe: int, ticks: int, warm_up: int) -> Line:
    """Return the parts of `ticks` ticks and what they committed, on one core, without the first."""
    with one_core(), scratch(parent) as root:
        folder = DataFolder(root)
        folder.create()
        return asyncio.run(_run(settings_for(root, universe), folder, ticks, warm_up))


async def _run(settings: Settings, folder: DataFolder, ticks: int, warm_up: int) -> Line:
    market, watch, line = open_market(settings), Stopwatch(), Line()
    store = await Store.open(folder.database, in_flight=InFlight(), clock=SystemClock())
    try:
        feed = TimedFeed(market.new_feed(), watch)
        gate = TradingGate(HaltFile(folder.halt))
        gate.enter(TradingState.READY, "measured")
        runner = _runner(settings, market, await store.load(), gate, feed, watch)
        schedule = TickSchedule(
            market.calendar, market.timeframe, market.starts_at, None, max_ticks=ticks
        )
        for number, (session, at) in enumerate(schedule.after(None)):
            began = Moment.now()
            _, commit = await runner.run(session, at)
            run, began = began.passed(), Moment.now()
            await store.commit_tick(commit)
            stored, spent = began.passed(), watch.take()
            if number >= warm_up:
                line.note(spent, run, stored)
                line.commits.append(commit)
                line.windows.append((feed.window(feed.symbols[0], LOOKBACK), at, session))
    finally:
        await store.close()
    return line


def _runner(
    settings: Settings,
    market: Market,
    stored: StoredState,
    gate: TradingGate,
    feed: TimedFeed,
    watch: Stopwatch,
) -> TickRunner:
    """Return the runner that `app.py` builds, with a watch on each port."""
    cash, rules = settings.broker.starting_cash_usd, fill_rules(settings)
    broker, length = PaperBroker(cash, rules), market.timeframe.length
    limits, policy = risk_limits(settings, length), budget_policy(settings)
    books = Books.read(stored, cash=cash, rules=rules, policy=policy, symbols=market.symbols)
    model = RulesModel(SystemClock())
    strategy = SimpleOrganicStrategyAgent(
        model,
        books.account,
        books.playbook,
        limits=limits,
        bar_length=length,
        cooldown_bars=settings.risk.cooldown_bars,
    )
    executor = TradeExecutorAgent(
        broker, books.account, gate, limits=limits, instance=instance_of(market.stamp)
    )
    desk = NewsDesk(TimedNews(market.news, watch), model, books.news, market.symbols)
    monitor = WorldMonitorAgent(feed, desk, broker)
    graph = TradingGraph(
        monitor=TimedNode("monitor", monitor, watch),
        strategy=TimedNode("strategy", strategy, watch),
        executor=TimedNode("executor", executor, watch),
        budget=TimedNode("budget", books.budget, watch),
        playbook=TimedNode("playbook", RAGPlaybookAgent(books.playbook, length), watch),
    )
    return TickRunner(
        feed=feed, broker=broker, gate=gate, graph=TimedGraph(graph, watch), books=books
    )
