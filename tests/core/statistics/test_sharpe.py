"""Sharpe ratios against published examples, against hand-made ones, and where there is none."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.performance import sharpe as annual_sharpe
from roboinvest.core.performance import simple_returns
from roboinvest.core.statistics.sharpe import (
    Moments,
    annual,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    moments,
    per_period,
    probabilistic_sharpe,
    standard_error,
    variance_of_trials,
    variance_without_skill,
)

SEED = 20_140_731


def adjusted(pack: Path, symbol: str) -> Floats:
    """Return the simple returns of adjusted closes, 26 November 2001 to 14 November 2007."""
    with (pack / "metrics" / f"sharpe-ratio-test-{symbol}.csv").open() as lines:
        close = np.array([float(row["Adj Close"]) for row in csv.DictReader(lines)])
    return simple_returns(close.tolist())


def test_real_returns_have_the_sharpe_ratio_of_a_printed_book(data_pack: Path) -> None:
    """Chan 2008, "Quantitative trading", examples 3.4 and 3.5; 4 % a year off, not compounded."""
    ige, spy = adjusted(data_pack, "ige"), adjusted(data_pack, "spy")
    alone, hedged = moments(ige - 0.04 / 252), moments((ige - spy) / 2)
    assert alone is not None
    assert hedged is not None
    assert round(annual(alone.sharpe), 4) == 0.7893
    assert round(annual(hedged.sharpe), 4) == 0.7837


def test_moments_are_those_worked_by_hand() -> None:
    found = moments([0.01, 0.01, 0.01, 0.05])
    assert found is not None
    assert found.periods == 4
    assert found.sharpe == pytest.approx(1.0)  # 0.02 over 0.02
    assert found.skew == pytest.approx(2 / math.sqrt(3))
    assert found.kurtosis == pytest.approx(7 / 3)  # raw: a normal distribution has 3


# Published: Bailey and Lopez de Prado 2014, the numerical example. Annual Sharpe 2.5 over 1,250
# days of 250 a year, variance of the trials' annual Sharpe ratios 1/2.
@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "probability"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_deflated_sharpe_is_the_published_one(
    trials: int, skew: float, kurtosis: float, probability: float
) -> None:
    chosen = Moments(periods=1250, sharpe=per_period(2.5, 250), skew=skew, kurtosis=kurtosis)
    found = deflated_sharpe(chosen, trials, 0.5 / 250)
    assert found is not None
    assert round(found.probability, 4) == probability
    assert (found.trials, found.assumed) == (trials, False)
    if trials == 100:
        assert round(found.threshold, 4) == 0.1132  # per day


# Published: Bailey and Lopez de Prado 2012, two years of months with mean 0.036 and deviation
# 0.079, a Sharpe of 0.458 a month, and the third year that it takes. Inputs have three digits.
@pytest.mark.parametrize(
    ("months", "skew", "kurtosis", "probability"),
    [(24, 0.0, 3.0, 0.982), (24, -2.448, 10.164, 0.913), (36, -2.448, 10.164, 0.953)],
)
def test_the_probabilistic_sharpe_is_the_published_one(
    months: int, skew: float, kurtosis: float, probability: float
) -> None:
    track = Moments(periods=months, sharpe=0.458, skew=skew, kurtosis=kurtosis)
    found = probabilistic_sharpe(track)
    assert found is not None
    assert found == pytest.approx(probability, abs=1e-3)


# Published: the same, years until an annual Sharpe of 2 is above 1 with 95 % confidence.
@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "years"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_minimum_track_record_is_the_published_one(
    a_year: int, skew: float, kurtosis: float, years: float
) -> None:
    track = Moments(periods=2, sharpe=per_period(2.0, a_year), skew=skew, kurtosis=kurtosis)
    found = minimum_track_record(track, per_period(1.0, a_year))
    assert found is not None
    assert round(found / a_year, 2) == years


@pytest.mark.parametrize(
    ("sharpe", "days"), [(0.5, 2730), (1.0, 684), (1.5, 305), (2.0, 173), (3.0, 78)]
)
def test_the_days_until_a_sharpe_is_above_zero_are_those_of_the_design(
    sharpe: float, days: int
) -> None:
    found = minimum_track_record(Moments(periods=2, sharpe=per_period(sharpe)))
    assert found is not None
    assert round(found) == days


@pytest.mark.parametrize(
    ("years", "expected"),
    [(1, (1.57, 2.28, 2.53, 3.26)), (3, (0.91, 1.31, 1.46, 1.88))],
)
def test_the_best_of_many_without_skill_is_that_of_the_design(
    years: int, expected: tuple[float, ...]
) -> None:
    """An annual Sharpe of zero has the variance 1 / years."""
    found = [expected_maximum_sharpe(n, 1.0 / years) for n in (10, 50, 100, 1000)]
    assert tuple(round(best, 2) for best in found) == expected


def test_the_expected_maximum_is_the_mean_of_simulated_ones() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    for trials in (5, 20, 100):
        best = np.max(rng.standard_normal((20_000, trials)), axis=1)
        assert expected_maximum_sharpe(trials, 1.0) == pytest.approx(np.mean(best), rel=0.03)


def test_the_standard_error_is_the_deviation_of_simulated_sharpes() -> None:
    """Skewed and fat-tailed: returns are 0.15 short of an exponential, mirrored."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    drawn = 1.15 - rng.exponential(size=(4_000, 500))
    found = np.mean(drawn, axis=1) / np.std(drawn, axis=1, ddof=1)
    true = Moments(periods=500, sharpe=0.15, skew=-2.0, kurtosis=9.0)
    plain = Moments(periods=500, sharpe=0.15)
    error = standard_error(true)
    assert error == pytest.approx(np.std(found), rel=0.03)
    assert standard_error(plain) != pytest.approx(np.std(found), rel=0.1)


