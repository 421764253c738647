"""Where the stop and the target of a long entry go.

The stop is a number of ATR away, but never nearer than a fraction of the price, so that minute
bars do not put it inside their own noise, nor than a few ticks, so that rounding cannot close the
gap. A support a little below the stop pulls it under; a resistance before the target pulls that in
front. When the pulled target pays less than the risk the bracket is `crowded`: it keeps its full
target, so that the setup can still be remembered by what would have come of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roboinvest.core.market.values import Level, LevelKind
from roboinvest.core.orders import SUB_PENNY_TICK, TICK_SIZE
from roboinvest.core.quant.features import DAY_BAR_MIN
from roboinvest.core.quant.observation import Observation

MIN_RISK_TICKS: Final = 3
NUDGE_FRAC: Final = 0.35  # of the risk: how far a support may pull the stop down
CLEARANCE_FRAC: Final = 0.10  # of the risk: kept between a level and our price
AHEAD_FRAC: Final = 0.25  # of the risk: a resistance nearer than this is being tested, not ahead
STRONG_TOUCHES: Final = 4  # a touched level with fewer is no obstacle
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """A long entry's exits; stop < entry < target."""

    entry: float  # USD per share, the last close
    stop: float
    target: float
    reward_r: float  # what the target pays, in units of the risk
    crowded: Level | None  # the resistance that leaves less than the least reward


def plan_bracket(
    observation: Observation,
    *,
    stop_atrs: float,
    stop_floor_frac: float,
    max_risk_frac: float,
    target_r: float,
    min_reward_r: float,
) -> Bracket | None:
    """Return the bracket of an entry at the last close; None where the risk is out of bounds."""
    entry = observation.close
    tick = float(TICK_SIZE if entry >= 1.0 else SUB_PENNY_TICK)
    atr = observation.features["atr_frac"] * entry
    risk = max(stop_atrs * atr, stop_floor_frac * entry, MIN_RISK_TICKS * tick)
    strong = _strong_levels(observation)
    stop = _under_support(entry, risk, strong)
    risk = entry - stop
    if risk > max_risk_frac * entry:
        return None
    target, crowded = entry + target_r * risk, None
    wall = _resistance(entry + AHEAD_FRAC * risk, target, strong)
    if wall is not None:
        pulled = wall.price - CLEARANCE_FRAC * risk
        if pulled - entry >= min_reward_r * risk:
            target = pulled
        else:
            crowded = wall
    return Bracket(
        entry=entry,
        stop=round(stop, _DIGITS),
        target=round(target, _DIGITS),
        reward_r=round((target - entry) / risk, _DIGITS),
        crowded=crowded,
    )


def _strong_levels(observation: Observation) -> list[Level]:
    """Return the levels that count; pivots speak of one day, and do not count on day bars."""
    within_day = observation.features["bar_minutes"] < DAY_BAR_MIN
    return [
        level
        for level in observation.levels
        if level.touches >= STRONG_TOUCHES or (within_day and level.kind is LevelKind.PIVOT)
    ]


def _under_support(entry: float, risk: float, strong: list[Level]) -> float:
    """Return the stop, moved under the lowest support that stands near it."""
    stop, reach = entry - risk, NUDGE_FRAC * risk
    near = [v.price for v in strong if stop - reach <= v.price <= stop + reach]
    if not near:
        return stop
    return min(stop, min(near) - CLEARANCE_FRAC * risk)


def _resistance(low: float, high: float, strong: list[Level]) -> Level | None:
    """Return the lowest level between two prices."""
    between = [v for v in strong if low < v.price < high]
    return min(between, key=lambda level: level.price, default=None)
