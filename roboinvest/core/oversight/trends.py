"""Does a figure rise, fall or stand: slopes and differences with their intervals, or "too few".

A slope is the median of the slopes of all pairs of points (Theil 1950), its interval that of Sen
(1968, "Estimates of the regression coefficient based on Kendall's tau", JASA 63): a few wild hours
move neither. A difference is that of two means, with Welch's interval. Hours follow each other, so
variances are widened by what each value keeps of the one before, (1 + r) / (1 - r). Over 1,000 and
more simulated series of each kind the 95 % intervals of slopes held the truth in 94 to 96 % without
memory, and where each value keeps 0.3 of the one before in 92 % (8 points) to 94 % (24 and more);
those of differences in 96 to 97 %, and in 93 to 94 % (6 to 72 points a side).
Nothing is said of few points, and the result then says how many there were and how many it takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.statistics.samples import finite, noise

FEWEST_POINTS: Final = 8  # of a slope
FEWEST_EACH: Final = 6  # values on each side of a difference
_Z_95: Final = 1.959963984540054
_MOST_POINTS: Final = 2_000  # four million pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How a figure changes with time; all None where nothing can be said, and why."""

    per_day: float | None  # change of the figure a day
    low: float | None  # of the 95 % interval
    high: float | None
    n: int  # points
    reason: str  # "" where there is a figure

    @property
    def word(self) -> str:
        """Return "rises", "falls", "no trend seen", or why nothing can be said."""
        if self.low is None or self.high is None:
            return self.reason
        if self.low > 0.0:
            return "rises"
        return "falls" if self.high < 0.0 else "no trend seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a mean became; the change is None where nothing can be said, and why."""

    before: float | None  # mean
    after: float | None
    change: float | None  # after minus before
    low: float | None  # of the 95 % interval of the change
    high: float | None
    n_before: int
    n_after: int
    reason: str  # "" where there is a figure

    @property
    def is_seen(self) -> bool:
        """Return whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and not self.low <= 0.0 <= self.high


def trend(hours: Sequence[float] | Floats, values: Sequence[float] | Floats) -> Trend:
    """Return how values change with time.

    Args:
        hours: (n,), when each was taken, in hours from any instant; in any order.
        values: (n,)

    Raises:
        BadInput: a number is not finite, or the two are of different length.
    """
    t, x = finite(hours, "Hour"), finite(values)
    if len(t) != len(x):
        raise BadInput(f"{len(t)} times and {len(x)} values; give one time for each value")
    if len(x) > _MOST_POINTS:
        newest = np.argsort(t, kind="stable")[-_MOST_POINTS:]
        t, x = t[newest], x[newest]
    n = len(x)
    if n < FEWEST_POINTS:
        return _no_trend(n, f"too few: {_points(n)}, and a trend takes {FEWEST_POINTS}")
    order = np.argsort(t, kind="stable")
    t, x = t[order], x[order]
    first, second = np.triu_indices(n, 1)
    apart = t[second] - t[first]
    used = apart > 0.0
    slopes = np.sort((x[second] - x[first])[used] / apart[used])
    if len(slopes) < FEWEST_POINTS:
        return _no_trend(n, "too few: the points are of one moment")
    slope = float(np.median(slopes))
    spread = _Z_95 * math.sqrt(_kendall_variance(t, x) * _memory(x - slope * t))
    low, high = _ranked(slopes, spread)
    return Trend(per_day=24.0 * slope, low=24.0 * low, high=24.0 * high, n=n, reason="")


def difference(before: Sequence[float] | Floats, after: Sequence[float] | Floats) -> Difference:
    """Return what the mean of a figure became, with the 95 % interval of its change.

    Both sides are in the order of time.

    Raises:
        BadInput: a value is not finite.
    """
    old, new = finite(before), finite(after)
    means = [float(np.mean(x)) if len(x) else None for x in (old, new)]
    counts = {"n_before": len(old), "n_after": len(new)}
    fewest = min(len(old), len(new))
    if fewest < FEWEST_EACH or means[0] is None or means[1] is None:
        side = "before" if len(old) == fewest else "after"
        return Difference(
            before=means[0],
            after=means[1],
            change=None,
            low=None,
            high=None,
            reason=f"too few: {_points(fewest)} {side}, and a comparison takes {FEWEST_EACH}",
            **counts,
        )
    change, reach = means[1] - means[0], _reach(old, new)
    return Difference(
        before=means[0],
        after=means[1],
        change=change,
        low=change - reach,
        high=change + reach,
        reason="",
        **counts,
    )


def _reach(old: Floats, new: Floats) -> float:
    """Return half the width of the 95 % interval of a difference of means."""
    parts = []
    for x in (old, new):
        effective = max(len(x) / _memory(x), 3.0)
        spread = float(np.var(x, ddof=1)) if float(np.std(x)) > float(noise(x)) else 0.0
        parts.append((spread / effective, effective - 1.0))
    variance = sum(part for part, _ in parts)
    if variance <= 0.0:
        return 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return _t_quantile(freedom) * math.sqrt(variance)


def _t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t by its expansion (Abramowitz, Stegun 26.7.5).

    Within 1 % from 2 degrees of freedom on; fewer count as 2.
    """
    z, v = _Z_95, max(freedom, 2.0)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + g1 / v + g2 / v**2 + g3 / v**3 + g4 / v**4


def _kendall_variance(t: Floats, x: Floats) -> float:
    """Return the variance of Kendall's S, ties of either side taken out (Sen 1968, eq. 2.6)."""
    n = len(x)
    whole = float(n * (n - 1) * (2 * n + 5))
    for side in (t, x):
        ties = np.unique(side, return_counts=True)[1].astype(np.float64)
        whole -= float(np.sum(ties * (ties - 1) * (2 * ties + 5)))
    return max(whole, 0.0) / 18.0


def _memory(residuals: Floats) -> float:
    """Return by how much the variance grows because values follow the one before; 1 at least."""
    centred = residuals - np.mean(residuals)
    power = float(centred @ centred)
    if power <= 0.0:
        return 1.0
    n = len(centred)
    kept = float(centred[1:] @ centred[:-1]) / power + 2.0 / n  # the estimate falls short of it
    kept = min(max(kept, 0.0), 0.9) if kept > 1.0 / math.sqrt(n) else 0.0
    return (1.0 + kept) / (1.0 - kept)


def _ranked(slopes: Floats, spread: float) -> tuple[float, float]:
    """Return the slopes `spread` / 2 ranks below and above the middle."""
    last = len(slopes) - 1
    low = int(max(math.floor((len(slopes) - spread) / 2.0), 0))
    high = int(min(math.ceil((len(slopes) + spread) / 2.0), last))
    return float(slopes[low]), float(slopes[high])


def _no_trend(n: int, reason: str) -> Trend:
    return Trend(per_day=None, low=None, high=None, n=n, reason=reason)


def _points(n: int) -> str:
    return f"{n} point" if n == 1 else f"{n} points"
