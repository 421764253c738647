"""The probability of backtest overfitting: does the best of the past stay above the middle?

Combinatorially symmetric cross-validation: Bailey, Borwein, Lopez de Prado and Zhu 2015, "The
probability of backtest overfitting", Journal of Computational Finance 20(4). The periods are cut
into S blocks. Every half of the blocks in turn is the past: the trial with the best Sharpe ratio
there is ranked among all trials in the other half. Where choosing works it ranks high; the
probability of overfitting is the share of choices that ranked at or below the middle.

A trial that does not move within a half has no Sharpe ratio, and is ranked there as one of 0: it
earned nothing for no risk. Trials without any skill give about 0.5, not 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.statistics.samples import finite_matrix, noise

BLOCKS: Final = 16  # 12,870 halves
_CELLS: Final = 1 << 21  # halves times trials in a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfit:
    """What choosing the best of the past was worth in the other half."""

    probability: float  # share of choices at or below the middle of all trials
    loss_probability: float  # share of choices whose Sharpe in the other half was below 0
    slope: (
        float | None
    )  # of the chosen Sharpe in the other half on that in the past; below 0: decay
    median_rank: float  # of the choice in the other half: 0 the worst of all trials, 1 the best
    halves: int
    trials: int


def overfit(returns: Sequence[Sequence[float]] | Floats, *, blocks: int = BLOCKS) -> Overfit | None:
    """Return the probability of overfitting of trials of shape (periods, trials).

    All trials cover the same periods. The first periods that do not fill a block are left out.
    None below two trials, below two periods for a block, and where no trial moves.

    Raises:
        BadInput: a return is not finite, or the blocks are not an even number from 2 to 20.
    """
    if blocks % 2 or not 2 <= blocks <= 20:
        raise BadInput(f"{blocks} blocks cannot be halved in every way; give an even 2 to 20.")
    matrix = finite_matrix(returns)
    periods, trials = matrix.shape
    size = periods // blocks
    if trials < 2 or size < 2 or not np.any(np.std(matrix, axis=0) > noise(matrix.T)):
        return None
    matrix = matrix[periods - size * blocks :]
    matrix = matrix / np.max(np.abs(matrix), axis=0, initial=np.finfo(np.float64).tiny)
    parts = matrix.reshape(blocks, size, trials)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    found = [
        _choices(_sharpes(half, sums, squares, size), _sharpes(1.0 - half, sums, squares, size))
        for half in _halves(blocks, max(1, _CELLS // trials))
    ]
    past, other, rank = (np.concatenate(column) for column in zip(*found, strict=True))
    return Overfit(
        probability=float(np.mean(rank <= 0.5)),
        loss_probability=float(np.mean(other < 0.0)),
        slope=_slope(past, other),
        median_rank=float(np.median(rank)),
        halves=len(rank),
        trials=trials,
    )


def _halves(blocks: int, batch: int) -> Iterator[Floats]:
    """Yield every half of the blocks as rows of ones and zeros, shape (some, blocks)."""
    chosen: Ints = np.array(list(combinations(range(blocks), blocks // 2)), dtype=np.int64)
    for first in range(0, len(chosen), batch):
        part = chosen[first : first + batch]
        half = np.zeros((len(part), blocks))
        np.put_along_axis(half, part, 1.0, axis=1)
        yield half


def _sharpes(half: Floats, sums: Floats, squares: Floats, size: int) -> Floats:
    """Return the Sharpe ratio per period of each trial in each half, shape (halves, trials)."""
    n = size * half.shape[1] // 2
    mean = half @ sums / n
    variance = (half @ squares - n * mean**2) / (n - 1)
    moves = variance > n * np.finfo(np.float64).eps  # of returns scaled to 1 at most
    result: Floats = np.zeros_like(mean)
    np.divide(mean, np.sqrt(variance, where=moves, out=np.ones_like(mean)), out=result, where=moves)
    return result


def _choices(past: Floats, other: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the best Sharpe of the past, the same trial's in the other half, and its rank there.

    The rank is w / (N + 1) stretched from 0 to 1 around the same middle, ties counted as half.
    """
    row = np.arange(len(past))
    best = np.argmax(past, axis=1)
    reached = other[row, best]
    below = np.sum(other < reached[:, None], axis=1)
    tied = np.sum(other == reached[:, None], axis=1) - 1
    rank = (below + tied / 2.0) / (past.shape[1] - 1)
    return past[row, best], reached, rank


def _slope(past: Floats, other: Floats) -> float | None:
    centred = past - np.mean(past)
    below = float(centred @ centred)
    return float(centred @ other) / below if below > 0.0 else None
