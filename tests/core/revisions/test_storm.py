"""A quarantine storm: more than 30 % of the agents within an hour, and promotions stand still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.revisions.governor import GovernorLimits, Rule
from roboinvest.core.revisions.lifecycle import AliasMove, MoveKind
from roboinvest.core.revisions.storm import objection_of, storm
from tests.fakes.clocks import START

LIMITS = GovernorLimits()
LONG_AGO_MIN = 10_000.0


def history(agent: str, *steps: tuple[MoveKind, float]) -> Sequence[AliasMove]:
    """Return an agent that stood long since, and what became of it so many minutes ago."""
    told = [(MoveKind.ACTIVATED, LONG_AGO_MIN), *steps]
    return [
        AliasMove(
            alias=agent, sequence=number, kind=kind, before=None,
            after=None if kind in (MoveKind.QUARANTINED, MoveKind.RETIRED) else "a" * 64,
            findings=0, forced=False, by="x", reason="y", at=START - timedelta(minutes=minutes),
        )
        for number, (kind, minutes) in enumerate(told, 1)
    ]  # fmt: skip


def agents(count: int, *gone_min: float) -> dict[str, Sequence[AliasMove]]:
    """Return agents, the first of which were put in quarantine so many minutes ago."""
    found: dict[str, Sequence[AliasMove]] = {}
    for number in range(count):
        steps = [(MoveKind.QUARANTINED, gone_min[number])] if number < len(gone_min) else []
        found[f"agent-{number}"] = history(f"agent-{number}", *steps)
    return found


def test_more_than_three_in_ten_is_a_storm_and_three_are_none() -> None:
    assert storm(agents(10, 1, 2, 3), START, LIMITS) is None
    found = storm(agents(10, 1, 2, 3, 4), START, LIMITS)
    assert found is not None
    assert (len(found.agents), found.of) == (4, 10)
    assert found.until == START - timedelta(minutes=1) + timedelta(days=1)
    assert "4 of 10 agents were put in quarantine within an hour" in found.text
    assert [each.rule for each in objection_of(found)] == [Rule.STORM]
    assert objection_of(None) == ()


def test_an_hour_is_an_hour_wherever_it_lies_in_the_last_day() -> None:
    assert storm(agents(11, 0, 30, 59, 60), START, LIMITS) is None
    assert storm(agents(11, 0, 30, 59, 59.9), START, LIMITS) is not None
    assert storm(agents(10, 600, 610, 620, 630), START, LIMITS) is not None
    assert storm(agents(10, *[24 * 60 + each for each in range(4)]), START, LIMITS) is None


def test_one_agent_alone_is_no_storm_and_two_of_a_few_are() -> None:
    assert storm(agents(1, 5), START, LIMITS) is None
    assert storm(agents(2, 5), START, LIMITS) is None
    assert storm(agents(6, 5, 6), START, LIMITS) is not None


def test_agents_that_stood_nowhere_in_that_hour_do_not_count() -> None:
    retired = {
        f"old-{number}": history(f"old-{number}", (MoveKind.RETIRED, 500)) for number in range(20)
    }
    assert storm({**agents(6, 5, 6), **retired}, START, LIMITS) is not None


def test_who_came_back_within_the_hour_was_gone_all_the_same() -> None:
    back = {
        name: history(name, (MoveKind.QUARANTINED, 9), (MoveKind.ACTIVATED, 3))
        for name in ("agent-0", "agent-1")
    }
    assert storm({**agents(4), **back}, START, LIMITS) is not None


def test_a_clock_that_was_set_back_ends_no_storm() -> None:
    assert storm(agents(4, -90, -90), START, LIMITS) is not None


def test_its_figures_can_be_set_and_the_governor_switched_off() -> None:
    calm = agents(10, 1, 2, 3)
    assert storm(calm, START, replace(LIMITS, storm_frac=0.2)) is not None
    assert storm(calm, START, replace(LIMITS, storm_frac=0.2, storm_agents=4)) is None
    assert storm(agents(2, 1, 2), START, replace(LIMITS, is_on=False)) is None
    for figures in ({"storm_frac": 0.0}, {"storm_frac": 1.0}, {"storm_agents": 0}):
        with pytest.raises(BadInput, match="storm"):
            GovernorLimits(**figures)
