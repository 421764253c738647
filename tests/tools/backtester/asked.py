"""Requests of ten days, which differ in what a test changes, and a run that loses everything."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.quant.conditions import above
from roboinvest.core.strategy import EquityShare, Execution
from tests.tools.backtester.report.builders import run, sessions, strategy, walked
from tools.backtester.contract import BacktestResult, Request, Terms

DAYS = sessions()[:10]
QUARTERS = Timeframe.MINUTES_15
ALWAYS = above("close", 0.0)
SPLIT = CorporateAction(symbol="SPY", kind=ActionKind.SPLIT, ex_date=DAYS[4].day, ratio=Decimal(2))
PAID = CorporateAction(
    symbol="SPY", kind=ActionKind.DIVIDEND, ex_date=DAYS[2].day, cash=Decimal("0.25")
)


def request(alone: SessionBars | None = None, **changed: Any) -> Request:
    """Return a request of ten days of SPY, or of one symbol's bars, with what a test changes."""
    mine = walked(DAYS) if alone is None else alone
    played = strategy()
    asked: dict[str, Any] = {
        "strategy": played,
        "values": played.values({}),
        "bars": {mine.symbol: mine},
        "timeframe": QUARTERS,
    }
    return Request(**{**asked, **changed})


def pair(**columns: SessionBars) -> dict[str, SessionBars]:
    """Return bars under other names."""
    return {name: replace(bars, symbol=name) for name, bars in columns.items()}


def holding(part: float = 1.0) -> Execution:
    """Return an execution that puts a part of the account into a symbol, and has no exit."""
    return Execution(size=EquityShare(part))


def bankrupt() -> BacktestResult:
    """Return a run that owes money from its twelfth day on."""
    bars = walked(sessions(), Timeframe.DAY)
    rise = np.clip(np.arange(len(bars)) - 8.0, 1.0, 8.0)
    names = ("open", "high", "low", "close")
    columns: dict[str, Any] = {name: np.round(getattr(bars, name) * rise, 2) for name in names}
    short = strategy(above("close", 1e9), holding(0.9), short=ALWAYS)
    terms = Terms(allow_short=True, rules=FRICTIONLESS)
    return run(replace(bars, **columns), short, timeframe=Timeframe.DAY, terms=terms)
