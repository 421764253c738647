"""An installed strategy under the Overseer: it has a pulse, its failures a name; it goes back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import pytest

from meta_agents.overseer import Overseer
from meta_agents.overseer_senses import MOST_ASKS, TickSense
from roboinvest.app.roster import card_of_strategy
from roboinvest.core.events import Asks, TickCompleted
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import HealAttempt, Rung, Verdict
from roboinvest.core.oversight.health import Status
from roboinvest.core.revisions.lifecycle import SHORT
from roboinvest.core.strategy import Execution, Plan
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.installed_strategy_seat import Seat
from tests.fakes.clocks import START, ManualClock
from tests.fakes.overseen import World, lived
from tests.fakes.revisions import AgentHouse, agent_house, an_artifact

AGENT = "dipper"
NAME = "strategy dip@2"
ERROR = "ZeroDivisionError<ArithmeticError> own strategy.py:7: division by zero"
PLAN = Plan(columns={}, scan=lambda _: None, execution=Execution())
MINE = Installed(stamp="dip@2", plan=PLAN)
WELL = Asks(answered=3, seconds=0.6)
BAD = Asks(failures=((ERROR, 3),))


def attempts_in(folder: Path) -> list[HealAttempt]:
    with OverseerFile.open(folder / FILE_NAME) as file:
        return [each for each in reversed(HealAttempts(file).newest(100)) if each.agent == NAME]


def told_of(world: World) -> list[str]:
    return [each.message for each in world.raised() if each.key == f"agent.{NAME}"]


def no_rows() -> DataCounts:
    return DataCounts(rows=0, used=0, quarantined=0, by_reason={})


@pytest.mark.parametrize("asks", [WELL, Asks(), None], ids=["asked", "nothing to ask", "untold"])
def test_a_strategy_that_works_or_has_nothing_to_do_is_healthy_for_hours(
    tmp_path: Path, asks: Asks | None
) -> None:
    world = lived(tmp_path, 7_200.0, lambda _: None, installed=MINE, asks=lambda: asks)
    last = world.oversight.overseer.last
    assert last is not None
    assert last.healths[NAME].status is Status.HEALTHY
    assert world.raised() == []
    assert last.healths[NAME].signs.calls == (30 if asks is WELL else 0)


def test_a_strategy_that_raises_is_told_with_what_its_code_raised(tmp_path: Path) -> None:
    seen: list[Any] = []

    def plant(world: World) -> None:
        world.at(600.0, lambda: setattr(world, "asks", lambda: BAD))
        world.at(1_080.0, lambda: seen.append(world.oversight.overseer.last))

    world = lived(tmp_path, 1_200.0, plant, installed=MINE, asks=lambda: WELL)
    (last,) = seen
    assert last.healths[NAME].status is Status.FAILING
    assert last.causes[NAME].cause is Cause.OWN_CODE
    assert last.roots[NAME] == NAME
    assert last.healths["SimpleOrganicStrategyAgent"].status is Status.HEALTHY
    assert told_of(world)
    for text in told_of(world):
        assert "its own code raised ZeroDivisionError" in text
        assert "at strategy.py:7" in text
        assert "no progress" not in text


def governed(world: World) -> AgentHouse:
    found: AgentHouse = world.parts["revisions"]
    return found


def test_a_revision_that_raises_goes_back_under_its_agents_name_and_is_measured(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    with agent_house(tmp_path, clock) as house:
        first = house.installed(an_artifact(1, agent=AGENT))
        house.activate(first)
        clock.advance(86_400.0)
        second = house.installed(an_artifact(2, agent=AGENT), first.revision_id)
        house.activate(second)
        seat: Seat[Installed] = Seat(agent=AGENT, load=lambda _: MINE)
        mine = Installed(stamp="dip@2", plan=PLAN, revision=second.short, seat=seat)

        def asks() -> Asks:
            """Decide as the active revision does, and go along with the alias."""
            active = house.active(AGENT) or ""
            seat.take(dataclasses.replace(mine, revision=active[:SHORT]))
            return BAD if active == second.revision_id else WELL

        world = lived(tmp_path, 4_500.0, lambda _: None, installed=mine, asks=asks, began_h=25.0)
        assert house.active(AGENT) == first.revision_id
    pulled = [(each.rung, each.verdict) for each in attempts_in(tmp_path)]
    assert (Rung.REVISION_ROLLBACK, Verdict.HEALED) in pulled
    done = [each for each in pulled if each[1] is not Verdict.REFUSED]
    assert done == [(Rung.REVISION_ROLLBACK, Verdict.HEALED)]
    last = world.oversight.overseer.last
    assert last is not None
    assert last.healths[NAME].status is Status.HEALTHY
    assert first.short in last.cards[NAME].specialization  # it says whose turn it is
    assert AGENT not in last.cards  # one agent, watched under one name


def test_one_that_was_chosen_for_good_is_not_rolled_back(tmp_path: Path) -> None:
    with agent_house(tmp_path) as house:
        house.activate(house.installed(an_artifact(1, agent=AGENT)))
        second = house.installed(an_artifact(2, agent=AGENT))
    mine = Installed(stamp="dip@2", plan=PLAN, revision=second.short)
    lived(tmp_path, 1_800.0, lambda _: None, installed=mine, asks=lambda: BAD)
    rungs = {each.rung for each in attempts_in(tmp_path)}
    assert rungs
    assert Rung.REVISION_ROLLBACK not in rungs


def sensed(asks: Asks | None) -> tuple[Overseer, ManualClock]:
    clock = ManualClock()
    overseer = Overseer(clock)
    house_agent = AgentCard(name="SimpleOrganicStrategyAgent", kind=AgentKind.TRADING)
    overseer.register_all([house_agent, card_of_strategy(MINE)])
    sense = TickSense(
        overseer,
        clock,
        agents=(),
        data="",
        host_is_well=lambda: False,
        counts=no_rows,
        strategy=NAME,
    )
    clock.advance(60.0)
    sense.hear(TickCompleted(at=START, tick_id="t", tick_at=START, asks=asks))
    sense.feel(clock.monotonic())
    return overseer, clock


def test_a_tick_about_thousands_of_symbols_keeps_its_proportion_in_few_calls() -> None:
    asks = Asks(answered=3_000, seconds=300.0, failures=((ERROR, 999), ("KeyError own a.py:1", 1)))
    overseer, clock = sensed(asks)
    signs = overseer.vitals(NAME).snapshot(clock.monotonic())
    assert MOST_ASKS <= signs.calls <= MOST_ASKS + 3
    assert signs.failed == 14
    assert dict(signs.fingerprints).keys() == {ERROR, "KeyError own a.py:1"}
    assert signs.latency is not None
    assert signs.latency.p50_s == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("asks", "silent_s"), [(WELL, 0.0), (Asks(), 0.0), (BAD, 60.0), (None, 0.0)]
)
def test_a_tick_is_progress_unless_every_question_failed(
    asks: Asks | None, silent_s: float
) -> None:
    overseer, clock = sensed(asks)
    assert overseer.vitals(NAME).snapshot(clock.monotonic()).silent_s == silent_s
    assert cast("Any", overseer).last is None
