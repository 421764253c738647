"""The trading floor: one account with its journal, broker, books and agents."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from secrets import token_hex
from typing import Any, Final

from roboinvest.app.folding import Away
from roboinvest.app.hindsight import cutoffs_of
from roboinvest.app.language_models import OpenedModels
from roboinvest.brokers.alpaca.opening import DeskOffice, alpaca_access, carry_out_halt
from roboinvest.brokers.desk.reach import KEY as BROKER_AWAY
from roboinvest.brokers.notebook import fold_halt_log
from roboinvest.brokers.opened import OpenedBroker
from roboinvest.brokers.opening import open_broker
from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertResolved, TradingState
from roboinvest.core.mandate import standing
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.oversight.spans import SpanBook
from roboinvest.core.ports import Broker, Clock, MarketClock, MarketFeed
from roboinvest.core.records import EMPTY_DIGEST
from roboinvest.core.venue import VenueAccount
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.clock import LiveMarketClock, PacedMarketClock
from roboinvest.runtime.configuration.mandate_file import MandateFile
from roboinvest.runtime.configuration.policies import (
    budget_policy,
    fill_rules,
    instance_of,
    protection_rules,
    risk_limits,
)
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.sections import BrokerKind
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import Halt
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.reports.writer import ReportWriter
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from roboinvest.trading.account_owner import AccountOwner
from roboinvest.trading.books import Books
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.graph import Node, TradingGraph
from roboinvest.trading.installed_strategy import Installed, InstalledStrategyAgent
from roboinvest.trading.lowered_limits import ALERT_PREFIX as ALERTS_OF_RISK
from roboinvest.trading.news_desk import NewsDesk
from roboinvest.trading.order_guard import LEFT_BY_ORDERS, OrderGuard
from roboinvest.trading.rag_playbook import RAGPlaybookAgent
from roboinvest.trading.reins import Account, TradingReins
from roboinvest.trading.schedule import TickSchedule
from roboinvest.trading.service import TickWatcher, TradingService
from roboinvest.trading.strategy import SimpleOrganicStrategyAgent
from roboinvest.trading.summary import summarise
from roboinvest.trading.tick import TickRunner
from roboinvest.trading.trade_executor import TradeExecutorAgent
from roboinvest.trading.world_monitor import WorldMonitorAgent
from tools.markets import Market

NO_ROWS: Final = DataCounts(rows=0, used=0, quarantined=0, by_reason={})
INSTANT: Final = timedelta(microseconds=1)
FIRST_PAUSE_S: Final = 1.0  # before a broker that is away is asked again; doubled each time
LONGEST_PAUSE_S: Final = 30.0
START_WITHIN_S: Final = 1000.0  # for a real broker to tell the account, outages included
_VOICE: Final = "broker"
PUBLISH_S: Final = 0.5  # after a bar's close, before it is asked for


class TradingFloor:
    """Everything that one account trades with."""

    def __init__(
        self,
        settings: Settings,
        market: Market,
        folder: DataFolder,
        *,
        gate: TradingGate,
        bus: EventBus,
        clock: Clock,
        in_flight: InFlight,
        secrets: Secrets,
        max_ticks: int | None,
        models: OpenedModels,
        installed: Installed | None = None,
        spans: SpanBook | None = None,
        opens: Callable[..., OpenedBroker] = open_broker,
    ) -> None:
        self._opens, self._models, self._model = opens, models, models.model
        self._settings, self._secrets = settings, secrets
        self._installed, self._spans = installed, spans
        self._market, self._folder = market, folder
        self._gate, self._bus = gate, bus
        self._clock, self._in_flight = clock, in_flight
        self._max_ticks = max_ticks
        self.policy = budget_policy(settings)
        mandate = MandateFile(settings.mandate.path).read()
        self.limits = risk_limits(settings, market.timeframe.length, mandate)
        self.reins = TradingReins(
            self.limits,
            lambda: self.runner.books if self.runner else None,
            publish=bus.publish,
            clock=clock,
            follows=market.mode != "replay" and (market.is_live or market.speed is not None),
        )
        self._guard = OrderGuard(gate, publish=bus.publish, clock=clock)
        self._halt_log = HaltLog(folder.halt_log)
        self._journal: SqliteOrderJournal | None = None
        self._broker: OpenedBroker | None = None
        self.runner: TickRunner | None = None
        self._feed: MarketFeed | None = None

    def resume(self, open_keys: Callable[[str], frozenset[str]]) -> None:
        """Take over the alerts that an earlier run left open; asked for by how keys begin."""
        self.reins.resume(open_keys(ALERTS_OF_RISK))
        self._guard.resume(open_keys(LEFT_BY_ORDERS))

    async def open(self) -> None:
        """Open the journal and the broker; nothing is sent.

        Raises:
            BadSettings: the journal is damaged, or the broker's keys or addresses are wrong.
            TryLater: the journal takes nothing.
        """
        self._broker = await self._open_broker()

    async def close(self) -> None:
        """Let go of the broker, then of the journal."""
        if self._broker is not None and self._broker.close is not None:
            self._broker.close()
        if self._journal is not None:
            await self._journal.close()

    def carry_out_halt(self, halt: Halt, tell: Callable[[str], None]) -> bool:
        """Cancel and close at the broker for the kill switch, in its own thread."""
        return carry_out_halt(
            alpaca_access(self._settings, self._secrets),
            self._journal,
            self._halt_log,
            halt,
            tell,
            instance=self._instance(),
            clock=self._clock,
            all_positions=halt.all_positions,
        )

    def counts(self) -> DataCounts:
        """Return what the quality gate did with the rows of this run."""
        return self._feed.counts() if self._feed is not None else NO_ROWS

    async def _open_broker(self) -> OpenedBroker:
        journal = await SqliteOrderJournal.open(self._folder.journal, in_flight=self._in_flight)
        self._journal = journal
        self._halt_log.reserve()
        await fold_halt_log(self._halt_log, journal, self._clock.now())
        guard, book = self._guard, self.reins.limits
        return self._opens(
            self._settings,
            self._secrets,
            journal,
            self._halt_log,
            DeskOffice(
                instance=self._instance(),
                limits=lambda: book.snapshot,
                may_short=self.limits.allow_short,
                may_act=guard.may_act,
                on_state=guard.on_state,
                alarms=guard,
            ),
            clock=self._clock,
            rng=random.Random(),  # noqa: S311 spreads repeated reads in time, nothing more
            in_flight=self._in_flight,
        )

    def _instance(self) -> str:
        """Return what tells our orders from those of other folders on the same account."""
        if self._settings.broker.kind is BrokerKind.ALPACA:
            return self._folder.instance(lambda: token_hex(3))
        return instance_of(self._market.stamp)

    def account_on(self, store: Store, reports: ReportWriter) -> Account:
        """Return the account as a meeting may take it in hand."""
        return Account(
            reins=self.reins,
            store=store,
            symbols=self._market.symbols,
            policy=self.policy,
            ledger=self._models.ledger,
            reports=reports,
        )

    def opened(self) -> OpenedBroker:
        """Return the broker; TryLater before `open`."""
        if self._broker is None:
            raise TryLater("the broker is being opened; ask again in a moment")
        return self._broker

    def outages(self) -> tuple[Away, ...]:
        """Return who says that something which trading needs is away."""
        return self.opened().away, self._market.away

    def service(
        self, store: Store, watcher: TickWatcher, finished: Callable[[], None]
    ) -> TradingService:
        """Return the loop that trades."""
        market = self._market
        schedule = TickSchedule(
            market.calendar,
            market.timeframe,
            market.starts_at,
            market.last_day,
            max_ticks=self._max_ticks,
            now=self._clock.now if market.is_live else None,
        )
        return TradingService(
            store=store,
            open_runner=self._open_runner,
            schedule=schedule,
            market_clock=self._market_clock(),
            gate=self._gate,
            bus=self._bus,
            clock=self._clock,
            watcher=watcher,
            finished=finished,
        )

    def _market_clock(self) -> MarketClock:
        market = self._market
        if market.is_live:
            return LiveMarketClock(self._clock, publish_s=PUBLISH_S, rate=self._settings.clock.rate)
        return PacedMarketClock(market.starts_at, market.speed, longest_gap=market.timeframe.length)

    async def _open_runner(self, stored: StoredState) -> TickRunner:
        """Return the books as they were committed, in their place in the market."""
        settings, market = self._settings, self._market
        feed = market.new_feed()
        await feed.seek(stored.last_tick.at if stored.last_tick else market.starts_at - INSTANT)
        opened = self.opened()
        self._hear_mandate()
        self.reins.read(stored.documents)
        broker, rules = opened.broker(), fill_rules(settings)
        if opened.document in stored.documents:
            broker.restore(stored.documents[opened.document])
        books = Books.read(
            stored,
            cash=await self._opening_cash(opened),
            rules=rules,
            policy=self.policy,
            symbols=market.symbols,
            protections=protection_rules(settings, market.timeframe.length),
            spend=self._models.spend,
        )
        self._feed = feed
        self.runner = TickRunner(
            feed=feed,
            broker=broker,
            broker_document=opened.document,
            before=opened.before_tick,
            gate=self._gate,
            graph=self._graph(feed, broker, books),
            books=books,
            digest=stored.last_tick.digest if stored.last_tick else EMPTY_DIGEST,
        )
        return self.runner

    async def _opening_cash(self, opened: OpenedBroker) -> Decimal:
        """Return what new books begin with, in USD: the broker's equity, or the settings' cash."""
        if opened.account is None:
            return self._settings.broker.starting_cash_usd
        account = await self._told_account(opened.account)
        if self._journal is not None:
            owner = AccountOwner(self._journal, self._gate, self._bus.publish, self._clock)
            await owner.check(account.account_id)
        if opened.away() is None:  # what an earlier run left open is over as well
            text, at = "the broker told the account", self._clock.now()
            self._bus.publish(AlertResolved(at=at, key=BROKER_AWAY, message=text))
        return account.equity

    async def _told_account(self, ask: Callable[[], Awaitable[VenueAccount]]) -> VenueAccount:
        """Return the broker's account, however long it is away: a restart would not bring it."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                account = await ask()
            except TryLater as error:
                self._gate.hear(_VOICE, TradingState.RECONCILING, f"the broker is away: {error}")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._gate.hear(_VOICE, TradingState.READY, "the broker told the account")
                return account

    def _hear_mandate(self) -> None:
        """Say at the gate what an owner's missing word means for real money.

        Elsewhere risk says it, by market time: a replay decides nothing by today's date.
        """
        limits, now = self.limits, self._clock.now()
        if not limits.live:
            return
        found = standing(limits.mandate, limits.live, now)
        state = TradingState.READY if found.entries_allowed else TradingState.DEGRADED
        self._gate.hear("mandate", state, found.reason)

    def _graph(self, feed: MarketFeed, broker: Broker, books: Books) -> TradingGraph:
        length, limits = self._market.timeframe.length, self.limits
        return TradingGraph(
            monitor=WorldMonitorAgent(
                feed,
                NewsDesk(self._market.news, self._model, books.news, self._market.symbols),
                broker,
            ),
            strategy=self._decider(feed, books),
            executor=TradeExecutorAgent(
                broker,
                books.account,
                self._gate,
                limits=limits,
                instance=self._instance(),
                carries_out_halts=not self.opened().halts_itself,
                binding=lambda: self.reins.limits.now,
            ),
            budget=books.budget,
            playbook=RAGPlaybookAgent(books.playbook, length),
            spans=self._spans,
        )

    def _decider(self, feed: MarketFeed, books: Books) -> Node:
        """Return who decides: an installed strategy, or the house's own agent."""
        if self._installed is not None:
            return InstalledStrategyAgent(
                self._installed, feed, self._market.calendar, books.account, books.playbook
            )
        return SimpleOrganicStrategyAgent(
            self._model,
            books.account,
            books.playbook,
            limits=self.limits,
            bar_length=self._market.timeframe.length,
            cooldown_bars=self._settings.risk.cooldown_bars,
        )

    async def summary(self, store: Store) -> Mapping[str, Any] | None:
        """Return what the run came to; None where trading never got its books."""
        if self.runner is None:
            return None
        market = self._market
        return await summarise(
            store,
            self.runner,
            self.counts(),
            mode=market.mode,
            symbols=market.symbols,
            cutoffs=cutoffs_of(self._settings, market),
        )
