"""What an agent reads off itself (memory, lag, a queue) and what it counts (trades, cache hits).

Each is kept beside its own past: what is usual, how far it strays, and how high it has been. A
height fades over weeks, because a market has weekends: what was last seen on Friday is still known
on Monday.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
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
_SLOTS_APART: Final = 41  # more, and two readings are no pair: looks may be 20 min apart, no more
_STEEP_S: Final = 30.0  # half-life of the trend of the last minutes
_LONG_S: Final = 3_600.0  # half-life of the trend of the last hours
_ACCEPTED_S: Final = 600.0  # half-life in which a new height is learned; one reading is no height
_FADES_S: Final = 2 * WEEK_S  # half-life of a height that is not reached again
_YOUNGEST_S: Final = 60.0  # a rate is taken over at least so long

# Places of a gauge's numbers, and of a counter's.
_VALUE: Final = 0
_AT: Final = 1
_LOWEST: Final = 2  # of the slot
_BEFORE: Final = 3  # the same of the slot before; no number: there is none
_SLOT: Final = 4  # no number: it was not read since the process began
_STEEP: Final = 5
_LONG: Final = _STEEP + TREND_SIZE
_USUAL: Final = _LONG + TREND_SIZE
_GAUGE_SIZE: Final = _USUAL + 6
_SHORT: Final = 0
_DAY: Final = 1
_COUNTED_AT: Final = 2
_COUNTER_USUAL: Final = 3
_COUNTER_SIZE: Final = _COUNTER_USUAL + 6
_HALF_LIVES_S: Final = (SHORT_S, DAY_S)  # of the sums, by place
_NONE: Final = float("nan")
# The names, and the numbers of all of them: nothing of it is looked through by the collector.
GaugeRows = tuple[tuple[str, ...], bytes]
CounterRows = tuple[tuple[str, ...], bytes]


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


class _Rows:
    """Figures by name; all in one array."""

    __slots__ = ("_kept", "_places")

    def __init__(self) -> None:
        """Begin without any."""
        self._kept = array("d")
        self._places: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)

    def rows(self) -> tuple[tuple[str, ...], bytes]:
        """Return all that is kept, as it is now."""
        return tuple(self._places), self._kept.tobytes()


class Gauges(_Rows):
    """Figures of an agent that are read now and then, of which more is worse; all in one array."""

    __slots__ = ()

    def read(self, name: str, value: float, at: float) -> None:
        """Take a reading."""
        first = self._place(name, at)
        kept, slot = self._kept, at // _SLOT_S
        known = kept[first + _SLOT]
        if slot == known:
            kept[first + _LOWEST] = min(kept[first + _LOWEST], value)
        else:  # without a number every comparison is false
            is_pair = slot - known <= _SLOTS_APART
            kept[first + _BEFORE] = kept[first + _LOWEST] if is_pair else _NONE
            kept[first + _LOWEST], kept[first + _SLOT] = value, slot
        kept[first + _VALUE], kept[first + _AT] = value, at
        learn_trend(kept, first + _STEEP, _STEEP_S, (value, at))
        learn_trend(kept, first + _LONG, _LONG_S, (value, at))
        learn_usual(kept, first + _USUAL, value, at)

    def history(self, now: float) -> dict[str, Usual]:
        """Return what is usual, by name."""
        places = self._places.items()
        return {name: usual_at(self._kept, first + _USUAL, now) for name, first in places}

    def recall(self, name: str, usual: Usual, now: float, then: float) -> None:
        """Go on from what was usual then."""
        recall_usual(self._kept, self._place(name, now) + _USUAL, usual, then)

    def _place(self, name: str, at: float) -> int:
        first = self._places.get(name)
        if first is None:
            first = self._places[name] = len(self._kept)
            self._kept.frombytes(bytes(8 * _GAUGE_SIZE))
            self._kept[first + _USUAL + _BEGAN] = at
            self._kept[first + _BEFORE] = self._kept[first + _SLOT] = _NONE
        return first


def gauge_signs(rows: GaugeRows, now: float) -> tuple[GaugeSigns, ...]:
    """Return what there is to judge of what was kept at a moment; who was not read is left out."""
    kept = array("d", rows[1])
    found = []
    for place, name in enumerate(rows[0]):
        first = place * _GAUGE_SIZE
        if math.isnan(kept[first + _SLOT]):
            continue
        before, level = kept[first + _BEFORE], None
        if not math.isnan(before) and now - kept[first + _AT] <= STALE_S:
            level = min(before, kept[first + _LOWEST])
        found.append(
            GaugeSigns(
                name,
                kept[first + _VALUE],
                level,
                kept[first + _USUAL + _MEAN],
                kept[first + _USUAL + _SPREAD],
                kept[first + _USUAL + _HIGHEST],
                kept[first + _AT] - kept[first + _USUAL + _BEGAN],
                Slope(*trend(kept, first + _STEEP)),
                Slope(*trend(kept, first + _LONG)),
            )
        )
    return tuple(found)


def heights(rows: GaugeRows) -> Iterator[tuple[str, float, float, float]]:
    """Yield each gauge's name, value, a figure that its level is not above, and its height."""
    kept = array("d", rows[1])
    for place, name in enumerate(rows[0]):
        first = place * _GAUGE_SIZE
        highest = kept[first + _USUAL + _HIGHEST]
        yield name, kept[first + _VALUE], kept[first + _LOWEST], highest


