"""Alpaca's JSON as values, and an intent as its JSON.

Lenient where the broker may invent something (a new status, a field that is gone), strict where a
figure counts: money comes from texts, never from a binary fraction, and what is no finite number
makes the whole reply unreadable. What the house has no word for is UNKNOWN or None, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from roboinvest.brokers.alpaca.errors import Unreadable
from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import OrderIntent, OrderType, Side, TimeInForce, to_tick
from roboinvest.core.venue import Execution, VenueAccount, VenueOrder, VenuePosition, VenueStatus

Json = Mapping[str, Any]
EXCHANGE_ZONE: Final = "America/New_York"
_FULL_CLOSE: Final = time(16, 0)  # exchange time
_OPENING_STATES: Final = frozenset(
    {"new", "accepted", "pending_new", "accepted_for_bidding", "pending_review"}
    | {"pending_cancel", "pending_replace", "done_for_day", "calculated", "stopped", "suspended"}
)
_STATUSES: Final[Mapping[str, VenueStatus]] = {
    "held": VenueStatus.HELD,
    "partially_filled": VenueStatus.PARTIAL,
    "filled": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELLED,
    "cancelled": VenueStatus.CANCELLED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
    "replaced": VenueStatus.REPLACED,
}
_SIDES: Final[Mapping[str, Side]] = {
    "buy": Side.BUY,
    "buy_minus": Side.BUY,
    "sell": Side.SELL,
    "sell_plus": Side.SELL,
    "sell_short": Side.SELL,
    "sell_short_exempt": Side.SELL,
}
_TYPES: Final[Mapping[str, OrderType]] = {kind.value: kind for kind in OrderType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What may be done with a symbol."""

    symbol: str
    is_tradable: bool
    is_fractionable: bool
    is_shortable: bool
    margin_frac: Decimal | None  # of its value that has to be ours; None: the broker does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueClock:
    """The broker's clock."""

    at: datetime  # UTC
    is_open: bool
    next_open: datetime  # UTC
    next_close: datetime  # UTC


def orders_of(raw: Any) -> tuple[VenueOrder, ...]:  # noqa: ANN401 JSON
    """Return an order and the legs under it; a strategy of options is its legs alone."""
    return tuple(_orders(_mapping(raw), None))


def _orders(raw: Json, parent_id: str | None) -> Iterator[VenueOrder]:
    venue_id = _text(raw, "id")
    if raw.get("order_class") != "mleg" or parent_id is not None:
        yield _order(raw, venue_id, parent_id)
    legs = raw.get("legs")
    for leg in rows(legs) if legs is not None else ():
        yield from _orders(_mapping(leg), venue_id)


def _order(raw: Json, venue_id: str, parent_id: str | None) -> VenueOrder:
    filled = _decimal(raw, "filled_qty") or Decimal(0)
    return VenueOrder(
        venue_id=venue_id,
        client_order_id=str(raw.get("client_order_id") or ""),
        symbol=_text(raw, "symbol"),
        side=_side(raw),
        qty=abs(_decimal(raw, "qty") or Decimal(0)),
        filled_qty=filled,
        status=_status(str(raw.get("status") or ""), filled),
        order_type=_TYPES.get(str(raw.get("type") or raw.get("order_type") or "")),
        limit_price=_decimal(raw, "limit_price"),
        stop_price=_decimal(raw, "stop_price"),
        created_at=_instant(raw, "submitted_at") or _instant(raw, "created_at"),
        updated_at=_instant(raw, "updated_at"),
        parent_id=parent_id,
        replaces=_optional_text(raw, "replaces"),
        replaced_by=_optional_text(raw, "replaced_by"),
        reason=str(raw.get("reject_reason") or raw.get("reason") or ""),
    )


def _status(word: str, filled: Decimal) -> VenueStatus:
    if word in _OPENING_STATES:
        return VenueStatus.PARTIAL if filled > 0 else VenueStatus.ACCEPTED
    return _STATUSES.get(word, VenueStatus.UNKNOWN)


