"""A running daemon raises an alert, tells people of it, is scraped, and shows that it lives."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.listeners import Listener
from tests.fakes.processes import Daemon, roboinvest

TOKEN = "hunter2secret"  # noqa: S105 of no channel


@pytest.mark.alone
@pytest.mark.campaign
def test_an_alert_lives_from_its_cause_to_its_recovery(bars: Path, tmp_path: Path) -> None:
    with Listener() as listener, socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        env = {
            "ROBOINVEST_METRICS__PORT": str(port),
            "ROBOINVEST_NOTIFY__CHANNELS": "hook",
            "ROBOINVEST_NOTIFY__AT_LEAST": "low",
            "NOTIFY_HOOK_URL": f"json://{listener.address}/hook/{TOKEN}",
            "ROBOINVEST_NOTIFY__HEARTBEAT_URL": f"http://{listener.address}/beat/{TOKEN}",
        }
        replay = ("run", "--replay", bars, "--from", "2015-12-23", "--speed", 300)
        with Daemon(tmp_path / "data", *replay, cwd=tmp_path, env=env) as running:
            running.until_ready()
            listener.until(lambda: bool(told(listener)), 30)
            assert str(port) in told(listener)[0]["message"]
            listener.until(lambda: any("/beat/" in r.path for r in listener.requests), 30)

            found = ask(tmp_path, "ls")
            assert (found["running"], found["open"]) == (True, 1)
            name = found["alerts"][0]["id"]
            assert found["alerts"][0]["key"] == "metrics.port"
            done = ask(tmp_path, "ack", name)
            assert done["running"] is True
            assert "stays open until it recovers" in done["text"]
            assert ask(tmp_path, "ls")["alerts"][0]["acknowledged_by"]
            assert "silent until" in ask(tmp_path, "snooze", name, "--for", "1m")["text"]
            wrong = roboinvest("alerts", "ack", "nosuch", cwd=tmp_path)
            assert (wrong.code, "nosuch" in wrong.refusal()) == (2, True)

            squatter.close()
            running.until(lambda: scraped(port), "figures on the port that is free now")
            text = scraped(port) or ""
            assert "roboinvest_ticks_total" in text
            assert 'roboinvest_trading_state{state="READY"} 1.0' in text
            running.until(
                lambda: (running.report("alerts") or {"open": 1})["open"] == 0, "its recovery"
            )
        log = (tmp_path / "data" / "logs" / "roboinvest.jsonl").read_text()
        assert '"event": "notification_sent"' in log
        assert TOKEN not in log
    over = ask(tmp_path, "ls", "--all")
    assert (over["running"], over["open"]) == (False, 0)
    assert f"port {port} is listened on" in over["alerts"][0]["resolution"]


def told(listener: Listener) -> list[Any]:
    return [request.parsed for request in listener.requests if request.path.startswith("/hook/")]


def ask(place: Path, *command: str) -> Any:
    return roboinvest("alerts", *command, "--json", cwd=place).value()


def scraped(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None
