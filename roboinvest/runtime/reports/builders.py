"""Reports from values: pure functions, so that a figure on a screen can be tested without a daemon.

Ratios come from session closes, not from ticks: a Sharpe ratio annualised from minutes is a
different number with the same name, and each one says here what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.ledger import Lot, Trade
from roboinvest.core.orders import Leg, Order
from roboinvest.core.performance import PERIODS_PER_YEAR, figures
from roboinvest.runtime.llm.hindsight.contamination import Contamination
from roboinvest.runtime.reports.models import (
    BenchmarkLine,
    ContaminationLine,
    EquityPoint,
    Interval,
    Performance,
    PositionLine,
    Positions,
    Ratio,
    TradeLine,
    Trades,
)
from roboinvest.runtime.storage.stored import SessionEquity

MIN_SESSIONS: Final = 10  # below it an annualised ratio says more about chance than about us
SHARPE: Final = (
    f"session returns, annualised with sqrt({PERIODS_PER_YEAR}), sample deviation, risk-free 0"
)
SORTINO: Final = (
    f"session returns, annualised with sqrt({PERIODS_PER_YEAR}), downside deviation below 0"
)


def performance_report(
    *,
    now: datetime,
    start_equity: Decimal,
    equity: Decimal,
    cash: Decimal,
    realised_pnl: Decimal,
    open_pnl: Decimal,
    curve: Sequence[SessionEquity],
    trades: Sequence[Trade],
    benchmark: tuple[str, Decimal] | None = None,
    contamination: Contamination | None = None,
) -> Performance:
    """Return performance.json from the account, the equity curve and every round trip.

    `curve` holds the sessions so far, oldest first, the running one included; `benchmark` is the
    name and the equity (USD) of the same money left alone; `contamination` is what the models
    behind the decisions may remember of these sessions.
    """
    closes = [float(start_equity), *(float(day.close_equity) for day in curve)]
    result = figures(closes, trades)
    enough = result.periods >= MIN_SESSIONS
    rate = result.win_rate
    wins = round(rate.value * result.trades) if rate else 0
    return Performance(
        generated_at=now,
        start_equity=float(start_equity),
        equity=float(equity),
        cash=float(cash),
        realised_pnl=float(realised_pnl),
        open_pnl=float(open_pnl),
        total_return=result.total_return,
        max_drawdown=result.max_drawdown,
        sharpe=Ratio(value=result.sharpe if enough else None, convention=SHARPE),
        sortino=Ratio(value=result.sortino if enough else None, convention=SORTINO),
        trades=result.trades,
        wins=wins,
        losses=result.trades - wins,
        win_rate=Interval(value=rate.value, low=rate.low, high=rate.high) if rate else None,
        expectancy_usd=result.expectancy_usd,
        expectancy_r=result.expectancy_r,
        profit_factor=result.profit_factor,
        benchmark=_benchmark(benchmark, start_equity, result.total_return),
        equity_curve=tuple(
            EquityPoint(
                session=day.session_day,
                open_equity=float(day.open_equity),
                close_equity=float(day.close_equity),
            )
            for day in curve
        ),
        contamination=ContaminationLine(**contamination.to_json()) if contamination else None,
    )


def positions_report(
    *,
    now: datetime,
    lots: Iterable[Lot],
    marks: Mapping[str, Decimal],
    open_orders: Iterable[Order],
) -> Positions:
    """Return positions.json from open lots; a symbol without a mark is shown at its cost."""
    by_symbol: dict[str, list[Lot]] = {}
    for lot in lots:
        by_symbol.setdefault(lot.symbol, []).append(lot)
    working = tuple(open_orders)
    lines = (
        _position(symbol, held, marks.get(symbol), working)
        for symbol, held in sorted(by_symbol.items())
    )
    return Positions(generated_at=now, positions={line.symbol: line for line in lines if line})


def trades_report(*, now: datetime, newest_first: Iterable[Trade], total: int) -> Trades:
    """Return trades.json; `total` counts every round trip, also those not listed."""
    lines = tuple(_trade(trade) for trade in newest_first)
    return Trades(generated_at=now, total=total, trades=lines)


def _benchmark(
    benchmark: tuple[str, Decimal] | None, start_equity: Decimal, ours: float | None
) -> BenchmarkLine | None:
    if benchmark is None:
        return None
    name, equity = benchmark
    theirs = float(equity / start_equity - 1) if start_equity > 0 else None
    excess = None if ours is None or theirs is None else ours - theirs
    return BenchmarkLine(name=name, equity=float(equity), total_return=theirs, excess_return=excess)


def _position(
    symbol: str, lots: Sequence[Lot], mark: Decimal | None, working: Iterable[Order]
) -> PositionLine | None:
    qty = sum((lot.qty for lot in lots), Decimal(0))
    if not qty:
        return None
    entry = sum((lot.qty * lot.price for lot in lots), Decimal(0)) / qty
    mark = entry if mark is None else mark
    legs = {order.leg: order for order in working if order.symbol == symbol}
    stop, target = legs.get(Leg.STOP), legs.get(Leg.TARGET)
    return PositionLine(
        symbol=symbol,
        quantity=float(qty),
        entry_price=float(entry),
        entry_time=min(lot.opened_at for lot in lots),
        side="long" if qty > 0 else "short",
        mark=float(mark),
        value=float(qty * mark),
        open_pnl=float(qty * (mark - entry)),
        stop=_price(stop.stop_price) if stop else None,
        target=_price(target.limit_price) if target else None,
        agents=tuple(sorted({lot.agent_id for lot in lots})),
    )


def _price(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


def _trade(trade: Trade) -> TradeLine:
    paid = abs(trade.qty) * trade.entry_price
    return TradeLine(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        quantity=float(trade.qty),
        entry_price=float(trade.entry_price),
        exit_price=float(trade.exit_price),
        entry_time=trade.opened_at,
        exit_time=trade.closed_at,
        side="long" if trade.qty > 0 else "short",
        pnl=float(trade.pnl),
        pnl_pct=float(trade.pnl / paid * 100) if paid else None,
        r_multiple=trade.r_multiple,
        exit_reason=trade.exit_leg.value,
        agent_id=trade.agent_id,
        revision_id=trade.revision_id,
    )
