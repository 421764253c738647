"""A trading account as the house wires it, on a real store in a folder, in any market.

It differs from `roboinvest.app` in what a scenario has to choose: the market, the model, the clock
and what comes between the service and the disk. Everything that decides, sends, books and stores
is the product's own. An account has many lives: each call of `live` opens the store anew, so that
nothing but the folder connects one with the next.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol, TypeVar

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.events import Event
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Calendar, Clock, LanguageModel, MarketFeed
from roboinvest.core.records import EMPTY_DIGEST, TickCommit
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.clock import PacedMarketClock, SystemClock
from roboinvest.runtime.configuration.policies import (
    budget_policy,
    fill_rules,
    instance_of,
    protection_rules,
    risk_limits,
)
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.storage import tables
from roboinvest.runtime.storage.column_types import ExactDecimal
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from roboinvest.trading.books import Books
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.graph import Node, TradingGraph
from roboinvest.trading.installed_strategy import Installed, InstalledStrategyAgent
from roboinvest.trading.news_desk import NewsDesk
from roboinvest.trading.rag_playbook import RAGPlaybookAgent
from roboinvest.trading.schedule import TickSchedule
from roboinvest.trading.service import TradingService
from roboinvest.trading.state import TickState
from roboinvest.trading.strategy import SimpleOrganicStrategyAgent
from roboinvest.trading.tick import TickRunner
from roboinvest.trading.trade_executor import TradeExecutorAgent
from roboinvest.trading.world_monitor import WorldMonitorAgent
from tests.fakes.services import context
from tools.markets import Market

DATABASE = "roboinvest.db"
EventT = TypeVar("EventT", bound=Event)


class Overheard(EventBus):
    """A bus that keeps all that is said on it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.said: list[Event] = []

    def publish(self, event: Event) -> None:
        """State a fact, and keep it."""
        self.said.append(event)
        super().publish(event)

    def all_said(self, kind: type[EventT]) -> list[EventT]:
        """Return the facts of one kind, in order."""
        return [event for event in self.said if isinstance(event, kind)]


class Onlooker(Protocol):
    """One more who sees each committed tick."""

    def saw(self, state: TickState, commit: TickCommit) -> None:
        """Look at a tick."""


