"""What two runs of the same days are compared by, read from their stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from roboinvest.core.ledger import Trade
from roboinvest.core.records import TickRecord
from roboinvest.runtime.llm.spend.days import exchange_day
from roboinvest.runtime.storage.reads import StoreReader

_ALL: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was decided about one symbol at one tick."""

    action: str  # "BUY", "SELL" or "HOLD"
    source: str  # who decided, as in `Answer.source`


@dataclass(frozen=True, slots=True, kw_only=True)
class LivedTick:
    """One tick."""

    tick_id: str
    day: date  # exchange date
    equity: float  # USD
    choices: Mapping[str, Choice]  # by symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """An entry with nothing left open."""

    day: date  # exchange date of its end
    pnl: float  # USD, of all its parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """One run of some days."""

    start_equity: float  # USD
    ticks: tuple[LivedTick, ...]  # oldest first
    trades: tuple[Closed, ...]


async def read_lived(store: StoreReader, start_equity: float) -> Lived:
    """Return a finished run from its store, whose ticks must still have their bodies."""
    newest_first = await store.recent_ticks(_ALL)
    ticks = list[LivedTick]()
    for bare in reversed(newest_first):
        record = await store.tick(bare.tick_id)
        if record is not None:
            ticks.append(_tick(record))
    trades = _closed(await store.all_trades())
    return Lived(start_equity=start_equity, ticks=tuple(ticks), trades=trades)


def _tick(record: TickRecord) -> LivedTick:
    body: dict[str, Any] = json.loads(record.body) if record.body is not None else {}
    return LivedTick(
        tick_id=record.tick_id,
        day=record.session_day,
        equity=float(record.equity),
        choices={
            each["symbol"]: Choice(action=each["action"], source=each["source"])
            for each in body.get("decisions", ())
        },
    )


def _closed(parts: tuple[Trade, ...]) -> tuple[Closed, ...]:
    """Return whole entries: the parts in which one was sold are one outcome."""
    found = dict[tuple[str, str], list[Trade]]()
    for part in parts:
        found.setdefault((part.agent_id, part.entry_order_id), []).append(part)
    return tuple(
        Closed(
            day=exchange_day(max(part.closed_at for part in entry)),
            pnl=float(sum(part.pnl for part in entry)),
        )
        for entry in found.values()
        if any(part.closes_entry for part in entry)
    )
