"""Fills that a market could have given: inside their bars, after their reason, in order.

This is about the engine and not about the strategy: an entry at a price that the bar never saw is
how a lab once earned 57 per cent with a strategy that loses 14.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import SUB_PENNY_TICK, Leg
from tools.backtester.contract import Cause, Played, Request, SimFill
from tools.backtester.leaks.findings import Detector, Finding, clean, not_applicable, suspected
from tools.backtester.leaks.sentences import moment

_BPS: Final = Decimal(10_000)
_AT_MARKET: Final = frozenset({Cause.SCAN, Cause.SIGNAL, Cause.TIME, Cause.CLOSE})


def fills_in_bars(request: Request, played: Played | None) -> Finding:
    """Return whether every fill lies in its bar and no exit before its entry."""
    if played is None:
        return not_applicable(Detector.FILLS, "the run could not be played")
    entered: dict[int, SimFill] = {}
    for fill in played.fills:
        for fault in _faults(fill, request.bars, request, entered):
            text = f"{fill.symbol} {fill.leg} at {moment(fill.at)}: {fault}"
            return suspected(Detector.FILLS, text)
        if fill.leg is Leg.ENTRY:
            entered.setdefault(fill.entry, fill)
    if not played.fills:
        return not_applicable(Detector.FILLS, "nothing was filled")
    return clean(Detector.FILLS, f"{len(played.fills)} fills lie in their bars, in order")


def _faults(
    fill: SimFill, tape: Mapping[str, SessionBars], request: Request, entered: dict[int, SimFill]
) -> Iterator[str]:
    bars = tape[fill.symbol]
    if not 0 <= fill.row < len(bars):
        yield f"row {fill.row} is not among the {len(bars)} bars"
        return
    slip = request.terms.rules.slippage_bps / _BPS
    low, high = Decimal(repr(float(bars.low[fill.row]))), Decimal(repr(float(bars.high[fill.row])))
    if not low * (1 - slip) - SUB_PENNY_TICK <= fill.price <= high * (1 + slip) + SUB_PENNY_TICK:
        yield f"the price {fill.price} is outside the bar's {low} to {high} with slippage"
    if fill.signal_row >= fill.row:
        yield f"it was decided at row {fill.signal_row} and filled in row {fill.row}"
    if not int(bars.ts[fill.row]) <= fill.at <= int(bars.closes_at[fill.row]):
        yield "the time lies outside its bar"
    if fill.leg is Leg.ENTRY and request.timeframe is not Timeframe.DAY:
        yield from _at_open(fill, bars, slip)
    if fill.leg is not Leg.ENTRY:
        first = entered.get(fill.entry)
        if first is None or first.row > fill.row:
            yield "it leaves a position before it was entered"


def _at_open(fill: SimFill, bars: SessionBars, slip: Decimal) -> Iterator[str]:
    """Yield a fault where a market order was not filled at the open."""
    opened = float(bars.open[fill.row])
    far = float(slip) * opened + 2.0 * float(SUB_PENNY_TICK)
    if fill.cause in _AT_MARKET and not np.isclose(float(fill.price), opened, rtol=0.0, atol=far):
        yield f"a market order filled at {fill.price} with the open at {opened:g}"
