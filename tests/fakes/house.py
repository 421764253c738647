"""A whole trading account in memory: real books, broker, graph and rules; a hand-made market."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.events import TradingState
from roboinvest.core.fills import FillRules
from roboinvest.core.ledger import Ledger
from roboinvest.core.market.values import Bar, NewsItem
from roboinvest.core.news.factor import Voices
from roboinvest.core.news.gate import TaintGate
from roboinvest.core.news.sources import voices
from roboinvest.core.orders import Order
from roboinvest.core.ports import LanguageModel
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.records import TickCommit
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.halt import HaltFile
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.benchmark import Benchmark
from roboinvest.trading.books import Books
from roboinvest.trading.budget import BudgetAgent, BudgetFigures
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.graph import TradingGraph
from roboinvest.trading.locks.book import LockBook
from roboinvest.trading.news_desk import NewsDesk, NewsShelf
from roboinvest.trading.playbook import Playbook
from roboinvest.trading.rag_playbook import RAGPlaybookAgent
from roboinvest.trading.state import TickState
from roboinvest.trading.strategy import SimpleOrganicStrategyAgent
from roboinvest.trading.tick import TickRunner
from roboinvest.trading.trade_executor import TradeExecutorAgent
from roboinvest.trading.world_monitor import WorldMonitorAgent
from tests.fakes.feeds import HandMadeFeed, HandMadeNews
from tests.fakes.markets import DAY, MINUTE, bar, minute, session

CASH = Decimal(100_000)
FRICTIONLESS = FillRules(
    slippage_bps=Decimal(0),
    volume_share=None,
    sec_fee_rate=Decimal(0),
    taf_per_share_usd=Decimal(0),
)


def flat_bars(
    count: int, price: float = 100.0, *, day: date = DAY, symbol: str = "SPY"
) -> list[Bar]:
    """Return `count` minutes of a market that does not move."""
    return [bar(minute(number, day), [price], symbol=symbol) for number in range(count)]


@dataclass(slots=True)
class InMemoryHouse:
    """An account, and what each of its ticks came to."""

    runner: TickRunner
    broker: PaperBroker
    account: AccountBook
    playbook: Playbook
    feed: HandMadeFeed
    halt_file: HaltFile
    states: list[TickState] = field(default_factory=list)
    commits: list[TickCommit] = field(default_factory=list)

    async def tick(self, at: datetime) -> TickState:
        """Live through the tick at `at`."""
        state, commit = await self.runner.run(session(at.date()), at)
        self.states.append(state)
        self.commits.append(commit)
        return state

    async def ticks(self, first: int, last: int, day: date = DAY) -> None:
        """Live through the ticks `first` to `last` minutes after the open."""
        for number in range(first, last + 1):
            await self.tick(minute(number, day))

    def orders(self) -> dict[str, Order]:
        """Return the last known state of every order, by id."""
        return {order.client_order_id: order for c in self.commits for order in c.orders}


def house(
    tmp_path: Path,
    bars: Iterable[Bar],
    model: LanguageModel,
    *,
    limits: RiskLimits | None = None,
    news: Sequence[NewsItem] = (),
    rules: FillRules = FRICTIONLESS,
    feed: HandMadeFeed | None = None,
    protections: ProtectionRules | None = None,
    taint: TaintGate | None = None,
    grouped: Voices = voices,
    binding: Callable[[], RiskLimits] | None = None,
) -> InMemoryHouse:
    """Wire an account over hand-made bars."""
    limits = limits or RiskLimits()
    feed = feed or HandMadeFeed(bars)
    broker = PaperBroker(CASH, rules)
    halt_file = HaltFile(tmp_path / "HALT")
    gate = TradingGate(halt_file)
    gate.enter(TradingState.READY, "test")
    locks = LockBook(rules=protections or ProtectionRules())
    account = AccountBook(Ledger(), (), AccountFigures.starting_with(CASH), locks)
    playbook = Playbook((), (), (), rules=rules)
    shelf = NewsShelf()
    desk = NewsDesk(HandMadeNews(news), model, shelf, feed.symbols, grouped=grouped)
    policy = BudgetPolicy()
    budget = BudgetAgent(account, BudgetFigures.starting_with(policy), policy)
    graph = TradingGraph(
        monitor=WorldMonitorAgent(feed, desk, broker),
        strategy=SimpleOrganicStrategyAgent(
            model, account, playbook, limits=limits, bar_length=MINUTE, cooldown_bars=15
        ),
        executor=TradeExecutorAgent(
            broker, account, gate, limits=limits, instance="test", taint=taint, binding=binding
        ),
        budget=budget,
        playbook=RAGPlaybookAgent(playbook, MINUTE),
    )
    runner = TickRunner(
        feed=feed,
        broker=broker,
        gate=gate,
        graph=graph,
        books=Books(
            account=account,
            playbook=playbook,
            budget=budget,
            benchmark=Benchmark(CASH, feed.symbols),
            news=shelf,
        ),
    )
    return InMemoryHouse(runner, broker, account, playbook, feed, halt_file)
