"""What is due every hour and every day is done once, however often the daemon is started again.

Services, file, supervisor and board are the product's own; nothing but the folder lives on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from roboinvest.core.events import AlertRaised
from tests.fakes.clocks import START
from tests.fakes.long_lives import (
    ASK,
    DAY,
    HOUR,
    Daemon,
    cadence_runs,
    decisions,
    life,
    meetings,
    report_days,
)
from tests.fakes.processes import REPOSITORY, environment

REVIEW, MEETING = "performance review", "governance_meeting"
FIRST = date(2026, 1, 5)  # of `START`
MINUTE = timedelta(minutes=1)
DEADLINE_S = 60.0


def days(first: date, count: int) -> list[date]:
    return [first + number * DAY for number in range(count)]


def met(folder: Path) -> list[str]:
    """Return the days with a meeting; each was decided, and ended."""
    rows = meetings(folder)
    assert all(decided and done for _, decided, done in rows), rows
    return [day for day, _, _ in rows]


def check_nothing_is_doubled(folder: Path) -> None:
    """Each day was met about once, and nothing was decided twice on it."""
    found = met(folder)
    assert len(found) == len(set(found))
    made = decisions(folder)
    assert len(made) == len(set(made))


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_ten_days_in_lives_of_twenty_hours_leave_ten_reports_and_ten_meetings(
    tmp_path: Path,
) -> None:
    written: dict[date, int] = {}
    raised: list[AlertRaised] = []
    for number in range(12):
        begins = START + number * 20 * HOUR
        daemon = life(tmp_path, begins, min(20 * HOUR, START + 10 * DAY - begins))
        assert daemon.end is not None
        assert daemon.end.error is None
        raised += daemon.raised()
        for day, at in report_days(tmp_path).items():
            assert written.setdefault(day, at) == at  # none was written twice
    check_nothing_is_doubled(tmp_path)
    assert list(written) == days(FIRST, 10)
    assert met(tmp_path) == [str(day) for day in days(FIRST, 10)]
    assert (cadence_runs(tmp_path, REVIEW), cadence_runs(tmp_path, MEETING)) == (240, 10)
    assert raised == []


def test_a_daemon_that_is_awake_for_minutes_only_misses_nothing(tmp_path: Path) -> None:
    written: dict[date, int] = {}
    for number in range(7):
        life(tmp_path, START + number * 20 * HOUR, 2 * MINUTE)
        for day, at in report_days(tmp_path).items():
            assert written.setdefault(day, at) == at
    check_nothing_is_doubled(tmp_path)
    assert list(written) == days(FIRST, 5)
    assert cadence_runs(tmp_path, REVIEW) == 7  # each life came after a whole hour or more
    # By the grid of 24 hours all but the second life have one due; two of them fall on one day,
    # and a day has one meeting.
    assert cadence_runs(tmp_path, MEETING) == 6
    assert met(tmp_path) == [str(FIRST + after * DAY) for after in (0, 2, 3, 4, 5)]


def killed(folder: Path, begins_h: float, name: str) -> None:
    """Let a daemon live in a process of its own, until it is killed in the middle of something."""
    command = [sys.executable, "-m", "tests.fakes.long_lives", str(folder), str(begins_h), "1"]
    ended = subprocess.run(
        [*command, name],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2_000:]


@pytest.mark.parametrize(
    "name",
    [
        "daily_report_2026-01-05.json",
        pytest.param("daily_report_2026-01-05.html", marks=pytest.mark.campaign),
    ],
)
def test_a_report_that_was_cut_off_is_made_whole_by_the_next_life(
    tmp_path: Path, name: str
) -> None:
    life(tmp_path, START, 2 * MINUTE)
    killed(tmp_path, 24.0, name)
    assert report_days(tmp_path) == {}
    life(tmp_path, START + 25 * HOUR, 2 * MINUTE)
    assert list(report_days(tmp_path)) == [FIRST]
    kinds = {path.suffix for path in (tmp_path / "reports/governance_reports").glob("daily*")}
    assert kinds == {".json", ".html", ".txt"}  # and no part of a file
    check_nothing_is_doubled(tmp_path)


@pytest.mark.parametrize("name", [ASK, pytest.param("meeting_2026", marks=pytest.mark.campaign)])
def test_a_meeting_that_was_cut_off_is_held_once_all_the_same(tmp_path: Path, name: str) -> None:
    killed(tmp_path, 0.0, name)
    assert len(meetings(tmp_path)) == 1
    assert cadence_runs(tmp_path, MEETING) == 0  # it does not count
    for number in (1, 2):
        life(tmp_path, START + number * HOUR, 2 * MINUTE)
        check_nothing_is_doubled(tmp_path)
        assert met(tmp_path) == [str(FIRST)]
        assert cadence_runs(tmp_path, MEETING) == 1


def test_three_days_away_are_caught_up_with_a_report_a_day_and_one_meeting(tmp_path: Path) -> None:
    life(tmp_path, START, 2 * MINUTE)
    daemon = life(tmp_path, START + 3 * DAY + HOUR, 10 * MINUTE)
    assert list(report_days(tmp_path)) == days(FIRST, 3)
    assert met(tmp_path) == [str(FIRST), str(FIRST + 3 * DAY)]
    assert (cadence_runs(tmp_path, REVIEW), cadence_runs(tmp_path, MEETING)) == (2, 2)
    assert daemon.raised() == []
    check_nothing_is_doubled(tmp_path)


def test_a_clock_that_is_set_back_by_an_hour_doubles_nothing(tmp_path: Path) -> None:
    life(tmp_path, START, 2 * MINUTE)
    written: list[dict[date, int]] = []

    def set_back(daemon: Daemon) -> None:
        written.append(report_days(tmp_path))
        daemon.clock.set_forward(-3_600.0)

    def plant(daemon: Daemon) -> None:
        daemon.at(5 * MINUTE, lambda: set_back(daemon))

    midnight = START + timedelta(hours=14, minutes=30)  # on the exchange's clocks
    life(tmp_path, midnight - 2 * MINUTE, 100 * MINUTE, plant)  # which it passes twice
    assert [list(each) for each in written] == [[FIRST]]
    assert report_days(tmp_path) == written[0]
    before = cadence_runs(tmp_path, REVIEW)
    life(tmp_path, START + DAY, 90 * MINUTE, plant)  # the meeting is due, and due again
    assert met(tmp_path) == [str(FIRST), str(FIRST + DAY)]
    assert cadence_runs(tmp_path, MEETING) == 2
    assert cadence_runs(tmp_path, REVIEW) - before in (1, 2)  # of an hour and a half by the loop
    check_nothing_is_doubled(tmp_path)
