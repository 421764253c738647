"""An account that is killed at any await, and lives on, is the account that was never killed.

An uncut life is compared with lives that were cut: cancelled between any two awaits, or ended as
a killed process ends, with what lay on the disk at that instant. Whatever the cut, the store comes
to hold the same rows: ticks with their digests, orders, fills, trades, lots, memories, calibration
and documents. The world has a split over a night with open positions, a jump that nothing explains,
a dividend, missing minutes, and a halt that a person sets and clears.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.ports import MarketFeed
from roboinvest.core.records import TickCommit
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from tests.fakes.gambler import gambler
from tests.fakes.passes import watched
from tests.fakes.town import Town, books_in, disk_after_a_crash, run_life
from tests.fakes.worlds import FIRST, ShortDays, market_of, rows_of, scaled, without
from tools.feeds.file_source import MemorySource
from tools.markets import Market
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

HISTORY = 3
CALENDAR = ShortDays(30)
DAYS = CALENDAR.sessions(FIRST, FIRST + timedelta(days=20))
FIRST_DAY, SECOND_DAY, THIRD_DAY = DAYS[HISTORY : HISTORY + 3]
HALTED_FROM, HALTED_TO = (SECOND_DAY.opens_at + timedelta(minutes=m) for m in (17, 21))
SETTINGS = load_settings(
    None,
    {},
    {
        "risk.no_entry_last_min": 2,
        "risk.cooldown_bars": 2,
        "risk.max_trades_per_day": 40,
        "broker.volume_share": "0.0015",  # so little that an order fills over several minutes
    },
)
MOST_LIVES = 100

Books = dict[str, list[dict[str, Any]]]


class Switched:
    """A feed beside which a person throws the kill switch at chosen market times."""

    def __init__(self, feed: MarketFeed, halt_file: HaltFile) -> None:
        self._feed = feed
        self._halt_file = halt_file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        if HALTED_FROM <= at < HALTED_TO:
            self._halt_file.set(HaltLevel.CANCEL, reason="a drill", by="anna", at=HALTED_FROM)
        else:
            self._halt_file.clear()
        return await self._feed.advance(at, session)


def eventful() -> Market:
    names = ("ALFA", "BRVO", "CHRL")
    world = SimulatedMarket(SimulatedMarketSettings(seed=11, symbols=names, first=FIRST), CALENDAR)
    rows = rows_of(world, DAYS[: HISTORY + 3])
    morning = SECOND_DAY.opens_at
    hole = (morning + timedelta(minutes=5), morning + timedelta(minutes=9))
    source = MemorySource(
        {
            "ALFA": scaled(rows["ALFA"], 0.5, morning),
            "BRVO": scaled(rows["BRVO"], 0.25, morning),  # nothing explains it
            "CHRL": without(rows["CHRL"], *hole),
        },
        Timeframe.MINUTE,
    )
    split = CorporateAction(
        symbol="ALFA", kind=ActionKind.SPLIT, ex_date=SECOND_DAY.day, ratio=Decimal(2)
    )
    dividend = CorporateAction(
        symbol="CHRL", kind=ActionKind.DIVIDEND, ex_date=THIRD_DAY.day, cash=Decimal("0.37")
    )
    return market_of(
        source,
        CALENDAR,
        (FIRST_DAY, THIRD_DAY),
        news=world,
        actions=(split, dividend),
        history=HISTORY,
    )


def account(
    market: Market, folder: Path, *, opens: type[Store] = Store, until: datetime | None = None
) -> Town:
    """Return an account with its person at the switch."""
    halt_file = HaltFile(folder / "HALT")
    beside = replace(market, new_feed=lambda: Switched(market.new_feed(), halt_file))
    return Town(
        market=beside, folder=folder, model=gambler(), settings=SETTINGS, opens=opens, until=until
    )


@dataclass(frozen=True)
class Uncut:
    """A life that nobody cut."""

    market: Market
    town: Town
    books: Books
    disks: list[Path]  # after each tick; the first is before the first tick

    def at(self, number: int) -> datetime:
        """Return when a tick was, the first being number 1."""
        return self.town.commits[number - 1].record.at

    def folder_before(self, number: int, into: Path) -> Path:
        """Return a new folder that lies as it did before a tick."""
        return shutil.copytree(self.disks[number - 1], into)

    def books_after(self, number: int) -> Books:
        """Return what the store held after a tick."""
        return books_in(self.disks[number] / "roboinvest.db")


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> Uncut:
    root, market = tmp_path_factory.mktemp("uncut"), eventful()
    town = account(market, root / "home")
    disks: list[Path] = []

    def copy_disk() -> bool:
        if town.runner is not None and len(town.commits) == len(disks):
            disks.append(disk_after_a_crash(town.folder, root / f"after-{len(disks):03}"))
        return False

    watched(town.live(), copy_disk)
    return Uncut(market=market, town=town, books=books_in(town.database), disks=disks)


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    seed = getattr(request, "param", None) or random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


def is_cut_at(town: Town, place: int, *, from_start: bool = True) -> bool:
    """Live a life whose trading is cancelled at its nth await; False: it ended before.

    Awaits count from the start of the service, or from when its books are read.
    """
    places = itertools.count(1)

    def each() -> bool:
        if town.task is None or town.task.done():
            return False
        has_begun = from_start or town.runner is not None
        if not has_begun or next(places) != place:
            return False
        return town.task.cancel()

    try:
        watched(town.live(), each)
    except asyncio.CancelledError:
        return True
    return False


def busiest(uncut: Uncut, count: int) -> list[int]:
    """Return the ticks on which most was written, by number."""
    commits = uncut.town.commits
    weight = [len(c.orders) + 5 * len(c.fills) + 9 * len(c.trades) for c in commits]
    return sorted(range(1, len(commits) + 1), key=lambda n: -weight[n - 1])[:count]


def test_the_uncut_life_is_as_eventful_as_it_has_to_be(uncut: Uncut) -> None:
    town, books = uncut.town, uncut.books
    assert len(uncut.disks) == len(town.commits) + 1 == 91
    ticks = [state["tick"] for state in town.states]
    overnight = {lot["symbol"] for lot in uncut.books_after(30)["lots"]}
    assert overnight == {"ALFA", "BRVO", "CHRL"}, "a position stands over the split and the jump"
    assert {a.kind for tick in ticks for a in tick.update.actions} == set(ActionKind)
    assert any("BRVO" in tick.update.suspended for tick in ticks)
    assert Counter(tick.trading_state.value for tick in ticks)["HALTED"] == 4
    assert any(order["state"] == "cancelled" for order in books["orders"])
    assert len(books["trades"]) > 8
    assert any(not trade["closes_entry"] for trade in books["trades"]), "some close in parts"
    assert len(books["calibration"]) > 0
    assert any(memory["outcome_kind"] == "trade" for memory in books["memories"])


@pytest.mark.parametrize("life", range(2))
def test_an_account_that_is_cancelled_again_and_again_ends_as_the_uncut_one(
    uncut: Uncut, tmp_path: Path, dice: random.Random, life: int
) -> None:
    lives, is_over = 0, False
    ticks = {state["tick"].tick_id: state["tick"] for state in uncut.town.states}
    while not is_over:
        lives += 1
        assert lives < MOST_LIVES
        town = account(uncut.market, tmp_path)
        is_over = not is_cut_at(town, dice.randrange(1, 900))
        for state in town.states:
            assert state["tick"] == ticks[state["tick"].tick_id], "the market shows what it showed"
    assert lives > 5
    assert books_in(tmp_path / "roboinvest.db") == uncut.books


def test_an_account_whose_process_is_killed_goes_on_from_what_lies_on_the_disk(
    uncut: Uncut, tmp_path: Path, dice: random.Random
) -> None:
    town = account(uncut.market, tmp_path / "home")
    instants = set(dice.sample(range(4_000), 6))
    passes = itertools.count()
    disks: list[Path] = []

    def crash() -> bool:
        if town.task is not None and (number := next(passes)) in instants:
            disks.append(disk_after_a_crash(town.folder, tmp_path / f"crash-{number}"))
        return False

    watched(town.live(), crash)
    assert len(disks) > 3
    for disk in disks:
        run_life(account(uncut.market, disk))
        assert books_in(disk / "roboinvest.db") == uncut.books, disk.name


def test_no_await_of_a_busy_tick_is_a_bad_place_to_be_cancelled(
    uncut: Uncut, tmp_path: Path
) -> None:
    number = busiest(uncut, 1)[0]
    before, after, at = uncut.books_after(number - 1), uncut.books_after(number), uncut.at(number)
    places = {True: 0, False: 0}  # whether the tick was stored when its task was cancelled
    for place in itertools.count(1):
        folder = uncut.folder_before(number, tmp_path / f"{place}")
        if not is_cut_at(account(uncut.market, folder, until=at), place, from_start=False):
            break
        left = books_in(folder / "roboinvest.db")
        assert left in (before, after), f"half a tick was stored by a cut at await {place}"
        places[left == after] += 1
    assert places[False] > 25, "a tick has many awaits"
    assert places[True] > 0, "a commit that has begun comes to its end"


class FailsBefore(Store):
    """A store whose disk is full at chosen ticks, once each."""

    at_ticks: ClassVar[set[str]] = set()

    async def commit_tick(self, commit: TickCommit) -> None:
        if commit.record.tick_id in self.at_ticks:
            self.at_ticks.discard(commit.record.tick_id)
            raise TryLater("the disk is full; make room")
        await super().commit_tick(commit)


class FailsAfter(Store):
    """A store that commits and loses its answer at chosen ticks, once each."""

    at_ticks: ClassVar[set[str]] = set()

    async def commit_tick(self, commit: TickCommit) -> None:
        await super().commit_tick(commit)
        if commit.record.tick_id in self.at_ticks:
            self.at_ticks.discard(commit.record.tick_id)
            raise TryLater("the answer was lost")


@pytest.mark.parametrize("opens", [FailsBefore, FailsAfter])
def test_a_commit_that_fails_leaves_all_or_nothing_and_the_next_life_goes_on(
    uncut: Uncut, tmp_path: Path, opens: type[FailsBefore | FailsAfter]
) -> None:
    for number in busiest(uncut, 3):
        folder = uncut.folder_before(number, tmp_path / f"{number}")
        opens.at_ticks.add(uncut.town.commits[number - 1].record.tick_id)
        with pytest.raises(TryLater):
            run_life(account(uncut.market, folder, opens=opens))
        stands = number - 1 if opens is FailsBefore else number
        assert books_in(folder / "roboinvest.db") == uncut.books_after(stands)
        run_life(account(uncut.market, folder))
        assert books_in(folder / "roboinvest.db") == uncut.books


def test_no_order_is_sent_twice_and_every_share_is_accounted_for(uncut: Uncut) -> None:
    books = uncut.books
    sent = Counter((o["tick_id"], o["symbol"], o["leg"]) for o in books["orders"])
    assert max(sent.values()) == 1
    filled, held = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for fill in books["fills"]:
        factor = 2 if fill["symbol"] == "ALFA" and fill["filled_at"] < "2026-01-09" else 1
        filled[fill["symbol"]] += Decimal(fill["qty"]) * factor
    for lot in books["lots"]:
        held[lot["symbol"]] += Decimal(lot["qty"])
    assert {symbol: qty for symbol, qty in filled.items() if qty} == dict(held)


def forgetting(part: str) -> type[Store]:
    """Return a store that loses a part of what a restart needs."""

    class Forgetful(Store):
        async def load(self) -> StoredState:
            stored = await super().load()
            if part in stored.documents:
                kept = {name: text for name, text in stored.documents.items() if name != part}
                return replace(stored, documents=kept)
            nothing: dict[str, Any] = {part: ()}
            return replace(stored, **nothing)

    return Forgetful


@pytest.mark.parametrize(
    "part",
    [
        "lots",
        "open_orders",
        "open_memories",
        "resolved_memories",
        "calibration",
        "paper_broker",
        "account",
        "budget",
        "benchmark",
    ],
)
def test_whatever_a_restart_forgets_these_tests_would_see_it(
    uncut: Uncut, tmp_path: Path, part: str
) -> None:
    number = 30 + 16  # in the second day, with positions, orders and lessons
    folder = uncut.folder_before(number, tmp_path / "home")
    run_life(account(uncut.market, folder, opens=forgetting(part)))
    assert books_in(folder / "roboinvest.db") != uncut.books
