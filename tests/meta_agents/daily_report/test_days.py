"""Days are those of the exchange, also where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from meta_agents.daily_report.days import day_of, days_between, span_of


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 1, 5), 24), (date(2026, 3, 8), 23), (date(2026, 11, 1), 25)]
)
def test_days_follow_each_other_without_a_gap(day: date, hours: int) -> None:
    span = span_of(day)
    assert span.seconds == hours * 3600
    assert span.end == span_of(day + timedelta(days=1)).start
    assert day_of(span.start) == day == day_of(span.end - timedelta(microseconds=1))
    assert day_of(span.end) == day + timedelta(days=1)
    assert span.end not in span


def test_the_evening_of_new_york_is_still_its_day() -> None:
    assert day_of(datetime(2026, 1, 6, 4, 59, tzinfo=UTC)) == date(2026, 1, 5)


def test_all_days_between_two_are_there() -> None:
    first, last = date(2026, 2, 27), date(2026, 3, 2)
    assert [day.day for day in days_between(first, last)] == [27, 28, 1, 2]
    assert list(days_between(last, first)) == []
