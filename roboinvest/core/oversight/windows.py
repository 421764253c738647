"""Numbers that forget: counts of the last minutes, quantiles and trends that fade.

Nothing here counts over a lifetime: an agent that failed a thousand times last month and not since
is well. Each thing is told the time in seconds that never run backwards, of one clock throughout;
a time that lies a little in the past is taken as the newest one known.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

SLOT_S: Final = 30.0
MINUTES: Final = 10  # that counts are kept of
_A_MINUTE: Final = 2  # slots
_SLOTS: Final = MINUTES * _A_MINUTE
_WELL: Final = 2 * _SLOTS  # where their sums lie
_FAILED: Final = _WELL + 1
SHORT_S: Final = 600.0  # half-life of what is shown as now
DAY_S: Final = 86_400.0  # half-life of an agent's own history
WEEK_S: Final = 7 * DAY_S

LEAST_S: Final = 1e-4  # latencies below count as this one
GROWTH: Final = 1.2  # from one bucket to the next
BUCKETS: Final = 96  # up to 4,000 s; what is longer counts as that
RELATIVE_ERROR: Final = 0.0955  # sqrt(GROWTH) - 1: how far a quantile may be off within the range
_PER_LOG: Final = 5.484814947  # 1 / ln(GROWTH)
_RESCALE_AFTER: Final = 64.0  # half-lives
_MIDDLES: Final = tuple(LEAST_S * GROWTH ** (bucket + 0.5) for bucket in range(BUCKETS))

LN_2: Final = 0.6931471805599453
# Many small numbers lie in one array: as attributes they would weigh three times as much.
TREND_SIZE: Final = 7


class MinuteCounts:
    """How many calls went well and how many failed in the last minutes, by the half; exact."""

    __slots__ = ("_counts", "_slot")

    def __init__(self) -> None:
        """Begin with none."""
        self._counts = array("I", bytes(4 * (2 * _SLOTS + 2)))  # well, failed, and their sums
        self._slot = 0

    def add(self, at: float, *, failed: bool) -> None:
        """Count a call."""
        self._turn(int(at // SLOT_S))
        self._counts[self._slot % _SLOTS + (_SLOTS if failed else 0)] += 1
        self._counts[_FAILED if failed else _WELL] += 1

    def read(self, now: float, minutes: int) -> tuple[int, int]:
        """Return the calls and the failures of the last minutes, up to half a minute less."""
        self._turn(int(now // SLOT_S))
        counts = self._counts
        if minutes >= MINUTES:
            return counts[_WELL] + counts[_FAILED], counts[_FAILED]
        slots = [(self._slot - back) % _SLOTS for back in range(minutes * _A_MINUTE)]
        failed = sum([counts[slot + _SLOTS] for slot in slots])
        return sum([counts[slot] for slot in slots]) + failed, failed

    def _turn(self, slot: int) -> None:
        """Empty the slots that have passed since."""
        if slot <= self._slot:
            return
        counts = self._counts
        for passed in range(min(slot - self._slot, _SLOTS)):
            place = (slot - passed) % _SLOTS
            counts[_WELL] -= counts[place]
            counts[_FAILED] -= counts[place + _SLOTS]
            counts[place] = counts[place + _SLOTS] = 0
        self._slot = slot


class Fading:
    """A sum of which half is gone after each half-life."""

    __slots__ = ("_at", "_half_life_s", "_sum")

    def __init__(self, half_life_s: float, at: float) -> None:
        """Begin at zero."""
        self._half_life_s = half_life_s
        self._at = at
        self._sum = 0.0

    def add(self, by: float, at: float) -> None:
        """Add to the sum."""
        self._sum = self.read(at) + by
        self._at = max(at, self._at)

    def read(self, now: float) -> float:
        """Return what is left of the sum."""
        passed = now - self._at
        return self._sum if passed <= 0 else self._sum * math.exp2(-passed / self._half_life_s)


class Latencies:
    """Quantiles of seconds: a histogram of which half is gone after each half-life.

    The buckets grow by `GROWTH`, so a quantile is within `RELATIVE_ERROR` of a value that lies at
    that rank, between `LEAST_S` and 4,000 s. A new observation weighs more instead of the old ones
    less: one addition for each, and nothing to be aged.
    """

    __slots__ = ("_first", "_half_life_s", "_last", "_origin", "_weights")

    def __init__(self, half_life_s: float, at: float) -> None:
        """Begin with none."""
        self._half_life_s = half_life_s
        self._origin = at
        self._weights = array("d", bytes(8 * BUCKETS))
        self._first, self._last = BUCKETS, -1  # buckets outside are empty: most of them

    def add(self, seconds: float, at: float) -> None:
        """Take an observation."""
        ages = (at - self._origin) / self._half_life_s
        if ages > _RESCALE_AFTER:
            self._rescale(at, ages)
            ages = 0.0
        bucket = int(math.log(seconds / LEAST_S) * _PER_LOG) if seconds > LEAST_S else 0
        bucket = min(bucket, BUCKETS - 1)
        self._weights[bucket] += 2.0**ages
        if not self._first <= bucket <= self._last:
            self._first, self._last = min(self._first, bucket), max(self._last, bucket)

    def weight(self, now: float) -> float:
        """Return how many observations are left, each counted by what is left of it."""
        ages = (now - self._origin) / self._half_life_s
        return sum(self._filled()) * math.exp2(-min(ages, 1000.0))

    def quantiles(self, *parts: float) -> tuple[float, ...]:
        """Return the seconds at each part of (0, 1]; zeros where nothing was observed."""
        running = list(accumulate(self._filled()))
        if not running or running[-1] <= 0.0:
            return (0.0,) * len(parts)
        whole, most = running[-1], len(running) - 1
        places = [min(bisect_left(running, part * whole), most) for part in parts]
        return tuple([_MIDDLES[self._first + place] for place in places])

    def shares(self, now: float) -> tuple[tuple[int, float], ...]:
        """Return what is left in each bucket that is not empty."""
        ages = (now - self._origin) / self._half_life_s
        left = math.exp2(-min(ages, 1000.0))
        filled = enumerate(self._filled(), start=self._first)
        return tuple((bucket, weight * left) for bucket, weight in filled if weight * left > 1e-6)

    def add_shares(self, shares: Iterable[tuple[int, float]], at: float) -> None:
        """Take what was left of observations at a moment, by bucket."""
        more = 2.0 ** min((at - self._origin) / self._half_life_s, _RESCALE_AFTER)
        for bucket, weight in shares:
            self._weights[bucket] += weight * more
            self._first, self._last = min(self._first, bucket), max(self._last, bucket)

    def _filled(self) -> array[float]:
        return self._weights[self._first : self._last + 1]

    def _rescale(self, at: float, ages: float) -> None:
        factor = 2.0 ** -min(ages, 1000.0)
        self._weights = array("d", (weight * factor for weight in self._weights))
        self._origin = at


def learn_trend(
    kept: array[float], first: int, half_life_s: float, reading: tuple[float, float]
) -> None:
    """Draw a straight line through what was observed; what is older counts less.

    Args:
        kept: where its `TREND_SIZE` numbers lie among others; zeros before the first reading.
        first: the place of the first of them.
        half_life_s: of a reading.
        reading: the value, and when it was read.
    """
    # weight, time, mean time, mean value, and the sums of squares: time, both, value
    n, last, mean_t, mean_x, tt, tx, xx = kept[first : first + TREND_SIZE]
    value, at = reading
    fade = math.exp2(-max(at - last, 0.0) / half_life_s) if n else 0.0
    n = n * fade + 1.0
    early, below = at - mean_t, value - mean_x
    mean_t += early / n
    mean_x += below / n
    tt = tt * fade + early * (at - mean_t)
    tx = tx * fade + early * (value - mean_x)
    xx = xx * fade + below * (value - mean_x)
    kept[first : first + TREND_SIZE] = array("d", (n, at, mean_t, mean_x, tt, tx, xx))


def trend(kept: array[float], first: int) -> tuple[float, float]:
    """Return the change a second and how well the line fits: r squared; zeros if unknown."""
    n, tt, tx, xx = kept[first], kept[first + 4], kept[first + 5], kept[first + 6]
    if n < 2.0 or tt <= 0.0 or xx <= 0.0:
        return 0.0, 0.0
    slope = tx / tt
    return slope, min(slope * tx / xx, 1.0)
