"""Sums over sliding windows that depend on the window alone.

A running sum carries the rounding of everything before it, so that two runs with other first bars
differ in the last digits, and a tie of two averages is a tie in one of them only. Here every window
is summed by itself: means as integers, all else measured from the newest value. So a market without
movement has a deviation of exactly nothing, and the difference of squares loses no more digits than
the window is long. Rows without a whole window behind them are NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.quant import indicators as ta

_BLOCK: Final = 8192  # rows worked at once, so that they stay in the processor's cache
PRICE_PARTS: Final = 1e8  # of a dollar, to which means of prices are exact
VOLUME_PARTS: Final = 1e4  # of a share
_ROOM: Final = 9.0e18  # what 64 bits hold


def exact_mean(values: Floats, period: int, parts: float) -> Floats:
    """Return means of windows, shape (n,), of finite values rounded to 1 / `parts`.

    Raises:
        BadInput: the values are too large to be summed exactly.
    """
    means = np.full(len(values), np.nan)
    if len(values) < period:
        return means
    largest = max(float(values.max()), -float(values.min()))
    if largest * parts * period > _ROOM:
        raise BadInput(
            f"values up to {largest:g} are too large for an average of {period} rows; "
            f"their sum may be {_ROOM / parts:g} at most"
        )
    scaled = values * parts
    sums = np.rint(scaled, out=scaled).astype(np.int64)
    np.cumsum(sums, out=sums)  # may wrap; differences are right all the same
    means[period - 1] = sums[period - 1]
    means[period:] = sums[period:] - sums[:-period]
    means /= period * parts
    return means


def exact_change(columns: Sequence[Floats], parts: float) -> Floats:
    """Return by how much the sum of some columns changed from row to row, shape (n,).

    A sum that is the same in two rows has changed by exactly nothing; NaN in the first row.
    """
    sums: Floats = np.sum([np.rint(values * parts) for values in columns], axis=0)
    return sums - before(sums)


def total(values: Floats, period: int) -> Floats:
    """Return sums of windows, shape (n,); NaN where one of the values is."""
    sums = np.full(len(values), np.nan)
    for rows in _blocks(len(values), period):
        part = values[rows].copy()
        for back in range(1, period):
            part += _shifted(values, rows, back)
        sums[rows] = part
    return sums


def mean(values: Floats, period: int) -> Floats:
    """Return means of windows, shape (n,); NaN where one of the values is."""
    return total(values, period) / period


def spread(values: Floats, period: int) -> tuple[Floats, Floats]:
    """Return how far each value lies above its window's mean, and the window's deviation.

    Both have shape (n,); the deviation is that of a population.
    """
    above, variance = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for rows in _blocks(len(values), period):
        sums, squares = np.zeros((2, rows.stop - rows.start))
        for back in range(1, period):
            apart = _shifted(values, rows, back) - values[rows]
            sums += apart
            squares += apart * apart
        above[rows] = -sums / period
        variance[rows] = (squares - sums * sums / period) / period
    return above, np.sqrt(np.maximum(variance, 0.0))


def mean_distance(values: Floats, period: int) -> tuple[Floats, Floats]:
    """Return how far each value lies above its window's mean, and the mean absolute deviation."""
    above, distance = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for rows in _blocks(len(values), period):
        centre = _centre(values, rows, period)
        part = np.abs(centre)
        for back in range(1, period):
            part += np.abs(_shifted(values, rows, back) - values[rows] - centre)
        above[rows], distance[rows] = -centre, part / period
    return above, distance


def slope(values: Floats, period: int) -> Floats:
    """Return the slopes of least-squares lines through windows, per row, shape (n,)."""
    slopes = np.full(len(values), np.nan)
    middle = (period - 1) / 2.0
    scale = period * (period * period - 1) / 12.0
    for rows in _blocks(len(values), period):
        part = np.zeros(rows.stop - rows.start)
        for back in range(1, period):
            part += (middle - back) * (_shifted(values, rows, back) - values[rows])
        slopes[rows] = part / scale
    return slopes


def products(left: Floats, right: Floats, period: int) -> tuple[Floats, Floats, Floats]:
    """Return variance of `left`, variance of `right` and their covariance, each of shape (n,)."""
    found = np.full((3, len(left)), np.nan)
    for rows in _blocks(len(left), period):
        one, two, ones, twos, both = np.zeros((5, rows.stop - rows.start))
        for back in range(1, period):
            a = _shifted(left, rows, back) - left[rows]
            b = _shifted(right, rows, back) - right[rows]
            one += a
            two += b
            ones += a * a
            twos += b * b
            both += a * b
        found[0, rows] = np.maximum(ones - one * one / period, 0.0)
        found[1, rows] = np.maximum(twos - two * two / period, 0.0)
        found[2, rows] = both - one * two / period
    found /= period
    return found[0], found[1], found[2]


def highest(values: Floats, period: int) -> Floats:
    """Return the highest value of each window, shape (n,)."""
    return values.copy() if period == 1 else ta.rolling_max(values, period)


def lowest(values: Floats, period: int) -> Floats:
    """Return the lowest value of each window, shape (n,)."""
    return values.copy() if period == 1 else ta.rolling_min(values, period)


def before(values: Floats, rows: int = 1) -> Floats:
    """Return the values of some rows before, shape (n,)."""
    earlier = np.full(len(values), np.nan)
    earlier[rows:] = values[: max(len(values) - rows, 0)]
    return earlier


def _blocks(count: int, period: int) -> Iterator[slice]:
    """Yield the rows that have a whole window behind them, some at a time."""
    for start in range(period - 1, count, _BLOCK):
        yield slice(start, min(start + _BLOCK, count))


def _shifted(values: Floats, rows: slice, back: int) -> Floats:
    return values[rows.start - back : rows.stop - back]


def _centre(values: Floats, rows: slice, period: int) -> Floats:
    """Return the windows' means, measured from the newest value of each."""
    part = np.zeros(rows.stop - rows.start)
    for back in range(1, period):
        part += _shifted(values, rows, back) - values[rows]
    return part / period
