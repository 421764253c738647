"""Buying what fell too far, in the hope that it comes back to its mean."""

from __future__ import annotations

from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.calculators.momentum import rsi
from roboinvest.core.quant.calculators.volatility import bollinger_lower, bollinger_middle
from roboinvest.core.quant.conditions import above, at_least, crosses_below, every
from roboinvest.core.strategy import Execution, Param, Plan, Scan, Strategy, Timeframes, Values
from tools.strategies.library.protection import protective, stop_frac


def rsi_mean_reversion() -> Strategy:
    """Buy when a short RSI falls below a low mark in an upward trend, sell when it recovered."""
    return Strategy(
        name="rsi_mean_reversion",
        version="1",
        idea="In an upward trend a few bad bars in a row are more often a pause than a turn.",
        source="Connors and Alvarez, Short Term Trading Strategies That Work, 2008 (theirs leaves "
        "by a five-day average and has no stop)",
        timeframe=Timeframes.ANY,
        params=(
            Param(name="period", default=2, low=2, high=50, step=1, text="bars of the RSI"),
            Param(name="oversold", default=10, low=1, high=45, step=1, text="RSI to buy below"),
            Param(name="recovered", default=65, low=50, high=99, step=1, text="RSI to sell from"),
            Param(
                name="trend",
                default=200,
                low=2,
                high=400,
                step=10,
                text="bars of the average that the close must be above",
            ),
            stop_frac(0.05),
        ),
        build=_rsi,
    )


def bollinger_fade() -> Strategy:
    """Buy when the close falls through the lower band, sell at the middle."""
    return Strategy(
        name="bollinger_fade",
        version="1",
        idea="A close far below its mean, measured by its own spread, tends back towards it.",
        source="practice with the bands of John Bollinger, Bollinger on Bollinger Bands, 2001",
        timeframe=Timeframes.ANY,
        params=(
            Param(name="period", default=20, low=5, high=400, step=5, text="bars of the bands"),
            Param(
                name="deviations",
                default=2.0,
                low=0.5,
                high=5.0,
                step=0.25,
                text="standard deviations from the middle to a band",
            ),
            stop_frac(0.05),
        ),
        build=_bollinger,
    )


def _rsi(p: Values) -> Plan:
    return Plan(
        columns={"rsi": rsi(int(p["period"])), "trend": sma(int(p["trend"]))},
        scan=Scan(long=every(crosses_below("rsi", p["oversold"]), above("close", "trend"))),
        execution=Execution(
            stop=protective(p["stop_frac"]), exit=at_least("rsi", float(p["recovered"]))
        ),
    )


def _bollinger(p: Values) -> Plan:
    period = int(p["period"])
    return Plan(
        columns={
            "lower": bollinger_lower(period, float(p["deviations"])),
            "middle": bollinger_middle(period),
        },
        scan=Scan(long=crosses_below("close", "lower")),
        execution=Execution(stop=protective(p["stop_frac"]), exit=at_least("close", "middle")),
    )
