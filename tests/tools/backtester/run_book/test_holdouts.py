"""A holdout is seen once a version, with one evaluation, and what was seen is on record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, Refused
from tests.fakes.clocks import ManualClock
from tests.fakes.run_notes import run_note
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.values import Kin

LOCKED = date(2024, 10, 1)
BEFORE = date(2024, 9, 30)
MINE = Kin(strategy="mine", fingerprint="f")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[RunBook]:
    with RunBook.open(tmp_path, ManualClock()) as opened:
        yield opened


@pytest.fixture
def lineage(book: RunBook) -> int:
    found = book.lineage_of(MINE)
    book.lock_holdout(found, ["QQQ", "SPY"], LOCKED)
    return found


def test_a_lineage_is_known_before_its_first_run(book: RunBook) -> None:
    assert book.known_lineage(MINE) is None
    lineage = book.lineage_of(MINE)
    assert book.lineage_of(Kin(strategy="other", fingerprint="f")) == lineage
    assert book.trials(lineage) == 0
    assert book.run(book.note(run_note("other", last=BEFORE))).lineage == lineage


def test_the_last_allowed_day_is_the_one_before_the_lock(book: RunBook, lineage: int) -> None:
    assert book.last_allowed_day(lineage, ["SPY"]) == BEFORE
    assert book.last_allowed_day(lineage, ["IBM", "QQQ"]) == BEFORE
    assert book.last_allowed_day(lineage, ["IBM"]) is None
    with pytest.raises(BadInput, match="lineage 99 is not in the run book"):
        book.last_allowed_day(99, ["SPY"])


def test_a_run_that_reaches_into_it_is_not_noted(book: RunBook, lineage: int) -> None:
    with pytest.raises(Refused, match="SPY from 2024-10-01 on is this strategy's holdout"):
        book.note(run_note("mine", last=LOCKED))
    assert book.runs() == ()
    assert book.run(book.note(run_note("mine", last=BEFORE))).in_holdout is False
    assert book.note(run_note("mine", symbols=("IBM",))) == 2
    assert book.trials(lineage) == 2


def test_another_name_does_not_get_round_the_lock(book: RunBook, lineage: int) -> None:
    with pytest.raises(Refused):
        book.note(run_note("other", fingerprint="f"))


def test_it_opens_once_a_version(book: RunBook, lineage: int) -> None:
    assert book.open_holdout(lineage, "1.0").number == 1
    with pytest.raises(Refused, match=r"was opened for version 1\.0 on 2026-01-05"):
        book.open_holdout(lineage, "1.0")
    assert book.open_holdout(lineage, "1.1").number == 2
    assert book.holdout(lineage)[0].openings == ("1.0", "1.1")


def test_the_same_code_under_a_new_version_is_the_same_version(book: RunBook, lineage: int) -> None:
    book.open_holdout(lineage, "1.0", "f")
    with pytest.raises(Refused, match=r"the same code, as 1\.0,"):
        book.open_holdout(lineage, "1.1", "f")


def test_nothing_opens_that_is_not_locked(book: RunBook) -> None:
    with pytest.raises(Refused, match="no holdout is locked"):
        book.open_holdout(book.lineage_of(MINE), "1.0")


def test_leave_is_for_one_evaluation_and_it_is_on_record(book: RunBook, lineage: int) -> None:
    book.open_holdout(lineage, "1.0")
    judged = run_note("mine")
    seen = book.run(book.note(judged))
    assert seen.in_holdout
    with pytest.raises(Refused, match=r"version 1\.0 has looked at it with other parameters"):
        book.note(run_note("mine", values={"fast": 11}))
    assert book.run(book.note(judged)).in_holdout  # the very same again shows nothing new
    with pytest.raises(Refused):
        book.note(run_note("mine", version="1.1"))


def test_a_lock_never_moves_to_a_later_day(book: RunBook, lineage: int) -> None:
    with pytest.raises(Refused, match="SPY is locked from 2024-10-01 on"):
        book.lock_holdout(lineage, ["SPY"], date(2024, 11, 1))
    book.lock_holdout(lineage, ["SPY"], LOCKED)
    book.lock_holdout(lineage, ["SPY"], date(2024, 9, 1))
    assert [(each.symbol, each.from_day) for each in book.holdout(lineage)] == [
        ("QQQ", LOCKED),
        ("SPY", date(2024, 9, 1)),
    ]


def test_what_was_seen_before_the_lock_is_said(book: RunBook) -> None:
    run_id = book.note(run_note("mine"))
    lineage = book.run(run_id).lineage
    book.lock_holdout(lineage, ["SPY"], LOCKED)
    assert book.holdout(lineage)[0].seen_by == 1
    words = " / ".join(book.standing(run_id).words)
    assert "1 run saw SPY from 2024-10-01 on without leave" in words


def test_a_lock_holds_for_lineages_that_are_joined_later(book: RunBook, lineage: int) -> None:
    book.note(run_note("second", fingerprint="g"))
    joining = run_note("second", fingerprint="f", last=BEFORE)
    assert book.run(book.note(joining)).lineage == lineage
    with pytest.raises(Refused):
        book.note(run_note("second", fingerprint="g", values={"fast": 12}))
    assert [each.seen_by for each in book.holdout(lineage)] == [0, 1]