def test_one_trial_is_not_deflated() -> None:
    track = Moments(periods=500, sharpe=0.1)
    found = deflated_sharpe(track, 1)
    assert found is not None
    assert (found.threshold, found.probability) == (0.0, probabilistic_sharpe(track))


def test_an_unknown_variance_is_that_of_a_sharpe_of_zero_and_says_so() -> None:
    track = Moments(periods=757, sharpe=0.1, skew=-1.0, kurtosis=8.0)
    found = deflated_sharpe(track, 100)
    assert found is not None
    assert (found.assumed, found.variance) == (True, 1 / 756)
    assert found.threshold == pytest.approx(expected_maximum_sharpe(100, 1 / 756))
    zero = standard_error(Moments(periods=757, sharpe=0.0, skew=-1.0, kurtosis=8.0))
    assert zero is not None
    assert found.variance == pytest.approx(zero**2)


def test_copies_of_a_trial_do_not_lower_the_bar() -> None:
    spread = [0.05, -0.05, 0.15, -0.15]
    assert variance_of_trials(spread, 101) == pytest.approx(np.var(spread, ddof=1))
    assert variance_of_trials([0.1] * 1000, 101) == variance_without_skill(101) == 0.01
    assert variance_of_trials([0.1], 101) == 0.01
    assert variance_of_trials([], 101) == 0.01


def test_correlated_trials_count_for_fewer() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    own, common = rng.standard_normal((50_000, 40)), rng.standard_normal((50_000, 1))
    assert effective_trials(own) == pytest.approx(40, rel=0.01)
    assert effective_trials(np.repeat(common, 40, axis=1)) == pytest.approx(1.0)
    half = math.sqrt(0.5) * own + math.sqrt(0.5) * common
    assert effective_trials(half) == pytest.approx(20.5, rel=0.02)
    clusters = np.repeat(own[:, :4], 10, axis=1)
    assert 4 < effective_trials(clusters) <= 40  # never fewer than there are


def test_a_trial_that_never_moved_counts_as_one() -> None:
    rng = np.random.default_rng(SEED)
    idle = np.zeros((1000, 1))
    moving = rng.standard_normal((1000, 1))
    together = np.hstack([moving, moving, idle])
    assert effective_trials(together) == pytest.approx(1 / 3 + 2 / 3 * 3)
    assert effective_trials(np.zeros((10, 3))) == 3.0
    assert effective_trials(moving) == 1.0


@pytest.mark.parametrize("returns", [[], [0.01], [0.01] * 50, [0.0, 0.0]])
def test_what_does_not_vary_has_no_moments(returns: list[float]) -> None:
    assert moments(returns) is None


