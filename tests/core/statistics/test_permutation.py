"""Chance keeps what it should keep, moves the rest, and its p-values are those of chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.rows import Flags
from roboinvest.core.statistics.permutation import (
    against_chance,
    p_value,
    random_entries,
    random_exposure,
)

SEED = 19_970_101


def flags(*rows: int, n: int) -> Flags:
    found = np.zeros(n, np.bool_)
    found[list(rows)] = True
    return found


def stretches(held: Flags, groups: Ints) -> dict[int, list[int]]:
    """Return the sorted lengths of the stretches in each group."""
    found: dict[int, list[int]] = {}
    for group in np.unique(groups):
        part = np.concatenate(([False], held[groups == group], [False])).astype(np.int8)
        starts, ends = np.flatnonzero(np.diff(part) == 1), np.flatnonzero(np.diff(part) == -1)
        found[int(group)] = sorted((ends - starts).tolist())
    return found


def test_a_p_value_counts_the_observed_one_and_ties() -> None:
    assert p_value(3.0, [1.0, 2.0, 3.0, 4.0]) == 3 / 5
    assert p_value(9.0, [1.0, 2.0, 3.0, 4.0]) == 1 / 5  # never 0
    assert p_value(0.0, [1.0, 2.0]) == 1.0
    assert p_value(0.0, []) == 1.0


def test_p_values_without_an_effect_are_uniform() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    found = np.array([p_value(x[0], x[1:]) for x in rng.standard_normal((4_000, 20))])
    for level in (0.05, 0.1, 0.5):
        assert np.mean(found <= level) == pytest.approx(level, abs=0.015)


def test_a_figure_stands_among_random_ones() -> None:
    values: Iterator[float] = iter(range(99))
    found = against_chance(95.0, lambda: float(next(values)), draws=99)
    assert (found.observed, found.draws, found.mean) == (95.0, 99, 49.0)
    assert found.p_value == 5 / 100  # 95, 96, 97, 98 and itself
    assert [found.low, found.high] == pytest.approx([4.9, 93.1])


def test_a_planted_idea_beats_random_entry_and_a_random_one_does_not() -> None:
    """The planted entries stand before the better days; the others anywhere."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    returns = 0.01 * rng.standard_normal(500)
    planted = (rng.random(500) < 0.2) & (returns > -0.003)
    p_values = {}
    for name, entries in (("planted", planted), ("none", rng.random(500) < 0.15)):
        draws = random_entries(entries, rng)
        profits = (float(np.sum(returns[drawn])) for drawn in draws)
        found = against_chance(float(np.sum(returns[entries])), partial(next, profits), draws=199)
        p_values[name] = found.p_value
    print(p_values)
    assert p_values["planted"] == 1 / 200
    assert p_values["none"] > 0.1


def test_random_entries_reach_every_choice_equally_often() -> None:
    print(f"seed {SEED}")
    entries = flags(0, 1, n=4)
    draws = islice(random_entries(entries, np.random.default_rng(SEED)), 6_000)
    counts: dict[tuple[int, ...], int] = {}
    for drawn in draws:
        key = tuple(np.flatnonzero(drawn).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == math.comb(4, 2)
    assert all(count == pytest.approx(1_000, abs=120) for count in counts.values())


def test_entries_stay_in_allowed_rows_and_keep_the_count_of_each_day() -> None:
    days = np.array([1, 1, 1, 2, 2, 2, 2, 3, 3])
    allowed = np.array([False, True, True, True, True, True, False, True, True])
    entries = flags(2, 3, 5, n=9)
    seen = np.zeros(9, np.bool_)
    for drawn in islice(
        random_entries(entries, np.random.default_rng(SEED), allowed=allowed, groups=days), 200
    ):
        assert [int(np.sum(drawn[days == day])) for day in (1, 2, 3)] == [1, 2, 0]
        assert not np.any(drawn & ~allowed)
        seen |= drawn
    assert np.array_equal(seen, allowed & (days != 3))


def test_groups_may_be_names_and_lie_apart() -> None:
    """The minute of the day as a group: each minute keeps its entries, the day is what changes."""
    minutes = np.array(["09:30", "09:31", "09:32"] * 50)
    entries = flags(0, 3, 6, 10, n=150)
    for drawn in islice(random_entries(entries, np.random.default_rng(SEED), groups=minutes), 20):
        counts = [int(np.sum(drawn[minutes == minute])) for minute in np.unique(minutes)]
        assert counts == [3, 1, 0]


def test_random_exposure_reaches_every_place_equally_often() -> None:
    """Two stretches of 1 and 2 in 6 rows, apart from each other: 2 orders of 3 gaps, 12 ways."""
    print(f"seed {SEED}")
    counts: dict[tuple[int, ...], int] = {}
    held = flags(0, 2, 3, n=6)
    for drawn in islice(random_exposure(held, np.random.default_rng(SEED)), 12_000):
        key = tuple(np.flatnonzero(drawn).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 12
    assert all(count == pytest.approx(1_000, abs=120) for count in counts.values())


@given(st.lists(st.booleans(), max_size=60), st.lists(st.integers(0, 5), max_size=60))
def test_random_exposure_keeps_every_stretch_within_its_day(
    held: list[bool], steps: list[int]
) -> None:
    n = min(len(held), len(steps))
    position = np.array(held[:n], dtype=np.bool_)
    days = np.cumsum(np.array(steps[:n], dtype=np.int64) == 0)
    rng = np.random.default_rng(SEED)
    for drawn in islice(random_exposure(position, rng, groups=days), 3):
        assert drawn.shape == (n,)
        assert stretches(drawn, days) == stretches(position, days)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=60))
def test_random_entries_keep_their_counts(rows: list[tuple[bool, bool, int]]) -> None:
    allowed = np.array([row[0] for row in rows], dtype=np.bool_)
    entries = np.array([row[0] and row[1] for row in rows], dtype=np.bool_)
    groups = np.array([row[2] for row in rows], dtype=np.int64)
    rng = np.random.default_rng(SEED)
    for drawn in islice(random_entries(entries, rng, allowed=allowed, groups=groups), 3):
        assert not np.any(drawn & ~allowed)
        for group in range(4):
            assert np.sum(drawn[groups == group]) == np.sum(entries[groups == group])


def test_the_same_seed_draws_the_same() -> None:
    entries = flags(3, 9, n=30)
    first, again = (next(random_entries(entries, np.random.default_rng(SEED))) for _ in "ab")
    assert np.array_equal(first, again)


def test_bad_input_is_refused_before_the_first_draw() -> None:
    rng = np.random.default_rng(SEED)
    entries = flags(2, n=5)
    with pytest.raises(BadInput, match="entry in row 2 stands where none is allowed"):
        random_entries(entries, rng, allowed=flags(1, 3, n=5))
    with pytest.raises(BadInput, match="5 rows and 4 rows that are allowed"):
        random_entries(entries, rng, allowed=flags(2, n=4))
    with pytest.raises(BadInput, match="5 rows and 3 groups"):
        random_entries(entries, rng, groups=[1, 2, 3])
    with pytest.raises(BadInput, match="2 groups change 2 times"):
        random_exposure(entries, rng, groups=[1, 1, 2, 1, 1])
    with pytest.raises(BadInput, match="0 random draws"):
        against_chance(1.0, lambda: 0.0, draws=0)
    with pytest.raises(BadInput, match="Random value 0 of 3 is nan"):
        against_chance(1.0, lambda: math.nan, draws=3)
    with pytest.raises(BadInput, match="Observed value 0 of 1 is inf"):
        p_value(math.inf, [1.0])
