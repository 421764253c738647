"""What does not change while a run is played: each symbol's rows, and the instants of all of them.

A lane knows where something may happen: the rows with an entry, with a reason to leave, with a
corporate action. Everything between them is passed over, so that a year of minute bars costs as
much as its trades.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from roboinvest.core.fills import BarPrices, FillRules, capacity_of
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units, price_units
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.orders import to_price
from tools.backtester.contract import Part, Stage
from tools.backtester.instants import instants_of


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One symbol's rows; all arrays have shape (n,)."""

    number: int  # in the order of symbols
    symbol: str
    rows: int  # n
    part: Part
    instants: Ints  # of each row's close among those of the run
    marks: Ints  # (m,) units, the last close known at each instant of the run
    sends: Flags  # whether an order may be sent at the row's close (F10)
    actions: dict[int, list[CorporateAction]]  # by the row before whose open they apply

    @cached_property
    def high(self) -> Ints:
        """Return the highs in units."""
        return price_units(self.part.bars.high)

    @cached_property
    def low(self) -> Ints:
        """Return the lows in units."""
        return price_units(self.part.bars.low)

    @cached_property
    def entry_rows(self) -> list[int]:
        """Return the rows with an entry, from the first one that decides."""
        first = self.part.first_row
        rows: list[int] = (np.flatnonzero(self.part.signals.entry[first:]) + first).tolist()
        return rows

    @cached_property
    def leave_rows(self) -> list[int]:
        """Return the rows in which a position is left by the clock or the exit's condition."""
        signals = self.part.signals
        rows: list[int] = np.flatnonzero(signals.leave | signals.late).tolist()
        return rows

    @cached_property
    def action_rows(self) -> list[int]:
        """Return the rows before whose open a corporate action applies."""
        return sorted(self.actions)

    def prices(self, row: int, rules: FillRules) -> BarPrices:
        """Return a bar as the fill rules see it: `core.fills.bar_prices` of a row."""
        return BarPrices(
            open=to_price(self.part.bars.open[row]),
            high=from_units(self.high.item(row)),
            low=from_units(self.low.item(row)),
            close=from_units(self.part.signals.mark.item(row)),
            capacity=capacity_of(self.part.bars.volume[row], rules),
        )

    def opens_at(self, row: int) -> int:
        """Return when a bar's first trade can be, in ns: a day bar is stamped at midnight."""
        bars = self.part.bars
        return max(bars.ts.item(row), bars.opens.item(row))

    def ends_session(self, row: int) -> bool:
        """Return whether a bar closes with its session."""
        bars = self.part.bars
        return bars.closes_at.item(row) >= bars.ends.item(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """All lanes, and the instants that they share."""

    lanes: tuple[Lane, ...]
    instants: Ints  # (m,) ns, each bar close from the first decision on
    day_of: Ints  # (m,) exchange day of each instant, as an ordinal
    day_start: Ints  # (m,) number of the first instant of each one's day
    days: list[int]  # exchange days of the run as ordinals, sorted

    def day_after(self, day: int) -> int:
        """Return the next exchange day of the run; the day after `day` where there is none."""
        at = bisect_left(self.days, day + 1)
        return self.days[at] if at < len(self.days) else day + 1


def course_of(stage: Stage, *, limited: bool) -> Course:
    """Return the lanes of a stage; `limited`: whether the daemon's limits apply (F10)."""
    parts = [(symbol, stage.parts[symbol]) for symbol in sorted(stage.parts)]
    instants = instants_of([part.bars for _, part in parts], [part.first_row for _, part in parts])
    silent = limited and stage.timeframe is not Timeframe.DAY
    lanes = [
        _lane(number, symbol, part, instants, stage.actions, silent=silent)
        for number, (symbol, part) in enumerate(parts)
    ]
    days = {int(day) for _, part in parts for day in np.unique(part.bars.day)}
    day_of = np.zeros(len(instants), np.int64)
    for lane in lanes:
        bars = lane.part.bars
        counted = int(np.searchsorted(bars.closes_at, instants[0])) if len(instants) else lane.rows
        day_of[lane.instants[counted:]] = bars.day[counted:]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(day_of)) + 1))
    return Course(
        lanes=tuple(lanes),
        instants=instants,
        day_of=day_of,
        day_start=np.repeat(starts, np.diff(starts, append=len(day_of))),
        days=sorted(days),
    )


def _lane(
    number: int,
    symbol: str,
    part: Part,
    instants: Ints,
    actions: Sequence[CorporateAction],
    *,
    silent: bool,
) -> Lane:
    bars = part.bars
    sends = np.ones(len(bars), np.bool_)
    if silent:
        sends = bars.closes_at < bars.ends
    applied: dict[int, list[CorporateAction]] = {}
    for action in sorted(actions, key=lambda one: (one.ex_date, one.kind)):
        row = int(np.searchsorted(bars.day, action.ex_date.toordinal()))
        if action.symbol == symbol and 0 < row < len(bars):
            applied.setdefault(row, []).append(action)
    return Lane(
        number=number,
        symbol=symbol,
        rows=len(bars),
        part=part,
        instants=_numbers(part, instants),
        marks=_marks(part, instants),
        sends=sends,
        actions=applied,
    )


def _is_alone(part: Part, instants: Ints) -> bool:
    """Return whether the instants of the run are the closes of this symbol."""
    own = part.bars.closes_at[part.first_row :]
    return len(own) == len(instants) and np.array_equal(own, instants)


def _numbers(part: Part, instants: Ints) -> Ints:
    """Return each row's place among the instants; negative or 0 before the first of them."""
    if _is_alone(part, instants):
        return np.arange(len(part.bars)) - part.first_row
    return np.searchsorted(instants, part.bars.closes_at)


def _marks(part: Part, instants: Ints) -> Ints:
    """Return the last close by each instant; 0 before the first."""
    mark = part.signals.mark
    if _is_alone(part, instants):
        return mark[part.first_row :]
    last = np.searchsorted(part.bars.closes_at, instants, side="right") - 1
    return np.where(last >= 0, mark[np.maximum(last, 0)], 0) if len(mark) else np.zeros_like(last)
