"""A strategy says what it needs, and one that contradicts itself is refused in a sentence."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.conditions import above, crosses_above
from roboinvest.core.strategy import (
    AtColumn,
    Dollars,
    EquityShare,
    Execution,
    Multiple,
    Param,
    Percent,
    Plan,
    Reward,
    RiskShare,
    Scan,
    Shares,
    Size,
    Strategy,
    Timeframes,
    Values,
    requested_shares,
)


def strategy_of(plan: Plan) -> Strategy:
    return Strategy(
        name="probe",
        version="3",
        idea="None.",
        source="this test",
        timeframe=Timeframes.ANY,
        params=(
            Param(name="fast", default=5, low=2, high=50),
            Param(name="frac", default=0.02, low=0.0, high=0.5),
        ),
        build=lambda _values: plan,
    )


SOUND = Plan(columns={}, scan=Scan(long=above("close", 0)), execution=Execution())


def test_what_is_not_given_is_its_default_and_whole_stays_whole() -> None:
    values = strategy_of(SOUND).values({"fast": "7"})
    assert values == {"fast": 7, "frac": 0.02}
    assert isinstance(values["fast"], int)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"slow": "7"}, "probe has no parameter slow; it has fast, frac"),
        ({"fast": "7.5"}, "fast=7.5 is not a whole number"),
        ({"fast": "many"}, "fast=many is not a whole number"),
        ({"frac": "nan"}, "frac=nan is not a number"),
        ({"fast": "51"}, "fast=51 is outside 2 to 50"),
    ],
)
def test_a_value_that_cannot_be_is_refused(given: Values, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        strategy_of(SOUND).values(given)


@pytest.mark.parametrize(
    ("scan", "how", "fault"),
    [
        (Scan(), Execution(), "no condition, so it would never enter"),
        (Scan(long=crosses_above("fast", "slow")), Execution(), "asks about fast, slow"),
        (Scan(long=above("close", 0)), Execution(size=EquityShare(0.0)), "size is 0.0"),
        (Scan(long=above("close", 0)), Execution(size=Dollars(float("nan"))), "size is nan"),
        (Scan(long=above("close", 0)), Execution(size=RiskShare(0.01)), "has no stop; declare"),
        (Scan(long=above("close", 0)), Execution(target=Reward(2.0)), "multiple of the stop's"),
        (Scan(long=above("close", 0)), Execution(max_bars=0), "at least one bar"),
        (Scan(long=above("close", 0)), Execution(stop=AtColumn("atr")), "stands on 'atr'"),
        (Scan(long=above("close", 0)), Execution(stop=Percent(-0.1)), "stop is -0.1 away"),
        (Scan(long=above("close", 0)), Execution(trail=Multiple("close", 0.0)), "trail is 0.0"),
        (
            Scan(long=above("close", 0)),
            Execution(trail=Percent(0.1), target=Percent(0.1)),
            "holds the shares for one of them",
        ),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(scan: Scan, how: Execution, fault: str) -> None:
    with pytest.raises(BadInput, match=f"probe@3: .*{fault}"):
        strategy_of(Plan(columns={}, scan=scan, execution=how)).plan({})


@pytest.mark.parametrize(
    ("size", "shares"),
    [
        (EquityShare(1.0), 1000),
        (EquityShare(0.333), 333),
        (Shares(12), 12),
        (Dollars(1050.0), 10),
        (RiskShare(0.01), 500),  # 1,000 USD at risk, 2 USD a share
    ],
)
def test_a_size_asks_for_whole_shares(size: Size, shares: int) -> None:
    asked = requested_shares(size, Decimal(100_000), Decimal(100), Decimal(98))
    assert asked == shares


@pytest.mark.parametrize("size", [EquityShare(1.0), RiskShare(0.01), Shares(5)])
def test_nothing_is_asked_for_without_equity_or_a_price(size: Size) -> None:
    assert requested_shares(size, Decimal(0), Decimal(100), Decimal(98)) == 0
    assert requested_shares(size, Decimal(1000), Decimal(0), Decimal(98)) == 0


def test_bars_suit_a_strategy_or_they_do_not() -> None:
    assert Timeframes.DAILY.suits(Timeframe.DAY)
    assert not Timeframes.DAILY.suits(Timeframe.HOUR)
    assert Timeframes.INTRADAY.suits(Timeframe.MINUTES_15)
    assert not Timeframes.INTRADAY.suits(Timeframe.DAY)
    assert Timeframes.ANY.suits(Timeframe.DAY)


def test_a_share_of_equity_is_of_a_symbols_part_where_there_are_several() -> None:
    pair = replace(strategy_of(SOUND), symbols=2)
    for strategy, symbols, share in (
        (strategy_of(SOUND), 1, 1.0),
        (strategy_of(SOUND), 4, 0.25),
        (pair, 2, 1.0),
        (pair, 4, 0.5),
    ):
        assert strategy.plan({}, symbols).execution.size == EquityShare(share)
