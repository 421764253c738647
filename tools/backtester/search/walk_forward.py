"""Walk-forward: chosen on the days before, frozen, and played on the days after.

Within a fold the bars of its test are not even there while parameters are chosen: they are cut off
before anything is played. A test may look back on all bars before it to warm up, and trades on its
own days alone. It begins flat and ends as if sold at its last close, costs included, so that the
chain of tests is one account that somebody could have had. Days between tests earn nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import to_units
from roboinvest.core.ports import Clock
from roboinvest.core.statistics.folds import Fold, check_folds, check_parameters
from roboinvest.core.statistics.sharpe import Deflated
from roboinvest.core.strategy import Values
from tools.backtester.contract import Request
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.notes import LIBRARY, run_figures
from tools.backtester.run_book.values import RunFigures
from tools.backtester.search.jobs import Failure, Job, Play, attempt, days_of
from tools.backtester.search.pool import InProcess, Pool
from tools.backtester.search.space import Objective, Space
from tools.backtester.search.sweep import deflation, require_allowed
from tools.backtester.search.tried import (
    Progress,
    Subject,
    Tried,
    Walk,
    best_first,
    subject_of,
)

Choose = Callable[[Sequence[Tried]], Tried | None]  # from those tried; None: trade nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRow:
    """One fold: what was chosen, and what became of it."""

    number: int
    train: tuple[date, date]  # first and last exchange day
    test: tuple[date, date]
    values: Values | None  # None: nothing was worth choosing, and nothing was traded
    tried: int  # combinations with figures
    in_sample: RunFigures | None
    out_of_sample: RunFigures
    efficiency: float | None  # daily growth out of sample over that in sample; None: none in sample


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForwardResult:
    """The folds, and the chain of their tests."""

    sweep: str  # the search's name in the run book
    strategy: str  # name@version
    objective: Objective
    rows: tuple[FoldRow, ...]
    days: Ints  # (d,) exchange days of the tests as proleptic ordinals
    equity: Ints  # (d + 1,) units, the cash before the first test first
    figures: RunFigures  # of the chain
    in_sample_sharpe: float | None  # daily, mean over folds
    degradation: float | None  # of the chain's daily Sharpe against it; 0.3: it lost 30 %
    trials: int  # of the lineage, all that the book knows
    deflated: Deflated | None  # of the chain under all trials, though its tests chose nothing
    words: tuple[str, ...]  # for people


@dataclass(frozen=True, slots=True)
class _Span:
    """The days of a fold."""

    train: tuple[date, date]
    test: tuple[date, date]
    days: Ints  # of the test


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What every fold works with."""

    subject: Subject
    space: Space
    choose: Choose
    play: Play
    pool: Pool
    book: RunBook
    clock: Clock
    objective: Objective


def best(tried: Sequence[Tried]) -> Tried | None:
    """Return the combination with the highest score; None where none has one."""
    ranked = best_first(tried)
    return ranked[0] if ranked and ranked[0].score is not None else None


def walk_forward(
    request: Request,
    space: Space,
    folds: Sequence[Fold],
    *,
    play: Play,
    book: RunBook,
    clock: Clock,
    choose: Choose = best,
    pool: Pool | None = None,
    objective: Objective = Objective.SHARPE,
    progress: Progress | None = None,
    file: str = LIBRARY,
    parent: int | None = None,
) -> WalkForwardResult:
    """Return what frozen parameters came to on days that they were not chosen on.

    Args:
        request: its values are put in by the space.
        space: what each fold may choose from.
        folds: positions in the request's exchange days, see `core.statistics.folds`.
        play: plays the tests, with a reckoning at the end.
        book: takes every run, in sample and out of sample.
        clock: tells how long is left.
        choose: picks from what a fold tried; the best by the objective.
        pool: plays the trials in sample; None: this process.
        objective: what combinations are ranked by.
        progress: hears which fold it is at.
        file: where the strategy's code lies.
        parent: the run that this search was made from.

    Raises:
        BadInput: folds overlap or are empty, there are more parameters than days to learn from, or
            a test cannot be played.
        Refused: the days reach into a locked holdout.
    """
    days = days_of(request.bars, request.first)
    ordered = sorted(folds, key=lambda fold: fold.test.start)
    check_folds(ordered, len(days))
    for fold in ordered:
        check_parameters(len(space.names), fold.train.stop - fold.train.start, "days of a train")
    subject = subject_of(request, space, file=file, parent=parent)
    require_allowed(subject, book)
    search = _Search(
        subject=subject,
        space=space,
        choose=choose,
        play=play,
        pool=pool or InProcess(request, play),
        book=book,
        clock=clock,
        objective=objective,
    )
    rows, curves = list[FoldRow](), list[Ints]()
    spans = [_span(fold, days) for fold in ordered]
    for done, (fold, span) in enumerate(zip(ordered, spans, strict=True)):
        if progress is not None:
            progress(done, len(ordered), None)
        row, curve = _fold(search, fold.number, span)
        rows.append(row)
        curves.append(curve)
    if progress is not None:
        progress(len(ordered), len(ordered), 0.0)
    return _result(search, rows, np.concatenate([span.days for span in spans]), curves)


