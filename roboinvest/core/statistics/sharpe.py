"""How far a Sharpe ratio can be believed: its error, its probability, and what many trials take.

Conventions, throughout: Sharpe ratios are per period, not annualised (`per_period` converts), with
the deviation at ddof 1; skewness and kurtosis are those of the sample at ddof 0; kurtosis is raw,
3 for a normal distribution; a variance of Sharpe ratios is per period too. Trials are all that were
run, the abandoned ones included. Everything here holds for returns that do not depend on those
before them; where they follow each other, the errors are larger than what is said here.

Sources: Mertens 2002, "Comments on variance of the IID estimator in Lo (2002)"; Bailey and Lopez
de Prado 2012, "The Sharpe ratio efficient frontier", Journal of Risk 15(2) (probabilistic Sharpe,
minimum track record); the same 2014, "The deflated Sharpe ratio", Journal of Portfolio Management
40(5) (expected maximum, deflated Sharpe).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.performance import PERIODS_PER_YEAR
from roboinvest.core.statistics.samples import finite, finite_matrix, sharpe_rows

EULER_MASCHERONI: Final = 0.5772156649015329


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What the theory of a Sharpe ratio needs to know of a series of returns."""

    periods: int  # returns, 2 at least
    sharpe: float  # per period
    skew: float = 0.0
    kurtosis: float = 3.0  # raw

    def __post_init__(self) -> None:
        """Check that a series could have these moments.

        Raises:
            BadInput: fewer than two periods, or a moment is not finite.
        """
        if self.periods < 2:
            raise BadInput(
                f"A Sharpe ratio over {self.periods} periods has no error; give 2 or more."
            )
        finite((self.sharpe, self.skew, self.kurtosis), "Moment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflated:
    """The probability that the best of many trials has skill, and what it was held against."""

    probability: float  # that the true Sharpe is above the threshold; 0.95 is the usual bar
    threshold: float  # per period: the best Sharpe that trials without skill are expected to show
    trials: float  # as counted
    variance: float  # of the Sharpe ratios of the trials, per period
    assumed: bool  # True: the variance was not known, that of a Sharpe of zero stands in for it


def moments(returns: Sequence[float] | Floats) -> Moments | None:
    """Return the moments of a series of returns; None below two of them or without variation.

    Raises:
        BadInput: a return is not finite.
    """
    r = finite(returns, "Return")
    if len(r) < 2:
        return None
    sharpe = float(sharpe_rows(r))
    if math.isnan(sharpe):
        return None
    z = (r - np.mean(r)) / np.std(r)
    return Moments(
        periods=len(r),
        sharpe=sharpe,
        skew=float(np.mean(z**3)),
        kurtosis=float(np.mean(z**4)),
    )


def per_period(annual_sharpe: float, periods_per_year: int = PERIODS_PER_YEAR) -> float:
    """Return the Sharpe ratio of one period."""
    return annual_sharpe / math.sqrt(periods_per_year)


def annual(sharpe: float, periods_per_year: int = PERIODS_PER_YEAR) -> float:
    """Return the annual Sharpe ratio of one per period."""
    return sharpe * math.sqrt(periods_per_year)


def standard_error(of: Moments) -> float | None:
    """Return the standard error of a Sharpe ratio, per period.

    sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / (n - 1)): Mertens 2002, with n - 1 as in Bailey and
    Lopez de Prado 2012, eq. 8. With g3 = 0 and g4 = 3 this is Lo 2002. None where the moments
    leave no error at all, as no series of more than two different returns does.
    """
    spread = _spread(of)
    return math.sqrt(spread / (of.periods - 1)) if spread > 0.0 else None


def probabilistic_sharpe(of: Moments, benchmark: float = 0.0) -> float | None:
    """Return the probability that the true Sharpe ratio is above `benchmark`, both per period.

    Phi((SR - SR*) / standard error): Bailey and Lopez de Prado 2012, eq. 11. It knows one trial
    only; for the best of several see `deflated_sharpe`.
    """
    error = standard_error(of)
    return None if error is None else _below((of.sharpe - benchmark) / error)


def minimum_track_record(
    of: Moments, benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """Return the periods after which this Sharpe ratio would be above `benchmark`, with confidence.

    1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (z / (SR - SR*))^2: Bailey and Lopez de Prado 2012, eq. 13.
    None where the Sharpe ratio is not above the benchmark: no record is long enough then.

    Raises:
        BadInput: the confidence is not between 0.5 and 1.
    """
    if not 0.5 <= confidence < 1.0:
        raise BadInput(f"Confidence is {confidence}, and lies from 0.5 to below 1; 0.95 is usual.")
    gap, spread = of.sharpe - benchmark, _spread(of)
    if gap <= 0.0 or spread <= 0.0:
        return None
    return 1.0 + spread * (_upper(1.0 - confidence) / gap) ** 2


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Return the best Sharpe ratio to expect of `trials` independent ones, none with skill.

    sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e))), g the Euler-Mascheroni constant:
    Bailey and Lopez de Prado 2014, eq. 1 (the "false strategy" theorem). It is 0 for one trial,
    where nothing was chosen; the result is in the units of sqrt(variance). `trials` need not be
    whole, see `effective_trials`.

    Raises:
        BadInput: fewer than one trial, or a variance that is negative or not finite.
    """
    if not 1.0 <= trials < math.inf:
        raise BadInput(f"{trials} trials were counted; give all that were run, 1 at least.")
    if not 0.0 <= variance < math.inf:
        raise BadInput(f"The variance of the trials' Sharpe ratios is {variance}; give 0 or more.")
    if trials == 1.0:
        return 0.0
    best = (1.0 - EULER_MASCHERONI) * _upper(1.0 / trials)
    best += EULER_MASCHERONI * _upper(1.0 / (trials * math.e))
    return math.sqrt(variance) * max(0.0, best)  # the approximation dips below 0 near one trial


def variance_without_skill(periods: int) -> float:
    """Return the sampling variance of a Sharpe ratio of zero, per period: 1 / (n - 1).

    Raises:
        BadInput: fewer than two periods.
    """
    if periods < 2:
        raise BadInput(f"A Sharpe ratio over {periods} periods has no error; give 2 or more.")
    return 1.0 / (periods - 1)


def variance_of_trials(sharpes: Sequence[float] | Floats, periods: int) -> float:
    """Return the variance (ddof 1) of the trials' Sharpe ratios, no less than that of no skill.

    Independent trials cannot scatter less than chance alone makes them. Those that do are copies
    of each other, and copies must not lower the bar: a strategy run a thousand times over would
    otherwise prove itself. A winner counts in, and among a handful of trials widens this by itself.
    `sharpes` are per period; trials without one are left out before.

    Raises:
        BadInput: a Sharpe ratio is not finite, or there are fewer than two periods.
    """
    known, floor = finite(sharpes, "Sharpe ratio"), variance_without_skill(periods)
    return max(floor, float(np.var(known, ddof=1))) if len(known) > 1 else floor


def deflated_sharpe(of: Moments, trials: float, variance: float | None = None) -> Deflated | None:
    """Return the probability that the best of `trials` is better than luck made it.

    The probabilistic Sharpe ratio against the expected maximum: Bailey and Lopez de Prado 2014,
    eq. 2. `of` is the chosen trial's; `trials` is the true count. `variance` is that of all
    trials' Sharpe ratios, per period, see `variance_of_trials`; where it is not known, None, the
    sampling variance of a Sharpe of zero over these periods is used, 1 / (n - 1), which is right
    when no trial has skill, all are as long as this one, and returns do not follow each other.
    None where the moments leave no error.

    At 0.95 this is a stricter test than its number says: the best of 100 trials without skill
    reaches it in about one world of a thousand, because it must beat the expected maximum by a
    further 1.645 standard errors (`core.statistics.power`). It is the variance of the trials that
    keeps it so where returns follow each other: with a correlation of 0.3 from one to the next and
    the assumed variance one world in ten reaches it.

    Raises:
        BadInput: fewer than one trial, or a variance that is negative or not finite.
    """
    used = variance_without_skill(of.periods) if variance is None else variance
    threshold = expected_maximum_sharpe(trials, used)
    probability = probabilistic_sharpe(of, threshold)
    if probability is None:
        return None
    return Deflated(
        probability=probability,
        threshold=threshold,
        trials=trials,
        variance=used,
        assumed=variance is None,
    )


def effective_trials(returns: Sequence[Sequence[float]] | Floats) -> float:
    """Return how many independent trials correlated ones are worth: r + (1 - r) M.

    r is the mean correlation between two of the M trials, no less than 0: Bailey and Lopez de Prado
    2014, appendix 3. `returns` has the shape (periods, trials). A trial that never moved counts as
    independent of all others. It counts clusters of copies as more trials than they are, never as
    fewer. Only for use with a variance that has the floor of `variance_of_trials`: the scatter
    of correlated trials is already small, and to lower both would deflate too little.

    Raises:
        BadInput: a return is not finite, there is no trial, or there are fewer than two periods.
    """
    matrix = finite_matrix(returns)
    periods, trials = matrix.shape
    if trials < 1 or periods < 2:
        raise BadInput(
            f"{trials} trials over {periods} periods have no correlation; "
            "give 1 trial and 2 periods at least."
        )
    if trials == 1:
        return 1.0
    columns = matrix - np.mean(matrix, axis=0)
    length = np.sqrt(np.sum(columns**2, axis=0))
    moved = ~np.isnan(sharpe_rows(matrix.T))
    units = np.divide(columns, length, out=np.zeros_like(columns), where=moved)
    together = float(np.sum(np.sum(units, axis=1) ** 2)) - float(np.sum(moved))
    mean = min(max(together / (trials * (trials - 1)), 0.0), 1.0)
    return float(mean + (1.0 - mean) * trials)


def _below(z: float) -> float:
    """Return the probability that a standard normal lies below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _upper(tail: float) -> float:
    """Return the z that a standard normal passes with probability `tail`."""
    return -NormalDist().inv_cdf(tail)


def _spread(of: Moments) -> float:
    """Return n - 1 times the squared standard error."""
    return 1.0 - of.skew * of.sharpe + (of.kurtosis - 1.0) / 4.0 * of.sharpe * of.sharpe
