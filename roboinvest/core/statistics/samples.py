"""What every statistic here asks of its numbers: that they are finite, and that they vary.

Values without variation have no Sharpe ratio and no interval. What differs by rounding alone counts
as not varying, by the same measure as in `core.performance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats

_ROUNDING: Final = 8 * np.finfo(np.float64).eps  # noise of a return that was computed from equity


def finite(values: Sequence[float] | Floats, what: str = "Value") -> Floats:
    """Return `values` as an array of shape (n,).

    Raises:
        BadInput: not one-dimensional, or one of them is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise BadInput(
            f"{what}s come in the shape {array.shape}, and a row of numbers is needed; "
            "give one series at a time."
        )
    if not np.isfinite(array).all():
        at = int(np.argmax(~np.isfinite(array)))
        raise BadInput(f"{what} {at} of {len(array)} is {array[at]}; drop or repair it first.")
    return array


def finite_matrix(values: Sequence[Sequence[float]] | Floats, what: str = "Trials") -> Floats:
    """Return `values` as an array of shape (periods, trials).

    Raises:
        BadInput: not two-dimensional, or one of them is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise BadInput(
            f"{what} come in the shape {array.shape}, and periods by trials are needed; "
            "give one column for each trial."
        )
    if not np.isfinite(array).all():
        row, column = (int(x[0]) for x in np.nonzero(~np.isfinite(array)))
        raise BadInput(
            f"{what}: period {row} of trial {column} is {array[row, column]}; "
            "drop or repair it first."
        )
    return array


def noise(rows: Floats) -> Floats:
    """Return the deviation below which the values of each row differ by rounding alone.

    `rows` has the shape (..., n), the result (...).
    """
    largest: Floats = np.maximum(np.max(rows, axis=-1), -np.min(rows, axis=-1))
    return _ROUNDING * (1.0 + largest)


def sharpe_rows(rows: Floats) -> Floats:
    """Return mean over deviation (ddof 1) of each row, per period, NaN where a row does not vary.

    `rows` has the shape (..., n) with n > 1, the result (...).
    """
    deviation = np.std(rows, axis=-1, ddof=1)
    result: Floats = np.full(deviation.shape, np.nan)
    varies = deviation > noise(rows)
    np.divide(np.mean(rows, axis=-1), deviation, out=result, where=varies)
    return result