def test_a_curve_that_only_varies_by_rounding_has_no_moments() -> None:
    equity = np.array([100_000.0 * 1.0001**i for i in range(300)])
    assert moments(equity[1:] / equity[:-1] - 1.0) is None


def test_two_returns_are_enough_and_their_error_is_finite() -> None:
    found = moments([0.01, 0.03])
    assert found is not None
    assert found.kurtosis == pytest.approx(1.0)
    error = standard_error(found)
    assert error is not None
    assert math.isfinite(error)


def test_moments_without_an_error_give_no_probability() -> None:
    """Two different returns, one rarer: where SR is 2 / skew the formula leaves nothing."""
    exact = Moments(periods=10, sharpe=1.0, skew=2.0, kurtosis=5.0)
    assert standard_error(exact) is None
    assert probabilistic_sharpe(exact) is None
    assert deflated_sharpe(exact, 10) is None
    assert minimum_track_record(exact) is None


def test_no_record_is_long_enough_for_a_sharpe_at_its_benchmark() -> None:
    assert minimum_track_record(Moments(periods=100, sharpe=0.1), 0.1) is None
    assert minimum_track_record(Moments(periods=100, sharpe=-0.1)) is None


def test_bad_input_is_refused_in_one_sentence() -> None:
    track = Moments(periods=100, sharpe=0.1)
    with pytest.raises(BadInput, match="Return 1 of 3 is nan"):
        moments([0.1, math.nan, 0.2])
    with pytest.raises(BadInput, match=r"shape \(2, 2\)"):
        moments(np.zeros((2, 2)))
    with pytest.raises(BadInput, match="over 1 periods"):
        Moments(periods=1, sharpe=0.1)
    with pytest.raises(BadInput, match="Moment 1 of 3 is inf"):
        Moments(periods=10, sharpe=0.1, skew=math.inf)
    with pytest.raises(BadInput, match="0 trials were counted"):
        deflated_sharpe(track, 0)
    with pytest.raises(BadInput, match="nan trials were counted"):
        deflated_sharpe(track, math.nan)
    with pytest.raises(BadInput, match="Sharpe ratios is -1"):
        deflated_sharpe(track, 10, -1)
    with pytest.raises(BadInput, match="Sharpe ratio 0 of 1 is nan"):
        variance_of_trials([math.nan], 10)
    with pytest.raises(BadInput, match="over 1 periods"):
        variance_without_skill(1)
    with pytest.raises(BadInput, match="Confidence is 1"):
        minimum_track_record(track, confidence=1.0)
    with pytest.raises(BadInput, match="0 trials over 5 periods"):
        effective_trials(np.zeros((5, 0)))
    with pytest.raises(BadInput, match="period 1 of trial 0 is nan"):
        effective_trials([[0.1], [math.nan]])
    with pytest.raises(BadInput, match="periods by trials"):
        effective_trials(np.zeros(5))


@given(st.lists(st.floats(min_value=-0.9, max_value=3.0), max_size=60))
def test_the_sharpe_is_that_of_the_figures(returns: list[float]) -> None:
    found, theirs = moments(returns), annual_sharpe(returns)
    assert (found is None) == (theirs is None)
    if found is not None and theirs is not None:
        assert annual(found.sharpe) == pytest.approx(theirs, rel=1e-9, abs=1e-9)
        assert found.kurtosis >= 1.0 - 1e-9


@given(
    st.integers(2, 5000),
    st.floats(-0.5, 0.5),
    st.floats(-3, 3),
    st.floats(0, 10),
    st.integers(1, 10**9),
)
def test_more_trials_never_make_a_trial_more_credible(
    periods: int, sharpe: float, skew: float, more: float, trials: int
) -> None:
    track = Moments(periods=periods, sharpe=sharpe, skew=skew, kurtosis=skew**2 + 1.01 + more)
    alone, among, more_among = (deflated_sharpe(track, n) for n in (1, trials, 10 * trials))
    assert alone is not None
    assert among is not None
    assert more_among is not None
    assert 0.0 <= more_among.probability <= among.probability <= alone.probability <= 1.0
