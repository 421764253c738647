"""A market that gives the rules something to do: every symbol climbs for a while, then falls.

The tides of the symbols are out of step, so that within an hour each is bought, stopped out and
taken to its target a few times. It is no likeness of a market; it is for trying the order path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from roboinvest.core.market.quality import expected_opens
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe

TIDE: Final = 50  # bars from one low to the next
CLIMB: Final = 0.7  # of a tide; the rest falls
REACH: Final = 0.04  # of the price, from low to high
NOISE: Final = 3e-4  # of the price, each bar
DRIFT: Final = 0.3 * NOISE
VOLUME: Final = (20_000, 200_000)  # shares


def restless_rows(sessions: Sequence[Session], symbols: Sequence[str], seed: int) -> list[RawRows]:
    """Return the minute bars of all sessions for each symbol, in its order."""
    ts = np.concatenate([expected_opens(session, Timeframe.MINUTE) for session in sessions])
    return [
        _rows(ts, place / len(symbols), 100.0 + 10.0 * place, np.random.default_rng([seed, place]))
        for place in range(len(symbols))
    ]


def _rows(
    ts: np.ndarray[tuple[int], np.dtype[np.int64]],
    phase: float,
    price: float,
    chance: np.random.Generator,
) -> RawRows:
    count = len(ts)
    tide = (np.arange(count) / TIDE + phase) % 1.0
    level = np.where(tide < CLIMB, tide / CLIMB, (1.0 - tide) / (1.0 - CLIMB))
    drift = np.cumsum(chance.normal(0.0, DRIFT, count))
    close = price * np.exp(REACH * level + drift + chance.normal(0.0, NOISE, count))
    opened = np.concatenate([close[:1], close[:-1]])
    reach = 1.0 + np.abs(chance.normal(0.0, NOISE / 2, (2, count)))
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    volume = chance.integers(*VOLUME, count).astype(float)
    prices = np.round(np.stack([opened, high, low, close]), 2)
    return RawRows.of(ts, np.vstack([prices, volume]))
