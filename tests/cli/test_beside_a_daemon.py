"""Commands typed while a daemon runs on the same data folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.processes import Daemon, Ended, roboinvest


@pytest.fixture(scope="module")
def daemon(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a running replay: a tick a second, so that no test sees its end."""
    place = tmp_path_factory.mktemp("beside")
    replay = ("--replay", bars, "--from", "2015-12-23", "--speed", 300)
    with Daemon(place / "data", "run", *replay, cwd=place) as running:
        running.until_ready()
        running.until_tick(1)
        yield running


def ask(daemon: Daemon, *command: object) -> Ended:
    return roboinvest(*command, "--data-dir", daemon.data, cwd=daemon.data.parent)


def answer(daemon: Daemon, *command: object) -> Any:
    ended = ask(daemon, *command, "--json")
    assert ended.code == 0, ended.err
    return ended.value()


def test_status_says_that_it_lives(daemon: Daemon) -> None:
    status = answer(daemon, "status", "--check")
    assert (status["running"], status["live"]) == (True, True)
    assert status["process"]["pid"] == daemon.pid
    assert {line["state"] for line in status["services"]} == {"running"}
    words = ask(daemon, "status")
    assert f"running, pid {daemon.pid}" in words.out
    assert "replay (no real money)" in words.out


@pytest.mark.parametrize("command", ["report", "positions", "orders", "trades", "doctor"])
def test_other_questions_are_answered_beside_it(daemon: Daemon, command: str) -> None:
    assert isinstance(ask(daemon, command, "--json").value(), dict)


def test_doctor_names_the_daemon(daemon: Daemon) -> None:
    checks = {check["name"]: check for check in ask(daemon, "doctor", "--json").value()["checks"]}
    assert str(daemon.pid) in checks["daemon"]["fact"]


def test_a_second_daemon_is_refused_and_told_who_is_there(daemon: Daemon, bars: Path) -> None:
    second = ask(daemon, "run", "--replay", bars, "--from", "2015-12-23", "--exit-when-done")
    assert second.code == 5
    sentence = second.refusal()
    for part in (str(daemon.data), f"pid {daemon.pid}", "--data-dir"):
        assert part in sentence


def test_not_even_fresh_takes_the_folder_from_a_daemon(daemon: Daemon, bars: Path) -> None:
    second = ask(daemon, "once", "--replay", bars, "--from", "2015-12-24", "--fresh")
    assert second.code == 5
    assert f"pid {daemon.pid}" in second.refusal()
    assert not list(daemon.data.parent.glob("data.old-*"))


def test_halt_and_resume_are_in_force_before_they_answer(daemon: Daemon) -> None:
    halted = answer(daemon, "halt", "--reason", "lunch")
    assert halted["text"] == "HALTED at level new: lunch"
    daemon.until(
        lambda: (daemon.report("system_status") or {}).get("halted"), "the halt in the status"
    )
    assert answer(daemon, "status")["trading_state_reason"] == "lunch"
    resumed = answer(daemon, "resume")
    assert "the halt is lifted; trading is READY" in resumed["text"]
    assert not (daemon.data / "HALT").exists()
