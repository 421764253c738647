"""Meetings at the command line, without a daemon: what the last run left, and exit code 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta_agents.report_schemas import json_schemas, schema_name
from tests.fakes.processes import roboinvest


def asked(place: Path, *words: str) -> Any:
    return roboinvest("governance", *words, "--json", cwd=place).value()


def test_where_nothing_was_held_the_answer_is_that_and_nothing_is_made(tmp_path: Path) -> None:
    assert asked(tmp_path, "ls") == {
        "running": False,
        "decisions": [],
        "calibration": "no decision was made yet",
    }
    assert asked(tmp_path, "show") == {"running": False, "meeting": None}
    words = roboinvest("governance", "ls", cwd=tmp_path)
    assert (words.code, "No meeting was held" in words.out) == (0, True)
    assert not (tmp_path / "data" / "overseer.db").exists()
    assert "there is no decision" in roboinvest("governance", "show", "x", cwd=tmp_path).refusal()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a place where a meeting was held on a report with a muddled and a quiet agent."""
    place = tmp_path_factory.mktemp("held")
    reports = place / "data" / "reports" / "governance_reports"
    reports.mkdir(parents=True)
    agents = [
        {"name": "muddled", "status": "degraded", "hours": 3, "bad_reply_share": 0.4},
        {"name": "quiet", "status": "healthy"},
    ]
    told = {"date": "2026-01-04", "agents": agents, "gaps": ["bear-stressed"]}
    (reports / "daily_report_2026-01-04.json").write_text(json.dumps(told))
    ended = roboinvest("governance", "hold", "--json", cwd=place)
    assert ended.code == 0, ended.err
    first = ended.value()
    assert first["running"] is False
    assert first["meeting"]["source"] == "rules"
    return place


def test_a_meeting_without_a_daemon_asks_for_things_and_sets_nothing(held: Path) -> None:
    found = asked(held, "ls")
    assert found["running"] is False
    assert {each["state"] for each in found["decisions"]} == {"requested"}
    assert {each["decision_type"] for each in found["decisions"]} == {
        "system_improvement",
        "new_agent",
    }
    waiting = roboinvest("approvals", "ls", "--json", cwd=held).value()
    assert {each["kind"] for each in waiting["proposals"]} == {"prompt_edit", "new_agent"}


def test_a_second_meeting_of_a_day_is_not_held(held: Path) -> None:
    again = asked(held, "hold")
    assert "held already" in again["text"]
    assert len(asked(held, "ls")["decisions"]) == 2


def test_a_meeting_and_a_decision_are_shown_whole(held: Path) -> None:
    meeting = asked(held, "show")["meeting"]
    assert asked(held, "show", meeting["date"])["meeting"] == meeting
    name = meeting["decisions"][0]["decision_id"]
    assert asked(held, "show", name)["decision"]["hypothesis"]
    for words in (("show",), ("show", name), ("ls",), ("ls", "--all"), ("hold",)):
        shown = roboinvest("governance", *words, cwd=held)
        assert shown.code == 0
        assert "muddled" in shown.out
    files = held / "data" / "reports" / "governance"
    kept = json.loads((files / f"meeting_{meeting['date']}.json").read_text())
    schema = json_schemas()[schema_name(f"governance/meeting_{meeting['date']}.json")]
    jsonschema.validate(kept, schema, jsonschema.Draft202012Validator)
    assert kept["decisions"][0]["decision_type"] == meeting["decisions"][0]["decision_type"]
    assert (
        "no meeting was held" in roboinvest("governance", "show", "2001-01-01", cwd=held).refusal()
    )


def test_an_undoing_is_asked_for_by_a_person(held: Path) -> None:
    name = asked(held, "ls")["decisions"][0]["decision_id"]
    refused = roboinvest("governance", "undo", name, "--as", "governance", cwd=held)
    assert "cannot ask" in refused.refusal()
    assert "asked for" in asked(held, "undo", name, "--as", "ann")["text"]
