"""Folds of a walk-forward: what is learnt from the days before is tried on the days after.

Everything counts in days, as positions in a sorted list of exchange days. An anchored train starts
at the first day and grows; a rolling one keeps its length and moves. Parameters are frozen within a
fold: nothing of the test may reach the train.

Two things leak over the edge (Lopez de Prado 2018, "Advances in financial machine learning",
section 7.4). A trade that was opened in the train and closed in the test carries the test's outcome
into the train: `purge` drops the last days of the train, as many as a trade may last. And what a
day looks back on makes neighbours alike: `embargo` keeps more days apart. In a walk-forward the
train ends before its test, so that both widen the gap between them; where a train surrounds its
test, `train_rows` purges before the test and puts the embargo after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.rows import Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One step of a walk-forward; positions in the list of days, stop excluded."""

    number: int  # from 0 on
    train: slice
    test: slice


def walk_forward(
    days: int,
    *,
    folds: int,
    train: int,
    anchored: bool,
    purge: int = 0,
    embargo: int = 0,
) -> tuple[Fold, ...]:
    """Return folds whose tests follow each other without a gap up to the last day.

    `train` is the number of days that the first fold learns from, and every fold if it is not
    anchored; purge and embargo come after it, and the tests share the days that are left. Where
    these do not divide evenly, the earlier tests are a day longer.

    Raises:
        BadInput: a count is out of range, or there are more folds than days left to test.
    """
    if folds < 1 or train < 1 or purge < 0 or embargo < 0:
        raise BadInput(
            f"{folds} folds, {train} days to train, {purge} to purge and {embargo} of embargo; "
            "give 1 or more of the first two and 0 or more of the others."
        )
    gap = purge + embargo
    left = days - train - gap
    if left < folds:
        raise BadInput(
            f"{days} days leave {max(left, 0)} to test after {train} to train and {gap} kept "
            f"apart, too few for {folds} folds; give fewer folds or more days."
        )
    edges = [train + gap + left // folds * i + min(i, left % folds) for i in range(folds + 1)]
    return tuple(
        Fold(
            number=i,
            train=slice(0 if anchored else edges[i] - gap - train, edges[i] - gap),
            test=slice(edges[i], edges[i + 1]),
        )
        for i in range(folds)
    )


def check_folds(folds: Sequence[Fold], days: int) -> None:
    """Check folds that came from elsewhere.

    Raises:
        BadInput: none, an empty train or test, one outside the days, a train that does not end
            before its test, or two tests that share a day.
    """
    if not folds:
        raise BadInput("There are no folds to walk; give 1 or more.")
    for fold in folds:
        _check_fold(fold, days)
    ordered = sorted(folds, key=lambda fold: fold.test.start)
    for before, after in pairwise(ordered):
        if after.test.start < before.test.stop:
            raise BadInput(
                f"The tests of folds {before.number} and {after.number} overlap: one runs to day "
                f"{before.test.stop - 1}, the other starts on day {after.test.start}; a day is "
                "tested once only."
            )


def check_parameters(parameters: int, observations: int, what: str = "trades") -> None:
    """Check that there is more to learn from than there is to be fitted.

    Raises:
        BadInput: as many parameters as observations, or more.
    """
    if parameters >= max(1, observations):
        raise BadInput(
            f"{parameters} parameters cannot be fitted to {observations} {what}; give fewer "
            "parameters or more data."
        )


def train_rows(opened: Ints, closed: Ints, test: slice, *, embargo: int = 0) -> Flags:
    """Return which rows may be learnt from, shape (n,), where a train may surround its test.

    `opened` is the day on which each row was observed and `closed` that on which its outcome was
    known, both (n,) as positions in the list of days. A row is dropped when any day from one to the
    other lies in the test (purged), or when it was observed within `embargo` days after it.

    Raises:
        BadInput: other lengths, an outcome before its row, or a negative embargo.
    """
    if len(opened) != len(closed) or np.any(closed < opened) or embargo < 0:
        raise BadInput(
            f"{len(opened)} rows, {len(closed)} outcomes and an embargo of {embargo} days; give "
            "each row one outcome, none before its row, and an embargo of 0 or more."
        )
    kept: Flags = (closed < test.start) | (opened >= test.stop + embargo)
    return kept


def _check_fold(fold: Fold, days: int) -> None:
    train, test = fold.train, fold.test
    if not (0 <= train.start < train.stop and test.start < test.stop <= days):
        raise BadInput(
            f"Fold {fold.number} trains on days {train.start} to {train.stop - 1} and tests on "
            f"{test.start} to {test.stop - 1} of {days}; both must hold a day and lie within them."
        )
    if train.stop > test.start:
        raise BadInput(
            f"Fold {fold.number} trains up to day {train.stop - 1} and tests from day "
            f"{test.start}; what is tested must come after what was learnt from."
        )
