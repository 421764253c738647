"""Intervals of a backtest's figures, by the stationary bootstrap.

Those of the Sharpe ratio, the win rate and the expectancy are percentile intervals (Efron 1979):
quantiles of the figure over resamples. Over 2,000 simulated series of each kind, whose truth is
known, the 95 % interval of the Sharpe ratio held it in 93 to 94 % without memory, fat tails or not,
in 93 % where each return keeps 0.1 of the one before, and in 90 % (one year of days) to 94 % (ten)
where it keeps 0.3. In a smaller trial, 400 series of each kind, bias-corrected intervals did no
better and studentised ones gained up to three points where there was memory; neither is offered.

The interval of the drawdown is another kind of statement. A track has one drawdown, and the band
says where that of a new track of the same source would lie: it knows both that the source is known
from one series only, and that a new series is another draw (`foretell`). Of simulated new tracks 91
to 96 % kept to the 95 % band. It need not hold the drawdown that was.

A figure is None where resampling cannot speak: fewer than `FEWEST` values, or values without
variation. Ten wins of ten are no proof of a win rate of 1, and the bootstrap would say so: the
Wilson interval of `core.performance` is the one to show there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.performance import PERIODS_PER_YEAR
from roboinvest.core.statistics.bootstrap import Statistic, block_length, foretell, resample
from roboinvest.core.statistics.samples import finite, noise, sharpe_rows

FEWEST: Final = 10  # values below which resampling says too little
SAMPLES: Final = 2_000
LEVEL: Final = 0.95
_DEFINED: Final = 0.9  # share of resamples that must have the figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and where it could lie."""

    value: float  # of the series itself
    low: float
    high: float
    level: float  # 0.95: 95 of 100 such intervals hold the truth, see the head of this file
    samples: int  # resamples in which the figure was defined
    block: float  # mean block length, in values


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """The intervals that a report shows; None where there is none to give."""

    sharpe: Interval | None  # annualised
    max_drawdown: Interval | None  # fraction from the peak, positive; see `drawdown_band`
    win_rate: Interval | None  # share of round trips; one that broke even did not win
    expectancy: Interval | None  # mean profit of a round trip, in the unit of the profits


def sharpe_statistic(periods_per_year: int = PERIODS_PER_YEAR) -> Statistic:
    """Return the annualised Sharpe ratio of each row of returns."""
    scale = math.sqrt(periods_per_year)
    return lambda rows: scale * sharpe_rows(rows)


def drawdown_statistic(rows: Floats) -> Floats:
    """Return the deepest fall from a peak of each row of returns, the capital before included."""
    curve = np.cumprod(1.0 + rows, axis=-1)
    peaks = np.maximum(np.maximum.accumulate(curve, axis=-1), 1.0)
    deepest: Floats = np.maximum(0.0, np.max(1.0 - curve / peaks, axis=-1))
    return deepest


def win_rate_statistic(rows: Floats) -> Floats:
    """Return the share of each row that is above 0."""
    share: Floats = np.mean(rows > 0.0, axis=-1)
    return share


def mean_statistic(rows: Floats) -> Floats:
    """Return the mean of each row."""
    mean: Floats = np.mean(rows, axis=-1)
    return mean


def interval(
    values: Sequence[float] | Floats,
    statistic: Statistic,
    rng: Generator,
    *,
    level: float = LEVEL,
    samples: int = SAMPLES,
    block: float | None = None,
) -> Interval | None:
    """Return the percentile interval of a statistic; `block` None: chosen from the values.

    None below `FEWEST` values, where they do not vary, and where the statistic is not defined for
    them or for more than one resample in ten.

    Raises:
        BadInput: a value is not finite, the level is not between 0 and 1, or no resamples.
    """
    _check_level(level)
    x = finite(values)
    if not _speaks(x):
        return None
    used = block_length(x) if block is None else block
    found = resample(x, statistic, samples=samples, block=used, rng=rng)
    return _between(float(statistic(x[None, :])[0]), found, level, used)


def drawdown_band(
    returns: Sequence[float] | Floats,
    rng: Generator,
    *,
    periods: int | None = None,
    level: float = LEVEL,
    samples: int = SAMPLES,
) -> Interval | None:
    """Return where the deepest drawdown of a new track of `periods` would lie, None: as long.

    `value` is the drawdown of `returns` themselves. Returns are simple, in the order of time. None
    as for `interval`.

    Raises:
        BadInput: a return is not finite or below -1, the level is not between 0 and 1, or there
            are no periods or no resamples.
    """
    _check_level(level)
    r = finite(returns, "Return")
    if len(r) and float(np.min(r)) < -1.0:
        raise BadInput(
            f"Return {int(np.argmin(r))} is {float(np.min(r))}, and nothing can lose more than all "
            "of itself (-1); give simple returns as fractions."
        )
    length = len(r) if periods is None else periods
    if length < 1 and len(r):
        raise BadInput(f"A track of {length} periods has no drawdown; give 1 or more.")
    if not _speaks(r):
        return None
    block = block_length(r)
    found = foretell(r, drawdown_statistic, length=length, samples=samples, block=block, rng=rng)
    return _between(float(drawdown_statistic(r[None, :])[0]), found, level, block)


def intervals(
    returns: Sequence[float] | Floats,
    profits: Sequence[float] | Floats,
    rng: Generator,
    *,
    level: float = LEVEL,
    samples: int = SAMPLES,
    periods_per_year: int = PERIODS_PER_YEAR,
) -> Intervals:
    """Return the intervals of a run: of its returns per period, and its profits per round trip.

    Both are in the order of time. Returns are simple and above -1.

    Raises:
        BadInput: a value is not finite, or the level or the number of resamples is wrong.
    """

    def of(values: Sequence[float] | Floats, statistic: Statistic) -> Interval | None:
        return interval(values, statistic, rng, level=level, samples=samples)

    return Intervals(
        sharpe=of(returns, sharpe_statistic(periods_per_year)),
        max_drawdown=drawdown_band(returns, rng, level=level, samples=samples),
        win_rate=of(profits, win_rate_statistic),
        expectancy=of(profits, mean_statistic),
    )


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise BadInput(f"The level of an interval is {level}, not between 0 and 1; give 0.95, say.")


def _speaks(x: Floats) -> bool:
    """Return whether there is enough in the values to resample."""
    return len(x) >= FEWEST and float(np.std(x)) > float(noise(x))


def _between(value: float, found: Floats, level: float, block: float) -> Interval | None:
    known = found[np.isfinite(found)]
    if math.isnan(value) or len(known) < _DEFINED * len(found) or np.ptp(known) == 0.0:
        return None
    low, high = np.quantile(known, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return Interval(
        value=value, low=float(low), high=float(high), level=level, samples=len(known), block=block
    )
