"""A person sees locks and clears them by name; who did it is written down first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.protections import EVERYTHING, Lock, LockRule
from roboinvest.trading.locks.book import CLEARINGS, DOCUMENT, MAX_CLEARINGS, LockBook, clearings_in
from roboinvest.trading.locks.desk import LockDesk, cleared_text, committed_locks
from tests.fakes.clocks import ManualClock
from tests.fakes.markets import minute

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


class Shelf:
    """Documents in memory; full when told."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.is_full = False

    async def document(self, name: str) -> str | None:
        return self.documents.get(name)

    async def put_document(self, name: str, text: str) -> None:
        if self.is_full:
            raise TryLater("the disk is full")
        self.documents[name] = text


def lock(rule: LockRule, scope: str = EVERYTHING, *, until: int | None = None) -> Lock:
    ends = None if until is None else minute(until)
    return Lock(scope=scope, rule=rule, since=minute(5), until=ends, text="so it is")


LOCKS = (
    lock(LockRule.COOLDOWN, "SPY", until=20),
    lock(LockRule.DAILY_LOSS, until=390),
    lock(LockRule.DRAWDOWN),
)


def shelf_with(*locks: Lock) -> tuple[Shelf, LockBook]:
    """Return what was committed with these locks, and the book of the running account."""
    book, shelf = LockBook(), Shelf()
    for one in locks:
        book.add(one)
    shelf.documents[DOCUMENT] = book.document()
    return shelf, book


def desk(shelf: Shelf, book: LockBook | None = None) -> LockDesk:
    return LockDesk(shelf, ManualClock(NOW), lambda: book)


async def listed(shelf: Shelf, at: int) -> list[str]:
    return [one.name for one in await committed_locks(shelf, minute(at))]


async def test_what_is_in_force_is_listed_by_name() -> None:
    shelf, _ = shelf_with(*LOCKS)
    assert await listed(shelf, 6) == ["cooldown:SPY", "daily_loss:all", "drawdown:all"]
    assert await listed(shelf, 20) == ["daily_loss:all", "drawdown:all"]
    assert await committed_locks(Shelf(), None) == ()


async def test_a_cleared_lock_is_gone_from_the_list_before_any_tick() -> None:
    shelf, book = shelf_with(*LOCKS)
    cleared = await desk(shelf, book).clear("drawdown:all", by="ann", at=minute(6))
    assert cleared_text(cleared) == "cleared drawdown:all; it holds from the next tick on"
    assert await listed(shelf, 6) == ["cooldown:SPY", "daily_loss:all"]
    (record,) = clearings_in(shelf.documents[CLEARINGS])
    assert (record.name, record.by, record.at, record.since) == (
        "drawdown:all",
        "ann",
        NOW,
        minute(5),
    )
    assert [one.name for one in book.begin(minute(7))] == ["drawdown:all"]


async def test_a_days_loss_stays_for_the_day() -> None:
    shelf, book = shelf_with(*LOCKS)
    with pytest.raises(Refused, match="daily_loss:all stays until the session ends"):
        await desk(shelf, book).clear("daily_loss:all", by="ann", at=minute(6))
    cleared = await desk(shelf, book).clear(None, by="ann", at=minute(6))
    assert [one.name for one in cleared] == ["cooldown:SPY", "drawdown:all"]
    assert await listed(shelf, 6) == ["daily_loss:all"]


async def test_a_name_that_is_none_is_answered_with_those_that_are() -> None:
    shelf, _ = shelf_with(*LOCKS)
    with pytest.raises(BadInput, match="in force: cooldown:SPY, daily_loss:all, drawdown:all"):
        await desk(shelf).clear("cooldown:QQQ", by="ann", at=minute(6))
    with pytest.raises(BadInput, match="in force: there is none"):
        await desk(Shelf()).clear("drawdown:all", by="ann", at=None)


async def test_nothing_to_clear_writes_nothing() -> None:
    shelf, _ = shelf_with(LOCKS[1])
    assert await desk(shelf).clear(None, by="ann", at=minute(6)) == ()
    assert CLEARINGS not in shelf.documents
    assert cleared_text(()) == "no lock that a person may clear is in force"


async def test_a_clearing_that_could_not_be_written_has_not_happened() -> None:
    shelf, book = shelf_with(*LOCKS)
    shelf.is_full = True
    with pytest.raises(TryLater):
        await desk(shelf, book).clear("drawdown:all", by="ann", at=minute(6))
    assert book.begin(minute(7)) == ()
    assert "drawdown:all" in await listed(shelf, 7)


async def test_the_record_of_clearings_is_bounded() -> None:
    shelf = Shelf()
    for number in range(MAX_CLEARINGS + 5):
        book = LockBook()
        book.add(
            Lock(scope="SPY", rule=LockRule.LOW_PROFIT, since=minute(number), until=None, text="")
        )
        shelf.documents[DOCUMENT] = book.document()
        await desk(shelf).clear(None, by="ann", at=minute(number))
    assert len(clearings_in(shelf.documents[CLEARINGS])) == MAX_CLEARINGS
