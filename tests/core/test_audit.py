"""Rows of the audit log are a chain, and a fault in it is told once, with its row."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from roboinvest.core.audit import (
    GENESIS,
    MOST_BREAKS,
    Anchor,
    StoredRow,
    anchor_line,
    anchor_of,
    check_chain,
    fields_of,
    row_digest,
    row_of,
)
from roboinvest.core.errors import BadInput
from tests.fakes.clocks import START
from tests.fakes.governance import an_entry

ORIGIN = Anchor(number=0, digest=GENESIS, at=START)


OTHER: dict[str, Any] = {
    "kind": "thing.other",
    "subject": "x",
    "who": "bob",
    "why": "y",
    "before": None,
    "after": "1",
    "undo": None,
    "at": START + timedelta(microseconds=1),
}


def a_chain(count: int) -> list[StoredRow]:
    """Return rows as a file has them."""
    rows: list[StoredRow] = []
    previous = GENESIS
    for number in range(1, count + 1):
        entry = an_entry(number)
        digest = row_digest(previous, number, entry)
        rows.append((number, *fields_of(entry), previous, digest))
        previous = digest
    return rows


def test_the_digest_covers_the_place_the_row_before_and_every_field() -> None:
    base = row_digest(GENESIS, 1, an_entry())
    others = {
        row_digest("f" * 64, 1, an_entry()),
        row_digest(GENESIS, 2, an_entry()),
        *(row_digest(GENESIS, 1, an_entry(**{name: other})) for name, other in OTHER.items()),
    }
    assert base not in others
    assert len(others) == 10


def test_a_field_that_moves_to_its_neighbour_is_another_row() -> None:
    one = an_entry(who="ann b", why="c")
    two = an_entry(who="ann", why="b c")
    assert row_digest(GENESIS, 1, one) != row_digest(GENESIS, 1, two)


def test_an_honest_chain_is_whole() -> None:
    rows = a_chain(50)
    anchors = [ORIGIN, *(Anchor(number=n, digest=str(rows[n - 1][-1]), at=START) for n in (7, 50))]
    found = check_chain(rows, anchors)
    assert (found.rows, found.digest, found.anchors) == (50, rows[-1][-1], 3)
    assert found.is_whole
    assert check_chain([], [ORIGIN]).is_whole


def test_one_fault_is_told_once_and_the_check_goes_on() -> None:
    rows = a_chain(50)
    rows[9] = (*rows[9][:3], "mallory", *rows[9][4:])
    rows[29] = (*rows[29][:4], "no reason", *rows[29][5:])
    found = check_chain(rows, [ORIGIN])
    assert [each.number for each in found.breaks] == [10, 30]


def test_a_row_that_fits_itself_and_not_its_place_is_a_fault_without_any_anchor() -> None:
    rows = a_chain(9)
    del rows[4]
    for at, row in enumerate(rows):
        entry = row_of(row).entry
        digest = row_digest(str(row[-2]), at + 1, entry)  # its number and digest are mended
        rows[at] = (at + 1, *row[1:-1], digest)
    found = check_chain(rows, [ORIGIN]).breaks
    assert found[0].number == 5
    assert "does not follow row 4" in found[0].text


def test_a_log_that_is_all_wrong_does_not_flood_who_asks() -> None:
    rows = [(row[0], *["x"] * 10) for row in a_chain(500)]
    assert len(check_chain(rows, [ORIGIN]).breaks) <= MOST_BREAKS + 1


@pytest.mark.parametrize("content", [b"bytes", 5, 1.5])
def test_a_field_that_is_no_text_is_a_fault(content: object) -> None:
    rows = a_chain(3)
    rows[1] = (*rows[1][:3], content, *rows[1][4:])
    assert check_chain(rows, [ORIGIN]).breaks[0].number == 2


def test_a_row_is_read_back_as_it_was_written() -> None:
    (stored,) = a_chain(1)
    row = row_of(stored)
    assert (row.number, row.entry, row.previous) == (1, an_entry(1), GENESIS)
    assert row.digest == row_digest(GENESIS, 1, row.entry)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": ""},
        {"kind": "Thing changed"},
        {"subject": " "},
        {"who": ""},
        {"why": "\n"},
        {"before": "{"},
        {"after": "not json"},
        {"why": "x" * 64_001},
        {"why": "\ud800"},
        {"why": "a\0b"},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 that is what is refused
        {"at": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
    ],
    ids=str,
)
def test_an_entry_that_says_nothing_or_cannot_be_stored_is_refused(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(BadInput):
        an_entry(**fields)


def test_an_anchor_survives_its_line() -> None:
    anchor = Anchor(number=7, digest="a" * 64, at=START)
    assert anchor_of(anchor_line(anchor)) == anchor


@pytest.mark.parametrize(
    "line",
    [
        *("", "{}", "[]", "null", '{"number": 1}'),
        '{"number": true, "digest": "%s", "at": "2026-01-01T00:00:00+00:00"}' % ("a" * 64),
        '{"number": -1, "digest": "%s", "at": "2026-01-01T00:00:00+00:00"}' % ("a" * 64),
        '{"number": 1, "digest": "abc", "at": "2026-01-01T00:00:00+00:00"}',
        '{"number": 1, "digest": "%s", "at": "2026-01-01T00:00:00"}' % ("a" * 64),
    ],
)
def test_a_line_that_is_no_anchor_is_refused(line: str) -> None:
    with pytest.raises(BadInput):
        anchor_of(line)
