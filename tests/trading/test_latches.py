"""Losses stop entries at once, and for good when three readings agree that they are real."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.ledger import Ledger
from roboinvest.core.orders import Action
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.records import canonical_json
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.books import Books
from roboinvest.trading.locks.book import Clearing, LockBook
from tests.fakes.house import CASH, FRICTIONLESS, InMemoryHouse, flat_bars, house
from tests.fakes.markets import DAY, MINUTE, bar, minute, session, update
from tests.fakes.models import ScriptedModel, hold, view

NEXT_DAY = date(2024, 3, 6)
LIMITS = RiskLimits()  # 2 % a day, 10 % from the peak


def account() -> AccountBook:
    book = AccountBook(Ledger(), (), AccountFigures.starting_with(CASH))
    book.begin(update(minute(1)))
    return book


def read_equity(book: AccountBook, *readings: str, day: date = DAY) -> None:
    """Let a tick pass for each reading of the broker's equity."""
    for number, reading in enumerate(readings, start=1):
        book.begin(update(minute(number, day), on=session(day)))
        book.value(Decimal(reading))
        book.latch(LIMITS, session(day), minute(number, day))


def names(book: AccountBook, day: date = DAY) -> list[str]:
    return [lock.name for lock in book.locks_on("SPY", session(day), minute(60, day))]


def cleared(book: AccountBook, at: int) -> None:
    """Let a person clear all, and begin the next tick."""
    locks = book.locks.in_force(minute(at))
    clearings = (Clearing(name=k.name, since=k.since, by="ann", at=minute(at)) for k in locks)
    book.locks.take_cleared(clearings)
    book.begin(update(minute(at + 1)))


@pytest.mark.parametrize(
    ("readings", "latched"),
    [
        (("98000", "98000", "98000"), ["daily_loss:all"]),
        (("98000", "98000.01", "98000"), []),
        (("98000", "98000"), []),
        (("1", "100000", "100000"), []),
        (("99000", "97000", "97000", "97000", "100000"), ["daily_loss:all"]),
        (("90000", "90000", "90000"), ["daily_loss:all", "drawdown:all"]),
        (("90000", "90000.01", "90000"), ["daily_loss:all"]),
    ],
)
def test_three_readings_in_a_row_latch_at_the_limit_and_not_a_cent_before(
    readings: tuple[str, ...], latched: list[str]
) -> None:
    book = account()
    read_equity(book, *readings)
    assert names(book) == latched


def test_a_days_loss_is_over_with_the_day_and_a_drawdown_is_not() -> None:
    book = account()
    read_equity(book, "89000", "89000", "89000", "100000")
    assert names(book) == ["daily_loss:all", "drawdown:all"]
    read_equity(book, "100000", day=NEXT_DAY)
    assert names(book, NEXT_DAY) == ["drawdown:all"]


def test_one_price_that_is_far_too_high_makes_no_peak_to_fall_from() -> None:
    book = account()
    read_equity(book, "100000", "100000", "190000", "100000", "100000", "100000", "100000")
    assert names(book) == []
    assert book.figures.peak_equity == 100_000


def test_a_loss_of_yesterday_confirms_none_of_today() -> None:
    book = account()
    read_equity(book, "100000", "97000", "97000")
    read_equity(book, "95060", "95060", day=NEXT_DAY)
    assert names(book, NEXT_DAY) == []
    read_equity(book, "95060", "95060", "95060", day=NEXT_DAY)  # 2 % of 97,000 USD
    assert names(book, NEXT_DAY) == ["daily_loss:all"]


def test_a_reading_that_is_no_number_is_no_reading() -> None:
    book = account()
    read_equity(book, "98000", "98000", "NaN")
    assert names(book) == []
    assert book.figures.equity == 98_000


def test_a_drawdown_that_a_person_cleared_is_counted_from_there() -> None:
    book = account()
    read_equity(book, "89000", "89000", "89000")
    cleared(book, 4)
    assert book.figures.peak_equity == 89_000
    assert names(book) == []
    read_equity(book, "80101", "80101", "80101")
    assert "drawdown:all" not in names(book)
    read_equity(book, "80100", "80100", "80100")
    assert "drawdown:all" in names(book)


