"""The day's cap follows results, step by step, inside floor and ceiling."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.budget import BudgetFacts, BudgetPolicy, cap_for_session, cap_within_session

POLICY = BudgetPolicy()
FACTS = BudgetFacts(session_pnl=Decimal(20), closed_trades=10, day_return_frac=Decimal(0))


def test_the_cap_stays_until_enough_trades_are_closed() -> None:
    move = cap_for_session(Decimal("0.10"), replace(FACTS, closed_trades=9), POLICY)
    assert move.after == Decimal("0.10")
    assert "9 closed trades, 10 are needed" in move.reason


def test_profit_raises_the_cap_by_its_gain() -> None:
    assert cap_for_session(Decimal("0.10"), FACTS, POLICY).after == Decimal("0.16")


def test_loss_lowers_it_and_the_step_bounds_both() -> None:
    lost = replace(FACTS, session_pnl=Decimal(-10_000))
    won = replace(FACTS, session_pnl=Decimal(10_000))
    assert cap_for_session(Decimal("0.50"), lost, POLICY).after == Decimal("0.30")
    assert cap_for_session(Decimal("0.50"), won, POLICY).after == Decimal("0.70")


def test_a_bad_day_takes_its_own_cap_to_the_floor() -> None:
    bad = replace(FACTS, day_return_frac=Decimal("-0.01"))
    fine = replace(FACTS, day_return_frac=Decimal("-0.0099"))
    assert cap_within_session(Decimal("0.40"), bad, POLICY).after == POLICY.floor_usd
    assert cap_within_session(Decimal("0.40"), fine, POLICY).after == Decimal("0.40")


@given(
    cap=st.decimals(Decimal("0.02"), Decimal(1), places=2),
    pnl=st.decimals(Decimal(-(10**6)), Decimal(10**6), places=2),
)
def test_the_cap_never_leaves_floor_and_ceiling(cap: Decimal, pnl: Decimal) -> None:
    after = cap_for_session(cap, replace(FACTS, session_pnl=pnl), POLICY).after
    assert POLICY.floor_usd <= after <= POLICY.ceiling_usd
    assert abs(after - cap) <= POLICY.step_usd
