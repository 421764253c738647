"""What makes no sense is refused with its value, and nothing is computed with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from roboinvest.core.orders import Leg, OrderType
from roboinvest.core.risk import check_intent, size_entry
from tests.fakes.risks import BOOK, BUY, LIMITS, SELL, rules


def changed(name: str, figure: str) -> dict[str, Any]:
    """Return the change of one field to a figure."""
    return {name: Decimal(figure)}


@pytest.mark.parametrize("figure", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "1E+12"])
@pytest.mark.parametrize("name", ["qty", "mark", "stop_loss", "take_profit"])
def test_what_is_no_figure_is_refused_before_anything_is_computed(name: str, figure: str) -> None:
    verdict = check_intent(replace(BUY, **changed(name, figure)), BOOK, LIMITS)
    assert rules(verdict) == {"quantity" if name == "qty" else "price"}
    assert figure in verdict.clamps[0].text


@pytest.mark.parametrize("name", ["equity", "cash", "gross_usd", "day_start_equity", "peak_equity"])
def test_an_account_with_a_figure_that_is_none_enters_nothing_and_may_leave(name: str) -> None:
    unknown = replace(BOOK, position_qty=Decimal(50), **changed(name, "NaN"))
    assert rules(check_intent(BUY, unknown, LIMITS)) == {"equity"}
    assert check_intent(SELL, unknown, LIMITS).approved


def test_a_position_that_is_no_number_stops_everything() -> None:
    unknown = replace(BOOK, position_qty=Decimal("NaN"))
    assert rules(check_intent(SELL, unknown, LIMITS)) == {"position"}


@pytest.mark.parametrize("last", ["NaN", "Infinity", "0", "-3"])
def test_a_last_price_that_is_none_is_no_price_to_trade_at(last: str) -> None:
    assert rules(check_intent(BUY, replace(BOOK, last_price=Decimal(last)), LIMITS)) == {"no_price"}


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        ({"stop_loss": Decimal(100)}, "bracket", "stop loss 100 of a buy must lie below 100"),
        ({"stop_loss": Decimal("99.99")}, None, ""),
        ({"take_profit": Decimal(100)}, "bracket", "take profit 100 of a buy must lie above 100"),
        ({"take_profit": Decimal("100.01")}, None, ""),
        ({"qty": Decimal("50.5")}, "fraction", "50.5 shares, parts of a share"),
        ({"leg": Leg.EXIT}, "bracket", "exit carries a bracket"),
        ({"order_type": OrderType.LIMIT}, "order_type", "limit order with limit price None"),
        ({"limit_price": Decimal(100)}, "order_type", "a market order with limit price 100"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_values(
    change: dict[str, Any], rule: str | None, words: str
) -> None:
    verdict = check_intent(replace(BUY, **change), BOOK, LIMITS)
    assert rules(verdict) == ({rule} if rule else set())
    assert words in "".join(clamp.text for clamp in verdict.clamps)


def test_a_stop_on_the_wrong_side_of_the_market_is_refused() -> None:
    held = replace(BOOK, position_qty=Decimal(50))
    stop = replace(SELL, leg=Leg.STOP, order_type=OrderType.STOP, stop_price=Decimal("99.99"))
    assert check_intent(stop, held, LIMITS).approved
    assert rules(check_intent(replace(stop, stop_price=Decimal(100)), held, LIMITS)) == {"stop"}


def test_parts_of_a_share_pass_where_they_are_allowed_and_carry_no_bracket() -> None:
    allowed = replace(LIMITS, allow_fractions=True)
    plain = replace(BUY, qty=Decimal("50.5"), stop_loss=None, take_profit=None)
    assert check_intent(plain, BOOK, allowed).qty == Decimal("50.5")
    assert rules(check_intent(plain, BOOK, LIMITS)) == {"fraction"}
    assert rules(check_intent(replace(BUY, qty=Decimal("50.5")), BOOK, allowed)) == {"fraction"}
    left = replace(BOOK, position_qty=Decimal("0.5"))  # what a split left behind may be sold
    assert check_intent(replace(SELL, qty=Decimal("0.5")), left, LIMITS).approved


def test_the_size_of_an_entry_with_a_stop_that_is_no_price_is_nothing() -> None:
    for stop in ("NaN", "Infinity", "-1"):
        assert size_entry(Decimal(100_000), Decimal(100), Decimal(stop), LIMITS) == 0
    assert size_entry(Decimal("NaN"), Decimal(100), Decimal(99), LIMITS) == 0


def test_no_share_at_all_is_refused_as_such() -> None:
    verdict = check_intent(replace(BUY, qty=Decimal(0)), BOOK, LIMITS)
    assert [clamp.text for clamp in verdict.clamps] == ["SPY: 0 shares, at least one is needed"]
