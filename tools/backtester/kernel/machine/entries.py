"""The entry points of the compiled code; to import this imports numba, to call one compiles it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.rows import Flags
from tools.backtester.kernel.machine.compiled import kept, stamp
from tools.backtester.kernel.machine.layout import (
    FILLS,
    OVERFLOWED,
    UNITS_PER_USD,
    Board,
    SmallInts,
)
from tools.backtester.kernel.machine.loop import coast, gather, instant, most_fills

MOST_VOLUME = 1 << 31  # shares


@dataclass(frozen=True, slots=True)
class Entries:
    """What the compiled code can be asked."""

    play: Callable[[Board], int]  # to the end, or until the list of fills may be full
    to_grid: Callable[[Floats, SmallInts], tuple[int, int, int]]
    to_shares: Callable[[Floats, SmallInts], tuple[int, int]]
    crosses: Callable[[Floats, Floats, Flags], int]
    means: Callable[[Ints, int, float, Floats], int]


@lru_cache(maxsize=1)
def entries() -> Entries:
    """Return the entry points for the code as it stands."""
    version = stamp()
    return Entries(
        play=_play(version),
        to_grid=_to_grid(version),
        to_shares=_to_shares(version),
        crosses=_crosses(version),
        means=_means(version),
    )


def _play(version: int) -> Callable[[Board], int]:
    @kept
    def play(board: Board) -> int:
        """Play from where the board stands; return a number that means nothing."""
        account, most = board.account, most_fills(board)
        while account[FILLS] <= most and not account[OVERFLOWED]:
            if len(board.held) == 1:
                coast(board)
            count = gather(board)
            if count == 0:
                break
            instant(board, count)
        return version

    return play


def _to_grid(version: int) -> Callable[[Floats, SmallInts], tuple[int, int, int]]:
    @kept
    def to_grid(prices: Floats, units: SmallInts) -> tuple[int, int, int]:
        """Round prices into `units`; return how many are in doubt, the highest and the lowest."""
        doubtful, highest, lowest = version * 0, 0, 1 << 62
        for i in range(len(prices)):
            scaled = prices[i] * UNITS_PER_USD
            unit = int(scaled + 0.5)
            doubtful += int(not abs(scaled - unit) < 0.4999)
            highest, lowest = max(highest, unit), min(lowest, unit)
            units[i] = unit
        return doubtful, highest, lowest

    return to_grid


def _to_shares(version: int) -> Callable[[Floats, SmallInts], tuple[int, int]]:
    @kept
    def to_shares(volume: Floats, shares: SmallInts) -> tuple[int, int]:
        """Put volumes into `shares`; return how many are none, and how many hold parts."""
        senseless, parts = version * 0, 0
        for i in range(len(volume)):
            whole = int(volume[i])
            senseless += int(not (volume[i] >= 0.0 and whole < MOST_VOLUME))
            parts += int(volume[i] != whole)
            shares[i] = whole
        return senseless, parts

    return to_shares


def _crosses(version: int) -> Callable[[Floats, Floats, Flags], int]:
    @kept
    def crosses(left: Floats, right: Floats, found: Flags) -> int:
        """Mark the rows in which `left` has come from `right` or below to above it."""
        found[:1] = False
        for i in range(1, len(left)):
            found[i] = (left[i] - right[i] > 0.0) & (left[i - 1] - right[i - 1] <= 0.0)
        return version

    return crosses


def _means(version: int) -> Callable[[Ints, int, float, Floats], int]:
    @kept
    def means(sums: Ints, length: int, parts: float, found: Floats) -> int:
        """Fill in the means of windows from running sums; NaN where no whole window is behind."""
        found[: length - 1] = np.nan
        if len(sums) >= length:
            found[length - 1] = sums[length - 1] / parts
        for i in range(length, len(sums)):
            found[i] = (sums[i] - sums[i - length]) / parts
        return version

    return means
