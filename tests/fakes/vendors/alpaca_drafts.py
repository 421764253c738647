"""An order request on its way in: its fields read, and the rules that refuse it.

Codes and texts are those recorded, or quoted verbatim in public threads; where only the code family
is known the text is ours and a comment says so. What the rules need to know of the books comes as
a `Standing`, so that they stay functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tests.fakes.vendors.alpaca_bodies import text
from tests.fakes.vendors.alpaca_values import Asset, BookedOrder, Refusal, Side, Terms

BAD_FIELD: Final = 40010001  # 422
BAD_RULE: Final = 42210000  # 422
FORBIDDEN: Final = 40310000  # 403, of several meanings
CENT: Final = Decimal("0.01")
SHORT_MARGIN: Final = Decimal("1.03")  # a short sale is priced 3 % above the market
_TYPES: Final = frozenset({"market", "limit", "stop", "stop_limit"})
_CLASSES: Final = frozenset({"simple", "bracket", "oco", "oto"})
_LIVES: Final = frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"})


@dataclass(slots=True, kw_only=True)
class Draft:
    """What a client asks for."""

    client_order_id: str | None
    symbol: str
    side: Side
    type: str
    time_in_force: str
    order_class: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    take_profit: Decimal | None  # limit price of the target leg
    stop_loss: Decimal | None  # stop price of the stop leg
    stop_loss_limit: Decimal | None
    extended_hours: bool

    @property
    def is_fractional(self) -> bool:
        """Return whether it is for part of a share, or by value."""
        return self.notional is not None or (self.qty is not None and self.qty % 1 != 0)


@dataclass(slots=True, kw_only=True)
class Standing:
    """What the books say that matters for one new order."""

    terms: Terms
    asset: Asset
    price: Decimal | None  # USD per share
    held: Decimal  # shares, signed
    reserved: Decimal  # shares of `held` that open closing orders hold
    opposite: list[BookedOrder]  # active orders of the other side
    related: list[str]  # ids of the orders that hold `reserved`
    buying_power: Decimal  # USD


def read_draft(body: Any) -> Draft:
    """Return the fields of a request body.

    Raises:
        Refusal: a field is missing or cannot be read.
    """
    if not isinstance(body, Mapping):
        raise Refusal(400, 40010000, "request body format is invalid")
    target, stop = body.get("take_profit") or {}, body.get("stop_loss") or {}
    draft = Draft(
        client_order_id=body.get("client_order_id") or None,
        symbol=_word(body, "symbol"),
        side="buy" if _word(body, "side", frozenset({"buy", "sell"})) == "buy" else "sell",
        type=_word(body, "type", _TYPES),
        time_in_force=_word(body, "time_in_force", _LIVES),
        order_class=body.get("order_class") or "simple",
        qty=figure(body, "qty"),
        notional=figure(body, "notional"),
        limit_price=figure(body, "limit_price"),
        stop_price=figure(body, "stop_price"),
        take_profit=figure(target, "limit_price"),
        stop_loss=figure(stop, "stop_price"),
        stop_loss_limit=figure(stop, "limit_price"),
        extended_hours=bool(body.get("extended_hours", False)),
    )
    if draft.order_class not in _CLASSES:
        raise Refusal(422, BAD_FIELD, "invalid order_class")
    if draft.order_class == "oco":  # the target is the order itself
        draft.limit_price = draft.limit_price or draft.take_profit
    return draft


def figure(body: Mapping[str, Any], name: str) -> Decimal | None:
    """Return a positive figure from a number or a text; None where there is none.

    Raises:
        Refusal: it is no number, or not above zero.
    """
    raw = body.get(name)
    if raw is None or raw == "":
        return None
    try:
        value = Decimal(str(raw))
    except InvalidOperation:
        raise Refusal(422, BAD_FIELD, f"{name} must be a number") from None
    if not value.is_finite() or value <= 0:
        raise Refusal(422, BAD_FIELD, f"{name} must be > 0")
    whole = value.to_integral_value()
    return whole if whole == value else value.normalize()  # clients send 2.0 for two shares


def _word(body: Mapping[str, Any], name: str, allowed: frozenset[str] | None = None) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(422, BAD_FIELD, f"{name} is required")
    if allowed is not None and value not in allowed:
        raise Refusal(422, BAD_FIELD, f"invalid {name}")
    return value


def refuse_form(draft: Draft, price: Decimal | None) -> None:
    """Raise `Refusal` where the fields of a request do not go together."""
    if (draft.qty is None) == (draft.notional is None):
        raise Refusal(422, BAD_FIELD, "qty or notional is required")
    needs = {
        "market": (False, False),
        "limit": (True, False),
        "stop": (False, True),
        "stop_limit": (True, True),
    }[draft.type]
    if (draft.limit_price is not None, draft.stop_price is not None) != needs:
        wanted = " and ".join(
            word for word, need in zip(("limit price", "stop price"), needs, strict=True) if need
        )
        what = f"require only {wanted}" if wanted else "require no limit or stop price"
        raise Refusal(422, BAD_FIELD, f"{draft.type.replace('_', ' ')} orders {what}")
    for name in ("limit_price", "stop_price", "take_profit", "stop_loss", "stop_loss_limit"):
        refuse_sub_penny(name, getattr(draft, name))
    _refuse_fraction(draft)
    _refuse_legs(draft, price)


def refuse_sub_penny(name: str, value: Decimal | None) -> None:
    """Raise `Refusal` for a price finer than its tick."""
    step = CENT if value is None or value >= 1 else CENT / 100
    if value is not None and value % step:
        said = f"invalid {name} {text(value)}. sub-penny increment does not fulfill minimum pricing"
        raise Refusal(422, BAD_RULE, f"{said} criteria")


def _refuse_fraction(draft: Draft) -> None:
    if not draft.is_fractional:
        return
    if draft.order_class != "simple":
        raise Refusal(422, BAD_RULE, "fractional orders must be simple orders")
    if draft.time_in_force != "day":
        raise Refusal(422, BAD_RULE, "fractional orders must be DAY orders")
    if draft.notional is not None and draft.type != "market":  # text is ours
        raise Refusal(422, BAD_RULE, "notional orders must be market orders")
    if draft.notional is not None and draft.notional % CENT:
        raise Refusal(422, BAD_RULE, "notional value must be limited to 2 decimal places")
    if draft.notional is not None and draft.notional < 1:
        raise Refusal(403, FORBIDDEN, "cost basis must be >= minimal amount of order 1")


def _refuse_legs(draft: Draft, price: Decimal | None) -> None:
    legs = (draft.take_profit is not None, draft.stop_loss is not None)
    wanted = {"simple": 0, "oto": 1, "bracket": 2, "oco": 2}[draft.order_class]
    if sum(legs) != wanted:  # text is ours
        raise Refusal(422, BAD_FIELD, f"{draft.order_class} orders need {wanted} protective legs")
    if draft.order_class == "oco" and draft.type != "limit":
        raise Refusal(422, BAD_FIELD, "oco orders must be limit orders")
    base = draft.limit_price or draft.stop_price or price
    if draft.order_class == "simple" or base is None:
        return
    sign = 1 if (draft.side == "buy") != (draft.order_class == "oco") else -1
    up, down = (">=", "+"), ("<=", "-")
    target, stop = (up, down) if sign > 0 else (down, up)
    base = (price or base) if draft.order_class == "oco" else base
    for name, value, (relation, step), away in (
        ("take_profit.limit_price", draft.take_profit, target, sign),
        ("stop_loss.stop_price", draft.stop_loss, stop, -sign),
    ):
        if value is not None and (value - base) * away < CENT:
            said = f"{name} must be {relation} base_price {step} 0.01"
            raise Refusal(422, BAD_RULE, said, base_price=text(base))


def refuse_standing(draft: Draft, standing: Standing) -> None:
    """Raise `Refusal` where account, asset or holdings do not allow an order."""
    terms, asset = standing.terms, standing.asset
    if terms.trade_suspended_by_user:
        raise Refusal(403, FORBIDDEN, "new orders are rejected by user request")
    if terms.trading_blocked or terms.account_blocked or terms.status != "ACTIVE":
        raise Refusal(403, FORBIDDEN, "account is not authorized to trade")  # text is ours
    if asset.status != "active":
        raise Refusal(422, BAD_RULE, f'asset "{asset.symbol}" is not active')
    if not asset.tradable:
        raise Refusal(422, BAD_RULE, f'asset "{asset.symbol}" is not tradable')
    if draft.is_fractional and not asset.fractionable:
        raise Refusal(403, FORBIDDEN, f'asset "{asset.symbol}" is not fractionable')
    _refuse_wash(draft, standing)
    _refuse_shares(draft, standing)
    _refuse_cost(draft, standing)


def _refuse_wash(draft: Draft, standing: Standing) -> None:
    if draft.order_class != "simple":
        return
    for other in standing.opposite:
        if other.type == "limit":
            if draft.limit_price is not None and other.limit_price is not None:
                apart = other.limit_price - draft.limit_price
                if (apart if draft.side == "buy" else -apart) > 0:
                    continue  # two limits that do not cross
            kind = "limit"
        else:
            kind = "market/stop"
        raise Refusal(
            403,
            FORBIDDEN,
            "potential wash trade detected. use complex orders",
            existing_order_id=other.id,
            reject_reason=f"opposite side {kind} order exists",
        )


def _refuse_shares(draft: Draft, standing: Standing) -> None:
    """A closing order may not be for more than is free; nothing may go through zero."""
    sign = 1 if draft.side == "buy" else -1
    wanted = shares_of(draft, standing.price)
    if standing.held * sign < 0:
        available = abs(standing.held) - standing.reserved
        if wanted > available:
            raise no_shares(
                draft.symbol, wanted, standing.held, standing.reserved, standing.related
            )
    elif sign < 0:
        _refuse_short(draft, standing)


def _refuse_short(draft: Draft, standing: Standing) -> None:
    if draft.is_fractional:
        raise Refusal(422, BAD_RULE, "fractional orders cannot be sold short")
    if not standing.terms.shorting_enabled or standing.terms.multiplier < 2:
        raise Refusal(403, FORBIDDEN, "account is not allowed to short")
    if not standing.asset.shortable:
        raise Refusal(422, BAD_RULE, f'asset "{draft.symbol}" cannot be sold short')


def _refuse_cost(draft: Draft, standing: Standing) -> None:
    sign = 1 if draft.side == "buy" else -1
    if standing.held * sign < 0:
        return  # it closes
    cost = cost_of(draft, standing.price)
    if cost > standing.buying_power:
        raise no_money(cost, standing.buying_power)


def no_money(cost: Decimal, power: Decimal) -> Refusal:
    """Return the refusal of an order that costs more than there is, in USD."""
    return Refusal(
        403,
        FORBIDDEN,
        "insufficient buying power",
        buying_power=text(round(power, 2)),
        cost_basis=text(cost),
    )


def no_shares(
    symbol: str, wanted: Decimal, held: Decimal, reserved: Decimal, related: list[str]
) -> Refusal:
    """Return the refusal of a closing order for more shares than are free."""
    free = text(abs(held) - reserved)
    return Refusal(
        403,
        FORBIDDEN,
        f"insufficient qty available for order (requested: {text(wanted)}, available: {free})",
        symbol=symbol,
        available=free,
        existing_qty=text(abs(held)),
        held_for_orders=text(reserved),
        related_orders=related,
    )


def shares_of(draft: Draft, price: Decimal | None) -> Decimal:
    """Return the shares an order is for; 0 where only a price could tell and there is none."""
    if draft.qty is not None:
        return draft.qty
    return shares_for(draft.notional, price)


def shares_for(notional: Decimal | None, price: Decimal | None) -> Decimal:
    """Return the shares that an amount of money buys, to nine places."""
    if notional is None or not price:
        return Decimal(0)
    return (notional / price).quantize(Decimal("1E-9"))


def cost_of(draft: Draft, price: Decimal | None) -> Decimal:
    """Return what an order may cost in USD; 0 where no price is known."""
    if draft.notional is not None:
        return draft.notional
    worst = draft.limit_price or draft.stop_price or price or Decimal(0)
    if draft.side == "sell":
        worst = max(worst, (price or Decimal(0)) * SHORT_MARGIN)
    return (draft.qty or Decimal(0)) * worst
