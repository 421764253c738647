"""One walk through a space: each combination is refused, known from the book, or played and noted.

What was played is noted in small batches as it comes, so that a search that is killed has lost a
second of work at most, and the same search begun again plays only what the book does not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.ports import Clock
from roboinvest.core.records import canonical_json
from roboinvest.core.strategy import Number, Values
from tools.backtester.contract import Request
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.notes import LIBRARY, data_digest, terms_digest
from tools.backtester.run_book.values import Kin, RunFigures, RunNote, evaluation_of
from tools.backtester.search.jobs import FAULTS, Failure, Job, Outcome, days_of
from tools.backtester.search.pool import Pool
from tools.backtester.search.space import Objective, Space

Progress = Callable[[int, int, float | None], None]  # done, in all, seconds left (None: unknown)
_NOTE_EVERY: Final = 64  # runs
_NOTE_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A combination with its figures."""

    values: Mapping[str, Number]  # one for every parameter
    figures: RunFigures
    score: float | None  # of the objective
    run_id: int
    is_known: bool  # the book held it already


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplayed:
    """A combination without figures, and why."""

    values: Mapping[str, Number]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What a walk came to, in the order of asking."""

    tried: tuple[Tried, ...]
    refused: tuple[Unplayed, ...]  # the strategy does not take them
    failed: tuple[Unplayed, ...]  # they were played and came to nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the combinations of a search have in common, as the book notes it."""

    request: Request
    data: str
    terms: str
    first: date
    last: date
    sweep: str
    fold: str
    file: str
    parent: int | None
    is_part: bool = False  # of the request's days: bars after `last` are left away

    @property
    def kin(self) -> Kin:
        """Return by what the strategy is known."""
        return Kin.of(self.request.strategy)

    def evaluation(self, values: Values) -> str:
        """Return the evaluation of a combination, before it is played."""
        strategy = self.request.strategy
        return evaluation_of(
            code=strategy.fingerprint or strategy.stamp,
            values=values,
            symbols=tuple(sorted(self.request.bars)),
            timeframe=self.request.timeframe,
            first=self.first,
            last=self.last,
            data=self.data,
            terms=self.terms,
        )

    def note(self, values: Values, outcome: Outcome) -> RunNote:
        """Return the note of a combination that was played."""
        strategy = self.request.strategy
        return RunNote(
            strategy=strategy.name,
            version=strategy.version,
            fingerprint=strategy.fingerprint,
            file=self.file,
            values=dict(values),
            symbols=tuple(sorted(self.request.bars)),
            timeframe=self.request.timeframe,
            first=self.first,
            last=self.last,
            data=self.data,
            terms=self.terms,
            executor=outcome.executor,
            figures=outcome.figures,
            entries=outcome.entries,
            digest=outcome.digest,
            parent=self.parent,
            sweep=self.sweep,
            fold=self.fold,
        )


def subject_of(
    request: Request, space: Space, *, file: str = LIBRARY, parent: int | None = None
) -> Subject:
    """Return the subject of a search over all days of a request.

    Raises:
        BadInput: the request has no day to play.
    """
    days = days_of(request.bars, request.first)
    if not len(days):
        raise BadInput("the bars hold no day to search over; give more bars, or an earlier --from")
    data, terms = data_digest(request.bars, request.actions), terms_digest(request.terms)
    strategy = request.strategy
    code = [strategy.name, strategy.version, strategy.fingerprint]
    facts = [*code, space.text, data, terms, int(days[0])]
    return Subject(
        request=request,
        data=data,
        terms=terms,
        first=date.fromordinal(int(days[0])),
        last=date.fromordinal(int(days[-1])),
        sweep=hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:16],
        fold="",
        file=file,
        parent=parent,
    )


