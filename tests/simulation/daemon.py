"""A daemon's days under virtual time: lives that end in every way, over a broker that errs.

A scenario is a seed. It says how the broker errs, when a person halts or trades beside us, when the
journal's disk is full, and how each life ends: killed at a step or at an instant, or stopped in an
orderly way. The last life is long and calm, so that everything can come to rest and be judged.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.core.events import TradingState
from roboinvest.core.orders import OrderIntent, Side
from roboinvest.core.venue import Outcome
from roboinvest.runtime.configuration.policies import risk_limits
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.clocks import LoopClock
from tests.fakes.venues import CALM, Faults
from tests.fakes.virtual_time import run_virtual
from tests.simulation.daemon_checker import DaemonChecker
from tests.simulation.daemon_house import DaemonLife, Surroundings
from tests.simulation.daemon_venue import SYMBOLS, TradingVenue, busy_trader, path_of
from tests.simulation.wire import Steps, Wire

BEFORE_S: Final = 20.0  # the first life starts so long before the open
QUIET_S: Final = 540.0  # calm at the end: an intent's validity, and what its look-ups take
LOOK_S: Final = 5.0
SETTINGS: Final = {
    "memory.chroma": "off",
    "reports.interval_s": 20,
    "retention.hold_tick_days": 365,  # every tick can be read at the end
    "risk.no_entry_last_min": 2,
    "risk.cooldown_bars": 1,
    "risk.max_trades_per_day": 12,
    "risk.max_position_frac": "0.05",
    "risk.max_gross_frac": "0.12",
    "risk.risk_per_trade_frac": "0.01",
}
How = Literal["killed at a step", "killed in time", "stopped at a step", "stopped in time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How a life ends: so many steps, or seconds, after it began."""

    how: How
    after: float
    rest_s: float | None = None  # until the next life; None: some seconds, as a service manager has


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is tried."""

    seed: int
    minutes: int = 27  # of each session; the last nine are quiet
    sessions: int = 1
    fates: tuple[Fate, ...] = ()
    faults: Faults = CALM
    halts: tuple[tuple[float, float], ...] = ()  # from, to: seconds after the start
    full_disk: tuple[tuple[float, float], ...] = ()
    no_positions: tuple[tuple[float, float], ...] = ()
    by_hand: bool = False
    desk: type[OrderDesk] = OrderDesk
    wire: type[Wire] = Wire

    def in_words(self) -> str:
        """Return the line to run it again from."""
        ends = ", ".join(f"{fate.how} {fate.after:.0f}" for fate in self.fates)
        return f"seed={self.seed} lives=[{ends}]"


def story_of(seed: int, **fields: Any) -> Story:
    """Return the story of a seed, with faults, people and ends of its own."""
    rng = random.Random(seed * 6007 + 3)
    faults = Faults(
        place=rng.choice((0.0, 0.3, 0.6, 0.9)),
        cancel=rng.choice((0.0, 0.5)),
        read=rng.choice((0.0, 0.02, 0.05)),
        late_s=rng.choice((5.0, 30.0, 50.0)),
        lookup_lag_s=rng.choice((0.0, 3.0, 8.0)),
        positions_lag_s=rng.choice((0.0, 4.0, 8.0)),
        odd_status=rng.choice((0.0, 0.2)),
        stream_lost=rng.choice((0.0, 0.3, 1.0)),
        stream_twice=rng.choice((0.0, 0.5)),
        stream_late_s=rng.choice((0.0, 2.0, 10.0)),
    )
    ends: tuple[How, ...] = ("killed at a step",) * 3 + ("killed in time", "stopped at a step")
    fates = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        how = rng.choice(ends)
        fates.append(Fate(how=how, after=float(_when(rng, how))))
    values: dict[str, Any] = {
        "fates": tuple(fates),
        "faults": faults,
        "by_hand": rng.random() < 0.4,
        "halts": _windows(rng, 0.3),
        "no_positions": _windows(rng, 0.3),
        **fields,
    }
    return replace(Story(seed=seed), **values)


def month_of(seed: int) -> Story:
    """Return thirty short days: stopped on most evenings until the morning, killed on some days."""
    rng, minutes = random.Random(seed), 27
    days = path_of(minutes, 30).days
    fates, began = list[Fate](), days[0].opens_at - timedelta(seconds=BEFORE_S)
    for today, tomorrow in itertools.pairwise(days):
        if rng.random() < 0.4:
            after = (today.opens_at - began).total_seconds() + rng.uniform(30.0, 1_000.0)
            fates.append(Fate(how="killed in time", after=after, rest_s=3.0))
            began += timedelta(seconds=after + 3.0)
        if rng.random() < 0.9:  # else it goes on through the night
            evening, morning = (
                today.closes_at + timedelta(seconds=90),
                tomorrow.opens_at - timedelta(seconds=BEFORE_S),
            )
            after, rest_s = (evening - began).total_seconds(), (morning - evening).total_seconds()
            fates.append(Fate(how="stopped in time", after=after, rest_s=rest_s))
            began = morning
    faults = replace(story_of(seed).faults, place=0.3, read=0.02)
    return Story(seed=seed, minutes=minutes, sessions=30, fates=tuple(fates), faults=faults)


def _when(rng: random.Random, how: How) -> float:
    return rng.randint(1, 180) if how.endswith("step") else rng.uniform(0.0, 700.0)


def _windows(rng: random.Random, odds: float) -> tuple[tuple[float, float], ...]:
    """Return a window of up to four minutes, or none."""
    begins, lasts = rng.uniform(60.0, 800.0), rng.uniform(5.0, 240.0)
    return ((begins, begins + lasts),) if rng.random() < odds else ()


class DaemonWorld:
    """All that lasts, and the lives that pass through it."""

    def __init__(self, story: Story, root: Path, in_flight: InFlight) -> None:
        self.story = story
        path = path_of(story.minutes, story.sessions)
        start = path.days[0].opens_at - timedelta(seconds=BEFORE_S)
        clock, settings = LoopClock(start), load_settings(None, {}, dict(SETTINGS))
        self.venue = TradingVenue(story.seed, clock, start, path, story.faults)
        limits = risk_limits(settings, timedelta(minutes=1))
        self.checker = DaemonChecker(self.venue, limits)
        self.ends: list[str] = []
        self.told: list[tuple[float, TradingState, str]] = []  # when the desk said what
        self.end_s = (path.days[-1].closes_at - start).total_seconds() - 30.0
        self._calm_from_s = self.end_s - QUIET_S
        self._around = Surroundings(
            settings=settings,
            market=path.market(),
            model=busy_trader(story.seed, QUIET_S, path),
            venue=self.venue,
            clock=clock,
            steps=Steps(watch=self._watch),
            chance=random.Random(story.seed + 11),
            desk=story.desk,
            wire=story.wire,
            in_flight=in_flight,
            on_state=self._hear_state,
            on_alarm=self.checker.told_of,
        )
        self._root = root
        self._life: DaemonLife | None = None
        self._stop_at: float | None = None
        self._last_state = TradingState.STARTING

    async def run(self) -> DaemonWorld:
        """Live all lives of the story, and judge them."""
        self._check_posts()
        self._set_the_stage()
        fates: list[Fate | None] = [*self.story.fates, None]
        loop = asyncio.get_running_loop()
        looking = asyncio.ensure_future(self._look_now_and_then())
        while loop.time() < self.end_s:
            fate = fates.pop(0) if fates else None
            await self._live(fate)
            rest_s = random.Random(len(self.ends)).uniform(0.5, 8.0)
            await asyncio.sleep(fate.rest_s if fate and fate.rest_s is not None else rest_s)
        looking.cancel()
        if self.ends[-1] != "exit 0":
            self.checker.found.append(f"I-STOP-1 the last life ended with {self.ends[-1]}")
        self.checker.state = self._last_state
        await self.checker.end_of(self._folder(len(self.ends) + 1), self._around.in_flight)
        return self

    async def _live(self, fate: Fate | None) -> None:
        number = len(self.ends) + 1
        root = self._folder(number)
        life = DaemonLife(self._around, number, root, self._folder(number + 1))
        self._life = self.checker.life = life
        loop, steps = asyncio.get_running_loop(), self._around.steps
        timers = [loop.call_at(self.end_s, self._finish, life)]
        steps.deaths, self._stop_at = [], None
        if fate is not None and loop.time() < self._calm_from_s:
            if fate.how == "killed at a step":
                steps.deaths = [steps.taken + int(fate.after)]
            elif fate.how == "stopped at a step":
                self._stop_at = steps.taken + fate.after
            else:
                end = life.kill if fate.how == "killed in time" else life.terminate
                timers.append(loop.call_later(fate.after, end))
        await life.live()
        for timer in timers:
            timer.cancel()
        self.ends.append(life.ended)
        self._last_state, self.checker.state = self.checker.state, TradingState.STARTING
        self.checker.disk.look_at(None)
        if life.ended == "killed":
            self.checker.check_reports(self._folder(number + 1))
        else:
            self._folder(number).rename(self._folder(number + 1))
        self._judge_end(life)

    def _judge_end(self, life: DaemonLife) -> None:
        if life.is_stopping and not life.is_killed and life.ended != "exit 0":
            self.checker.found.append(f"I-STOP-1 a stopped life ended with {life.ended}")
        if life.ended.startswith("refused"):
            self.checker.found.append(f"I-STOP-1 a life could not begin: {life.ended}")

    def _finish(self, life: DaemonLife) -> None:
        """Judge what a calm house repeats, then stop it."""
        self._last_look = asyncio.ensure_future(self._look_twice(life))

    async def _look_twice(self, life: DaemonLife) -> None:
        """I-REC-1 and I-REC-2, then the end."""
        desk, checker = life.desk, self.checker
        if desk is None or not life.lives:
            return
        await desk.reconcile()
        before, held = checker.disk.events(), dict(desk.book.ours)
        await desk.reconcile()
        self.venue.no_positions = True
        await desk.reconcile()
        self.venue.no_positions = False
        await desk.reconcile()
        if checker.disk.events() != before:
            checker.found.append("I-REC-1 nothing changed, and something was written")
        if desk.book.ours != held:
            checker.found.append("I-REC-2 a missing position report changed what we hold")
        life.terminate()

    def _watch(self) -> None:
        checker, life = self.checker, self._life
        if life is None:
            return
        if checker.disk._connection is None:
            checker.disk.look_at(DataFolder(life.root).journal)
        checker.look()
        if self._stop_at is not None and self._around.steps.taken >= self._stop_at:
            self._stop_at = None
            life.terminate()

    def _hear_state(self, state: TradingState, reason: str) -> None:
        self.checker.state = state
        self.told.append((round(asyncio.get_running_loop().time(), 6), state, reason))

    def _folder(self, number: int) -> Path:
        return self._root / f"life-{number}"

    def _check_posts(self) -> None:
        place, checker = self.venue.place, self.checker

        async def checked(intent: OrderIntent) -> Outcome:
            checker.sent(intent, self._around.clock.now())
            return await place(intent)

        self.venue.place = checked  # type: ignore[method-assign]

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.venue.books.advance(self._around.clock.now())
            self.checker.pass_time(LOOK_S, self._around.clock.now())

    # What happens around the daemon

    def _set_the_stage(self) -> None:
        loop, story = asyncio.get_running_loop(), self.story
        loop.call_at(self._calm_from_s, self._calm)
        for windows, switch in (
            (story.halts, self._halt),
            (story.full_disk, self._fill_disk),
            (story.no_positions, self._hide_positions),
        ):
            for begins, ends in windows:
                loop.call_at(begins, switch, True)
                loop.call_at(ends, switch, False)
        if story.by_hand:
            self.venue.books.give(SYMBOLS[0], Decimal(7))
            self._let_people_trade()

    def _calm(self) -> None:
        self.venue.faults = CALM

    def _halt(self, halted: bool) -> None:
        folder = self._folder_in_use()
        halt_file, rng = HaltFile(folder / "HALT"), random.Random(self.story.seed)
        folder.mkdir(parents=True, exist_ok=True)
        if halted:
            level = rng.choice((HaltLevel.NEW, HaltLevel.CANCEL))
            halt_file.set(level, reason="a drill", by="anna", at=self._around.clock.now())
        else:
            halt_file.clear()
        self.checker.is_halted = halted

    def _folder_in_use(self) -> Path:
        """Return the folder of the life that goes on; between two lives, that of the next one."""
        number, life = len(self.ends) + 1, self._life
        if life is not None and life.number == number and life.is_killed:
            number += 1  # it was taken over as it was at that instant
        return self._folder(number)

    def _fill_disk(self, full: bool) -> None:
        self._around.disk_is_full = self.checker.journal_is_full = full
        if self._life is not None:
            self._life.fill_disk(full)

    def _hide_positions(self, hidden: bool) -> None:
        self.venue.no_positions = hidden

    def _let_people_trade(self) -> None:
        books, rng = self.venue.books, random.Random(self.story.seed + 5)
        for _ in range(3):
            symbol, qty = rng.choice(SYMBOLS), Decimal(rng.choice((1, 2, 5)))
            books.later(rng.uniform(5, 900), lambda s=symbol, q=qty: books.by_hand(s, Side.BUY, q))  # type: ignore[misc]


def live(story: Story) -> DaemonWorld:
    """Live a story to its end in virtual time, in a folder that is gone afterwards."""
    in_flight = InFlight()
    with tempfile.TemporaryDirectory(prefix="daemon-") as root:

        async def main() -> DaemonWorld:
            return await DaemonWorld(story, Path(root), in_flight).run()

        with structlog.testing.capture_logs():  # to be written down would take longer than the day
            return run_virtual(main, in_flight)


def violations(stories: Sequence[Story]) -> list[str]:
    """Return every finding, each with the line to run it again from, and print them."""
    found = [
        f"{story.in_words()}: {finding}"
        for story in stories
        for finding in live(story).checker.found
    ]
    for line in found:
        print(line)
    return found
