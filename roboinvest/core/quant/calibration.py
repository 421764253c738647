"""What a conviction has been worth: the share of wins among an agent's past setups like it.

Convictions fall into `BUCKETS` cells of equal width. A cell's confidence is the mean of the
posterior Beta distribution after its wins and losses. The prior is Beta(10, 10): a setup is a coin
toss, and twenty outcomes weigh as much as that opinion, so that three lucky trades move little.
Deliberately absent: smoothing across cells. A conviction that fails must not hide behind its
neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from roboinvest.core.quant.memories import CalibrationCell

BUCKETS: Final = 20  # of width 0.1 over [-1, 1]
PRIOR_WINS: Final = 10.0
PRIOR_LOSSES: Final = 10.0
_DIGITS: Final = 6


def bucket_of(conviction: float) -> int:
    """Return the cell of a conviction in [-1, 1]: 0 holds -1, the last holds 1."""
    step = math.floor(round(conviction * BUCKETS / 2, _DIGITS)) + BUCKETS // 2
    return min(max(step, 0), BUCKETS - 1)


def posterior_mean(wins: int, losses: int) -> float:
    """Return the expected share of wins, in (0, 1), after `wins` and `losses`."""
    share = (wins + PRIOR_WINS) / (wins + losses + PRIOR_WINS + PRIOR_LOSSES)
    return round(share, _DIGITS)


class Calibration:
    """The cells of every agent, counted as outcomes arrive."""

    def __init__(self, cells: Iterable[CalibrationCell] = ()) -> None:
        self._cells = {(cell.agent_id, cell.bucket): cell for cell in cells}

    def record(self, agent_id: str, conviction: float, won: bool) -> CalibrationCell:
        """Count one outcome and return the cell it changed."""
        cell = self._cell(agent_id, bucket_of(conviction))
        counted = replace(cell, wins=cell.wins + won, losses=cell.losses + (not won))
        self._cells[agent_id, cell.bucket] = counted
        return counted

    def confidence(self, agent_id: str, conviction: float) -> float:
        """Return the expected share of wins at this conviction, in [0, 1]."""
        cell = self._cell(agent_id, bucket_of(conviction))
        return posterior_mean(cell.wins, cell.losses)

    def cells(self) -> tuple[CalibrationCell, ...]:
        """Return every counted cell, by agent then bucket."""
        return tuple(self._cells[key] for key in sorted(self._cells))

    def _cell(self, agent_id: str, bucket: int) -> CalibrationCell:
        empty = CalibrationCell(agent_id=agent_id, bucket=bucket, wins=0, losses=0)
        return self._cells.get((agent_id, bucket), empty)
