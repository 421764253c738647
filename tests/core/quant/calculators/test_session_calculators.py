"""Sessions start anew, end early, lack minutes, and the first of them has none before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.calculators import channels, session
from roboinvest.core.quant.levels import floor_pivots
from tests.fakes.calculators import chosen, half_days, joined
from tests.fakes.tapes import daily_tape, minute_tape, tape, weekdays

MINUTE_NS = 60_000_000_000


def without(bars: SessionBars, *rows: int) -> SessionBars:
    """Return the bars without some of them: minutes in which nothing was traded."""
    return chosen(bars, np.delete(np.arange(len(bars)), rows))


def rising(count: int, *, minutes: int = 390) -> SessionBars:
    """Return bars that open at 100, 101, ..., each from half a dollar below to half above."""
    rows = [(100.0 + k, 100.5 + k, 99.5 + k, 100.25 + k, 10.0 + k) for k in range(count)]
    return tape(rows, minutes=minutes)


def values(column: Floats) -> list[float | None]:
    """Return a column with None where there is no value."""
    return [None if np.isnan(value) else float(value) for value in column]


def test_high_low_and_open_of_a_session_start_anew_with_the_next() -> None:
    bars = rising(6, minutes=3)
    assert values(session.session_open().compute(bars)) == [100, 100, 100, 103, 103, 103]
    assert values(session.session_high().compute(bars)) == [
        100.5,
        101.5,
        102.5,
        103.5,
        104.5,
        105.5,
    ]
    assert values(session.session_low().compute(bars)) == [99.5, 99.5, 99.5, 102.5, 102.5, 102.5]
    assert values(session.session_bar().compute(bars)) == [0, 1, 2, 0, 1, 2]
    assert session.session_move().compute(bars)[4] == pytest.approx(104.25 / 103.0 - 1.0)


def test_the_first_session_has_none_before_it() -> None:
    bars = rising(6, minutes=3)
    for calculator, later in (
        (session.previous_close(), 102.25),
        (session.previous_high(), 102.5),
        (session.previous_low(), 99.5),
        (session.previous_move(), 102.25 / 100.0 - 1.0),
        (session.gap_frac(), 103.0 / 102.25 - 1.0),
    ):
        column = calculator.compute(bars)
        assert np.isnan(column[:3]).all(), calculator.name
        assert column[3:].tolist() == pytest.approx([later] * 3), calculator.name


def test_the_last_close_before_is_that_of_the_last_bar_there_is() -> None:
    bars = without(rising(9, minutes=3), 2, 3, 5)  # a half day, or minutes without a trade
    assert values(session.previous_close().compute(bars)) == [
        None,
        None,
        101.25,
        104.25,
        104.25,
        104.25,
    ]
    assert values(session.session_open().compute(bars)) == [100, 100, 104, 106, 106, 106]


def test_the_overnight_drift_is_the_mean_of_the_newest_gaps() -> None:
    bars = daily_tape(1, days=40)
    gaps = bars.open[1:] / bars.close[:-1] - 1.0
    column = session.overnight_drift(5).compute(bars)
    assert np.isnan(column[:5]).all()
    assert column[5:].tolist() == pytest.approx(
        [gaps[row - 5 : row].mean() for row in range(5, 40)], abs=1e-15
    )
    minutes = session.overnight_drift(1).compute(rising(6, minutes=3))
    assert minutes[3:].tolist() == pytest.approx([103.0 / 102.25 - 1.0] * 3)


def test_the_average_price_of_a_session_is_that_of_each_session_alone() -> None:
    bars = half_days(3, "SPY")
    column = session.session_vwap().compute(bars)
    for day in np.unique(bars.day):
        alone = bars.day == day
        expected = ta.session_vwap(
            bars.high[alone], bars.low[alone], bars.close[alone], bars.volume[alone]
        )
        np.testing.assert_array_equal(column[alone], expected)


def test_before_the_first_share_the_average_price_is_the_price() -> None:
    bars = tape([(10, 12, 9, 12, 0.0), (10, 10, 10, 10, 5.0), (20, 20, 20, 20, 5.0)])
    assert values(session.session_vwap().compute(bars)) == [11, 10, 15]


def test_the_opening_range_is_known_at_the_close_of_its_last_minute() -> None:
    bars = rising(40)
    high, low = (
        session.opening_range_high(30).compute(bars),
        session.opening_range_low(30).compute(bars),
    )
    assert np.isnan(high[:29]).all()
    assert np.isnan(low[:29]).all()
    assert set(high[29:]) == {129.5}
    assert set(low[29:]) == {99.5}


def test_a_missing_minute_delays_the_opening_range_and_does_not_widen_it() -> None:
    bars = without(rising(40), 29)  # the bar that would have closed the range
    column = session.opening_range_high(30).compute(bars)
    assert np.isnan(column[:29]).all()
    assert set(column[29:]) == {128.5}  # known with bar 30, which is not inside


def test_a_session_that_begins_late_has_no_opening_range() -> None:
    bars = rising(60).rows(slice(31, 60))
    assert np.isnan(session.opening_range_high(30).compute(bars)).all()
    assert np.isnan(session.opening_range_low(30).compute(bars)).all()


def test_bars_longer_than_the_range_have_none() -> None:
    assert np.isnan(session.opening_range_high(30).compute(daily_tape(1, days=9))).all()
    five = rising(40)
    five = replace(five, closes_at=five.ts + 5 * MINUTE_NS)
    assert np.isnan(session.opening_range_high(4).compute(five)).all()


def test_every_session_has_its_own_opening_range_half_days_too() -> None:
    bars = half_days(4, "SPY")
    column = session.opening_range_low(15).compute(bars)
    for day in np.unique(bars.day):
        rows = np.flatnonzero(bars.day == day)
        inside = rows[bars.closes_at[rows] <= bars.opens[rows] + 15 * MINUTE_NS]
        known = rows[bars.closes_at[rows] >= bars.opens[rows] + 15 * MINUTE_NS]
        assert set(column[known]) == {bars.low[inside].min()}
        assert np.isnan(column[np.setdiff1d(rows, known)]).all()


def test_pivots_are_those_of_the_session_before() -> None:
    bars = minute_tape(5, days=3)
    first = bars.day == bars.day[0]
    high, low, close = bars.high[first].max(), bars.low[first].min(), bars.close[first][-1]
    expected = {level.name: level.price for level in floor_pivots(high, low, close)}
    for name, price in expected.items():
        column = channels.pivot(name).compute(bars)
        assert np.isnan(column[:390]).all()
        assert column[390:780].tolist() == pytest.approx([price] * 390, abs=1e-6)
        assert column[780] != column[779]
    fourth = channels.pivot("R4").compute(bars)[400] - channels.pivot("R3").compute(bars)[400]
    assert fourth == pytest.approx(expected["P"] - low, abs=1e-6)


def test_volume_is_held_against_the_bars_before_and_not_against_itself() -> None:
    rows = [(10, 10, 10, 10, volume) for volume in (0.0, 0.0, 100.0, 300.0, 400.0)]
    column = session.relative_volume(2).compute(tape(rows))
    assert values(column) == [None, None, None, 6.0, 2.0]


def test_a_day_without_bars_lies_between_sessions_unseen() -> None:
    days = weekdays(4)
    bars = joined(tape([(1, 1, 1, 1)], day=days[0]), tape([(2, 2, 2, 2)], day=days[3]))
    assert bars.day.tolist() == [date.toordinal(days[0]), date.toordinal(days[3])]
    assert session.gap_frac().compute(bars)[1] == 1.0


def test_a_plateau_is_no_turn_and_a_turn_stands_until_the_next() -> None:
    highs = [1.0, 3.0, 2.0, 5.0, 5.0, 2.0, 1.0, 4.0, 1.0, 1.0]
    bars = tape([(1.0, high, 1.0, 1.0) for high in highs])
    assert values(channels.swing_high(1, 1).compute(bars)) == [None, None, *[3.0] * 6, 4.0, 4.0]
    falling = tape([(9.0, 9.0, 9.0 - high, 9.0) for high in highs])
    assert values(channels.swing_low(1, 1).compute(falling)) == [None, None, *[6.0] * 6, 5.0, 5.0]
