"""Every day gets its report once, whoever was away, and a full disk is an alert and no crash."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from meta_agents.daily_report.days import day_of, days_between
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.clocks import START, LoopClock, ManualClock
from tests.fakes.report_houses import ReportHouse, report_house, ticks_at
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIRST = date(2026, 1, 5)  # of `START`


def live(root: Path, start: datetime, lasts: timedelta) -> None:
    """Let a daemon live for a while, with a tick at its start."""
    in_flight = InFlight()

    async def main() -> None:
        clock = LoopClock(start)
        await ticks_at(root, in_flight, start)
        with (
            report_house(root, clock, in_flight, run_now=clock.now) as house,
            suppress(TimeoutError),
        ):
            async with asyncio.timeout(lasts.total_seconds()):
                await house.reports.run(context())

    run_virtual(main, in_flight)


def kept(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "reports/governance_reports").glob("*.json"))


def test_a_process_that_lives_20_hours_at_a_time_leaves_one_report_a_day(tmp_path: Path) -> None:
    at, end = START, START + 10 * DAY
    written: dict[str, int] = {}
    while at < end:
        live(tmp_path, at, min(20 * HOUR, end - at))
        at += 20 * HOUR
        for name in kept(tmp_path):
            changed = (tmp_path / "reports/governance_reports" / name).stat().st_mtime_ns
            assert written.setdefault(name, changed) == changed  # none is made twice
    days = [f"daily_report_{day}.json" for day in days_between(FIRST, FIRST + 9 * DAY)]
    assert kept(tmp_path) == days


def test_days_that_nobody_lived_through_are_caught_up_with_the_reason(tmp_path: Path) -> None:
    live(tmp_path, START, HOUR)
    live(tmp_path, START + 4 * DAY, timedelta(minutes=3))
    assert kept(tmp_path) == [f"daily_report_2026-01-0{day}.json" for day in (5, 6, 7, 8)]
    in_flight = InFlight()

    async def main() -> None:
        with report_house(tmp_path, ManualClock(START + 4 * DAY), in_flight) as house:
            found = await house.reports.report(date(2026, 1, 7))
            assert found.complete
            assert found.trading_result.result_usd is None
            why = found.unknown["trading_result.total_return"]
            assert why == "no tick was committed on this day"

    asyncio.run(main())


def test_before_anything_ran_nothing_is_due(tmp_path: Path) -> None:
    async def main() -> None:
        in_flight = InFlight()
        with report_house(tmp_path, ManualClock(), in_flight) as house:
            assert await house.reports.make_due() == ()
            assert house.published == []
            assert await house.books.first_day() is None

    asyncio.run(main())


def test_a_folder_that_cannot_be_written_is_one_alert_until_it_can(tmp_path: Path) -> None:
    async def main() -> None:
        in_flight, clock = InFlight(), ManualClock()
        await ticks_at(tmp_path, in_flight, START)
        clock.advance(2 * 86_400)
        with report_house(tmp_path, clock, in_flight, run_now=clock.now) as house:
            blocked = house.archive.folder
            blocked.write_text("a file where the folder should be")
            for _ in range(5):
                assert await house.reports.make_due() == ()
                clock.advance(60)
            (raised,) = house.published
            assert isinstance(raised, AlertRaised)
            assert "governance_reports: a file is where a folder belongs" in raised.message
            blocked.unlink()
            assert len(await house.reports.make_due()) == 2
            assert isinstance(house.published[-1], AlertResolved)
            assert await house.reports.make_due() == ()

    asyncio.run(main())


def test_only_whole_days_are_made_by_the_service_and_asking_in_between_costs_no_look(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        in_flight, clock = InFlight(), ManualClock()
        await ticks_at(tmp_path, in_flight, START)
        with report_house(tmp_path, clock, in_flight, run_now=clock.now) as house:
            assert await house.reports.make_due() == ()
            part = await house.reports.report(FIRST)
            assert not part.complete
            assert await house.reports.keep(part)
            clock.advance(86_400)
            assert await house.reports.make_due() == (FIRST,)
            assert house.archive.read(FIRST).complete
            assert not await house.reports.keep(part)  # a part never replaces the whole
            house.archive.path(FIRST).unlink()
            assert await house.reports.make_due() == ()  # nobody looks again today
            clock.advance(86_400)
            assert await house.reports.make_due() == (FIRST, FIRST + DAY)

    asyncio.run(main())


async def played(root: Path, in_flight: InFlight) -> None:
    """Commit two days of an old market."""
    first = datetime(2015, 12, 22, 15, tzinfo=UTC)
    await ticks_at(root, in_flight, first, first + DAY, first + DAY + HOUR)


def test_a_replay_goes_by_its_own_clock(tmp_path: Path) -> None:
    async def main() -> None:
        in_flight = InFlight()
        await played(tmp_path, in_flight)
        with report_house(tmp_path, ManualClock(), in_flight, mode="replay") as house:
            assert day_of(await house.books.run_now()) == date(2015, 12, 23)
            assert await house.reports.make_due() == (date(2015, 12, 22),)
            last = await house.reports.report(date(2015, 12, 23))
            assert not last.complete
            assert last.trading_result.day.total_return == pytest.approx(0.0201, abs=1e-6)
            assert last.trading_result.day.base.startswith("the close before, 1 of 2 symbols")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("day", "words"),
    [(date(2015, 12, 24), "still to come"), (date(2015, 12, 21), "began on 2015-12-22")],
)
def test_a_day_outside_of_the_run_is_refused(tmp_path: Path, day: date, words: str) -> None:
    async def main(house: ReportHouse) -> None:
        with pytest.raises(BadInput, match=words):
            await house.reports.report(day)

    async def entry() -> None:
        in_flight = InFlight()
        await played(tmp_path, in_flight)
        with report_house(
            tmp_path, ManualClock(), in_flight, mode="replay", running=False
        ) as house:
            await main(house)

    asyncio.run(entry())


def test_a_book_that_is_damaged_costs_its_figures_and_not_the_report(tmp_path: Path) -> None:
    async def main() -> None:
        in_flight = InFlight()
        await ticks_at(tmp_path, in_flight, START)
        for name in ("overseer.db", "governance.db", "llm.db"):
            (tmp_path / name).write_text("no database at all, but long enough to look like one")
        (tmp_path / "reports").mkdir(exist_ok=True)
        (tmp_path / "reports" / "health.json").write_text("{")
        with report_house(tmp_path, ManualClock(), in_flight) as house:
            found = await house.reports.report(FIRST)
        assert found.trading_result.ticks == 1
        assert (found.healing, found.changes, found.llm_spend) == (None, None, None)
        for part in ("healing", "changes", "llm_spend", "system_health.total_agents"):
            assert len(found.unknown[part]) > 10

    asyncio.run(main())


def test_nothing_has_run_is_said_as_such(tmp_path: Path) -> None:
    async def main() -> None:
        in_flight = InFlight()
        with report_house(tmp_path, ManualClock(), in_flight, running=False) as house:
            house.folder.stamp_file.unlink()
            with pytest.raises(TryLater, match="nothing has run"):
                await house.books.run_now()

    asyncio.run(main())


@pytest.mark.parametrize("ahead", [7 * HOUR, 10 * HOUR, 3 * DAY])
def test_a_report_made_by_a_clock_that_ran_ahead_gives_way_to_that_of_the_real_day(
    tmp_path: Path, ahead: timedelta
) -> None:
    evening = datetime(2026, 1, 5, 22, 0, tzinfo=UTC)  # 17:00 in New York, of the first day
    in_flight = InFlight()

    async def main() -> None:
        clock = LoopClock(evening)
        await ticks_at(tmp_path, in_flight, START)
        with report_house(tmp_path, clock, in_flight, run_now=clock.now) as house:
            clock.set_forward(ahead.total_seconds())
            assert FIRST in await house.reports.make_due()
            clock.set_forward(-ahead.total_seconds())
            assert await house.reports.make_due() == ()
            await asyncio.sleep(7 * HOUR.total_seconds() + 30.0)
            assert await house.reports.make_due() == (FIRST,)
            assert house.archive.read(FIRST).generated_at == clock.now()
            await asyncio.sleep(DAY.total_seconds())
            assert await house.reports.make_due() == (FIRST + DAY,)

    run_virtual(main, in_flight)


def test_a_process_that_starts_later_does_not_believe_a_report_of_a_time_to_come(
    tmp_path: Path,
) -> None:
    live(tmp_path, START, HOUR)
    live(tmp_path, START + 3 * DAY, HOUR)  # by a clock that runs ahead
    live(tmp_path, START + 2 * HOUR, DAY)
    path = tmp_path / "reports/governance_reports" / f"daily_report_{FIRST}.json"
    assert '"generated_at":"2026-01-06T05:0' in path.read_text().replace(": ", ":")
