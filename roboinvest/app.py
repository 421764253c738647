"""The composition root: names every concrete class once; nobody below knows who implements a port.

A `House` is one daemon on one data folder. One path serves a first start, a restart by the
supervisor and the start after a kill.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.ports import Clock, MarketFeed
from roboinvest.core.records import EMPTY_DIGEST
from roboinvest.runtime.alerts import DOCUMENT as ALERTS
from roboinvest.runtime.alerts import AlertBoard
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.clock import PacedMarketClock, SystemClock
from roboinvest.runtime.configuration.policies import (
    budget_policy,
    fill_rules,
    instance_of,
    restart_limits,
    risk_limits,
)
from roboinvest.runtime.configuration.secrets import load_secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.control.server import ControlServer
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.notifications import LogNotifier
from roboinvest.runtime.prompts import PromptFiles, default_folder
from roboinvest.runtime.recall.announce import RecallAnnouncer
from roboinvest.runtime.recall.chroma_client import ChromaClient
from roboinvest.runtime.recall.chroma_server import ChromaServer, ServerLimits
from roboinvest.runtime.recall.recall import Recall, RecallPolicy, RecallState
from roboinvest.runtime.reports.writer import ReportWriter
from roboinvest.runtime.retention import Retention
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import Child, Group, Restart, ServiceStatus
from roboinvest.runtime.supervision.supervisor import Supervisor
from roboinvest.runtime.supervision.watchdog import (
    ForcedExit,
    LagProbe,
    LivenessFeeder,
    ServiceManager,
    stop_signals,
)
from roboinvest.runtime.telemetry import Telemetry
from roboinvest.trading.books import Books
from roboinvest.trading.control_desk import ControlDesk
from roboinvest.trading.gate import GateWatch, TradingGate
from roboinvest.trading.graph import TradingGraph
from roboinvest.trading.house_reports import HouseReports, RunFacts
from roboinvest.trading.rag_playbook import RAGPlaybookAgent
from roboinvest.trading.schedule import TickSchedule
from roboinvest.trading.service import TradingService
from roboinvest.trading.strategy import STRATEGY_TASK, SimpleOrganicStrategyAgent
from roboinvest.trading.summary import summarise
from roboinvest.trading.tick import TickRunner
from roboinvest.trading.trade_executor import TradeExecutorAgent
from roboinvest.trading.world_monitor import WorldMonitorAgent
from tools.markets import Market, open_market

NO_ROWS: Final = DataCounts(rows=0, used=0, quarantined=0, by_reason={})
INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a person asked of this start."""

    fresh: bool = False  # set the data folder's old content aside first
    exit_when_done: bool = False  # a replay that has ended ends the daemon
    max_ticks: int | None = None  # after so many the market counts as ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    exit_code: int
    reason: str
    summary: Mapping[str, Any] | None  # None where trading never got its books
    last_tick: Mapping[str, Any] | None  # everything the last tick knew, decided and did


def start(
    settings: Settings, options: RunOptions, *, announce: Callable[[Market, DataFolder], None]
) -> Outcome:
    """Hold the data folder and run a house on it until it ends. Blocking.

    `announce` is called once everything that can be refused has been, before the first tick.

    Raises:
        FolderInUse, OtherRun: the data folder belongs to somebody else.
        BadInput, BadSettings: the market or the folder cannot be used.
    """
    clock, folder = SystemClock(), DataFolder(settings.data_dir)
    PromptFiles(default_folder()).read_all([STRATEGY_TASK.prompt])
    market = open_market(settings)
    try:
        folder.take(market.stamp, fresh_at=clock.now() if options.fresh else None)
        announce(market, folder)
        house = House(settings, market, folder, options, clock=clock, in_flight=InFlight())
        return _run_house(house, settings, folder)
    finally:
        folder.release()


def _run_house(house: House, settings: Settings, folder: DataFolder) -> Outcome:
    clock, secrets = SystemClock(), load_secrets(os.environ).texts()
    telemetry = Telemetry(
        folder.logs, clock=clock, secrets=secrets, **settings.logging.model_dump()
    )
    telemetry.start()
    forced = ForcedExit(after_s=settings.supervisor.forced_exit_s, clock=clock)
    forced.start()
    try:
        return asyncio.run(house.run(forced))
    finally:
        forced.disarm()
        telemetry.close()


