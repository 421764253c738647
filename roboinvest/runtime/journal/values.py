"""What the journal keeps, as text and back: facts, intents, executions, notes.

Text is made in the caller's thread, before anything is queued, so that what has no plain form
fails there and never in the thread that writes for everybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from roboinvest.core.errors import BadInput
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Leg, OrderIntent, OrderType, Side, TimeInForce
from roboinvest.core.records import canonical_json, to_plain
from roboinvest.core.venue import Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A fact beside the orders: a cancel that was about to be asked for, a mismatch."""

    kind: str
    at: datetime  # UTC
    body: Mapping[str, Any]  # JSON types


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What stands in the record, proved by its digests."""

    events: int
    digest: str  # hex; of the last event and every one before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A step of an intent along the table of journal states."""

    client_order_id: str
    state: JournalState
    reason: str
    venue_id: str | None  # None: as it was
    clean_lookups: int | None  # None: as it was


def digest_after(previous: bytes, fact: str) -> bytes:
    """Return the digest of an event: of all before it, and of its canonical JSON."""
    return hashlib.sha256(previous + fact.encode()).digest()


def digest_of(text: str) -> bytes:
    """Return the digest of a text by itself."""
    return hashlib.sha256(text.encode()).digest()


def utc_text(at: datetime) -> str:
    """Return an instant as ISO 8601 in UTC.

    Raises:
        BadInput: it does not say in which zone it is.
    """
    if at.tzinfo is None:
        raise BadInput(f"{at.isoformat()} has no time zone; the journal takes UTC")
    return at.astimezone(UTC).isoformat()


def intent_fact(intent: OrderIntent, limits: str, at: datetime) -> str:
    """Return the event of an intent that is written down."""
    figures = (intent.qty, intent.mark, intent.limit_price, intent.stop_price)
    _require_finite(intent.client_order_id, *figures, intent.stop_loss, intent.take_profit)
    utc_text(intent.valid_until)
    limits_digest = digest_of(limits).hex()
    return _fact("intent", at, {"intent": intent, "limits": limits_digest})


def move_fact(move: Move, at: datetime) -> str:
    """Return the event of an intent that comes further."""
    return _fact("move", at, to_plain(move))


def writable(text: str) -> str:
    """Return a text without the halves of characters that a broker's JSON may carry."""
    return text.encode("utf-8", "replace").decode()


def link_fact(venue_id: str, client_order_id: str) -> str:
    """Return the event of a broker's order that is known as one of ours; it has no instant."""
    return canonical_json(
        {"kind": "link", "venue_id": venue_id, "client_order_id": client_order_id}
    )


def execution_fact(execution: Execution) -> str:
    """Return the event of an execution that is taken in."""
    _require_finite(execution.execution_id, execution.qty, execution.price)
    return _fact("execution", execution.at, {"execution": execution})


def note_fact(kind: str, at: datetime, body: Mapping[str, object]) -> str:
    """Return the event of a note."""
    return _fact("note", at, {"note": kind, "body": dict(body)})


def conflict_fact(known: Execution, reported: Execution) -> str:
    """Return the note of an execution that is reported with other figures than it was before."""
    body = {"known": known, "reported": reported}
    return note_fact("execution_conflict", reported.at, body)


def intent_of(plain: Mapping[str, Any]) -> OrderIntent:
    """Return the intent in the event of one."""
    return OrderIntent(
        client_order_id=plain["client_order_id"],
        tick_id=plain["tick_id"],
        agent_id=plain["agent_id"],
        revision_id=plain["revision_id"],
        symbol=plain["symbol"],
        leg=Leg(plain["leg"]),
        side=Side(plain["side"]),
        qty=Decimal(plain["qty"]),
        order_type=OrderType(plain["order_type"]),
        time_in_force=TimeInForce(plain["time_in_force"]),
        mark=Decimal(plain["mark"]),
        limit_price=_money(plain["limit_price"]),
        stop_price=_money(plain["stop_price"]),
        stop_loss=_money(plain["stop_loss"]),
        take_profit=_money(plain["take_profit"]),
        valid_until=instant(plain["valid_until"]),
    )


def execution_of(plain: Mapping[str, Any]) -> Execution:
    """Return the execution in the event of one."""
    return Execution(
        execution_id=plain["execution_id"],
        venue_id=plain["venue_id"],
        client_order_id=plain["client_order_id"],
        symbol=plain["symbol"],
        side=Side(plain["side"]),
        qty=Decimal(plain["qty"]),
        price=Decimal(plain["price"]),
        at=instant(plain["at"]),
    )


def note_of(fact: str) -> Note:
    """Return the note in the event of one."""
    plain = json.loads(fact)
    return Note(kind=plain["note"], at=instant(plain["at"]), body=plain["body"])


def instant(text: str) -> datetime:
    """Return an instant that was written as text, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def same_trade(one: Execution, other: Execution) -> bool:
    """Return whether two reports of an execution agree on what was bought or sold, and for what.

    One source leaves out our id, and clocks differ between sources: neither is a conflict.
    """
    return (one.symbol, one.side, one.qty, one.price) == (
        other.symbol,
        other.side,
        other.qty,
        other.price,
    )


def _fact(kind: str, at: datetime, more: Mapping[str, object]) -> str:
    return canonical_json({"kind": kind, "at": utc_text(at), **more})


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _require_finite(name: str, *figures: Decimal | None) -> None:
    for figure in figures:
        if figure is not None and not figure.is_finite():
            raise BadInput(f"{name} carries {figure} where a number has to be; it was not recorded")
