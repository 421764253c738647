"""The session's volume-weighted price as a line that buyers hold, or win back."""

from __future__ import annotations

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.arguments import declared
from roboinvest.core.quant.calculators.session import session_vwap
from roboinvest.core.quant.calculators.volatility import atr
from roboinvest.core.quant.conditions import Condition, above, at_least, at_most, every
from roboinvest.core.strategy import (
    Calculator,
    Execution,
    Multiple,
    Param,
    Plan,
    Reward,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.strategies.library.protection import (
    flat_before,
    no_entry_before,
    reach,
    reward,
    stop_atr,
)


def vwap_bounce() -> Strategy:
    """Buy when a price that held over VWAP dips to it and closes above it again."""
    return Strategy(
        name="vwap_bounce",
        version="1",
        idea="Who must buy a lot is measured by VWAP, so buyers wait there in a session that holds "
        "above it.",
        source="practice, as in Andrew Aziz, How to Day Trade for a Living, 2016; VWAP as the "
        "yardstick of large orders: Berkowitz, Logue and Noser, Journal of Finance 1988",
        timeframe=Timeframes.INTRADAY,
        params=(_held(15, "above"), *_levels(2.0, 2.0)),
        build=_bounce,
    )


def vwap_reclaim() -> Strategy:
    """Buy when a price that lay under VWAP closes above it."""
    return Strategy(
        name="vwap_reclaim",
        version="1",
        idea="When a weak session wins its average price back, those who sold it short buy.",
        source="practice of day traders; no study known to its author shows an edge",
        timeframe=Timeframes.INTRADAY,
        params=(_held(60, "below"), *_levels(3.0, 2.0)),
        build=_reclaim,
    )


def held(side: int) -> Calculator:
    """Return how many bars before this one closed, without a break in their session, on one side.

    `side` is +1 for above VWAP and -1 for below.
    """
    vwap = session_vwap()

    def compute(bars: SessionBars) -> Floats:
        n = len(bars)
        row = np.arange(n)
        with np.errstate(invalid="ignore"):
            there = (bars.close - vwap.compute(bars)) * side > 0.0
        last_break = np.maximum.accumulate(np.where(there, -1, row)) if n else row
        starts = np.searchsorted(bars.day, bars.day, side="left")
        count = np.minimum(row - last_break, row - starts + 1).astype(np.float64)
        before = np.zeros(n)
        before[1:] = np.where(bars.day[1:] == bars.day[:-1], count[:-1], 0.0)
        return before

    return declared("held", 0, compute, side)


def _held(default: int, side: str) -> Param:
    text = f"bars of the session that closed {side} VWAP just before"
    return Param(name="held_bars", default=default, low=1, high=240, step=5, text=text)


def _levels(stop: float, target: float) -> tuple[Param, ...]:
    return (
        Param(name="atr_bars", default=14, low=2, high=100, step=1, text="bars of the ATR"),
        stop_atr(stop),
        reward(target),
        no_entry_before(60),
        flat_before(),
    )


def _bounce(p: Values) -> Plan:
    dipped = every(at_most("low", "vwap"), above("close", "vwap"))
    return _plan(p, 1, every(at_least("held", p["held_bars"]), dipped))


def _reclaim(p: Values) -> Plan:
    return _plan(p, -1, every(at_least("held", p["held_bars"]), above("close", "vwap")))


def _plan(p: Values, side: int, scan: Condition) -> Plan:
    """Return the plan of either; `side` is where the bars before closed, see `held`."""
    times = float(p["stop_atr"])
    return Plan(
        columns={
            "vwap": session_vwap(),
            "held": held(side),
            "atr": atr(int(p["atr_bars"])),
            "reach": reach(times),
        },
        scan=Scan(long=every(scan, at_most("atr", "reach"))),
        execution=Execution(
            stop=Multiple("atr", times),
            target=Reward(float(p["reward"])),
            flat_before_close_min=p["flat_before_close_min"],
            no_entry_before_close_min=p["no_entry_before_close_min"],
        ),
    )
