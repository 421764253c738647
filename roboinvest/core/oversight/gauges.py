"""What an agent reads off itself (memory, lag, a queue) and what it counts (trades, cache hits).

Each is kept beside its own past: what is usual, how far it strays, and how high it has been. A
height fades over weeks, because a market has weekends: what was last seen on Friday is still known
on Monday.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Final

from roboinvest.core.oversight.history import Usual, short
from roboinvest.core.oversight.windows import (
    DAY_S,
    LN_2,
    SHORT_S,
    TREND_SIZE,
    WEEK_S,
    learn_trend,
    trend,
)

STALE_S: Final = 300.0  # a gauge that was not read for so long says nothing
_SLOT_S: Final = 30.0
_SLOTS_APART: Final = 4  # more, and the two readings are no pair
_STEEP_S: Final = 30.0  # half-life of the trend of the last minutes
_LONG_S: Final = 3_600.0  # half-life of the trend of the last hours
_ACCEPTED_S: Final = 600.0  # half-life in which a new height is learned; one reading is no height
_FADES_S: Final = 2 * WEEK_S  # half-life of a height that is not reached again
_YOUNGEST_S: Final = 60.0  # a rate is taken over at least so long

# Places of a gauge's numbers, and of a counter's.
_VALUE: Final = 0
_AT: Final = 1
_LOWEST: Final = 2
_STEEP: Final = 3
_LONG: Final = _STEEP + TREND_SIZE
_USUAL: Final = _LONG + TREND_SIZE
_GAUGE_SIZE: Final = _USUAL + 6
_SHORT: Final = 0
_DAY: Final = 1
_COUNTED_AT: Final = 2
_COUNTER_USUAL: Final = 3


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the readings of some time."""

    per_s: float
    fit: float  # r squared, 0..1


@dataclass(frozen=True, slots=True)
class GaugeSigns:
    """A gauge at one moment."""

    name: str
    value: float  # as it was read last
    level: float | None  # what it did not fall below lately; None: read once, or long ago
    usual: float  # mean of about a day
    spread: float  # mean absolute deviation of about a day
    highest: float  # of the last weeks, which follows a new height with some delay
    known_s: float  # for how long it has been read
    steep: Slope  # over the last minutes
    long: Slope  # over the last hours


@dataclass(frozen=True, slots=True)
class CounterSigns:
    """A counter at one moment."""

    name: str
    lately: float  # counted in about ten minutes, the older the less
    per_hour: float  # at the pace of about ten minutes
    usual_per_hour: float  # at that of about a day
    highest_per_hour: float  # of the last weeks, which follows a new height with some delay
    known_s: float


# What is usual: weight, time, mean, mean absolute deviation, height, beginning.
USUAL_SIZE: Final = 6
_MEAN: Final = 2
_SPREAD: Final = 3
_HIGHEST: Final = 4
_BEGAN: Final = 5


def learn_usual(kept: array[float], first: int, value: float, at: float) -> None:
    """Let mean, spread and height of a figure follow it slowly.

    In its first week every height counts at once; later it has to last, or to come again.

    Args:
        kept: where its `USUAL_SIZE` numbers lie among others; zeros, but for the beginning.
        first: the place of the first of them.
        value: observed.
        at: when.
    """
    n, last, mean, spread, highest, began = kept[first : first + USUAL_SIZE]
    passed = max(at - last, 0.0) if n else 0.0
    n = n * math.exp2(-passed / DAY_S) + 1.0
    off = value - mean
    mean += off / n
    spread += (abs(off) - spread) / n if n > 1.0 else 0.0
    if value < highest and n > 1.0:
        if highest > mean:
            highest = mean + (highest - mean) * math.exp2(-passed / _FADES_S)
    elif at - began < WEEK_S or n <= 1.0:
        highest = value
    else:
        highest += (value - highest) * (1.0 - math.exp2(-passed / _ACCEPTED_S))
    kept[first : first + USUAL_SIZE] = array("d", (n, at, mean, spread, highest, began))


def usual_at(kept: array[float], first: int, now: float) -> Usual:
    """Return the `USUAL_SIZE` numbers of what is usual, their times as ages."""
    n, last, mean, spread, highest, began = kept[first : first + USUAL_SIZE]
    figures = (n, now - last if n else 0.0, mean, spread, highest, now - began)
    n, age, mean, spread, highest, known = map(short, figures)
    return n, age, mean, spread, highest, known


def recall_usual(kept: array[float], first: int, usual: Usual, now: float) -> None:
    """Put what was usual in its place, as `usual_at` returned it at `now`, or at an earlier one."""
    n, age, mean, spread, highest, known = usual
    kept[first : first + USUAL_SIZE] = array(
        "d", (n, now - age, mean, spread, highest, now - known)
    )


