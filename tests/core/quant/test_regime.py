"""A regime is a trend only when three views agree, and stressed for two reasons."""

from __future__ import annotations

import pytest

from roboinvest.core.quant.regime import classify


@pytest.mark.parametrize(
    ("ema_gap", "long_gap", "adx", "name"),
    [
        (0.5, 1.0, 25.0, "bull_calm"),
        (-0.5, -1.0, 25.0, "bear_calm"),
        (0.5, -1.0, 25.0, "range_calm"),
        (-0.5, 1.0, 25.0, "range_calm"),
        (0.5, 1.0, 19.9, "range_calm"),
        (0.0, 0.0, 60.0, "range_calm"),
    ],
)
def test_a_trend_needs_both_averages_and_adx(
    ema_gap: float, long_gap: float, adx: float, name: str
) -> None:
    regime = classify(ema_gap=ema_gap, long_gap=long_gap, adx=adx, vol_ratio=1.0, vix=None)
    assert regime.name == name


@pytest.mark.parametrize(
    ("vol_ratio", "vix", "name"),
    [
        (1.0, 29.9, "range_calm"),
        (1.0, 30.0, "range_stressed"),
        (2.0, None, "range_stressed"),
        (2.0, 12.0, "range_stressed"),
        (1.9, None, "range_calm"),
    ],
)
def test_volatility_is_stressed_by_its_own_rise_or_by_a_high_vix(
    vol_ratio: float, vix: float | None, name: str
) -> None:
    regime = classify(ema_gap=0.0, long_gap=0.0, adx=10.0, vol_ratio=vol_ratio, vix=vix)
    assert (regime.name, regime.vix) == (name, vix)
