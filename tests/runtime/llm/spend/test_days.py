"""The day and the month that pay are New York's, also when its clocks change; restarts count on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps
from roboinvest.runtime.llm.spend.days import exchange_day, month_of
from roboinvest.runtime.llm.spend.values import Denied, Reserved
from tests.fakes.spending import a_call, audit, paid
from tests.runtime.llm.spend.conftest import Desk

CAPS = SpendCaps(day_usd=Decimal("0.10"), month_usd=Decimal("0.25"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "first", "day"),
    [
        ("2026-01-06T04:59:59.999999", "2026-01-06T05:00", "2026-01-06"),  # winter
        ("2026-07-01T03:59:59.999999", "2026-07-01T04:00", "2026-07-01"),  # summer
        ("2026-03-08T04:59:59.999999", "2026-03-08T05:00", "2026-03-08"),  # has 23 hours
        ("2026-03-09T03:59:59.999999", "2026-03-09T04:00", "2026-03-09"),
        ("2026-11-01T03:59:59.999999", "2026-11-01T04:00", "2026-11-01"),  # has 25 hours
        ("2026-11-02T04:59:59.999999", "2026-11-02T05:00", "2026-11-02"),
    ],
)
async def test_a_new_day_has_its_money_from_midnight_in_new_york_on(
    desk: Desk, last: str, first: str, day: str
) -> None:
    assert exchange_day(utc(last)) < exchange_day(utc(first)) == date.fromisoformat(day)
    async with desk.ledger(CAPS) as ledger:
        assert isinstance(await ledger.reserve(a_call(0, at=utc(last))), Reserved)
        assert isinstance(await ledger.reserve(a_call(1, "0.01", at=utc(last))), Denied)
        assert isinstance(await ledger.reserve(a_call(2, at=utc(first))), Reserved)
        assert isinstance(await ledger.reserve(a_call(3, "0.01", at=utc(first))), Denied)


async def test_the_hour_that_comes_twice_is_of_one_day(desk: Desk) -> None:
    once, again = utc("2026-11-01T05:30"), utc("2026-11-01T06:30")  # 01:30 both times
    async with desk.ledger(CAPS) as ledger:
        assert isinstance(await ledger.reserve(a_call(0, at=once)), Reserved)
        answer = await ledger.reserve(a_call(1, "0.01", at=again))
    assert isinstance(answer, Denied)
    assert answer.cap is Cap.DAY


async def test_a_month_begins_with_its_first_day_in_new_york(desk: Desk) -> None:
    async with desk.ledger(CAPS) as ledger:
        for number, at in enumerate(["2026-03-01T06:00", "2026-03-30T12:00"]):
            await ledger.reserve(a_call(number, at=utc(at)))
        answer = await ledger.reserve(a_call(2, at=utc("2026-04-01T03:59")))
        assert isinstance(answer, Denied)
        assert answer.cap is Cap.MONTH
        assert isinstance(await ledger.reserve(a_call(3, at=utc("2026-04-01T04:00"))), Reserved)
    assert month_of(date(2026, 4, 1)) == "2026-04"


async def test_a_call_is_paid_by_the_day_it_was_reserved_on(desk: Desk) -> None:
    before, after = utc("2026-03-05T04:59"), utc("2026-03-05T05:01")
    async with desk.ledger(CAPS) as ledger:
        await ledger.reserve(a_call(0, at=before))
        desk.clock.advance((after - desk.clock.now()).total_seconds())
        await ledger.settle("c0", paid("0.10"))
        assert isinstance(await ledger.reserve(a_call(1, at=after)), Reserved)
        assert [line.name for line in await ledger.figures("day")] == ["2026-03-04", "2026-03-05"]


async def test_a_restart_goes_on_counting_where_the_last_life_ended(desk: Desk) -> None:
    at = utc("2026-03-04T17:00")
    async with desk.ledger(CAPS) as ledger:
        await ledger.reserve(a_call(0, "0.06", at=at))
        await ledger.settle("c0", paid("0.06"))
        await ledger.reserve(a_call(1, "0.02", at=at))  # left open
    async with desk.ledger(CAPS) as ledger:
        assert ledger.recovered == 1
        answer = await ledger.reserve(a_call(2, "0.03", at=at))
        assert isinstance(answer, Denied)
        assert (answer.spent_usd, answer.reserved_usd) == (Decimal("0.08"), Decimal(0))
        await ledger.settle("c1", paid("0.01"))
        assert isinstance(await ledger.reserve(a_call(3, "0.03", at=at)), Reserved)
    assert audit(desk.path).spent == Decimal("0.07")


async def test_whoever_runs_beside_the_daemon_leaves_its_calls_alone(desk: Desk) -> None:
    async with desk.ledger(CAPS) as daemon:
        await daemon.reserve(a_call(0, at=utc("2026-03-04T17:00")))
        async with desk.ledger(CAPS, recover=False) as beside:
            assert beside.recovered == 0
            assert audit(desk.path).states == {"reserved": 1}
        await daemon.settle("c0", paid("0.01"))
    assert audit(desk.path).spent == Decimal("0.01")
