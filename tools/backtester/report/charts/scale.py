"""From values to places: scales, round ticks, and thinning that keeps the extremes.

Places are whole thousandths of the picture, from the left and from the top: fine enough for any
screen, and short in the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from tools.backtester.report.words import MONTHS

FULL: Final = 1000  # width and height of a picture
TALL: Final = 10.0  # highest over lowest value from which an axis is logarithmic
_MONTH: Final = 21  # trading days
_APART: Final = 0.6  # of the mean distance of marks, at least
_FLAT: Final = 1e-6  # a spread below it is no spread
_DIGITS: Final = 8  # at most, behind the point
_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The vertical axis: `low` at the bottom, `high` at the top."""

    low: float
    high: float
    is_log: bool = False

    def places(self, values: Floats) -> Ints:
        """Return places from the top, clipped to the picture; NaN must be gone."""
        low, high, at = self.low, self.high, values
        if self.is_log:
            low, high, at = math.log(low), math.log(high), np.log(np.maximum(values, self.low))
        share = (at - low) / (high - low)
        places: Ints = np.rint(FULL * (1.0 - np.clip(share, 0.0, 1.0))).astype(np.int64)
        return places

    def place(self, value: float) -> float:
        """Return where a value lies from the top, in percent, clipped."""
        return float(self.places(np.array([value]))[0]) * 100 / FULL

    def ticks(self, wanted: int = 6) -> list[float]:
        """Return round values within the scale."""
        if self.is_log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [m * 10.0**power for power in powers for m in (1.0, 2.0, 5.0)]
            return [value for value in values if self.low <= value <= self.high]
        step = round_step((self.high - self.low) / wanted)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on the horizontal axis."""

    at: float  # percent from the left
    text: str
    is_minor: bool = False  # left out where there is little room


def round_step(least: float) -> float:
    """Return the smallest round number that is not below `least`, which is above 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in _ROUND if m * power >= least * (1 - 1e-12))


def scale_of(
    *curves: Floats, include: Sequence[float] = (), room: float = 0.05, may_log: bool = False
) -> Scale:
    """Return a scale that shows every finite value of some curves, with a little room."""
    values = np.concatenate([*curves, np.array(include, dtype=np.float64)])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if may_log and low > 0.0 and high / low >= TALL:
        return Scale(low=low / 1.1, high=high * 1.1, is_log=True)
    spread = high - low
    if spread <= max(_FLAT, 1e-12 * max(abs(low), abs(high))):
        spread = abs(high) * 0.02
        spread = spread if spread > _FLAT else 1.0
        return Scale(low=low - spread / 2, high=high + spread / 2)
    below = 0.0 if low == 0.0 else room * spread
    above = 0.0 if high == 0.0 else room * spread
    return Scale(low=low - below, high=high + above)


def thinned(places: Floats, values: Floats, columns: int = FULL) -> tuple[Ints, Floats]:
    """Return at most two points a column, its lowest and its highest in the order they came.

    `places` lie in [0, 1] and do not fall. The first and the last point stay, NaN goes.
    """
    finite = np.isfinite(values)
    places, values = places[finite], values[finite]
    column = np.rint(places * columns).astype(np.int64)
    if len(values) <= 2:
        return column, values
    starts = np.flatnonzero(np.append(True, column[1:] != column[:-1]))
    keep = [np.int64(0), np.int64(len(values) - 1)]
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        part = values[start:end]
        keep += [start + np.argmin(part), start + np.argmax(part)]
    rows = np.unique(keep)
    return column[rows], values[rows]


def path(columns: Ints, places: Ints) -> str:
    """Return the line through some points as path data, in steps, which are short."""
    if not len(columns):
        return ""
    steps_x, steps_y = np.diff(columns), np.diff(places)
    steps = [f"{x} {y}" for x, y in zip(steps_x, steps_y, strict=True) if x or y]
    start = f"M{columns[0]} {places[0]}"
    return f"{start}l{' '.join(steps)}".replace(" -", "-") if steps else f"{start}h0"


def number_text(value: float, step: float) -> str:
    """Return a tick's value with the digits that its step needs."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0.0 else 2
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1  # 0.25
    return f"{value + 0.0:,.{min(digits, _DIGITS)}f}"


def tick_step(ticks: Sequence[float]) -> float:
    """Return the smallest distance of some ticks, 1 where there is none."""
    return min((b - a for a, b in pairwise(ticks)), default=1.0)


def day_ticks(days: Sequence[date], most: int = 13) -> list[Tick]:
    """Return marks for an axis of days: at days, weeks, months or years, about `most` of them.

    A mark stands before the first day it names.
    """
    n = len(days)
    if n <= most:
        rows = list(range(n))
    elif n <= 3.5 * most:
        rows = [i for i in range(1, n) if days[i].isocalendar()[1] != days[i - 1].isocalendar()[1]]
    else:
        months = n / _MONTH / most  # in a step, at least
        step = next((m for m in (1, 2, 3, 6) if m >= months), 12)
        every = math.ceil(months / 12)
        rows = [
            i
            for i in range(1, n)
            if days[i].month != days[i - 1].month
            and (days[i].month - 1) % step == 0
            and days[i].year % every == 0
        ]
    apart = list[int]()
    for row in rows:  # where days are missing, marks come close to each other
        if not apart or row - apart[-1] >= _APART * n / most:
            apart.append(row)
    labels = _day_labels([days[row] for row in apart], by_day=n <= 3.5 * most)
    return [
        Tick(at=100 * row / n, text=text, is_minor=number % 2 == 1)
        for number, (row, text) in enumerate(zip(apart, labels, strict=True))
    ]


def _day_labels(days: Sequence[date], *, by_day: bool) -> list[str]:
    """Return the names of marks; the year stands where it begins."""
    if by_day:
        return [f"{day.day} {MONTHS[day.month - 1]}" for day in days]
    return [str(day.year) if day.month == 1 else MONTHS[day.month - 1] for day in days]
