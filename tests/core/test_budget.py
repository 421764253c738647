"""The day's cap follows results, step by step, inside floor and ceiling."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.budget import BudgetFacts, BudgetPolicy, cap_for_session, cap_within_session

POLICY = BudgetPolicy()
FACTS = BudgetFacts(
    session_pnl=Decimal(20),
    closed_trades=10,
    win_rate=0.6,
    mean_confidence=0.6,
    day_return_frac=Decimal(0),
)


def test_the_cap_stays_until_enough_trades_are_closed() -> None:
    move = cap_for_session(Decimal("0.10"), replace(FACTS, closed_trades=9), POLICY)
    assert move.after == Decimal("0.10")
    assert "9 closed trades, 10 are needed" in move.reason


def test_profit_raises_the_cap_by_its_gain() -> None:
    assert cap_for_session(Decimal("0.10"), FACTS, POLICY).after == Decimal("0.16")


def test_a_gain_raises_by_one_step_at_most() -> None:
    won = replace(FACTS, session_pnl=Decimal(10_000))
    assert cap_for_session(Decimal("0.50"), won, POLICY).after == Decimal("0.70")


def test_a_session_that_lost_more_than_its_line_halves_the_cap_and_not_one_cent_before() -> None:
    at_line = replace(FACTS, session_pnl=Decimal("-10.00"))
    over = replace(FACTS, session_pnl=Decimal("-10.01"))
    assert cap_for_session(Decimal("0.50"), at_line, POLICY).after == Decimal("0.50")
    move = cap_for_session(Decimal("0.50"), over, POLICY)
    assert move.after == Decimal("0.25")
    assert "halved" in move.reason
    assert "10.01" in move.reason


@pytest.mark.parametrize(
    ("doubt", "word"),
    [
        ({"win_rate": 0.59}, "win rate is 0.59"),
        ({"win_rate": None}, "win rate is not known"),
        ({"mean_confidence": 0.59}, "mean confidence is 0.59"),
    ],
)
def test_a_gain_that_may_be_luck_moves_nothing_and_says_why(
    doubt: dict[str, float | None], word: str
) -> None:
    move = cap_for_session(Decimal("0.10"), replace(FACTS, **doubt), POLICY)  # type: ignore[arg-type]
    assert move.after == Decimal("0.10")
    assert word in move.reason


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
    assert after - cap <= POLICY.step_usd
    assert after >= min(cap, POLICY.floor_usd, cap / 2)
