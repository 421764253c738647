"""Trend following by averages: in while the short view stands over the long one."""

from __future__ import annotations

from collections.abc import Callable

from roboinvest.core.quant.calculators.averages import ema, sma
from roboinvest.core.quant.calculators.momentum import macd_line, macd_signal
from roboinvest.core.quant.conditions import below, crosses_above
from roboinvest.core.strategy import (
    Calculator,
    Execution,
    Param,
    Plan,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.strategies.library.protection import in_order, protective, stop_frac


def sma_crossover() -> Strategy:
    """Buy when the fast simple average crosses the slow one upwards, sell when it is below."""
    return Strategy(
        name="sma_crossover",
        version="1",
        idea="A price whose recent mean rises over its older mean is in a trend that may last.",
        source="Brock, Lakonishok and LeBaron, Simple Technical Trading Rules and the Stochastic "
        "Properties of Stock Returns, Journal of Finance 1992",
        timeframe=Timeframes.ANY,
        params=(_bars("fast", 20), _bars("slow", 50), stop_frac(0.05)),
        build=lambda p: _crossover(sma, p),
    )


def ema_crossover() -> Strategy:
    """Buy when the fast exponential average crosses the slow one upwards, sell when it is below."""
    return Strategy(
        name="ema_crossover",
        version="1",
        idea="An average that forgets old bars smoothly turns sooner at the start of a trend.",
        source="practice; exponential averages of 12 and 26 bars are those of Gerald Appel's MACD",
        timeframe=Timeframes.ANY,
        params=(_bars("fast", 12), _bars("slow", 26), stop_frac(0.05)),
        build=lambda p: _crossover(ema, p),
    )


def macd() -> Strategy:
    """Buy when the MACD line crosses its signal upwards, sell when it is below."""
    return Strategy(
        name="macd",
        version="1",
        idea="When the distance of two averages grows faster than of late, a move gains force.",
        source="Gerald Appel, The Moving Average Convergence-Divergence Trading Method, 1979",
        timeframe=Timeframes.ANY,
        params=(
            _bars("fast", 12),
            _bars("slow", 26),
            Param(name="signal", default=9, low=2, high=100, step=1, text="bars of the signal"),
            stop_frac(0.05),
        ),
        build=_macd,
    )


def _bars(name: str, default: int) -> Param:
    return Param(
        name=name, default=default, low=2, high=400, step=1, text=f"bars of the {name} average"
    )


def _crossover(average: Callable[[int], Calculator], p: Values) -> Plan:
    in_order(p, "fast", "slow")
    return Plan(
        columns={"fast": average(int(p["fast"])), "slow": average(int(p["slow"]))},
        scan=Scan(long=crosses_above("fast", "slow")),
        execution=Execution(stop=protective(p["stop_frac"]), exit=below("fast", "slow")),
    )


def _macd(p: Values) -> Plan:
    in_order(p, "fast", "slow")
    fast, slow, signal = int(p["fast"]), int(p["slow"]), int(p["signal"])
    return Plan(
        columns={"line": macd_line(fast, slow), "signal": macd_signal(fast, slow, signal)},
        scan=Scan(long=crosses_above("line", "signal")),
        execution=Execution(stop=protective(p["stop_frac"]), exit=below("line", "signal")),
    )
