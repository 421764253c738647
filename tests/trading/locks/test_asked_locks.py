"""A meeting asks for a lock: written first, in force from the next tick, lifted by a person."""

from __future__ import annotations

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.core.protections import EVERYTHING, Lock, LockRule, ProtectionRules
from roboinvest.core.records import canonical_json
from roboinvest.trading.locks.book import (
    ASKED,
    CLEARINGS,
    DOCUMENT,
    MAX_CLEARINGS,
    Clearing,
    LockBook,
)
from roboinvest.trading.locks.desk import LockDesk, committed_locks
from tests.fakes.clocks import START, ManualClock
from tests.fakes.markets import minute
from tests.fakes.shelves import Shelf

RULES = ProtectionRules()


def desk(shelf: Shelf, book: LockBook | None = None) -> LockDesk:
    return LockDesk(shelf, ManualClock(), lambda: book)


def started(shelf: Shelf) -> LockBook:
    """Return the book of a process that has just started."""
    kept = shelf.documents
    return LockBook.read(kept.get(DOCUMENT), kept.get(CLEARINGS), RULES, kept.get(ASKED))


async def test_it_holds_from_the_next_tick_on_for_its_symbol() -> None:
    shelf, book = Shelf(), LockBook()
    await desk(shelf, book).ask("SPY", why="governance m1.1", at=START)
    assert book.binding("SPY", minute(1)) == ()
    book.begin(minute(2))
    (lock,) = book.binding("SPY", minute(2))
    assert (lock.name, lock.until, lock.text) == ("governance:SPY", None, "governance m1.1")
    assert book.binding("QQQ", minute(2)) == ()
    assert not lock.is_for_the_day


async def test_it_is_there_after_a_kill_before_and_after_the_tick_that_takes_it() -> None:
    shelf = Shelf()
    await desk(shelf).ask(EVERYTHING, why="m1.1", at=START)
    assert [each.name for each in await committed_locks(shelf, None)] == ["governance:all"]
    book = started(shelf)
    book.begin(minute(1))
    assert [each.rule for each in book.binding("SPY", minute(1))] == [LockRule.GOVERNANCE]
    shelf.documents[DOCUMENT] = book.document()
    again = started(shelf)
    again.begin(minute(2))
    assert len(again.binding("SPY", minute(2))) == 1


async def test_asked_for_twice_it_is_one_lock() -> None:
    shelf, book = Shelf(), LockBook()
    first = await desk(shelf, book).ask("SPY", why="m1.1", at=START)
    assert await desk(shelf, book).ask("SPY", why="m2.1", at=minute(9)) == first


async def test_what_a_person_cleared_does_not_come_back_and_may_be_asked_for_again() -> None:
    shelf, book = Shelf(), LockBook()
    hers = desk(shelf, book)
    await hers.ask("SPY", why="m1.1", at=START)
    book.begin(minute(1))
    shelf.documents[DOCUMENT] = book.document()
    await hers.clear("governance:SPY", by="ann", at=minute(1))
    book.begin(minute(2))
    assert book.binding("SPY", minute(2)) == ()
    assert await hers.asked("SPY") is None
    others = [
        Clearing(name=f"low_profit:Q{number}", since=START, by="ann", at=START)
        for number in range(MAX_CLEARINGS)
    ]
    shelf.documents[CLEARINGS] = canonical_json(others)  # so many that the first is forgotten
    shelf.documents[DOCUMENT] = book.document()
    again = started(shelf)
    again.begin(minute(3))
    assert again.locks == ()
    await hers.ask("SPY", why="m9.1", at=minute(300))
    book.begin(minute(4))
    assert [each.text for each in book.binding("SPY", minute(4))] == ["m9.1"]


async def test_a_lock_of_another_rule_is_no_answer_to_a_meeting() -> None:
    shelf, book = Shelf(), LockBook()
    other = Lock(
        scope="SPY", rule=LockRule.LOW_PROFIT, since=START, until=None, text="earns little"
    )
    book.add(other)
    shelf.documents[DOCUMENT] = book.document()
    assert await desk(shelf, book).asked("SPY") is None


async def test_where_the_disk_is_full_nothing_is_locked() -> None:
    shelf, book = Shelf(), LockBook()
    shelf.is_full = True
    with pytest.raises(TryLater):
        await desk(shelf, book).ask("SPY", why="m1.1", at=START)
    book.begin(minute(1))
    assert book.locks == ()
