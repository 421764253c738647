"""Stages written by hand: what is wanted at which row, on a tape a person can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.grid import price_units, to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.quant.conditions import above
from roboinvest.core.signals import Signals
from roboinvest.core.strategy import Execution, Plan, Scan, Shares
from tools.backtester.contract import Part, Played, SimFill, Stage, Terms
from tools.backtester.simulator.simulator import play

NEVER = Scan(long=above("close", 0.0))  # the arrays are given, nobody asks
FREE = Terms(rules=FRICTIONLESS, allow_short=True)
Levels = Mapping[int, float]  # USD by row


def signals(
    bars: SessionBars,
    entries: Mapping[int, int],
    *,
    leave: Sequence[int] = (),
    late: Sequence[int] = (),
    stop: Levels | None = None,
    target: Levels | None = None,
    trail: Levels | None = None,
) -> Signals:
    """Return arrays that want an entry (+1 or -1) at some rows, with levels in USD there."""
    n = len(bars)
    entry, gone, over = np.zeros(n, np.int8), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for row, side in entries.items():
        entry[row] = side
    gone[list(leave)] = True
    over[list(late)] = True
    return Signals(
        entry=entry,
        leave=gone,
        late=over,
        stop=_units(stop, n),
        target=_units(target, n),
        trail=_units(trail, n),
        mark=price_units(bars.close),
        columns={"close": bars.close},
    )


def stage(
    parts: Mapping[str, tuple[SessionBars, Signals]],
    execution: Execution | None = None,
    *,
    timeframe: Timeframe = Timeframe.MINUTE,
    actions: Sequence[CorporateAction] = (),
    first_row: int = 0,
) -> Stage:
    """Return a stage of hand-written signals; a hundred shares unless `execution` says more."""
    plan = Plan(columns={}, scan=NEVER, execution=execution or Execution(size=Shares(100)))
    return Stage(
        plan=plan,
        timeframe=timeframe,
        parts={
            symbol: Part(bars=bars, signals=wants, first_row=first_row)
            for symbol, (bars, wants) in sorted(parts.items())
        },
        actions=actions,
    )


def played(
    bars: SessionBars,
    entries: Mapping[int, int],
    terms: Terms = FREE,
    execution: Execution | None = None,
    *,
    actions: Sequence[CorporateAction] = (),
    timeframe: Timeframe = Timeframe.MINUTE,
    leave: Sequence[int] = (),
    late: Sequence[int] = (),
    stop: Levels | None = None,
    target: Levels | None = None,
    trail: Levels | None = None,
) -> Played:
    """Play one symbol's hand-written signals."""
    wants = signals(bars, entries, leave=leave, late=late, stop=stop, target=target, trail=trail)
    one = stage({bars.symbol: (bars, wants)}, execution, actions=actions, timeframe=timeframe)
    return play(one, terms)


def only(bars: SessionBars, rows: Sequence[int]) -> SessionBars:
    """Return some rows of a tape; the others are missing."""
    columns = {
        name: getattr(bars, name)[list(rows)]
        for name in bars.__dataclass_fields__
        if name not in ("symbol", "others")
    }
    return SessionBars(symbol=bars.symbol, **columns)


def told(fill: SimFill) -> tuple[int, str, str, str]:
    """Return (row, shares, price, cause) of an execution, as a person writes them."""
    return fill.row, f"{fill.qty:f}", f"{fill.price:f}", fill.cause.value


def tale(played: Played) -> list[tuple[int, str, str, str]]:
    """Return what happened, execution by execution."""
    return [told(fill) for fill in played.fills]


def plain(*numbers: Decimal | float | None) -> tuple[float | None, ...]:
    """Return exact figures as plain ones, to be compared with what a person writes."""
    return tuple(None if number is None else float(number) for number in numbers)


def money(units: int) -> Decimal:
    """Return units of the equity curve as USD."""
    return Decimal(int(units)) / 10_000


def _units(levels: Levels | None, n: int) -> np.ndarray:
    column = np.zeros(n, np.int64)
    for row, price in (levels or {}).items():
        column[row] = to_units(Decimal(repr(float(price))))
    return column