def execution_of(raw: Any) -> Execution:  # noqa: ANN401 JSON
    """Return a FILL activity.

    Its id is TIME::EXECUTION; the second half is what the stream calls the execution id, so that
    one execution has one name wherever it comes from.
    """
    row = _mapping(raw)
    return Execution(
        execution_id=_text(row, "id").rpartition("::")[2],
        venue_id=_text(row, "order_id"),
        client_order_id=str(row.get("client_order_id") or ""),
        symbol=_text(row, "symbol"),
        side=_side(row),
        qty=_positive(row, "qty"),
        price=_positive(row, "price"),
        at=_needed_instant(row, "transaction_time"),
    )


def streamed_execution(raw: Json, order: VenueOrder) -> Execution | None:
    """Return the execution that a trade update tells of; None where it names none."""
    if raw.get("event") not in {"fill", "partial_fill"} or not raw.get("execution_id"):
        return None
    return Execution(
        execution_id=_text(raw, "execution_id"),
        venue_id=order.venue_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=_positive(raw, "qty"),
        price=_positive(raw, "price"),
        at=_needed_instant(raw, "timestamp"),
    )


def position_of(raw: Any) -> VenuePosition:  # noqa: ANN401 JSON
    """Return a position, short ones negative."""
    row = _mapping(raw)
    qty = _needed(row, "qty")
    if row.get("side") in {"long", "short"}:
        qty = abs(qty) if row["side"] == "long" else -abs(qty)
    return VenuePosition(
        symbol=_text(row, "symbol"), qty=qty, avg_price=_needed(row, "avg_entry_price")
    )


def account_of(raw: Any, *, is_paper: bool) -> VenueAccount:  # noqa: ANN401 JSON
    """Return an account; only cash and equity have to be there."""
    row = _mapping(raw)
    equity = _decimal(row, "equity")
    return VenueAccount(
        account_id=_text(row, "id"),
        cash=_needed(row, "cash"),
        equity=_needed(row, "portfolio_value") if equity is None else equity,
        last_equity=_decimal(row, "last_equity"),
        buying_power=_decimal(row, "buying_power"),
        maintenance_margin=_decimal(row, "maintenance_margin"),
        blocked=_blocked(row),
        is_paper=is_paper,
    )


def _blocked(row: Json) -> str | None:
    status = str(row.get("status") or "")
    if status and status != "ACTIVE":
        return f"the account is {status}"
    reasons = {
        "account_blocked": "the account is blocked",
        "trading_blocked": "trading is blocked",
        "trade_suspended_by_user": "its owner suspended trading",
    }
    said = [reason for field, reason in reasons.items() if row.get(field) is True]
    return "; ".join(said) or None


def asset_of(raw: Any) -> Asset:  # noqa: ANN401 JSON
    """Return an asset; a permission that is not given is not there."""
    row = _mapping(raw)
    margin = _decimal(row, "maintenance_margin_requirement")
    return Asset(
        symbol=_text(row, "symbol"),
        is_tradable=row.get("tradable") is True and row.get("status", "active") == "active",
        is_fractionable=row.get("fractionable") is True,
        is_shortable=row.get("shortable") is True,
        margin_frac=None if margin is None else margin / 100,
    )


def clock_of(raw: Any) -> VenueClock:  # noqa: ANN401 JSON
    """Return the broker's clock."""
    row = _mapping(raw)
    if not isinstance(row.get("is_open"), bool):
        raise Unreadable("the clock does not say whether the market is open")
    return VenueClock(
        at=_needed_instant(row, "timestamp"),
        is_open=row["is_open"],
        next_open=_needed_instant(row, "next_open"),
        next_close=_needed_instant(row, "next_close"),
    )


