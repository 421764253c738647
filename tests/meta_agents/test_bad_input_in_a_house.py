"""Bad input in a house that is overseen: a clear error or an alert, and every loop goes on."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from roboinvest.core.errors import BadInput
from roboinvest.core.events import AlertRaised, AlertResolved, ServiceFailed
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.health import Status
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.reports.health import read_health
from roboinvest.runtime.telemetry import LOG_NAME
from tests.fakes.clocks import START
from tests.fakes.long_lives import held, meetings, report_days
from tests.fakes.overseen import World, lived
from tests.fakes.report_houses import ticks_at

LIVED_S = 1_500.0
MENDED_S = 600.0
LOOKS = 26
LINES = (
    b'{"ts": "2026-01-05T14:29:00+00:00", "level": "error", "event": "a_thing_failed"}\n',
    b'{"ts": "2026-01-05T14:29:01+00:00", "level": "error", "ev\n',
    b"\xff\xfe\x00 no text at all\n",
    b'["error", "no object"]\n',
    b'{"level": {"error": 1}, "event": ["nested"]}\n',
    b'{"ts": "2026-01-05T14:29:02+00:00", "level": "error", "event": "a_thing_failed"}\n',
    b'{"ts": "2026-01-05T14:29:03+00:00", "level": "error", "event": "half a li',
)


def card(name: str, *needs: str) -> AgentCard:
    return AgentCard(name=name, kind=AgentKind.RESEARCH, dependencies=needs)


REGISTRATIONS: dict[str, tuple[str, Mapping[str, object], str]] = {
    "a second card of one name": ("feed", {"type": "trading"}, "another card"),
    "an unknown dependency": ("new", {"type": "research", "dependencies": ["ghost"]}, "ghost"),
    "itself as a dependency": ("new", {"type": "research", "dependencies": ["new"]}, "circle"),
    "an unknown type": ("new", {"type": "robot"}, "robot"),
    "no type": ("new", {}, "type"),
    "a field nobody knows": ("new", {"type": "research", "colour": "red"}, "colour"),
    "a text for a list": ("new", {"type": "research", "dependencies": "feed"}, "list of names"),
    "a number for a name": ("new", {"type": "research", "dependencies": [7]}, "7"),
    "a name of many lines": ("a\nb", {"type": "research"}, "name"),
    "a name that is too long": ("n" * 10_000, {"type": "research"}, "name"),
}


@asynccontextmanager
async def since_yesterday(folder: Path, in_flight: InFlight) -> AsyncIterator[Mapping[str, Any]]:
    """Hold the folder with a tick of yesterday, whose report is due at once."""
    with held(folder):
        await ticks_at(folder, in_flight, START - timedelta(days=1))
        yield {"mode": "paper"}


def spoil(world: World) -> None:
    """Corrupt the log, block the reports until later, and register nonsense meanwhile."""
    world.data.logs.mkdir(exist_ok=True)
    (world.data.logs / LOG_NAME).write_bytes(b"".join(LINES))
    aside = world.data.reports.with_name("aside")
    world.data.reports.rename(aside)
    world.data.reports.write_text("a file where the folder should be")

    def mend() -> None:
        world.data.reports.unlink()
        aside.rename(world.data.reports)

    world.at(MENDED_S, mend)
    errors: dict[str, str] = {}
    world.parts["errors"], tasks = errors, []

    async def register(what: str, name: str, metadata: Mapping[str, object]) -> None:
        try:
            await world.oversight.overseer.register_agent(name, metadata)
        except BadInput as error:
            errors[what] = str(error)

    def register_all() -> None:
        for what, (name, metadata, _) in REGISTRATIONS.items():
            tasks.append(asyncio.ensure_future(register(what, name, metadata)))
        try:
            world.oversight.overseer.register_all([card("a", "b"), card("b", "c"), card("c", "a")])
        except BadInput as error:
            errors["a circle of three"] = str(error)

    world.at(300.0, register_all)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with capture_logs():
        folder = tmp_path_factory.mktemp("house")
        yield lived(folder, LIVED_S, spoil, furnish=since_yesterday)


def alerts(house: World, key: str) -> list[str]:
    """Return how an alert went, and print its words."""
    found = []
    for _, event in house.said:
        if isinstance(event, (AlertRaised, AlertResolved)) and event.key == key:
            print(f"{event.at:%H:%M} {event.message}")
            found.append("raised" if isinstance(event, AlertRaised) else "resolved")
    return found


@pytest.mark.parametrize("what", REGISTRATIONS)
def test_a_registration_that_makes_no_sense_is_one_clear_sentence(house: World, what: str) -> None:
    said, expected = house.parts["errors"][what], REGISTRATIONS[what][2]
    assert expected in said
    assert "\n" not in said
    assert len(said) < 400


def test_a_circle_of_dependencies_is_told_and_none_of_it_is_taken(house: World) -> None:
    said = house.parts["errors"]["a circle of three"]
    assert "circle" in said
    assert {"a", "b", "c"}.isdisjoint(house.oversight.overseer.roster.cards)


def test_who_was_watched_before_is_watched_as_before(house: World) -> None:
    watched = house.oversight.overseer
    assert watched.roster.card("feed").kind is AgentKind.SERVICE
    assert {"new", "a\nb"}.isdisjoint(watched.roster.cards)
    assert watched.last is not None
    assert watched.last.healths["feed"].status is Status.HEALTHY


def test_a_corrupt_log_is_read_around(house: World) -> None:
    ((day, decided, done),) = meetings(house.folder)
    assert day == str(START.date())
    assert decided
    assert done
    with sqlite3.connect(house.folder / "overseer.db") as connection:
        (facts,) = connection.execute("SELECT facts FROM meetings").fetchone()
    connection.close()
    read = json.loads(facts)
    assert read["log_lines"] == 2
    assert read["log_skipped"] >= 3


def test_reports_that_cannot_be_written_are_an_alert_each_until_they_can(house: World) -> None:
    assert alerts(house, "health.unwritable") == ["raised", "resolved"]
    assert alerts(house, "daily_report.unwritable") == ["raised", "resolved"]
    assert alerts(house, "performance_analysis.unwritable") == ["raised"]  # the next is in an hour
    assert read_health(house.data.reports).total_agents > 10
    assert list(report_days(house.folder)) == [START.date() - timedelta(days=1)]


def test_no_loop_was_held_up(house: World) -> None:
    assert house.end is not None
    assert (house.end.exit_code, house.end.error) == (0, None)
    assert abs(house.health_passes() - LOOKS) <= 1
    assert house.healing_passes() >= 5
    assert len(house.neighbour.ticks) == pytest.approx(LIVED_S / 10.0, abs=1)
    assert (house.feed.runs, house.scout.runs) == (1, 1)
    assert [each for _, each in house.said if isinstance(each, ServiceFailed)] == []
