"""`report daily` and `health` answer from what the last run left, and make what is missing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meta_agents.daily_report.archive import ReportArchive
from roboinvest.runtime.reports.health import AgentLine, health_report, write_health
from tests.fakes.processes import Finished, roboinvest

SECRET = "sk-live-0123456789abcdefghij"  # noqa: S105 of nobody
HOSTILE = f"[red]\x1b[2J\x1b]0;x\x07 <script>down</script>\nALL WELL {SECRET}"


@pytest.fixture
def left(finished: Finished, tmp_path: Path) -> Path:
    """Return a place with what a replay has left."""
    shutil.copytree(finished.data, tmp_path / "data")
    return tmp_path


def test_a_missing_report_is_made_on_demand_and_kept(left: Path) -> None:
    found = roboinvest("report", "daily", "--json", cwd=left).value()
    assert (found["running"], found["date"]) == (False, "2015-12-24")
    assert found["mode"] == "replay"
    summary = roboinvest("report", "--json", cwd=left).value()
    assert found["trading_result"]["end_equity"] == summary["equity"]
    assert found["trading_result"]["since_start_return"] == summary["total_return"]
    kept = summary["benchmark"]["total_return"]
    assert found["trading_result"]["since_start"]["total_return"] == pytest.approx(kept, abs=1e-5)
    archive = ReportArchive(left / "data" / "reports")
    assert [day.isoformat() for day in archive.days()] == ["2015-12-24"]


def test_a_day_that_is_over_is_made_once_and_stays(left: Path) -> None:
    first = roboinvest("report", "daily", "--date", "2015-12-23", "--json", cwd=left).value()
    assert first["complete"] is True
    again = roboinvest("report", "daily", "--date", "2015-12-23", "--json", cwd=left).value()
    assert again == first


def test_the_digest_is_short_and_the_page_is_a_file(left: Path) -> None:
    text = roboinvest("report", "daily", cwd=left)
    assert text.code == 0, text.err
    assert len(text.out.splitlines()) <= 40
    for part in ("WHAT IS WRONG", "WHAT YOU MUST DO", "TRADING", "No daemon was running"):
        assert part in text.out
    page = roboinvest("report", "daily", "--html", "day.html", cwd=left)
    assert page.code == 0, page.err
    assert "<script" not in (left / "day.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--date", "yesterday"), 2, "2026-01-05"),
        (("--date", "2015-12-01"), 2, "before this run"),
        (("--date", "2016-01-01"), 2, "still to come"),
        (("--json", "--text"), 2, "give one"),
        (("--html", "nowhere/x.html"), 3, "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    left: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found = roboinvest("report", "daily", *arguments, cwd=left)
    assert found.code == code
    assert words in found.err
    assert "Traceback" not in found.err


def test_a_folder_that_cannot_be_written_costs_the_file_and_not_the_answer(left: Path) -> None:
    (left / "data" / "reports" / "governance_reports").write_text("a file")
    found = roboinvest("report", "daily", "--json", cwd=left)
    assert found.code == 0
    assert json.loads(found.out)["date"] == "2015-12-24"
    assert "the report is not kept" in found.err


def test_where_nothing_ran_that_is_said(tmp_path: Path) -> None:
    found = roboinvest("report", "daily", "--json", cwd=tmp_path).value()
    assert (found["running"], found["date"]) == (False, None)
    assert "no daemon has run" in roboinvest("report", "daily", cwd=tmp_path).out
    assert roboinvest("health", "--json", cwd=tmp_path).value()["running"] is False
    assert roboinvest("health", cwd=tmp_path).code == 0


def test_hostile_alerts_are_harmless_everywhere_and_no_secret_is_shown(left: Path) -> None:
    row = {
        "key": "feed",
        "severity": "critical",
        "kind": "data",
        "message": HOSTILE,
        "raised_at": "2015-12-24T15:00:00+00:00",
        "last_seen_at": "2015-12-24T15:00:00+00:00",
        "count": 1,
        "resolved_at": None,
        "resolution": None,
    }
    with sqlite3.connect(left / "data" / "roboinvest.db") as database:
        change = "INSERT OR REPLACE INTO documents (name, text) VALUES (?, ?)"
        database.execute(change, ("alerts", json.dumps([row])))
    database.close()
    env = {"OPENAI_API_KEY": SECRET}
    for more in (("--json",), ("--text",), ("--html", "day.html")):
        found = roboinvest("report", "daily", *more, cwd=left, env=env)
        assert found.code == 0, found.err
        for text in (found.out, found.err):
            assert SECRET not in text
            assert "\x1b" not in text
    for path in (left / "data" / "reports" / "governance_reports").iterdir():
        text = path.read_text()
        assert SECRET not in text
        assert "<script" not in text
        assert "\x1b" not in text
    shown = roboinvest("report", "daily", cwd=left, env=env).out
    assert "critical: [red]" in shown
    assert not [line for line in shown.splitlines() if line.startswith("ALL WELL")]


def test_health_is_a_table_of_who_is_not_well_and_why(left: Path) -> None:
    now = datetime(2026, 1, 5, 15, tzinfo=UTC)
    lines = [
        AgentLine(name="feed", kind="service", status="healthy", since=now),
        AgentLine(
            name="news[red]",
            kind="service",
            status="failing",
            since=now - timedelta(hours=1),
            reasons=("12 of 40 calls failed in the last 10 min, limit 20 %",),
            because_of="vendor",
            calls=40,
            success_rate=0.7,
            tried="restart: not healed",
        ),
    ]
    write_health(left / "data" / "reports", health_report(now, lines))
    found = roboinvest("health", cwd=left)
    assert found.code == 0, found.err
    assert "2 agents: 1 failing, 1 healthy" in found.out
    assert "No daemon runs" in found.out
    for words in ("news[red]", "because of vendor", "12 of 40", "2026-01-05 14:00", "not healed"):
        assert words in found.out
    assert "feed" not in found.out
    assert "feed" in roboinvest("health", "--all", cwd=left).out
    body = roboinvest("health", "--json", cwd=left).value()
    assert (body["running"], body["live"], body["failing_agents"]) == (False, False, 1)
    assert body["agents"][0]["name"] == "news[red]"
