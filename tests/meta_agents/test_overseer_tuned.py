"""What a meeting set holds for whoever goes by it, also when that service is made anew."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import cast

from meta_agents.meeting.hands import QuarantineHand, Supervises, tuned_name
from roboinvest.app.governing import SPARED
from roboinvest.core.events import AlertRaised, Severity
from roboinvest.core.oversight.decisions import Act
from roboinvest.runtime.oversight import meeting_schema
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.tuned import TunedValues
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus
from roboinvest.runtime.supervision.supervisor import Supervisor
from tests.fakes.clocks import START
from tests.fakes.overseen import World, lived

SET = {"healing": 550.0, "performance_analyst": 5_000.0}


def tuned(folder: Path) -> None:
    """Leave the intervals that an earlier meeting set."""
    with OverseerFile.open(folder / FILE_NAME, schemas=(meeting_schema.SCHEMA,)) as file:
        for name, seconds in SET.items():
            set_to = Decimal(str(seconds))
            TunedValues(file).put(tuned_name(Act.SET_INTERVAL, name), set_to, by="ann", at=START)


def test_an_interval_that_was_set_holds_for_a_service_that_starts_again(tmp_path: Path) -> None:
    tuned(tmp_path)
    found: list[dict[str, float]] = []

    def plant(world: World) -> None:
        def look() -> None:
            watch = world.oversight._watch
            assert watch is not None
            assert watch.healer is not None
            assert watch._reviews._analyst is not None
            every_s = watch._reviews._analyst.cadence.every.total_seconds()
            found.append({"healing": watch.healer.interval_s, "performance_analyst": every_s})

        def restart() -> None:
            for name in SET:
                cast(Supervisor, world.tree).restart(name)

        world.at(300.0, look)
        world.at(400.0, restart)
        world.at(700.0, look)

    lived(tmp_path, 800.0, plant)
    assert found == [SET, SET]


class Kept:
    """A supervisor with a few services."""

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return them, all running."""
        return tuple(
            ServiceStatus(
                name=name,
                state=ServiceState.RUNNING,
                essential=False,
                restarts=0,
                last_error=None,
                beats=1,
                last_beat_age_s=0.0,
            )
            for name in ("strategy_revision", "llm_watch", "sandbox", "recall")
        )


def test_no_meeting_is_offered_who_sees_that_an_agent_in_quarantine_trades_no_more() -> None:
    knobs = asyncio.run(QuarantineHand(cast(Supervises, Kept()), SPARED).knobs())
    assert [each.subject for each in knobs] == ["recall"]


def test_an_alert_on_a_service_covers_no_other_whose_name_it_begins_with(tmp_path: Path) -> None:
    def plant(world: World) -> None:
        def break_down() -> None:
            raise ValueError("its own code")

        def tell() -> None:
            key, text = "service.feed_of_news", "feed_of_news is quarantined"
            at = world.clock.now()
            told = AlertRaised(at=at, key=key, severity=Severity.HIGH, kind="system", message=text)
            world.bus.publish(told)

        world.at(200.0, tell)
        world.at(300.0, lambda: setattr(world.feed, "call", break_down))

    world = lived(tmp_path, 900.0, plant)
    assert "agent.feed" in {each.key for each in world.raised()}
