"""Folds learn from the days before and are tried on the days after, and never mix the two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.statistics.folds import (
    Fold,
    check_folds,
    check_parameters,
    train_rows,
    walk_forward,
)


def test_an_anchored_train_grows_and_a_rolling_one_moves() -> None:
    anchored = walk_forward(100, folds=3, train=40, anchored=True)
    rolling = walk_forward(100, folds=3, train=40, anchored=False)
    tests = [slice(40, 60), slice(60, 80), slice(80, 100)]
    assert [fold.test for fold in anchored] == [fold.test for fold in rolling] == tests
    assert [fold.train for fold in anchored] == [slice(0, 40), slice(0, 60), slice(0, 80)]
    assert [fold.train for fold in rolling] == [slice(0, 40), slice(20, 60), slice(40, 80)]
    assert [fold.number for fold in rolling] == [0, 1, 2]


def test_purge_and_embargo_keep_the_train_apart_from_its_test() -> None:
    (first, second) = walk_forward(100, folds=2, train=40, anchored=False, purge=5, embargo=3)
    assert (first.train, first.test) == (slice(0, 40), slice(48, 74))
    assert (second.train, second.test) == (slice(26, 66), slice(74, 100))


def test_days_that_do_not_divide_go_to_the_earlier_tests() -> None:
    folds = walk_forward(21, folds=3, train=10, anchored=True)
    assert [fold.test.stop - fold.test.start for fold in folds] == [4, 4, 3]
    single = walk_forward(13, folds=3, train=10, anchored=True)
    assert [fold.test for fold in single] == [slice(10, 11), slice(11, 12), slice(12, 13)]


@given(
    st.integers(1, 400),
    st.integers(1, 20),
    st.integers(1, 200),
    st.booleans(),
    st.integers(0, 10),
    st.integers(0, 10),
)
def test_tests_follow_each_other_to_the_last_day(
    days: int, folds: int, train: int, anchored: bool, purge: int, embargo: int
) -> None:
    try:
        found = walk_forward(
            days, folds=folds, train=train, anchored=anchored, purge=purge, embargo=embargo
        )
    except BadInput:
        assert days - train - purge - embargo < folds
        return
    check_folds(found, days)
    assert len(found) == folds
    tested = [day for fold in found for day in range(fold.test.start, fold.test.stop)]
    assert tested == list(range(train + purge + embargo, days))
    for fold in found:
        assert fold.train.stop + purge + embargo == fold.test.start
        length = fold.train.stop - fold.train.start
        assert fold.train.start == 0 if anchored else length == train


@pytest.mark.parametrize(
    ("days", "folds", "train", "message"),
    [
        (50, 11, 40, "50 days leave 10 to test after 40 to train"),
        (30, 1, 40, "30 days leave 0 to test"),
        (0, 1, 1, "0 days leave 0 to test"),
        (50, 0, 40, "0 folds, 40 days to train"),
        (50, 2, 0, "2 folds, 0 days to train"),
    ],
)
def test_more_folds_than_days_are_refused(days: int, folds: int, train: int, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        walk_forward(days, folds=folds, train=train, anchored=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="-1 to purge"):
        walk_forward(100, folds=2, train=10, anchored=True, purge=-1)


def fold(number: int, train: tuple[int, int], test: tuple[int, int]) -> Fold:
    return Fold(number=number, train=slice(*train), test=slice(*test))


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "no folds to walk"),
        ([fold(0, (0, 0), (5, 8))], "Fold 0 trains on days 0 to -1"),
        ([fold(0, (0, 5), (5, 5))], "both must hold a day"),
        ([fold(0, (0, 5), (5, 11))], "tests on 5 to 10 of 10"),
        ([fold(0, (-3, 5), (5, 8))], "trains on days -3"),
        ([fold(0, (0, 6), (5, 8))], "Fold 0 trains up to day 5 and tests from day 5"),
        ([fold(0, (0, 4), (5, 8)), fold(1, (0, 4), (7, 9))], "tests of folds 0 and 1 overlap"),
        ([fold(4, (0, 4), (7, 9)), fold(2, (0, 4), (5, 8))], "tests of folds 2 and 4 overlap"),
    ],
)
def test_folds_that_overlap_or_are_empty_are_refused(folds: list[Fold], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        check_folds(folds, 10)


def refusal(check: Callable[[], None]) -> str | None:
    """Return the sentence with which a check refuses; None where it has nothing to say."""
    try:
        check()
    except BadInput as error:
        return str(error)
    return None


def test_folds_that_touch_are_fine_in_any_order() -> None:
    touching = [fold(1, (0, 5), (8, 10)), fold(0, (0, 5), (5, 8))]
    assert refusal(lambda: check_folds(touching, 10)) is None
    assert refusal(lambda: check_folds(touching, 9)) is not None  # a day less, and one lies outside


@pytest.mark.parametrize(("parameters", "trades"), [(5, 5), (6, 5), (1, 0), (1, 1)])
def test_more_parameters_than_data_are_refused(parameters: int, trades: int) -> None:
    with pytest.raises(BadInput, match=f"{parameters} parameters cannot be fitted to {trades} tra"):
        check_parameters(parameters, trades)


def test_fewer_parameters_than_data_are_fine() -> None:
    assert refusal(lambda: check_parameters(4, 5)) is None
    assert refusal(lambda: check_parameters(0, 0)) is None


def test_rows_whose_outcome_reaches_into_the_test_are_not_learnt_from() -> None:
    """A trade of three days, opened each day; tested are the days 10 to 14."""
    opened = np.arange(25)
    closed = np.minimum(opened + 2, 24)
    kept = np.flatnonzero(train_rows(opened, closed, slice(10, 15), embargo=3))
    assert kept.tolist() == [*range(8), *range(18, 25)]
    spanning = train_rows(np.array([5]), np.array([20]), slice(10, 15))
    assert not spanning[0]


def test_rows_with_impossible_outcomes_are_refused() -> None:
    with pytest.raises(BadInput, match="3 rows, 2 outcomes"):
        train_rows(np.arange(3), np.arange(2), slice(5, 6))
    with pytest.raises(BadInput, match="none before its row"):
        train_rows(np.array([3]), np.array([2]), slice(5, 6))
    with pytest.raises(BadInput, match="embargo of -1"):
        train_rows(np.array([3]), np.array([3]), slice(5, 6), embargo=-1)
