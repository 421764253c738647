"""A strategy that fails is held with the reason, and what it failed with is counted on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from roboinvest.core.errors import StrategyFailed, TryLater
from roboinvest.core.events import Asks, TickCompleted
from roboinvest.core.orders import Action
from roboinvest.core.strategy import EquityShare, Execution, Moment, Percent, Plan
from roboinvest.runtime.vendors.rate_limiter import Lane
from roboinvest.trading.graph import TICK_TIMEOUT_S
from roboinvest.trading.installed_strategy import Elsewhere, Installed, InstalledStrategyAgent
from roboinvest.trading.installed_strategy_asks import MOST_LINES, Tally, line_of_failure
from tests.fakes.house import flat_bars, house
from tests.fakes.markets import minute
from tests.fakes.models import ScriptedModel, hold
from tests.fakes.town import Town, run_life
from tests.fakes.virtual_time import run_virtual
from tests.fakes.worlds import invented
from tools.calendar import ExchangeCalendar

ResultT = TypeVar("ResultT")
Scan = Callable[[Moment], Any]


def lived(folder: Path, scan: Scan, elsewhere: Elsewhere | None = None) -> Town:
    """Live ten minutes with two symbols."""
    market = invented(7, ("AAA", "BBB"), minutes=15, sessions=1, history=1)
    town = Town(market=market, folder=folder)
    how = Execution(size=EquityShare(0.1), stop=Percent(0.02))
    plan = Plan(columns={}, scan=scan, execution=how)
    town.installed = Installed(stamp="dip@2", plan=plan, elsewhere=elsewhere)
    town.until = market.starts_at + timedelta(minutes=10)
    run_life(town)
    return town


def asks_of(town: Town) -> list[Asks]:
    found = [event.asks for event in town.bus.all_said(TickCompleted)]
    assert all(each is not None for each in found)
    return [each for each in found if each is not None]


def summaries(town: Town) -> list[tuple[Action, str]]:
    return [
        (each.action, each.summary)
        for state in town.states
        for each in state["strategy"].decisions
        if "no bar" not in each.summary
    ]


def test_what_its_code_raises_holds_the_symbol_and_is_counted_as_what_it_is(tmp_path: Path) -> None:
    def scan(now: Moment) -> bool:
        return bool(1 / (0 if now.symbol == "AAA" else 1)) and False

    town = lived(tmp_path, scan)
    assert len(town.states) == 10  # it stopped nothing
    said = [text for _, text in summaries(town) if "AAA" in text]
    assert said
    assert all("the strategy failed: ZeroDivisionError: division by zero" in each for each in said)
    assert {action for action, _ in summaries(town)} == {Action.HOLD}
    last = asks_of(town)[-1]
    ((line, count),) = last.failures
    assert (last.answered, last.failed, count) == (1, 1, 1)
    assert line.startswith("ZeroDivisionError<ArithmeticError> own test_installed_strategy_fail")
    assert last.seconds >= 0.0


def test_a_bad_answer_and_a_library_that_is_called_wrongly_are_its_own_fault(
    tmp_path: Path,
) -> None:
    def scan(now: Moment) -> Any:
        return 7 if now.symbol == "AAA" else bool(np.linalg.inv(np.zeros((2, 2)))[0, 0])

    lines = [line for line, _ in asks_of(lived(tmp_path, scan))[-1].failures]
    assert len(lines) == 2
    assert lines[0].startswith("BadInput own signals.py:")
    assert lines[1].startswith("LinAlgError<ValueError> own test_installed_strategy_fail")


class Away:
    """A box that is not there."""

    async def run(self, call: Callable[[], ResultT], *, lane: Lane, deadline_s: float) -> ResultT:
        """Fail."""
        raise TryLater("the box is away")


def test_a_box_that_is_away_is_no_fault_of_the_strategy(tmp_path: Path) -> None:
    town = lived(tmp_path, lambda _: False, Away())
    assert all("the strategy failed: the box is away" in text for _, text in summaries(town))
    ((line, count),) = asks_of(town)[-1].failures
    assert line.startswith("TryLater own ")
    assert count == 2


class Slow:
    """A box that answers, each time after most of what one symbol is given."""

    def __init__(self) -> None:
        self.asked = 0

    async def run(self, call: Callable[[], ResultT], *, lane: Lane, deadline_s: float) -> ResultT:
        """Answer late."""
        self.asked += 1
        await asyncio.sleep(min(deadline_s, 0.45))
        return call()


def test_a_slow_strategy_with_many_symbols_leaves_the_tick_the_time_to_end(tmp_path: Path) -> None:
    symbols = tuple(f"S{number:03}" for number in range(200))
    bars = [each for symbol in symbols for each in flat_bars(9, symbol=symbol)]
    how = Execution(size=EquityShare(0.1), stop=Percent(0.02))
    plan, box = Plan(columns={}, scan=lambda _: False, execution=how), Slow()

    async def script() -> tuple[float, Sequence[str], Asks | None]:
        one = house(
            tmp_path, bars, ScriptedModel(lambda inputs, brief: hold(brief.observation.symbol))
        )
        state = await one.tick(minute(3))
        agent = InstalledStrategyAgent(
            Installed(stamp="dip@2", plan=plan, elsewhere=box),
            one.feed,
            ExchangeCalendar(),
            one.account,
            one.playbook,
        )
        began_at = asyncio.get_running_loop().time()
        found = (await agent(state))["strategy"]
        took_s = asyncio.get_running_loop().time() - began_at
        return took_s, [each.summary for each in found.decisions], found.asks

    took_s, said, asks = run_virtual(script)
    assert took_s < TICK_TIMEOUT_S * 0.75
    assert asks is not None
    assert (len(said), asks.answered + asks.failed) == (200, 200)
    assert asks.answered == box.asked
    assert "no time was left in this tick to ask about it" in said[-1]


def test_an_answer_that_did_not_come_in_time_is_counted_as_too_slow() -> None:
    assert line_of_failure(TryLater("no answer"), late=True) == "TooSlow own: no answer"
    known = StrategyFailed("mine@2: its scan failed")
    known.line = "KeyError own strategy.py:3: close"
    assert line_of_failure(known, late=False) == known.line


def test_many_different_failures_are_few_lines_and_none_is_lost() -> None:
    tally = Tally()
    for number in range(100):
        tally.failed(f"Error{number} own")
    asks = tally.asks()
    assert len(asks.failures) == MOST_LINES
    assert asks.failed == 100
