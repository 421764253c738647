"""Rows as they came: their order, their copies and their exchange day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows, day_start_ns, exchange_days


def day_of(instant: datetime) -> date:
    return date.fromordinal(int(exchange_days(np.array([to_ns(instant)]))[0]))


def test_a_day_bar_stamped_at_new_york_midnight_belongs_to_its_date_all_year() -> None:
    assert day_of(datetime(2014, 1, 6, 5, tzinfo=UTC)) == date(2014, 1, 6)
    assert day_of(datetime(2014, 7, 7, 4, tzinfo=UTC)) == date(2014, 7, 7)


def test_an_evening_print_in_new_york_belongs_to_the_day_before_its_utc_date() -> None:
    assert day_of(datetime(2014, 1, 7, 0, 59, tzinfo=UTC)) == date(2014, 1, 6)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_the_start_of_a_day_is_its_first_nanosecond(day: date) -> None:
    start = day_start_ns(day)
    days = exchange_days(np.array([start - 1, start, start + 86_400_000_000_000 - 1]))
    before = (day - timedelta(days=1)).toordinal()
    assert days.tolist() == [before, day.toordinal(), day.toordinal()]


CELL = st.sampled_from([1.0, 2.0, float("nan")])
ROWS = st.lists(st.tuples(st.integers(0, 4), *[CELL] * 5), max_size=12)


@given(ROWS, st.randoms(use_true_random=False))
def test_rows_in_order_are_the_same_for_any_order_they_came_in(
    rows: list[tuple[float, ...]], chance: object
) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (_raw(each).in_order() for each in (rows, shuffled))
    assert np.array_equal(one.ts, other.ts)
    assert (one.ts[1:] >= one.ts[:-1]).all()
    assert np.array_equal(one.values, other.values, equal_nan=True)
    copies = len(rows) - len({repr(row) for row in rows})
    assert int(one.same_as_before().sum()) == copies


def _raw(rows: list[tuple[float, ...]]) -> RawRows:
    table = np.array(rows, np.float64).reshape(len(rows), 6)
    return RawRows.of(table[:, 0].astype(np.int64), table[:, 1:].T.copy())


def test_rows_between_two_instants_include_the_first_and_not_the_last() -> None:
    rows = RawRows.of(np.arange(5), np.zeros((5, 5)))
    assert rows.between(1, 3).ts.tolist() == [1, 2]
    assert rows.between(7, 9).ts.tolist() == []
