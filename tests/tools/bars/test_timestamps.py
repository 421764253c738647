"""Times as vendors write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from roboinvest.core.market.bars import from_ns
from tools.bars.timestamps import parse_instants

NOON = datetime(2014, 6, 6, 13, 37, tzinfo=UTC)
JUNE_6 = datetime(2014, 6, 6, 4, tzinfo=UTC)  # midnight in New York
JANUARY_3 = datetime(2017, 1, 3, 5, tzinfo=UTC)


def read(cells: Sequence[object], kind: pa.DataType | None = None) -> list[datetime | None]:
    found = parse_instants(pa.chunked_array([pa.array(cells, kind)]))
    pairs = zip(found.ts.tolist(), found.readable.tolist(), strict=True)
    return [from_ns(ts) if readable else None for ts, readable in pairs]


@pytest.mark.parametrize(
    "cell",
    [
        "2014-06-06 13:37:00+00:00",
        "2014-06-06T13:37:00Z",
        "2014-06-06T13:37:00.000Z",
        "2014-06-06 19:07:00+05:30",
        "2014-06-06 13:37:00",
        " 2014-06-06 13:37 ",
        "06/06/2014 13:37",
        "1402061820",
        "1402061820000",
        "1402061820000000000",
        1402061820,
        1402061820000,
        1402061820000000,
        1402061820.0,
        NOON,
    ],
)
def test_one_instant_is_read_in_every_form(cell: object) -> None:
    assert read([cell]) == [NOON]


@pytest.mark.parametrize(
    "cell",
    [
        "2014-06-06",
        "20140606",
        "2014-06-06 00:00:00",
        "2014-06-06 00:00:00+09:00",
        "2014-06-06 00:00:00-04:00",
        "06-Jun-14",
        "06-Jun-2014",
        "06/06/2014",
        "6/6/14",
        "Jun 6, 2014",
        20140606,
        date(2014, 6, 6),
        datetime(2014, 6, 6, tzinfo=UTC),
    ],
)
def test_a_date_is_midnight_in_new_york_whatever_offset_stands_beside_it(cell: object) -> None:
    assert read([cell]) == [JUNE_6]


def test_the_row_that_decides_says_which_way_round_dates_are() -> None:
    assert read(["01/03/2017", "03/28/2017"])[0] == JANUARY_3
    assert read(["03/01/2017", "28/03/2017"])[0] == JANUARY_3
    assert read(["01/03/2017"])[0] == JANUARY_3


def test_midnights_among_other_times_are_times() -> None:
    cells = ["2018-04-04 00:00:00", "2018-04-04 00:01:00"]
    assert read(cells)[0] == datetime(2018, 4, 4, tzinfo=UTC)


def test_offsets_that_change_within_a_file_are_followed() -> None:
    cells = ["2024-10-25 10:00:00+01:00", "2024-10-28 10:00:00+00:00"]
    assert [each and each.hour for each in read(cells)] == [9, 10]


@pytest.mark.parametrize(
    "rubbish", ["", "-", "noon", "2014-13-40", "9999999999999999999", None, "0017-01-03"]
)
def test_a_cell_that_is_no_time_costs_its_row_only(rubbish: str | None) -> None:
    assert read(["2014-06-06 13:37:00+00:00", rubbish], pa.string()) == [NOON, None]


def test_a_column_without_a_single_time_is_unread() -> None:
    assert read(["a", "b"]) == [None, None]
    assert read([None, None], pa.int64()) == [None, None]
    assert read([float("nan"), float("inf")]) == [None, None]
    assert read([True, False]) == [None, None]
