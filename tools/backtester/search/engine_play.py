"""The engine as searches use it: what they play, how a worker comes by it, and quickly.

A search needs numbers and no fills, so whatever the kernel can play is played there; the rest, and
what outgrows the kernel on the way, is the simulator's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from roboinvest.core.errors import Refused
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units, to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.strategy import Strategy
from tools.backtester import engine
from tools.backtester.contract import Played, Request, Stage, Terms
from tools.backtester.kernel import kernel
from tools.backtester.run_book.notes import entry_sketch, run_figures
from tools.backtester.run_book.values import RunFigures
from tools.backtester.search.jobs import Outcome, Play
from tools.backtester.trades import round_trips
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.shelf import BoxedText
from tools.strategies.shelf import find


@dataclass(frozen=True, slots=True)
class _Curve:
    """What a stage came to."""

    days: Ints
    daily_equity: Ints
    liquidated: int | None
    trades: int
    executor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlay:
    """Plays a request; see `jobs.Play`."""

    is_quick: bool = True  # numbers alone where the kernel can: without the reckoning at the end

    def __call__(self, request: Request) -> Outcome:
        """Return what a request comes to.

        Raises:
            BadInput: see `engine.prepare`.
        """
        stage = engine.prepare(request)
        curve = _played(stage, request.terms, is_quick=self.is_quick)
        return Outcome(
            days=curve.days,
            daily_equity=curve.daily_equity,
            liquidated=curve.liquidated,
            figures=run_figures(curve.daily_equity, curve.trades),
            entries=entry_sketch(stage),
            executor=curve.executor,
            digest=hashlib.sha256(curve.days.tobytes() + curve.daily_equity.tobytes()).hexdigest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecipe:
    """How a worker comes by a request; see `worker.Recipe`."""

    strategy: str | BoxedText  # name in the library, or path; or what runs in the box
    timeframe: Timeframe
    terms: Terms
    actions: Sequence[CorporateAction] = ()
    first: date | None = None
    adjusted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: Request, named: str | BoxedText) -> EngineRecipe:
        """Return the recipe of a request whose strategy is found by this name, or is this text."""
        return cls(
            strategy=named,
            timeframe=request.timeframe,
            terms=request.terms,
            actions=tuple(request.actions),
            first=request.first,
            adjusted=request.adjusted,
        )

    def open(self, bars: Mapping[str, SessionBars]) -> tuple[Request, Play]:
        """Return the request, values left open, and what plays it.

        Raises:
            BadInput: there is no such strategy, or its file is none.
        """
        strategy = _found(self.strategy)
        request = Request(
            strategy=strategy,
            values=strategy.values({}),
            bars=bars,
            timeframe=self.timeframe,
            terms=self.terms,
            actions=self.actions,
            first=self.first,
            adjusted=self.adjusted,
        )
        return request, EnginePlay()


def _found(named: str | BoxedText) -> Strategy:
    """Return a strategy; its box lives as long as this process."""
    if isinstance(named, BoxedText):
        return named.opened(Boxes(named.tier, workers=1).__enter__())
    return find(named)


def play_many(stages: Iterable[Stage], terms: Terms) -> Iterator[RunFigures]:
    """Yield what each stage comes to; see `jobs.PlayMany`.

    The kernel plays what it can, and shares the bars of stages that follow each other.
    """
    queue = _Queue(stages)
    while True:
        try:
            for fast in kernel.play_many(queue.playable(terms), terms):
                yield run_figures(fast.daily_equity, fast.trades)
        except Refused:  # it outgrew the kernel's arithmetic on the way
            pass
        if queue.left is None:
            return
        played, by = engine.play(queue.left, terms, "simulator")
        curve = _whole(queue.left, terms, played, by)
        yield run_figures(curve.daily_equity, curve.trades)


class _Queue:
    """Stages in turn, and the one that the kernel was handed and did not play."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._stages = iter(stages)
        self.left: Stage | None = None

    def playable(self, terms: Terms) -> Iterator[Stage]:
        """Yield stages until there is one that the kernel refuses; that one is left."""
        self.left = None
        for stage in self._stages:
            self.left = stage
            if kernel.refusal(stage, terms) is not None:
                return
            yield stage
            self.left = None


def _played(stage: Stage, terms: Terms, *, is_quick: bool) -> _Curve:
    if kernel.refusal(stage, terms) is None:
        try:
            return _by_kernel(stage, terms, is_quick=is_quick)
        except Refused:  # it outgrew the kernel's arithmetic on the way
            pass
    played, by = engine.play(stage, terms, "simulator")
    return _whole(stage, terms, played, by)


def _by_kernel(stage: Stage, terms: Terms, *, is_quick: bool) -> _Curve:
    if not is_quick:
        return _whole(stage, terms, kernel.play(stage, terms), "kernel")
    fast = kernel.equity_only(stage, terms)
    return _Curve(fast.days, fast.daily_equity, None, fast.trades, "kernel")


def _whole(stage: Stage, terms: Terms, played: Played, executor: str) -> _Curve:
    days, daily, _ = engine.by_day(stage, played, terms.cash)
    trades = sum(not trip.is_open for trip in round_trips(played, stage))
    return _Curve(days, daily, int(daily[-1]) + _reckoning(stage, played), trades, executor)


def _reckoning(stage: Stage, played: Played) -> int:
    """Return by how many units selling everything at the last close changes the equity."""
    change = Decimal(0)
    for fill in played.at_end:
        mark = from_units(int(stage.parts[fill.symbol].signals.mark[-1]))
        change -= fill.qty * (fill.price - mark) + fill.fee
    return to_units(change)
