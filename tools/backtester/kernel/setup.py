"""What is played, as arrays: bars on the grid, wishes, and an untouched account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from roboinvest.core.errors import Refused
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.risk import RiskLimits
from roboinvest.core.strategy import Plan, Size
from tools.backtester.contract import Part, Stage, Terms
from tools.backtester.kernel.asked import barred
from tools.backtester.kernel.grid import Grid, grid_of
from tools.backtester.kernel.machine import layout
from tools.backtester.kernel.machine.entries import entries
from tools.backtester.kernel.machine.layout import Board, Bytes
from tools.backtester.kernel.ratios import Figures, figures_of


@dataclass(frozen=True, slots=True)
class Wishes:
    """The rows in which one symbol's strategy wants to enter, and those in which it would leave."""

    wishes: Ints  # (k, layout.WISHED)
    leave: Bytes  # (n,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What runs over the same bars share."""

    bars: tuple[SessionBars, ...]  # by symbol, sorted
    first_rows: tuple[int, ...]
    share: Decimal | None  # of the volume that may be traded
    grid: Grid
    day_ends: Ints  # (d,) of `grid.days` the last instant, -1 before the first decision

    def is_of(self, parts: Sequence[Part], terms: Terms) -> bool:
        """Return whether a stage of these parts runs along here."""
        return (
            self.share == terms.rules.volume_share
            and self.first_rows == tuple(part.first_row for part in parts)
            and all(one is part.bars for one, part in zip(self.bars, parts, strict=True))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that a run reads, and the money it starts with."""

    course: Course
    wishes: Ints  # (k, layout.WISHED) of all symbols, one behind the other
    spans: tuple[tuple[int, int], ...]  # (first, beyond) of each symbol's wishes
    leave: Bytes  # (n,)
    figures: Figures
    asked: tuple[Terms, Size, int | None, Timeframe]  # what the figures say in numbers


def run_of(stage: Stage, terms: Terms, before: Run | None = None) -> Run:
    """Return a stage as a run; where its bars are those of the run `before`, they are shared.

    Raises:
        Refused: its terms, prices or volumes do not fit 64-bit arithmetic.
    """
    parts = [stage.parts[symbol] for symbol in sorted(stage.parts)]
    course = None if before is None else before.course
    if course is None or not course.is_of(parts, terms):
        bars, first_rows = [part.bars for part in parts], [part.first_row for part in parts]
        course = course_of(bars, first_rows, terms)
    return run_on(course, stage.plan, stage.timeframe, terms, parts, before)


def run_on(
    course: Course,
    plan: Plan,
    timeframe: Timeframe,
    terms: Terms,
    parts: Iterable[Part],
    before: Run | None = None,
) -> Run:
    """Return the run of a plan over known bars; of each part in turn only its wishes are kept.

    Raises:
        Refused: the terms do not fit 64-bit arithmetic.
    """
    asked = (terms, plan.execution.size, plan.execution.max_bars, timeframe)
    if before is not None and before.asked == asked:
        figures = before.figures
    else:
        figures = figures_of(terms, plan.execution, timeframe)
    daily, days = timeframe is Timeframe.DAY, course.grid.days
    found = [wishes_of(part, terms.limits, days, daily=daily) for part in parts]
    lone = found[0] if len(found) == 1 else None
    return Run(
        course=course,
        wishes=lone.wishes if lone else np.concatenate([one.wishes for one in found]),
        spans=tuple(pairwise(accumulate((len(one.wishes) for one in found), initial=0))),
        leave=lone.leave if lone else np.concatenate([one.leave for one in found]),
        figures=figures,
        asked=asked,
    )


def course_of(bars: Sequence[SessionBars], first_rows: Sequence[int], terms: Terms) -> Course:
    """Return the bars of symbols, sorted, as a run walks along them.

    Raises:
        Refused: a price or a volume does not fit 64-bit arithmetic.
    """
    share = terms.rules.volume_share
    grid = grid_of(bars, first_rows, share)
    return Course(
        bars=tuple(bars),
        first_rows=tuple(first_rows),
        share=share,
        grid=grid,
        day_ends=day_ends(bars, grid),
    )


def wishes_of(part: Part, limits: RiskLimits | None, days: Ints, *, daily: bool) -> Wishes:
    """Return signals as the compiled code reads them."""
    signals, first = part.signals, part.first_row
    rows = np.flatnonzero(signals.entry[first:] != 0) + first
    wishes = np.zeros((len(rows), layout.WISHED), np.int64)
    wishes[:, layout.W_ROW] = rows
    wishes[:, layout.W_SIDE] = signals.entry[rows]
    wishes[:, layout.W_STOP] = signals.stop[rows]
    wishes[:, layout.W_TARGET] = signals.target[rows]
    wishes[:, layout.W_TRAIL] = signals.trail[rows]
    if limits is not None:
        why, day = barred(part.bars, rows, limits, days, daily=daily)
        wishes[:, layout.W_BARRED], wishes[:, layout.W_DAY] = why, day
    return Wishes(wishes, leave_flags(signals.leave, signals.late))


def leave_flags(leave: Flags, late: Flags) -> Bytes:
    """Return bit 0 where a position is left, bit 1 where the session is about to end."""
    if not late.any():
        return leave.view(np.int8)
    flags: Bytes = late.astype(np.int8)
    flags <<= 1
    flags |= leave.view(np.int8)
    return flags


def day_ends(bars: Sequence[SessionBars], grid: Grid) -> Ints:
    """Return the last instant of each day of the grid, -1 for days before the first decision."""
    last = np.full(len(grid.days), -1, np.int64)
    for one in bars:
        ends = np.flatnonzero(np.append(one.day[1:] != one.day[:-1], np.ones(1, np.bool_)))
        if not len(one):
            continue
        at = np.searchsorted(grid.instants, one.closes_at[ends], side="right") - 1
        day = np.searchsorted(grid.days, one.day[ends])
        last[day] = np.maximum(last[day], at)
    return last


_CASH_AT_FIRST: Final = (
    layout.CASH,
    layout.DAY_START,
    layout.PEAK,
    layout.LAST_EQUITY,
    layout.HIGHEST,
    layout.FALLEN_FROM,
    layout.FALLEN_TO,
)


def board_of(run: Run, room: int) -> Board:
    """Return an untouched account before its run, with room for some fills; 0: none is noted."""
    course, grid, m = run.course, run.course.grid, len(run.course.grid.instants)
    account = np.zeros(layout.ACCOUNT, np.int64)
    account[list(_CASH_AT_FIRST)] = run.figures.cash
    held = np.zeros((len(course.bars), layout.HELD), np.int64)
    held[:, layout.ENTRY_ROW] = -1
    held[:, layout.FIRST], held[:, layout.BEYOND] = np.array(grid.spans).T
    held[:, layout.WISH], held[:, layout.LAST_WISH] = np.array(run.spans).T
    held[:, layout.DEAREST] = grid.dearest
    for s, one in enumerate(course.bars):
        held[s, layout.ROW] = np.searchsorted(one.closes_at, grid.instants[0]) if m else len(one)
    days = np.zeros((layout.DAYS, len(grid.days)), np.int64)
    days[layout.D_END] = course.day_ends
    account[layout.DAY] = account[layout.LOSS_LATCH] = -1
    account[layout.DAY_AT] = np.searchsorted(course.day_ends, 0)
    terms = run.figures.terms
    if grid.is_share:
        terms = terms.copy()
        terms[layout.SHARE : layout.SHARE + 2] = 1
    return Board(
        terms=terms,
        bars=grid.bars,
        leave=run.leave,
        wishes=run.wishes,
        account=account,
        held=held,
        days=days,
        curve=np.zeros((2, m if room else 0), np.int64),
        fills=np.zeros((room, layout.FILL), np.int64),
        here=np.zeros((2, len(held)), np.int64),
        queue=np.zeros((3 * len(held), 3), np.int64),
    )


def finished(run: Run, *, noting: bool) -> Board:
    """Return the board of a run that was played to its end; `noting`: with its fills.

    Raises:
        Refused: the account outgrew 64-bit arithmetic on the way.
    """
    room = 4 * len(run.wishes) + 8 * len(run.course.bars) if noting else 0
    board = board_of(run, room)
    play = entries().play
    play(board)
    while noting and not _is_over(board, len(run.course.grid.instants)):
        more = np.zeros((2 * len(board.fills), layout.FILL), np.int64)
        more[: len(board.fills)] = board.fills
        board = board._replace(fills=more)
        play(board)
    if board.account[layout.OVERFLOWED]:
        cash = from_units(int(board.account[layout.CASH]))
        raise Refused(
            f"the account holds {cash} USD in cash, and its positions outgrow 64-bit arithmetic; "
            "play it with the simulator"
        )
    return board


def _is_over(board: Board, instants: int) -> bool:
    account = board.account
    return bool(account[layout.OVERFLOWED] or account[layout.CURSOR] >= instants)
