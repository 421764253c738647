"""The power of the deflated Sharpe ratio, by simulation: what would it call, and what find?

A world has many trials. None has skill, or one has; the trial with the best Sharpe ratio is chosen
and deflated by the number of trials. How often a world without skill is called significant is the
level of the test, and how often a planted edge is called and is the one chosen is its power.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.performance import PERIODS_PER_YEAR
from roboinvest.core.statistics.samples import sharpe_rows
from roboinvest.core.statistics.sharpe import (
    deflated_sharpe,
    moments,
    per_period,
    variance_of_trials,
)

BAR: Final = 0.95  # the deflated probability from which on a trial is called significant
_WARM_UP: Final = 50  # periods until a series with memory has forgotten its start

Noise = Callable[[Generator, int, int], Floats]  # (rng, trials, periods) -> (trials, periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worlds:
    """What is simulated."""

    count: int
    trials: int
    periods: int  # returns of each trial
    annual_sharpe: float = 0.0  # of the one trial that has skill; 0: none has
    known_variance: bool = True  # False: deflate by the variance of a Sharpe of zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """How often the test spoke."""

    called: float  # share of worlds whose best trial was called significant
    found: float  # share in which it was also the planted one; 0 where none was


def gaussian(rng: Generator, trials: int, periods: int) -> Floats:
    """Return normal noise of deviation 1, shape (trials, periods)."""
    return rng.standard_normal((trials, periods))


def fat_tailed(degrees: float) -> Noise:
    """Return Student noise of deviation 1; `degrees` of freedom above 2."""
    scale = math.sqrt((degrees - 2.0) / degrees)
    return lambda rng, trials, periods: scale * rng.standard_t(degrees, (trials, periods))


def remembering(share: float) -> Noise:
    """Return normal noise of deviation 1 in which each value keeps `share` of the one before."""
    fresh = math.sqrt(1.0 - share * share)

    def noise(rng: Generator, trials: int, periods: int) -> Floats:
        shocks = rng.standard_normal((_WARM_UP + periods, trials))
        for now, before in zip(shocks[1:], shocks, strict=False):
            now *= fresh
            now += share * before
        return np.ascontiguousarray(shocks[_WARM_UP:].T)

    return noise


def alike(share: float, noise: Noise = gaussian) -> Noise:
    """Return noise whose trials correlate by `share` with each other, as those of a sweep do."""

    def together(rng: Generator, trials: int, periods: int) -> Floats:
        common = noise(rng, 1, periods)
        own = noise(rng, trials, periods)
        own *= math.sqrt(1.0 - share)
        own += math.sqrt(share) * common
        return own

    return together


def power(worlds: Worlds, rng: Generator, *, noise: Noise = gaussian, bar: float = BAR) -> Power:
    """Return how often the deflated test calls the best trial, and how often rightly.

    Raises:
        BadInput: no worlds, no trials, or fewer than two periods.
    """
    if min(worlds.count, worlds.trials) < 1 or worlds.periods < 2:
        raise BadInput(
            f"{worlds.count} worlds of {worlds.trials} trials over {worlds.periods} periods; give "
            "1, 1 and 2 at least."
        )
    edge = per_period(worlds.annual_sharpe, PERIODS_PER_YEAR)
    called = found = 0
    for _ in range(worlds.count):
        returns = noise(rng, worlds.trials, worlds.periods)
        returns[0] += edge
        best, significant = _judge(returns, worlds.known_variance, bar)
        called += significant
        found += significant and best == 0 and edge > 0.0
    return Power(called=called / worlds.count, found=found / worlds.count)


def _judge(returns: Floats, known_variance: bool, bar: float) -> tuple[int, bool]:
    """Return the best trial, and whether it is called significant."""
    sharpes = sharpe_rows(returns)
    best = int(np.argmax(sharpes))
    chosen = moments(returns[best])
    variance = variance_of_trials(sharpes, returns.shape[1]) if known_variance else None
    verdict = deflated_sharpe(chosen, len(sharpes), variance) if chosen else None
    return best, verdict is not None and verdict.probability >= bar