def test_latches_and_readings_survive_a_restart() -> None:
    book = account()
    read_equity(book, "89000", "89000")
    again = AccountBook(
        Ledger(),
        (),
        AccountFigures.from_json(book.document()),
        LockBook.read(book.locks.document(), None, ProtectionRules()),
    )
    assert again.figures == book.figures
    read_equity(again, "89000")
    assert names(again) == ["daily_loss:all", "drawdown:all"]
    stored = StoredState(
        last_tick=None,
        lots=(),
        open_orders=(),
        open_memories=(),
        resolved_memories=(),
        calibration=(),
        documents={"account": again.document(), "locks": again.locks.document()},
        last_exits={},
    )
    books = Books.read(
        stored, cash=CASH, rules=FRICTIONLESS, policy=BudgetPolicy(), symbols=("SPY",)
    )
    assert names(books.account) == ["daily_loss:all", "drawdown:all"]
    assert "locks" not in books.changed_documents("paper_broker", None)


def test_figures_written_before_there_were_readings_are_read() -> None:
    figures = AccountFigures.starting_with(CASH)
    old = canonical_json(figures).replace('"recent_equity":[],', "")
    assert "recent" not in old
    assert AccountFigures.from_json(old) == figures


async def test_a_loss_that_comes_back_stays_a_loss_for_the_day(tmp_path: Path) -> None:
    # Four shares in ten of the account fall by 5.5 %, stay there, and recover.
    fallen = [bar(minute(n), [94.5]) for n in range(5, 12)]
    bars = [*flat_bars(5), *fallen, *flat_bars(30)[12:], *flat_bars(30, day=NEXT_DAY)]
    limits = RiskLimits(
        max_position_frac=Decimal("0.40"),
        max_order_usd=Decimal(40_000),
        risk_per_trade_frac=Decimal("0.04"),
        max_daily_loss_frac=Decimal("0.02"),
        price_collar_frac=Decimal("0.20"),
    )

    def buys(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        if brief.position_qty and minute(20) < inputs.at < minute(0, NEXT_DAY):
            return view(symbol, Action.SELL)
        if brief.position_qty:
            return hold(symbol)
        return view(symbol, Action.BUY, stop=90.0, target=140.0)

    one = house(tmp_path, bars, ScriptedModel(buys), limits=limits)
    await one.ticks(1, 28)
    assert one.account.figures.equity == 100_000  # it all came back
    refused = one.states[-1]["execution"].refused
    assert [clamp.rule for clamp in refused] == ["daily_loss"]
    assert "limit 2.00%" in refused[0].text
    assert "locks" in {name for commit in one.commits for name in commit.documents}
    await one.ticks(1, 3, NEXT_DAY)
    assert one.states[-1]["execution"].refused == ()
    assert one.account.ledger.qty("SPY") > 0


async def test_an_enforced_cooldown_holds_against_a_model_that_ignores_it(tmp_path: Path) -> None:
    def hasty(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        if brief.position_qty:
            return view(symbol, Action.SELL)
        return view(symbol, Action.BUY, stop=98.0, target=104.0)

    def entries(one: InMemoryHouse) -> list[int]:
        orders = (o for o in one.orders().values() if o.leg.value == "entry")
        return sorted((order.created_at - minute(0)) // MINUTE for order in orders)

    rules = ProtectionRules(cooldown=10 * MINUTE)
    cool = house(tmp_path, flat_bars(30), ScriptedModel(hasty), protections=rules)
    await cool.ticks(1, 20)
    # Bought at 1, filled at 2, sold at 2, out at the open of minute 2 (the bar of tick 3).
    assert entries(cool) == [1, 12]
    refused = [state["execution"].refused for state in cool.states[2:11]]
    assert {clamp.rule for clamps in refused for clamp in clamps} == {"cooldown"}
    shown = cool.states[2]["execution"].refused[0]
    assert shown.text == "SPY: left at 14:32 UTC, cooldown 10 min"
    assert [lock.name for lock in cool.account.locks.in_force(minute(13))] == ["cooldown:SPY"]
