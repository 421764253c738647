"""What happens after a tick cannot have changed it.

A session is lived through once. Then, at fifty ticks, the account is put back three ticks, what
lies after the tick is altered (bars and news), and the ticks up to it are lived through again:
every observation, decision, clamp, intent and fill must be the same. Cheats are planted to show
that the comparison finds them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from roboinvest.core.market.bars import BarSeries, to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import NewsItem, Timeframe
from roboinvest.core.orders import Action
from roboinvest.core.ports import LanguageModel, NewsSource
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from tests.fakes.gambler import gambler
from tests.fakes.models import ScriptedModel, view
from tests.fakes.passes import watched
from tests.fakes.town import DATABASE, Town, books_in, disk_after_a_crash, run_life
from tests.fakes.worlds import FIRST, ShortDays, market_of, rows_of
from tools.calendar import ExchangeCalendar
from tools.feeds.file_source import FileSource, MemorySource
from tools.markets import Market
from tools.news import NewsFile
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

TICKS: Final = 50
CHEATED: Final = 12
STEPS_BACK: Final = 3
HEADLINES: Final = (
    "{} beats quarterly estimates on record revenue",
    "{} misses estimates as margins shrink",
    "{} shares up 7% as orders accelerate",
    "{} downgraded to sell from hold",
)
Rows = Mapping[str, RawRows]
Model = Callable[[Rows], LanguageModel | None]


@dataclass(frozen=True)
class World:
    """All that can be known of a session, before and after it."""

    market: Market
    rows: Rows
    news: Sequence[NewsItem]
    history: int

    def with_future(self, rows: Rows, news: Sequence[NewsItem]) -> Market:
        """Return the market of these rows and items."""
        days = (self.market.starts_at.date(), self.market.last_day or FIRST)
        span = self.market.calendar.sessions(*days)
        return market_of(
            MemorySource(rows, Timeframe.MINUTE),
            self.market.calendar,
            (span[0], span[-1]),
            news=NewsFile(news),
            history=self.history,
            stamp=self.market.stamp,
        )


def headlines(session: Session, symbols: Sequence[str]) -> list[NewsItem]:
    """Return an item every three minutes, from before the open on.

    As often as ``STEPS_BACK`` ticks pass, so that each stretch that is lived again has one.
    """
    begin = session.opens_at - timedelta(hours=1)
    count = int((session.closes_at - begin) / timedelta(minutes=STEPS_BACK))
    return [
        NewsItem(
            item_id=f"n{number}",
            published_at=begin + timedelta(minutes=number * STEPS_BACK, seconds=3),
            symbols=(symbols[number % len(symbols)],),
            headline=HEADLINES[number % len(HEADLINES)].format(symbols[number % len(symbols)]),
            summary="",
            source="made up",
        )
        for number in range(count)
    ]


def world_of(
    rows: Rows, calendar: ExchangeCalendar | ShortDays, session: Session, history: int
) -> World:
    news = headlines(session, sorted(rows))
    source = MemorySource(rows, Timeframe.MINUTE)
    market = market_of(source, calendar, (session, session), news=NewsFile(news), history=history)
    return World(market=market, rows=rows, news=news, history=history)


def recorded_world(pack: Path) -> World:
    calendar = ExchangeCalendar()
    day = date(2011, 3, 10)  # SPY fell by nearly two percent
    source = FileSource.open(
        pack / "bars" / "minute_equity.parquet",
        calendar=calendar,
        symbols=["SPY"],
        source="pyalgotrade-ninjatrader",
        first=day,
        last=day,
    )
    (session,) = calendar.sessions(day, day)
    earlier = calendar.sessions(day - timedelta(days=5), day)
    return world_of(rows_of(source, earlier), calendar, session, len(earlier) - 1)


def simulated_world() -> World:
    calendar, names = ShortDays(150), ("ALFA", "BRVO")
    days = calendar.sessions(FIRST, FIRST + timedelta(days=3))
    source = SimulatedMarket(SimulatedMarketSettings(seed=5, symbols=names, first=FIRST), calendar)
    return world_of(rows_of(source, days), calendar, days[-1], len(days) - 1)


@dataclass(frozen=True)
class Lived:
    """A session that was lived through, and the disk before chosen ticks."""

    world: World
    model: Model
    ticks: Mapping[str, Mapping[str, Any]]  # rows of the store, by tick id
    disks: Mapping[datetime, Path]  # by the tick that is to be lived up to

    def town(self, market: Market, folder: Path, rows: Rows, until: datetime | None) -> Town:
        return Town(market=market, folder=folder, model=self.model(rows), until=until)


def lived_through(world: World, model: Model, root: Path, seed: int, ticks: int = TICKS) -> Lived:
    """Live through the session and keep the disk a few ticks before chosen ones."""
    rng = random.Random(seed)
    town = Town(market=world.market, folder=root / "home", model=model(world.rows))
    session = world.market.calendar.sessions(
        world.market.starts_at.date(), world.market.starts_at.date()
    )[0]
    times = list(session.tick_times(Timeframe.MINUTE))
    chosen = sorted(rng.sample(range(STEPS_BACK, len(times)), ticks))
    wanted = {number - STEPS_BACK + 1: times[number] for number in chosen}
    disks: dict[datetime, Path] = {}

    def copy_disk() -> bool:
        at = wanted.get(len(town.commits))
        if at is not None and at not in disks:
            disks[at] = disk_after_a_crash(town.folder, root / f"{at:%H%M}")
        return False

    watched(town.live(), copy_disk)
    rows = {row["tick_id"]: row for row in books_in(town.database)["ticks"]}
    return Lived(world=world, model=model, ticks=rows, disks=disks)


def altered(rows: RawRows, after: datetime, how: str, rng: random.Random) -> RawRows:
    """Return the rows with those that open at or after an instant spoilt."""
    later = rows.ts >= to_ns(after)
    values, count = rows.values.copy(), int(later.sum())
    dice = np.random.default_rng(rng.randrange(2**32))
    if how == "garbage":
        values[:, later] = dice.uniform(-5.0, 900.0, (5, count))
    elif how == "nan":
        values[:, later] = np.nan
    elif how == "x100":
        values[:4, later] *= 100.0
    elif how == "other market":
        values[:4, later] *= np.exp(np.cumsum(dice.normal(0.0, 0.004, count)))
    elif how == "shuffled":
        values[:, later] = values[:, np.flatnonzero(later)[dice.permutation(count)]]
        order = np.concatenate(
            [np.flatnonzero(~later), np.flatnonzero(later)[dice.permutation(count)]]
        )
        return RawRows.of(rows.ts, values).take(order)
    elif how == "deleted":
        return rows.take(~later)
    return RawRows.of(rows.ts, values)


HOW: Final = ("garbage", "nan", "x100", "other market", "shuffled", "deleted")


def other_news(items: Sequence[NewsItem], after: datetime, rng: random.Random) -> list[NewsItem]:
    """Return the items with those after an instant turned round, moved or dropped."""
    kept = [item for item in items if item.published_at <= after]
    for item in items:
        if item.published_at > after and rng.random() < 0.7:
            headline = rng.choice(HEADLINES).format(item.symbols[0])
            moved = item.published_at + timedelta(minutes=rng.randrange(5))
            kept.append(replace(item, headline=headline, published_at=moved))
    return kept


def ticks_that_saw_the_future(
    lived: Lived,
    folder: Path,
    rng: random.Random,
    cheat: Callable[[Market, Market], Market] = lambda market, _true: market,
) -> list[str]:
    """Return the ticks that came out differently once what followed them was altered."""
    found = []
    for number, (at, disk) in enumerate(lived.disks.items()):
        how = HOW[number % len(HOW)]
        rows = {s: altered(rows, at, how, rng) for s, rows in lived.world.rows.items()}
        news = other_news(lived.world.news, at, rng)
        market = lived.world.with_future(rows, news)
        home = shutil.copytree(disk, folder / f"{at:%H%M}")
        run_life(lived.town(cheat(market, lived.world.market), home, rows, at))
        again = books_in(home / DATABASE)["ticks"][-STEPS_BACK:]
        found += [f"{r['tick_id']} {how}" for r in again if r != lived.ticks[r["tick_id"]]]
    return found


@pytest.fixture(params=["recorded", "simulated"], scope="module")
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    root, seed = tmp_path_factory.mktemp(request.param), random.SystemRandom().randrange(10**6)
    print(f"{request.param}: seed {seed}")
    if request.param == "recorded":
        world = recorded_world(request.getfixturevalue("data_pack"))
        return lived_through(world, lambda _: None, root, seed)
    return lived_through(simulated_world(), lambda _: gambler(), root, seed)


def test_nothing_after_a_tick_changes_what_it_saw_decided_or_did(
    lived: Lived, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    assert len(lived.disks) == TICKS
    assert ticks_that_saw_the_future(lived, tmp_path, random.Random(seed)) == []


def test_a_whole_session_up_to_a_tick_is_blind_to_what_follows(
    lived: Lived, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for how in ("other market", "deleted"):
        at = rng.choice(list(lived.disks))
        rows = {s: altered(rows, at, how, rng) for s, rows in lived.world.rows.items()}
        market = lived.world.with_future(rows, other_news(lived.world.news, at, rng))
        town = lived.town(market, tmp_path / how, rows, at)
        run_life(town)
        for row in books_in(town.database)["ticks"]:
            assert row == lived.ticks[row["tick_id"]]


class OneBarAhead:
    """A feed whose windows end one bar too late."""

    def __init__(self, market: Market) -> None:
        self._feed = market.new_feed()
        self._ahead = market.new_feed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    async def seek(self, at: datetime) -> None:
        await self._feed.seek(at)
        await self._ahead.seek(at)

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        await self._ahead.advance(at + timedelta(minutes=1), session)
        return await self._feed.advance(at, session)

    def window(self, symbol: str, length: int) -> BarSeries:
        return self._ahead.window(symbol, length)


class EarlyNews:
    """A source that shows items a quarter of an hour too early, with a time to match."""

    def __init__(self, source: NewsSource) -> None:
        self._source = source

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        early = timedelta(minutes=15)
        found = await self._source.published(after + early, until + early)
        return [replace(item, published_at=item.published_at - early) for item in found]


def peeking(rows: Rows) -> LanguageModel:
    """Return an expert that knows the close of the bar that is about to begin."""

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        of = rows[brief.observation.symbol]
        bar = int(np.searchsorted(of.ts, to_ns(inputs.at)))
        ahead = float(of.values[3, bar]) if bar < len(of) else 0.0
        move = np.nan_to_num(ahead / brief.observation.close - 1.0)
        return view(brief.observation.symbol, Action.HOLD, conviction=float(np.tanh(100 * move)))

    return ScriptedModel(script)


@pytest.mark.parametrize("cheat", ["a feed one bar ahead", "early news", "an expert that peeks"])
def test_a_cheat_is_caught(tmp_path: Path, cheat: str) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    cheats: Mapping[str, Callable[[Market], Market]] = {
        "a feed one bar ahead": lambda m: replace(m, new_feed=lambda: OneBarAhead(m)),
        "early news": lambda m: replace(m, news=EarlyNews(m.news)),
        "an expert that peeks": lambda m: m,
    }
    spoil = cheats[cheat]
    world = simulated_world()
    model: Model = peeking if cheat == "an expert that peeks" else lambda _: gambler()
    crooked = replace(world, market=spoil(world.market))
    lived = lived_through(crooked, model, tmp_path / "uncut", seed, ticks=CHEATED)
    found = ticks_that_saw_the_future(
        lived, tmp_path / "again", random.Random(seed), lambda market, _: spoil(market)
    )
    assert len(found) >= CHEATED // 3
