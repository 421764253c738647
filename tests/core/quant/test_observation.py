"""What is observed is finite, causal, and says what a hand-made market does."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.market.bars import BarSeries, to_ns
from roboinvest.core.market.values import LevelKind, Timeframe
from roboinvest.core.quant.observation import LOOKBACK, WARM_UP, Observation, observe
from tests.fakes.windows import FIRST_DAY, QUIET, head, look, series_of, session_on, walk


def assert_well_formed(seen: Observation) -> None:
    assert seen.features.keys() == QUIET.keys()
    for name, value in seen.features.items():
        assert math.isfinite(value), name
        assert value == round(value, 6), name
    assert len(seen.vector) == (16 if seen.warm else 0)
    assert all(abs(v) <= 3.0 and v == round(v, 6) for v in seen.vector)
    assert all(math.isfinite(level.price) for level in seen.levels)


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(1, 500),
    st.sampled_from([0.0, 0.0001, 0.002, 0.05]),
    st.sampled_from(list(Timeframe)),
    st.sampled_from([0.5, 100.0, 5000.0]),
)
def test_any_window_gives_finite_rounded_features(
    seed: int, length: int, step: float, timeframe: Timeframe, start: float
) -> None:
    closes = [max(0.01, close) for close in walk(seed, length, step=step, start=start)]
    seen = look(series_of(closes, spread=0.0, timeframe=timeframe))
    assert_well_formed(seen)
    assert seen.warm == (length >= WARM_UP)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 300), st.integers(1, 200))
def test_what_is_seen_does_not_depend_on_what_comes_later(
    seed: int, known: int, later: int
) -> None:
    whole = series_of(walk(seed, known + later))
    end = whole.closes_at[known - 1]
    window = BarSeries(
        symbol=whole.symbol,
        **{
            name: getattr(whole, name)[:known]  # a view: the later bars lie right behind it
            for name in ("ts", "closes_at", "day", "open", "high", "low", "close", "volume")
        },
    )
    assert window.closes_at[-1] == end
    assert look(window) == look(head(whole, known))


@pytest.mark.parametrize("length", [1, 2, 15, 61, 400])
@pytest.mark.parametrize("volume", [0.0, 1000.0])
def test_a_motionless_market_is_neutral_and_not_oversold(length: int, volume: float) -> None:
    still = series_of([126.37] * length, spread=0.0, volumes=[volume] * length)
    seen = look(still)
    assert_well_formed(seen)
    neutral = {"rsi": 50.0, "stoch_k": 50.0, "mfi": 50.0, "williams_r": -50.0, "cci": 0.0}
    assert {name: seen.features[name] for name in neutral} == neutral
    for name in ("bb_z", "ema_gap", "long_gap", "move_15", "move_60", "vwap_gap", "thrust"):
        assert seen.features[name] == pytest.approx(0.0, abs=1e-3), name
    assert seen.regime.name == "range_calm"


def test_a_market_that_fell_asleep_long_ago_is_neutral_too() -> None:
    seen = look(series_of([*walk(3, 100), *([99.0] * 600)], spread=0.0))
    assert seen.features["rsi"] == 50.0
    assert_well_formed(seen)


def test_nothing_is_seen_without_a_bar() -> None:
    empty = series_of([])
    seen = look(empty, vix=17.0)
    assert (seen.bars, seen.bar_ts, seen.close, seen.warm) == (0, None, 0.0, False)
    assert (seen.vector, seen.levels, dict(seen.features)) == ((), (), {})
    assert seen.regime.vix == 17.0


def test_a_steady_rise_is_a_bull_regime_and_a_steady_fall_a_bear_one() -> None:
    rise = [100.0 + 0.02 * row for row in range(300)]
    up, down = look(series_of(rise)), look(series_of(rise[::-1]))
    assert (up.regime.name, down.regime.name) == ("bull_calm", "bear_calm")
    for name in ("ema_gap", "long_gap", "di_balance", "move_15", "move_60", "vwap_gap", "roc"):
        assert up.features[name] > 0.0 > down.features[name], name


def test_the_first_bars_of_a_session_are_measured_against_todays_average_only() -> None:
    seen = look(series_of([*([100.0] * 390), 110.0, 110.0, 110.0], spread=0.0))
    assert seen.features["session_bars"] == 3.0
    average = (320.0 / 3 + 110.0 + 110.0) / 3  # the first of them opened at 100
    atr = seen.features["atr_frac"] * seen.close
    assert seen.features["vwap_gap"] == pytest.approx((110.0 - average) / atr, rel=1e-4)


def test_the_gap_between_sessions_does_not_count_as_volatility() -> None:
    closes = walk(5, 390)
    gapped = [*closes, *(1.05 * close for close in walk(6, 10, start=closes[-1]))]
    assert look(series_of(gapped)).features["vol_ratio"] < 1.5
    within = [*closes[:370], *(1.05 * close for close in closes[370:])]
    assert look(series_of(within)).features["vol_ratio"] > 2.0


def test_a_move_of_fifteen_bars_is_measured_from_the_close_before_them() -> None:
    inside, outside = (
        look(series_of([*([100.0] * 200), *([101.0] * bars)], spread=0.0)) for bars in (15, 16)
    )
    assert inside.features["move_15"] > 1.0
    assert outside.features["move_15"] == 0.0
    assert outside.features["move_60"] > 1.0


def test_pivots_come_from_the_whole_previous_session() -> None:
    closes = [*([100.0] * 200), 108.0, *([100.0] * 188), 104.0, *([103.0] * 50)]
    seen = look(series_of(closes, spread=0.0))
    pivots = {level.name: level.price for level in seen.levels if level.kind is LevelKind.PIVOT}
    assert pivots["P"] == pytest.approx((108.0 + 100.0 + 104.0) / 3, abs=1e-6)
    assert pivots["R1"] == pytest.approx(2 * pivots["P"] - 100.0, abs=1e-5)


def test_without_a_previous_session_there_are_no_pivots() -> None:
    seen = look(series_of(walk(1, 200)))
    assert [level for level in seen.levels if level.kind is LevelKind.PIVOT] == []


def test_before_the_first_bar_of_a_session_the_last_one_is_the_previous() -> None:
    series = series_of(walk(1, 390))
    tomorrow = session_on(FIRST_DAY + timedelta(days=1))
    seen = observe(series, at=tomorrow.opens_at, session=tomorrow, vix=None)
    assert seen.features["session_bars"] == 0.0
    assert seen.features["range_known"] == 0.0
    high, low, close = (float(v) for v in (series.high.max(), series.low.min(), series.close[-1]))
    assert next(v.price for v in seen.levels if v.name == "P") == pytest.approx(
        (high + low + close) / 3, abs=1e-6
    )


def test_day_bars_have_no_session_average_and_no_opening_range() -> None:
    seen = look(series_of(walk(2, 300, step=0.01), timeframe=Timeframe.DAY))
    assert seen.features["bar_minutes"] > 390.0
    assert (seen.features["session_bars"], seen.features["vwap_gap"]) == (1.0, 0.0)
    assert seen.features["range_known"] == 0.0
    assert seen.features["vol_ratio"] > 0.0


def test_only_the_window_and_not_its_scale_matters() -> None:
    closes = walk(11, LOOKBACK)
    series = series_of(closes)
    doubled = replace(
        series,
        open=series.open * 2,
        high=series.high * 2,
        low=series.low * 2,
        close=series.close * 2,
        volume=series.volume * 8,
    )
    one, other = look(series), look(doubled)
    np.testing.assert_allclose(one.vector, other.vector, atol=2e-5)


def test_the_observation_is_stamped_with_the_last_closed_bar() -> None:
    series = series_of(walk(1, 100))
    seen = look(series)
    assert seen.bar_ts is not None
    assert to_ns(seen.bar_ts) == series.ts[-1]
    assert (seen.close, seen.bars) == (float(series.close[-1]), 100)
