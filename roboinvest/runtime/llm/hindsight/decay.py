"""How much of a result is left where a model cannot remember: the decay ratio.

    decay = 1 - S(without memory) / S(with memory)

S is the mean of a run's returns per tick over their standard deviation: not annualised, which
cancels, and 0 where nothing was ever held. After and before the cut-off it is the figure of "Profit
Mirage" (arXiv 2510.07920); on disguised and on true inputs of the same days it needs no days after
the cut-off. 0: nothing is lost; 1: the whole result was memory; more: it turned into a loss.

The interval is that of a bootstrap over whole sessions, because the ticks of one are not
independent; days that both runs lived are drawn together. What few sessions say is not said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_SESSIONS: Final = 10  # on either side
RESAMPLES: Final = 2_000
LEVEL: Final = 0.95
_MOST_UNCLEAR: Final = 0.025  # of the resamples, in which the result with memory is not above zero
_STILL: Final = 1e-12  # a deviation per tick below this is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """One decay ratio, or why there is none."""

    value: float | None
    low: float | None  # 95 % interval
    high: float | None
    sessions_with: int  # on the side where the model may remember
    sessions_without: int
    text: str


def ratio(returns: Floats) -> float | None:
    """Return mean over sample deviation; 0 where nothing moved, None below two returns."""
    return _ratio_of(np.array([len(returns), returns.sum(), (returns * returns).sum()]))


def decay(
    with_memory: list[Floats],
    without: list[Floats],
    *,
    paired: bool,
    chance: np.random.Generator,
) -> Decay:
    """Return the decay from one side to the other.

    Args:
        with_memory: returns per tick, one array for each session, oldest first.
        without: the same for the side where nothing can be remembered.
        paired: the sessions of both sides are the same days, in order.
        chance: draws the resamples.
    """
    sides = (len(with_memory), len(without))
    if min(sides) < MIN_SESSIONS:
        return _unsaid(
            sides, f"too few: {sides[0]} and {sides[1]} sessions, {MIN_SESSIONS} each are needed"
        )
    base, other = _sums(with_memory), _sums(without)
    n = f"{sides[0]} and {sides[1]} sessions"
    if paired and np.array_equal(base, other):
        return _said(0.0, 0.0, 0.0, sides, f"+0.00: both earned the same at every tick ({n})")
    kept, left = _ratio_of(base.sum(axis=0)), _ratio_of(other.sum(axis=0))
    drawn = _resampled(base, other, paired=paired, chance=chance)
    if kept is None or left is None or kept <= 0.0 or drawn is None:
        return _unsaid(sides, f"none: no gain that is clearly above zero could decay ({n})")
    low, high = (float(each) for each in np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    value = 1.0 - left / kept
    text = f"{value:+.2f}, 95 % interval {low:+.2f} to {high:+.2f} ({n})"
    return _said(value, low, high, sides, text)


def _resampled(
    base: Floats, other: Floats, *, paired: bool, chance: np.random.Generator
) -> Floats | None:
    """Return the decay of each resample; None where too many have no gain to begin with."""
    rows = chance.integers(len(base), size=(RESAMPLES, len(base)))
    others = rows if paired else chance.integers(len(other), size=(RESAMPLES, len(other)))
    kept = np.array([_ratio_of(each) or 0.0 for each in base[rows].sum(axis=1)])
    left = np.array([_ratio_of(each) or 0.0 for each in other[others].sum(axis=1)])
    clear = kept > 0.0
    if 1.0 - clear.mean() > _MOST_UNCLEAR:
        return None
    drawn: Floats = 1.0 - left[clear] / kept[clear]
    return drawn


def _sums(sessions: list[Floats]) -> Floats:
    """Return count, sum and sum of squares of each session's returns, shape (n, 3)."""
    return np.array([[len(r), r.sum(), (r * r).sum()] for r in sessions], dtype=np.float64)


def _ratio_of(sums: Floats) -> float | None:
    count, total, squares = (float(each) for each in sums)
    if count < 2:
        return None
    variance = max(squares - total * total / count, 0.0) / (count - 1)
    deviation = math.sqrt(variance)
    return 0.0 if deviation < _STILL else total / count / deviation


def _said(value: float, low: float, high: float, sides: tuple[int, int], text: str) -> Decay:
    return Decay(
        value=value,
        low=low,
        high=high,
        sessions_with=sides[0],
        sessions_without=sides[1],
        text=text,
    )


def _unsaid(sides: tuple[int, int], text: str) -> Decay:
    return Decay(
        value=None,
        low=None,
        high=None,
        sessions_with=sides[0],
        sessions_without=sides[1],
        text=text,
    )
