"""Corporate actions out of factor rows: exact ratios, dividends in dollars, the right day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from roboinvest.core.market.actions import FactorRow, actions_from_factors, simple_ratio
from roboinvest.core.market.values import ActionKind, CorporateAction


def row(day: date, price: str, split: str, reference: str = "0") -> FactorRow:
    return FactorRow(
        symbol="AAPL",
        last_date_inclusive=day,
        price_factor=Decimal(price),
        split_factor=Decimal(split),
        reference_price=Decimal(reference),
    )


APPLE = [
    row(date(2014, 5, 7), "0.8961764", "0.0357143", "592.33"),
    row(date(2014, 6, 6), "0.9011818", "0.0357143", "645.57"),
    row(date(2014, 8, 6), "0.9011818", "0.25", "94.97"),
    row(date(2050, 12, 31), "0.9056639", "0.25"),
]


def weekday_after(day: date) -> date:
    day += timedelta(days=1)
    return day if day.weekday() < 5 else weekday_after(day)


def test_a_split_is_exact_and_in_force_at_the_next_session() -> None:
    split = actions_from_factors(APPLE, weekday_after)[1]
    assert split == CorporateAction(
        symbol="AAPL", kind=ActionKind.SPLIT, ex_date=date(2014, 6, 9), ratio=Decimal(7)
    )


def test_a_dividend_is_the_part_of_the_last_price_that_its_factor_takes_off() -> None:
    dividends = [
        action
        for action in actions_from_factors(APPLE, weekday_after)
        if action.kind is ActionKind.DIVIDEND
    ]
    assert [(each.ex_date, each.cash) for each in dividends] == [
        (date(2014, 5, 8), Decimal("3.2900")),
        (date(2014, 8, 7), Decimal("0.4700")),
    ]


def test_the_order_of_the_rows_decides_nothing() -> None:
    expected = actions_from_factors(APPLE, weekday_after)
    assert actions_from_factors(reversed(APPLE), weekday_after) == expected


def test_rows_of_other_symbols_make_no_action_between_them() -> None:
    other = FactorRow(
        symbol="SPY",
        last_date_inclusive=date(2050, 12, 31),
        price_factor=Decimal(1),
        split_factor=Decimal(1),
        reference_price=Decimal(0),
    )
    assert actions_from_factors([APPLE[0], other], weekday_after) == []


def test_rows_without_a_change_make_no_action() -> None:
    same = [row(date(1998, 1, 2), "0.5", "0.25"), row(date(2050, 12, 31), "0.5", "0.25")]
    assert actions_from_factors(same, weekday_after) == []


def test_an_action_after_the_end_of_the_calendar_is_left_out() -> None:
    assert actions_from_factors(APPLE, lambda _day: None) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("7.00000", Decimal(7)),
        ("6.9999", Decimal(7)),
        ("1.4996", Decimal("1.5")),
        ("1.3333", Decimal(4) / Decimal(3)),
        ("0.33330", Decimal(1) / Decimal(3)),
        ("0.02860", Decimal(1) / Decimal(35)),
        ("1.05", Decimal("1.05000")),
        ("1.0027", Decimal("1.00270")),
        ("1.000002", Decimal(1)),
        ("1", Decimal(1)),
    ],
)
def test_a_ratio_near_a_simple_fraction_is_that_fraction(given: str, expected: Decimal) -> None:
    assert simple_ratio(Decimal(given)) == expected
