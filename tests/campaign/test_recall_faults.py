"""Text recall breaks in every way a disk and a process can; it heals, and no tick waits for it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.processes import Daemon
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SIMULATED = ("run", "--speed", 600, "--seed", 7)
LIMIT_MB = 16  # the least that the settings take
TICKS_MEANWHILE = 5  # half a second at this speed


def until_recall(daemon: Daemon, state: str, timeout_s: float = 60.0) -> str:
    """Wait for a state of recall in the status; return its reason."""

    def found() -> tuple[str] | None:
        now, reason = daemon.recall()
        return (reason,) if now == state else None

    (reason,) = daemon.until(found, f"recall is {state}", timeout_s)
    return reason


def generation(daemon: Daemon) -> str:
    return (daemon.data / "memory" / "CURRENT").read_text().strip()


def breaks_and_heals(daemon: Daemon, fault: Callable[[], object]) -> str:
    """Break recall; see it degraded while ticks go on, then ready again. Return what was said."""
    until_recall(daemon, "ready")
    ticks = StoredRun(daemon.data).tick_count()
    fault()
    reason = until_recall(daemon, "degraded")
    daemon.until_tick(ticks + TICKS_MEANWHILE)
    until_recall(daemon, "ready")
    assert services_are_up(daemon)
    return reason


def open_alerts(daemon: Daemon) -> list[str]:
    """Return the causes of the alerts that are open, as the report has them."""
    alerts = (daemon.report("alerts") or {}).get("alerts", ())
    return [alert["key"] for alert in alerts if alert["resolved_at"] is None]


def services_are_up(daemon: Daemon) -> bool:
    """Return whether no service was restarted for what happened to recall."""
    status = daemon.report("system_status") or {}
    return all((line["state"], line["restarts"]) == ("running", 0) for line in status["services"])


def test_a_killed_child_and_a_deleted_folder_degrade_recall_and_nothing_else(
    tmp_path: Path,
) -> None:
    with Daemon(tmp_path / "data", *SIMULATED, cwd=tmp_path) as daemon:
        until_recall(daemon, "ready")
        first = daemon.chroma()
        assert first is not None
        assert "signal 9" in breaks_and_heals(daemon, first.kill)
        second = daemon.chroma()
        assert second is not None
        assert second.pid != first.pid

        memory = daemon.data / "memory"
        assert breaks_and_heals(daemon, lambda: shutil.rmtree(memory))
        assert (memory / generation(daemon) / "chroma.sqlite3").exists()
        raised = [alert["key"] for alert in (daemon.report("alerts") or {})["alerts"]]
        assert raised == ["recall"]  # once, however often it was degraded
        daemon.until(lambda: open_alerts(daemon) == [], "the alert of recall is resolved", 10)


def test_a_frozen_child_is_replaced_without_a_tick_missed(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data", *SIMULATED, cwd=tmp_path) as daemon:
        until_recall(daemon, "ready")
        child = daemon.chroma()
        assert child is not None
        breaks_and_heals(daemon, lambda: os.kill(child.pid, signal.SIGSTOP))
        assert not child.is_running()


def test_an_index_at_its_disk_limit_is_set_aside_and_built_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    env = {"ROBOINVEST_MEMORY__DISK_LIMIT_MB": str(LIMIT_MB)}
    with Daemon(data, *SIMULATED, cwd=tmp_path, env=env) as daemon:
        until_recall(daemon, "ready")
        memories = "SELECT count(*) FROM memories"
        daemon.until(lambda: StoredRun(data).rows(memories)[0][0] >= 5, "five memories", 60)
        full = generation(daemon)
        daemon.send(signal.SIGTERM)
        assert daemon.ended(20).code == 0

    fill(data / "memory" / full / "chroma.sqlite3", LIMIT_MB)
    with Daemon(data, *SIMULATED, cwd=tmp_path, env=env) as daemon:
        reason = until_recall(daemon, "degraded")
        ticks = StoredRun(data).tick_count()
        until_recall(daemon, "ready")
        daemon.until_tick(ticks + TICKS_MEANWHILE)
        print(f"recall was degraded because {reason}")
        assert generation(daemon) != full
        assert services_are_up(daemon)
    sizes = [path.stat().st_size for path in (data / "memory" / generation(daemon)).rglob("*")]
    assert max(sizes) < LIMIT_MB << 20


def fill(database: Path, megabytes: int) -> None:
    """Let a database grow past a limit by rows of its own, as years of memories would."""
    with closing(sqlite3.connect(database)) as index, index:
        index.execute("CREATE TABLE years (row BLOB)")
        rows = [(bytes(1 << 20),)] * (megabytes + 1)
        index.executemany("INSERT INTO years VALUES (?)", rows)
    assert database.stat().st_size > megabytes << 20