@dataclass(kw_only=True)
class Town:
    """One account in one folder, and what was seen of its lives."""

    market: Market
    folder: Path
    model: LanguageModel | None = None  # None: the rules
    installed: Installed | None = None  # a strategy in the place of the house's own agent
    settings: Settings = field(default_factory=Settings)
    clock: Clock = field(default_factory=SystemClock)
    in_flight: InFlight = field(default_factory=InFlight)
    opens: type[Store] = Store  # a store that misbehaves, for instance
    watcher: Onlooker | None = None  # one more who sees each tick
    states: list[TickState] = field(default_factory=list)  # of every committed tick, over all lives
    commits: list[TickCommit] = field(default_factory=list)
    is_done: bool = False  # the schedule was lived through to its end
    on_finish: Callable[[], None] = lambda: None
    until: datetime | None = None  # the last tick of each life; None: that of the market

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.halt_file = HaltFile(self.folder / "HALT")
        self.bus = Overheard(self.clock)
        self.runner: TickRunner | None = None
        self.task: asyncio.Task[None] | None = None  # the trading of the life at hand

    @property
    def database(self) -> Path:
        """Return where the store lies."""
        return self.folder / DATABASE

    @property
    def digest(self) -> str:
        """Return the digest of the last committed tick."""
        return self.commits[-1].record.digest if self.commits else EMPTY_DIGEST

    def open_alerts(self, prefix: str) -> frozenset[str]:
        """Return no alerts: nobody keeps them in this town."""
        return frozenset()

    def saw(self, state: TickState, commit: TickCommit) -> None:
        """Take over a committed tick."""
        self.states.append(state)
        self.commits.append(commit)
        if self.watcher is not None:
            self.watcher.saw(state, commit)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """Open the store for one life."""
        store = await self.opens.open(self.database, in_flight=self.in_flight, clock=self.clock)
        try:
            yield store
        finally:
            await store.close()

    async def live(self) -> None:
        """Live from the last committed tick to the end of the schedule, or until it fails."""
        async with self.store() as store:
            await store.totals()  # the connection stands before anything can be cut
            self.task = asyncio.ensure_future(self.service(store).run(context("trading")))
            await self.task

    def service(self, store: Store) -> TradingService:
        """Return the trading service of a new life on an open store."""
        market = self.market
        gate = TradingGate(self.halt_file)
        return TradingService(
            store=store,
            open_runner=lambda stored: self.open_runner(stored, gate),
            schedule=_Until(
                market.calendar, market.timeframe, market.starts_at, market.last_day, end=self.until
            ),
            market_clock=PacedMarketClock(
                market.starts_at, market.speed, longest_gap=market.timeframe.length
            ),
            gate=gate,
            bus=self.bus,
            clock=self.clock,
            watcher=self,
            finished=self._finish,
        )

    async def open_runner(self, stored: StoredState, gate: TradingGate) -> TickRunner:
        """Return the books as they were committed, in their place in the market."""
        market, settings, last = self.market, self.settings, stored.last_tick
        feed = market.new_feed()
        await feed.seek(last.at if last else market.starts_at - market.timeframe.length / 60)
        cash, rules = settings.broker.starting_cash_usd, fill_rules(settings)
        broker = PaperBroker(cash, rules, allow_short=settings.risk.allow_short)
        if "paper_broker" in stored.documents:
            broker.restore(stored.documents["paper_broker"])
        books = Books.read(
            stored,
            cash=cash,
            rules=rules,
            policy=budget_policy(settings),
            symbols=market.symbols,
            protections=protection_rules(settings, market.timeframe.length),
        )
        limits = risk_limits(settings, market.timeframe.length)
        model = self.model or RulesModel(self.clock)
        desk = NewsDesk(market.news, model, books.news, market.symbols)
        graph = TradingGraph(
            monitor=WorldMonitorAgent(feed, desk, broker),
            strategy=self._decider(feed, books, model),
            executor=TradeExecutorAgent(
                broker, books.account, gate, limits=limits, instance=instance_of(market.stamp)
            ),
            budget=books.budget,
            playbook=RAGPlaybookAgent(books.playbook, market.timeframe.length),
        )
        self.runner = TickRunner(
            feed=feed,
            broker=broker,
            gate=gate,
            graph=graph,
            books=books,
            digest=last.digest if last else EMPTY_DIGEST,
        )
        return self.runner

    def _decider(self, feed: MarketFeed, books: Books, model: LanguageModel) -> Node:
        market, settings = self.market, self.settings
        if self.installed is not None:
            return InstalledStrategyAgent(
                self.installed, feed, market.calendar, books.account, books.playbook
            )
        return SimpleOrganicStrategyAgent(
            model,
            books.account,
            books.playbook,
            limits=risk_limits(settings, market.timeframe.length),
            bar_length=market.timeframe.length,
            cooldown_bars=settings.risk.cooldown_bars,
        )

    def _finish(self) -> None:
        self.is_done = True
        self.on_finish()


class _Until(TickSchedule):
    """A schedule that may end within a session."""

    def __init__(
        self,
        calendar: Calendar,
        timeframe: Timeframe,
        first: datetime,
        last: date | None,
        *,
        end: datetime | None,
    ) -> None:
        super().__init__(calendar, timeframe, first, last)
        self._end = end

    def after(self, instant: datetime | None) -> Iterator[tuple[Session, datetime]]:
        end = self._end
        return takewhile(lambda tick: end is None or tick[1] <= end, super().after(instant))


def books_in(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Return every row that equal runs must agree on, by table, latency and alerts left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        for table in tables.metadata.sorted_tables:
            key = ", ".join(column.name for column in table.primary_key)
            rows = connection.execute(f"SELECT * FROM {table.name} ORDER BY {key}")  # noqa: S608
            money = {c.name for c in table.columns if isinstance(c.type, ExactDecimal)}
            found[table.name] = [
                _plain(row, money) for row in rows if dict(row).get("name") != "alerts"
            ]
    connection.close()
    return found


def _plain(row: sqlite3.Row, money: set[str]) -> dict[str, Any]:
    """Return a row with its body readable and without how long an answer took."""
    plain: dict[str, Any] = dict(row)
    for name in money:
        if plain[name] is not None:
            plain[name] = Decimal(plain[name])  # 1.50 is 1.5
    if plain.get("body") is not None:
        text = zlib.decompress(plain["body"]).decode()
        plain["body"] = re.sub(r'"latency_ms":[0-9.e+-]+', "", text)
    return plain


def disk_after_a_crash(folder: Path, into: Path) -> Path:
    """Copy a folder as a killed process would leave it: with the write-ahead log as it is now.

    The log is copied last: a page that the copy of the file lacks still stands in it.
    """
    into.mkdir(parents=True)
    for name in (DATABASE, "HALT", f"{DATABASE}-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, into / name)
    return into


def run_life(town: Town) -> None:
    """Let a town live one life on a loop of its own."""
    asyncio.run(town.live())
