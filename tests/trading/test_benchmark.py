"""Buy and hold is worth what the prices say, splits and dividends included."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.trading.benchmark import Benchmark
from tests.fakes.markets import DAY, bar, minute, update

NEXT_DAY = date(2024, 3, 6)


def test_one_symbol_follows_the_price_ratio_from_the_first_open() -> None:
    held = Benchmark(Decimal(1_000), ("SPY",))
    held.follow(update(minute(1), bar(minute(0), [50.0, 60.0, 50.0, 55.0])))
    assert held.equity() == 1_100


def test_symbols_without_a_bar_yet_count_as_cash() -> None:
    held = Benchmark(Decimal(1_000), ("AAPL", "SPY"))
    held.follow(update(minute(1), bar(minute(0), [50.0, 60.0, 50.0, 60.0])))
    assert held.equity() == 1_100


def test_a_split_changes_nothing_and_a_dividend_adds_its_cash() -> None:
    held = Benchmark(Decimal(700), ("SPY",))
    held.follow(update(minute(1), bar(minute(0), [700.0])))
    split = CorporateAction(symbol="SPY", kind=ActionKind.SPLIT, ex_date=NEXT_DAY, ratio=Decimal(7))
    cash = CorporateAction(
        symbol="SPY", kind=ActionKind.DIVIDEND, ex_date=NEXT_DAY, cash=Decimal(2)
    )
    held.follow(update(minute(1, NEXT_DAY), actions=(split,)))
    assert held.equity() == 700
    held.follow(update(minute(2, NEXT_DAY), actions=(cash,)))
    assert held.equity() == 714


def test_it_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    one, other = Benchmark(Decimal(1_000), ("SPY",)), Benchmark(Decimal(1_000), ("SPY",))
    one.follow(update(minute(1), bar(minute(0), [7.0, 9.0, 7.0, 8.0])))
    other.restore(one.document())
    for held in (one, other):
        held.follow(update(minute(2), bar(minute(1), [8.0, 9.0, 7.0, 7.7])))
    assert one.equity() == other.equity()
    assert one.document() == other.document()
    assert minute(0).date() == DAY
