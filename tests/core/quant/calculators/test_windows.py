"""Windows are summed by themselves, so that ties are ties and stillness is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.quant.calculators import averages, momentum, peers, session, windows
from roboinvest.core.quant.calculators.averages import sma, stddev, zscore
from tests.fakes.tapes import minute_tape, tape

cents = st.lists(st.integers(1, 90_000), min_size=1, max_size=60)


def closes(prices: list[float]) -> SessionBars:
    return tape([(price, price, price, price, 100.0) for price in prices])


@given(cents, st.integers(1, 12))
def test_windows_hold_what_a_plain_sum_over_each_gives(drawn: list[int], period: int) -> None:
    values = np.array(drawn) / 100.0
    above, deviation = windows.spread(values, period)
    distance = windows.mean_distance(values, period)[1]
    slope = windows.slope(values, period) if period > 1 else np.zeros(len(values))
    for row in range(len(values)):
        window = values[max(row - period + 1, 0) : row + 1]
        if len(window) < period:
            assert np.isnan([above[row], deviation[row], distance[row]]).all()
            continue
        near = pytest.approx
        assert above[row] == near(window[-1] - window.mean(), abs=1e-9)
        assert deviation[row] == near(window.std(), abs=1e-9, rel=1e-9)
        assert distance[row] == near(np.abs(window - window.mean()).mean(), abs=1e-9)
        assert windows.total(values, period)[row] == near(window.sum())
        assert windows.exact_mean(values, period, 1e8)[row] == near(window.mean(), rel=1e-15)
        assert windows.highest(values, period)[row] == window.max()
        assert windows.lowest(values, period)[row] == window.min()
        if period > 1:
            assert slope[row] == near(np.polyfit(np.arange(period), window, 1)[0], abs=1e-8)


@given(cents, cents, st.integers(2, 12))
def test_products_are_variances_and_covariance(
    one: list[int], other: list[int], period: int
) -> None:
    size = min(len(one), len(other))
    left, right = np.array(one[:size]) / 100.0, np.array(other[:size]) / 100.0
    found = np.array(windows.products(left, right, period))
    for row in range(period - 1, size):
        rows = slice(row - period + 1, row + 1)
        expected = np.cov(left[rows], right[rows], bias=True)
        assert found[:, row].tolist() == pytest.approx(
            [expected[0, 0], expected[1, 1], expected[0, 1]], abs=1e-7
        )


@given(cents, st.integers(1, 6), st.integers(1, 6))
def test_averages_of_the_same_figure_are_equal(drawn: list[int], one: int, other: int) -> None:
    prices = [value / 100.0 for value in drawn for _ in range(12)]
    bars = closes(prices)
    short, long = sma(one).compute(bars), sma(other).compute(bars)
    np.testing.assert_array_equal(short[11::12], long[11::12])
    np.testing.assert_array_equal(short[11::12], bars.close[11::12])


def test_an_average_does_not_drift_however_much_went_before() -> None:
    bars = minute_tape(1, days=30, start=700_000.0)
    late = bars.rows(slice(11_000, None))
    for calculator in (sma(20), sma(20, "volume"), zscore(20), stddev(20), momentum.cci()):
        whole, part = calculator.compute(bars), calculator.compute(late)
        np.testing.assert_array_equal(whole[11_020:], part[20:])


def test_a_market_without_movement_has_a_deviation_of_nothing_and_no_score() -> None:
    bars = closes([100.01] * 5 + [33.333333333333336] * 30 + [7.7] * 30)
    deviation, score = stddev(20).compute(bars), zscore(20).compute(bars)
    still = [*range(24, 35), *range(54, 65)]
    assert set(deviation[still]) == {0.0}
    assert np.isnan(score[still]).all()
    assert np.isfinite(score[35:54]).all()
    for calculator in (
        momentum.rsi(14),
        momentum.cci(20),
        momentum.stochastic_k(14, 1),
        momentum.williams_r(14),
        momentum.mfi(14),
        momentum.stoch_rsi(),
    ):
        assert np.isnan(calculator.compute(bars)[still]).all(), calculator.name


def test_a_typical_price_that_only_rounding_moves_moves_no_money() -> None:
    rows = [(1.0, 1.1, 0.3, 0.7, 100.0), (1.0, 1.0, 0.4, 0.7, 100.0)] * 10
    sums = [high + low + close for _, high, low, close, _ in rows]
    assert sums[0] != sums[1]  # of floats
    assert np.isnan(momentum.mfi(5).compute(tape(rows))).all()


def test_sums_too_large_to_be_exact_are_refused() -> None:
    with pytest.raises(BadInput, match="too large for an average of 5000 rows"):
        windows.exact_mean(np.full(6000, 1e8), 5000, windows.PRICE_PARTS)


def test_what_is_divided_by_nothing_has_no_value() -> None:
    bars = tape([(10.0, 10.0, 10.0, 10.0, 0.0)] * 60)
    for calculator in (
        averages.vwma(5),
        averages.rolling_vwap(5),
        session.relative_volume(5),
        momentum.roc(5, "volume"),
    ):
        assert np.isnan(calculator.compute(bars)).all(), calculator.name


def test_peers_are_read_as_of_each_close_and_never_later() -> None:
    own, other = minute_tape(1, days=2), minute_tape(2, days=2, symbol="QQQ", missing=0.3)
    bars = among({"SPY": own, "QQQ": other})["SPY"]
    column = peers.other_close(bars)
    for row in range(0, len(own), 17):
        seen = other.close[other.closes_at <= own.closes_at[row]]
        assert np.array_equal(column[row], seen[-1] if len(seen) else np.nan, equal_nan=True)


def test_a_symbol_moves_with_itself() -> None:
    own = minute_tape(1, days=1)
    twice = tape([(2 * p, 2 * p, 2 * p, 2 * p) for p in own.close.tolist()], symbol="TWICE")
    bars = among({"SPY": own, "TWICE": twice})["SPY"]
    assert peers.beta(20).compute(bars)[20:].tolist() == pytest.approx([1.0] * 370)
    assert peers.correlation(20).compute(bars)[20:].tolist() == pytest.approx([1.0] * 370)
    assert np.isnan(peers.ratio_zscore(20).compute(bars)).all()  # the ratio never moves


def test_a_ratio_that_has_come_far_has_a_score_of_its_distance_in_deviations() -> None:
    own, other = minute_tape(1, days=1), minute_tape(2, days=1, symbol="QQQ")
    score = peers.ratio_zscore(30).compute(among({"SPY": own, "QQQ": other})["SPY"])
    logs = np.log(own.close / other.close)
    for row in range(29, 390, 37):
        window = logs[row - 29 : row + 1]
        assert score[row] == pytest.approx((window[-1] - window.mean()) / window.std())


def test_peers_need_one_other_symbol_and_no_more() -> None:
    three = {name: minute_tape(1, days=1, symbol=name) for name in ("A", "B", "C")}
    with pytest.raises(BadInput, match=r"A is to be held against one other .* the run has B, C"):
        peers.beta(20).compute(among(three)["A"])
    with pytest.raises(BadInput, match="the run has none"):
        peers.ratio_zscore(20).compute(three["A"])


def test_a_peer_without_bars_gives_no_value() -> None:
    own = minute_tape(1, days=1)
    other = minute_tape(2, days=1, symbol="QQQ").rows(slice(0, 0))
    bars = among({"SPY": own, "QQQ": other})["SPY"]
    assert np.isnan(peers.ratio_zscore(20).compute(bars)).all()
    assert np.isnan(peers.correlation(20).compute(bars)).all()
