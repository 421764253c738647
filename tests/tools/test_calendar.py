"""The exchange's calendar: holidays, half days, clock changes, and what it costs to import."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.sessions import Session
from tools.calendar import ExchangeCalendar

CALENDAR = ExchangeCalendar()


def test_a_holiday_has_no_session_and_a_half_day_closes_early() -> None:
    days = CALENDAR.sessions(date(2015, 12, 23), date(2015, 12, 28))
    assert [session.day.day for session in days] == [23, 24, 28]
    assert days[1] == Session(
        day=date(2015, 12, 24),
        opens_at=datetime(2015, 12, 24, 14, 30, tzinfo=UTC),
        closes_at=datetime(2015, 12, 24, 18, 0, tzinfo=UTC),
        is_half_day=True,
    )
    assert not days[0].is_half_day


def test_the_open_moves_with_the_clocks_of_new_york() -> None:
    friday, monday = CALENDAR.sessions(date(2011, 3, 11), date(2011, 3, 14))
    assert (friday.opens_at.hour, monday.opens_at.hour) == (14, 13)


def test_a_range_over_new_year_is_whole_and_in_order() -> None:
    days = [session.day for session in CALENDAR.sessions(date(2019, 12, 30), date(2020, 1, 3))]
    assert days == [date(2019, 12, 30), date(2019, 12, 31), date(2020, 1, 2), date(2020, 1, 3)]


def test_years_outside_the_usual_span_are_found_too() -> None:
    assert len(CALENDAR.sessions(date(1985, 1, 1), date(1985, 12, 31))) > 240
    assert len(CALENDAR.sessions(date(2060, 1, 1), date(2060, 12, 31))) > 240
    assert CALENDAR.sessions(date(2020, 1, 5), date(2020, 1, 1)) == []


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2014, 6, 6), date(2014, 6, 9)),
        (date(2019, 12, 31), date(2020, 1, 2)),
        (date(2020, 1, 1), date(2020, 1, 2)),
    ],
)
def test_the_next_session_is_the_first_after_a_day(day: date, expected: date) -> None:
    assert CALENDAR.next_session(day) == expected


def test_a_calendar_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="NOWHERE is no calendar"):
        ExchangeCalendar("NOWHERE").sessions(date(2020, 1, 1), date(2020, 1, 2))


def test_importing_the_module_does_not_import_the_library() -> None:
    code = "import sys, tools.calendar; sys.exit('pandas' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_it_agrees_with_a_recorded_calendar_over_33_years(data_pack: Path) -> None:
    with gzip.open(data_pack / "calendar" / "xnys_sessions_1990_2023.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    ours = CALENDAR.sessions(date.fromisoformat(rows[0]["session"][:10]), date(2023, 1, 13))
    assert [session.day.isoformat() for session in ours] == [row["session"][:10] for row in rows]
    for session, row in zip(ours, rows, strict=True):
        opens, closes = (datetime.fromisoformat(row[key]) for key in ("open_utc", "close_utc"))
        assert (session.opens_at, session.closes_at) == (opens, closes)
        assert session.is_half_day == (row["early_close"] in ("True", "1", "true"))