class Walk:
    """Tries what a space asks for, on the days of one subject."""

    def __init__(
        self,
        subject: Subject,
        *,
        pool: Pool,
        book: RunBook,
        clock: Clock,
        objective: Objective,
        resume: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self._subject = subject
        self._pool = pool
        self._book = book
        self._clock = clock
        self._objective = objective
        self._resume = resume
        self._progress = progress
        self._tried: dict[str, Tried] = {}  # by evaluation, in the order of asking
        self._refused: dict[str, Unplayed] = {}  # by values
        self._failed: dict[str, Unplayed] = {}  # by evaluation
        self._unnoted: list[tuple[str, RunNote]] = []
        self._noted_at = clock.monotonic()

    def through(self, space: Space) -> Walked:
        """Return what the space came to.

        Raises:
            Refused: the days reach into a locked holdout.
            TryLater: the book, or the processes that play, are away.
        """
        asker, done, order = space.start(), 0, list[str]()
        pace = _Pace(self._clock, self._progress, space.size)
        pace.tell(0)
        while batch := asker.ask():
            ways = [self._way(values) for values in batch]
            new = self._new(ways)
            done += len(batch) - len(new)
            pace.tell(done)
            for _ in self._played(new):
                done += 1
                pace.tell(done, played=True)
            order += [evaluation for _, evaluation in ways if evaluation]
            asker.tell([(values, self._score(evaluation)) for values, evaluation in ways])
        return Walked(
            tried=tuple(self._tried[each] for each in dict.fromkeys(order) if each in self._tried),
            refused=tuple(self._refused.values()),
            failed=tuple(
                self._failed[each] for each in dict.fromkeys(order) if each in self._failed
            ),
        )

    def _way(self, values: Values) -> tuple[Values, str]:
        """Return a combination complete, and its evaluation; "" where the strategy refuses it."""
        strategy, why = self._subject.request.strategy, ""
        try:
            whole = strategy.values(values)
            strategy.plan(whole)
        except BadInput as error:
            why = str(error)
        except FAULTS as error:
            why = f"{strategy.stamp}: building it raised {type(error).__name__}: {error}"
        if why:
            self._refused[canonical_json(dict(values))] = Unplayed(values=dict(values), why=why)
            return values, ""
        return whole, self._subject.evaluation(whole)

    def _new(self, ways: Sequence[tuple[Values, str]]) -> dict[str, Values]:
        """Return what has to be played, by evaluation; what the book knows is taken from it."""
        new = dict[str, Values]()
        for values, evaluation in ways:
            if not evaluation or evaluation in self._tried or evaluation in self._failed:
                continue
            known = self._book.evaluated(evaluation) if self._resume else None
            if known is None:
                new[evaluation] = values
            else:
                self._take(evaluation, known.note, known.id, is_known=True)
        return new

    def _played(self, new: Mapping[str, Values]) -> Iterator[None]:
        """Play and note; yield after each."""
        subject, evaluations = self._subject, list(new)
        span = (subject.first, subject.last) if subject.is_part else (None, None)
        jobs = [
            Job(number=number, values=new[evaluation], first=span[0], last=span[1])
            for number, evaluation in enumerate(evaluations)
        ]
        try:
            for job, answer in self._pool.answers(jobs):
                evaluation = evaluations[job.number]
                if isinstance(answer, Failure):
                    self._failed[evaluation] = Unplayed(values=dict(job.values), why=answer.why)
                else:
                    self._unnoted.append((evaluation, subject.note(job.values, answer)))
                self._note(at_least=_NOTE_EVERY)
                yield
        finally:  # what was played is a trial, also when the rest is called off
            self._note(at_least=1)

    def _note(self, *, at_least: int) -> None:
        now = self._clock.monotonic()
        due = len(self._unnoted) >= at_least or now - self._noted_at >= _NOTE_EVERY_S
        if not (self._unnoted and due):
            return
        unnoted, self._unnoted, self._noted_at = self._unnoted, [], now
        ids = self._book.note_all(note for _, note in unnoted)
        for (evaluation, note), run_id in zip(unnoted, ids, strict=True):
            self._take(evaluation, note, run_id, is_known=False)

    def _take(self, evaluation: str, note: RunNote, run_id: int, *, is_known: bool) -> None:
        self._tried[evaluation] = Tried(
            values=dict(note.values),
            figures=note.figures,
            score=self._objective.of(note.figures),
            run_id=run_id,
            is_known=is_known,
        )

    def _score(self, evaluation: str) -> float | None:
        tried = self._tried.get(evaluation)
        return None if tried is None else tried.score


def best_first(tried: Sequence[Tried]) -> list[Tried]:
    """Return combinations by their score, the highest first, those without one last.

    Equals stay in the order of asking, so that the result does not depend on who was quicker.
    """
    return sorted(tried, key=lambda each: (each.score is None, -(each.score or 0.0)))


class _Pace:
    """How far a walk is, and when it will be done."""

    def __init__(self, clock: Clock, progress: Progress | None, total: int) -> None:
        self._clock = clock
        self._progress = progress
        self._total = total
        self._began = clock.monotonic()
        self._played = 0

    def tell(self, done: int, *, played: bool = False) -> None:
        """Say that so many are done; those that were not played took no time."""
        self._played += played
        if self._progress is None:
            return
        took, left = self._clock.monotonic() - self._began, self._total - done
        seconds = took / self._played * left if self._played else None
        self._progress(done, self._total, 0.0 if left == 0 else seconds)
