"""Everything one tick knew, decided and did, and the digest that proves two runs were the same.

The digest is a chain: `digest_n = SHA-256(digest_(n-1) + canonical JSON of tick n)`. A chain can be
continued after a kill without reading what came before, and survives the day when old HOLD ticks
are shrunk to figures; a hash over the concatenation could do neither. Wall time, paths, random
ids, row counts, cost and latency are not in it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Hashable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from roboinvest.core.ledger import BookKey, Lot, Trade
from roboinvest.core.orders import Fill, Order
from roboinvest.core.quant.memories import CalibrationCell, Memory

EMPTY_DIGEST: Final = hashlib.sha256(b"").hexdigest()
NOT_DIGESTED: Final = frozenset({"cost_usd", "latency_ms"})
_AS_IT_IS: Final = frozenset({str, int, bool, type(None)})


def to_plain(value: object) -> Any:  # noqa: ANN401 JSON has no narrower type
    """Return a dataclass tree as JSON types: money as text, instants as ISO 8601 in UTC.

    Every tick passes through here twice, so the common types come first and fields are looked up
    once for each class.
    """
    kind: Any = type(value)
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, float):
        return value + 0.0 if value == value else None  # no NaN in JSON, and one zero
    names = _field_names(kind)
    if names is not None:
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return _scalar(value)


@functools.cache
def _field_names(kind: Hashable) -> tuple[str, ...] | None:
    """Return the fields of a dataclass, None for any other class."""
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


def _scalar(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no plain form")


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return plain_json(to_plain(value))


def plain_json(tree: object) -> str:
    """Return the one JSON text of a tree that `to_plain` made."""
    return json.dumps(
        tree, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def chain_digest(previous: str, facts: object) -> str:
    """Return the digest after one more tick; `NOT_DIGESTED` fields are left out.

    `facts` is a tree that `to_plain` made.
    """
    return hashlib.sha256((previous + plain_json(_without_incidentals(facts))).encode()).hexdigest()


def _without_incidentals(tree: Any) -> Any:  # noqa: ANN401 JSON has no narrower type
    if isinstance(tree, dict):
        return {k: _without_incidentals(v) for k, v in tree.items() if k not in NOT_DIGESTED}
    if isinstance(tree, list):
        return [_without_incidentals(item) for item in tree]
    return tree


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TickRecord:
    """One tick. The figures are columns; everything else stands in `body`."""

    tick_id: str  # the tick's instant, "20110103T143100Z"
    at: datetime  # UTC
    session_day: date  # exchange date
    digest: str  # hex; of this tick and every one before it
    equity: Decimal  # USD, after the tick's fills
    cash: Decimal  # USD
    realised_pnl: Decimal  # USD since the start
    open_pnl: Decimal  # USD
    buys: int  # decisions
    sells: int
    holds: int
    orders: int  # orders newly sent, protective legs included
    fills: int
    rejected: int  # intents that risk or the broker refused
    body: str | None  # canonical JSON; None once retention has shrunk a HOLD tick to its figures


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TickCommit:
    """Everything a tick changed. It is stored in one transaction, or not at all."""

    record: TickRecord
    orders: tuple[Order, ...]  # new and changed
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    books: Mapping[BookKey, tuple[Lot, ...]]  # the open lots of each changed book
    memories: tuple[Memory, ...]  # new and changed
    calibration: tuple[CalibrationCell, ...]  # changed
    documents: Mapping[str, str]  # changed named JSON documents: "paper_broker", "account", ...