def _fold(search: _Search, number: int, span: _Span) -> tuple[FoldRow, Ints]:
    """Return a fold's row and its test's daily equity, the cash before it first."""
    first, last = span.train
    train = replace(search.subject, first=first, last=last, fold=f"{number} train", is_part=True)
    walk = Walk(
        train,
        pool=search.pool,
        book=search.book,
        clock=search.clock,
        objective=search.objective,
    )
    tried = walk.through(search.space).tried
    chosen = search.choose(tried)
    figures, curve = _test(search, number, span, chosen)
    row = FoldRow(
        number=number,
        train=span.train,
        test=span.test,
        values=None if chosen is None else chosen.values,
        tried=len(tried),
        in_sample=None if chosen is None else chosen.figures,
        out_of_sample=figures,
        efficiency=None if chosen is None else _efficiency(chosen.figures, figures),
    )
    return row, curve


def _test(
    search: _Search, number: int, span: _Span, chosen: Tried | None
) -> tuple[RunFigures, Ints]:
    request = search.subject.request
    if chosen is None:
        idle = np.full(len(span.days) + 1, to_units(request.terms.cash), dtype=np.int64)
        return run_figures(idle, 0), idle
    first, last = span.test
    subject = replace(search.subject, first=first, last=last, fold=f"{number} test", is_part=True)
    job = Job(number=number, values=chosen.values, first=first, last=last)
    outcome = attempt(request, search.play, job)
    if isinstance(outcome, Failure):
        raise BadInput(f"the test of fold {number} ({first} to {last}) failed: {outcome.why}")
    if outcome.liquidated is None or not np.array_equal(outcome.days, span.days):
        raise ValueError(f"fold {number}: no reckoning at the end, or not the days of the bars")
    note = subject.note(chosen.values, outcome)
    if search.book.evaluated(note.evaluation) is None:
        search.book.note(note)
    curve = outcome.daily_equity.copy()
    curve[-1] = outcome.liquidated
    return run_figures(curve, outcome.figures.trades), curve


def _result(
    search: _Search, rows: Sequence[FoldRow], days: Ints, curves: Sequence[Ints]
) -> WalkForwardResult:
    request, book = search.subject.request, search.book
    equity = _chained(curves, to_units(request.terms.cash))
    figures = run_figures(equity, sum(row.out_of_sample.trades for row in rows))
    past = [row.in_sample.sharpe for row in rows if row.in_sample is not None]
    known = [each for each in past if each is not None]
    mean = sum(known) / len(known) if known else None
    lineage = book.known_lineage(search.subject.kin)
    worse = None
    if mean is not None and mean > 0.0 and figures.sharpe is not None:
        worse = 1.0 - figures.sharpe / mean
    return WalkForwardResult(
        sweep=search.subject.sweep,
        strategy=request.strategy.stamp,
        objective=search.objective,
        rows=tuple(rows),
        days=days,
        equity=equity,
        figures=figures,
        in_sample_sharpe=mean,
        degradation=worse,
        trials=0 if lineage is None else book.trials(lineage),
        deflated=None if lineage is None else deflation(figures, book, lineage),
        words=tuple(_words(rows, mean, worse, figures)),
    )


def _words(
    rows: Sequence[FoldRow], mean: float | None, worse: float | None, figures: RunFigures
) -> list[str]:
    words = list[str]()
    idle = sum(row.values is None for row in rows)
    if idle:
        words.append(f"in {idle} of {len(rows)} folds nothing was worth choosing")
    if figures.total_return <= 0.0 and mean is not None and mean > 0.0:
        words.append("overfit suspected: what was chosen earned in sample and lost out of sample")
    elif worse is not None and worse > 0.5:
        words.append(f"overfit suspected: out of sample {worse:.0%} of the Sharpe ratio was lost")
    return words


def _chained(curves: Sequence[Ints], cash: int) -> Ints:
    """Return one account's equity: each test's returns on what the one before it left."""
    points, level = [np.array([float(cash)])], float(cash)
    for curve in curves:
        grown = level * (curve[1:] / curve[0])
        points.append(grown)
        level = float(grown[-1])
    chained: Ints = np.rint(np.concatenate(points)).astype(np.int64)
    return chained


def _efficiency(past: RunFigures, after: RunFigures) -> float | None:
    before, now = _growth(past), _growth(after)
    return now / before if before is not None and now is not None and before > 0.0 else None


def _growth(figures: RunFigures) -> float | None:
    """Return the mean logarithmic growth of a day."""
    if figures.days < 1 or figures.total_return <= -1.0:
        return None
    return math.log1p(figures.total_return) / figures.days


def _span(fold: Fold, days: Ints) -> _Span:
    train, test = days[fold.train], days[fold.test]
    return _Span(
        train=(date.fromordinal(int(train[0])), date.fromordinal(int(train[-1]))),
        test=(date.fromordinal(int(test[0])), date.fromordinal(int(test[-1]))),
        days=test,
    )
