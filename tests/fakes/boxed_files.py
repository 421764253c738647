"""Strategies' files in both forms for the box, and a round of them in and out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from roboinvest.core.strategy import Strategy
from tests.fakes.sandboxes import needs
from tests.fakes.strategy_files import CROSSING, PULLBACK, loaded
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.job import Limits
from tools.sandbox.tier import Tier

HEAD: Final = """
NAME = "probe"
VERSION = "1"
IDEA = "None."
SOURCE = "a test"
TIMEFRAME = "any"
"""
IMPORTS: Final = """
from roboinvest.core.orders import Side
from roboinvest.core.quant.calculators.averages import ema, sma
from roboinvest.core.quant.calculators import session
from roboinvest.core.quant.conditions import above, below, crosses_above, crosses_below
from roboinvest.core.quant.conditions import either, every, once_a_session, was
from roboinvest.core.strategy import (
    AtColumn, Dollars, Entry, EquityShare, Execution, Multiple, Param, Percent, Plan, Reward,
    RiskShare, Scan, Shares, Strategy, Timeframes,
)
"""

BOTH_WAYS: Final = (
    IMPORTS
    + HEAD
    + """
SHORTS = True
PARAMS = {"fast": (4, 2, 50), "slow": (15, 3, 200)}

def columns(p):
    return {"fast": ema(p["fast"]), "slow": ema(p["slow"], of="close")}

def scan(now, p):
    gap, before = now("fast") - now("slow"), now("fast", 1) - now("slow", 1)
    if gap > 0 >= before:
        return Entry()
    if gap < 0 <= before:
        return Entry(side=Side.SELL, stop=now("close") * 1.01)
    return None

def execution(p):
    return Execution(size=Shares(40), stop=Percent(0.004), trail=Percent(0.002), max_bars=30)
"""
)

ARITHMETIC: Final = (
    IMPORTS
    + HEAD
    + """
import math
import numpy as np
PARAMS = {"length": (12, 2, 200)}

def scan(now, p):
    closes = np.array([now("close", back) for back in range(p["length"])])
    if np.isnan(closes).any() or now("minutes_left") < 20:
        return False
    spread = closes.std()
    return spread > 0 and (now("close") - closes.mean()) / spread < -1.2

def leave(now, held, p):
    stop = held.stop if held.stop is not None else -math.inf
    tired = held.bars >= 3 and now("close") > held.entry_price
    return tired or now("low") - stop < 0.01 or held.best - held.worst > 0.6

def execution(p):
    return Execution(size=RiskShare(0.001), stop=Percent(0.003), flat_before_close_min=5.0)
"""
)

PAIR: Final = (
    IMPORTS
    + HEAD
    + """
SYMBOLS = 2
PARAMS = {"back": (5, 1, 60)}

def scan(now, p):
    peer = "BBB" if now.symbol == "AAA" else "AAA"
    mine = now("close") / now("close", p["back"]) if now("close", p["back"]) else 1.0
    theirs = now.other(peer) / now.other(peer, p["back"])
    return mine < theirs - 0.0005

def leave(now, held, p):
    peer = "BBB" if now.symbol == "AAA" else "AAA"
    return held.bars > 4 and now.other(peer) < now.other(peer, 2)

def execution(p):
    return Execution(size=EquityShare(0.3), stop=Percent(0.01), target=Percent(0.006))
"""
)

CONDITIONS: Final = (
    IMPORTS
    + HEAD
    + """
PARAMS = {"period": (9, 2, 200)}

def columns(p):
    return {"mean": sma(p["period"]), "open0": session.session_open()}

def scan(p):
    back = every(above("close", "open0"), was(below("close", "mean")))
    return Scan(long=once_a_session(either(crosses_above("close", "mean"), back)))

def execution(p):
    return Execution(size=Dollars(5000.0), stop=Percent(0.004), target=Reward(1.5))
"""
)

CALLS_IN_A_STRATEGY: Final = (
    IMPORTS
    + """
def build(p):
    def scan(now):
        return now("close") > now("mean") and now("close", 1) <= now("mean", 1)

    def tired(now, held):
        return now("low") < now("mean") - 0.1

    return Plan(
        columns={"mean": sma(p["period"]), "far": session.session_high()},
        scan=scan,
        execution=Execution(stop=Percent(0.01), target=Reward(2.0), exit=tired),
    )

STRATEGY = Strategy(
    name="mine", version="2", idea="None.", source="a test", timeframe=Timeframes.INTRADAY,
    params=(Param(name="period", default=7, low=2, high=90),), build=build,
)
"""
)

FILES: Final[Mapping[str, str]] = {
    "pullback": PULLBACK,
    "conditions of a Strategy": CROSSING,
    "both ways, trailing": BOTH_WAYS,
    "arithmetic of its own": ARITHMETIC,
    "a pair": PAIR,
    "conditions": CONDITIONS,
    "calls of a Strategy": CALLS_IN_A_STRATEGY,
}


@contextmanager
def boxes_of(tier: Tier, *, workers: int = 2, limits: Limits | None = None) -> Iterator[Boxes]:
    """Open boxes of a tier, where the machine has it."""
    needs(tier)
    with Boxes(tier, workers=workers, limits=limits or Limits(cpu_s=2, wall_s=20.0)) as boxes:
        yield boxes


def twins(folder: Path, source: str, boxes: Boxes) -> tuple[Strategy, Strategy]:
    """Return a file's strategy in the box, and out of it."""
    return boxed_strategy(source, "code/strategy.py", boxes), loaded(folder, source)
