"""The stationary bootstrap: what else a series could have been, had chance dealt its blocks anew.

Politis and Romano 1994, "The stationary bootstrap", JASA 89: blocks of geometric length are drawn
with replacement, the series joined end to start, so that what follows each other goes on doing so.
The mean block length is chosen from the data: Politis and White 2004, "Automatic block-length
selection for the dependent bootstrap", Econometric Reviews 23, with the correction of Patton,
Politis and White 2009, Econometric Reviews 28.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.random import Generator

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.statistics.samples import finite, noise

_RUN: Final = 5  # autocorrelations
_CELLS: Final = 1 << 20  # of a batch of resamples, so that memory does not grow with their number

Statistic = Callable[[Floats], Floats]  # (batch, n) -> (batch,), NaN where it is not defined


def block_length(values: Sequence[float] | Floats) -> float:
    """Return the mean block length for a series, 1 for one whose values do not follow each other.

    (2 G^2 / D)^(1/3) n^(1/3) with D = 2 g(0)^2, G = sum of l(k/M) |k| R(k) and g(0) = sum of
    l(k/M) R(k) over |k| <= M; l is the flat-top window, R the autocovariance: Politis and White
    2004, eq. 9 and section 3.2, D as corrected in 2009. M is twice the lag behind which five
    autocorrelations in a row lie within 2 sqrt(log10 n / n). No longer than
    min(3 sqrt(n), n / 3).

    Raises:
        BadInput: a value is not finite.
    """
    x = finite(values)
    n = len(x)
    if n < 4 or float(np.std(x)) <= float(noise(x)):
        return 1.0
    furthest = min(n - 1, math.ceil(math.sqrt(n)) + _RUN)
    covariance = _autocovariance(x, furthest)
    lags = min(furthest, 2 * _last_lag(covariance[1:] / covariance[0], n))
    k = np.arange(1, lags + 1)
    window = np.where(k <= lags / 2, 1.0, 2.0 * (1.0 - k / lags)) * covariance[1 : lags + 1]
    slope, level = 2.0 * float(np.sum(window * k)), covariance[0] + 2.0 * float(np.sum(window))
    if level == 0.0:
        return 1.0
    length = (slope**2 / level**2) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(min(max(1.0, length), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def resample(
    values: Floats, statistic: Statistic, *, samples: int, block: float, rng: Generator
) -> Floats:
    """Return the statistic of each of `samples` resamples, shape (samples,).

    Raises:
        BadInput: no values, no samples, or a block shorter than 1.
    """
    n = len(values)
    batches = _batches(n, n, samples, block)
    return np.concatenate(
        [statistic(values[drawn_rows(n, (batch, n), block, rng)]) for batch in batches]
    )


def foretell(
    values: Floats,
    statistic: Statistic,
    *,
    length: int,
    samples: int,
    block: float,
    rng: Generator,
) -> Floats:
    """Return the statistic of `samples` new series of `length` values, shape (samples,).

    A resample stands for what the source could be, as far as `values` tell, and a resample of that
    for what it could bring forth next: both kinds of not knowing are in the result, as they must
    be where one series yet to come is foretold and not a property of the source.

    Raises:
        BadInput: no values, no samples, a length below 1, or a block shorter than 1.
    """
    n = len(values)
    found = []
    for batch in _batches(n, max(n, length), samples, block):
        source = drawn_rows(n, (batch, n), block, rng)
        series = drawn_rows(n, (batch, length), block, rng)
        found.append(statistic(values[np.take_along_axis(source, series, axis=1)]))
    return np.concatenate(found)


def drawn_rows(n: int, shape: tuple[int, int], block: float, rng: Generator) -> Ints:
    """Return rows out of `n`: each the one after its left neighbour, or with 1 / block a new one.

    The row after the last is the first. `shape` is (series, length).
    """
    if block == 1.0:
        return rng.integers(0, n, size=shape)
    starts = rng.random(shape) < 1.0 / block
    starts[:, 0] = True
    first = np.flatnonzero(starts)  # in the flattened batch
    lengths = np.diff(np.append(first, starts.size))
    shift = rng.integers(0, n, size=len(first)) - first
    rows: Ints = (np.repeat(shift, lengths) + np.arange(starts.size)) % n
    return rows.reshape(shape)


def _batches(n: int, longest: int, samples: int, block: float) -> list[int]:
    """Return how many series to draw at a time.

    Raises:
        BadInput: no values, no samples, or a block shorter than 1.
    """
    if n < 1 or samples < 1 or not 1.0 <= block < math.inf:
        raise BadInput(
            f"{samples} resamples of {n} values in blocks of {block}; each must be 1 at least."
        )
    step = max(1, _CELLS // longest)
    return [min(step, samples - done) for done in range(0, samples, step)]


def _autocovariance(x: Floats, lags: int) -> Floats:
    """Return R(0) to R(lags), each a sum over n."""
    centred = x - np.mean(x)
    products = [centred[: len(x) - k] @ centred[k:] for k in range(lags + 1)]
    return np.array(products, dtype=np.float64) / len(x)


def _last_lag(correlation: Floats, n: int) -> int:
    """Return the lag behind which `_RUN` correlations in a row mean nothing, 1 at least."""
    means = np.flatnonzero(np.abs(correlation) >= 2.0 * math.sqrt(math.log10(n) / n)) + 1
    edges = np.concatenate(([0], means, [len(correlation) + _RUN + 1]))
    quiet = np.flatnonzero(np.diff(edges) > _RUN)
    return max(1, int(edges[quiet[0]]))
