"""The kill switch, on a replay and on a running daemon, through every door it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.processes import Daemon, Finished, roboinvest
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SIMULATED = ("run", "--speed", 600, "--seed", 7)
ATTEMPTS = 5  # a stop may close a position in the moment between seeing it and the halt
QUIET_TICKS = 20  # long enough for a daemon that was not halted to look for an entry


def ask(daemon: Daemon, *command: object) -> Any:
    """Ask in a second terminal."""
    ended = roboinvest(*command, "--data-dir", daemon.data, "--json", cwd=daemon.data.parent)
    assert ended.code == 0, ended.err
    return ended.value()


def until_halted(daemon: Daemon, *, halted: bool) -> Mapping[str, Any]:
    """Wait until the status says so; return it."""

    def found() -> Mapping[str, Any] | None:
        status = daemon.report("system_status")
        return status if status and status["halted"] is halted else None

    return daemon.until(found, f"halted is {halted} in the status", 10)


def flatten(daemon: Daemon, stored: StoredRun) -> None:
    """Halt so that positions are closed, until one was closed by that and by nothing else."""
    for _ in range(ATTEMPTS):
        daemon.until(stored.holdings, "an open position", 100)
        before = last_seq(stored)
        ask(daemon, "halt", "--level", "flatten", "--reason", "drill")
        daemon.until(lambda: not stored.holdings(), "nothing is held", 60)
        if "flatten" in legs_since(stored, before):
            return
        ask(daemon, "resume")
    raise AssertionError(f"no position lived until it was flattened, in {ATTEMPTS} attempts")


def legs_since(stored: StoredRun, seq: int) -> set[str]:
    """Return which legs were sent after an order."""
    return {leg for (leg,) in stored.rows("SELECT DISTINCT leg FROM orders WHERE seq > ?", seq)}


def last_seq(stored: StoredRun) -> int:
    ((seq,),) = stored.rows("SELECT coalesce(max(seq), 0) FROM orders")
    return int(seq)


def test_a_replay_under_halt_lives_through_every_tick_and_sends_nothing(
    uncut: Finished, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "HALT").touch()
    ended = roboinvest(*uncut.arguments, "--data-dir", data, cwd=tmp_path)
    assert ended.code == 0, ended.err
    summary = ended.value()
    assert summary["ticks"] == 210
    assert (summary["orders"], summary["fills"], summary["trades"]) == (0, 0, 0)
    assert summary["equity_end"] == summary["equity_start"]
    assert summary["rejected"] == summary["decisions"]["BUY"] > 0
    for body in StoredRun(data).bodies():
        wanted = [one["symbol"] for one in body["decisions"] if one["action"] == "BUY"]
        assert body["trading_state"] == "HALTED"
        assert len(body["rejected"]) == len(wanted)
        for symbol, text in zip(wanted, body["rejected"], strict=True):
            assert symbol in text
            assert "HALTED" in text
    assert (data / "HALT").exists()  # only a person takes it away


def test_a_running_daemon_is_flattened_resumed_halted_by_hand_and_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stored = StoredRun(data)
    with Daemon(data, *SIMULATED, cwd=tmp_path) as daemon:
        flatten(daemon, stored)
        flat_at, flat_seq = stored.tick_count(), last_seq(stored)
        daemon.until_tick(flat_at + QUIET_TICKS)
        assert last_seq(stored) == flat_seq  # nothing is sent while halted
        assert stored.open_orders() == []
        assert ask(daemon, "positions")["positions"] == {}
        assert until_halted(daemon, halted=True)["trading_state_reason"] == "drill"

        ask(daemon, "resume")
        until_halted(daemon, halted=False)
        daemon.until(lambda: last_seq(stored) > flat_seq, "an order after the resume", 100)

        (data / "HALT").touch()
        assert "HALT" in until_halted(daemon, halted=True)["trading_state_reason"]
        daemon.until_tick(stored.tick_count() + 2)  # the tick under way may still have sent
        by_hand = last_seq(stored)
        daemon.until_tick(stored.tick_count() + QUIET_TICKS)
        assert legs_since(stored, by_hand) == set()
        daemon.kill()
    assert (data / "HALT").exists()

    with Daemon(data, *SIMULATED, cwd=tmp_path) as daemon:
        seen = daemon.until_ready()
        assert seen["trading_state"] == "HALTED"
        daemon.until_tick(stored.tick_count() + QUIET_TICKS)
        assert legs_since(stored, by_hand) == set()
        (data / "HALT").unlink()  # as `resume` does
        until_halted(daemon, halted=False)
