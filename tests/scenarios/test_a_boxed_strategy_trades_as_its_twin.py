"""One file, in the box and out of it: a replay through the trading graph comes to the same fills,
and the loop goes on while the box is asked, hangs or is killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from roboinvest.core.events import TickCompleted
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Action
from roboinvest.core.strategy import Strategy, asks_elsewhere
from roboinvest.runtime.configuration.sections import RiskSettings
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane
from roboinvest.trading.installed_strategy import Elsewhere, Installed
from tests.fakes.boxed_files import (
    ARITHMETIC,
    BOTH_WAYS,
    CALLS_IN_A_STRATEGY,
    PAIR,
    boxes_of,
    twins,
)
from tests.fakes.town import Town, run_life
from tests.fakes.worlds import invented
from tests.scenarios.test_a_strategy_decides_alike_everywhere import (
    MINUTES,
    SESSIONS,
    bars_of,
    played,
    terms_of,
)
from tools.backtester.contract import Request
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.markets import Market
from tools.sandbox.job import Limits
from tools.sandbox.tier import Tier

SYMBOLS = ("AAA", "BBB")
HISTORY = 2
FILES = {
    "both ways, trailing": BOTH_WAYS,
    "arithmetic of its own": ARITHMETIC.replace('length": (12', 'length": (6'),
    "a pair": PAIR,
    "calls of a Strategy": CALLS_IN_A_STRATEGY,
}
SETTINGS = Settings().model_copy(update={"risk": RiskSettings(allow_short=True)})
ResultT = TypeVar("ResultT")


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with boxes_of(Tier.B) as made:
        yield made


def world() -> Market:
    return invented(5, SYMBOLS, minutes=MINUTES, sessions=SESSIONS, history=HISTORY)


@contextmanager
def town_of(strategy: Strategy, folder: Path) -> Iterator[Town]:
    """Build a town that trades by a strategy as the daemon does."""
    market, in_flight = world(), InFlight()
    calls = VendorCalls("the box", threads=2, limiter=None, in_flight=in_flight)
    plan = strategy.plan(strategy.values({}), len(SYMBOLS))
    installed = Installed(
        stamp=strategy.stamp, plan=plan, elsewhere=calls if asks_elsewhere(plan) else None
    )
    town = Town(market=market, folder=folder, settings=SETTINGS, in_flight=in_flight)
    town.installed = installed
    try:
        yield town
    finally:
        calls.close()


def fills_of(strategy: Strategy, folder: Path) -> list[tuple[object, ...]]:
    with town_of(strategy, folder) as town:
        run_life(town)
    fills = [fill for commit in town.commits for fill in commit.fills]
    return [(f.symbol, f.filled_at, f.leg, f.qty, f.price, f.commission) for f in fills]


QUICK = ("a pair",)  # the others are a campaign


@pytest.mark.parametrize(
    "what",
    [
        *QUICK,
        *(pytest.param(each, marks=pytest.mark.campaign) for each in FILES if each not in QUICK),
    ],
)
def test_a_replay_and_the_simulator_fill_alike_in_and_out_of_the_box(
    boxes: Boxes, what: str, tmp_path: Path
) -> None:
    boxed, plain = twins(tmp_path, FILES[what], boxes)
    market = world()
    request = Request(
        strategy=boxed,
        values=boxed.values({}),
        bars=bars_of(market, history=HISTORY),
        timeframe=Timeframe.MINUTE,
        terms=terms_of(SETTINGS),
        first=market.starts_at.date(),
    )
    fills = fills_of(boxed, tmp_path / "boxed")
    assert len(fills) >= 4
    assert fills == fills_of(plain, tmp_path / "plain")
    assert fills == played(request, "simulator")
    assert fills == played(replace(request, strategy=plain), "simulator")


class Breaking:
    """Asks elsewhere, and does harm to the boxes before some questions."""

    def __init__(self, calls: Elsewhere, harm: Callable[[int], None]) -> None:
        self._calls, self._harm, self.asked = calls, harm, 0

    async def run(self, call: Callable[[], ResultT], *, lane: Lane, deadline_s: float) -> ResultT:
        """Return what `call()` returns, after the harm was done."""
        self.asked += 1
        self._harm(self.asked)
        return await self._calls.run(call, lane=lane, deadline_s=deadline_s)


@pytest.mark.campaign
def test_a_box_killed_again_and_again_changes_no_fill(boxes: Boxes, tmp_path: Path) -> None:
    boxed, plain = twins(tmp_path, CALLS_IN_A_STRATEGY, boxes)

    def harm(asked: int) -> None:
        if asked % 40 == 0:
            for pid in boxes.pids:
                os.kill(pid, signal.SIGKILL)

    with town_of(boxed, tmp_path / "boxed") as town:
        assert town.installed is not None
        assert town.installed.elsewhere is not None
        breaking = Breaking(town.installed.elsewhere, harm)
        town.installed = replace(town.installed, elsewhere=breaking)
        run_life(town)
    fills = [fill for commit in town.commits for fill in commit.fills]
    assert breaking.asked > 100
    told = [(f.symbol, f.filled_at, f.leg, f.qty, f.price, f.commission) for f in fills]
    assert told == fills_of(plain, tmp_path / "plain")


HANGS = (
    CALLS_IN_A_STRATEGY.replace(
        "stop=Percent(0.01)", "flat_before_close_min=5.0, stop=Percent(0.01)"
    )
    .replace(
        "    def scan(now):\n",
        "    def scan(now):\n"
        "        while now('minutes_open') >= 54 and p['hangs']:\n            pass\n",
    )
    .replace("params=(", "params=(Param(name='hangs', default=1, low=0, high=1),")
)


def test_a_strategy_that_hangs_is_held_with_the_reason_and_left_on_time(tmp_path: Path) -> None:
    with boxes_of(Tier.B, limits=Limits(cpu_s=1, wall_s=20.0)) as boxes:
        boxed = boxed_strategy(HANGS, "code/strategy.py", boxes)
        with town_of(boxed, tmp_path) as town:
            town.until = town.market.starts_at + timedelta(minutes=57)
            begun = town.market.starts_at + timedelta(minutes=53)
            run_life(town)
    late = [
        decision
        for state in town.states
        if state["tick"].at > begun
        for decision in state["strategy"].decisions
    ]
    said = [decision.summary for decision in late]
    assert any("the strategy failed: mine@2: the box ended it: cpu" in each for each in said), said
    assert all(d.action is Action.HOLD or "about to end" in d.summary for d in late)
    asks = [event.asks for event in town.bus.all_said(TickCompleted)]
    lines = {line for each in asks if each is not None for line, _ in each.failures}
    assert lines
    assert all(line.startswith("TooMuchProcessor own: it used") for line in lines)
