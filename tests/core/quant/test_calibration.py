"""Confidence is what a conviction has been worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.quant.calibration import BUCKETS, Calibration, bucket_of, posterior_mean
from roboinvest.core.quant.memories import CalibrationCell


@pytest.mark.parametrize(
    ("conviction", "bucket"),
    [(-1.0, 0), (-0.9, 1), (-0.05, 9), (0.0, 10), (0.0999, 10), (0.1, 11), (0.3, 13), (1.0, 19)],
)
def test_a_conviction_falls_into_the_cell_that_starts_at_or_below_it(
    conviction: float, bucket: int
) -> None:
    assert bucket_of(conviction) == bucket


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_a_higher_conviction_is_never_in_a_lower_cell(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= bucket_of(low) <= bucket_of(high) < BUCKETS


def test_confidence_without_outcomes_is_the_prior_of_a_coin_toss() -> None:
    assert Calibration().confidence("house", 0.4) == 0.5


def test_confidence_is_the_mean_of_the_beta_posterior() -> None:
    calibration = Calibration()
    for won in (True, True, True, False):
        calibration.record("house", 0.42, won)
    assert calibration.confidence("house", 0.42) == pytest.approx((10 + 3) / (20 + 4), abs=1e-6)
    assert calibration.confidence("house", 0.49) == calibration.confidence("house", 0.42)
    assert calibration.confidence("house", 0.52) == 0.5
    assert calibration.confidence("other", 0.42) == 0.5


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_confidence_rises_with_every_win_and_falls_with_every_loss(wins: int, losses: int) -> None:
    share = posterior_mean(wins, losses)
    assert 0.0 < share < 1.0
    assert posterior_mean(wins + 1, losses) >= share >= posterior_mean(wins, losses + 1)
    assert posterior_mean(wins + 100, losses) > share > posterior_mean(wins, losses + 100)


def test_a_recorded_outcome_returns_the_cell_it_changed() -> None:
    calibration = Calibration([CalibrationCell(agent_id="house", bucket=14, wins=5, losses=2)])
    changed = calibration.record("house", 0.45, won=False)
    assert changed == CalibrationCell(agent_id="house", bucket=14, wins=5, losses=3)
    assert calibration.cells() == (changed,)


def test_cells_come_back_in_one_order_and_rebuild_the_same_confidence() -> None:
    calibration = Calibration()
    for agent, conviction, won in (("b", 0.3, True), ("a", 0.9, False), ("a", -0.2, True)):
        calibration.record(agent, conviction, won)
    cells = calibration.cells()
    assert [(c.agent_id, c.bucket) for c in cells] == [("a", 8), ("a", 19), ("b", 13)]
    assert Calibration(reversed(cells)).cells() == cells
