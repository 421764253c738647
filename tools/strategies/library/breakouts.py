"""Following a price that leaves the room it lived in."""

from __future__ import annotations

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.arguments import declared
from roboinvest.core.quant.calculators.channels import donchian_high, donchian_low
from roboinvest.core.quant.calculators.volatility import atr
from roboinvest.core.quant.conditions import above, at_least, at_most, below, every
from roboinvest.core.strategy import (
    Calculator,
    Execution,
    Multiple,
    Param,
    Plan,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.strategies.library.protection import reach, stop_atr


def donchian_breakout() -> Strategy:
    """Buy a close over the highest high of some bars, sell one under the lowest low of fewer."""
    return Strategy(
        name="donchian_breakout",
        version="1",
        idea="Large trends begin with a new extreme, and few gains pay for many small losses.",
        source="the Turtles' first system (20 in, 10 out, stop at two ATR), as in Curtis Faith, "
        "Way of the Turtle, 2007; theirs enters inside the bar and adds to winners",
        timeframe=Timeframes.ANY,
        params=(
            Param(name="entry", default=20, low=2, high=400, step=5, text="bars of the high"),
            Param(name="leave", default=10, low=2, high=400, step=5, text="bars of the low"),
            _atr_bars(20),
            stop_atr(2.0),
        ),
        build=_donchian,
    )


def volatility_breakout() -> Strategy:
    """Buy after a bar that rose by more than usual bars move, and leave some bars later."""
    return Strategy(
        name="volatility_breakout",
        version="1",
        idea="A move that is large beside those before it was made by news or by a large buyer, "
        "and both take longer than a bar.",
        source="Larry Williams, Long-Term Secrets to Short-Term Trading, 1999 (theirs buys a share "
        "of the last range over the open, inside the bar)",
        timeframe=Timeframes.ANY,
        params=(
            _atr_bars(14),
            Param(
                name="thrust",
                default=1.5,
                low=0.25,
                high=5.0,
                step=0.25,
                text="rise of the close in one bar, multiple of the ATR before it",
            ),
            Param(name="max_bars", default=5, low=1, high=250, step=1, text="closed bars held"),
            stop_atr(1.5),
        ),
        build=_volatility,
    )


def thrust(period: int) -> Calculator:
    """Return the change of the close in one bar, in units of the ATR of the bars before it."""
    usual = atr(period)

    def compute(bars: SessionBars) -> Floats:
        moves = np.full(len(bars), np.nan)
        before = usual.compute(bars)[:-1]
        moved = before > 0.0
        moves[1:][moved] = np.diff(bars.close)[moved] / before[moved]
        return moves

    return declared("thrust", usual.warm_up + 1, compute, period)


def _atr_bars(default: int) -> Param:
    return Param(name="atr_bars", default=default, low=2, high=100, step=1, text="bars of the ATR")


def _donchian(p: Values) -> Plan:
    times = float(p["stop_atr"])
    return Plan(
        columns={
            "ceiling": donchian_high(int(p["entry"])),
            "floor": donchian_low(int(p["leave"])),
            "atr": atr(int(p["atr_bars"])),
            "reach": reach(times),
        },
        scan=Scan(long=every(above("close", "ceiling"), at_most("atr", "reach"))),
        execution=Execution(stop=Multiple("atr", times), exit=below("close", "floor")),
    )


def _volatility(p: Values) -> Plan:
    period, times = int(p["atr_bars"]), float(p["stop_atr"])
    return Plan(
        columns={"thrust": thrust(period), "atr": atr(period), "reach": reach(times)},
        scan=Scan(long=every(at_least("thrust", p["thrust"]), at_most("atr", "reach"))),
        execution=Execution(stop=Multiple("atr", times), max_bars=int(p["max_bars"])),
    )
