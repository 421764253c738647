"""What is refused before it is sent, with the fact, the value and the limit.

The broker would refuse most of it as well, but later, in its own words, and some of it only after
it queued the order for the next morning. Only entries are judged by account and market: an exit is
never held up by what we believe about buying power, because the broker knows better and a position
has to be closed. The pattern-day-trader rule is gone since 2026; instead an entry is refused whose
maintenance margin the equity would not cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.brokers.alpaca.wire import Asset, VenueClock
from roboinvest.brokers.paper_checks import check_form
from roboinvest.core.errors import OrderRejected
from roboinvest.core.orders import Leg, OrderIntent, OrderType, Side, TimeInForce
from roboinvest.core.venue import VenueAccount

LEAST_NOTIONAL: Final = Decimal(1)  # USD, of an order for a fraction
LEAST_MARGIN_EQUITY: Final = Decimal(2_000)  # USD, below which nothing may be borrowed
USUAL_MARGIN_FRAC: Final = Decimal("0.30")  # where the broker does not say; FINRA asks for 0.25
_PLACES: Final = 9  # decimal places of a quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when an entry is judged."""

    asset: Asset
    clock: VenueClock
    account: VenueAccount
    committed_usd: Decimal  # value of the entries that were sent since the account was read


def check_intent_form(intent: OrderIntent, at: datetime) -> None:
    """Refuse what makes no sense whatever the account and the market are like.

    Raises:
        OrderRejected: the first fault that was found.
    """
    check_form(intent, at)
    if is_whole(intent.qty):
        return
    if -int(intent.qty.normalize().as_tuple().exponent) > _PLACES:
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares have more than {_PLACES} decimal places; "
            "round down"
        )
    if intent.stop_loss is not None or intent.take_profit is not None:
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares with a bracket; brackets take whole shares, "
            "round down"
        )
    if intent.time_in_force is not TimeInForce.DAY or intent.order_type is OrderType.STOP:
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares as a {intent.order_type} order valid "
            f"{intent.time_in_force}; a fraction takes a market or limit order valid for the day"
        )


def check_asset(intent: OrderIntent, asset: Asset) -> None:
    """Refuse what may not be done with the symbol.

    Raises:
        OrderRejected: the first fault that was found.
    """
    if not asset.is_tradable:
        raise OrderRejected(f"{intent.symbol}: not tradable at Alpaca; take it out of the universe")
    if is_whole(intent.qty):
        return
    if not asset.is_fractionable:
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares, but Alpaca trades whole shares of it only; "
            "round down"
        )
    if value_of(intent) < LEAST_NOTIONAL:
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares are worth {value_of(intent):.4f} USD, "
            f"at least {LEAST_NOTIONAL} USD is needed; send more or nothing"
        )


def check_entry(intent: OrderIntent, facts: Facts) -> None:
    """Refuse an entry that account or market do not allow.

    Raises:
        OrderRejected: the first fault that was found.
    """
    if facts.account.blocked is not None:
        raise OrderRejected(
            f"{intent.symbol}: nothing can be entered, {facts.account.blocked}; ask Alpaca"
        )
    if not facts.clock.is_open:
        raise OrderRejected(
            f"{intent.symbol}: the market is closed until {facts.clock.next_open.isoformat()}; "
            "decide again then"
        )
    if intent.side is Side.SELL:
        _check_short(intent, facts)
    _check_buying_power(intent, facts)
    _check_margin(intent, facts)


def value_of(intent: OrderIntent) -> Decimal:
    """Return what an order is worth at the price it names, or at the mark, in USD."""
    return intent.qty * (intent.limit_price or intent.stop_price or intent.mark)


def is_entry(intent: OrderIntent) -> bool:
    """Return whether the intent adds risk."""
    return intent.leg is Leg.ENTRY


def is_whole(qty: Decimal) -> bool:
    """Return whether a quantity has no fraction of a share."""
    return qty == qty.to_integral_value()


def _check_short(intent: OrderIntent, facts: Facts) -> None:
    if not facts.asset.is_shortable:
        raise OrderRejected(f"{intent.symbol}: cannot be sold short at Alpaca; leave it")
    if not is_whole(intent.qty):
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares short; only whole shares can be, round down"
        )
    if facts.account.equity < LEAST_MARGIN_EQUITY:
        raise OrderRejected(
            f"{intent.symbol}: selling short takes {LEAST_MARGIN_EQUITY} USD of equity, "
            f"the account has {facts.account.equity}; leave it"
        )


def _check_buying_power(intent: OrderIntent, facts: Facts) -> None:
    account = facts.account
    power = account.cash if account.buying_power is None else account.buying_power
    free = power - facts.committed_usd
    if value_of(intent) > free:
        raise OrderRejected(
            f"{intent.symbol}: {intent.qty} shares cost {value_of(intent):.2f} USD, buying power "
            f"is {free:.2f} ({power} less {facts.committed_usd:.2f} of orders just sent); send less"
        )


def _check_margin(intent: OrderIntent, facts: Facts) -> None:
    account = facts.account
    if account.maintenance_margin is None:
        return
    asked = facts.asset.margin_frac
    share = USUAL_MARGIN_FRAC if asked is None else asked
    needed = account.maintenance_margin + (value_of(intent) + facts.committed_usd) * share
    if needed > account.equity:
        raise OrderRejected(
            f"{intent.symbol}: the maintenance margin would be {needed:.2f} USD, the equity is "
            f"{account.equity}; send less, or close something"
        )