def session_of(raw: Any) -> Session:  # noqa: ANN401 JSON
    """Return a day of the calendar, whose hours come in exchange time without a zone."""
    row = _mapping(raw)
    zone = ZoneInfo(EXCHANGE_ZONE)
    try:
        day = date.fromisoformat(_text(row, "date"))
        opens, closes = (time.fromisoformat(_text(row, name)) for name in ("open", "close"))
    except ValueError as error:
        raise Unreadable(f"a day of the calendar is unreadable ({error})") from error
    return Session(
        day=day,
        opens_at=datetime.combine(day, opens, zone).astimezone(UTC),
        closes_at=datetime.combine(day, closes, zone).astimezone(UTC),
        is_half_day=closes < _FULL_CLOSE,
    )


def request_of(intent: OrderIntent) -> dict[str, object]:
    """Return the body that asks for an intent, figures as texts, prices on their ticks.

    The legs of a bracket live as long as its entry says. A market entry is filled or refused at
    once, so it says "gtc", or the stop would be gone at the first close.
    """
    body: dict[str, object] = {
        "symbol": intent.symbol,
        "qty": plain(intent.qty),
        "side": intent.side.value,
        "type": intent.order_type.value,
        "time_in_force": intent.time_in_force.value,
        "client_order_id": intent.client_order_id,
        "extended_hours": False,
    }
    if intent.limit_price is not None:
        body["limit_price"] = plain(to_tick(intent.limit_price))
    if intent.stop_price is not None:
        body["stop_price"] = plain(to_tick(intent.stop_price))
    legs: dict[str, object] = {}
    if intent.take_profit is not None:
        legs["take_profit"] = {"limit_price": plain(to_tick(intent.take_profit))}
    if intent.stop_loss is not None:
        legs["stop_loss"] = {"stop_price": plain(to_tick(intent.stop_loss))}
    if legs:
        body |= legs
        body["order_class"] = "bracket" if len(legs) == 2 else "oto"
        if intent.order_type is OrderType.MARKET:
            body["time_in_force"] = TimeInForce.GTC.value
    return body


def plain(value: Decimal) -> str:
    """Return a number as a text without an exponent and without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rows(raw: Any) -> Sequence[Any]:  # noqa: ANN401 JSON
    """Return a list that came.

    Raises:
        Unreadable: it is none, so nothing may be concluded from it.
    """
    if not isinstance(raw, list):
        raise Unreadable(f"a list was promised and {type(raw).__name__} came")
    return raw


def _mapping(raw: Any) -> Json:  # noqa: ANN401 JSON
    if not isinstance(raw, dict):
        raise Unreadable(f"an object was promised and {type(raw).__name__} came")
    return raw


def _text(row: Json, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{name} is missing")
    return value


def _optional_text(row: Json, name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def _side(row: Json) -> Side:
    side = _SIDES.get(str(row.get("side")))
    if side is None:
        raise Unreadable(f"the side {row.get('side')!r} is neither a buy nor a sale")
    return side


def _decimal(row: Json, name: str) -> Decimal | None:
    """Return a figure; None where none is given. A JSON number counts as its shortest text."""
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unreadable(f"{name} is no number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Unreadable(f"{name} is no number: {str(value)[:40]!r}") from None
    if not number.is_finite():
        raise Unreadable(f"{name} is {number}")
    return number


def _needed(row: Json, name: str) -> Decimal:
    number = _decimal(row, name)
    if number is None:
        raise Unreadable(f"{name} is missing")
    return number


def _positive(row: Json, name: str) -> Decimal:
    number = _needed(row, name)
    if number <= 0:
        raise Unreadable(f"{name} is {number}, which is not above 0")
    return number


def _instant(row: Json, name: str) -> datetime | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        instant = datetime.fromisoformat(str(value))  # digits beyond the microsecond are cut
    except ValueError:
        raise Unreadable(f"{name} is no time: {str(value)[:40]!r}") from None
    return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)


def _needed_instant(row: Json, name: str) -> datetime:
    instant = _instant(row, name)
    if instant is None:
        raise Unreadable(f"{name} is missing")
    return instant
