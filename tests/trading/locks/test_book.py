"""Locks are kept with the tick, survive a restart, and end by time or by a person."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Leg
from roboinvest.core.protections import EVERYTHING, Lock, LockRule, ProtectionRules
from roboinvest.core.records import canonical_json
from roboinvest.trading.locks.book import Clearing, LockBook, clearings_in, locks_in
from tests.fakes.markets import minute

HOUR = timedelta(hours=1)
GUARD = ProtectionRules(stop_guard_stops=2, stop_guard_window=HOUR, stop_guard_lock=HOUR)
EQUITY = Decimal(100_000)


def stopped(number: int, symbol: str = "SPY") -> Trade:
    """Return a stop-out that closed `number` minutes after the open."""
    return Trade(
        trade_id=f"t{number}",
        agent_id="house",
        revision_id="built-in",
        symbol=symbol,
        qty=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal("98.5"),
        commission=Decimal("0.01"),
        pnl=Decimal("-1.51"),
        r_multiple=-1.0,
        opened_at=minute(0),
        closed_at=minute(number),
        exit_leg=Leg.STOP,
        entry_order_id=f"e{number}",
        exit_order_id=f"x{number}",
        closes_entry=True,
    )


def drawdown(number: int) -> Lock:
    """Return a lock that only a person ends."""
    return Lock(
        scope=EVERYTHING, rule=LockRule.DRAWDOWN, since=minute(number), until=None, text="deep"
    )


def clearing(lock: Lock) -> Clearing:
    return Clearing(name=lock.name, since=lock.since, by="ann", at=minute(99))


def reread(book: LockBook, *clearings: Clearing) -> LockBook:
    """Return the book after a restart."""
    return LockBook.read(book.document(), canonical_json(clearings), book.rules)


def names(locks: tuple[Lock, ...]) -> list[str]:
    return [lock.name for lock in locks]


def test_trades_of_several_ticks_are_judged_together_also_over_a_restart() -> None:
    book = LockBook(rules=GUARD)
    book.judge([stopped(5)], EQUITY)
    again = reread(book)
    assert again == book
    again.judge([stopped(9)], EQUITY)
    (lock,) = again.binding("QQQ", minute(10))
    assert (lock.name, lock.since, lock.until) == (
        "stop_loss_guard:all",
        minute(9),
        minute(9) + HOUR,
    )
    assert reread(again).locks == again.locks


def test_a_lock_ends_at_its_time_and_does_not_come_back_by_itself() -> None:
    book = LockBook(rules=GUARD)
    book.judge([stopped(5), stopped(9)], EQUITY)
    assert book.binding("SPY", minute(68))
    assert not book.binding("SPY", minute(69))
    book.begin(minute(69))
    assert book.locks == ()
    book.judge([], EQUITY)
    assert book.locks == ()


def test_trades_no_rule_looks_at_are_not_kept() -> None:
    book = LockBook(rules=ProtectionRules())
    book.judge([stopped(5)], EQUITY)
    assert book.document() == canonical_json({"locks": [], "trades": []})
    guarded = LockBook(rules=GUARD)
    guarded.judge([stopped(1)], EQUITY)
    guarded.judge([stopped(200)], EQUITY)
    assert "t1" not in guarded.document().replace("t200", "")


def test_what_a_person_cleared_is_gone_from_the_next_tick_on() -> None:
    book = LockBook()
    book.add(drawdown(5))
    book.take_cleared([clearing(drawdown(5))])
    assert book.binding("SPY", minute(6))
    assert book.begin(minute(7)) == (drawdown(5),)
    assert book.binding("SPY", minute(7)) == ()
    assert book.begin(minute(8)) == ()


def test_a_clearing_that_no_tick_took_over_holds_after_a_restart() -> None:
    book = LockBook()
    book.add(drawdown(5))
    again = reread(book, clearing(drawdown(5)))
    assert again.begin(minute(6)) == (drawdown(5),)
    assert again.locks == ()


def test_a_clearing_is_of_one_lock_and_not_of_its_name() -> None:
    book = LockBook()
    book.add(drawdown(50))
    again = reread(book, clearing(drawdown(5)))
    assert again.begin(minute(51)) == ()
    assert names(again.locks) == ["drawdown:all"]


def test_cooldowns_are_shown_and_not_read_back() -> None:
    cooldown = Lock(
        scope="SPY", rule=LockRule.COOLDOWN, since=minute(5), until=minute(20), text="left"
    )
    book = LockBook(cooldowns=(cooldown,))
    book.add(drawdown(1))
    assert names(book.in_force(minute(6))) == ["cooldown:SPY", "drawdown:all"]
    assert names(book.in_force(minute(20))) == ["drawdown:all"]
    assert names(locks_in(book.document())) == ["cooldown:SPY", "drawdown:all"]
    assert names(reread(book).locks) == ["drawdown:all"]


def test_no_document_is_no_lock() -> None:
    assert LockBook.read(None, None, GUARD) == LockBook(rules=GUARD)
    assert locks_in(None) == ()
    assert clearings_in(None) == ()
