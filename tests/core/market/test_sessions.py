"""Ticks follow the exchange's day, whatever its length or the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from tests.fakes.markets import DAY, session

FULL = session()
HALF = session(half_day=True)


@pytest.mark.parametrize(
    ("day", "timeframe", "count"),
    [
        (FULL, Timeframe.MINUTE, 390),
        (HALF, Timeframe.MINUTE, 210),
        (FULL, Timeframe.MINUTES_5, 78),
        (FULL, Timeframe.MINUTES_15, 26),
        (FULL, Timeframe.HOUR, 7),  # 15:00 to 20:00 UTC on the hour, and the close
        (FULL, Timeframe.DAY, 1),
    ],
)
def test_a_session_has_a_tick_for_every_bar_that_closes_in_it(
    day: Session, timeframe: Timeframe, count: int
) -> None:
    ticks = list(day.tick_times(timeframe))
    assert len(ticks) == count
    assert ticks == sorted(set(ticks))
    assert ticks[-1] == day.closes_at
    assert ticks[0] > day.opens_at


def test_an_hour_bar_stamped_before_the_open_belongs_to_the_session_it_reaches_into() -> None:
    nine = datetime(2024, 3, 5, 14, 0, tzinfo=UTC)
    assert FULL.covers(nine, Timeframe.HOUR)
    assert not FULL.covers(nine - timedelta(hours=1), Timeframe.HOUR)
    assert not FULL.covers(FULL.closes_at, Timeframe.HOUR)


def test_no_bar_closes_after_its_session() -> None:
    late = HALF.closes_at - timedelta(minutes=20)
    assert HALF.bar_close(late, Timeframe.HOUR) == HALF.closes_at
    assert HALF.bar_close(HALF.opens_at, Timeframe.DAY) == HALF.closes_at


def test_the_close_itself_is_outside_the_session() -> None:
    assert FULL.holds(FULL.opens_at)
    assert not FULL.holds(FULL.closes_at)
    assert FULL.time_left(FULL.closes_at + timedelta(hours=1)) == timedelta(0)
    assert FULL.day == DAY
