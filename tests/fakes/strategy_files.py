"""A strategy's file as a person writes it, and what to do with one in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from roboinvest.core.strategy import Strategy
from tools.strategies.files import load_strategy

PULLBACK: Final = '''"""Buys a rising market after a few bars that fell."""

from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.calculators.volatility import atr
from roboinvest.core.strategy import Entry, EquityShare, Execution

NAME = "pullback"
VERSION = "1"
IDEA = "Who missed a rise buys when it pauses."
SOURCE = "an example"
TIMEFRAME = "any"
PARAMS = {
    "trend": (50, 5, 200),  # default, lowest, highest
    "falls": (3, 1, 10, 1, "closes in a row below the one before"),
    "stop_atr": (2.0, 0.5, 5.0),
}


def columns(p):
    return {"trend": sma(p["trend"]), "atr": atr(14)}


def scan(now, p):
    """Enter at the close of the last falling bar, with levels of its own."""
    fell = all(now("close", back) < now("close", back + 1) for back in range(p["falls"]))
    if not fell or now("close") <= now("trend"):
        return None
    far = p["stop_atr"] * now("atr")
    return Entry(stop=now("close") - far, target=now("close") + 2 * far)


def leave(now, held, p):
    return held.bars >= 10


def execution(p):
    return Execution(size=EquityShare(0.5))
'''

CROSSING: Final = '''"""The other form: one Strategy, made as those of the library are."""

from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import above, below
from roboinvest.core.strategy import Execution, Param, Percent, Plan, Scan, Strategy, Timeframes


def build(p):
    return Plan(
        columns={"mean": sma(p["period"])},
        scan=Scan(long=above("close", "mean")),
        execution=Execution(stop=Percent(0.05), exit=below("close", "mean")),
    )


STRATEGY = Strategy(
    name="over_the_mean",
    version="3",
    idea="What has risen goes on rising.",
    source="an example",
    timeframe=Timeframes.ANY,
    params=(Param(name="period", default=20, low=2, high=200),),
    build=build,
)
'''


def written(folder: Path, source: str | bytes, name: str = "idea.py") -> Path:
    """Write a file, and return its path."""
    path = folder / name
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return path


def loaded(folder: Path, source: str) -> Strategy:
    """Return the strategy of a file with this text."""
    return load_strategy(written(folder, source))