class Counters(_Rows):
    """What an agent brings about, counted; all in one array."""

    __slots__ = ()

    def add(self, name: str, by: float, at: float) -> None:
        """Count."""
        first = self._place(name, at)
        kept = self._kept
        kept[first + _SHORT] = _left(kept, first, _SHORT, at) + by
        kept[first + _DAY] = _left(kept, first, _DAY, at) + by
        kept[first + _COUNTED_AT] = max(at, kept[first + _COUNTED_AT])
        learn_usual(kept, first + _COUNTER_USUAL, _per_hour(kept, first, _SHORT, at), at)

    def history(self, now: float) -> dict[str, tuple[float, Usual]]:
        """Return what is left of a day's sum, and what is usual, by name."""
        kept = self._kept
        return {
            name: (
                short(_left(kept, first, _DAY, now)),
                usual_at(kept, first + _COUNTER_USUAL, now),
            )
            for name, first in self._places.items()
        }

    def recall(self, name: str, total: float, usual: Usual, now: float, then: float) -> None:
        """Go on from what is left now, and from what was usual then."""
        first = self._place(name, now)
        kept = self._kept
        kept[first + _DAY] = _left(kept, first, _DAY, now) + total
        kept[first + _SHORT] = _left(kept, first, _SHORT, now)
        kept[first + _COUNTED_AT] = now
        recall_usual(kept, first + _COUNTER_USUAL, usual, then)

    def _place(self, name: str, at: float) -> int:
        first = self._places.get(name)
        if first is None:
            first = self._places[name] = len(self._kept)
            self._kept.frombytes(bytes(8 * _COUNTER_SIZE))
            self._kept[first + _COUNTED_AT] = self._kept[first + _COUNTER_USUAL + _BEGAN] = at
        return first


def counter_signs(rows: CounterRows, now: float) -> tuple[CounterSigns, ...]:
    """Return what there is to judge of what was kept at a moment."""
    kept = array("d", rows[1])
    return tuple(
        [
            CounterSigns(
                name,
                _left(kept, first, _SHORT, now),
                _per_hour(kept, first, _SHORT, now),
                _per_hour(kept, first, _DAY, now),
                kept[first + _COUNTER_USUAL + _HIGHEST],
                now - kept[first + _COUNTER_USUAL + _BEGAN],
            )
            for first, name in zip(range(0, len(kept), _COUNTER_SIZE), rows[0], strict=True)
        ]
    )


def most_counted(rows: CounterRows) -> float:
    """Return a figure that none of the counters was counted above lately."""
    kept = array("d", rows[1])
    return max(kept[_SHORT::_COUNTER_SIZE], default=0.0)


def _left(kept: array[float], first: int, place: int, now: float) -> float:
    passed = max(now - kept[first + _COUNTED_AT], 0.0)
    return kept[first + place] * math.exp2(-passed / _HALF_LIVES_S[place])


def _per_hour(kept: array[float], first: int, place: int, now: float) -> float:
    """Return the pace; a young sum has not had the time to fill."""
    age, half_life_s = now - kept[first + _COUNTER_USUAL + _BEGAN], _HALF_LIVES_S[place]
    full = half_life_s / LN_2 * (1.0 - math.exp2(-max(age, _YOUNGEST_S) / half_life_s))
    return _left(kept, first, place, now) / full * 3600.0
