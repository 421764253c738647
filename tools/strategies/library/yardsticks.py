"""What any strategy must beat: doing nothing after one purchase, and chance."""

from __future__ import annotations

from roboinvest.core.quant.calculators.chance import coin
from roboinvest.core.quant.conditions import above, below
from roboinvest.core.strategy import Execution, Param, Plan, Scan, Strategy, Timeframes, Values
from tools.strategies.library.protection import protective, stop_frac


def buy_and_hold() -> Strategy:
    """Buy at the first chance and never sell."""
    return Strategy(
        name="buy_and_hold",
        version="1",
        idea="Whoever bears the risk of owning stocks is paid for it, and pays costs once.",
        source="practice; the benchmark of every study",
        timeframe=Timeframes.ANY,
        params=(stop_frac(0.0),),
        build=_buy_and_hold,
    )


def random_entry() -> Strategy:
    """Buy by a coin thrown at every bar, leave some bars later: the null hypothesis."""
    return Strategy(
        name="random_entry",
        version="1",
        idea="None: it loses its costs against the market, and a strategy must do better.",
        source="the null of Brock, Lakonishok and LeBaron, Journal of Finance 1992, and of any "
        "permutation test",
        timeframe=Timeframes.ANY,
        params=(
            Param(name="seed", default=1, low=0, high=1_000_000, step=1, text="of the coin"),
            Param(
                name="chance",
                default=0.02,
                low=0.0001,
                high=1.0,
                step=0.01,
                text="probability to enter at a bar",
            ),
            Param(name="max_bars", default=20, low=1, high=10_000, step=5, text="closed bars held"),
            stop_frac(0.0),
        ),
        build=_random,
    )


def _buy_and_hold(p: Values) -> Plan:
    return Plan(
        columns={},
        scan=Scan(long=above("close", 0.0)),
        execution=Execution(stop=protective(p["stop_frac"])),
    )


def _random(p: Values) -> Plan:
    return Plan(
        columns={"coin": coin(int(p["seed"]))},
        scan=Scan(long=below("coin", p["chance"])),
        execution=Execution(stop=protective(p["stop_frac"]), max_bars=int(p["max_bars"])),
    )
