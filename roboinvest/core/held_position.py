"""What a strategy's execution makes of a position at the close of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.core.market.grid import UNITS_PER_USD, price_units, to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import Side
from roboinvest.core.signals import ClosedBar, Signals
from roboinvest.core.strategy import Held, Plan

_CENT: Final = UNITS_PER_USD // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position, and since when it is held."""

    sign: int  # +1 long, -1 short
    entry_row: int  # of the bar in which its first share was bought or sold
    entry_price: float  # USD per share
    stop: Decimal | None  # USD per share, as it stands at the broker


def wants_out(
    plan: Plan, bars: SessionBars, signals: Signals, row: int, holding: Holding
) -> str | None:
    """Return why a position is left after bar `row`, or None.

    The session's end comes before this, and a trailing stop after it.
    """
    how, held = plan.execution, row - holding.entry_row + 1
    if how.max_bars is not None and held >= how.max_bars:
        return f"held {held} bars, limit {how.max_bars}"
    if signals.leave[row]:
        return "the exit's condition holds"
    if how.exit is None or hasattr(how.exit, "of"):
        return None
    since = slice(holding.entry_row, row + 1)
    high, low = float(bars.high[since].max()), float(bars.low[since].min())
    position = Held(
        side=Side.BUY if holding.sign > 0 else Side.SELL,
        entry_price=holding.entry_price,
        bars=held,
        best=high if holding.sign > 0 else low,
        worst=low if holding.sign > 0 else high,
        stop=None if holding.stop is None else float(holding.stop),
    )
    leaves = how.exit(ClosedBar(bars, signals.columns, row), position)
    return "the strategy's own exit" if leaves else None


def trailed(bars: SessionBars, row: int, holding: Holding, trail: int) -> int | None:
    """Return where a trailing stop belongs after bar `row`, in units; None where it stays.

    It follows the best price since the entry at the distance `trail` (units), on a tick away from
    the market, and is never moved back.
    """
    if not trail:
        return None
    since = slice(holding.entry_row, row + 1)
    best = int(
        price_units(bars.high[since]).max()
        if holding.sign > 0
        else price_units(bars.low[since]).min()
    )
    level = best - holding.sign * trail
    step = _CENT if level >= UNITS_PER_USD else 1
    level = level // step * step if holding.sign > 0 else -(-level // step) * step
    if level <= 0:
        return None
    stands = None if holding.stop is None else to_units(holding.stop)
    better = stands is None or (level - stands) * holding.sign > 0
    return level if better else None
