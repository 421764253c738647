"""health.json: everybody is counted, the worst come first, and hostile names stay plain text."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.vitals import Vitals
from roboinvest.runtime.reports.health import (
    FILE_NAME,
    MOST_LISTED,
    AgentLine,
    StatusWord,
    agent_line,
    counts_of,
    health_report,
    last_sequence,
    read_health,
    write_health,
)
from tests.fakes.clocks import START
from tests.fakes.watched_agents import WatchedAgent


def line(name: str, status: StatusWord = "healthy", minutes: int = 0) -> AgentLine:
    since = START - timedelta(minutes=minutes)
    return AgentLine(name=name, kind="service", status=status, since=since)


def test_what_is_written_is_read_back_the_worst_first(tmp_path: Path) -> None:
    lines = [line("a"), line("b", "failing"), line("c", "offline"), line("d", "failing", 9)]
    found = health_report(START, lines)
    write_health(tmp_path, found)
    assert read_health(tmp_path) == found
    assert [each.name for each in found.agents] == ["c", "d", "b", "a"]
    assert counts_of(found) == {"offline": 1, "failing": 2, "degraded": 0, "healthy": 1}


def test_thousands_are_counted_and_the_worst_are_listed() -> None:
    lines = [line(f"a{number}") for number in range(MOST_LISTED + 100)]
    found = health_report(START, [*lines, line("bad", "failing")])
    assert (found.total_agents, len(found.agents)) == (MOST_LISTED + 101, MOST_LISTED)
    assert found.agents[0].name == "bad"


def test_an_agent_that_is_watched_becomes_a_line() -> None:
    watched = WatchedAgent()

    def fail(vitals: Vitals, at: float) -> None:
        vitals.progressed(at)
        vitals.failed(at, "KeyError", 0.2)

    watched.live(1200, fail)
    assert watched.health is not None
    found = agent_line(watched.card, watched.health, because_of="agent", tried="restart: healed")
    assert (found.status, found.success_rate, found.because_of) == ("failing", 0.0, None)
    assert "calls failed" in found.reasons[0]
    assert found.latency_p50_s == pytest.approx(0.2, rel=0.1)
    card = AgentCard(name="other", kind=AgentKind.TRADING)
    assert agent_line(card, watched.health, because_of="agent").because_of == "agent"


def test_what_is_absent_or_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(TryLater):
        read_health(tmp_path)
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(BadInput, match="not a Health report"):
        read_health(tmp_path)


def test_the_number_goes_on_from_what_lies_there(tmp_path: Path) -> None:
    assert last_sequence(tmp_path) == 0
    write_health(tmp_path, health_report(START, ()).model_copy(update={"sequence": 7}))
    assert last_sequence(tmp_path) == 7
    (tmp_path / "health.json").write_text("{", encoding="utf-8")
    assert last_sequence(tmp_path) == 0
