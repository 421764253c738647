"""Curves, attribution, costs and thinning: the arithmetic under the pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.fills import slipped
from roboinvest.core.market.grid import from_units, to_units
from roboinvest.core.orders import Leg, Side
from roboinvest.core.performance import sharpe
from roboinvest.core.quant.conditions import once_a_session
from roboinvest.core.strategy import EquityShare, Execution
from tests.tools.backtester.report.builders import (
    AT_ONCE,
    FIRST,
    run,
    sessions,
    strategy,
    total,
    walked,
    with_equity,
)
from tests.tools.backtester.report.cases import (
    CASES,
    ambiguous_bars,
    full_evidence,
    many_years,
    one_trade,
    split_within,
    two_months,
    two_symbols,
)
from tools.backtester.report.charts.scale import (
    Scale,
    day_ticks,
    number_text,
    path,
    scale_of,
    thinned,
    tick_step,
)
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.measures.attribution import UNKNOWN_REGIME, attributions
from tools.backtester.report.measures.chosen import MOST_CANDLES, candles_of, chosen_trades
from tools.backtester.report.measures.costs import costs_of, exposure_by_bar, reckoning
from tools.backtester.report.measures.curves import (
    bins,
    daily_exposure,
    daily_returns,
    day_places,
    moving_sharpe,
    worst_falls,
    years,
)
from tools.backtester.report.words import exchange_time


@pytest.mark.parametrize("case", CASES)
def test_every_attribution_holds_every_round_trip_once(case: str) -> None:
    result = CASES[case]()
    tables = attributions(result, full_evidence(result))
    assert bool(tables) is bool(result.round_trips)
    for table in tables:
        assert sum((group.pnl for group in table.groups), Decimal(0)) == total(result)
        assert table.total.pnl == total(result)
        assert sum(group.trades for group in table.groups) == len(result.round_trips)
        assert sum(group.fees for group in table.groups) == table.total.fees


def test_hours_are_those_of_new_york_on_both_sides_of_a_clock_change() -> None:
    days = [
        *sessions(date(2011, 3, 9), date(2011, 3, 11)),
        *sessions(date(2011, 3, 14), date(2011, 3, 16)),
    ]
    result = run(walked(days))
    hours = {each.label for each in attributions(result, Evidence())[0].groups}
    assert len(result.round_trips) > 3
    assert hours <= {"10:00", "11:00"}
    assert exchange_time(result.round_trips[0].entry_at).hour in (10, 11)


def test_tables_are_in_the_order_of_the_week_and_the_year() -> None:
    tables = {table.name: table for table in attributions(many_years(), Evidence())}
    assert [group.label for group in tables["weekday"].groups][:2] == ["Monday", "Tuesday"]
    assert [group.label for group in tables["month"].groups][::11] == ["Jan", "Dec"]
    assert "hour" not in tables
    assert "symbol" not in tables
    several = {table.name: table for table in attributions(two_symbols(), Evidence())}
    assert [group.label for group in several["symbol"].groups] == ["IBM", "SPY"]


def test_a_day_without_a_regime_is_called_so() -> None:
    result = two_months()
    regimes = {date.fromordinal(int(result.days[0])): "bull_calm"}
    tables = {t.name: t for t in attributions(result, Evidence(regimes=regimes))}
    assert {group.label for group in tables["regime"].groups} == {"bull_calm", UNKNOWN_REGIME}


BY_HAND = {"falls_to_almost_nothing", "grows_a_thousandfold", "flat_curve"}  # of no trades


@pytest.mark.parametrize("case", sorted(CASES.keys() - BY_HAND))
def test_the_money_at_the_end_is_explained_to_the_last_unit(case: str) -> None:
    result = CASES[case]()
    sums = reckoning(result)
    assert sums.cash + sums.trades + sums.dividends == sums.liquidated
    assert sums.rounding == 0
    assert sums.open_positions == sum(trip.is_open for trip in result.round_trips)
    assert (sums.marked == sums.liquidated) is not sums.open_positions


def test_slippage_is_what_fills_paid_over_the_market() -> None:
    plain = Execution(size=EquityShare(0.5), flat_before_close_min=15.0)
    result = run(walked(sessions(FIRST, FIRST)), strategy(once_a_session(AT_ONCE), plain))
    entry, leave = result.played.fills
    bars = result.stage.parts["SPY"].bars
    rules = result.request.terms.rules
    market = Decimal(repr(float(bars.open[entry.row])))
    assert entry.price == slipped(market, Side.BUY, rules)
    sold_at = Decimal(repr(float(bars.open[leave.row])))
    paid = entry.qty * (entry.price - market + sold_at - leave.price)
    costs = costs_of(result)
    assert abs(costs.slippage - paid) < paid / 100
    assert costs.fees == entry.fee + leave.fee
    assert costs.turnover == entry.qty * entry.price + abs(leave.qty) * leave.price


def test_exposure_is_seen_bar_by_bar_where_nothing_is_held_overnight() -> None:
    result = two_months()
    mean, held = exposure_by_bar(result)
    assert result.figures.mean_exposure == 0.0
    assert mean is not None
    assert held is not None
    assert 0.02 < mean < held < 1.0
    by_day, highest = daily_exposure(result)
    assert by_day.shape == highest.shape == result.days.shape
    assert np.mean(by_day) == pytest.approx(mean, rel=0.01)
    assert (highest >= by_day).all()


def test_drawdowns_have_their_days_and_end_where_the_peak_is_met_again() -> None:
    result = run(walked(sessions(date(2011, 1, 3), date(2011, 1, 14))))
    curve = [100.0, 110.0, 99.0, 104.5, 110.0, 112.0, 100.8, 101.0, 109.0, 109.0, 110.0]
    falls = worst_falls(with_equity(result, curve))
    days = [date.fromordinal(int(day)) for day in result.days]
    first, second = falls
    assert [first.depth, second.depth] == pytest.approx([0.1, 0.1])
    assert {first.peak, second.peak} == {days[0], days[4]}
    early, late = sorted(falls, key=lambda fall: fall.trough)
    assert (early.trough, early.recovered, early.length) == (days[1], days[3], 3)
    assert (late.trough, late.recovered, late.length) == (days[5], None, 5)
    assert max(fall.depth for fall in falls) == pytest.approx(
        with_equity(result, curve).figures.max_drawdown
    )


@pytest.mark.parametrize("case", ["two_months", "many_years", "only_losing_trades"])
def test_months_compound_to_years_and_years_to_the_whole(case: str) -> None:
    result = CASES[case]()
    found = years(result)
    for year in found:
        assert np.prod([1 + m for m in year.months if m is not None]) == pytest.approx(
            1 + year.whole
        )
    whole = result.figures.total_return
    assert whole is not None
    assert np.prod([1 + year.whole for year in found]) == pytest.approx(1 + whole)


def test_the_moving_sharpe_ratio_takes_the_longest_window_that_fits_three_times() -> None:
    assert moving_sharpe(two_months().daily_equity) is None
    moving = moving_sharpe(many_years().daily_equity)
    assert moving is not None
    window, ratios = moving
    assert window == 126
    assert np.isnan(ratios[: window - 1]).all()
    returns = daily_returns(many_years().daily_equity)
    for end in range(window, len(returns) + 1):
        whole = sharpe(returns[end - window : end])
        assert ratios[end - 1] == pytest.approx(np.nan if whole is None else whole, nan_ok=True)


def test_the_moving_sharpe_ratio_has_gaps_where_nothing_varies() -> None:
    curve = [100.0] * 40 + [100.0 + n % 3 for n in range(60)]
    moving = moving_sharpe(np.round(np.array(curve) * 10_000).astype(np.int64))
    assert moving is not None
    window, ratios = moving
    assert window == 21
    assert np.isnan(ratios[:39]).all()
    assert np.isfinite(ratios[40:]).all()


FIGURES = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 4)), min_size=1, max_size=60)


@given(FIGURES)
def test_a_histogram_counts_every_value_once_and_mixes_no_signs(values: list[float]) -> None:
    classes = bins(np.array(values))
    assert sum(each.count for each in classes) == len(values)
    assert sum(each.count for each in classes if each.low < 0) == sum(v < 0 for v in values)
    assert all(each.low < 0.0 or each.low >= 0.0 for each in classes)
    assert not any(each.low < -1e-12 and each.high > 1e-12 for each in classes)
    assert len(classes) <= 33


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(1, 50))
def test_thinning_keeps_the_extremes_and_the_ends(values: list[float], columns: int) -> None:
    curve = np.array(values)
    places = np.linspace(0.0, 1.0, len(curve))
    x, y = thinned(places, curve, columns)
    assert (y.min(), y.max()) == (curve.min(), curve.max())
    assert (y[0], y[-1]) == (curve[0], curve[-1])
    assert (np.diff(x) >= 0).all()
    assert len(y) <= 2 * (columns + 1) + 2


def test_a_path_goes_in_steps() -> None:
    assert path(np.array([0, 3, 3]), np.array([10, 5, 5])) == "M0 10l3-5"
    assert path(np.array([7]), np.array([9])) == "M7 9h0"
    assert path(np.array([], dtype=np.int64), np.array([], dtype=np.int64)) == ""


@given(st.floats(-1e7, 1e7), st.floats(0, 1e7))
def test_a_scale_shows_all_and_its_ticks_are_round_and_different(low: float, wide: float) -> None:
    scale = scale_of(np.array([low, low + wide]))
    assert scale.low <= low <= low + wide <= scale.high
    ticks = scale.ticks()
    texts = [number_text(tick, tick_step(ticks)) for tick in ticks]
    assert 1 <= len(ticks) <= 9
    assert len(set(texts)) == len(texts)
    assert all(0.0 <= scale.place(tick) <= 100.0 for tick in ticks)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(2.5, 2.5, "2.5"), (-5, 2.5, "-5.0"), (0.25, 0.25, "0.25"), (20_000, 5_000, "20,000")],
)
def test_a_tick_has_the_digits_of_its_step(value: float, step: float, text: str) -> None:
    assert number_text(value, step) == text


def test_an_axis_of_money_is_logarithmic_from_a_factor_of_ten() -> None:
    assert not scale_of(np.array([1.0, 9.0]), may_log=True).is_log
    scale = scale_of(np.array([1.0, 100.0]), may_log=True)
    assert scale.is_log
    assert scale.place(10.0) == pytest.approx(50.0, abs=0.1)
    assert scale.ticks() == [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
    assert not scale_of(np.array([0.0, 100.0]), may_log=True).is_log
    assert Scale(low=0.0, high=1.0).place(7.0) == 0.0


@pytest.mark.parametrize("years_long", [0, 1, 3, 12])
def test_an_axis_of_days_has_about_a_dozen_marks_that_differ(years_long: int) -> None:
    last = date(2005 + years_long, 1, 20) if years_long else date(2005, 1, 4)
    days = [session.day for session in sessions(date(2005, 1, 3), last)]
    ticks = day_ticks(days)
    assert 2 <= len(ticks) <= 14
    assert [tick.at for tick in ticks] == sorted({tick.at for tick in ticks})
    assert all(0.0 <= tick.at < 100.0 for tick in ticks)


def test_marks_keep_apart_where_months_are_missing() -> None:
    days = [
        session.day
        for first, last in ((date(2011, 1, 3), date(2011, 1, 31)), (date(2011, 3, 1), FIRST_OF_MAY))
        for session in sessions(first, last)
    ]
    places = [tick.at for tick in day_ticks(days)]
    assert min(np.diff(places)) > 4.0


FIRST_OF_MAY = date(2011, 5, 1)


def test_instants_lie_in_their_days() -> None:
    result = two_months()
    places = day_places(result)
    assert (np.diff(places) > 0).all()
    assert places[-1] == len(result.days)
    assert np.floor(places[0]) == 0


def test_the_best_the_worst_the_last_and_the_doubtful_trade_are_chosen_once() -> None:
    result = ambiguous_bars()
    chosen = chosen_trades(result)
    by_why = {why: each.trip for each in chosen for why in re.split(", | and ", each.why)}
    assert set(by_why) == {"best", "worst", "last", "most ambiguous"}
    profits = [trip.pnl for trip in result.round_trips]
    assert by_why["best"].pnl == max(profits)
    assert by_why["worst"].pnl == min(profits)
    assert by_why["last"].exit_at == max(trip.exit_at for trip in result.round_trips)
    assert by_why["most ambiguous"].ambiguous
    assert len({each.trip.entry for each in chosen}) == len(chosen)
    (only,) = chosen_trades(one_trade())
    assert only.why == "best, worst and last"


def test_candles_keep_the_extremes_of_their_bars() -> None:
    bars = walked(sessions())
    candles = candles_of(bars, 10, 400)
    assert candles.bundle == 5
    assert len(candles) <= MOST_CANDLES
    assert candles.high.max() == bars.high[10:401].max()
    assert candles.low.min() == bars.low[10:401].min()
    assert (candles.open[0], candles.close[-1]) == (bars.open[10], bars.close[400])
    assert candles.place(10) == pytest.approx(0.5 / len(candles))


def test_candles_before_a_split_are_on_the_scale_of_the_exit() -> None:
    result = split_within()
    ex_date = result.stage.actions[0].ex_date
    chosen = next(each for each in chosen_trades(result) if each.split == ex_date)
    closes = chosen.candles.close
    assert np.abs(np.diff(np.log(closes))).max() < 0.1
    assert chosen.trip.entry_price == pytest.approx(Decimal(50), abs=5)


def test_units_and_money_agree() -> None:
    result = two_months()
    assert from_units(int(result.daily_equity[-1])) == reckoning(result).marked
    changed = replace(result, liquidated=result.liquidated + to_units(Decimal("0.01")))
    assert reckoning(changed).rounding == Decimal("0.01")


def test_a_target_pays_no_slippage() -> None:
    result = one_trade()
    entry, leave = result.played.fills
    assert leave.leg is Leg.TARGET
    rate = result.request.terms.rules.slippage_bps / 10_000
    bought = entry.qty * entry.price * rate
    assert costs_of(result).slippage == pytest.approx(bought, rel=Decimal("0.01"))
