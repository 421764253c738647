"""In a quarantine storm machines promote nothing, people may, and everything else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.errors import Refused
from roboinvest.core.events import Severity
from roboinvest.core.revisions.lifecycle import Revision
from tests.fakes.revisions import MACHINE, PERSON, AgentHouse, an_artifact, unchanged
from tests.fakes.upkeep import kept

DAY_S = 86_400.0
AGENTS = 6


@pytest.fixture
def crowd(house: AgentHouse) -> list[Revision]:
    """Return the active revisions of some agents."""
    found = [house.installed(an_artifact(n, agent=f"agent-{n}")) for n in range(AGENTS)]
    for revision in found:
        house.activate(revision)
    house.clock.advance(DAY_S)
    return found


def put_away(house: AgentHouse, *revisions: Revision) -> None:
    for revision in revisions:
        house.desk.quarantine(revision.agent_id, revision.revision_id, MACHINE)


def test_hard_case_49_a_storm_freezes_promotions_and_what_stands_stays(
    house: AgentHouse, crowd: list[Revision]
) -> None:
    last = crowd[-1]
    better = house.installed(an_artifact(90, agent=last.agent_id), last.revision_id)
    put_away(house, crowd[0])
    house.clock.advance(60)
    put_away(house, crowd[1])
    with unchanged(house, Refused, "2 of 6 agents were put in quarantine within an hour"):
        house.activate(better, MACHINE)
    with unchanged(house, Refused, "quarantine_storm"):
        house.activate(better, PERSON)
    assert house.active(last.agent_id) == last.revision_id
    put_away(house, crowd[2])  # to take power away never waits
    house.activate(better, PERSON, force=True)
    house.desk.rollback(last.agent_id, house.sequence(last.agent_id), MACHINE)
    assert house.active(last.agent_id) == last.revision_id


def test_after_a_day_without_another_one_promotions_are_free_again(
    house: AgentHouse, crowd: list[Revision]
) -> None:
    last = crowd[-1]
    better = house.installed(an_artifact(90, agent=last.agent_id), last.revision_id)
    put_away(house, *crowd[:2])
    house.clock.advance(DAY_S - 1)
    with unchanged(house, Refused, "quarantine_storm"):
        house.activate(better, MACHINE)
    house.clock.advance(1)
    house.activate(better, MACHINE)
    assert house.active(last.agent_id) == better.revision_id


async def test_a_storm_is_an_alert_until_promotions_are_free_again(
    house: AgentHouse, crowd: list[Revision], tmp_path: Path
) -> None:
    with kept(tmp_path, house.clock) as keeping:
        await keeping.keeper.look(whole=True)
        assert keeping.alerts() == {}
        put_away(house, *crowd[:2])
        await keeping.keeper.look(whole=False)
        alert = keeping.alerts()["storm.quarantine"]
        assert alert.severity is Severity.HIGH
        assert "2 of 6 agents" in alert.message
        assert keeping.keeper.standing().frozen == alert.message
        house.clock.advance(DAY_S)
        await keeping.keeper.look(whole=False)
        assert keeping.alerts() == {}
        assert keeping.keeper.standing().frozen is None
