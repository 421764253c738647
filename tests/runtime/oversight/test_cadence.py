from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.cadence import Cadence, keep
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.clocks import START, LoopClock
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def file(tmp_path: Path) -> OverseerFile:
    return OverseerFile.open(tmp_path / FILE_NAME)


def held(cadence: Cadence, now: datetime) -> int:
    """Hold what is due at an instant, looking again and again; return how often."""
    count = 0
    while cadence.due(now):
        cadence.begin(now)
        cadence.done(now)
        count += 1
        assert count < 100
    return count


def test_what_was_never_run_is_due_at_once(file: OverseerFile) -> None:
    cadence = Cadence(file, "daily", DAY)
    assert cadence.due(START)
    assert cadence.due(START)  # looking changes nothing
    assert held(cadence, START) == 1
    assert not cadence.due(START + DAY - timedelta(seconds=1))
    assert cadence.due(START + DAY)


def test_a_missed_run_is_caught_up_once_and_the_grid_goes_on(file: OverseerFile) -> None:
    cadence = Cadence(file, "daily", DAY)
    held(cadence, START)
    back = START + 9 * DAY + 5 * HOUR
    assert held(cadence, back) == 1
    assert cadence.standing().next_at == START + 10 * DAY


def test_a_run_that_takes_longer_than_its_interval_is_not_followed_by_a_burst(
    file: OverseerFile,
) -> None:
    cadence = Cadence(file, "hourly", HOUR)
    cadence.begin(START)
    assert cadence.done(START + 5 * HOUR + timedelta(minutes=1)) == START + 6 * HOUR


def test_a_run_that_the_process_did_not_outlive_is_due_again_and_not_counted(
    tmp_path: Path, file: OverseerFile
) -> None:
    Cadence(file, "daily", DAY).begin(START)
    file.close()
    with OverseerFile.open(tmp_path / FILE_NAME) as again:
        cadence = Cadence(again, "daily", DAY)
        later = START + timedelta(minutes=1)
        assert cadence.due(later)
        assert (cadence.standing().runs, cadence.standing().tries) == (0, 1)
        cadence.begin(later)
        assert cadence.standing().tries == 2
        cadence.done(later)
        assert (cadence.standing().runs, cadence.standing().tries) == (1, 0)
        assert cadence.standing().begun_at is None


@pytest.mark.parametrize("back", [timedelta(hours=3), timedelta(days=3), timedelta(days=3000)])
def test_a_clock_set_back_doubles_nothing_and_puts_off_by_one_interval_at_most(
    file: OverseerFile, back: timedelta
) -> None:
    cadence = Cadence(file, "daily", DAY)
    held(cadence, START)
    now = START + HOUR - back
    runs = []
    for number in range(49):
        if held(cadence, now + number * HOUR):
            runs.append(number)
    assert runs
    assert runs[0] >= 20  # none at once: the last one was an hour ago
    assert runs[0] <= 26 or back < DAY
    assert all(after - before == 24 for before, after in itertools.pairwise(runs))


def test_a_clock_set_forward_makes_it_due_once_and_setting_it_right_again_starves_nobody(
    file: OverseerFile,
) -> None:
    cadence = Cadence(file, "daily", DAY)
    held(cadence, START)
    wrong = START + 400 * DAY + HOUR
    assert held(cadence, wrong) == 1
    right = START + HOUR
    assert held(cadence, right) == 0
    assert held(cadence, right + DAY) == 1
    assert held(cadence, right + DAY + HOUR) == 0


def test_cadences_of_other_names_know_nothing_of_each_other(file: OverseerFile) -> None:
    assert held(Cadence(file, "a", DAY), START) == 1
    assert held(Cadence(file, "b", HOUR), START + HOUR) == 1
    assert held(Cadence(file, "a", DAY), START + HOUR) == 0
    with pytest.raises(BadInput, match="above zero"):
        Cadence(file, "c", timedelta(0))


Loop = Callable[..., Awaitable[None]]


async def sleeps_first(ctx, cadence, work, *, clock, threads) -> None:  # type: ignore[no-untyped-def]
    """The planted fault: the interval is slept before the run, and nothing is kept."""
    while True:
        await ctx.sleep(cadence.every.total_seconds())
        await work(clock.now())


async def counts_what_began(ctx, cadence, work, *, clock, threads) -> None:  # type: ignore[no-untyped-def]
    """The planted fault: a run counts when it begins."""
    while True:
        if cadence.due(clock.now()):
            cadence.done(clock.now())
            await work(clock.now())
        await ctx.sleep(60.0)


class DiedError(Exception):
    """The process ended half way."""


def lives(
    tmp_path: Path, loop: Loop, *, lived: timedelta, total: timedelta, dies_in: int | None = None
) -> list[datetime]:
    """Restart a daemon every so often; return when the runs were done.

    In life number `dies_in` the process dies in the middle of its first run.
    """
    done: list[datetime] = []
    at, number = START, 0
    while at < START + total:
        lasts = min(lived, START + total - at)
        if not _life(tmp_path, loop, at, lasts, done, dies=number == dies_in):
            lasts = timedelta(seconds=1)
        at += lasts
        number += 1
    return done


def _life(
    folder: Path, loop: Loop, at: datetime, lasts: timedelta, done: list[datetime], *, dies: bool
) -> bool:
    in_flight = InFlight()

    async def work(now: datetime) -> None:
        await asyncio.sleep(30.0)
        if dies:
            raise DiedError
        done.append(now)

    async def main() -> bool:
        with ThreadPoolExecutor(1) as pool, OverseerFile.open(folder / FILE_NAME) as file:
            cadence = Cadence(file, "daily", DAY)
            threads = Threads(pool, in_flight)
            try:
                async with asyncio.timeout(lasts.total_seconds() - 0.5):
                    clock = LoopClock(at)
                    await loop(context(), cadence, work, clock=clock, threads=threads)
            except TimeoutError:
                return True
            except DiedError:
                return False
        return True

    return run_virtual(main, in_flight)


TEN = timedelta(days=10)


def test_a_restart_every_twenty_hours_for_ten_days_still_gives_ten_runs_none_doubled(
    tmp_path: Path,
) -> None:
    done = lives(tmp_path, keep, lived=timedelta(hours=20), total=TEN)
    assert len(done) == 10
    days = [(at - START) / DAY for at in done]
    assert all(abs(day - number) < 0.01 for number, day in enumerate(days)), days


def test_a_run_that_died_half_way_is_held_by_the_next_life(tmp_path: Path) -> None:
    done = lives(tmp_path, keep, lived=timedelta(hours=20), total=timedelta(days=3), dies_in=0)
    assert len(done) == 3


def test_a_loop_that_sleeps_first_is_caught(tmp_path: Path) -> None:
    assert lives(tmp_path, sleeps_first, lived=timedelta(hours=20), total=TEN) == []


def test_a_loop_that_counts_what_only_began_is_caught(tmp_path: Path) -> None:
    done = lives(
        tmp_path, counts_what_began, lived=timedelta(hours=20), total=timedelta(days=3), dies_in=0
    )
    assert len(done) < 3
