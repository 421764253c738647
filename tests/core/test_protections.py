"""Locks after losses: each begins with the trade that reaches its limit, and ends on time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Leg
from roboinvest.core.protections import (
    EVERYTHING,
    Lock,
    LockRule,
    ProtectionRules,
    confirmed,
    confirmed_peak,
    cooldown_lock,
    locks_after,
)
from tests.fakes.markets import session

AT = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
TODAY = session(AT.date())
EQUITY = Decimal(100_000)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def trade(
    number: int, pnl: str = "-10", *, symbol: str = "SPY", leg: Leg = Leg.STOP, entry: str = ""
) -> Trade:
    """Return a round trip that closed `number` minutes after `AT`."""
    return Trade(
        trade_id=f"{symbol}{number}",
        agent_id="house",
        revision_id="built-in",
        symbol=symbol,
        qty=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(100),
        commission=Decimal(0),
        pnl=Decimal(pnl),
        r_multiple=None,
        opened_at=AT - HOUR,
        closed_at=AT + number * MINUTE,
        exit_leg=leg,
        entry_order_id=entry or f"{symbol}{number}",
        exit_order_id="x",
        closes_entry=True,
    )


def after(trades: list[Trade], rules: ProtectionRules) -> tuple[Lock, ...]:
    """Return the locks that the last trade brings."""
    return locks_after(trades, trades[-1].closed_at, rules, EQUITY)


GUARD = ProtectionRules(stop_guard_stops=3, stop_guard_window=HOUR, stop_guard_lock=2 * HOUR)
FALL = ProtectionRules(
    drawdown_frac=Decimal("0.01"), drawdown_trades=2, drawdown_window=HOUR, drawdown_lock=HOUR
)
POOR = ProtectionRules(
    low_profit_trades=2,
    low_profit_usd=Decimal(5),
    low_profit_window=HOUR,
    low_profit_lock=HOUR,
)


def test_the_third_stop_out_within_the_window_locks_everything() -> None:
    assert after([trade(0), trade(1)], GUARD) == ()
    (lock,) = after([trade(0), trade(1, symbol="QQQ"), trade(59)], GUARD)
    assert (lock.rule, lock.scope) == (LockRule.STOP_LOSS_GUARD, EVERYTHING)
    assert (lock.since, lock.until) == (AT + 59 * MINUTE, AT + 59 * MINUTE + 2 * HOUR)
    assert lock.text == "3 stop-outs within 60 min, limit 3"


@pytest.mark.parametrize(
    "trades",
    [
        [trade(0), trade(1), trade(60)],  # the first is an hour old and counts no more
        [trade(0), trade(1), trade(2, "0.01")],  # a stop in profit
        [trade(0), trade(1), trade(2, leg=Leg.EXIT)],
        [trade(0), trade(1, entry="a"), trade(2, entry="a")],  # one entry in two parts
    ],
)
def test_what_is_no_stop_out_of_the_window_is_not_counted(trades: list[Trade]) -> None:
    assert after(trades, GUARD) == ()


def test_a_guard_per_symbol_locks_the_symbol_alone() -> None:
    rules = replace(GUARD, stop_guard_per_symbol=True)
    trades = [trade(0), trade(1, symbol="QQQ"), trade(2), trade(3)]
    assert [lock.scope for lock in after(trades, rules)] == ["SPY"]


def test_a_drawdown_of_closed_trades_locks_at_its_limit_and_not_a_cent_before() -> None:
    assert after([trade(0, "500"), trade(1, "-999.99")], FALL) == ()
    (lock,) = after([trade(0, "500"), trade(1, "-1000")], FALL)
    assert (lock.rule, lock.scope) == (LockRule.MAX_DRAWDOWN, EVERYTHING)
    assert lock.text == "closed trades fell 1,000.00 USD (1.00%) within 60 min, limit 1.00%"


def test_a_drawdown_needs_trades_enough_and_recent_ones() -> None:
    assert after([trade(0, "-5000")], FALL) == ()
    assert after([trade(0, "-5000"), trade(60, "-10"), trade(61, "-10")], FALL) == ()


def test_a_symbol_that_earns_too_little_is_locked_alone() -> None:
    assert after([trade(0, "2"), trade(1, "3")], POOR) == ()
    (lock,) = after([trade(0, "2"), trade(1, "2.99")], POOR)
    assert (lock.rule, lock.scope, lock.until) == (LockRule.LOW_PROFIT, "SPY", AT + MINUTE + HOUR)
    assert lock.text == "2 trades earned 4.99 USD within 60 min, wanted 5.00 USD"
    assert after([trade(0, "2"), trade(1, "-9", symbol="QQQ")], POOR) == ()


def test_nothing_is_locked_by_default() -> None:
    rules = ProtectionRules()
    assert rules.memory == timedelta(0)
    assert after([trade(n, "-9999") for n in range(50)], rules) == ()


def test_trades_are_remembered_as_long_as_a_rule_in_use_looks_back() -> None:
    assert GUARD.memory == HOUR
    assert replace(GUARD, low_profit_trades=1, low_profit_window=9 * HOUR).memory == 9 * HOUR


def test_a_lock_binds_until_its_end_and_not_at_it() -> None:
    lock = after([trade(0), trade(1), trade(2)], GUARD)[0]
    assert lock.until is not None
    assert lock.binds("SPY", lock.until - MINUTE / 60)
    assert lock.binds("ANY", lock.since)
    assert not lock.binds("SPY", lock.until)
    own = replace(lock, scope="SPY", until=None)
    assert own.binds("SPY", AT + 9999 * HOUR)
    assert not own.binds("QQQ", lock.since)
    assert own.name == "stop_loss_guard:SPY"


def test_a_cooldown_follows_an_exit_of_the_session_at_hand() -> None:
    for minutes, cools in ((0, True), (14, True), (15, False)):
        lock = cooldown_lock("SPY", AT, TODAY, AT + minutes * MINUTE, 15 * MINUTE)
        assert (lock is not None) is cools
    assert cooldown_lock("SPY", TODAY.opens_at - MINUTE, TODAY, AT, 15 * HOUR) is None
    assert cooldown_lock("SPY", AT, TODAY, AT, timedelta(0)) is None


def test_a_cooldown_ends_with_its_session_at_the_latest() -> None:
    lock = cooldown_lock("SPY", AT, TODAY, AT, 15 * HOUR)
    assert lock is not None
    assert lock.until == TODAY.closes_at


@pytest.mark.parametrize(
    ("readings", "believed"),
    [
        ("98 98 98", True),
        ("97 97", False),
        ("97 99 97", False),
        ("10 99 99", False),
        ("99 98 98 98", True),
        ("98 98 98.01", False),
        ("", False),
    ],
)
def test_a_floor_is_passed_when_three_readings_in_a_row_say_so(
    readings: str, believed: bool
) -> None:
    assert confirmed([Decimal(text) for text in readings.split()], Decimal(98)) is believed


def test_a_peak_is_what_three_readings_reached() -> None:
    def peak(*readings: int) -> Decimal:
        return confirmed_peak(Decimal(100), [Decimal(reading) for reading in readings])

    assert peak(900) == peak(101, 900) == peak(100, 900, 100) == 100
    assert peak(101, 900, 102) == 101


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=40), st.integers(0, 39))
def test_one_bad_reading_never_latches_and_never_makes_a_peak(good: list[int], at: int) -> None:
    readings = [Decimal(one) for one in good]
    bad = at % len(readings)
    for wrong in (Decimal(0), Decimal(10**6)):
        spoilt = [*readings[:bad], wrong, *readings[bad + 1 :]]
        peak = true_peak = Decimal(0)
        for end in range(1, len(readings) + 1):
            assert not confirmed(spoilt[:end], Decimal("0.5"))
            peak = confirmed_peak(peak, spoilt[:end])
            true_peak = max(true_peak, *readings[:end])
        assert peak <= true_peak
