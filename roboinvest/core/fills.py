"""The one table of fill rules: what a bar does to an order.

The paper broker, the replay and the backtester all ask here, so that a strategy meets the same
market everywhere. Prices are put on the grid of a hundredth of a cent before anything is compared,
so that an integer kernel can be held to exact equality (F9).

    F1  an order lives from the bar after its submission; a market order fills at that bar's open
    F2  bracket levels are absolute prices, fixed at submission
    F3  in a bar: orders due at the open, then stops, then limits; an open beyond a level fills at
        the open; what a bar cannot tell is decided against us, and the result says so
    F4  a limit needs the market to trade through it by one tick
    F5  all our fills in a bar share a fraction of its volume; the rest of an order waits
    F6  fees, and slippage against us, on both sides
    F7  cash is checked at the fill

A fill before slippage lies in [low, high]. Slippage comes on top and may pass the extremes: a
one-tick bar must not make a market order free of cost. F1's clock, F8 (marking what stays open)
and who owns which cash are the executor's part.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.market.values import Bar
from roboinvest.core.orders import (
    SUB_PENNY_TICK,
    TICK_SIZE,
    Leg,
    OrderType,
    Side,
    to_price,
)

ZERO: Final = Decimal(0)
BPS: Final = Decimal(10_000)
WHOLE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRules:
    """What trading costs, and how much of a bar we may take.

    Defaults: 5 bp and a tenth of the volume are the equity defaults of zipline's
    `FixedBasisPointsSlippage`. US brokers charge no commission on listed shares but pass on two
    fees on sales: SEC Section 31, 20.60 USD per million from 2026-04-04 (Release 34-104909), and
    FINRA's trading activity fee, 0.000195 USD per share up to 9.79 USD for 2026
    (SR-FINRA-2024-019). Both rates change every year or so.
    """

    slippage_bps: Decimal = Decimal(5)  # on market and stop orders, never on limits
    volume_share: Decimal | None = Decimal("0.1")  # of a bar's volume; None: as much as we like
    limit_needs_trade_through: bool = True  # False: a touch is enough
    commission_per_share_usd: Decimal = ZERO  # both sides
    sec_fee_rate: Decimal = Decimal("0.0000206")  # of the proceeds of a sale
    taf_per_share_usd: Decimal = Decimal("0.000195")  # sales
    taf_cap_usd: Decimal = Decimal("9.79")  # per sale

    def __post_init__(self) -> None:
        """Refuse rules under which a fill would pay us."""
        costs = (
            self.slippage_bps,
            self.commission_per_share_usd,
            self.sec_fee_rate,
            self.taf_per_share_usd,
            self.taf_cap_usd,
        )
        if not all(cost.is_finite() and cost >= 0 for cost in costs) or self.slippage_bps >= BPS:
            raise BadSettings(
                f"fill rules: costs {[str(cost) for cost in costs]} must be finite, not negative, "
                "and slippage below 10000 bps; correct the [fills] settings"
            )
        share = self.volume_share
        if share is not None and not (share.is_finite() and 0 < share <= 1):
            raise BadSettings(
                f"fill rules: volume_share {share} is not in (0, 1]; leave it out for no limit"
            )


FRICTIONLESS: Final = FillRules(
    slippage_bps=ZERO,
    volume_share=None,
    limit_needs_trade_through=False,
    sec_fee_rate=ZERO,
    taf_per_share_usd=ZERO,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPrices:
    """A bar on the price grid, and the shares that we may trade in it."""

    open: Decimal  # USD per share
    high: Decimal
    low: Decimal
    close: Decimal
    capacity: Decimal | None  # shares, whole, all our orders together; None: no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BracketExit:
    """What one bar did to the protective legs of a position."""

    leg: Leg | None  # STOP or TARGET; None: still open after the bar
    price: Decimal | None  # USD per share, slippage included; None with `leg`
    at_open: bool = False
    ambiguous: bool = False  # the bar alone cannot tell; this is the worst it may have been
    optimistic: Decimal | None = None  # when ambiguous: the kindest exit; None: none in this bar


STILL_OPEN: Final = BracketExit(leg=None, price=None)


def bar_prices(bar: Bar, rules: FillRules) -> BarPrices:
    """Return a bar as the rules see it."""
    return BarPrices(
        open=to_price(bar.open),
        high=to_price(bar.high),
        low=to_price(bar.low),
        close=to_price(bar.close),
        capacity=capacity_of(bar.volume, rules),
    )


def capacity_of(volume: float, rules: FillRules) -> Decimal | None:
    """Return the whole shares that we may trade in a bar of this volume; None: no limit."""
    share = rules.volume_share
    return None if share is None else _whole(share * Decimal(repr(float(volume))))


def slipped(price: Decimal, side: Side, rules: FillRules) -> Decimal:
    """Return `price` made worse by the slippage, rounded against us to the price grid."""
    cost = price * rules.slippage_bps / BPS
    if side is Side.BUY:
        return (price + cost).quantize(SUB_PENNY_TICK, rounding=ROUND_CEILING)
    return (price - cost).quantize(SUB_PENNY_TICK, rounding=ROUND_FLOOR)


def reaches(kind: OrderType, side: Side, level: Decimal | None, prices: BarPrices) -> bool:
    """Return whether a bar comes to an order's level at all; without that nothing can fill it."""
    if level is None or kind is OrderType.MARKET:
        return True
    waits_below = (kind is OrderType.STOP) is (side is Side.SELL)
    return prices.low <= level if waits_below else prices.high >= level


