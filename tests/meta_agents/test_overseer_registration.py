"""Everybody is watched: services, the agents of a tick, and each revision while it is active."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.health import Status
from roboinvest.core.proposals import Capability
from roboinvest.runtime.revisions.in_force import RevisionsInForce
from tests.fakes.overseen import World, lived
from tests.fakes.revisions import PERSON, AgentHouse, agent_house, an_artifact

THINKER = "thinker"


def governed(world: World, work: Callable[[AgentHouse], object]) -> Callable[[], None]:
    """Return what changes the revisions of a world, as a command beside the daemon would."""

    def change() -> None:
        with agent_house(world.folder) as house:
            work(house)

    return change


def activates(*numbers: int, agent: str = THINKER, **more: Any) -> Callable[[AgentHouse], None]:
    """Return what activates revisions, one after the other."""

    def work(house: AgentHouse) -> None:
        house.set_standards()
        for number in numbers:
            found = house.installed(
                an_artifact(number, Capability.MARKET_DATA, agent=agent, **more)
            )
            house.activate(found)

    return work


def looked(world: World, at: float, seen: list[Any], name: str = THINKER) -> None:
    """Note how an agent is watched at a moment."""

    def look() -> None:
        overseer = world.oversight.overseer
        last = overseer.last
        health = None if last is None else last.healths.get(name)
        seen.append((overseer.roster.cards.get(name), None if health is None else health.status))

    world.at(at, look)


def test_a_revision_is_watched_from_its_activation_until_it_leaves(tmp_path: Path) -> None:
    seen: list[tuple[AgentCard | None, Status | None]] = []

    def plant(world: World) -> None:
        world.at(90.0, governed(world, activates(1)))
        world.at(390.0, governed(world, activates(2)))

        def leave(house: AgentHouse) -> None:
            house.desk.quarantine(THINKER, house.active(THINKER) or "", PERSON)

        world.at(690.0, governed(world, leave))
        for at in (80.0, 380.0, 680.0, 800.0):
            looked(world, at, seen)

    world = lived(tmp_path, 900.0, plant)
    before, first, second, after = seen
    assert before == (None, None)
    assert after == (None, None)
    card = first[0]
    assert card is not None
    assert card.kind is AgentKind.GENERATED
    assert card.capabilities == (Capability.MARKET_DATA.value,)
    assert card.dependencies == ("process", "market data")
    assert second[0] is not None
    assert second[0].specialization != card.specialization  # it says which revision it is
    assert first[1] is second[1] is Status.HEALTHY  # it has nothing to do, which is no silence
    assert world.raised() == []


def test_a_name_that_is_taken_a_stranger_and_a_circle_are_alerts_and_no_crash(
    tmp_path: Path,
) -> None:
    def plant(world: World) -> None:
        world.at(30.0, governed(world, activates(1, agent="feed")))
        world.at(31.0, governed(world, activates(2, agent="caller", calls=("nobody",))))
        world.at(32.0, governed(world, activates(3, agent="left", calls=("right",))))
        world.at(33.0, governed(world, activates(4, agent="right", calls=("left",))))
        world.at(34.0, governed(world, activates(5, agent="well", calls=("scout",))))

    world = lived(tmp_path, 600.0, plant)
    told = {alert.key: alert.message for alert in world.raised()}
    assert set(told) == {f"registration.{each}" for each in ("feed", "caller", "left", "right")}
    assert "somebody else" in told["registration.feed"]
    assert "nobody is called so" in told["registration.caller"]
    assert "left -> right -> left" in told["registration.left"]
    cards = world.oversight.overseer.roster.cards
    assert cards["well"].kind is AgentKind.GENERATED  # who can be taken is
    assert cards["feed"].kind is AgentKind.SERVICE
    assert world.health_passes() >= 10


def test_what_needs_a_call_of_one_that_left_is_told_until_it_leaves_too(tmp_path: Path) -> None:
    def plant(world: World) -> None:
        world.at(10.0, governed(world, activates(1, agent="callee")))
        world.at(11.0, governed(world, activates(2, agent="caller", calls=("callee",))))

        def leave(name: str) -> Callable[[AgentHouse], object]:
            return lambda house: house.desk.quarantine(name, house.active(name) or "", PERSON)

        world.at(200.0, governed(world, leave("callee")))
        world.at(500.0, governed(world, leave("caller")))

    world = lived(tmp_path, 700.0, plant)
    assert [alert.key for alert in world.raised()] == ["registration.callee"]
    assert not world.board.open_keys("registration.")
    assert not {"callee", "caller"} & set(world.oversight.overseer.terms)


@pytest.mark.parametrize("makes", [True, False])
def test_a_look_at_revisions_changes_nothing_and_needs_no_file(tmp_path: Path, makes: bool) -> None:
    in_force = RevisionsInForce(tmp_path)
    assert in_force.look() == ()
    assert list(tmp_path.iterdir()) == []
    with agent_house(tmp_path) as house:
        activates(*[1] * makes)(house)
    found = in_force.look()
    assert [each.agent_id for each in found] == [THINKER] * makes
    assert in_force.look() == found
