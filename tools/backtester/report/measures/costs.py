"""What trading cost, and how the money at the end is made up."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.fills import BPS
from roboinvest.core.market.grid import from_units
from roboinvest.core.orders import Leg, cents
from roboinvest.core.performance import PERIODS_PER_YEAR
from tools.backtester.contract import BacktestResult, SimFill

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of a run, USD; closing what is open at the end is included."""

    fees: Decimal
    slippage: Decimal  # worked back from the fills, to the cent
    turnover: Decimal  # value of everything bought and sold
    turnover_a_year: float | None  # times the mean equity
    of_turnover_bps: float | None  # fees and slippage
    of_gross_profit: float | None  # fees and slippage, over the profit before both


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """How the equity at the end came about, USD; the lines add up."""

    cash: Decimal  # at the start
    trades: Decimal  # round trips after fees, open ones closed at the last close
    dividends: Decimal
    rounding: Decimal  # what the lines above do not explain; 0 but for fractions of shares
    liquidated: Decimal  # the sum
    marked: Decimal  # equity with open positions at their marks
    open_positions: int


def costs_of(result: BacktestResult) -> Costs:
    """Return what trading cost."""
    fills = (*result.played.fills, *result.played.at_end)
    fees = sum((fill.fee for fill in fills), ZERO)
    rate = result.request.terms.rules.slippage_bps / BPS
    slippage = cents(sum((_slippage(fill, rate) for fill in fills), ZERO))
    turnover = sum((abs(fill.qty) * fill.price for fill in fills), ZERO)
    paid, earned = fees + slippage, sum((trip.pnl for trip in result.round_trips), ZERO)
    days = len(result.days)
    equity = float(np.mean(result.daily_equity)) / 10_000 if days else 0.0
    yearly = PERIODS_PER_YEAR / days if days else 0.0
    return Costs(
        fees=fees,
        slippage=slippage,
        turnover=turnover,
        turnover_a_year=float(turnover) / equity * yearly if equity > 0.0 else None,
        of_turnover_bps=float(paid / turnover * BPS) if turnover else None,
        of_gross_profit=float(paid / (earned + paid)) if earned + paid > 0 else None,
    )


def reckoning(result: BacktestResult) -> Reckoning:
    """Return how the equity at the end came about."""
    cash = result.request.terms.cash
    trades = sum((trip.pnl for trip in result.round_trips), ZERO)
    dividends = sum((flow.amount for flow in result.played.flows), ZERO)
    liquidated = from_units(result.liquidated)
    return Reckoning(
        cash=cash,
        trades=trades,
        dividends=dividends,
        rounding=liquidated - cash - trades - dividends,
        liquidated=liquidated,
        marked=from_units(int(result.daily_equity[-1])),
        open_positions=sum(trip.is_open for trip in result.round_trips),
    )


def exposure_by_bar(result: BacktestResult) -> tuple[float | None, float | None]:
    """Return the mean of gross over equity and the share of bars with a position, bar by bar.

    The figures look at the ends of days, where a strategy that goes home flat has nothing.
    """
    gross, equity = result.played.gross, result.played.equity
    solvent = equity > 0
    if not solvent.any():
        return None, None
    return float(np.mean(gross[solvent] / equity[solvent])), float(np.mean(gross > 0))


def _slippage(fill: SimFill, rate: Decimal) -> Decimal:
    """Return what a fill paid over the market; a target is a limit and pays none."""
    if fill.leg is Leg.TARGET or not rate:
        return ZERO
    side = 1 if fill.qty > 0 else -1
    return abs(fill.qty) * abs(fill.price - fill.price / (1 + side * rate))
