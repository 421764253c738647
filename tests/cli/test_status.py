"""What a person reads who was woken up: the same story everywhere, also where files are damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.fakes.processes import Finished, roboinvest

AGENT, GIVEN_UP = "agent.scout", "heal.scout"


def row(key: str, **fields: object) -> dict[str, object]:
    return {
        "key": key,
        "severity": "high",
        "kind": "agent",
        "message": f"{key} is not well",
        "raised_at": "2015-12-24T15:00:00+00:00",
        "last_seen_at": "2015-12-24T15:00:00+00:00",
        "count": 1,
        "resolved_at": None,
        "resolution": None,
        **fields,
    }


@pytest.fixture
def left(finished: Finished, tmp_path: Path) -> Path:
    """Return a place whose run left an agent that healing gave up, and a lesser alert."""
    shutil.copytree(finished.data, tmp_path / "data")
    rows = [row(AGENT), row(GIVEN_UP, caused_by=AGENT), row("lock.x", severity="low")]
    with sqlite3.connect(tmp_path / "data" / "roboinvest.db") as database:
        change = "INSERT OR REPLACE INTO documents (name, text) VALUES (?, ?)"
        database.execute(change, ("alerts", json.dumps(rows)))
    database.close()
    return tmp_path


def replaced(place: Path) -> None:
    """Put a file where the reports folder was."""
    shutil.rmtree(place / "data" / "reports")
    (place / "data" / "reports").write_text("a file")


def test_status_says_what_is_wrong_since_when_and_what_to_do(left: Path) -> None:
    (left / "data" / "reports" / "alerts.json").unlink()
    found = roboinvest("status", cwd=left)
    assert (found.code, found.err) == (0, "")
    assert "wrong" in found.out
    assert "1 high, 1 low; see below" in found.out
    assert "agent.scout is not well" in found.out
    assert "since 2015-12-24 15:00 UTC" in found.out
    assert "do: healing can do no more" in found.out, "not that healing goes on"
    assert "1 that follow from others" in found.out


def test_a_file_in_the_place_of_the_reports_leaves_status_what_the_store_knows(left: Path) -> None:
    replaced(left)
    words = roboinvest("status", cwd=left)
    assert words.code == 4
    assert "a file is where a folder belongs" in words.out or "is a file where" in words.out
    assert "agent.scout is not well" in words.out
    told = roboinvest("status", "--json", cwd=left)
    assert told.code == 4
    value = json.loads(told.out)
    assert (value["running"], value["live"]) == (False, False)
    assert [each["key"] for each in value["alerts"]] == [AGENT, GIVEN_UP, "lock.x"]
    health = roboinvest("health", cwd=left)
    assert health.code == 4
    assert "roboinvest alerts ls" in health.out


@pytest.mark.parametrize("command", ["status", "health"])
def test_a_corrupt_report_is_one_sentence_and_no_traceback(left: Path, command: str) -> None:
    for name in ("system_status", "health"):
        (left / "data" / "reports" / f"{name}.json").write_text('{"schema_version": 1, "gar')
    found = roboinvest(command, cwd=left)
    assert found.code == 4
    assert "is not a" in found.out
    assert "Traceback" not in found.out + found.err


def test_what_cannot_be_read_beside_the_status_costs_its_own_lines(left: Path) -> None:
    (left / "data" / "reports" / "performance.json").write_text("garbage")
    found = roboinvest("status", cwd=left)
    assert found.code == 0, found.err
    assert "not known" in found.out
    assert "services" in found.out


def test_a_halt_needs_no_reports_folder(left: Path) -> None:
    replaced(left)
    found = roboinvest("halt", "--reason", "night", "--json", cwd=left)
    assert found.value()["halted"] is True
    assert json.loads((left / "data" / "HALT").read_text())["reason"] == "night"


def test_no_meeting_is_held_of_a_replay_or_of_nothing(left: Path, tmp_path: Path) -> None:
    assert "holds a replay" in roboinvest("governance", "hold", cwd=left).refusal()
    nowhere = tmp_path / "nowhere"
    found = roboinvest("governance", "hold", "--json", "--data-dir", nowhere, cwd=tmp_path)
    assert (found.value()["running"], found.value()["meeting"]) == (False, None)
    assert not nowhere.exists()


def test_the_doctor_says_when_the_overseer_is_off_or_its_file_is_damaged(left: Path) -> None:
    (left / "data" / "overseer.db").write_text("garbage" * 1_000)
    found = roboinvest("doctor", cwd=left)
    assert found.code == 1
    assert "FAIL  overseer: its memory" in found.out
    off = roboinvest("doctor", cwd=left, env={"ROBOINVEST_OVERSEER__ENABLED": "off"})
    assert "WARN  overseer: off" in off.out
