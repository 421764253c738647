"""What the reports say: the last committed tick, the books, and the state of the house.

Figures are taken after a commit, so that no report ever shows what the store does not hold. What
is slow to read (all round trips, the equity curve) is kept here and extended tick by tick.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

import psutil

from roboinvest.core.budget import BudgetPolicy, CapMove
from roboinvest.core.ledger import Lot, Trade
from roboinvest.core.lowered_limits import LoweredLimit
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.orders import Order
from roboinvest.core.ports import Clock
from roboinvest.core.protections import Lock
from roboinvest.core.records import TickCommit, TickRecord
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.llm.hindsight.contamination import Contamination, Cutoffs
from roboinvest.runtime.llm.today import TodaysSpend
from roboinvest.runtime.reports import models
from roboinvest.runtime.reports.alert_line import alert_lines
from roboinvest.runtime.reports.builders import (
    performance_report,
    positions_report,
    trades_report,
)
from roboinvest.runtime.reports.overseer_line import OverseerLine, off
from roboinvest.runtime.storage.stored import SessionEquity
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import ServiceStatus
from roboinvest.trading.account_book import AccountFigures
from roboinvest.trading.budget import BudgetFigures
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.locks.desk import committed_locks
from roboinvest.trading.risk_lines import RecentRefusals, lock_lines, lowered_lines, mandate_line
from roboinvest.trading.state import TickState
from roboinvest.trading.tick import TickRunner

SHOWN_TRADES = 500  # in trades.json; the store has them all
SHOWN_ORDERS = 1_000  # open ones looked at for stops and targets while the books are being read


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What does not change while the daemon runs."""

    mode: str  # "simulation", "replay", "paper"
    simulated: bool
    symbols: tuple[str, ...]
    started_at: datetime  # UTC, real time
    start_equity: Decimal  # USD, of an account without a tick
    folders: Mapping[str, str]


class HouseView(Protocol):
    """What the composition root lets the reports see of the running house."""

    def services(self) -> Sequence[ServiceStatus]:
        """Return the state of every service."""

    def recall(self) -> tuple[str, str | None]:
        """Return the state of the text memory, and why."""

    def loop_lag_p99_ms(self) -> float | None:
        """Return how late the loop was."""

    def counts(self) -> DataCounts:
        """Return what the quality gate did."""


