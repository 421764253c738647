"""Levels: the floor formula, and prices at which the market turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.market.values import LevelKind
from roboinvest.core.quant.levels import SWING, floor_pivots, swing_highs, touched_levels

HILL = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_floor_pivots_follow_the_formula_from_the_lowest_to_the_highest() -> None:
    levels = floor_pivots(high=110.0, low=100.0, close=108.0)
    assert {level.name: level.price for level in levels} == {
        "S3": 92.0,
        "S2": 96.0,
        "S1": 102.0,
        "P": 106.0,
        "R1": 112.0,
        "R2": 116.0,
        "R3": 122.0,
    }
    assert [level.price for level in levels] == sorted(level.price for level in levels)
    assert {(level.kind, level.touches) for level in levels} == {(LevelKind.PIVOT, 0)}


def test_a_swing_high_is_the_highest_of_five_bars_on_either_side() -> None:
    assert swing_highs(np.array(HILL)).tolist() == [5.0]
    assert swing_highs(np.array(HILL[:-1])).tolist() == []  # the fifth bar after it is missing


def test_a_plateau_is_one_swing_high() -> None:
    flat_top = [*HILL[:6], 5.0, 5.0, *HILL[6:]]
    assert swing_highs(np.array(flat_top)).tolist() == [5.0]


@given(st.lists(st.integers(0, 9), min_size=0, max_size=60))
def test_swing_highs_are_those_found_bar_by_bar(steps: list[int]) -> None:
    values = [float(step) for step in steps]
    found: list[float] = []
    last = -SWING - 1
    for row in range(SWING, len(values) - SWING):
        peak = values[row] == max(values[row - SWING : row + SWING + 1])
        if peak and row - last > SWING:
            found.append(values[row])
        last = row if peak else last
    assert swing_highs(np.array(values)).tolist() == found


def test_turns_near_one_price_are_one_level_with_its_touches() -> None:
    high = np.array(HILL + [v * 1.004 for v in HILL] + [v * 0.5 for v in HILL]) + 100.0
    low = np.full_like(high, 90.0)
    (level,) = [
        level
        for level in touched_levels(high, low, price=101.0, width=0.05)
        if level.kind is LevelKind.RESISTANCE
    ]
    assert level.touches == 2
    assert level.price == pytest.approx((105.0 + 105.02) / 2)


def test_a_level_is_never_wider_than_the_width() -> None:
    tops = [10.0, 10.3, 10.6, 10.9]  # each within 0.5 of the next, 0.9 from end to end
    high = np.array([top - 5.0 + step for top in tops for step in HILL])
    levels = touched_levels(high, np.full_like(high, -50.0), price=0.0, width=0.5)
    assert [(level.price, level.touches) for level in levels] == [(10.15, 2), (10.75, 2)]


def test_a_level_below_the_price_is_support_and_one_above_it_resistance() -> None:
    high = np.array(HILL * 2) + 100.0
    kinds = [
        touched_levels(high, np.full_like(high, 1.0), price=price, width=0.1)[-1].kind
        for price in (106.0, 104.0)
    ]
    assert kinds == [LevelKind.SUPPORT, LevelKind.RESISTANCE]


def test_a_motionless_or_short_window_has_one_level_or_none() -> None:
    still = np.full(30, 50.0)
    assert len(touched_levels(still, still, price=50.0, width=0.1)) <= 1
    assert touched_levels(still[:4], still[:4], price=50.0, width=0.1) == ()
