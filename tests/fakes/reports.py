"""A report source whose figures a test sets, and one sample of every report."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from roboinvest.core.events import Severity, TradingState
from roboinvest.core.market.updates import DataCounts
from roboinvest.runtime.reports.fields import Report
from roboinvest.runtime.reports.models import (
    AlertLine,
    Alerts,
    BenchmarkLine,
    Budget,
    BudgetMove,
    DataLine,
    EquityPoint,
    Interval,
    LastTick,
    Performance,
    PositionLine,
    Positions,
    ProcessLine,
    Ratio,
    RecallLine,
    ServiceLine,
    SessionLine,
    SystemStatus,
    TradeLine,
    Trades,
)

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


def system_status(**fields: Any) -> SystemStatus:
    """Return the status of a daemon that trades."""
    values: dict[str, Any] = {
        "generated_at": AT,
        "service_started": AT,
        "uptime_minutes": 12.5,
        "status_updated": AT,
        "active_research_tracks": 0,
        "research_tracks": {},
        "mode": "simulation",
        "simulated": True,
        "paper": True,
        "trading_state": TradingState.READY,
        "trading_state_reason": "reconciled",
        "halted": False,
        "market_time": AT,
        "session": SessionLine(
            day=AT.date(), opens_at=AT, closes_at=AT, is_half_day=False, is_open=True
        ),
        "symbols": ("QQQ", "SPY"),
        "last_tick": LastTick(
            tick_id="20260105T150000Z",
            at=AT,
            digest="0" * 64,
            buys=0,
            sells=0,
            holds=2,
            orders=0,
            fills=0,
            rejected=0,
        ),
        "services": (
            ServiceLine(
                name="trading",
                state="running",
                essential=True,
                restarts=0,
                last_error=None,
                beats=3,
                last_beat_age_s=0.5,
            ),
        ),
        "recall": RecallLine(state="ready", reason=None, memories=5, waiting=0),
        "data": DataLine(rows=10, used=9, quarantined=1, by_reason={"spike": 1}),
        "process": ProcessLine(
            pid=7, rss_mb=120.5, cpu_pct=3.0, loop_lag_p99_ms=None, open_files=20
        ),
        "folders": {"reports": "reports", "logs": "logs"},
    }
    return SystemStatus(**{**values, **fields})


def performance(**fields: Any) -> Performance:
    """Return the performance of an account that won a little."""
    values: dict[str, Any] = {
        "generated_at": AT,
        "start_equity": 100_000.0,
        "equity": 100_012.5,
        "cash": 98_000.0,
        "realised_pnl": 10.0,
        "open_pnl": 2.5,
        "total_return": 0.000125,
        "max_drawdown": 0.0,
        "sharpe": Ratio(value=None, convention="session returns"),
        "sortino": Ratio(value=None, convention="session returns"),
        "trades": 1,
        "wins": 1,
        "losses": 0,
        "win_rate": Interval(value=1.0, low=0.206543, high=1.0),
        "expectancy_usd": 10.0,
        "expectancy_r": 1.0,
        "profit_factor": None,
        "benchmark": BenchmarkLine(
            name="buy and hold", equity=100_001.0, total_return=0.00001, excess_return=0.000115
        ),
        "equity_curve": (
            EquityPoint(session=date(2026, 1, 5), open_equity=100_000.0, close_equity=100_012.5),
        ),
    }
    return Performance(**{**values, **fields})


def positions(**fields: Any) -> Positions:
    """Return one long position."""
    line = PositionLine(
        symbol="SPY",
        quantity=10.0,
        entry_price=680.25,
        entry_time=AT,
        side="long",
        mark=680.5,
        value=6805.0,
        open_pnl=2.5,
        stop=675.0,
        target=None,
        agents=("house",),
    )
    return Positions(**{"generated_at": AT, "positions": {"SPY": line}, **fields})


def trades(**fields: Any) -> Trades:
    """Return one round trip."""
    line = TradeLine(
        trade_id="a:b",
        symbol="SPY",
        quantity=10.0,
        entry_price=679.0,
        exit_price=680.0,
        entry_time=AT,
        exit_time=AT,
        side="long",
        pnl=10.0,
        pnl_pct=0.1473,
        r_multiple=1.0,
        exit_reason="target",
        agent_id="house",
        revision_id="built-in",
    )
    return Trades(**{"generated_at": AT, "total": 1, "trades": (line,), **fields})


def alerts(**fields: Any) -> Alerts:
    """Return one open alert."""
    line = AlertLine(
        key="service.recall",
        severity=Severity.LOW,
        kind="system",
        message="recall is away",
        raised_at=AT,
        last_seen_at=AT,
        count=3,
        resolved_at=None,
        resolution=None,
    )
    return Alerts(**{"generated_at": AT, "open": 1, "alerts": (line,), **fields})


def budget(**fields: Any) -> Budget:
    """Return a day on which a model cost four cents."""
    values: dict[str, Any] = {
        "generated_at": AT,
        "tokens": 12_000,
        "cost_today": 0.041234,
        "budget_remaining": 0.058766,
        "day_cap_usd": 0.1,
        "floor": 0.02,
        "ceiling": 1.0,
        "last_move": BudgetMove(before=0.12, after=0.1, reason="the last session lost 6 USD"),
    }
    return Budget(**{**values, **fields})


def samples() -> dict[str, Report]:
    """Return one of each report, by name."""
    return {
        "system_status": system_status(),
        "performance": performance(),
        "positions": positions(),
        "trades": trades(),
        "alerts": alerts(),
        "budget": budget(),
    }


class SetReports:
    """A source that says what the test set, or raises what it set."""

    def __init__(self) -> None:
        self.system_status_now: SystemStatus | Exception = system_status()
        self.performance_now: Performance | Exception = performance()
        self.positions_now = positions()
        self.trades_now = trades()
        self.alerts_now = alerts()
        self.budget_now = budget()

    async def system_status(self) -> SystemStatus:
        if isinstance(self.system_status_now, Exception):
            raise self.system_status_now
        return self.system_status_now

    async def performance(self) -> Performance:
        if isinstance(self.performance_now, Exception):
            raise self.performance_now
        return self.performance_now

    async def positions(self) -> Positions:
        return self.positions_now

    async def trades(self) -> Trades:
        return self.trades_now

    async def alerts(self) -> Alerts:
        return self.alerts_now

    async def budget(self) -> Budget:
        return self.budget_now


class NothingElse:
    """A house of which only trading is there."""

    def services(self) -> tuple[()]:
        return ()

    def recall(self) -> tuple[str, str | None]:
        return "off", None

    def loop_lag_p99_ms(self) -> float | None:
        return None

    def counts(self) -> DataCounts:
        return DataCounts(rows=0, used=0, quarantined=0, by_reason={})