class HouseReports:
    """Watches ticks and answers the report writer."""

    def __init__(
        self,
        *,
        facts: RunFacts,
        store: Store,
        gate: TradingGate,
        board: AlertBoard,
        view: HouseView,
        policy: BudgetPolicy,
        clock: Clock,
        runner: Callable[[], TickRunner | None],
        limits: RiskLimits | None = None,
        cutoffs: Cutoffs | None = None,
        spend: TodaysSpend | None = None,
        governance: Callable[[], models.GovernanceLine] | None = None,
        overseer: Callable[[], OverseerLine] | None = None,
        tried: Callable[[], Mapping[str, str]] = dict,
        lowered: Callable[[], Sequence[LoweredLimit]] = tuple,
    ) -> None:
        self._facts = facts
        self._store = store
        self._gate = gate
        self._board = board
        self._view = view
        self._policy = policy
        self._clock = clock
        self._runner = runner
        self._limits = limits
        self._cutoffs = cutoffs
        self._spend = spend
        self._governance = governance
        self._overseer, self._tried, self._lowered = overseer, tried, lowered
        self._asks: Mapping[str, int] = {}  # answers by source, until the books are read
        self._refusals = RecentRefusals()
        self._locks: Sequence[Lock] = ()
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first reading is always zero
        self._state: TickState | None = None
        self._record: TickRecord | None = None
        self._start_equity = facts.start_equity
        self._trades: list[Trade] = []
        self._lots: Sequence[Lot] = ()  # until the books are read
        self._open_orders: Sequence[Order] = ()
        self._curve: dict[date, SessionEquity] = {}
        self._performance: tuple[tuple[str, bool], models.Performance] | None = None

    async def load(self) -> None:
        """Read what earlier runs left; called once, before the first report."""
        self._trades = list(await self._store.all_trades())
        self._curve = {day.session_day: day for day in await self._store.session_equity()}
        self._record = next(iter(await self._store.recent_ticks(1)), None)
        if (account := await self._store.document("account")) is not None:
            self._start_equity = AccountFigures.from_json(account).start_equity
        if (budget := await self._store.document("budget")) is not None:
            self._asks = BudgetFigures.from_json(budget).asks
        self._locks = await committed_locks(self._store, self._record.at if self._record else None)
        self._lots = await self._store.lots()
        self._open_orders = await self._store.orders(SHOWN_ORDERS, open_only=True)

    def saw(self, state: TickState, commit: TickCommit) -> None:
        """Take over a committed tick."""
        self._state, self._record = state, commit.record
        if (runner := self._runner()) is not None:
            account = runner.books.account  # the next tick changes it before its own commit
            self._lots, self._open_orders = account.ledger.lots(), account.open_orders()
            self._locks = account.locks.in_force(commit.record.at)
        self._refusals.saw(state["execution"].refused, commit.record.at)
        self._trades += commit.trades
        record = commit.record
        before = self._curve.get(record.session_day)
        self._curve[record.session_day] = SessionEquity(
            session_day=record.session_day,
            open_equity=before.open_equity if before else record.equity,
            close_equity=record.equity,
        )

    def open_alerts(self, prefix: str) -> frozenset[str]:
        """Return the keys of open alerts that begin with `prefix`, without it."""
        return self._board.open_keys(prefix)

    def last_body(self) -> dict[str, Any] | None:
        """Return everything the last tick of this process knew, decided and did."""
        if self._state is None or self._record is None or self._record.body is None:
            return None
        body: dict[str, Any] = json.loads(self._record.body)
        return {"tick_id": self._record.tick_id, **body}

    async def system_status(self) -> models.SystemStatus:
        """Return what the daemon is doing."""
        now, facts = self._clock.now(), self._facts
        trading_state, reason = self._gate.look()
        record = self._record
        counts = self._view.counts()
        return models.SystemStatus(
            generated_at=now,
            service_started=facts.started_at,
            uptime_minutes=(now - facts.started_at).total_seconds() / 60,
            status_updated=now,
            active_research_tracks=0,
            research_tracks={},
            mode=facts.mode,
            simulated=facts.simulated,
            paper=True,
            trading_state=trading_state,
            trading_state_reason=reason,
            halted=self._gate.halt is not None,
            market_time=record.at if record else None,
            session=self._session_line(),
            symbols=facts.symbols,
            last_tick=self._last_tick(),
            services=tuple(_service_line(status) for status in self._view.services()),
            recall=await self._recall_line(),
            data=models.DataLine(
                rows=counts.rows,
                used=counts.used,
                quarantined=counts.quarantined,
                by_reason=dict(counts.by_reason),
            ),
            process=self._process_line(),
            folders=facts.folders,
            mandate=mandate_line(self._limits, record.at if record else now),
            locks=lock_lines(self._locks),
            lowered_limits=lowered_lines(self._lowered()),
            refusals=self._refusals.lines(),
            governance=self._governance() if self._governance else None,
            overseer=self._overseer() if self._overseer else off(),
        )

    async def performance(self) -> models.Performance:
        """Return what it came to; built again only after a new tick."""
        runner, record, start = self._runner(), self._record, self._start_equity
        drawn_from = (record.tick_id if record else "", runner is not None)
        if self._performance is not None and self._performance[0] == drawn_from:
            return self._performance[1]
        report = performance_report(
            now=self._clock.now(),
            start_equity=start,
            equity=record.equity if record else start,
            cash=record.cash if record else start,
            realised_pnl=record.realised_pnl if record else Decimal(0),
            open_pnl=record.open_pnl if record else Decimal(0),
            curve=[self._curve[day] for day in sorted(self._curve)],
            trades=self._trades,
            benchmark=("buy and hold, equal weights", runner.books.benchmark.equity())
            if runner
            else None,
            contamination=self._contamination(),
        )
        self._performance = (drawn_from, report)
        return report

    def _contamination(self) -> Contamination | None:
        """Return what models may remember of the sessions so far."""
        if self._cutoffs is None or not self._curve:
            return None
        runner = self._runner()
        asks = runner.books.budget.figures.asks if runner else self._asks
        return self._cutoffs.judge(asks, min(self._curve), max(self._curve))

    async def positions(self) -> models.Positions:
        """Return what is held."""
        return positions_report(
            now=self._clock.now(),
            lots=self._lots,
            marks=self._state["world"].marks if self._state else {},
            open_orders=self._open_orders,
        )

    async def trades(self) -> models.Trades:
        """Return the latest round trips."""
        newest = list(reversed(self._trades[-SHOWN_TRADES:]))
        return trades_report(now=self._clock.now(), newest_first=newest, total=len(self._trades))

    async def alerts(self) -> models.Alerts:
        """Return the alerts, open ones first."""
        alerts = alert_lines(self._board, self._tried())
        return models.Alerts(
            generated_at=self._clock.now(),
            open=sum(each.resolved_at is None for each in alerts),
            alerts=alerts,
        )

    async def budget(self) -> models.Budget:
        """Return what language models may cost, and did."""
        runner = self._runner()
        figures = runner.books.budget.figures if runner else None
        cap = figures.cap_usd if figures else self._policy.start_usd
        spent, tokens = Decimal(0), 0  # without a model
        if self._spend is not None:
            today = await self._spend.look()
            cap, spent, tokens = today.cap_usd, today.spent_usd + today.reserved_usd, today.tokens
        move = figures.last_move if figures else None
        return models.Budget(
            generated_at=self._clock.now(),
            tokens=tokens,
            cost_today=float(spent),
            budget_remaining=float(max(cap - spent, Decimal(0))),
            day_cap_usd=float(cap),
            floor=float(self._policy.floor_usd),
            ceiling=float(self._policy.ceiling_usd),
            last_move=_cap_move(move) if move else None,
            by_source=figures.asks if figures else self._asks,
        )

    def _last_tick(self) -> models.LastTick | None:
        record = self._record
        if record is None:
            return None
        return models.LastTick(
            tick_id=record.tick_id,
            at=record.at,
            digest=record.digest,
            buys=record.buys,
            sells=record.sells,
            holds=record.holds,
            orders=record.orders,
            fills=record.fills,
            rejected=record.rejected,
        )

    def _session_line(self) -> models.SessionLine | None:
        if self._state is None:
            return None
        tick = self._state["tick"]
        session = tick.session
        return models.SessionLine(
            day=session.day,
            opens_at=session.opens_at,
            closes_at=session.closes_at,
            is_half_day=session.is_half_day,
            is_open=session.holds(tick.at),
        )

    async def _recall_line(self) -> models.RecallLine:
        state, reason = self._view.recall()
        runner = self._runner()
        return models.RecallLine(
            state=state,
            reason=reason,
            memories=len(runner.books.playbook) if runner else 0,
            waiting=None,
        )

    def _process_line(self) -> models.ProcessLine:
        with self._process.oneshot():
            return models.ProcessLine(
                pid=os.getpid(),
                rss_mb=self._process.memory_info().rss / 1e6,
                cpu_pct=self._process.cpu_percent(),
                loop_lag_p99_ms=self._view.loop_lag_p99_ms(),
                open_files=self._process.num_fds(),
            )


def _cap_move(move: CapMove) -> models.BudgetMove:
    fields = {"from": float(move.before), "to": float(move.after), "reason": move.reason}
    return models.BudgetMove.model_validate(fields)


def _service_line(status: ServiceStatus) -> models.ServiceLine:
    return models.ServiceLine(
        name=status.name,
        state=status.state.value,
        essential=status.essential,
        restarts=status.restarts,
        last_error=status.last_error,
        beats=status.beats,
        last_beat_age_s=status.last_beat_age_s,
    )
