"""Stops stay out of the noise, and levels move exits the right way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.market.values import Level, LevelKind
from roboinvest.core.orders import to_tick
from roboinvest.core.quant.brackets import Bracket, plan_bracket
from roboinvest.core.quant.observation import Observation
from tests.fakes.windows import seen


def level(price: float, touches: int = 5, kind: LevelKind = LevelKind.RESISTANCE) -> Level:
    return Level(name="touched", kind=kind, price=price, touches=touches)


def plan(observation: Observation, max_risk_frac: float = 0.15) -> Bracket | None:
    return plan_bracket(
        observation,
        stop_atrs=3.0,
        stop_floor_frac=0.0015,
        max_risk_frac=max_risk_frac,
        target_r=2.0,
        min_reward_r=1.0,
    )


def planned(observation: Observation) -> Bracket:
    bracket = plan(observation)
    assert bracket is not None
    return bracket


def test_the_stop_is_three_atr_away_and_the_target_twice_that() -> None:
    bracket = planned(seen(atr_frac=0.01))
    assert (bracket.stop, bracket.target) == (97.0, 106.0)
    assert (bracket.reward_r, bracket.crowded) == (2.0, None)


def test_a_quiet_market_does_not_bring_the_stop_into_the_noise() -> None:
    assert planned(seen(atr_frac=0.00001)).stop == pytest.approx(99.85)


@pytest.mark.parametrize("price", [0.05, 0.9, 1.0, 2.0])
def test_rounding_to_ticks_never_closes_the_gap_of_a_cheap_share(price: float) -> None:
    bracket = planned(seen(close=price, atr_frac=0.00001))
    assert to_tick(bracket.stop) < to_tick(price) < to_tick(bracket.target)


def test_a_support_at_the_stop_pulls_it_under() -> None:
    support = level(96.5, kind=LevelKind.SUPPORT)
    assert planned(seen(atr_frac=0.01, levels=(support,))).stop == pytest.approx(96.2)
    assert planned(seen(atr_frac=0.01, levels=(level(90.0),))).stop == 97.0
    weak = level(96.5, touches=2, kind=LevelKind.SUPPORT)
    assert planned(seen(atr_frac=0.01, levels=(weak,))).stop == 97.0


def test_a_resistance_beyond_the_least_reward_pulls_the_target_in_front() -> None:
    bracket = planned(seen(atr_frac=0.01, levels=(level(105.0),)))
    assert bracket.target == pytest.approx(104.7)
    assert bracket.reward_r == pytest.approx(4.7 / 3.0, abs=1e-6)
    assert bracket.crowded is None


def test_a_resistance_too_near_crowds_the_bracket_but_keeps_its_target() -> None:
    wall = level(103.0)
    bracket = planned(seen(atr_frac=0.01, levels=(wall,)))
    assert (bracket.crowded, bracket.target) == (wall, 106.0)


def test_a_resistance_at_the_price_or_of_few_touches_is_no_wall() -> None:
    levels = (level(100.5), level(102.0, touches=3), level(107.0))
    assert planned(seen(atr_frac=0.01, levels=levels)).crowded is None


def test_pivots_are_walls_within_a_day_but_not_on_day_bars() -> None:
    pivot = Level(name="R1", kind=LevelKind.PIVOT, price=103.0, touches=0)
    assert planned(seen(atr_frac=0.01, levels=(pivot,))).crowded == pivot
    assert planned(seen(atr_frac=0.01, levels=(pivot,), bar_minutes=960.0)).crowded is None


def test_the_nearest_wall_counts() -> None:
    bracket = planned(seen(atr_frac=0.01, levels=(level(105.5), level(104.0))))
    assert bracket.target == pytest.approx(103.7)


def test_a_stop_too_far_away_is_no_bracket() -> None:
    assert plan(seen(atr_frac=0.06)) is None


@given(
    st.floats(0.02, 5000.0),
    st.floats(0.0, 0.05),
    st.lists(st.tuples(st.floats(0.8, 1.2), st.integers(0, 9)), max_size=6),
)
def test_a_bracket_always_has_the_stop_below_and_the_target_above(
    close: float, atr_frac: float, near: list[tuple[float, int]]
) -> None:
    close = round(close, 4)
    levels = tuple(level(round(close * ratio, 6), touches) for ratio, touches in near)
    bracket = plan(seen(close=close, atr_frac=round(atr_frac, 6), levels=levels))
    if bracket is not None:
        assert 0.0 < bracket.stop < bracket.entry < bracket.target
        assert to_tick(bracket.stop) < to_tick(bracket.entry) < to_tick(bracket.target)
        assert bracket.reward_r >= 1.0 - 1e-4
