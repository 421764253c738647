"""Backtest and walk-forward: what a strategy that proposes orders has to show on the house's bars.

The strategy runs in the box, one bar at a time; fills, figures and tests are computed out here from
its signals. The thresholds are those of "candidate to paper": no leak, 30 trades, costs included,
better than entries by chance (p < 0.1), and money made on days that nothing was chosen on. Every
run is a trial that the run book counts, whoever asked for it.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from meta_agents.evolution.review import (
    GateJudge,
    Judged,
    Review,
    StrategyBox,
    TraceText,
    error,
    info,
    judged,
    refused,
    text_at,
    unable,
    warning,
)
from meta_agents.evolution.standards import Standards
from meta_agents.evolution.suites.forms import CODE_OF, Kind
from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.ports import Clock
from roboinvest.core.records import canonical_json
from roboinvest.core.revisions.gates import Gate, GateFinding, Standard
from roboinvest.core.statistics.folds import walk_forward as folds_of
from roboinvest.core.strategy import Strategy
from tools.backtester.contract import Request, Terms
from tools.backtester.engine import play_request, run_backtest
from tools.backtester.judge import against_chance
from tools.backtester.leaks.check import Beside, leak_check
from tools.backtester.leaks.effort import QUICK
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.notes import data_digest, note_of, terms_digest
from tools.backtester.search.engine_play import EnginePlay
from tools.backtester.search.grid import Grid, coarse_axes
from tools.backtester.search.jobs import Outcome, days_of
from tools.backtester.search.walk_forward import WalkForwardResult, best, walk_forward

FEWEST_TRADES: Final = 30
CHANCE: Final = 0.1  # the share of random entries that may do as well
FOLDS: Final = 4
TRAIN_PART: Final = 0.5  # of the days, before the first test
MOST_CHOSEN: Final = 2  # parameters that a fold chooses

OpenBook = Callable[[], AbstractContextManager[RunBook]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateData:
    """The bars that this house judges strategies on, and what trading on them costs."""

    bars: Mapping[str, SessionBars]  # by symbol
    timeframe: Timeframe
    terms: Terms
    actions: Sequence[CorporateAction] = ()
    adjusted: frozenset[str] = frozenset()
    source: str = ""  # what they are called

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of bars, actions and terms."""
        told = f"{data_digest(self.bars, self.actions)}|{terms_digest(self.terms)}"
        return hashlib.sha256(f"{told}|{self.timeframe}".encode()).hexdigest()

    def request(self, strategy: Strategy) -> Request:
        """Return the run of a strategy, with its own values, on this data."""
        return Request(
            strategy=strategy,
            values=strategy.values({}),
            bars=self.bars,
            timeframe=self.timeframe,
            terms=self.terms,
            actions=self.actions,
            source=self.source,
            adjusted=self.adjusted,
        )


class _MarketGate(GateJudge):
    """What both gates share: a strategy in the box, on the house's data, with the run book open."""

    def __init__(
        self, standards: Standards, box: StrategyBox, data: GateData, book: OpenBook
    ) -> None:
        self._standards = standards
        self._box = box
        self._data = data
        self._book = book

    def standard(self) -> Standard:
        """Return what this gate is today."""
        return self._standards.standard(self.gate, self._data.digest)

    def judge(self, review: Review) -> Judged:
        """Return what the strategy comes to; see `GateJudge`."""
        if review.kind is not Kind.STRATEGY:
            return unable(
                "only code/strategy.py can be played on bars; what cannot be played does not pass"
            )
        try:
            source = text_at(review, CODE_OF[Kind.STRATEGY])
            request = self._data.request(self._box(source, CODE_OF[Kind.STRATEGY]))
            with self._book() as book:
                return self._played(review, request, source, book)
        except TryLater as away:
            return unable(str(away))
        except (BadInput, Refused) as wrong:
            return refused(str(wrong))

    @abstractmethod
    def _played(self, review: Review, request: Request, source: str, book: RunBook) -> Judged:
        """Return what playing the request says of the strategy."""


