"""Price levels: the classic floor pivots, and prices at which the market turned before.

A swing point is the extreme of `2 * SWING + 1` bars, so it is known only `SWING` bars after it
happened: the newest bars of a window never are one. Swing points that lie within `width` of the
lowest of them form one level, which bounds how far a level can smear; its touches are counted.
Deliberately absent: drawn trend lines and volume profiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.values import Level, LevelKind
from roboinvest.core.quant.indicators import rolling_max

SWING: Final = 5  # bars on either side of a swing point
MIN_TOUCHES: Final = 2
EACH_SIDE: Final = 3  # touched levels kept below and above the price, nearest first
_DIGITS: Final = 6


def floor_pivots(high: float, low: float, close: float) -> tuple[Level, ...]:
    """Return S3 to R3 of the classic floor-trader formula from the previous session's prices."""
    pivot = (high + low + close) / 3.0
    span = high - low
    prices = (
        ("S3", low - 2.0 * (high - pivot)),
        ("S2", pivot - span),
        ("S1", 2.0 * pivot - high),
        ("P", pivot),
        ("R1", 2.0 * pivot - low),
        ("R2", pivot + span),
        ("R3", high + 2.0 * (pivot - low)),
    )
    return tuple(
        Level(name=name, kind=LevelKind.PIVOT, price=round(price, _DIGITS), touches=0)
        for name, price in prices
    )


def swing_highs(values: Floats) -> Floats:
    """Return the values that no other within `SWING` rows exceeds, oldest first.

    A plateau counts once. For swing lows, pass the negated lows.
    """
    span = 2 * SWING + 1
    if len(values) < span:
        return values[:0]
    peaks = rolling_max(values, span)[span - 1 :] == values[SWING:-SWING]
    rows = np.flatnonzero(peaks)
    if len(rows) > 1:
        rows = rows[np.concatenate(([True], np.diff(rows) > SWING))]
    return values[rows + SWING]


def touched_levels(high: Floats, low: Floats, *, price: float, width: float) -> tuple[Level, ...]:
    """Return the touched levels nearest to `price`, lowest first; `width` is in price."""
    swings = np.concatenate((swing_highs(high), -swing_highs(-low)))
    swings.sort()
    clusters = [c for c in _clusters(swings.tolist(), width) if c[1] >= MIN_TOUCHES]
    below = [c for c in clusters if c[0] < price][-EACH_SIDE:]
    above = [c for c in clusters if c[0] >= price][:EACH_SIDE]
    return tuple(
        Level(
            name="touched",
            kind=LevelKind.SUPPORT if mean < price else LevelKind.RESISTANCE,
            price=mean,
            touches=touches,
        )
        for mean, touches in (*below, *above)
    )


def _clusters(prices: Sequence[float], width: float) -> list[tuple[float, int]]:
    """Return (mean, count) of ascending prices grouped so that no group is wider than `width`."""
    groups: list[tuple[float, int]] = []
    start, total, count = 0.0, 0.0, 0
    for price in prices:
        if count and price - start > width:
            groups.append((round(total / count, _DIGITS), count))
            count, total = 0, 0.0
        if not count:
            start = price
        total, count = total + price, count + 1
    if count:
        groups.append((round(total / count, _DIGITS), count))
    return groups
