"""What was left is as old as the daemon's own clock and rhythm say, not as the machine's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.reports.health import health_report, write_health
from tests.fakes.processes import roboinvest

AHEAD = timedelta(days=2)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[DataFolder]:
    """Return the folder of a daemon whose clock is two days ahead, and that looks seldom."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "roboinvest.toml").write_text(
        f"[testing]\nloopback_only = 'on'\n[clock]\noffset_s = {AHEAD.total_seconds():.0f}\n"
        "[overseer]\nhealth_interval_s = 600\n"
    )
    folder = DataFolder(tmp_path / "data")
    folder.hold()
    try:
        yield folder
    finally:
        folder.release()


def looked(folder: DataFolder, ago: timedelta) -> None:
    at = SystemClock(AHEAD).now() - ago
    write_health(folder.reports, health_report(at, ()))


def test_a_look_is_old_by_the_daemons_clock_and_by_how_often_it_looks(held: DataFolder) -> None:
    place = held.root.parent
    looked(held, timedelta(minutes=12))
    told = roboinvest("health", "--json", cwd=place).value()
    assert (told["running"], told["live"]) == (True, True)
    assert 700 < told["age_s"] < 800
    assert "silent" not in roboinvest("health", cwd=place).out
    looked(held, timedelta(minutes=40))
    assert roboinvest("health", "--json", cwd=place).value()["live"] is False
    assert (
        "The last look is 40 min old: the Overseer is silent."
        in roboinvest("health", cwd=place).out
    )
