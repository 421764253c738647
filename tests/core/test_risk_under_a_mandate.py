"""The mandate narrows every limit, widens none, and locks stop entries alone."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.protections import EVERYTHING, Lock, LockRule
from roboinvest.core.risk import RiskLimits, check_intent, limits_snapshot, narrowed
from tests.fakes.mandates import mandate
from tests.fakes.risks import AT, BOOK, BUY, LIMITS, SELL, SESSION, rules

NARROW = narrowed(LIMITS, mandate())


@pytest.mark.parametrize(
    ("limits", "change", "qty", "allowed", "rule"),
    [
        (NARROW, {}, 80, 80, None),
        (NARROW, {}, 81, 80, "order_value"),
        (NARROW, {"position_qty": Decimal(10)}, 80, 80, None),
        (NARROW, {"position_qty": Decimal(11)}, 80, 79, "position"),
        (NARROW, {"gross_usd": Decimal(32_000)}, 80, 80, None),
        (NARROW, {"gross_usd": Decimal("32000.01")}, 80, 79, "gross"),
    ],
)
def test_the_mandate_cuts_to_its_own_limits_on_size(
    limits: RiskLimits, change: dict[str, Any], qty: int, allowed: int, rule: str | None
) -> None:
    verdict = check_intent(replace(BUY, qty=Decimal(qty)), replace(BOOK, **change), limits)
    assert verdict.qty == allowed
    assert rules(verdict) == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("change", "passes", "rule"),
    [
        ({"equity": Decimal("98500.01")}, True, None),
        ({"equity": Decimal("98500.00")}, False, "daily_loss"),  # 1,500 USD before 2 %
        ({"peak_equity": Decimal("108695.65")}, True, None),
        ({"peak_equity": Decimal("108695.66")}, False, "drawdown"),
        ({"trades_today": 4}, True, None),
        ({"trades_today": 5}, False, "trades_per_day"),
        ({"at": SESSION.opens_at + timedelta(minutes=15)}, True, None),
        ({"at": SESSION.opens_at + timedelta(minutes=14, seconds=59)}, False, "hours"),
        ({"at": SESSION.closes_at - timedelta(minutes=30, microseconds=1)}, True, None),
        ({"at": SESSION.closes_at - timedelta(minutes=30)}, False, "hours"),
    ],
)
def test_the_mandate_refuses_an_entry_at_its_limit_and_not_before(
    change: dict[str, Any], passes: bool, rule: str | None
) -> None:
    book = replace(BOOK, **change)
    intent = replace(BUY, valid_until=book.at + timedelta(minutes=5))
    verdict = check_intent(intent, book, NARROW)
    assert verdict.approved is passes
    assert rules(verdict) == ({rule} if rule else set())


def test_a_symbol_outside_the_mandate_is_not_entered_but_may_be_left() -> None:
    verdict = check_intent(replace(BUY, symbol="TSLA"), BOOK, NARROW)
    assert rules(verdict) == {"universe"}
    assert verdict.clamps[0].text == "TSLA: the mandate allows QQQ, SPY"
    held = replace(BOOK, position_qty=Decimal(50))
    assert check_intent(replace(SELL, symbol="TSLA"), held, NARROW).approved
    anything = narrowed(LIMITS, mandate(universe=None))
    assert check_intent(replace(BUY, symbol="TSLA"), BOOK, anything).approved


def test_a_mandate_without_short_sales_takes_the_settings_leave_away() -> None:
    generous = replace(LIMITS, allow_short=True)
    held = replace(BOOK, position_qty=Decimal(49))
    assert check_intent(SELL, held, generous).approved
    assert rules(check_intent(SELL, held, narrowed(generous, mandate()))) == {"short"}
    both = narrowed(generous, mandate(allow_short=True))
    assert check_intent(SELL, held, both).approved
    assert not narrowed(LIMITS, mandate(allow_short=True)).allow_short


@pytest.mark.parametrize(
    ("found", "entry"),
    [
        (None, False),
        (replace(mandate(), signature=None), False),
        (replace(mandate(), terms=mandate(max_trades_per_day=6).terms), False),
        (mandate(max_order_usd=Decimal(99_000)), False),
        (mandate(timezone="America/Nowhere"), False),
        (mandate(expires_at=AT), False),
        (mandate(), True),
    ],
)
def test_real_money_is_risked_under_a_good_mandate_only_and_may_always_leave(
    found: Any, entry: bool
) -> None:
    limits = narrowed(replace(LIMITS, live=True), found)
    bought = check_intent(BUY, BOOK, limits)
    sold = check_intent(SELL, replace(BOOK, position_qty=Decimal(50)), limits)
    assert (bought.approved, sold.approved) == (entry, True)
    assert rules(bought) == (set() if entry else {"mandate"})
    assert rules(sold) == set()


LOCK = Lock(
    scope=EVERYTHING,
    rule=LockRule.STOP_LOSS_GUARD,
    since=AT,
    until=None,
    text="3 stop-outs within 60 min, limit 3",
)


def test_a_lock_stops_entries_and_lets_exits_through() -> None:
    locked = replace(BOOK, locks=(LOCK,))
    verdict = check_intent(BUY, locked, LIMITS)
    assert rules(verdict) == {"stop_loss_guard"}
    assert verdict.clamps[0].text == "SPY: 3 stop-outs within 60 min, limit 3"
    assert check_intent(SELL, replace(locked, position_qty=Decimal(50)), LIMITS).approved


def test_a_latch_and_the_limit_it_stands_for_are_one_refusal() -> None:
    latch = replace(LOCK, rule=LockRule.DAILY_LOSS)
    lost = replace(BOOK, equity=Decimal(97_000), locks=(latch,))
    assert len(check_intent(BUY, lost, LIMITS).clamps) == 1
    assert rules(check_intent(BUY, replace(BOOK, locks=(latch,)), LIMITS)) == {"daily_loss"}


fraction = st.decimals(Decimal("0.0001"), Decimal(1), places=4)
usd = st.decimals(Decimal("0.01"), Decimal(10**6), places=2)


@given(
    order=usd, position=usd, day=usd, parts=st.tuples(*[fraction] * 4), trades=st.integers(0, 99)
)
def test_a_mandate_never_widens_a_limit(
    order: Decimal, position: Decimal, day: Decimal, parts: tuple[Decimal, ...], trades: int
) -> None:
    asked = mandate(
        max_order_usd=order,
        max_position_usd=position,
        max_daily_loss_usd=day,
        max_position_frac=parts[0],
        max_gross_frac=parts[1],
        max_daily_loss_frac=parts[2],
        max_drawdown_frac=parts[3],
        max_trades_per_day=trades,
        allow_short=True,
    )
    within = narrowed(LIMITS, asked)
    for name in (field.name for field in fields(RiskLimits)):
        ours, now = getattr(LIMITS, name), getattr(within, name)
        theirs = getattr(asked.terms, name, ours)
        if name != "mandate":
            assert now == (theirs if ours is None else min(ours, theirs)), name
    assert narrowed(within, asked) == within


def test_the_snapshot_of_the_limits_holds_every_limit_and_the_consent() -> None:
    signature = mandate().signature
    assert signature is not None
    plain = json.loads(limits_snapshot(NARROW))
    assert set(plain) == {field.name for field in fields(RiskLimits)}
    assert plain["max_order_usd"] == "8000"
    assert plain["stale_after"] == 180.0
    assert plain["mandate"]["signature"]["consent_hash"] == signature.consent_hash
    assert plain["mandate"]["universe"] == ["QQQ", "SPY"]
    assert json.loads(limits_snapshot(LIMITS))["mandate"] is None
    assert limits_snapshot(NARROW) == limits_snapshot(narrowed(LIMITS, mandate()))
