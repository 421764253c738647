"""Intervals hold the truth about as often as they say, and are missing where they cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.performance import drawdown
from roboinvest.core.statistics.intervals import (
    FEWEST,
    Interval,
    drawdown_band,
    drawdown_statistic,
    interval,
    intervals,
    mean_statistic,
    sharpe_statistic,
    win_rate_statistic,
)
from roboinvest.core.statistics.power import Noise, fat_tailed, gaussian, remembering

SEED = 20_040_101
SERIES, RESAMPLES = 500, 300
EDGE = 0.06  # mean over deviation, per day: an annual Sharpe near 1
# The least is two standard errors (of 500 series) below what 2,000 series gave; see the module.
KINDS = [
    ("independent", gaussian, 252, 0.915),
    ("Student with 4 degrees", fat_tailed(4), 252, 0.91),
    ("keeps 0.1 of the last", remembering(0.1), 252, 0.905),
    ("keeps 0.3 of the last", remembering(0.3), 756, 0.895),
    ("keeps 0.3 of the last", remembering(0.3), 252, 0.875),  # worth 90: one year is short
]


def series(noise: Noise, n: int, rng: np.random.Generator) -> Floats:
    """Return simulated daily returns with 1 % of deviation and a known Sharpe ratio."""
    found: Floats = 0.01 * (noise(rng, SERIES, n) + EDGE)
    return found


def held(found: list[Interval | None], truth: Floats | float) -> float:
    known = [each for each in found if each is not None]
    assert len(known) == len(found)
    low, high = np.array([each.low for each in known]), np.array([each.high for each in known])
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize(("label", "noise", "n", "least"), KINDS)
def test_95_of_100_intervals_hold_the_true_sharpe(
    label: str, noise: Noise, n: int, least: float
) -> None:
    rng = np.random.default_rng(SEED)
    statistic = sharpe_statistic(252)
    found = [interval(x, statistic, rng, samples=RESAMPLES) for x in series(noise, n, rng)]
    share = held(found, EDGE * math.sqrt(252))
    print(f"seed {SEED} | Sharpe, {label}, {n} days | {SERIES} series: {share:.1%} held the truth")
    assert least <= share <= 0.98


@pytest.mark.parametrize(("label", "noise", "n", "least"), [KINDS[0], KINDS[1], KINDS[4]])
def test_95_of_100_new_tracks_keep_to_the_band_of_the_drawdown(
    label: str, noise: Noise, n: int, least: float
) -> None:
    rng = np.random.default_rng(SEED)
    found = [drawdown_band(x, rng, samples=RESAMPLES) for x in series(noise, n, rng)]
    share = held(found, drawdown_statistic(series(noise, n, rng)))
    print(f"seed {SEED} | drawdown, {label}, {n} days | {SERIES} new tracks: {share:.1%} within")
    assert least - 0.01 <= share <= 0.98


@pytest.mark.parametrize("trades", [40, 200])
def test_intervals_of_trades_hold_the_true_win_rate_and_expectancy(trades: int) -> None:
    """Wins of 1.5 R with probability 0.45, losses of 1 R: an expectancy of 0.125 R."""
    rng = np.random.default_rng(SEED)
    profits = np.where(rng.random((SERIES, trades)) < 0.45, 1.5, -1.0)
    for statistic, truth in ((win_rate_statistic, 0.45), (mean_statistic, 0.125)):
        found = [interval(x, statistic, rng, samples=RESAMPLES) for x in profits]
        share = held(found, truth)
        print(f"seed {SEED} | {statistic.__name__}, {trades} trades: {share:.1%} held the truth")
        assert 0.90 <= share <= 0.98


def test_a_band_for_a_shorter_track_is_shallower() -> None:
    rng = np.random.default_rng(SEED)
    (returns, *_) = series(gaussian, 756, rng)
    year, month = (drawdown_band(returns, rng, periods=n) for n in (252, 21))
    assert year is not None
    assert month is not None
    assert month.low < month.high < year.high
    assert year.value == month.value  # that of the returns themselves


def test_all_intervals_of_a_run_come_with_their_values() -> None:
    rng = np.random.default_rng(SEED)
    returns, profits = 0.01 * rng.standard_normal(300) + 0.0005, rng.standard_normal(60)
    found = intervals(returns, profits, rng, samples=500)
    fall = drawdown(np.concatenate(([1.0], np.cumprod(1.0 + returns))))
    assert fall is not None
    values = {
        "sharpe": np.mean(returns) / np.std(returns, ddof=1) * math.sqrt(252),
        "max_drawdown": fall.depth,
        "win_rate": np.mean(profits > 0),
        "expectancy": np.mean(profits),
    }
    for name, value in values.items():
        one: Interval | None = getattr(found, name)
        assert one is not None, name
        assert one.value == pytest.approx(value), name
        assert one.low < one.high, name
        assert (one.level, one.samples) == (0.95, 500)
        assert one.block >= 1.0


def test_the_figures_of_resamples_are_those_worked_by_hand() -> None:
    rows = np.array([[-0.5, 0.1, 0.0], [0.25, -0.2, 0.5], [0.1, 0.0, 0.1]])
    assert drawdown_statistic(rows) == pytest.approx([0.5, 0.2, 0.0])  # the capital is a peak
    assert win_rate_statistic(rows) == pytest.approx([1 / 3, 2 / 3, 2 / 3])  # 0 did not win
    assert mean_statistic(rows) == pytest.approx([-0.4 / 3, 0.55 / 3, 0.2 / 3])
    sharpes = sharpe_statistic(4)(np.array([[0.01, 0.01, 0.01, 0.05], [0.1] * 4]))
    assert sharpes == pytest.approx([2.0, math.nan], nan_ok=True)


def test_a_higher_level_is_wider() -> None:
    x = np.random.default_rng(SEED).standard_normal(100)
    narrow, wide = (
        interval(x, mean_statistic, np.random.default_rng(SEED), level=level)
        for level in (0.8, 0.99)
    )
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    "values", [[], [0.01], list(np.linspace(-1, 1, FEWEST - 1)), [0.01] * 100, [0.0] * 100]
)
def test_too_few_values_or_no_variation_have_no_interval(values: list[float]) -> None:
    found = intervals(values, values, np.random.default_rng(SEED), samples=50)
    assert found.sharpe is found.max_drawdown is found.win_rate is found.expectancy is None


def test_wins_only_are_no_certainty_of_winning() -> None:
    rng = np.random.default_rng(SEED)
    profits = rng.uniform(1, 2, 30)
    found = intervals(rng.standard_normal(100) / 100, profits, rng, samples=50)
    assert found.win_rate is None
    assert found.expectancy is not None


def test_a_sharpe_that_most_resamples_lack_has_no_interval() -> None:
    """One trade in a long flat curve: a third of the resamples never see it."""
    returns = np.zeros(200)
    returns[50] = 0.01
    found = interval(
        returns, sharpe_statistic(), np.random.default_rng(SEED), samples=500, block=1.0
    )
    assert found is None


def test_bad_input_is_refused_in_one_sentence() -> None:
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal(50) / 100
    for level in (0.0, 1.0, 95.0, math.nan):
        with pytest.raises(BadInput, match="level of an interval"):
            interval(x, mean_statistic, rng, level=level)
        with pytest.raises(BadInput, match="level of an interval"):
            drawdown_band(x, rng, level=level)
    with pytest.raises(BadInput, match="Value 3 of 50 is nan"):
        interval(np.where(np.arange(50) == 3, math.nan, x), mean_statistic, rng)
    with pytest.raises(BadInput, match="Return 0 is -2"):
        drawdown_band([-2.0] + [0.1] * 20, rng)
    with pytest.raises(BadInput, match="track of 0 periods"):
        drawdown_band(x, rng, periods=0)
    with pytest.raises(BadInput, match="0 resamples"):
        interval(x, mean_statistic, rng, samples=0)
