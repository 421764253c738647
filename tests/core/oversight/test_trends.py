"""Trends and differences: their intervals hold what they say, and few points say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.oversight.trends import FEWEST_EACH, FEWEST_POINTS, difference, trend

SEED = 7


def remembering(n: int, kept: float, rng: Generator) -> Floats:
    """Return a series of which each value keeps a part of the one before."""
    noise = rng.standard_normal(n + 50)
    found = np.zeros(n + 50)
    for place in range(1, n + 50):
        found[place] = kept * found[place - 1] + noise[place]
    return found[50:]


def test_a_straight_line_is_found_exactly() -> None:
    found = trend(range(24), [5.0 + 0.25 * hour for hour in range(24)])
    assert found.per_day == pytest.approx(6.0)
    assert (found.word, found.n, found.reason) == ("rises", 24, "")
    assert trend(range(24), [-0.25 * hour for hour in range(24)]).word == "falls"


def test_one_wild_hour_moves_a_trend_by_little() -> None:
    values = [float(hour) for hour in range(24)]
    values[5] = 1e9
    found = trend(range(24), values)
    assert found.per_day == pytest.approx(24.0, rel=0.1)


def test_few_points_say_how_many_it_takes_instead_of_a_number() -> None:
    for n in range(FEWEST_POINTS):
        found = trend(range(n), [float(hour) for hour in range(n)])
        assert (found.per_day, found.low, found.high) == (None, None, None)
        assert found.word.startswith("too few")
        assert str(FEWEST_POINTS) in found.reason
    assert trend([1.0] * 9, list(map(float, range(9)))).word.startswith("too few")


def test_what_does_not_move_has_no_trend() -> None:
    assert trend(range(12), [3.0] * 12).word == "no trend seen"


def test_the_order_of_the_points_does_not_matter() -> None:
    rng = default_rng(SEED)
    hours, values = np.arange(30.0), remembering(30, 0.0, rng)
    mixed = rng.permutation(30)
    assert trend(hours[mixed], values[mixed]) == trend(hours, values)


@pytest.mark.parametrize(
    ("n", "kept", "least"), [(12, 0.0, 0.93), (24, 0.3, 0.90), (48, 0.5, 0.89)]
)
def test_intervals_of_slopes_hold_the_truth(n: int, kept: float, least: float) -> None:
    print(f"seed {SEED}")
    rng, held, tries = default_rng(SEED), 0, 400
    for _ in range(tries):
        found = trend(np.arange(float(n)), remembering(n, kept, rng) + 0.1 * np.arange(n))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 2.4 <= found.high
    assert held / tries >= least


@pytest.mark.parametrize(
    ("before", "after", "kept", "least"),
    [(6, 6, 0.0, 0.93), (24, 8, 0.0, 0.93), (24, 24, 0.3, 0.90)],
)
def test_intervals_of_differences_hold_the_truth(
    before: int, after: int, kept: float, least: float
) -> None:
    print(f"seed {SEED}")
    rng, held, tries = default_rng(SEED), 0, 400
    for _ in range(tries):
        found = difference(remembering(before, kept, rng), remembering(after, kept, rng) + 1.0)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.0 <= found.high
    assert held / tries >= least


def test_a_difference_that_is_plain_is_seen_and_chance_is_not() -> None:
    rng = default_rng(SEED)
    noise = remembering(48, 0.0, rng)
    assert difference(noise[:24], noise[24:] + 3.0).is_seen
    assert not difference(noise[:24], noise[24:]).is_seen


def test_few_values_on_one_side_are_named() -> None:
    found = difference([1.0] * 20, [2.0] * (FEWEST_EACH - 1))
    assert (found.before, found.after, found.change) == (1.0, 2.0, None)
    assert "after" in found.reason
    assert not found.is_seen
    nothing = difference([], [])
    assert (nothing.before, nothing.n_before) == (None, 0)
    assert nothing.reason.startswith("too few: 0 points")


def test_values_that_never_vary_differ_by_exactly_what_they_differ() -> None:
    found = difference([1.0] * 10, [2.0] * 10)
    assert (found.change, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.is_seen
    assert not difference([1.0] * 10, [1.0] * 10).is_seen


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(BadInput):
        trend(range(9), [float("nan")] * 9)
    with pytest.raises(BadInput, match="one time for each value"):
        trend(range(9), [1.0] * 8)
