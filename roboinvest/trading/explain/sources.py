"""What the story is made from: the store, the order journal and the record of asks, read only.

The journal and the record of asks are files of the daemon's own, which may be running: each look
opens one, reads one moment of it and lets go. A file that is not there has nothing to add.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from roboinvest.core.errors import TryLater
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Fill, Order
from roboinvest.core.quant.memories import CalibrationCell, Memory
from roboinvest.core.records import TickRecord
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal import reads as journal_reads
from roboinvest.runtime.journal.schema import KIND as JOURNAL
from roboinvest.runtime.lanes.file import FileKind, in_words, open_reader
from roboinvest.runtime.llm.spend import reads as ask_reads
from roboinvest.runtime.llm.spend.schema import KIND as LEDGER
from roboinvest.runtime.llm.spend.values import AskRecord

ResultT = TypeVar("ResultT")
LOOK_TIMEOUT_S: Final = 10.0
_REFUSED: Final = frozenset({JournalState.REJECTED, JournalState.EXPIRED})


class StoredFacts(Protocol):
    """The part of the store that is needed here; see `StoreReader`."""

    async def tick(self, tick_id: str) -> TickRecord | None:
        """Return one tick with its body."""

    async def tick_before(self, at: datetime) -> TickRecord | None:
        """Return the last tick at or before an instant, without its body."""

    async def tick_after(self, at: datetime) -> TickRecord | None:
        """Return the first tick after an instant, without its body."""

    async def recent_ticks(self, limit: int) -> tuple[TickRecord, ...]:
        """Return the last ticks without their bodies, newest first."""

    async def active_ticks(
        self, limit: int, *, before: datetime | None = None
    ) -> tuple[TickRecord, ...]:
        """Return ticks that had a BUY or a SELL, with their bodies, newest first."""

    async def orders(self, limit: int, *, open_only: bool = False) -> tuple[Order, ...]:
        """Return orders, the last to arrive first."""

    async def order(self, client_order_id: str) -> Order | None:
        """Return one order."""

    async def orders_of(self, tick_id: str) -> tuple[Order, ...]:
        """Return the orders that a tick sent."""

    async def trades_of(self, client_order_id: str) -> tuple[Trade, ...]:
        """Return the round trips that one order began or ended."""

    async def fills_of(self, client_order_id: str) -> tuple[Fill, ...]:
        """Return the executions of one order."""

    async def memories(self, ids: Sequence[str]) -> tuple[Memory, ...]:
        """Return the memories of these ids that exist."""

    async def calibration(self) -> tuple[CalibrationCell, ...]:
        """Return what convictions came to so far."""

    async def document(self, name: str) -> str | None:
        """Return a named JSON document."""


class Records(Protocol):
    """What stands beside the store.

    Either raises TryLater or BadSettings where a file is there and cannot be read.
    """

    async def intents(self, tick_id: str, ids: Sequence[str]) -> tuple[JournalEntry, ...]:
        """Return the intents of these ids, and those of a tick that came to nothing."""

    async def asks(self, about: str) -> tuple[AskRecord, ...]:
        """Return the asks about a tick, oldest first."""


class RecordFiles:
    """The `Records` of one data folder."""

    def __init__(self, journal: Path, ledger: Path, *, in_flight: InFlight) -> None:
        self._journal = journal
        self._ledger = ledger
        self._in_flight = in_flight

    async def intents(self, tick_id: str, ids: Sequence[str]) -> tuple[JournalEntry, ...]:
        """Return the intents of these ids, and those of a tick that came to nothing.

        Raises:
            BadSettings: the journal is no journal, of a newer program, or damaged.
            TryLater: it cannot be read now.
        """

        def look(connection: sqlite3.Connection) -> tuple[JournalEntry, ...]:
            named = (journal_reads.entry(connection, name) for name in dict.fromkeys(ids))
            found = {e.intent.client_order_id: e for e in named if e is not None}
            for entry in journal_reads.entries(connection, _REFUSED) if tick_id else ():
                if entry.intent.tick_id == tick_id:
                    found[entry.intent.client_order_id] = entry
            return tuple(found.values())

        return await self._look(self._journal, JOURNAL, look, ())

    async def asks(self, about: str) -> tuple[AskRecord, ...]:
        """Return the asks about a tick, oldest first.

        Raises:
            BadSettings: the file is no spend ledger, of a newer program, or damaged.
            TryLater: it cannot be read now.
        """

        def look(connection: sqlite3.Connection) -> tuple[AskRecord, ...]:
            return ask_reads.asks(connection, about=about)

        return await self._look(self._ledger, LEDGER, look, ())

    async def _look(
        self,
        path: Path,
        kind: FileKind,
        look: Callable[[sqlite3.Connection], ResultT],
        nothing: ResultT,
    ) -> ResultT:
        """Return what `look` finds in a file, or `nothing` where it is absent or still empty."""
        try:
            with self._in_flight:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    return await asyncio.to_thread(_look_now, path, kind, look, nothing)
        except TimeoutError as error:
            raise TryLater(f"{path} did not answer within {LOOK_TIMEOUT_S:.0f} s") from error


def _look_now(
    path: Path, kind: FileKind, look: Callable[[sqlite3.Connection], ResultT], nothing: ResultT
) -> ResultT:
    if not path.exists():
        return nothing
    try:
        with contextlib.closing(open_reader(path, kind)) as connection:
            made = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            return look(connection) if made else nothing  # else a first start that was killed
    except sqlite3.Error as error:
        raise TryLater(f"{path} cannot be read ({in_words(error)}); try again") from error
