"""The exchange's calendar decides when ticks happen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.trading.schedule import TickSchedule
from tests.fakes.markets import session


class Weekdays:
    """A calendar without holidays."""

    def sessions(self, first: date, last: date) -> Sequence[Session]:
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [session(day) for day in days if day.weekday() < 5]


FRIDAY, MONDAY = session(date(2024, 3, 8)), session(date(2024, 3, 11))


def schedule(last: date | None = MONDAY.day) -> TickSchedule:
    return TickSchedule(Weekdays(), Timeframe.MINUTE, FRIDAY.opens_at, last)


def test_a_run_ticks_at_every_minute_of_every_session_and_skips_the_weekend() -> None:
    ticks = [at for _, at in schedule().after(None)]
    assert len(ticks) == 780
    assert ticks[389:391] == [FRIDAY.closes_at, MONDAY.opens_at + timedelta(minutes=1)]


def test_a_resumed_run_goes_on_after_its_last_tick() -> None:
    everything = [at for _, at in schedule().after(None)]
    for cut in (0, 100, 389, 390, 778):
        assert [at for _, at in schedule().after(everything[cut])] == everything[cut + 1 :]
    assert list(schedule().after(everything[-1])) == []


def test_a_run_that_begins_in_mid_session_begins_there() -> None:
    noon = FRIDAY.opens_at + timedelta(hours=2)
    first = next(TickSchedule(Weekdays(), Timeframe.MINUTE, noon, None).after(None))
    assert first == (FRIDAY, noon)


def test_a_run_without_an_end_goes_on_for_months() -> None:
    ticks = schedule(last=None).after(None)
    for _ in range(390 * 60):
        at = next(ticks)[1]
    assert at.date() == date(2024, 5, 30)


def test_a_market_that_does_not_wait_is_met_with_one_tick_after_a_stall() -> None:
    def at_a(second: int) -> datetime:
        return FRIDAY.opens_at + timedelta(minutes=10, seconds=second)

    time = at_a(0)
    live = TickSchedule(Weekdays(), Timeframe.MINUTE, FRIDAY.opens_at, None, now=lambda: time)
    ticks = (at for _, at in live.after(FRIDAY.opens_at))
    assert next(ticks) == FRIDAY.opens_at + timedelta(minutes=10)
    assert next(ticks) == FRIDAY.opens_at + timedelta(minutes=11)
    time += timedelta(minutes=30, seconds=30)
    assert next(ticks) == FRIDAY.opens_at + timedelta(minutes=40)
    time += timedelta(days=1)
    assert next(ticks) == MONDAY.opens_at + timedelta(minutes=1)
