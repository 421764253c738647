"""What a strategy wants, bar by bar, before anybody asks what is held or what may be spent.

Every executor works on these arrays: the simulator, the kernel, and, with the newest row alone, the
trading graph. So a level cannot differ between them by a rounding, and a scan cannot see more in
one than in another. Row `i` is known when bar `i` has closed, and depends on rows up to it; what
lies before a split is put on the scale of the day it is looked at from, as a live feed does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, TypeVar, cast

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.grid import price_units
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.signal_levels import Levels, Signs, when
from roboinvest.core.strategy import (
    Calculator,
    Entry,
    Execution,
    FarScan,
    Plan,
    Scan,
    ScanCall,
    asked_names,
)

_MINUTE_NS: Final = 60_000_000_000
_SIGNS: Final = (-1.0, 0.0, 1.0)


Known = dict[Calculator, Floats]
ArrayT = TypeVar("ArrayT", bound="np.ndarray[Any, Any]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """The wishes of one strategy for one symbol; all arrays have shape (n,)."""

    entry: Signs  # +1 buy, -1 sell short, 0 nothing
    leave: Flags  # the exit's condition, where it is one
    late: Flags  # the session is about to end, before the next bar opens
    stop: Ints  # units (see `core.market.grid`), tick-sized; 0 without one
    target: Ints  # the same
    trail: Ints  # the distance in units; 0 without one
    mark: Ints  # the close, in units
    columns: dict[str, Floats]  # the calculators' and the bars', on the scale of each row's day

    def __len__(self) -> int:
        return len(self.entry)


@dataclass(slots=True)
class ClosedBar:
    """The moment after bar `row` closed; see `core.strategy.Moment`."""

    bars: SessionBars
    columns: dict[str, Floats]
    row: int

    @property
    def symbol(self) -> str:
        """Return the symbol."""
        return self.bars.symbol

    def __call__(self, name: str, back: int = 0) -> float:
        """Return a column's value, `back` bars ago; NaN where there is none."""
        if name not in self.columns:
            known = ", ".join(sorted(self.columns))
            raise BadInput(f"{name!r} is no column of this strategy; it has {known}")
        at = self.row - _behind(back)
        return float(self.columns[name][at]) if at >= 0 else math.nan

    def other(self, symbol: str, back: int = 0) -> float:
        """Return another symbol's close, `back` bars before its last one by now."""
        if symbol not in self.bars.others:
            known = ", ".join(sorted(self.bars.others)) or "no other"
            raise BadInput(f"{symbol} is not in this run; it has {known}")
        theirs = self.bars.others[symbol]
        seen = int(np.searchsorted(theirs.closes_at, self.bars.closes_at[self.row], side="right"))
        at = seen - 1 - _behind(back)
        return float(theirs.close[at]) if at >= 0 else math.nan


def signals_of(
    plan: Plan,
    bars: SessionBars,
    timeframe: Timeframe,
    actions: Sequence[CorporateAction] = (),
    *,
    from_row: int = 0,
    known: Known | None = None,
) -> Signals:
    """Return what a plan wants on `bars`; `actions` are those of the symbol, on raw prices.

    Rows before `from_row` and those of the warm-up hold no wish; a scan's call is not asked there.
    `known` keeps the columns of these very bars from one plan to the next; it is asked and filled.

    Raises:
        BadInput: a level is no price or on the wrong side of the close, or the plan asks for the
            session's end on day bars; the message names the bar.
    """
    if plan.execution.flat_before_close_min is not None and timeframe is Timeframe.DAY:
        raise BadInput(
            "the strategy leaves before the session's close, and the bars are a day long; "
            "give bars of 1m to 1h"
        )
    plan = in_time(plan, timeframe)
    first = max(from_row, plan.warm_up)
    seen = [(part, rows) for part, rows in by_split(bars, actions) if len(bars)]
    keep = known if len(seen) == 1 else None  # on raw prices the bars of each part are others
    parts = [_part(plan, part, rows, first, keep) for part, rows in seen]
    if not parts:
        return _none(plan)
    return Signals(
        entry=_whole([part.entry for part in parts]),
        leave=_whole([part.leave for part in parts]),
        late=_late(plan.execution, bars),
        stop=_whole([part.stop for part in parts]),
        target=_whole([part.target for part in parts]),
        trail=_whole([part.trail for part in parts]),
        mark=price_units(bars.close),
        columns={name: _whole([part.columns[name] for part in parts]) for name in parts[0].columns},
    )


