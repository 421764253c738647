"""What is set in the account: written first, bound from the next tick, kept over every start."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.ledger import Ledger
from roboinvest.core.lowered_limits import LOWERABLE, value_of
from roboinvest.core.orders import Action
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.risk import RiskLimits, limits_snapshot
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.budget import (
    ASKED_CAP,
    AskedCap,
    BudgetAgent,
    BudgetFigures,
    asked_cap_in,
)
from roboinvest.trading.lowered_limits import DOCUMENT, LimitBook, LimitDesk
from roboinvest.trading.reins import TradingReins
from tests.fakes.clocks import START, ManualClock
from tests.fakes.house import CASH, InMemoryHouse, flat_bars, house
from tests.fakes.markets import minute
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.shelves import Shelf

OWN = RiskLimits()
SEED = 7


class SlowShelf(Shelf):
    """Lets others go on while it writes, as a disk does."""

    async def put_document(self, name: str, text: str) -> None:
        """Keep a document."""
        await asyncio.sleep(0)
        await super().put_document(name, text)


def desk_on(shelf: Shelf, own: RiskLimits = OWN) -> tuple[LimitDesk, LimitBook]:
    """Return a desk of a process that has just started."""
    book = LimitBook(own)
    assert book.read(shelf.documents.get(DOCUMENT)) is None
    return LimitDesk(shelf, book), book


async def lower(desk: LimitDesk, name: str, value: str, *, by: str = "governance") -> None:
    await desk.lower(name, Decimal(value), by=by, why="m1.1", at=START)


async def restore(desk: LimitDesk, name: str, value: str) -> None:
    await desk.restore(name, Decimal(value), by="ann", why="undo", at=START)


def entering(number: int) -> ScriptedModel:
    """Return a model that buys once."""

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        wants = inputs.at == minute(number)
        return view(symbol, Action.BUY, stop=98.0, target=104.0) if wants else hold(symbol)

    return ScriptedModel(script)


async def bought(one: InMemoryHouse) -> Decimal:
    """Return what is asked for at the third minute."""
    await one.ticks(1, 3)
    (intent,) = one.states[-1]["execution"].intents
    return intent.qty


async def test_a_lowered_limit_binds_the_next_tick_and_the_journal_says_so(tmp_path: Path) -> None:
    desk, book = desk_on(Shelf())
    before = await bought(house(tmp_path / "a", flat_bars(9), entering(3)))
    assert before == 100, "10,000 USD are the most that a position may be"
    await lower(desk, "max_order_usd", "3000")
    one = house(tmp_path / "b", flat_bars(9), entering(3), limits=OWN, binding=lambda: book.now)
    assert await bought(one) == 30
    assert book.snapshot == limits_snapshot(replace(OWN, max_order_usd=Decimal(3000)))


async def test_what_was_lowered_survives_a_start_and_is_named(tmp_path: Path) -> None:
    shelf = Shelf()
    desk, _ = desk_on(shelf)
    await lower(desk, "max_trades_per_day", "10")
    desk, book = desk_on(shelf)
    assert book.now.max_trades_per_day == 10
    assert desk.standing("max_trades_per_day") == 10
    (shown,) = book.shown()
    assert (shown.name, shown.by) == ("max_trades_per_day", "governance")
    assert [shown.value, shown.own] == [10, 20]
    _, tighter = desk_on(shelf, replace(OWN, max_trades_per_day=5))
    assert tighter.now.max_trades_per_day == 5, "the settings are tighter by now"
    assert tighter.shown() == ()


async def test_nothing_but_a_person_goes_back_and_never_above_the_settings() -> None:
    desk, book = desk_on(shelf := Shelf())
    await lower(desk, "max_trades_per_day", "10")
    with pytest.raises(Refused, match="more risk"):
        await lower(desk, "max_trades_per_day", "11")
    for value in ("21", "1", "NaN"):
        with pytest.raises(Refused):
            await restore(desk, "max_trades_per_day", value)
    with pytest.raises(Refused, match="whole"):
        await lower(desk, "max_trades_per_day", "9.5")
    for name in ("price_collar_frac", "allow_short", "max_position_usd"):
        with pytest.raises(Refused, match="no limit"):
            await lower(desk, name, "0.01")
    await lower(desk, "max_trades_per_day", "5")
    await restore(desk, "max_trades_per_day", "10")
    assert book.now.max_trades_per_day == 10
    await restore(desk, "max_trades_per_day", "20")
    assert (book.now, book.shown()) == (OWN, ())
    assert desk_on(shelf)[1].now == OWN


async def test_settings_that_a_person_raised_bind_once_all_was_taken_back() -> None:
    shelf = Shelf()
    desk, _ = desk_on(shelf)
    await lower(desk, "max_trades_per_day", "10")
    raised = replace(OWN, max_trades_per_day=40)
    desk, book = desk_on(shelf, raised)
    assert book.now.max_trades_per_day == 10
    await restore(desk, "max_trades_per_day", "20")
    assert book.now.max_trades_per_day == 20, "a person asked for no more than that"
    assert desk_on(shelf, raised)[1].now.max_trades_per_day == 40


async def test_a_limit_that_a_person_set_between_old_and_new_settings_is_kept_over_a_start() -> (
    None
):
    shelf = Shelf()
    desk, _ = desk_on(shelf)
    await lower(desk, "max_trades_per_day", "10")
    raised = replace(OWN, max_trades_per_day=40)
    desk, _ = desk_on(shelf, raised)
    await restore(desk, "max_trades_per_day", "30")
    await lower(desk, "max_trades_per_day", "25")
    assert desk_on(shelf, raised)[1].now.max_trades_per_day == 25


async def test_two_limits_that_are_lowered_at_the_same_time_are_both_lower() -> None:
    shelf = SlowShelf()
    desk, book = desk_on(shelf)
    async with asyncio.TaskGroup() as group:
        group.create_task(lower(desk, "max_trades_per_day", "10"))
        group.create_task(lower(desk, "max_order_usd", "5000"))
    for found in (book, desk_on(shelf)[1]):
        assert (found.now.max_trades_per_day, found.now.max_order_usd) == (10, Decimal(5000))


async def test_no_sequence_of_orders_and_starts_widens_a_limit() -> None:
    print(f"seed {SEED}")
    rng, shelf = random.Random(SEED), Shelf()
    desk, book = desk_on(shelf)
    for _ in range(600):
        name = rng.choice([*sorted(LOWERABLE), "live", "price_collar_frac"])
        value = str(Decimal(str(rng.random())) * (value_of(OWN, name) or 1) * 2)
        before = book.now
        try:
            await lower(desk, name, rng.choice([value, value.partition(".")[0], "-1", "NaN"]))
        except Refused:
            assert book.now == before
        for each in LOWERABLE:
            now, then = value_of(book.now, each), value_of(before, each)
            assert now is None or then is None or now <= then, each
        if rng.random() < 0.1:
            desk, book = desk_on(shelf)
            assert book.now == before or value_of(book.now, name) is not None


async def test_where_the_disk_is_full_nothing_changes() -> None:
    shelf = Shelf()
    desk, book = desk_on(shelf)
    shelf.is_full = True
    with pytest.raises(TryLater):
        await lower(desk, "max_trades_per_day", "10")
    assert book.now == OWN


def reins_of(heard: list[Event], *, follows: bool = True, books: Any = None) -> TradingReins:
    return TradingReins(
        OWN, lambda: books, publish=heard.append, clock=ManualClock(), follows=follows
    )


async def test_a_torn_document_means_the_settings_limits_and_an_alert() -> None:
    heard: list[Event] = []
    reins = reins_of(heard)
    reins.read({DOCUMENT: '[{"name":"max_order_usd"'})
    assert reins.limits.now == OWN
    (alert,) = heard
    assert isinstance(alert, AlertRaised)
    assert (alert.key, "cannot be read" in alert.message) == ("risk.lowered_limits", True)
    later: list[Event] = []
    again = reins_of(later)
    again.resume(frozenset({"lowered_limits"}))
    again.read({})
    assert [type(each) for each in later] == [AlertResolved]


async def test_a_market_that_is_played_follows_nothing() -> None:
    shelf, heard = Shelf(), list[Event]()
    await lower(desk_on(shelf)[0], "max_trades_per_day", "10")
    played = reins_of(heard, follows=False)
    played.read(shelf.documents)
    assert (played.limits.now, heard) == (OWN, [])


class Spend:
    """Hears of caps."""

    def __init__(self) -> None:
        self.caps: list[Decimal] = []

    async def set_day_cap(self, usd: Decimal, reason: str, at: object) -> object:
        self.caps.append(usd)
        return None


POLICY = BudgetPolicy()


def budget_on(spend: Spend, shelf: Shelf, figures: BudgetFigures | None = None) -> BudgetAgent:
    account = AccountBook(Ledger(), (), AccountFigures.starting_with(CASH))
    return BudgetAgent(
        account,
        figures or BudgetFigures.starting_with(POLICY),
        POLICY,
        spend,
        asked_cap_in(shelf.documents.get(ASKED_CAP)),
    )


def a_tick(one: InMemoryHouse) -> Any:
    return one.states[-1]


async def test_a_cap_that_was_asked_for_is_gone_on_from_once_and_survives_a_start(
    tmp_path: Path,
) -> None:
    one = house(tmp_path, flat_bars(9), entering(8))
    await one.ticks(1, 1)
    shelf, spend = Shelf(), Spend()
    budget = budget_on(spend, shelf)
    books = cast("Any", SimpleNamespace(budget=budget))
    desk = reins_of([], books=books).cap_desk(shelf, spend)
    await desk.set_day_cap(Decimal("0.30"), "governance m1.2", START)
    assert spend.caps == [Decimal("0.30")], "in force at once"
    await budget(a_tick(one))
    assert (budget.figures.cap_usd, budget.figures.next_cap_usd) == (Decimal("0.30"),) * 2
    assert asked_cap_in(shelf.documents[ASKED_CAP]) == AskedCap(
        cap_usd=Decimal("0.30"), why="governance m1.2", at=START
    )

    killed = budget_on(spend, shelf)  # before the tick was committed
    await killed(a_tick(one))
    assert killed.figures.next_cap_usd == Decimal("0.30")
    figures = BudgetFigures.from_json(killed.document())
    later = budget_on(spend, shelf, replace(figures, next_cap_usd=Decimal("0.15")))
    await later(a_tick(one))
    assert later.figures.next_cap_usd == Decimal("0.15"), "sessions have moved it since"
    assert later.figures.asked_at == START


async def test_a_cap_stays_between_floor_and_ceiling_whoever_asks(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(9), entering(8))
    await one.ticks(1, 1)
    for asked, came in (("1000000000", POLICY.ceiling_usd), ("0", POLICY.floor_usd)):
        budget = budget_on(Spend(), Shelf())
        budget.take_asked(AskedCap(cap_usd=Decimal(asked), why="m1.2", at=START))
        await budget(a_tick(one))
        assert budget.figures.cap_usd == came
