"""Walk-forward: what is chosen never saw the days that it is judged on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.statistics.folds import Fold
from roboinvest.core.statistics.folds import walk_forward as folds_of
from tests.fakes.clocks import ManualClock
from tests.fakes.searches import CASH_UNITS, HillPlay, hill_request, hill_strategy
from tests.fakes.tapes import daily_tape
from tools.backtester.contract import Request
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.values import Kin
from tools.backtester.search.grid import grid_of
from tools.backtester.search.jobs import Outcome, days_of
from tools.backtester.search.tried import Tried
from tools.backtester.search.walk_forward import WalkForwardResult, best, walk_forward

SPACE = grid_of(hill_strategy(), {"fast": "5:15:5", "slow": "20:40:10"})


@pytest.fixture
def book(tmp_path: Path) -> Iterator[RunBook]:
    with RunBook.open(tmp_path, ManualClock()) as opened:
        yield opened


@pytest.fixture
def request_() -> Request:
    return hill_request({"SPY": daily_tape(1, days=300)})


def walked(
    request: Request,
    folds: Sequence[Fold],
    book: RunBook,
    play: HillPlay | None = None,
    **more: object,
) -> WalkForwardResult:
    return walk_forward(
        request,
        SPACE,
        folds,
        play=play or HillPlay(),
        book=book,
        clock=ManualClock(),
        **more,  # type: ignore[arg-type]
    )


FOLDS = folds_of(300, folds=4, train=100, anchored=False)


def seen(request: Request) -> tuple[int, int, int]:
    """The first and last day of decisions, and the day of the first bar, as positions."""
    bars = request.bars["SPY"]
    assert request.first is not None
    days = np.unique(daily_tape(1, days=300).day)
    return tuple(  # type: ignore[return-value]
        int(np.searchsorted(days, day))
        for day in (request.first.toordinal(), int(bars.day[-1]), int(bars.day[0]))
    )


@pytest.mark.parametrize("anchored", [False, True])
def test_a_fold_chooses_on_its_train_days_and_plays_on_its_test_days(
    request_: Request, book: RunBook, anchored: bool
) -> None:
    folds = folds_of(300, folds=4, train=100, anchored=anchored, purge=5, embargo=2)
    play = HillPlay()
    walked(request_, folds, book, play)
    asked = [seen(request) for request in play.played]
    tries = 8  # 9 combinations, of which fast=15, slow=... all make sense but none is refused
    tries = len(asked) // 4 - 1
    for number, fold in enumerate(folds):
        mine = asked[number * (tries + 1) : (number + 1) * (tries + 1)]
        assert set(mine[:-1]) == {(fold.train.start, fold.train.stop - 1, 0)}
        assert mine[-1] == (fold.test.start, fold.test.stop - 1, 0)  # with all bars before it
        assert fold.train.stop <= fold.test.start - 7


def test_what_was_chosen_is_frozen_for_the_test(request_: Request, book: RunBook) -> None:
    play = HillPlay()
    result = walked(request_, FOLDS, book, play)
    tests = [
        request for request in play.played if request.first in {row.test[0] for row in result.rows}
    ]
    assert [dict(request.values) for request in tests[-1:]] == [dict(result.rows[-1].values or {})]
    for row in result.rows:
        runs = [run for run in book.runs(1000) if run.note.fold == f"{row.number} train"]
        top = max(runs, key=lambda run: run.note.figures.sharpe or -9.0)
        assert row.values == top.note.values
        assert row.in_sample == top.note.figures


def test_every_trial_in_sample_and_every_test_is_in_the_book(
    request_: Request, book: RunBook
) -> None:
    result = walked(request_, FOLDS, book)
    folds = [run.note.fold for run in reversed(book.runs(1000))]
    assert folds == [fold for n in range(4) for fold in [*[f"{n} train"] * SPACE.size, f"{n} test"]]
    assert result.trials == 4 * (SPACE.size + 1)
    assert {run.note.sweep for run in book.runs(1000)} == {result.sweep}
    again = walked(request_, FOLDS, book)
    assert (again.trials, len(book.runs(1000))) == (result.trials, result.trials)
    assert np.array_equal(again.equity, result.equity)


def test_the_tests_are_chained_into_one_account(request_: Request, book: RunBook) -> None:
    result = walked(request_, FOLDS, book)
    days = days_of(request_.bars, None)
    assert np.array_equal(result.days, days[100:])
    assert len(result.equity) == 201
    level = 1.0
    for row in result.rows:
        level *= 1.0 + row.out_of_sample.total_return
    assert result.equity[-1] / CASH_UNITS == pytest.approx(level, rel=1e-8)
    assert result.figures.days == 200
    assert result.figures.trades == sum(row.out_of_sample.trades for row in result.rows)


def test_a_test_ends_as_if_sold(request_: Request, book: RunBook) -> None:
    class Costly(HillPlay):
        def __call__(self, request: Request) -> Outcome:
            found = super().__call__(request)
            found.daily_equity[:] = CASH_UNITS
            return Outcome(
                days=found.days,
                daily_equity=found.daily_equity,
                liquidated=CASH_UNITS // 2,
                figures=found.figures,
                entries=found.entries,
                executor=found.executor,
                digest=found.digest,
            )

    result = walked(request_, FOLDS, book, Costly())
    assert [row.out_of_sample.total_return for row in result.rows] == [-0.5] * 4
    assert result.equity[-1] == CASH_UNITS // 16


def test_a_fold_in_which_nothing_is_worth_choosing_stays_in_cash(
    request_: Request, book: RunBook
) -> None:
    def choose(tried: Sequence[Tried]) -> Tried | None:
        found = best(tried)
        return (
            found
            if found is not None and found.figures.days == 100 and not book_is_late()
            else None
        )

    def book_is_late() -> bool:
        return any(run.note.fold.startswith("2") for run in book.runs(1))

    result = walked(request_, FOLDS, book, choose=choose)
    idle = result.rows[2]
    assert (idle.values, idle.in_sample, idle.efficiency) == (None, None, None)
    assert (idle.out_of_sample.total_return, idle.out_of_sample.trades) == (0.0, 0)
    assert "in 1 of 4 folds nothing was worth choosing" in result.words
    flat = result.equity[1 + 100 : 1 + 150]
    assert set(flat.tolist()) == {int(result.equity[100])}


def test_efficiency_and_degradation_compare_out_with_in_sample(
    request_: Request, book: RunBook
) -> None:
    result = walked(request_, FOLDS, book)
    for row in result.rows:
        assert row.in_sample is not None
        before = np.log1p(row.in_sample.total_return) / row.in_sample.days
        after = np.log1p(row.out_of_sample.total_return) / row.out_of_sample.days
        assert row.efficiency == pytest.approx(after / before)
    sharpes = [row.in_sample.sharpe for row in result.rows if row.in_sample]
    assert result.in_sample_sharpe == pytest.approx(np.mean(sharpes))  # type: ignore[arg-type]
    assert result.figures.sharpe is not None
    assert result.degradation == pytest.approx(1 - result.figures.sharpe / np.mean(sharpes))  # type: ignore[arg-type]
    assert result.deflated is not None
    assert result.deflated.trials == result.trials


@pytest.mark.parametrize(
    ("folds", "why"),
    [
        ([], "no folds"),
        ([Fold(number=0, train=slice(0, 100), test=slice(100, 100))], "both must hold a day"),
        ([Fold(number=0, train=slice(0, 0), test=slice(0, 100))], "both must hold a day"),
        ([Fold(number=0, train=slice(0, 110), test=slice(100, 150))], "must come after"),
        (
            [
                Fold(number=0, train=slice(0, 100), test=slice(100, 200)),
                Fold(number=1, train=slice(0, 100), test=slice(150, 250)),
            ],
            "overlap",
        ),
        ([Fold(number=0, train=slice(0, 100), test=slice(100, 999))], "lie within"),
        ([Fold(number=0, train=slice(0, 2), test=slice(2, 100))], "2 parameters cannot be fitted"),
    ],
)
def test_folds_that_make_no_sense_are_refused_before_anything_is_played(
    request_: Request, book: RunBook, folds: list[Fold], why: str
) -> None:
    play = HillPlay()
    with pytest.raises(BadInput, match=why):
        walked(request_, folds, book, play)
    assert (play.played, book.runs()) == ([], ())


def test_the_holdout_is_not_walked_into(request_: Request, book: RunBook) -> None:
    lineage = book.lineage_of(Kin.of(request_.strategy))
    book.lock_holdout(lineage, ["SPY"], date(2024, 12, 2))
    with pytest.raises(Refused, match="may see days up to 2024-12-01"):
        walked(request_, FOLDS, book)
    assert book.runs() == ()


def test_a_test_that_cannot_be_played_ends_the_walk_with_its_sentence(
    request_: Request, book: RunBook
) -> None:
    class Failing(HillPlay):
        def __call__(self, request: Request) -> Outcome:
            if request.first == test_begins:
                raise BadInput("SPY has too few bars")
            return super().__call__(request)

    days = days_of(request_.bars, None)
    test_begins = date.fromordinal(int(days[FOLDS[1].test.start]))
    with pytest.raises(BadInput, match=r"the test of fold 1 \(.*\) failed: SPY has too few bars"):
        walked(request_, FOLDS, book, Failing())


def test_progress_counts_the_folds(request_: Request, book: RunBook) -> None:
    told = list[tuple[int, int]]()
    walked(request_, FOLDS, book, progress=lambda done, total, _: told.append((done, total)))
    assert told == [(n, 4) for n in range(5)]