class House:
    """One daemon on one data folder; also what its reports may see of it."""

    def __init__(
        self,
        settings: Settings,
        market: Market,
        folder: DataFolder,
        options: RunOptions,
        *,
        clock: Clock,
        in_flight: InFlight,
    ) -> None:
        self._settings, self._options = settings, options
        self._market, self._folder = market, folder
        self._clock, self._in_flight = clock, in_flight
        self._halt_file = HaltFile(folder.halt)
        self._gate = TradingGate(self._halt_file)
        self._bus = EventBus(self._clock)
        self._probe = LagProbe(on_stall=lambda stall_s: self._tree().forgive(stall_s))
        self._policy = budget_policy(settings)
        self._files = ThreadPoolExecutor(max_workers=2, thread_name_prefix="reports")
        self._recall_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="recall")
        self._recall: Recall | None = None
        self._supervisor: Supervisor | None = None
        self._runner: TickRunner | None = None
        self._feed: MarketFeed | None = None

    async def run(self, forced: ForcedExit) -> Outcome:
        """Run until stopped, or until a replay is done; then take everything down in order."""
        store = await Store.open(
            self._folder.database, in_flight=self._in_flight, clock=self._clock
        )
        try:
            board = AlertBoard(store.put_document)
            board.restore(await store.document(ALERTS))
            self._listen(board)
            reports = self._reports(store, board)
            await reports.load()
            self._supervisor = self._tree_of(store, reports, forced)
            with stop_signals(self._supervisor.request_stop, forced):
                end = await self._supervisor.run()
            return Outcome(
                exit_code=end.exit_code,
                reason=end.reason,
                summary=await self._summary(store),
                last_tick=reports.last_body(),
            )
        finally:
            await store.close()
            for pool in (self._files, self._recall_pool):
                pool.shutdown(wait=False, cancel_futures=True)

    def services(self) -> Sequence[ServiceStatus]:
        """Return the state of every service."""
        return self._tree().statuses()

    def recall(self) -> tuple[str, str | None]:
        """Return the state of the text memory, and why."""
        if self._recall is None:
            return RecallState.OFF.value, "memory.chroma is off"
        status = self._recall.status()
        return status.state.value, status.reason or None

    def loop_lag_p99_ms(self) -> float | None:
        """Return how late the loop was over the last five minutes."""
        lag = self._probe.figures()
        return lag.p99_s * 1000 if lag.samples else None

    def counts(self) -> DataCounts:
        """Return what the quality gate did with the rows of this run."""
        return self._feed.counts() if self._feed is not None else NO_ROWS

    def _tree(self) -> Supervisor:
        if self._supervisor is None:
            raise TryLater("the house is being built; ask again in a moment")
        return self._supervisor

    def _listen(self, board: AlertBoard) -> None:
        about: tuple[type[AlertRaised | AlertResolved], ...] = (AlertRaised, AlertResolved)
        self._bus.subscribe("alert_board", about, board.receive)
        self._bus.subscribe("log_notifier", about, LogNotifier().notify)

    def _reports(self, store: Store, board: AlertBoard) -> HouseReports:
        facts = RunFacts(
            mode=self._market.mode,
            simulated=self._market.is_simulated,
            symbols=self._market.symbols,
            started_at=self._clock.now(),
            start_equity=self._settings.broker.starting_cash_usd,
            folders={"reports": "reports", "logs": "logs", "bars": "bars", "memory": "memory"},
        )
        return HouseReports(
            facts=facts,
            store=store,
            gate=self._gate,
            board=board,
            view=self,
            policy=self._policy,
            clock=self._clock,
            runner=lambda: self._runner,
        )

    def _tree_of(self, store: Store, reports: HouseReports, forced: ForcedExit) -> Supervisor:
        """Return the services in order of start: the bus first, the sign of life last."""
        helpers = (*self._guards(reports), *self._keepers(store, reports))
        trading = Child(
            service=self._trading(store, reports), restart=Restart.TRANSIENT, essential=True
        )
        return Supervisor(
            [
                Group(children=(Child(service=self._bus, essential=True),)),
                Group(children=helpers),
                Group(children=(trading,)),
                Group(children=(Child(service=self._liveness()),)),
            ],
            clock=self._clock,
            rng=random.Random(),  # noqa: S311 spreads restarts in time, nothing more
            publish=self._bus.publish,
            limits=restart_limits(self._settings),
            stop_grace_s=self._settings.supervisor.stop_grace_s,
            on_stopping=forced.arm,
        )

    def _guards(self, reports: HouseReports) -> tuple[Child, ...]:
        """Return what a person holds the house by: its pulse, its kill switch, its control port."""
        desk = ControlDesk(
            halt_file=self._halt_file,
            gate=self._gate,
            reports=reports,
            restart=lambda name: self._tree().restart(name),
            stop=lambda reason: self._tree().request_stop(reason),
            clock=self._clock,
        )
        watch = GateWatch(self._gate, publish=self._bus.publish, clock=self._clock)
        server = ControlServer(self._folder.control_socket, desk)
        return Child(service=self._probe), Child(service=watch), Child(service=server)

    def _keepers(self, store: Store, reports: HouseReports) -> tuple[Child, ...]:
        """Return what writes down, forgets and remembers; trading can do without any of them."""
        settings = self._settings
        writer = ReportWriter(
            self._folder.reports,
            reports,
            interval_s=settings.reports.interval_s,
            pool=self._files,
            clock=self._clock,
            in_flight=self._in_flight,
            publish=self._bus.publish,
        )
        retention = Retention(store, timedelta(days=settings.retention.hold_tick_days))
        keepers = (Child(service=writer), Child(service=retention))
        if settings.memory.chroma == "off":
            return keepers
        self._recall = self._new_recall(store)
        return (*keepers, Child(service=self._recall))

    def _liveness(self) -> LivenessFeeder:
        checks = {"an essential service is down": lambda: self._tree().essentials_run()}
        return LivenessFeeder(ServiceManager(os.environ), self._probe.current_s, checks)

    def _new_recall(self, store: Store) -> Recall:
        server = ChromaServer(
            log_path=self._folder.logs / "chroma.log",
            pool=self._recall_pool,
            limits=ServerLimits(disk_limit_mb=self._settings.memory.disk_limit_mb),
        )
        return Recall(
            table=store,
            server=server,
            connect=lambda address: ChromaClient(address, pool=self._recall_pool),
            root=self._folder.memory,
            pool=self._recall_pool,
            clock=self._clock,
            on_state=RecallAnnouncer(self._bus.publish, self._clock),
            policy=RecallPolicy(),
        )

    def _trading(self, store: Store, reports: HouseReports) -> TradingService:
        market = self._market
        schedule = TickSchedule(
            market.calendar,
            market.timeframe,
            market.starts_at,
            market.last_day,
            max_ticks=self._options.max_ticks,
        )
        return TradingService(
            store=store,
            open_runner=self._open_runner,
            schedule=schedule,
            market_clock=PacedMarketClock(
                market.starts_at, market.speed, longest_gap=market.timeframe.length
            ),
            gate=self._gate,
            bus=self._bus,
            clock=self._clock,
            watcher=reports,
            finished=self._market_ended,
        )

    def _market_ended(self) -> None:
        if self._options.exit_when_done:
            self._tree().request_stop("the replay is done")

    async def _open_runner(self, stored: StoredState) -> TickRunner:
        """Return the books as they were committed, in their place in the market."""
        settings, market = self._settings, self._market
        feed = market.new_feed()
        await feed.seek(stored.last_tick.at if stored.last_tick else market.starts_at - INSTANT)
        cash, rules = settings.broker.starting_cash_usd, fill_rules(settings)
        broker = PaperBroker(cash, rules, allow_short=settings.risk.allow_short)
        if "paper_broker" in stored.documents:
            broker.restore(stored.documents["paper_broker"])
        books = Books.read(
            stored, cash=cash, rules=rules, policy=self._policy, symbols=market.symbols
        )
        self._feed = feed
        self._runner = TickRunner(
            feed=feed,
            broker=broker,
            gate=self._gate,
            graph=self._graph(feed, broker, books),
            books=books,
            digest=stored.last_tick.digest if stored.last_tick else EMPTY_DIGEST,
        )
        return self._runner

    def _graph(self, feed: MarketFeed, broker: PaperBroker, books: Books) -> TradingGraph:
        settings, length = self._settings, self._market.timeframe.length
        limits = risk_limits(settings, length)
        return TradingGraph(
            monitor=WorldMonitorAgent(feed, self._market.news, broker),
            strategy=SimpleOrganicStrategyAgent(
                RulesModel(self._clock),
                books.account,
                books.playbook,
                limits=limits,
                bar_length=length,
                cooldown_bars=settings.risk.cooldown_bars,
            ),
            executor=TradeExecutorAgent(
                broker,
                books.account,
                self._gate,
                limits=limits,
                instance=instance_of(self._market.stamp),
            ),
            budget=books.budget,
            playbook=RAGPlaybookAgent(books.playbook, length),
        )

    async def _summary(self, store: Store) -> Mapping[str, Any] | None:
        if self._runner is None:
            return None
        market = self._market
        return await summarise(
            store, self._runner, self.counts(), mode=market.mode, symbols=market.symbols
        )