def columns_of(plan: Plan, bars: SessionBars, known: Known | None = None) -> dict[str, Floats]:
    """Return the columns that a plan may ask about, each of shape (n,).

    Raises:
        BadInput: a calculator returned another shape, or infinite values.
    """
    columns = _bar_columns(plan, bars)
    for name, calculator in plan.columns.items():
        if known is not None and calculator in known:
            columns[name] = known[calculator]
            continue
        columns[name] = _column(name, calculator, bars)
        if known is not None:
            known[calculator] = columns[name]
    return columns


def _bar_columns(plan: Plan, bars: SessionBars) -> dict[str, Floats]:
    """Return the bars' own columns: all for a call, else those of the clock only if asked about."""
    columns: dict[str, Floats] = {
        "open": bars.open,
        "high": bars.high,
        "low": bars.low,
        "close": bars.close,
        "volume": bars.volume,
    }
    asked = asked_names(plan)
    if asked is None or "session" in asked:
        columns["session"] = bars.day.astype(np.float64)
    if asked is None or "minutes_open" in asked:
        columns["minutes_open"] = (bars.closes_at - bars.opens) / _MINUTE_NS
    if asked is None or "minutes_left" in asked:
        columns["minutes_left"] = (bars.ends - bars.closes_at) / _MINUTE_NS
    return columns


def _column(name: str, calculator: Calculator, bars: SessionBars) -> Floats:
    column = np.asarray(calculator.compute(bars), dtype=np.float64)
    if column.shape != (len(bars),):
        raise BadInput(
            f"calculator {name} gave an array of shape {column.shape} for {len(bars)} bars; "
            "give one value a bar, NaN where there is none"
        )
    if np.isinf(column).any():
        at = int(np.argmax(np.isinf(column)))
        raise BadInput(
            f"calculator {name} gave {column[at]} at {when(bars, at)}; "
            "give NaN where there is no value"
        )
    return column


def _whole(parts: list[ArrayT]) -> ArrayT:
    """Return the parts as one column; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)  # type: ignore[return-value]


def by_split(
    bars: SessionBars, actions: Sequence[CorporateAction]
) -> Iterator[tuple[SessionBars, slice]]:
    """Yield the bars as they look from between two splits, and the rows that lie there."""
    known = {bars.symbol, *bars.others}
    splits = sorted(
        (action.ex_date, action.symbol, float(action.ratio))
        for action in actions
        if action.kind is ActionKind.SPLIT and action.symbol in known
    )
    starts = [int(np.searchsorted(bars.day, day.toordinal())) for day, _, _ in splits]
    edges = [0, *starts, len(bars)]
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        if begin < end:
            yield _rescaled(bars.rows(slice(0, end)), splits[:number]), slice(begin, end)


def _rescaled(bars: SessionBars, splits: Sequence[tuple[date, str, float]]) -> SessionBars:
    """Return bars, and those beside them, with prices on the scale after the splits so far."""
    if not splits:
        return bars
    others = {name: _rescaled(other, splits) for name, other in bars.others.items()}
    series = bars.series()
    for day, symbol, ratio in splits:
        if symbol == bars.symbol:
            series = series.rescaled(ratio, day)
    return bars.with_series(series, others)


def _part(plan: Plan, bars: SessionBars, rows: slice, first: int, known: Known | None) -> Signals:
    """Return the signals of some rows, on the scale of their day."""
    columns = columns_of(plan, bars, known)
    sides, stops, targets = _entries(plan, bars, columns, range(max(rows.start, first), rows.stop))
    leave = _leaves(plan.execution, columns, len(bars))
    sides[leave] = 0
    how, close = plan.execution, bars.close
    at = np.flatnonzero(sides)
    levels = Levels(bars, columns, at, sides[at], close[at])
    stop, target, trail = levels.of(how, stops, targets)
    return Signals(
        entry=sides[rows],
        leave=leave[rows],
        late=np.zeros(0, np.bool_),
        stop=stop[rows],
        target=target[rows],
        trail=trail[rows],
        mark=np.zeros(0, np.int64),
        columns={name: column[rows] for name, column in columns.items()},
    )


def _entries(
    plan: Plan, bars: SessionBars, columns: dict[str, Floats], rows: range
) -> tuple[Signs, Floats, Floats]:
    """Return the side of each entry, and the levels that a call gave, NaN where it gave none.

    Conditions give no levels: both arrays are empty then.
    """
    n = len(bars)
    stops, targets = np.zeros(0), np.zeros(0)
    if isinstance(plan.scan, Scan):
        sides = _conditions(plan.scan, columns, n)
        sides[: min(rows.start, n)] = 0
    else:
        stops, targets = np.full(n, np.nan), np.full(n, np.nan)
        sides = _calls(plan.scan, bars, columns, rows, stops, targets)
    no_entry = plan.execution.no_entry_before_close_min
    flat = plan.execution.flat_before_close_min
    if no_entry > 0.0 or flat is not None:
        sides[bars.ends - bars.closes_at <= max(no_entry, flat or 0.0) * _MINUTE_NS] = 0
    return sides, stops, targets


def _conditions(scan: Scan, columns: dict[str, Floats], n: int) -> Signs:
    sides = np.zeros(n, np.int8)
    if scan.long is not None:
        sides += scan.long.of(columns)
    if scan.short is not None:
        sides -= scan.short.of(columns)
    return sides


def _calls(
    scan: ScanCall,
    bars: SessionBars,
    columns: dict[str, Floats],
    rows: range,
    stops: Floats,
    targets: Floats,
) -> Signs:
    """Ask a scan's call about every row; `stops` and `targets` take the levels it gives."""
    if hasattr(scan, "over"):
        return _far_calls(cast("FarScan", scan), bars, columns, rows, stops, targets)
    sides, moment = np.zeros(len(bars), np.int8), ClosedBar(bars, columns, 0)
    for row in rows:
        moment.row = row
        answer = scan(moment)
        if isinstance(answer, Entry):
            sides[row] = answer.side.sign
            stops[row] = math.nan if answer.stop is None else _price(answer.stop, bars, row)
            targets[row] = math.nan if answer.target is None else _price(answer.target, bars, row)
        elif answer is True or isinstance(answer, np.bool_):
            sides[row] = int(answer)
        elif answer not in (None, False):
            raise BadInput(
                f"the scan answered {answer!r} at {when(bars, row)}; "
                "give an Entry, True, False or None"
            )
    return sides


