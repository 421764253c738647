"""An alert that the house left open as it stopped is closed when what it tells of works again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from roboinvest.core.events import AlertRaised, Severity
from tests.fakes.clocks import START
from tests.fakes.overseen import World, lived
from tests.meta_agents.test_bad_input_in_a_house import since_yesterday

UNWRITABLE = ("health.unwritable", "daily_report.unwritable", "performance_analysis.unwritable")


def test_reports_that_were_unwritable_when_the_house_stopped_are_over_once_they_are_written(
    tmp_path: Path,
) -> None:
    def plant(world: World) -> None:
        for key in UNWRITABLE:
            text, at = "it was not written", START - timedelta(hours=1)
            told = AlertRaised(
                at=at, key=key, severity=Severity.MEDIUM, kind="system", message=text
            )
            world.board._raised(told)

    world = lived(tmp_path, 300.0, plant, furnish=since_yesterday)
    assert {each.key for each in world.board.alerts() if not each.is_open} >= set(UNWRITABLE)
