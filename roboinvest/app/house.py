"""A House is one daemon on one data folder.

One path serves a first start, a restart by the supervisor and the start after a kill.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from roboinvest.app.folding import folding
from roboinvest.app.governance import Governance
from roboinvest.app.hindsight import cutoffs_of
from roboinvest.app.language_models import OpenedModels, services_of
from roboinvest.app.lookouts import Lookouts
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.app.overseer import Oversight
from roboinvest.app.trading_floor import START_WITHIN_S, TradingFloor
from roboinvest.brokers.opened import OpenedBroker
from roboinvest.brokers.opening import open_broker
from roboinvest.core.errors import NotRecorded, TryLater
from roboinvest.core.events import TickCompleted, TradingState, TradingStateChanged
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.desk import AlertDesk
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.policies import restart_limits
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.control.server import ControlServer
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.outcomes import OutcomeLinker
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.llm.today import TodaysSpend
from roboinvest.runtime.oversight.fuse import Blown
from roboinvest.runtime.recall.opening import open_recall
from roboinvest.runtime.recall.recall import Recall, RecallState
from roboinvest.runtime.reports.writer import ReportWriter
from roboinvest.runtime.retention import Retention
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import Child, Group, Restart, ServiceStatus
from roboinvest.runtime.supervision.supervisor import ALERT_PREFIX, Supervisor
from roboinvest.runtime.supervision.watchdog import (
    ForcedExit,
    LagProbe,
    LivenessFeeder,
    ServiceManager,
    stop_signals,
)
from roboinvest.trading.control_desk import ControlDesk
from roboinvest.trading.gate import GateWatch, StateKeeper, TradingGate
from roboinvest.trading.house_reports import HouseReports, RunFacts
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tools.markets import Market

RESUME_WITHIN_S: Final = 30.0  # the control port answers a resume after a reconciliation


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
        secrets: Secrets | None = None,
        opens: Callable[..., OpenedBroker] = open_broker,
        models: OpenedModels | None = None,
        installed: Installed | None = None,
        chance: random.Random | None = None,
        at_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the parts; nothing is opened yet.

        Args:
            settings: of the run.
            market: to trade in.
            folder: held by the caller.
            options: of this start.
            clock: the machine's.
            in_flight: counts the jobs outside the loop.
            secrets: keys of vendors.
            opens: what `open_broker` does, in its place.
            models: who answers tasks; they stay the caller's to close. None: the rules.
            installed: who decides; None: the house's own agent.
            chance: spreads restarts in time, nothing more; None: one of its own.
            at_ready: called when the house stands and trades.
        """
        self._settings, self._options, self._at_ready = settings, options, at_ready
        self._chance = chance or random.Random()  # noqa: S311 no secrets
        self._stop_asked: str | None = None
        self._watched: dict[str, Callable[[], bool]] = {}
        self._market, self._folder = market, folder
        self._clock, self._in_flight = clock, in_flight
        self._halt_file, self._bus = HaltFile(folder.halt), EventBus(clock)
        self._gate = TradingGate(self._halt_file)
        self._models = models or OpenedModels(model=RulesModel(clock))
        self._probe = LagProbe(on_stall=lambda stall_s: self._tree().forgive(stall_s))
        self.oversight = self._overseen(installed, secrets or Secrets())
        self.floor = TradingFloor(
            settings,
            market,
            folder,
            gate=self._gate,
            bus=self._bus,
            clock=clock,
            in_flight=in_flight,
            secrets=secrets or Secrets(),
            max_ticks=options.max_ticks,
            opens=opens,
            models=self._models,
            installed=installed,
            spans=self.oversight.spans if self.oversight else None,
        )
        self._lookouts = Lookouts(
            settings,
            secrets or Secrets(),
            bus=self._bus,
            gate=self._gate,
            clock=clock,
            in_flight=in_flight,
            counted=self.oversight.overseer.totals if self.oversight else dict,
        )
        self.governance = Governance(settings, folder, installed, clock=clock, in_flight=in_flight)
        self._files = ThreadPoolExecutor(max_workers=2, thread_name_prefix="reports")
        self._recall_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="recall")
        self._recall: Recall | None = None
        self._supervisor: Supervisor | None = None

    def watch(self, trouble: str, lives: Callable[[], bool]) -> None:
        """Call the daemon alive only while `lives`; `trouble` says what is wrong otherwise."""
        self._watched[trouble] = lives

    async def run(self, forced: ForcedExit) -> Outcome:
        """Run until stopped, or until a replay is done; then take everything down in order.

        A signal that comes before there is anything to stop is kept until there is.

        Raises:
            NotRecorded: answers are replayed, and one is missing; the ticks before it stay.
        """
        with stop_signals(self._asked_to_stop, forced):
            return await self._live(forced)

    def _asked_to_stop(self, reason: str) -> None:
        self._stop_asked = reason
        if self._supervisor is not None:
            self._supervisor.request_stop(reason)

    async def _live(self, forced: ForcedExit) -> Outcome:
        store = await Store.open(
            self._folder.database, in_flight=self._in_flight, clock=self._clock
        )
        try:
            await self.floor.open()
            board = await self._lookouts.open(store)
            self._listen(store)
            reports = self._reports(store, board)
            await reports.load()
            self._supervisor = self._tree_of(store, reports, board, forced)
            if self._stop_asked is not None:
                self._supervisor.request_stop(self._stop_asked)
            end = await self._supervisor.run()
            if isinstance(end.error, NotRecorded):
                raise end.error
            return Outcome(
                exit_code=end.exit_code,
                reason=end.reason,
                summary=await self.floor.summary(store),
                last_tick=reports.last_body(),
            )
        finally:
            await self.floor.close()
            await store.close()
            self.governance.close()
            if self.oversight:
                self.oversight.close()
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
        return self.floor.counts()

    def _tree(self) -> Supervisor:
        if self._supervisor is None:
            raise TryLater("the house is being built; ask again in a moment")
        return self._supervisor

    def _listen(self, store: Store) -> None:
        self._market.tell(self._bus.publish)
        if self._models.ledger is not None and self._models.prompts is not None:
            linker = OutcomeLinker(
                store, self._models.ledger, self._models.prompts, task=STRATEGY_TASK.name
            )
            self._bus.subscribe("outcome_linker", (TickCompleted,), linker.receive)
        self._bus.subscribe("state_keeper", (TradingStateChanged,), StateKeeper(store).keep)

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
            policy=self.floor.policy,
            clock=self._clock,
            runner=lambda: self.floor.runner,
            limits=self.floor.limits,
            cutoffs=cutoffs_of(self._settings, self._market),
            spend=TodaysSpend(ledger, self._clock) if (ledger := self._models.ledger) else None,
            governance=self.governance.line,
            overseer=self.oversight.line if self.oversight else None,
            lowered=self.floor.reins.limits.shown,
            tried=self.oversight.tried if self.oversight else dict,
        )

    def _tree_of(
        self, store: Store, reports: HouseReports, board: AlertBoard, forced: ForcedExit
    ) -> Supervisor:
        """Return the services in order of start: the bus first, what nothing waits for last."""
        helpers = (
            *self._guards(store, reports, board),
            *self._lookouts.children(board, reports, lambda: self._tree().essentials_run()),
            *self._keepers(store, reports),
            *self._minds(board),
            *((Child(service=self.oversight.fuse, essential=True),) if self.oversight else ()),
        )
        trading = Child(
            service=self.floor.service(store, reports, self._market_ended),
            restart=Restart.TRANSIENT,
            essential=True,
            ready_within_s=START_WITHIN_S,
        )
        return Supervisor(
            [
                Group(children=(Child(service=self._bus, essential=True),)),
                Group(children=helpers),
                Group(children=self._market.children),
                Group(children=self.floor.opened().children),
                Group(children=(trading,)),
                Group(children=(Child(service=self._liveness()),)),
                Group(children=self.governance.children(self._bus.publish, board)),
                Group(children=self._watchers(store, board)),
            ],
            clock=self._clock,
            rng=self._chance,
            publish=folding(self._bus.publish, self.floor.outages),
            limits=restart_limits(self._settings),
            stop_grace_s=self._settings.supervisor.stop_grace_s,
            on_stopping=lambda: self._begin_to_stop(forced),
            hopeless=(NotRecorded, Blown),
            left_open=board.open_keys(ALERT_PREFIX),
        )

    def _overseen(self, installed: Installed | None, secrets: Secrets) -> Oversight | None:
        """Return who looks after the house, and let it look over the shoulder of the models."""
        if self._settings.overseer.enabled == "off":
            return None
        found = Oversight(
            self._settings,
            self._market,
            self._folder,
            models=self._models,
            installed=installed,
            bus=self._bus,
            gate=self._gate,
            halt_file=self._halt_file,
            lag_s=lambda: self._probe.current_s(),
            clock=self._clock,
            in_flight=self._in_flight,
            secrets=secrets,
        )
        self._models = found.models
        return found

    def _watchers(self, store: Store, board: AlertBoard) -> tuple[Child, ...]:
        if self.oversight is None:
            return ()
        has_broker = self.floor.opened().halts_itself
        account = self.floor.account_on(store, self._writer)
        living = (*self._market.children, *self.floor.opened().children)
        services = [*(each.service for each in living), *self._models.services]
        return self.oversight.children(
            self._tree,
            board,
            self.counts,
            has_broker=has_broker,
            account=account,
            services=[*services, *([self._recall] if self._recall else [])],
        )

    def _begin_to_stop(self, forced: ForcedExit) -> None:
        """Let nothing more leave: services are stopped one by one, and trading is not the first.

        The paper books know nothing of requests: there a tick under way ends as it would have.
        """
        if self.floor.opened().halts_itself:
            self._gate.hear("stop", TradingState.RECONCILING, "the daemon is stopping")
        forced.arm()

    def _guards(self, store: Store, reports: HouseReports, board: AlertBoard) -> tuple[Child, ...]:
        """Return what a person holds the house by: its pulse, its kill switch, its control port."""
        self.floor.resume(board.open_keys)
        desk = ControlDesk(
            halt_file=self._halt_file,
            gate=self._gate,
            reports=reports,
            restart=lambda name: self._tree().restart(name),
            stop=lambda reason: self._tree().request_stop(reason),
            clock=self._clock,
            locks=self.floor.reins.lock_desk(store),
            alerts=AlertDesk(board, self._clock),
            before_resume=self.floor.opened().before_resume,
        )
        watch = GateWatch(self._gate, publish=self._bus.publish, clock=self._clock)
        server = ControlServer(self._folder.control_socket, desk, deadline_s=RESUME_WITHIN_S)
        return Child(service=self._probe), Child(service=watch), Child(service=server)

    def _keepers(self, store: Store, reports: HouseReports) -> tuple[Child, ...]:
        """Return what writes down, forgets and remembers; trading can do without any of them."""
        settings = self._settings
        self._writer = writer = ReportWriter(
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
        self._recall = open_recall(
            store,
            self._folder,
            disk_limit_mb=settings.memory.disk_limit_mb,
            pool=self._recall_pool,
            publish=self._bus.publish,
            clock=self._clock,
        )
        return (*keepers, Child(service=self._recall))

    def _minds(self, board: AlertBoard) -> tuple[Child, ...]:
        """Return what language models need; without any, and nothing to take back, nothing runs."""
        found = services_of(self._models, board, publish=self._bus.publish, clock=self._clock)
        return tuple(Child(service=service) for service in found)

    def _liveness(self) -> LivenessFeeder:
        checks = {
            "an essential service is down": lambda: self._tree().essentials_run(),
            **self._watched,
        }
        manager, lag_s = ServiceManager(os.environ), self._probe.current_s
        return LivenessFeeder(manager, lag_s, checks, at_ready=self._at_ready)

    def _market_ended(self) -> None:
        if self._options.exit_when_done:
            self._tree().request_stop("the replay is done")
