"""Holding over the night, between the last minutes of a session and the first of the next.

An order that was not filled by the close dies with its session, and one sent after it would buy at
the next open what was meant to be sold there. So the entry ends before the last bar does, and
whatever is held outside of these minutes is sold, whichever bar comes first.
"""

from __future__ import annotations

from roboinvest.core.quant.calculators.session import session_move
from roboinvest.core.quant.conditions import (
    above,
    at_least,
    at_most,
    every,
    once_a_session,
)
from roboinvest.core.strategy import Execution, Param, Plan, Scan, Strategy, Timeframes, Values
from tools.strategies.library.protection import protective, stop_frac


def overnight_momentum() -> Strategy:
    """Buy in the last minutes of a session that rose, sell after the next one opened."""
    return Strategy(
        name="overnight_momentum",
        version="1",
        idea="Who bought all day is not done at the close, and most of what stocks earn they earn "
        "overnight.",
        source="Lou, Polk and Skouras, A Tug of War: Overnight Versus Intraday Expected Returns, "
        "Journal of Financial Economics 2019 (theirs ranks many stocks by past nights)",
        timeframe=Timeframes.INTRADAY,
        params=(
            Param(
                name="min_move",
                default=0.005,
                low=0.0,
                high=0.1,
                step=0.001,
                text="rise of the session from its open, fraction",
            ),
            Param(
                name="entry_min",
                default=15,
                low=2,
                high=60,
                step=5,
                text="minutes before the close from which it buys; longer than a bar",
            ),
            Param(
                name="leave_min",
                default=1,
                low=0,
                high=120,
                step=5,
                text="minutes after the next open from which it sells",
            ),
            stop_frac(0.03),
        ),
        build=_overnight,
    )


def _overnight(p: Values) -> Plan:
    closing = every(at_most("minutes_left", p["entry_min"]), above("minutes_left", 0.0))
    return Plan(
        columns={"move": session_move()},
        scan=Scan(long=once_a_session(every(closing, at_least("move", p["min_move"])))),
        execution=Execution(
            stop=protective(p["stop_frac"]),
            exit=every(
                above("minutes_left", p["entry_min"]), at_least("minutes_open", p["leave_min"])
            ),
        ),
    )
