"""Every limit bites at the limit and not one cent before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.events import TradingState
from roboinvest.core.risk import Verdict, check_intent, size_entry
from tests.fakes.risks import BOOK, BUY, LIMITS, SELL, SESSION, rules


def test_an_intent_within_every_limit_passes_whole_and_unclamped() -> None:
    assert check_intent(BUY, BOOK, LIMITS) == Verdict(qty=Decimal(50), clamps=())


@pytest.mark.parametrize(
    ("change", "qty", "allowed", "rule"),
    [
        ({}, 100, 100, None),
        ({}, 101, 100, "order_value"),
        ({"position_qty": Decimal(150)}, 50, 50, None),
        ({"position_qty": Decimal(150)}, 51, 50, "position"),
        ({"gross_usd": Decimal(45_000)}, 50, 50, None),
        ({"gross_usd": Decimal(45_000)}, 51, 50, "gross"),
        ({"cash": Decimal(5_000)}, 50, 50, None),
        ({"cash": Decimal("4999.99")}, 50, 49, "cash"),
    ],
)
def test_a_limit_on_size_cuts_to_the_limit_and_not_a_share_before(
    change: dict[str, Any], qty: int, allowed: int, rule: str | None
) -> None:
    verdict = check_intent(replace(BUY, qty=Decimal(qty)), replace(BOOK, **change), LIMITS)
    assert verdict.qty == allowed
    assert rules(verdict) == ({rule} if rule else set())


def test_the_smallest_of_several_cuts_wins_and_each_is_recorded() -> None:
    book = replace(BOOK, cash=Decimal(3_000), gross_usd=Decimal(46_000))
    verdict = check_intent(replace(BUY, qty=Decimal(200)), book, LIMITS)
    assert verdict.qty == 30
    assert rules(verdict) == {"order_value", "gross", "cash"}


@pytest.mark.parametrize(
    ("change", "passes", "rule"),
    [
        ({"equity": Decimal("98000.01")}, True, None),
        ({"equity": Decimal("98000.00")}, False, "daily_loss"),
        ({"peak_equity": Decimal("111111.10")}, True, None),
        ({"peak_equity": Decimal("111111.12")}, False, "drawdown"),
        ({"trades_today": 19}, True, None),
        ({"trades_today": 20}, False, "trades_per_day"),
        ({"open_orders": 57}, True, None),  # an entry and the two legs of its bracket
        ({"open_orders": 58}, False, "open_orders"),
        ({"bar_age": timedelta(minutes=3)}, True, None),
        ({"bar_age": timedelta(minutes=3, seconds=1)}, False, "stale_data"),
        ({"bar_age": None}, False, "stale_data"),
        ({"last_price": Decimal("95.2381")}, True, None),
        ({"last_price": Decimal("95.2380")}, False, "price_collar"),
        ({"last_price": None}, False, "no_price"),
        ({"at": SESSION.closes_at - timedelta(minutes=15, seconds=1)}, True, None),
        ({"at": SESSION.closes_at - timedelta(minutes=15)}, False, "session"),
        ({"suspended": "SPY: a jump of 7:1 without an action"}, False, "suspended"),
        ({"state": TradingState.DEGRADED}, False, "trading_state"),
        ({"state": TradingState.HALTED}, False, "trading_state"),
        ({"state": TradingState.STARTING}, False, "trading_state"),
    ],
)
def test_an_entry_is_refused_at_the_limit_and_not_before(
    change: dict[str, Any], passes: bool, rule: str | None
) -> None:
    book = replace(BOOK, **change)
    intent = replace(BUY, valid_until=book.at + timedelta(minutes=5))
    verdict = check_intent(intent, book, LIMITS)
    assert verdict.approved is passes
    assert rules(verdict) == ({rule} if rule else set())


def test_an_intent_past_its_time_is_refused() -> None:
    late = replace(BOOK, at=BUY.valid_until + timedelta(seconds=1))
    assert rules(check_intent(BUY, late, LIMITS)) == {"expired"}


@pytest.mark.parametrize("when", [SESSION.closes_at, SESSION.opens_at - timedelta(minutes=1)])
def test_nothing_is_sent_outside_the_session(when: datetime) -> None:
    held = replace(BOOK, at=when, position_qty=Decimal(50))
    late = replace(SELL, valid_until=when + timedelta(minutes=5))
    assert rules(check_intent(late, held, LIMITS)) == {"session"}


@pytest.mark.parametrize("qty", ["0", "-1", "NaN", "Infinity"])
def test_a_quantity_that_is_not_a_positive_number_is_refused(qty: str) -> None:
    assert not check_intent(replace(BUY, qty=Decimal(qty)), BOOK, LIMITS).approved


@pytest.mark.parametrize("mark", ["0", "-5", "NaN"])
def test_a_mark_that_is_not_a_price_is_refused(mark: str) -> None:
    verdict = check_intent(replace(BUY, mark=Decimal(mark)), BOOK, LIMITS)
    assert rules(verdict) == {"price"}


def test_an_exit_passes_the_limits_on_loss_pace_staleness_and_the_last_minutes() -> None:
    ruined = replace(
        BOOK,
        at=SESSION.closes_at - timedelta(minutes=1),
        equity=Decimal(50_000),
        trades_today=99,
        open_orders=99,
        bar_age=timedelta(hours=1),
        state=TradingState.DEGRADED,
        position_qty=Decimal(50),
    )
    intent = replace(SELL, valid_until=SESSION.closes_at)
    assert check_intent(intent, ruined, LIMITS) == Verdict(qty=Decimal(50), clamps=())


def test_even_an_exit_waits_while_trading_is_halted() -> None:
    halted = replace(
        BOOK, state=TradingState.HALTED, state_reason="by hand", position_qty=Decimal(50)
    )
    assert rules(check_intent(SELL, halted, LIMITS)) == {"trading_state"}


def test_selling_more_than_is_held_needs_leave_to_short() -> None:
    held = replace(BOOK, position_qty=Decimal(49))
    assert "short" in rules(check_intent(SELL, held, LIMITS))
    allowed = replace(LIMITS, allow_short=True)
    assert check_intent(SELL, held, allowed).approved


def test_each_clamp_names_the_symbol_the_value_and_the_limit() -> None:
    verdict = check_intent(replace(BUY, qty=Decimal(101)), BOOK, LIMITS)
    text = verdict.clamps[0].text
    assert text == "SPY: order of 10,100.00 USD, limit 10,000.00 USD"


def test_the_size_of_an_entry_risks_the_stated_fraction_at_its_stop() -> None:
    limits = replace(LIMITS, risk_per_trade_frac=Decimal("0.01"))
    qty = size_entry(Decimal(100_000), Decimal(100), Decimal(97), limits)
    assert qty == 333  # 1,000 USD over 3 USD a share
    assert size_entry(Decimal(100_000), Decimal(100), Decimal(100), limits) == 0
    assert size_entry(Decimal(-1), Decimal(100), Decimal(97), limits) == 0


money = st.decimals(Decimal(0), Decimal(300_000), places=2)
price = st.decimals(Decimal("0.01"), Decimal(5_000), places=2)


@given(
    qty=st.integers(1, 10**7),
    mark=price,
    equity=money,
    cash=money,
    gross=money,
    held=st.integers(0, 5_000),
)
def test_no_approved_entry_ever_passes_a_limit(
    qty: int, mark: Decimal, equity: Decimal, cash: Decimal, gross: Decimal, held: int
) -> None:
    book = replace(
        BOOK,
        equity=equity,
        day_start_equity=equity,
        peak_equity=equity,
        cash=cash,
        gross_usd=gross,
        position_qty=Decimal(held),
        last_price=mark,
    )
    verdict = check_intent(replace(BUY, qty=Decimal(qty), mark=mark), book, LIMITS)
    value = verdict.qty * mark
    assert 0 <= verdict.qty <= qty
    assert verdict.qty == int(verdict.qty)
    if verdict.approved:
        assert value <= min(LIMITS.max_order_usd, cash)
        assert gross + value <= LIMITS.max_gross_frac * equity
        assert held * mark + value <= LIMITS.max_position_frac * equity
    if verdict.qty < qty:
        assert verdict.clamps
