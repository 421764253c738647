"""A strategy whose figures are known beforehand, and ways to play it that fail on demand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.conditions import above
from roboinvest.core.strategy import (
    Execution,
    Param,
    Plan,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.backtester.contract import Request
from tools.backtester.run_book.notes import run_figures
from tools.backtester.run_book.sketch import sketch_of
from tools.backtester.search.jobs import Outcome, Play, days_of

CASH_UNITS = 1_000_000_000  # 100,000 USD


def hill_strategy(name: str = "hill", fingerprint: str = "f" * 64) -> Strategy:
    """Return a strategy with two whole parameters; fast must be below slow."""
    return Strategy(
        name=name,
        version="1.0",
        idea="Its profit is a hill over its parameters.",
        source="made for tests",
        timeframe=Timeframes.ANY,
        params=(
            Param(name="fast", default=10, low=1, high=40, step=5),
            Param(name="slow", default=30, low=2, high=80, step=10),
        ),
        build=hill_plan,
        fingerprint=fingerprint,
    )


def hill_plan(values: Values) -> Plan:
    """Return a plan, or refuse values that make none."""
    if values["fast"] >= values["slow"]:
        raise BadInput(f"fast={values['fast']} must be below slow={values['slow']}")
    return Plan(columns={}, scan=Scan(long=above("close", 0.0)), execution=Execution())


def hill_request(bars: Mapping[str, SessionBars], strategy: Strategy | None = None) -> Request:
    """Return a request for the strategy on these bars."""
    chosen = strategy or hill_strategy()
    return Request(strategy=chosen, values=chosen.values({}), bars=bars, timeframe=Timeframe.DAY)


class HillPlay:
    """Plays by formula: the drift falls with the distance from a peak, the noise is seeded."""

    def __init__(self, peak: Mapping[str, float] | None = None) -> None:
        self.peak = peak or {"fast": 10, "slow": 30}
        self.played: list[Request] = []

    def __call__(self, request: Request) -> Outcome:
        """Return what the values come to on the request's days."""
        self.played.append(request)
        return hill_outcome(request, self.peak)


def hill_outcome(request: Request, peak: Mapping[str, float]) -> Outcome:
    """Return an outcome that depends on days and values alone."""
    days = days_of(request.bars, request.first)
    far = sum(abs(request.values[name] - top) for name, top in peak.items())
    seed = [int(days[0]), *(int(request.values[name]) for name in sorted(request.values))]
    noise = np.random.default_rng(seed).normal(0.0, 0.005, len(days))
    growth = np.cumprod(1.0 + 0.002 - 0.0001 * far + noise)
    equity = np.concatenate(([CASH_UNITS], np.rint(CASH_UNITS * growth).astype(np.int64)))
    every = max(2, int(request.values["fast"]))
    bars = next(iter(request.bars.values()))
    return Outcome(
        days=days,
        daily_equity=equity,
        liquidated=int(equity[-1]) - 1000,
        figures=run_figures(equity, len(days) // every),
        entries=sketch_of({bars.symbol: bars.ts[::every]}),
        executor="fake",
        digest=f"{int(equity[-1]):x}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HillRecipe:
    """How a worker comes by it. Every combination played is a line in a file."""

    log: Path
    dies_at: int = 0  # fast of the combination that kills its process
    hangs_at: int = 0
    raises_at: int = 0
    waits_for: Path | None = None  # nothing is answered before this file is there
    waits_from: int = 0  # ... in combinations from this one on
    is_broken: bool = False

    def open(self, bars: Mapping[str, SessionBars]) -> tuple[Request, Play]:
        """Return the request and what plays it."""
        if self.is_broken:
            raise BadInput("strategies/mine.py cannot be read")
        return hill_request(bars), self._play

    def _play(self, request: Request) -> Outcome:
        fast = int(request.values["fast"])
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {fast} {request.values['slow']}\n")
        if fast == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if fast == self.hangs_at:
            threading.Event().wait(300.0)
        if fast == self.raises_at:
            raise ZeroDivisionError("float division by zero")
        if self.waits_for is not None and fast >= self.waits_from:
            wait_until(self.waits_for.exists)
        return hill_outcome(request, {"fast": 10, "slow": 30})


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Return when the condition holds; fail at the deadline."""
    looks = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if condition():
            return
        looks.wait(0.02)
    raise AssertionError(f"not within {timeout_s:g} s")


def renamed(strategy: Strategy, name: str) -> Strategy:
    """Return the same code under another name."""
    return replace(strategy, name=name)


def ordinal(days: np.ndarray, at: int) -> date:
    """Return a day of an array of ordinals."""
    return date.fromordinal(int(days[at]))
