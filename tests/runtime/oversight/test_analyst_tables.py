"""Hourly figures are kept for a while, advice for good; what was measured stays measured."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.advice import AdviceState
from roboinvest.core.oversight.trends import difference
from roboinvest.runtime.oversight.analyst_tables import (
    KEPT,
    MAX_METRICS,
    SCHEMA,
    AdviceBook,
    HourlyFigures,
)
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.advice import HOUR, NOON, advice

CHANGE = difference([2.0, 2.1, 1.9, 2.0, 2.2, 1.8], [1.0, 1.1, 0.9, 1.0, 1.2, 0.8])


@pytest.fixture
def file(tmp_path: Path) -> OverseerFile:
    return OverseerFile.open(tmp_path / FILE_NAME, schemas=(SCHEMA,))


@pytest.fixture
def book(file: OverseerFile) -> AdviceBook:
    return AdviceBook(file)


def test_a_figure_is_replaced_and_a_count_grows_within_its_hour(file: OverseerFile) -> None:
    figures = HourlyFigures(file)
    for value in (0.5, 0.75):
        figures.put(NOON, {"share": (value, 4)})
        figures.add(NOON, {"count": (value, 4)})
    figures.put(NOON + HOUR, {"share": (0.9, 1)})
    assert figures.read("share", NOON, NOON + HOUR) == ((NOON, 0.75, 4),)
    assert figures.read("count", NOON, NOON + HOUR) == ((NOON, 1.25, 8),)
    assert figures.read_all(NOON, NOON + 2 * HOUR)["share"][-1] == (NOON + HOUR, 0.9, 1)
    assert figures.read("share", NOON - HOUR, NOON) == ()


def test_metrics_are_found_by_how_they_begin_and_when_they_were_noted(file: OverseerFile) -> None:
    figures = HourlyFigures(file)
    figures.put(NOON - HOUR, {"pnl/Gone": (1.0, 1)})
    figures.put(
        NOON, {"pnl/Ann": (1.0, 1), "pnl/ünn": (1.0, 1), "pnl": (1.0, 1), "share": (1.0, 1)}
    )
    figures.put(NOON + HOUR, {"pnl/Ann": (2.0, 1), "pnl/Late": (1.0, 1)})
    assert figures.names("pnl/", NOON, NOON + HOUR) == {"pnl/Ann", "pnl/ünn"}
    assert figures.names("pnl/", NOON - HOUR, NOON) == {"pnl/Gone"}
    assert figures.names("nothing/", NOON - HOUR, NOON + 9 * HOUR) == frozenset()


def test_old_figures_go_and_the_file_is_bounded(file: OverseerFile) -> None:
    figures = HourlyFigures(file)
    figures.put(NOON, {"a": (1.0, 1)})
    figures.put(NOON + KEPT + HOUR, {"a": (2.0, 1)})
    assert len(figures.read("a", NOON, NOON + KEPT + 2 * HOUR)) == 1
    with pytest.raises(BadInput, match=f"keep {MAX_METRICS}"):
        figures.put(NOON, {f"m{n}": (1.0, 1) for n in range(MAX_METRICS + 1)})
    with pytest.raises(BadInput, match="begin of an hour"):
        figures.put(NOON + timedelta(minutes=1), {"a": (1.0, 1)})
    with pytest.raises(Refused):
        figures.put(NOON, {"a": (1.0, 0)})  # an observation at least


def test_advice_is_read_back_as_it_was_written(book: AdviceBook) -> None:
    given = advice()
    assert book.add(given)
    assert book.get("r1") == given
    book.take("r1", by="ann", at=NOON + HOUR)
    taken = book.get("r1")
    assert (taken.state, taken.taken_by) == (AdviceState.TAKEN, "ann")
    assert taken.deadline == NOON + HOUR + timedelta(hours=48)
    done = taken.measured(CHANGE, at=taken.deadline)
    book.settle(done)
    assert book.get("r1") == done
    assert done.verdict == "helped"
    assert book.pending() == ()


def test_the_same_is_not_advised_twice_while_it_is_pending(book: AdviceBook) -> None:
    assert book.add(advice())
    assert not book.add(advice("r2"))
    book.take("r1", by="ann", at=NOON)
    assert not book.add(advice("r3"))
    book.settle(book.get("r1").measured(CHANGE, at=NOON + HOUR))
    assert book.add(advice("r4"))


def test_what_was_measured_or_lapsed_is_never_changed_and_none_is_removed(
    tmp_path: Path, book: AdviceBook
) -> None:
    book.add(advice())
    book.settle(book.get("r1").lapsed(at=NOON + HOUR))
    with pytest.raises(Refused):
        book.take("r1", by="ann", at=NOON)
    with pytest.raises(Refused):
        book.settle(advice().lapsed(at=NOON))
    with sqlite3.connect(tmp_path / FILE_NAME) as outsider:
        for statement in ("DELETE FROM advice", "UPDATE advice SET rule = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="stay"):
                outsider.execute(statement)
    outsider.close()


def test_advice_is_taken_once_and_settled_only_when_it_is(book: AdviceBook) -> None:
    book.add(advice())
    with pytest.raises(BadInput, match="not settled"):
        book.settle(book.get("r1"))
    book.take("r1", by="ann", at=NOON)
    with pytest.raises(Refused, match="only open advice"):
        book.take("r1", by="ben", at=NOON)
    with pytest.raises(BadInput, match="there is no advice"):
        book.get("nobody")


def test_what_was_touched_on_a_day_is_found(book: AdviceBook) -> None:
    day = timedelta(days=1)
    book.add(advice())
    book.take("r1", by="ann", at=NOON + 2 * day)
    for number, found in ((0, 1), (1, 0), (2, 1), (3, 0)):
        start = NOON + number * day
        assert len(book.touched(start, start + day)) == found


def test_the_tables_are_made_once_and_survive_a_restart(tmp_path: Path, book: AdviceBook) -> None:
    book.add(advice())
    with OverseerFile.open(tmp_path / FILE_NAME, schemas=(SCHEMA,)) as again:
        assert AdviceBook(again).get("r1") == advice()