def match_at_open(
    kind: OrderType, side: Side, level: Decimal | None, prices: BarPrices, rules: FillRules
) -> Decimal | None:
    """Return the price at which an order fills at a bar's open, or None when it does not.

    `level` is the limit or stop price, None for a market order. A stop that was triggered earlier
    and could not be filled is a market order.
    """
    if level is None or kind is OrderType.MARKET:
        return slipped(prices.open, side, rules)
    if kind is OrderType.STOP:
        beyond = (prices.open - level) * side.sign >= 0
        return slipped(prices.open, side, rules) if beyond else None
    through = (level - prices.open) * side.sign >= _through(level, rules)
    return prices.open if through else None


def match_inside(
    kind: OrderType, side: Side, level: Decimal | None, prices: BarPrices, rules: FillRules
) -> Decimal | None:
    """Return the price at which an order fills after a bar's open, or None when it does not.

    A market order fills at the open alone. A level that the whole bar lies beyond, which is due at
    the open, gives the bar's nearest price.
    """
    if level is None or kind is OrderType.MARKET:
        return None
    within = min(max(level, prices.low), prices.high)
    if kind is OrderType.STOP:
        reach = prices.high if side is Side.BUY else prices.low
        return slipped(within, side, rules) if (reach - level) * side.sign >= 0 else None
    reach = prices.low if side is Side.BUY else prices.high
    return within if (level - reach) * side.sign >= _through(level, rules) else None


def resolve_bracket(
    side: Side,
    stop: Decimal | None,
    target: Decimal | None,
    prices: BarPrices,
    rules: FillRules,
    *,
    entered: OrderType = OrderType.MARKET,
) -> BracketExit:
    """Return how the protective legs of a position end in one bar.

    `side` is that of the legs: SELL protects a long position. `entered` tells how the position
    began: MARKET when it was held, or filled, at the bar's open; LIMIT or STOP when such an entry
    filled later in this bar, so that the part of the bar before it proves nothing.
    """
    if entered is OrderType.MARKET:
        due = _due_at_open(side, stop, target, prices, rules)
        if due is not None:
            return due
    stopped = match_inside(OrderType.STOP, side, stop, prices, rules)
    reached = match_inside(OrderType.LIMIT, side, target, prices, rules)
    if stopped is not None:
        # A breakout entry comes after the move to it: the low may lie before. The close tells.
        maybe_before = entered is OrderType.STOP and not _closes_beyond(
            OrderType.STOP, side, stop, prices, rules
        )
        ambiguous = reached is not None or maybe_before
        return BracketExit(
            leg=Leg.STOP,
            price=stopped,
            ambiguous=ambiguous,
            optimistic=reached if ambiguous else None,
        )
    if reached is None:
        return STILL_OPEN
    # A limit entry comes on the way down to it: the high may lie before. Again the close tells.
    if entered is OrderType.LIMIT and not _closes_beyond(
        OrderType.LIMIT, side, target, prices, rules
    ):
        return BracketExit(leg=None, price=None, ambiguous=True, optimistic=reached)
    return BracketExit(leg=Leg.TARGET, price=reached)


def fees(side: Side, qty: Decimal, price: Decimal, rules: FillRules) -> Decimal:
    """Return commission and regulatory fees of one execution in USD.

    Each is rounded up to the cent, as brokers pass them on; `qty` is positive. The fees of a sale
    never pass its proceeds, so that selling dust cannot cost money.
    """
    notional = qty * price
    total = _cents_up(rules.commission_per_share_usd * qty)
    if side is Side.BUY:
        return total
    total += _cents_up(rules.sec_fee_rate * notional)
    total += min(_cents_up(rules.taf_per_share_usd * qty), rules.taf_cap_usd)
    return min(total, notional)


def affordable(qty: Decimal, price: Decimal, cash: Decimal, rules: FillRules) -> Decimal:
    """Return how many of `qty` shares `cash` can buy, fees included: all, or a whole number."""
    if qty * price + fees(Side.BUY, qty, price, rules) <= cash:
        return qty
    fitting = _whole(max(cash, ZERO) / (price + rules.commission_per_share_usd))
    while fitting > 0 and fitting * price + fees(Side.BUY, fitting, price, rules) > cash:
        fitting -= 1  # the cent that fees are rounded up by
    return fitting


def slippage_bps(side: Side, price: Decimal, mark: Decimal) -> float:
    """Return the signed cost of a fill against `mark` in basis points; positive is worse for us."""
    return float((price - mark) * side.sign / mark * BPS)


def _due_at_open(
    side: Side, stop: Decimal | None, target: Decimal | None, prices: BarPrices, rules: FillRules
) -> BracketExit | None:
    """Return the leg whose level the open is beyond; it cannot be beyond both."""
    for leg, kind, level in (
        (Leg.STOP, OrderType.STOP, stop),
        (Leg.TARGET, OrderType.LIMIT, target),
    ):
        if level is None:
            continue
        price = match_at_open(kind, side, level, prices, rules)
        if price is not None:
            return BracketExit(leg=leg, price=price, at_open=True)
    return None


def _closes_beyond(
    kind: OrderType, side: Side, level: Decimal | None, prices: BarPrices, rules: FillRules
) -> bool:
    last = BarPrices(
        open=prices.close,
        high=prices.close,
        low=prices.close,
        close=prices.close,
        capacity=None,
    )
    return match_inside(kind, side, level, last, rules) is not None


def _through(level: Decimal, rules: FillRules) -> Decimal:
    """Return how far beyond a limit the market must trade."""
    if not rules.limit_needs_trade_through:
        return ZERO
    return TICK_SIZE if level >= 1 else SUB_PENNY_TICK


def _whole(qty: Decimal) -> Decimal:
    return qty.quantize(WHOLE, rounding=ROUND_FLOOR)


def _cents_up(amount: Decimal) -> Decimal:
    return amount.quantize(TICK_SIZE, rounding=ROUND_CEILING)
