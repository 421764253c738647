"""Columns of prices in units are the very figures that orders and fills are rounded to."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roboinvest.core.market.grid import from_units, price_units, tick_units, to_units
from roboinvest.core.orders import to_price, to_tick

MOST_USD = 10_000_000.0
anywhere = st.floats(0.0, MOST_USD, allow_subnormal=False)
# halves of a hundredth of a cent and of a cent, and the floats beside them
halves = st.integers(0, 10**11).map(lambda count: count / 20_000.0)
cents = st.integers(0, 10**9).map(lambda count: count / 200.0)
beside = st.tuples(halves | cents, st.sampled_from([-math.inf, math.inf])).map(
    lambda drawn: max(math.nextafter(*drawn), 0.0)
)
prices = st.lists(anywhere | halves | cents | beside, min_size=1, max_size=50)


@given(prices)
@example([0.00005, 0.00015, 1.00005, 2.675, 1.005, 0.99995, 0.999949, 1.0, 8.125, 100.00005])
def test_a_column_of_prices_rounds_as_each_price_does(drawn: list[float]) -> None:
    units = price_units(np.array(drawn))
    assert [from_units(each) for each in units] == [to_price(price) for price in drawn]


@given(prices)
@example([0.00005, 0.00015, 1.005, 1.015, 2.675, 0.99995, 0.99994, 0.999999, 1.0, 8.125, 8.135])
def test_a_column_of_order_prices_rounds_as_each_does(drawn: list[float]) -> None:
    units = tick_units(np.array(drawn))
    assert [from_units(each) for each in units] == [to_tick(price) for price in drawn]


@given(prices)
def test_a_price_on_the_grid_stays_where_it_is(drawn: list[float]) -> None:
    units = price_units(np.array(drawn))
    again = price_units(np.array([float(from_units(each)) for each in units]))
    np.testing.assert_array_equal(units, again)


@given(st.integers(-(10**17), 10**17))
def test_money_and_units_turn_into_each_other_without_loss(units: int) -> None:
    assert to_units(from_units(units)) == units
    assert from_units(units) * 10_000 == units


def test_units_of_a_column_become_money_with_four_digits() -> None:
    (units,) = price_units(np.array([123.45]))
    assert from_units(units) == Decimal("123.4500")
    assert str(from_units(units)) == "123.4500"


def test_no_prices_give_no_units() -> None:
    for rounded in (price_units(np.zeros(0)), tick_units(np.zeros(0))):
        assert rounded.shape == (0,)
        assert rounded.dtype == np.int64


def test_a_column_is_not_changed_by_being_rounded() -> None:
    column = np.array([0.12345, 1.2345])
    column.setflags(write=False)
    assert tick_units(column).tolist() == [1234, 12300]
    assert price_units(column).tolist() == [1234, 12345]


@pytest.mark.parametrize(("price", "units"), [(0.99994, 9999), (0.99996, 10_000), (1.004, 10_000)])
def test_ticks_are_finer_below_a_dollar(price: float, units: int) -> None:
    assert tick_units(np.array([price])).tolist() == [units]
