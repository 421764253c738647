"""What is refused before it is sent: each limit bites at the limit and not one cent before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from roboinvest.brokers.alpaca.checks import (
    Facts,
    check_asset,
    check_entry,
    check_intent_form,
)
from roboinvest.brokers.alpaca.wire import Asset, VenueClock
from roboinvest.core.errors import OrderRejected
from roboinvest.core.orders import Side, TimeInForce
from roboinvest.core.venue import VenueAccount
from tests.fakes.markets import intent

D = Decimal
NOW = datetime(2024, 3, 5, 15, tzinfo=UTC)
ASSET = Asset(
    symbol="SPY", is_tradable=True, is_fractionable=True, is_shortable=True, margin_frac=D("0.3")
)
CLOCK = VenueClock(
    at=NOW,
    is_open=True,
    next_open=datetime(2024, 3, 6, 14, 30, tzinfo=UTC),
    next_close=datetime(2024, 3, 5, 21, tzinfo=UTC),
)
ACCOUNT = VenueAccount(
    account_id="a",
    cash=D(10_000),
    equity=D(10_000),
    last_equity=None,
    buying_power=D(10_000),
    maintenance_margin=None,
    blocked=None,
    is_paper=True,
)


def facts(committed: str = "0", asset: Asset = ASSET, **account: Any) -> Facts:
    return Facts(
        asset=asset, clock=CLOCK, account=replace(ACCOUNT, **account), committed_usd=D(committed)
    )


def test_an_entry_of_exactly_the_buying_power_passes_and_a_cent_more_does_not() -> None:
    check_entry(intent(limit="100", qty="100"), facts())
    with pytest.raises(OrderRejected, match=r"cost 10000\.01 USD, buying power is 10000\.00"):
        check_entry(intent(limit="10000.01", qty="1"), facts())


def test_what_was_just_sent_counts_against_the_buying_power() -> None:
    check_entry(intent(qty="1", mark="0.01"), facts("9999.99"))
    with pytest.raises(OrderRejected, match=r"less 9999\.99 of orders just sent"):
        check_entry(intent(qty="1", mark="0.02"), facts("9999.99"))


def test_without_a_figure_of_buying_power_the_cash_is_the_limit() -> None:
    check_entry(intent(qty="100"), facts(buying_power=None))
    with pytest.raises(OrderRejected, match="buying power"):
        check_entry(intent(qty="101"), facts(buying_power=None))


def test_the_maintenance_margin_may_reach_the_equity_and_not_pass_it() -> None:
    """The intraday margin guard that took the place of the day-trade count."""
    known = facts(buying_power=D(40_000), maintenance_margin=D(1_000))
    check_entry(intent(qty="300"), known)  # 1,000 + 30,000 x 0.3
    with pytest.raises(OrderRejected, match=r"margin would be 10000\.30 USD, the equity is 10000"):
        check_entry(intent(qty="300.01"), known)


def test_where_the_broker_names_no_margin_the_usual_one_counts() -> None:
    known = facts(
        asset=replace(ASSET, margin_frac=None), buying_power=D(40_000), maintenance_margin=D(0)
    )
    with pytest.raises(OrderRejected, match="margin"):
        check_entry(intent(qty="334"), known)


def test_a_blocked_account_enters_nothing() -> None:
    with pytest.raises(OrderRejected, match="trading is blocked"):
        check_entry(intent(), facts(blocked="trading is blocked"))


def test_a_closed_market_says_when_it_opens() -> None:
    with pytest.raises(OrderRejected, match="closed until 2024-03-06T14:30"):
        check_entry(intent(), replace(facts(), clock=replace(CLOCK, is_open=False)))


def test_selling_short_takes_a_symbol_that_can_be_and_the_least_equity() -> None:
    short = intent(side=Side.SELL, qty="1")
    check_entry(short, facts(equity=D(2_000)))
    with pytest.raises(OrderRejected, match=r"takes 2000 USD of equity, the account has 1999\.99"):
        check_entry(short, facts(equity=D("1999.99")))
    with pytest.raises(OrderRejected, match="cannot be sold short"):
        check_entry(short, facts(asset=replace(ASSET, is_shortable=False)))
    with pytest.raises(OrderRejected, match="only whole shares"):
        check_entry(intent(side=Side.SELL, qty="1.5"), facts())


def test_a_symbol_that_is_not_tradable_is_refused() -> None:
    with pytest.raises(OrderRejected, match="not tradable"):
        check_asset(intent(), replace(ASSET, is_tradable=False))


def test_a_fraction_needs_a_symbol_that_takes_fractions_and_a_dollar() -> None:
    """A18, A19."""
    check_asset(intent(qty="0.01"), ASSET)
    with pytest.raises(OrderRejected, match=r"worth 0\.9999 USD, at least 1 USD"):
        check_asset(intent(qty="0.009999"), ASSET)
    with pytest.raises(OrderRejected, match="whole shares of it only"):
        check_asset(intent(qty="1.5"), replace(ASSET, is_fractionable=False))
    check_asset(intent(qty="1.000"), replace(ASSET, is_fractionable=False))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"time_in_force": TimeInForce.GTC}, "valid for the day"),
        ({"stop": "101"}, "market or limit order"),
        ({"stop_loss": "95"}, "brackets take whole shares"),
        ({"qty": "1.0000000001"}, "more than 9 decimal places"),
    ],
)
def test_a_fraction_where_it_is_not_allowed_is_refused(changes: dict[str, Any], said: str) -> None:
    """A18."""
    check_intent_form(intent(qty="1.5"), NOW)
    check_intent_form(intent(qty="1.5", limit="99"), NOW)
    with pytest.raises(OrderRejected, match=said):
        check_intent_form(intent(**{"qty": "1.5", **changes}), NOW)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": "NaN"}, "NaN is not a positive number"),
        ({"qty": "0"}, "quantity 0"),
        ({"stop_loss": "101"}, "stop loss 101 of a buy must lie below 100"),
        ({"take_profit": "99"}, "take profit 99 of a buy must lie above 100"),
        ({"limit": "100.001"}, "between ticks"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(OrderRejected, match=said):
        check_intent_form(intent(**changes), NOW)
