"""What a run came to: as values that the rest of the house reads, or as numbers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.fills import FillRules, fees, slipped
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units, to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import SUB_PENNY_TICK, TICK_SIZE, Leg, Side
from tools.backtester.contract import Cause, Played, SimFill
from tools.backtester.kernel.machine import layout
from tools.backtester.kernel.machine.layout import Board
from tools.backtester.kernel.setup import Run

_LEGS: Final = tuple(Leg(name) for name in layout.LEGS)
_CAUSES: Final = tuple(Cause(name) for name in layout.CAUSES)
_CENT: Final = 100  # units


@dataclass(frozen=True, slots=True, kw_only=True)
class FastOutcome:
    """A run in numbers, without an object per fill. Money is units (see `core.market.grid`)."""

    final_equity: int  # open positions at their marks
    liquidated: int  # had they been closed at the last close
    days: Ints  # (d,) exchange days as proleptic ordinals
    daily_equity: Ints  # (d + 1,) the cash before the first day, then each day's end
    daily_gross: Ints  # (d + 1,) absolute value of all positions
    trades: int  # round trips that ended
    wins: int  # those that earned more than they cost
    fills: int
    fees: int
    max_drawdown: float  # fraction from the peak, over every bar
    exposure: float  # share of bar closes with a position
    signals: int  # rows in which an entry was wanted while flat


def fast_outcome(board: Board, run: Run, rules: FillRules) -> FastOutcome:
    """Return the numbers of a run whose curve nobody reads."""
    cash, account = run.figures.cash, board.account
    decided = run.course.day_ends >= 0
    ended = board.days[:, decided]
    daily = np.zeros((2, ended.shape[1] + 1), np.int64)
    daily[0, 0], daily[0, 1:], daily[1, 1:] = cash, ended[layout.D_EQUITY], ended[layout.D_GROSS]
    return FastOutcome(
        final_equity=int(daily[0, -1]),
        liquidated=int(daily[0, -1]) + _cost_of_closing(board, run, rules),
        days=run.course.grid.days[decided],
        daily_equity=daily[0],
        daily_gross=daily[1],
        trades=int(account[layout.CLOSED]),
        wins=int(account[layout.WINS]),
        fills=int(account[layout.FILLS]),
        fees=int(account[layout.FEES]),
        max_drawdown=1.0 - float(account[layout.FALLEN_TO]) / float(account[layout.FALLEN_FROM]),
        exposure=float(account[layout.INVESTED]) / max(len(run.course.grid.instants), 1),
        signals=int(account[layout.SIGNALS]),
    )


def played(board: Board, run: Run, rules: FillRules) -> Played:
    """Return a run as the simulator would."""
    account = board.account
    return Played(
        instants=run.course.grid.instants,
        equity=board.curve[layout.C_EQUITY],
        gross=board.curve[layout.C_GROSS],
        fills=tuple(_fills(board.fills[: account[layout.FILLS]], run.course.bars)),
        at_end=tuple(_reckoning(board, run, rules)),
        signals=int(account[layout.SIGNALS]),
        ambiguous=int(account[layout.AMBIGUOUS]),
        unaffordable=int(account[layout.UNAFFORDABLE]),
        refused=_counts(account, layout.REFUSED),
        clamped=_counts(account, layout.CLAMPED),
        expired=int(account[layout.EXPIRED]),
    )


def _cost_of_closing(board: Board, run: Run, rules: FillRules) -> int:
    """Return by how many units closing the open positions would change the equity."""
    change, closes = Decimal(0), _last_closes(run)
    for fill in _reckoning(board, run, rules):
        change -= fill.qty * (fill.price - closes[fill.symbol]) + fill.fee
    return to_units(change)


def _last_closes(run: Run) -> dict[str, Decimal]:
    course = run.course
    spans = zip(course.bars, course.grid.spans, strict=True)
    closes = course.grid.bars[layout.CLOSE]
    return {one.symbol: from_units(int(closes[end - 1])) for one, (_, end) in spans if len(one)}


def _reckoning(board: Board, run: Run, rules: FillRules) -> Iterator[SimFill]:
    """Yield what closing the open positions at the last close would come to."""
    closes = _last_closes(run)
    for one, held in zip(run.course.bars, board.held.tolist(), strict=True):
        if held[layout.QTY] == 0:
            continue
        side = Side.SELL if held[layout.QTY] > 0 else Side.BUY
        price, qty = slipped(closes[one.symbol], side, rules), Decimal(abs(held[layout.QTY]))
        yield SimFill(
            symbol=one.symbol,
            row=len(one) - 1,
            at=int(one.closes_at[-1]),
            qty=side.sign * qty,
            price=price,
            fee=fees(side, qty, price, rules),
            leg=Leg.EXIT,
            cause=Cause.END,
            entry=held[layout.NUMBER],
            signal_row=held[layout.SIGNAL_ROW],
        )


def _fills(fills: Ints, bars: Sequence[SessionBars]) -> Iterator[SimFill]:
    for s, row, inside, qty, price, fee, leg, cause, entry, signal_row, *rest in fills.tolist():
        stop, target, kindest = rest
        one = bars[s]
        yield SimFill(
            symbol=one.symbol,
            row=row,
            at=int(one.closes_at[row] if inside else max(one.ts[row], one.opens[row])),
            qty=Decimal(qty),
            price=price * SUB_PENNY_TICK,
            fee=fee // _CENT * TICK_SIZE if fee % _CENT == 0 else fee * SUB_PENNY_TICK,
            leg=_LEGS[leg],
            cause=_CAUSES[cause],
            entry=entry,
            signal_row=signal_row,
            stop=stop * SUB_PENNY_TICK if stop else None,
            target=target * SUB_PENNY_TICK if target else None,
            ambiguous=kindest >= 0,
            kindest=kindest * SUB_PENNY_TICK if kindest >= 0 else None,
        )


def _counts(account: Ints, first: int) -> dict[str, int]:
    counts = account[first : first + len(layout.REASONS)].tolist()
    named = zip(layout.REASONS, counts, strict=True)
    return dict(sorted((name, count) for name, count in named if count))
