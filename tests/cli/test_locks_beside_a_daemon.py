"""Locks beside a running daemon: it takes a clearing over with its next tick."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from roboinvest.core.protections import EVERYTHING, Lock, LockRule
from roboinvest.trading.locks.book import DOCUMENT, LockBook
from tests.fakes.markets import minute
from tests.fakes.processes import Daemon, roboinvest


def test_a_lock_is_shown_and_cleared_while_the_daemon_runs(bars: Path, tmp_path: Path) -> None:
    replay = ("--replay", bars, "--from", "2015-12-23", "--data-dir", tmp_path / "data")
    assert roboinvest("once", *replay, cwd=tmp_path).code == 0
    book = LockBook()
    book.add(
        Lock(scope=EVERYTHING, rule=LockRule.DRAWDOWN, since=minute(0), until=None, text="deep")
    )
    with sqlite3.connect(tmp_path / "data" / "roboinvest.db") as database:
        database.execute(
            "UPDATE documents SET text = ? WHERE name = ?", (book.document(), DOCUMENT)
        )
    database.close()

    def ask(*command: str) -> Any:
        return roboinvest(*command, "--json", cwd=tmp_path).value()

    with Daemon(tmp_path / "data", "run", *replay[:4], "--speed", 300, cwd=tmp_path) as running:
        running.until_ready()
        running.until_tick(2)
        assert [lock["name"] for lock in ask("status")["locks"]] == ["drawdown:all"]
        assert ask("status")["mandate"]["state"] == "absent"
        assert "cleared drawdown:all" in ask("locks", "clear", "drawdown:all")["text"]
        assert ask("locks", "ls")["locks"] == []
        running.until(
            lambda: (running.report("system_status") or {"locks": 1})["locks"] == [],
            "the lock gone from the status",
        )
        again = roboinvest("locks", "clear", "drawdown:all", cwd=tmp_path)
        assert again.code == 2
    found = json.loads((tmp_path / "data" / "reports" / "system_status.json").read_text())
    assert found["locks"] == []
    assert [one["name"] for one in ask("locks", "ls")["cleared"]] == ["drawdown:all"]


def test_a_mandate_that_was_edited_stops_entries_and_the_daemon_says_so(
    bars: Path, tmp_path: Path
) -> None:
    assert roboinvest("mandate", "init", cwd=tmp_path).code == 0
    assert roboinvest("mandate", "sign", "--yes-i-am", "ann", cwd=tmp_path).code == 0
    file = tmp_path / "config" / "mandate.toml"
    file.write_text(file.read_text().replace("max_order_usd = 10000", "max_order_usd = 9999"))
    replay = ("--replay", bars, "--from", "2015-12-23", "--exit-when-done", "--json")
    ended = roboinvest("run", *replay, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.value()["orders"] == 0
    assert ended.value()["rejected"] > 0
    status = roboinvest("status", "--json", cwd=tmp_path).value()
    assert status["mandate"]["state"] == "tampered"
    assert {line["rule"] for line in status["refusals"]} == {"mandate"}
    words = roboinvest("status", cwd=tmp_path).out
    assert "not what ann signed" in words
    log = (tmp_path / "data" / "logs" / "roboinvest.jsonl").read_text().splitlines()
    refused = [line for line in map(json.loads, log) if line["event"] == "intent_refused"]
    assert 0 < len(refused) <= 4  # two symbols on two days
