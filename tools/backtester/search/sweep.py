"""A sweep: many combinations, and what the best of them is worth after so many tries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from roboinvest.core.errors import Refused
from roboinvest.core.ports import Clock
from roboinvest.core.statistics.sharpe import (
    Deflated,
    Moments,
    deflated_sharpe,
    variance_of_trials,
)
from roboinvest.core.strategy import Number
from tools.backtester.contract import Request
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.notes import LIBRARY
from tools.backtester.run_book.values import RunFigures
from tools.backtester.search.plateau import Plateau, plateau_of
from tools.backtester.search.pool import Pool
from tools.backtester.search.space import Objective, Space
from tools.backtester.search.tried import (
    Progress,
    Subject,
    Tried,
    Unplayed,
    Walk,
    best_first,
    subject_of,
)

_ALONE: Final = 0.5  # of the best score; neighbours that are worse make a peak
_FEW_TRADES: Final = 30
_SKILL: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTable:
    """What a sweep came to."""

    sweep: str  # the search's name in the run book
    strategy: str  # name@version
    objective: Objective
    searched: tuple[str, ...]  # parameters
    rows: tuple[Tried, ...]  # best first
    refused: tuple[Unplayed, ...]
    failed: tuple[Unplayed, ...]
    trials: int  # of the lineage, all that the book knows
    deflated: Deflated | None  # of the best under all trials; None: it has no Sharpe ratio
    plateau: Plateau | None
    words: tuple[str, ...]  # for people

    @property
    def best(self) -> Mapping[str, Number] | None:
        """Return the values of the best combination."""
        return self.rows[0].values if self.rows and self.rows[0].score is not None else None


def run_sweep(
    request: Request,
    space: Space,
    *,
    pool: Pool,
    book: RunBook,
    clock: Clock,
    progress: Progress | None = None,
    resume: bool = True,
    objective: Objective = Objective.SHARPE,
    file: str = LIBRARY,
    parent: int | None = None,
) -> SweepTable:
    """Return the table of a space, every combination noted in the book.

    Args:
        request: its values are put in by the space.
        space: what to try.
        pool: where it is played; it was made for the same request.
        book: takes every run, and knows those of before.
        clock: tells how long is left.
        progress: hears how far it is.
        resume: take from the book what it holds; False plays it again.
        objective: what the table is sorted by.
        file: where the strategy's code lies.
        parent: the run that this search was made from.

    Raises:
        BadInput: the request has no day to play, or the strategy cannot be loaded by the workers.
        Refused: the days reach into a locked holdout.
        TryLater: the book, or the processes that play, are away.
    """
    subject = subject_of(request, space, file=file, parent=parent)
    require_allowed(subject, book)
    walk = Walk(
        subject,
        pool=pool,
        book=book,
        clock=clock,
        objective=objective,
        resume=resume,
        progress=progress,
    )
    walked = walk.through(space)
    rows = best_first(walked.tried)
    lineage = book.run(rows[0].run_id).lineage if rows else None
    trials = 0 if lineage is None else book.trials(lineage)
    deflated = None if lineage is None else deflation(rows[0].figures, book, lineage)
    plateau = plateau_of(rows, rows[0]) if rows else None
    table = SweepTable(
        sweep=subject.sweep,
        strategy=request.strategy.stamp,
        objective=objective,
        searched=space.names,
        rows=tuple(rows),
        refused=walked.refused,
        failed=walked.failed,
        trials=trials,
        deflated=deflated,
        plateau=plateau,
        words=() if not rows else book.standing(rows[0].run_id).words,
    )
    return replace(table, words=(*table.words, *_words_on(table)))


def require_allowed(subject: Subject, book: RunBook) -> None:
    """Refuse a search that reaches into a locked holdout, before anything is played.

    Raises:
        Refused: it does.
    """
    strategy = subject.request.strategy
    lineage = book.known_lineage(subject.kin)
    symbols = tuple(subject.request.bars)
    last = None if lineage is None else book.last_allowed_day(lineage, symbols)
    if last is not None and subject.last > last:
        raise Refused(
            f"{strategy.stamp} may see days up to {last}, and the search reaches to "
            f"{subject.last}; what comes later is its holdout: end with --to {last}"
        )


def deflation(figures: RunFigures, book: RunBook, lineage: int) -> Deflated | None:
    """Return the deflated Sharpe ratio of a run under all trials of its lineage."""
    sharpe, skew, kurtosis = figures.sharpe, figures.skew, figures.kurtosis
    if sharpe is None or skew is None or kurtosis is None:
        return None
    of = Moments(periods=figures.days, sharpe=sharpe, skew=skew, kurtosis=kurtosis)
    variance = variance_of_trials(book.trial_sharpes(lineage), figures.days)
    return deflated_sharpe(of, max(1, book.trials(lineage)), variance)


def _words_on(table: SweepTable) -> Iterator[str]:
    if not table.rows:
        yield "no combination came to a figure; see those that were refused or failed"
        return
    best = table.rows[0]
    if best.figures.trades < _FEW_TRADES:
        yield f"the best combination has {best.figures.trades} trades, too few to tell from luck"
    if table.deflated is not None and table.deflated.probability < _SKILL:
        yield (
            f"overfit suspected: after {table.trials} trials the probability that the best has "
            f"skill is {table.deflated.probability:.0%}, below {_SKILL:.0%}"
        )
    plateau = table.plateau
    if plateau is not None and plateau.share is not None and plateau.share < _ALONE:
        yield (
            f"overfit suspected: the best stands alone, its {plateau.neighbours} neighbours come "
            f"to {plateau.share:.0%} of it"
        )
