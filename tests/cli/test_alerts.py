"""Alerts are listed, acknowledged and snoozed, without a daemon."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.processes import Finished, roboinvest

HOSTILE = "[red]\x1b[2J\x1b]0;x\x07 <b>down</b>\nALL WELL"


def row(key: str, **fields: Any) -> dict[str, Any]:
    return {
        "key": key,
        "severity": "high",
        "kind": "data",
        "message": f"{key} is away",
        "raised_at": "2026-01-05T15:00:00+00:00",
        "last_seen_at": "2026-01-05T15:10:00+00:00",
        "count": 3,
        "resolved_at": None,
        "resolution": None,
        **fields,
    }


@pytest.fixture
def left(finished: Finished, tmp_path: Path) -> Path:
    """Return a place whose data folder was left with open alerts."""
    shutil.copytree(finished.data, tmp_path / "data")
    closed = {"resolved_at": "2026-01-05T15:20:00+00:00", "resolution": "it is back"}
    rows = [
        row("feed"),
        row("fills", caused_by="feed", severity="medium"),
        row("old", **closed),
        row("odd", message="[red]off[/red] [link=x]y[/link]", severity="low"),
    ]
    with sqlite3.connect(tmp_path / "data" / "roboinvest.db") as database:
        change = "INSERT OR REPLACE INTO documents (name, text) VALUES (?, ?)"
        database.execute(change, ("alerts", json.dumps(rows)))
    database.close()
    return tmp_path


def listed(place: Path, *more: str) -> Any:
    return roboinvest("alerts", "ls", "--json", *more, cwd=place).value()


def test_what_the_last_run_left_is_listed_with_the_root_first(left: Path) -> None:
    found = listed(left)
    assert (found["running"], found["open"]) == (False, 3)
    assert [(one["key"], one["folded_under"]) for one in found["alerts"]] == [
        ("feed", None),
        ("fills", "feed"),
        ("odd", None),
    ]
    assert [one["key"] for one in listed(left, "--all")["alerts"]][-1] == "old"
    words = roboinvest("alerts", "ls", cwd=left)
    assert words.code == 0
    assert "feed is away" in words.out
    assert "follows from the one above" in words.out
    assert "[red]off[/red]" in words.out  # as it stands, and not in red
    assert "No daemon runs" in words.out


def test_an_alert_is_acknowledged_and_snoozed_without_a_daemon_and_stays_open(left: Path) -> None:
    name = listed(left)["alerts"][0]["id"]
    done = roboinvest("alerts", "ack", name, "--json", cwd=left, env={"USER": "ann"}).value()
    assert done["running"] is False
    assert "acknowledged by ann" in done["text"]
    done = roboinvest("alerts", "snooze", "odd", "--for", "2d", cwd=left)
    assert done.code == 0, done.err
    assert "silent until" in done.out
    found = {one["key"]: one for one in listed(left)["alerts"]}
    assert found["feed"]["acknowledged_by"] == "ann"
    assert found["odd"]["snoozed_until"] is not None
    assert listed(left)["open"] == 3


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("ack", "nosuch"), 2),
        (("ack", "old"), 2),
        (("ack", HOSTILE), 2),
        (("ack", "x" * 300), 2),
        (("snooze", "feed", "--for", "31d"), 2),
        (("snooze", "feed", "--for", "soon"), 2),
    ],
)
def test_a_wrong_word_is_refused_in_one_harmless_sentence(
    left: Path, command: tuple[str, ...], code: int
) -> None:
    ended = roboinvest("alerts", *command, cwd=left)
    assert ended.code == code
    assert ended.refusal().isprintable()


def test_where_nothing_ever_ran_there_is_no_alert_and_nothing_to_acknowledge(
    tmp_path: Path,
) -> None:
    assert listed(tmp_path) == {"running": False, "open": 0, "alerts": []}
    assert "no daemon runs" in roboinvest("alerts", "ls", cwd=tmp_path).out
    assert roboinvest("alerts", "ack", "feed", cwd=tmp_path).code == 4
    assert not (tmp_path / "data").exists()