def _far_calls(
    scan: FarScan,
    bars: SessionBars,
    columns: dict[str, Floats],
    rows: range,
    stops: Floats,
    targets: Floats,
) -> Signs:
    """Do the same with a scan that answers for all rows; what it says is checked alike."""
    answers = [np.asarray(each, np.float64) for each in scan.over(bars, columns, rows)]
    if any(each.shape != (len(rows),) for each in answers) or not np.isin(answers[0], _SIGNS).all():
        raise BadInput(f"the scan's answers are out of form; give {len(rows)} signs and levels")
    for given, column in zip(answers[1:], (stops, targets), strict=True):
        for at in np.flatnonzero(~np.isnan(given)):
            column[rows.start + at] = _price(float(given[at]), bars, rows.start + int(at))
    sides = np.zeros(len(bars), np.int8)
    sides[rows.start : rows.start + len(rows)] = answers[0]
    return sides


def _price(level: float, bars: SessionBars, row: int) -> float:
    """Return a level that a call gave; NaN would look as if it had given none."""
    if not (math.isfinite(level) and level > 0.0):
        raise BadInput(f"the scan gave the level {level} at {when(bars, row)}; give a price")
    return float(level)


def _leaves(how: Execution, columns: dict[str, Floats], n: int) -> Flags:
    of: Callable[[dict[str, Floats]], Flags] | None = getattr(how.exit, "of", None)
    return np.zeros(n, np.bool_) if of is None else of(columns)


def in_time(plan: Plan, timeframe: Timeframe) -> Plan:
    """Return a plan that leaves before the close no later than bars of this length let it.

    Decisions fall on the closes of bars: after the last but one of a session there is none in time.
    """
    how, shortest = plan.execution, timeframe.length.total_seconds() / 60
    flat = how.flat_before_close_min
    if flat is None or flat >= shortest or timeframe is Timeframe.DAY:
        return plan
    return replace(plan, execution=replace(how, flat_before_close_min=shortest))


def _late(how: Execution, bars: SessionBars) -> Flags:
    """Return the rows after whose close, and before the next bar, the time to leave comes.

    The clock decides and not a bar: where bars are missing, the order is at the broker in time.
    """
    if how.flat_before_close_min is None:
        return np.zeros(len(bars), np.bool_)
    limit = how.flat_before_close_min * _MINUTE_NS
    late: Flags = bars.ends - bars.closes_at <= limit
    follows = bars.day[1:] == bars.day[:-1]
    late[:-1] |= follows & (bars.ends[:-1] - bars.ts[1:] <= limit)
    return late


def _none(plan: Plan) -> Signals:
    empty = np.zeros(0, np.int64)
    flags = np.zeros(0, np.bool_)
    return Signals(
        entry=np.zeros(0, np.int8),
        leave=flags,
        late=flags,
        stop=empty,
        target=empty,
        trail=empty,
        mark=empty,
        columns={name: np.zeros(0) for name in plan.columns},
    )


def _behind(back: int) -> int:
    if back < 0:
        raise BadInput(f"back={back} asks for a bar that has not closed; give 0 or more")
    return back
