"""Where a result came from: every value under one label, and nothing lost."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import to_ns
from roboinvest.core.performance import wilson_interval
from roboinvest.core.statistics.attribution import (
    Breakdown,
    Group,
    breakdown,
    by_hour,
    by_month,
    by_weekday,
    by_year,
)

NEW_YORK = ZoneInfo("America/New_York")


def counts(table: Breakdown) -> dict[str, int]:
    return {group.label: group.count for group in table.groups}


def test_groups_are_those_worked_by_hand() -> None:
    table = breakdown(
        "regime", ["bull", "bear", "bull", "bull"], [10.0, -4.0, 0.0, 5.0], unit="USD"
    )
    assert (table.name, table.unit) == ("regime", "USD")
    assert table.groups == (
        Group(label="bear", count=1, total=-4.0, mean=-4.0, win_rate=wilson_interval(0, 1)),
        Group(label="bull", count=3, total=15.0, mean=5.0, win_rate=wilson_interval(2, 3)),
    )
    assert table.whole == Group(
        label="all", count=4, total=11.0, mean=2.75, win_rate=wilson_interval(2, 4)
    )


def test_labels_come_in_the_order_asked_for_empty_ones_too() -> None:
    table = breakdown("regime", ["x", "b"], [1.0, 2.0], unit="USD", order=["c", "b"])
    assert counts(table) == {"c": 0, "b": 1, "x": 1}
    assert list(counts(table)) == ["c", "b", "x"]
    empty = table.groups[0]
    assert (empty.total, empty.mean, empty.win_rate) == (0.0, None, None)


def test_nothing_done_is_a_table_of_nothing() -> None:
    table = by_weekday(np.array([], dtype=np.int64), [], unit="USD")
    assert counts(table) == {"Mon": 0, "Tue": 0, "Wed": 0, "Thu": 0, "Fri": 0}
    assert (table.whole.count, table.whole.mean, table.whole.win_rate) == (0, None, None)


def test_days_have_their_weekday_month_and_year() -> None:
    days = np.array([date(*d).toordinal() for d in ((2024, 2, 29), (2024, 3, 1), (2025, 3, 3))])
    values = [1.0, 2.0, 3.0]
    assert counts(by_weekday(days, values, unit="return")) == dict(
        zip(("Mon", "Tue", "Wed", "Thu", "Fri"), (1, 0, 0, 1, 1), strict=True)
    )
    months = by_month(days, values, unit="return")
    assert len(months.groups) == 12
    assert [months.groups[1].total, months.groups[2].total] == [1.0, 5.0]
    assert counts(by_year(days, values, unit="return")) == {"2024": 2, "2025": 1}


def test_the_hour_is_that_of_the_exchange_also_when_clocks_change() -> None:
    """09:30 in New York is 14:30 UTC in winter and 13:30 in summer."""
    instants = [
        datetime(2024, 1, 10, 14, 30, tzinfo=UTC),
        datetime(2024, 7, 10, 13, 30, tzinfo=UTC),
        datetime(2024, 7, 10, 19, 59, tzinfo=UTC),
    ]
    ns = np.array([to_ns(instant) for instant in instants])
    table = by_hour(ns, [1.0, 1.0, 1.0], unit="USD", zone=NEW_YORK)
    assert counts(table) == {"09": 2, "15": 1}


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadInput, match="regime: 1 labels and 2 values"):
        breakdown("regime", ["a"], [1.0, 2.0], unit="USD")
    with pytest.raises(BadInput, match="Value 1 of 2 is nan"):
        breakdown("regime", ["a", "b"], [1.0, math.nan], unit="USD")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1000, 1000)), max_size=50))
def test_the_groups_add_up_to_the_whole(rows: list[tuple[str, int]]) -> None:
    table = breakdown("x", [label for label, _ in rows], [float(x) for _, x in rows], unit="USD")
    assert sum(group.count for group in table.groups) == table.whole.count == len(rows)
    assert math.fsum(group.total for group in table.groups) == table.whole.total