class Gaps:
    """The time between one sign of progress and the next."""

    __slots__ = ("_kept", "count")

    def __init__(self, at: float) -> None:
        """Begin without one."""
        self._kept = array("d", (0.0,) * (USUAL_SIZE - 1) + (at,))
        self.count = 0

    @property
    def longest_s(self) -> float:
        """Return the longest of about a week, seconds."""
        return self._kept[_HIGHEST]

    def history(self, now: float) -> Usual:
        """Return what is usual."""
        return usual_at(self._kept, 0, now)

    def recall(self, count: int, usual: Usual, now: float) -> None:
        """Go on from what was usual."""
        self.count += count
        recall_usual(self._kept, 0, usual, now)

    def learn(self, seconds: float, at: float) -> None:
        """Take one that ended."""
        self.count += 1
        learn_usual(self._kept, 0, seconds, at)


class Gauge:
    """A figure that is read now and then, of which more is worse."""

    __slots__ = ("_kept", "_lowest_before", "_slot")

    def __init__(self, at: float) -> None:
        """Begin without a reading."""
        self._kept = array("d", bytes(8 * _GAUGE_SIZE))
        self._kept[_USUAL + _BEGAN] = at
        self._lowest_before: float | None = None
        self._slot: int | None = None

    def read(self, value: float, at: float) -> None:
        """Take a reading."""
        kept, slot = self._kept, int(at // _SLOT_S)
        if slot == self._slot:
            kept[_LOWEST] = min(kept[_LOWEST], value)
        else:
            is_pair = self._slot is not None and slot - self._slot <= _SLOTS_APART
            self._lowest_before = kept[_LOWEST] if is_pair else None
            kept[_LOWEST], self._slot = value, slot
        kept[_VALUE], kept[_AT] = value, at
        learn_trend(kept, _STEEP, _STEEP_S, (value, at))
        learn_trend(kept, _LONG, _LONG_S, (value, at))
        learn_usual(kept, _USUAL, value, at)

    @property
    def is_read(self) -> bool:
        """Return whether it was read since the process began."""
        return self._slot is not None

    def history(self, now: float) -> Usual:
        """Return what is usual."""
        return usual_at(self._kept, _USUAL, now)

    def recall(self, usual: Usual, now: float) -> None:
        """Go on from what was usual."""
        recall_usual(self._kept, _USUAL, usual, now)

    def signs(self, name: str, now: float) -> GaugeSigns:
        """Return what there is to judge."""
        before, kept = self._lowest_before, self._kept
        level = None
        if before is not None and now - kept[_AT] <= STALE_S:
            level = min(before, kept[_LOWEST])
        return GaugeSigns(
            name,
            kept[_VALUE],
            level,
            kept[_USUAL + _MEAN],
            kept[_USUAL + _SPREAD],
            kept[_USUAL + _HIGHEST],
            kept[_AT] - kept[_USUAL + _BEGAN],
            Slope(*trend(kept, _STEEP)),
            Slope(*trend(kept, _LONG)),
        )


class Counter:
    """Something that an agent brings about, counted."""

    __slots__ = ("_kept",)

    def __init__(self, at: float) -> None:
        """Begin at zero."""
        self._kept = array("d", (0.0, 0.0, at) + (0.0,) * (USUAL_SIZE - 1) + (at,))

    def add(self, by: float, at: float) -> None:
        """Count."""
        kept = self._kept
        kept[_SHORT] = self._left(_SHORT, SHORT_S, at) + by
        kept[_DAY] = self._left(_DAY, DAY_S, at) + by
        kept[_COUNTED_AT] = max(at, kept[_COUNTED_AT])
        learn_usual(kept, _COUNTER_USUAL, self._per_hour(_SHORT, SHORT_S, at), at)

    def history(self, now: float) -> tuple[float, Usual]:
        """Return what is left of a day's sum, and what is usual."""
        return short(self._left(_DAY, DAY_S, now)), usual_at(self._kept, _COUNTER_USUAL, now)

    def recall(self, total: float, usual: Usual, now: float, then: float) -> None:
        """Go on from what is left now, and from what was usual then."""
        self._kept[_DAY] = self._left(_DAY, DAY_S, now) + total
        self._kept[_SHORT] = self._left(_SHORT, SHORT_S, now)
        self._kept[_COUNTED_AT] = now
        recall_usual(self._kept, _COUNTER_USUAL, usual, then)

    def signs(self, name: str, now: float) -> CounterSigns:
        """Return what there is to judge."""
        return CounterSigns(
            name,
            self._left(_SHORT, SHORT_S, now),
            self._per_hour(_SHORT, SHORT_S, now),
            self._per_hour(_DAY, DAY_S, now),
            self._kept[_COUNTER_USUAL + _HIGHEST],
            now - self._kept[_COUNTER_USUAL + _BEGAN],
        )

    def _left(self, place: int, half_life_s: float, now: float) -> float:
        passed = max(now - self._kept[_COUNTED_AT], 0.0)
        return self._kept[place] * math.exp2(-passed / half_life_s)

    def _per_hour(self, place: int, half_life_s: float, now: float) -> float:
        """Return the pace; a young sum has not had the time to fill."""
        age = max(now - self._kept[_COUNTER_USUAL + _BEGAN], _YOUNGEST_S)
        full = half_life_s / LN_2 * (1.0 - math.exp2(-age / half_life_s))
        return self._left(place, half_life_s, now) / full * 3600.0
