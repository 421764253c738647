"""Recorded-looking bars: a seeded walk with spells of trend, enough of a market to trade in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.market.quality import expected_opens
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import Timeframe
from tests.fakes.bar_files import lines_of, write_csv
from tools.calendar import ExchangeCalendar

SPELL: Final = 45  # bars that a trend lasts
TREND: Final = 1.2e-4  # of the price, each bar
NOISE: Final = 6e-4  # of the price, each bar
VOLUME: Final = (20_000, 200_000)  # shares


def walk(
    seed: int,
    first: date,
    last: date,
    *,
    price: float = 100.0,
    timeframe: Timeframe = Timeframe.MINUTE,
) -> RawRows:
    """Return a good bar for every bar of the exchange's sessions from `first` to `last`."""
    chance = np.random.default_rng(seed)
    sessions = ExchangeCalendar().sessions(first, last)
    ts = np.concatenate([expected_opens(session, timeframe) for session in sessions])
    count = len(ts)
    trend = np.repeat(chance.normal(0.0, TREND, count // SPELL + 1), SPELL)[:count]
    close = price * np.exp(np.cumsum(trend + chance.normal(0.0, NOISE, count)))
    opened = np.concatenate([[price], close[:-1]])
    reach = 1.0 + np.abs(chance.normal(0.0, NOISE / 2, (2, count)))
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    volume = chance.integers(*VOLUME, count).astype(float)
    prices = np.round(np.stack([opened, high, low, close]), 2)
    return RawRows.of(ts, np.vstack([prices, volume]))


def write_walks(
    path: Path,
    seed: int,
    first: date,
    last: date,
    *,
    symbols: Sequence[str] = ("AAA", "BBB"),
    timeframe: Timeframe = Timeframe.MINUTE,
) -> Path:
    """Write a CSV with a walk for each symbol; the seed is printed for who must repeat it."""
    print(f"{path.name}: walks of {', '.join(symbols)} with seed {seed}")
    lines: list[str] = []
    for number, symbol in enumerate(symbols):
        start = 100.0 + 20.0 * number
        rows = walk(seed + number, first, last, price=start, timeframe=timeframe)
        lines += lines_of(symbol, rows)
    return write_csv(path, lines)
