"""Bars know their session, and a cut of them knows nothing that closed later."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import BarSeries, to_ns
from roboinvest.core.market.session_bars import SessionBars, among
from tests.fakes.tapes import FIRST_DAY, minute_tape, session_on, weekdays

COLUMNS = [each.name for each in fields(SessionBars) if each.name not in ("symbol", "others")]


def assert_equal(one: SessionBars, other: SessionBars) -> None:
    assert one.symbol == other.symbol
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert set(one.others) == set(other.others)
    for name, bars in one.others.items():
        assert_equal(bars, other.others[name])


def series(days: int = 3) -> BarSeries:
    return minute_tape(1, days=days, missing=0.1).series()


def test_every_bar_stands_beside_the_open_and_the_real_close_of_its_session() -> None:
    days = weekdays(3)
    sessions = [session_on(days[0]), session_on(days[1], minutes=210), session_on(days[2])]
    bars = SessionBars.of(series(), sessions)
    for each in sessions:
        rows = bars.day == each.day.toordinal()
        assert rows.any()
        assert set(bars.opens[rows]) == {to_ns(each.opens_at)}
        assert set(bars.ends[rows]) == {to_ns(each.closes_at)}
    assert_equal(SessionBars.of(bars.series(), sessions), bars)


def test_sessions_without_bars_do_no_harm() -> None:
    many = [session_on(day) for day in weekdays(30, FIRST_DAY - timedelta(days=14))]
    few = [session_on(day) for day in weekdays(3)]
    assert_equal(SessionBars.of(series(), many), SessionBars.of(series(), few))


@pytest.mark.parametrize(
    "days", [weekdays(2), weekdays(3)[1:], [weekdays(3)[0], weekdays(3)[2]], list[date]()]
)
def test_a_bar_on_a_day_without_a_session_is_refused(days: list[date]) -> None:
    given_bars = series()
    message = f"SPY: {len(given_bars)} bars, and some lie on days without a session"
    with pytest.raises(BadInput, match=message):
        SessionBars.of(given_bars, [session_on(day) for day in days])


def test_no_bars_need_no_session() -> None:
    nothing = minute_tape(1, days=1).rows(slice(0, 0)).series()
    assert len(SessionBars.of(nothing, [])) == 0


def test_all_symbols_of_a_run_stand_beside_each_other_and_none_beside_itself() -> None:
    bars = {name: minute_tape(k, days=1, symbol=name) for k, name in enumerate(("A", "B", "C"))}
    together = among(bars)
    assert {name: set(each.others) for name, each in together.items()} == {
        "A": {"B", "C"},
        "B": {"A", "C"},
        "C": {"A", "B"},
    }
    assert not any(other.others for each in together.values() for other in each.others.values())
    assert_equal(among(together)["A"], together["A"])


@given(st.integers(0, 500), st.floats(0.0, 0.5), st.integers(0, 200))
def test_what_is_known_at_a_close_holds_no_bar_that_closed_later(
    seed: int, missing: float, row: int
) -> None:
    own = minute_tape(seed, days=1, missing=0.3)
    other = minute_tape(seed + 1, days=1, symbol="QQQ", missing=missing)
    bars = among({"SPY": own, "QQQ": other})["SPY"]
    known = bars.until(row)
    now = own.closes_at[row]
    assert len(known) == row + 1
    assert known.closes_at[-1] == now
    seen = known.others["QQQ"]
    assert len(seen) == np.count_nonzero(other.closes_at <= now)
    np.testing.assert_array_equal(seen.close, other.close[: len(seen)])
    assert_equal(bars.until(row + 7).until(row), known)


def test_no_rows_know_nothing_of_the_others() -> None:
    bars = among({name: minute_tape(1, days=1, symbol=name) for name in ("A", "B")})["A"]
    nothing = bars.rows(slice(0, 0))
    assert len(nothing) == 0
    assert len(nothing.others["B"]) == 0


def test_rows_are_views_and_not_copies() -> None:
    bars = minute_tape(1, days=1)
    part = bars.rows(slice(5, 9))
    assert np.shares_memory(part.close, bars.close)
    assert part.close.tolist() == bars.close[5:9].tolist()


def test_other_prices_take_the_place_of_the_bars_and_leave_the_sessions() -> None:
    bars = minute_tape(1, days=2)
    later = date.fromordinal(int(bars.day[-1]))
    halved = bars.with_series(bars.series().rescaled(2.0, later), {})
    np.testing.assert_array_equal(halved.close[:390], bars.close[:390] / 2.0)
    np.testing.assert_array_equal(halved.close[390:], bars.close[390:])
    for name in ("ts", "closes_at", "day", "opens", "ends"):
        np.testing.assert_array_equal(getattr(halved, name), getattr(bars, name))