class BacktestGate(_MarketGate):
    """One run over all of the data, looked through for leaks and held against chance."""

    gate = Gate.BACKTEST

    def _played(self, review: Review, request: Request, source: str, book: RunBook) -> Judged:
        result = run_backtest(request)
        number = book.note(note_of(result, file=_file_of(review)))
        trials = book.standing(number).trials
        leaks = leak_check(
            request,
            play=play_request,
            rng=np.random.default_rng(review.seed),
            effort=QUICK,
            beside=Beside(source=source),
            played=result.played,
        )
        closed = [trip for trip in result.round_trips if not trip.is_open]
        p, _ = against_chance(result, np.random.default_rng(review.seed))
        found = [error(f"leak: {each.detector}: {each.text}") for each in leaks.suspected]
        found += _trades_fault(len(closed))
        if p is None or p >= CHANCE:
            told = "cannot be told from" if p is None else f"did no better (p = {p:.3f}) than"
            found.append(error(f"the entries {told} random ones; p below {CHANCE} is needed"))
        found.append(
            info(
                f"{len(closed)} trades, {result.figures.total_return:.2%} after costs; "
                f"trial {trials} of its lineage"
            )
        )
        bad = any(each.severity.value in ("error", "critical") for each in found)
        trace = _trace(
            self.gate,
            review,
            run=result.digest,
            equity=_sha(result.daily_equity.tobytes()),
            trades=len(closed),
            p=None if p is None else round(p, 6),
            leaks=[each.detector for each in leaks.suspected],
            exit_code=int(bad),
        )
        return judged(found, trace)


class WalkForwardGate(_MarketGate):
    """Chosen on the days before, played on the days after, costs included."""

    gate = Gate.WALK_FORWARD

    def __init__(
        self,
        standards: Standards,
        box: StrategyBox,
        data: GateData,
        book: OpenBook,
        clock: Clock,
    ) -> None:
        super().__init__(standards, box, data, book)
        self._clock = clock

    def _played(self, review: Review, request: Request, source: str, book: RunBook) -> Judged:  # noqa: ARG002 as its sister
        days = len(days_of(request.bars, request.first))
        steps = folds_of(days, folds=FOLDS, train=int(days * TRAIN_PART), anchored=True, embargo=1)
        play = _Watched(EnginePlay(is_quick=False))
        try:
            walked = walk_forward(
                request,
                grid_around(request.strategy),
                steps,
                play=play,
                book=book,
                clock=self._clock,
                choose=best,
                file=str(_file_of(review)),
            )
        finally:
            play.require_there()
        found = _of_walk(walked, request.terms.cash)
        bad = any(each.severity.value in ("error", "critical") for each in found)
        trace = _trace(
            self.gate,
            review,
            run=_sha(canonical_json([dict(row.values or {}) for row in walked.rows]).encode()),
            equity=_sha(walked.equity.tobytes()),
            trades=walked.figures.trades,
            p=None,
            leaks=[],
            exit_code=int(bad),
        )
        return judged(found, trace)


class _Watched:
    """Plays requests, and remembers that the box was away: a search takes that for a failure."""

    def __init__(self, play: EnginePlay) -> None:
        self._play = play
        self._away: TryLater | None = None

    def __call__(self, request: Request) -> Outcome:
        """Return what a request comes to."""
        self.require_there()  # no further runs once one could not be judged
        try:
            return self._play(request)
        except TryLater as away:
            self._away = away
            raise

    def require_there(self) -> None:
        """Raise TryLater where the box was away once."""
        if self._away is not None:
            raise TryLater(str(self._away)) from self._away


def grid_around(strategy: Strategy) -> Grid:
    """Return the coarse grid of the first parameters, the others fixed at their defaults."""
    axes = coarse_axes(strategy.params, MOST_CHOSEN)
    fixed = {param.name: param.default for param in strategy.params if param.name not in axes}
    return Grid(axes=axes, fixed=fixed)


def _of_walk(walked: WalkForwardResult, cash: Decimal) -> list[GateFinding]:
    trades = walked.figures.trades
    made = sum((row.out_of_sample.final_equity - cash for row in walked.rows), Decimal(0))
    found = list[GateFinding]()
    if trades == 0:
        found.append(error("nothing was traded out of sample"))
    elif made <= 0:
        found.append(
            error(
                f"the expectancy out of sample is {made / trades:.2f} USD a trade after costs, "
                "and more than 0 is needed"
            )
        )
    if 0 < trades < FEWEST_TRADES:
        found.append(warning(f"only {trades} of the trades are out of sample"))
    found += [warning(words) for words in walked.words]
    told = f"{trades} trades out of sample in {len(walked.rows)} folds; {walked.trials} trials"
    return [*found, info(told)]


def _trades_fault(trades: int) -> list[GateFinding]:
    if trades >= FEWEST_TRADES:
        return []
    return [error(f"{trades} trades ended, and {FEWEST_TRADES} are needed to judge by")]


def _file_of(review: Review) -> Path:
    """Return where a run book finds the code: agent and revision, not a path of this machine."""
    revision = review.own.revision
    return Path(f"agents/{revision.agent_id}/{revision.revision_id}/{CODE_OF[Kind.STRATEGY]}")


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _trace(gate: Gate, review: Review, *, exit_code: int, **facts: object) -> TraceText:
    """Return what a run was: digests and figures that the same run gives again."""
    said = {"gate": gate, "artifact": review.own.revision.artifact_digest, **facts}
    return TraceText(text=canonical_json(said), exit_code=exit_code)
