"""Two figures of a curve that `core.performance` leaves out: how straight it is, how it falls.

Conventions are those of the library that the reference values come from, see the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.performance import PERIODS_PER_YEAR
from roboinvest.core.statistics.samples import finite, noise


def stability(returns: Sequence[float] | Floats) -> float | None:
    """Return R squared of a straight line through the log of the growth, after each period.

    1 is a steady rise or fall. None below two returns, where the curve does not move, and where
    one loses everything.

    Raises:
        BadInput: a return is not finite.
    """
    r = finite(returns, "Return")
    if len(r) < 2 or float(np.min(r)) <= -1.0:
        return None
    growth = np.cumsum(np.log1p(r))
    if float(np.std(growth)) <= float(noise(growth)):
        return None
    return float(np.corrcoef(np.arange(len(r)), growth)[0, 1]) ** 2


def downside_deviation(
    returns: Sequence[float] | Floats, periods_per_year: int = PERIODS_PER_YEAR
) -> float | None:
    """Return sqrt(mean(min(r, 0)^2)) over all periods, annualised (Sortino and Price 1994).

    None without a return.

    Raises:
        BadInput: a return is not finite.
    """
    r = finite(returns, "Return")
    if not len(r):
        return None
    return math.sqrt(float(np.mean(np.minimum(r, 0.0) ** 2)) * periods_per_year)
