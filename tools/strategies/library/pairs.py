"""Two symbols that move together: buy the one that fell behind, sell the other short."""

from __future__ import annotations

from roboinvest.core.quant.calculators.peers import ratio_zscore
from roboinvest.core.quant.conditions import crosses_above, crosses_below
from roboinvest.core.strategy import (
    EquityShare,
    Execution,
    ExitCall,
    Held,
    Moment,
    Param,
    Plan,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.strategies.library.protection import in_order, protective, stop_frac


def pairs() -> Strategy:
    """Trade the ratio of two prices back to its mean; each symbol is one leg."""
    return Strategy(
        name="pairs",
        version="1",
        idea="Two prices with the same drivers part for a while and meet again.",
        source="Gatev, Goetzmann and Rouwenhorst, Pairs Trading: Performance of a Relative-Value "
        "Arbitrage Rule, Review of Financial Studies 2006 (theirs chooses the pairs)",
        timeframe=Timeframes.ANY,
        params=(
            Param(
                name="period", default=60, low=10, high=400, step=10, text="bars of mean and spread"
            ),
            Param(
                name="entry_z",
                default=2.0,
                low=0.5,
                high=5.0,
                step=0.25,
                text="standard deviations of the ratio from its mean to enter at",
            ),
            Param(
                name="exit_z",
                default=0.5,
                low=0.0,
                high=3.0,
                step=0.25,
                text="standard deviations from the mean to leave at",
            ),
            stop_frac(0.1),
        ),
        build=_pairs,
        symbols=2,
        shorts=True,
    )


def _pairs(p: Values) -> Plan:
    in_order(p, "exit_z", "entry_z")
    entry = float(p["entry_z"])
    return Plan(
        columns={"z": ratio_zscore(int(p["period"]))},
        scan=Scan(long=crosses_below("z", -entry), short=crosses_above("z", entry)),
        execution=Execution(
            size=EquityShare(0.5),
            stop=protective(p["stop_frac"]),
            exit=_back_at_the_mean(float(p["exit_z"])),
        ),
    )


def _back_at_the_mean(exit_z: float) -> ExitCall:
    """Return the exit, which a condition cannot say: it asks for the side that is held."""

    def leave(now: Moment, held: Held) -> bool:
        return now("z") * held.side.sign >= -exit_z

    return leave
