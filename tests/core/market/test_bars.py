"""Columns grow in time order and a window ends where the instant says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.market.bars import BarColumns, from_ns, to_ns
from tests.fakes.markets import DAY, bar, minute


def columns(count: int, capacity: int = 4) -> BarColumns:
    made = BarColumns("SPY", capacity)
    for number in range(count):
        made.append(bar(minute(number), [100.0 + number]), DAY)
    return made


@given(st.datetimes(timezones=st.just(UTC)))
def test_nanoseconds_and_instants_convert_without_loss(instant: datetime) -> None:
    assert from_ns(to_ns(instant)) == instant


def test_a_bar_is_known_from_its_close_and_not_before() -> None:
    made = columns(10)
    assert made.closed_by(minute(0)) == 0
    assert made.closed_by(minute(1)) == 1
    assert made.closed_by(minute(1) - timedelta(microseconds=1)) == 0
    assert made.closed_by(minute(99)) == 10


def test_a_window_holds_the_newest_bars_before_its_end() -> None:
    window = columns(10).window(7, 3)
    assert list(window.close) == [104.0, 105.0, 106.0]
    assert window.bar(-1).closes_at == minute(7)
    assert len(columns(2).window(2, 50)) == 2


def test_a_bar_out_of_order_is_refused() -> None:
    made = columns(3)
    with pytest.raises(ValueError, match="is not after the last"):
        made.append(bar(minute(2), [1.0]), DAY)


def test_columns_extended_at_once_equal_columns_grown_bar_by_bar() -> None:
    grown, whole = columns(37), BarColumns("SPY", 2)
    whole.extend(grown.window(37, 37))
    one, other = grown.window(37, 37), whole.window(37, 37)
    for name in ("ts", "closes_at", "day", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_split_puts_older_prices_on_the_new_scale_and_keeps_their_value() -> None:
    made = columns(4)
    made.append(bar(minute(0, date(2024, 3, 6)), [15.0]), date(2024, 3, 6))
    before = made.window(5, 5)
    after = before.rescaled(7.0, date(2024, 3, 6))
    np.testing.assert_allclose(after.close[:4], before.close[:4] / 7)
    np.testing.assert_allclose((after.close * after.volume), before.close * before.volume)
    assert after.close[4] == 15.0
    assert before.rescaled(7.0, DAY) is before
