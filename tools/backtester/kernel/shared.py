"""Signals of many plans over the same bars, computed once where plans share a column.

What comes out is what `core.signals.signals_of` gives, array by array; a test compares them. Equal
calculators are told by their `compute`: those of the library compare by name and arguments, a
function of somebody's own is equal to itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final, cast

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.grid import price_units
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.calculators.arguments import Column
from roboinvest.core.quant.conditions import Condition, Crossing
from roboinvest.core.signal_levels import Levels, Signs
from roboinvest.core.signals import Signals, columns_of, in_time, signals_of
from roboinvest.core.strategy import Calculator, Execution, Plan, Scan, asked_names
from tools.backtester.contract import Part
from tools.backtester.kernel.averages import Averages
from tools.backtester.kernel.machine.entries import entries

_BARE: Final = Plan(columns={}, scan=Scan(), execution=Execution())
_CURIOUS: Final = Plan(columns={}, scan=lambda _: None, execution=Execution())  # asks for all
_OF_THE_CLOCK: Final = frozenset({"session", "minutes_open", "minutes_left"})
_NONE_GIVEN: Final = np.zeros(0)
_MINUTE_NS: Final = 60_000_000_000


class SharedSignals:
    """Makes the signals of one symbol's bars for one plan after another.

    What no plan has asked for is not computed: over many symbols it would be most of the memory.
    """

    def __init__(self, bars: SessionBars, timeframe: Timeframe, *, first_row: int = 0) -> None:
        """Take the bars, and the first row that decides."""
        self.bars = bars
        self.first_row = first_row
        self._timeframe = timeframe
        self._columns: dict[Callable[[SessionBars], Floats], Floats] = {}
        self._late: dict[float | None, Flags] = {None: np.zeros(len(bars), np.bool_)}
        self._averages = Averages(bars)

    @cached_property
    def _mark(self) -> Ints:
        return price_units(self.bars.close)

    @cached_property
    def _nothing(self) -> Ints:
        return np.zeros(len(self.bars), np.int64)

    @cached_property
    def _left_ns(self) -> Ints:
        return self.bars.ends - self.bars.closes_at

    @cached_property
    def _bar_columns(self) -> dict[str, Floats]:
        return columns_of(_CURIOUS, self.bars)

    def part(self, plan: Plan) -> Part:
        """Return what a plan wants on the bars.

        Raises:
            BadInput: as of `signals_of`.
        """
        return Part(bars=self.bars, signals=self.signals(plan), first_row=self.first_row)

    def signals(self, plan: Plan) -> Signals:
        """Return `signals_of` the plan.

        Raises:
            BadInput: as of `signals_of`.
        """
        plan = in_time(plan, self._timeframe)
        how, daily = plan.execution, self._timeframe is Timeframe.DAY
        strange = daily and how.flat_before_close_min is not None
        if strange or not isinstance(plan.scan, Scan) or not len(self.bars):
            return signals_of(plan, self.bars, self._timeframe, from_row=self.first_row)
        columns = self._of_the_bars(plan)
        for name, calculator in plan.columns.items():
            columns[name] = self._column(calculator)
        leave = self._leave(how, columns)
        sides = self._sides(plan, plan.scan, columns)
        np.putmask(sides, leave, 0)
        stop, target, trail = self._levels(how, columns, sides)
        return Signals(
            entry=sides,
            leave=leave,
            late=self._late_rows(how),
            stop=stop,
            target=target,
            trail=trail,
            mark=self._mark,
            columns=columns,
        )

    def _of_the_bars(self, plan: Plan) -> dict[str, Floats]:
        asked = asked_names(plan)
        if asked is not None and asked.isdisjoint(_OF_THE_CLOCK):
            return columns_of(_BARE, self.bars)
        unasked = frozenset[str]() if asked is None else _OF_THE_CLOCK - asked
        return {name: each for name, each in self._bar_columns.items() if name not in unasked}

    def _column(self, calculator: Calculator) -> Floats:
        key = calculator.compute
        found = self._columns.get(key) if isinstance(key, Hashable) else None
        if found is None and isinstance(key, Column):
            found = self._averages.of(key)
        if found is None:
            plan = replace(_BARE, columns={calculator.name: calculator})
            found = columns_of(plan, self.bars)[calculator.name]
        if isinstance(key, Hashable):
            self._columns[key] = found
        return found

    def _sides(self, plan: Plan, scan: Scan, columns: dict[str, Floats]) -> Signs:
        how = plan.execution
        if scan.long is None:
            sides = np.zeros(len(self.bars), np.int8)
        else:
            sides = _holds(scan.long, columns).view(np.int8)
        if scan.short is not None:
            sides -= _holds(scan.short, columns)
        sides[: max(self.first_row, plan.warm_up)] = 0
        no_entry, flat = how.no_entry_before_close_min, how.flat_before_close_min
        if no_entry > 0.0 or flat is not None:
            sides[self._left_ns <= max(no_entry, flat or 0.0) * _MINUTE_NS] = 0
        return sides

    def _leave(self, how: Execution, columns: dict[str, Floats]) -> Flags:
        if how.exit is None or not hasattr(how.exit, "of"):
            return np.zeros(len(self.bars), np.bool_)
        return _holds(cast("Condition", how.exit), columns)

    def _late_rows(self, how: Execution) -> Flags:
        minutes = how.flat_before_close_min
        if minutes not in self._late:
            plan = replace(_BARE, execution=Execution(flat_before_close_min=minutes))
            self._late[minutes] = signals_of(plan, self.bars, self._timeframe).late
        return self._late[minutes]

    def _levels(
        self, how: Execution, columns: dict[str, Floats], sides: Signs
    ) -> tuple[Ints, Ints, Ints]:
        if how.stop is None and how.target is None and how.trail is None:
            return self._nothing, self._nothing, self._nothing
        at = np.flatnonzero(sides)
        levels = Levels(self.bars, columns, at, sides[at], self.bars.close[at])
        return levels.of(how, _NONE_GIVEN, _NONE_GIVEN)


def _holds(condition: Condition, columns: Mapping[str, Floats]) -> Flags:
    """Return `condition.of(columns)`, the caller's own; a crossing of two takes one pass."""
    if type(condition) is not Crossing:
        return condition.of(columns).copy()
    left, right = condition.left, condition.right
    if not (isinstance(left, str) and isinstance(right, str) and {left, right} <= set(columns)):
        return condition.of(columns)
    over, under = (left, right) if condition.up else (right, left)
    found = np.empty(len(columns[over]), np.bool_)
    entries().crosses(columns[over], columns[under], found)
    return found
