"""Curves of a run day by day: drawdowns, months, the Sharpe ratio over a moving window, bins.

All of them are of daily equity, as the figures are, so that a picture cannot contradict a figure.
What is drawn bar by bar (equity, exposure) says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.grid import UNITS_PER_USD
from roboinvest.core.performance import PERIODS_PER_YEAR
from tools.backtester.contract import BacktestResult

WORST: Final = 5  # drawdowns in the table
LEAST_WINDOWS: Final = 3  # a moving figure needs at least as many windows
WINDOWS: Final = (126, 63, 21)  # days; the longest of which the run holds three is taken
_ROUNDING: Final = 8 * np.finfo(np.float64).eps  # of a return, as `core.performance` has it
_FLAT: Final = 1e-9  # a spread of values below it is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One drawdown of daily equity."""

    depth: float  # fraction from the peak
    peak: date | None  # None: the cash before the first day
    trough: date
    recovered: date | None  # None: still under water at the end
    length: int  # trading days from the peak until recovered, or to the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """A year's returns by month, as fractions; None in a month without a trading day."""

    year: int
    months: tuple[float | None, ...]  # 12
    whole: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A class of a histogram: low < value <= high below 0, low <= value < high above."""

    low: float
    high: float
    count: int


def days_of(result: BacktestResult) -> list[date]:
    """Return the exchange days of the run."""
    return [date.fromordinal(int(day)) for day in result.days]


def daily_usd(units: Ints) -> Floats:
    """Return a daily curve in USD."""
    curve: Floats = units / float(UNITS_PER_USD)
    return curve


def daily_returns(units: Ints) -> Floats:
    """Return simple returns, shape (d,); NaN after a day that ended without money."""
    curve = daily_usd(units)
    before = np.where(curve[:-1] > 0.0, curve[:-1], np.nan)
    result: Floats = curve[1:] / before - 1.0
    return result


def under_water(curve: Floats) -> Floats:
    """Return the fall from the peak so far as a fraction, 0 or more, shape as given."""
    peaks = np.maximum.accumulate(curve)
    safe = np.where(peaks > 0.0, peaks, 1.0)
    falls: Floats = np.where(peaks > 0.0, 1.0 - curve / safe, 0.0)
    return falls


def worst_falls(result: BacktestResult, most: int = WORST) -> tuple[Fall, ...]:
    """Return the deepest drawdowns, the deepest first; those of one day are drawdowns too."""
    curve, days = daily_usd(result.daily_equity), days_of(result)
    falls = under_water(curve)
    found, start = list[Fall](), None
    for at, fall in enumerate([*falls, 0.0]):
        if fall > 0.0 and start is None:
            start = at - 1
        elif fall <= 0.0 and start is not None:
            found.append(_fall(falls, start, at, days))
            start = None
    return tuple(sorted(found, key=lambda each: (-each.depth, each.trough))[:most])


def _fall(falls: Floats, start: int, end: int, days: Sequence[date]) -> Fall:
    """Return the drawdown between the peak at `start` and `end`, the first point back."""
    trough = start + 1 + int(np.argmax(falls[start + 1 : end]))
    back = end < len(falls)
    return Fall(
        depth=float(falls[trough]),
        peak=days[start - 1] if start else None,
        trough=days[trough - 1],
        recovered=days[end - 1] if back else None,
        length=(end if back else end - 1) - start,
    )


def years(result: BacktestResult) -> tuple[Year, ...]:
    """Return the returns of months and years, from the last equity before each."""
    curve, days = daily_usd(result.daily_equity), days_of(result)
    ends: dict[tuple[int, int], float] = {}
    for day, equity in zip(days, curve[1:], strict=True):
        ends[day.year, day.month] = float(equity)
    months = dict[int, list[float | None]]()
    whole, before, year_start = dict[int, float](), float(curve[0]), float(curve[0])
    for (year, month), equity in ends.items():
        if year not in months:
            months[year], year_start = [None] * 12, before
        months[year][month - 1] = _change(before, equity)
        whole[year] = _change(year_start, equity)
        before = equity
    return tuple(
        Year(year=year, months=tuple(months[year]), whole=whole[year]) for year in sorted(months)
    )


def _change(before: float, after: float) -> float:
    return after / before - 1.0 if before > 0.0 else 0.0


def moving_sharpe(units: Ints) -> tuple[int, Floats] | None:
    """Return a window in days and the Sharpe ratio of each one by its last day.

    Shape (d,), NaN before the first window has ended and where the ratio is not defined. None
    where the run is too short for three windows of the shortest kind.
    """
    returns = daily_returns(units)
    window = next((days for days in WINDOWS if len(returns) >= LEAST_WINDOWS * days), None)
    if window is None or not np.isfinite(returns).all():
        return None
    windows = np.lib.stride_tricks.sliding_window_view(returns, window)
    deviation = np.std(windows, axis=1, ddof=1)
    noise = _ROUNDING * (1.0 + np.max(np.abs(windows), axis=1))
    moved = np.full(len(returns), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.mean(windows, axis=1) / deviation * math.sqrt(PERIODS_PER_YEAR)
    moved[window - 1 :] = np.where(deviation > noise, ratios, np.nan)
    return window, moved


def bins(values: Floats, most: int = 30) -> tuple[Bin, ...]:
    """Return a histogram with an edge at 0, so that no class mixes gains with losses.

    Values at 0 count as gains of nothing: they lie in the first class above 0.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return ()
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = _round_step((high - low) / most) if high - low > _FLAT else 0.01
    first = int(np.floor(low / step)) if low < 0.0 else 0
    last = int(np.floor(high / step)) if high >= 0.0 else -1
    places = np.where(values < 0.0, np.ceil(values / step) - 1, np.floor(values / step)).astype(
        np.int64
    )
    places = np.clip(places, first, last)
    counts = np.bincount(places - first, minlength=last - first + 1)
    return tuple(
        Bin(low=(first + i) * step, high=(first + i + 1) * step, count=int(count))
        for i, count in enumerate(counts)
    )


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5 or 5 times a power of ten that is not below `least`."""
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= least))


def daily_exposure(result: BacktestResult) -> tuple[Floats, Floats]:
    """Return gross over equity of each day, the mean and the highest of its closes, shape (d,).

    A day without a close, or without money, has none: 0.
    """
    equity, gross = result.played.equity, result.played.gross
    share = np.where(equity > 0, gross / np.where(equity > 0, equity, 1), 0.0)
    number, d = _day_numbers(result), len(result.days)
    counts = np.bincount(number, minlength=d)[:d]
    mean: Floats = np.bincount(number, weights=share, minlength=d)[:d] / np.maximum(counts, 1)
    highest = np.zeros(d + 1)
    np.maximum.at(highest, np.minimum(number, d), share)
    return mean, highest[:d]


def day_places(result: BacktestResult) -> Floats:
    """Return where each instant of the run lies on an axis of days, shape (m,).

    0 is before the first day and `d` the end of the last; closed hours take no room, and the bars
    of a day share its room evenly.
    """
    number, d = _day_numbers(result), len(result.days)
    starts = np.searchsorted(number, np.arange(d + 1))
    counts = np.bincount(number, minlength=d + 1)
    places: Floats = number + (np.arange(len(number)) - starts[number] + 1) / counts[number]
    return places


def _day_numbers(result: BacktestResult) -> Ints:
    """Return which day of the run each instant belongs to, shape (m,); they do not fall."""
    parts = result.stage.parts.values()
    closes = np.concatenate([part.bars.closes_at for part in parts])
    dated = np.concatenate([part.bars.day for part in parts])
    known, first = np.unique(closes, return_index=True)
    at = np.minimum(np.searchsorted(known, result.played.instants), len(known) - 1)
    return np.searchsorted(result.days, dated[first][at])
