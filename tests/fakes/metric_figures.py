"""Reports of a house in good order, for whoever reads reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from roboinvest.core.events import Severity, TradingState
from roboinvest.runtime.metrics.figures import Figures
from roboinvest.runtime.reports import models
from tests.fakes.clocks import START


def service_line(name: str, *, state: str = "running", restarts: int = 0) -> models.ServiceLine:
    """Return a service."""
    return models.ServiceLine(
        name=name,
        state=state,
        essential=False,
        restarts=restarts,
        last_error=None,
        beats=1,
        last_beat_age_s=0.1,
    )


def alert_line(
    key: str, severity: Severity, *, resolved_at: datetime | None = None
) -> models.AlertLine:
    """Return an alert."""
    return models.AlertLine(
        key=key,
        severity=severity,
        kind="system",
        message=f"{key} is away",
        raised_at=START,
        last_seen_at=START,
        count=1,
        resolved_at=resolved_at,
        resolution=None,
    )


def figures(
    *,
    services: tuple[models.ServiceLine, ...] = (),
    alerts: tuple[models.AlertLine, ...] = (),
    ticks: int = 0,
    trading_state: TradingState = TradingState.READY,
    governance: models.GovernanceLine | None = None,
) -> Figures:
    """Return what a scrape is answered from."""
    status: dict[str, Any] = {
        "generated_at": START,
        "service_started": START,
        "uptime_minutes": 1,
        "status_updated": START,
        "active_research_tracks": 0,
        "research_tracks": {},
        "mode": "simulation",
        "simulated": True,
        "paper": True,
        "trading_state": trading_state,
        "trading_state_reason": "all is well",
        "halted": False,
        "market_time": None,
        "session": None,
        "symbols": ("ALFA",),
        "last_tick": None,
        "services": services,
        "recall": models.RecallLine(state="off", reason=None, memories=0, waiting=None),
        "data": models.DataLine(rows=10, used=7, quarantined=3, by_reason={"stale": 3}),
        "process": models.ProcessLine(
            pid=1, rss_mb=120.0, cpu_pct=2.0, loop_lag_p99_ms=12.0, open_files=20
        ),
        "folders": {},
        "governance": governance,
    }
    return Figures(
        status=models.SystemStatus(**status),
        alerts=models.Alerts(generated_at=START, open=len(alerts), alerts=alerts),
        budget=models.Budget(
            generated_at=START,
            tokens=10,
            cost_today=0.02,
            budget_remaining=0.08,
            day_cap_usd=0.1,
            floor=0.02,
            ceiling=1.0,
            last_move=None,
            by_source={"rules": 5},
        ),
        performance=_performance(),
        ticks=ticks,
    )


def _performance() -> models.Performance:
    ratio = models.Ratio(value=None, convention="none")
    return models.Performance(
        generated_at=START,
        start_equity=100_000,
        equity=100_100,
        cash=90_000,
        realised_pnl=50,
        open_pnl=50,
        total_return=0.001,
        max_drawdown=0.0,
        sharpe=ratio,
        sortino=ratio,
        trades=2,
        wins=1,
        losses=1,
        win_rate=None,
        expectancy_usd=None,
        expectancy_r=None,
        profit_factor=None,
        benchmark=None,
        equity_curve=(),
    )
