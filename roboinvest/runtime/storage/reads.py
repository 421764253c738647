"""Everything that reads the store, on connections of its own.

A reader sees one instant of the database (a WAL snapshot) and never waits for the writer, nor the
writer for it. `StoreReader` is all that a command beside a running daemon gets: it has no way to
write, by its methods and by `query_only` on its connections.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from roboinvest.core.errors import TryLater
from roboinvest.core.ledger import Lot, Trade
from roboinvest.core.orders import Fill, Order
from roboinvest.core.quant.memories import CalibrationCell, Memory
from roboinvest.core.records import TickRecord
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage import queries, schema, sqlite
from roboinvest.runtime.storage.failures import store_errors
from roboinvest.runtime.storage.rows import memory_of, value_of
from roboinvest.runtime.storage.stored import QueuedMemory, SessionEquity, StoredState, Totals
from roboinvest.runtime.storage.whole import run_whole

ValueT = TypeVar("ValueT")
ResultT = TypeVar("ResultT")

READ_TIMEOUT_S: Final = 30.0
LOAD_TIMEOUT_S: Final = 300.0  # measured: 3.4 s for 100,000 memories
CLOSE_TIMEOUT_S: Final = 5.0
_PAGE: Final = 2_000  # memories read between two looks at other tasks


class StoreReader:
    """Reads of one database."""

    def __init__(self, engine: AsyncEngine, in_flight: InFlight) -> None:
        self._readers = engine
        self._in_flight = in_flight
        self._is_closed = False

    @classmethod
    async def open_read_only(cls, path: Path, *, in_flight: InFlight) -> StoreReader:
        """Open the database of a daemon that may be running; nothing can be changed through it.

        Raises:
            TryLater: there is no database yet, or it is held by another process.
            BadSettings: its revision is not the one this program reads.
        """
        if not path.exists():
            raise TryLater(f"{path} does not exist yet; start the daemon with `roboinvest run`")
        reader = StoreReader(sqlite.reader_engine(path, beside_writer=False), in_flight)
        try:
            await reader._look("read its revision", _require_head)
        except BaseException:
            await reader.close()
            raise
        return reader

    async def load(self) -> StoredState:
        """Return all that a restart needs."""
        return await self._look("load its state", _load, timeout_s=LOAD_TIMEOUT_S)

    async def document(self, name: str) -> str | None:
        """Return a named JSON document; None if there is none."""
        found: str | None = await self._scalar("read a document", queries.document(name))
        return found

    async def totals(self) -> Totals:
        """Return what was done so far, from the counts of each session."""
        return await self._look("count what was done", _totals)

    async def session_equity(self) -> tuple[SessionEquity, ...]:
        """Return the equity curve, one point a session, oldest first."""
        return await self._read(SessionEquity, queries.SESSION_EQUITY)

    async def tick(self, tick_id: str) -> TickRecord | None:
        """Return one tick with its body; None if there is none of this name."""
        found = await self._read(TickRecord, queries.tick(tick_id))
        return found[0] if found else None

    async def recent_ticks(self, limit: int) -> tuple[TickRecord, ...]:
        """Return the last ticks without their bodies, newest first."""
        return await self._read(TickRecord, queries.recent_ticks(limit))

    async def tick_before(self, at: datetime) -> TickRecord | None:
        """Return the last tick at or before an instant, without its body."""
        return next(iter(await self._read(TickRecord, queries.tick_before(at))), None)

    async def tick_after(self, at: datetime) -> TickRecord | None:
        """Return the first tick after an instant, without its body."""
        return next(iter(await self._read(TickRecord, queries.tick_after(at))), None)

    async def ticks_between(self, start: datetime, end: datetime) -> tuple[TickRecord, ...]:
        """Return the ticks from `start` to before `end`, without bodies, oldest first."""
        return await self._read(TickRecord, queries.ticks_between(start, end))

    async def active_ticks(
        self, limit: int, *, before: datetime | None = None
    ) -> tuple[TickRecord, ...]:
        """Return ticks that had a BUY or a SELL, with their bodies, newest first."""
        return await self._read(TickRecord, queries.active_ticks(limit, before))

    async def lots(self) -> tuple[Lot, ...]:
        """Return everything that is held, by agent, symbol and place."""
        return await self._read(Lot, queries.LOTS)

    async def orders(self, limit: int, *, open_only: bool = False) -> tuple[Order, ...]:
        """Return orders, the last to arrive first."""
        return await self._read(Order, queries.recent_orders(limit, open_only=open_only))

    async def order(self, client_order_id: str) -> Order | None:
        """Return one order; None if there is none of this name."""
        return next(iter(await self._read(Order, queries.order(client_order_id))), None)

    async def orders_of(self, tick_id: str) -> tuple[Order, ...]:
        """Return the orders that a tick sent, legs included, as they arrived."""
        return await self._read(Order, queries.orders_of(tick_id))

    async def trades_of(self, client_order_id: str) -> tuple[Trade, ...]:
        """Return the round trips that one order began or ended, as they were booked."""
        return await self._read(Trade, queries.trades_of(client_order_id))

    async def calibration(self) -> tuple[CalibrationCell, ...]:
        """Return what convictions came to so far, by agent, then bucket."""
        return await self._read(CalibrationCell, queries.CALIBRATION)

    async def fills_of(self, client_order_id: str) -> tuple[Fill, ...]:
        """Return the executions of one order, as they were booked."""
        return await self._read(Fill, queries.fills_of(client_order_id))

    async def recent_trades(self, limit: int) -> tuple[Trade, ...]:
        """Return the last round trips, newest first."""
        return await self._read(Trade, queries.recent_trades(limit))

    async def all_trades(self) -> tuple[Trade, ...]:
        """Return every round trip, as they were booked."""
        return await self._read(Trade, queries.ALL_TRADES)

    async def trades_between(self, start: datetime, end: datetime) -> tuple[Trade, ...]:
        """Return the round trips that ended from `start` to before `end`, as they were booked."""
        return await self._read(Trade, queries.trades_between(start, end))

    async def memories(self, ids: Sequence[str]) -> tuple[Memory, ...]:
        """Return the memories of these ids that exist, by id."""
        rows = await self._rows("read memories", queries.memories_of(ids))
        return tuple(memory_of(row) for row in rows)

    async def memories_to_send(self, limit: int) -> tuple[QueuedMemory, ...]:
        """Return up to `limit` memories that changed since they were last marked sent, by id."""
        queued = list[QueuedMemory]()
        for row in await self._rows("read the recall queue", queries.queued_memories(limit)):
            fields = dict(row)
            version = fields.pop("version")
            queued.append(QueuedMemory(memory=memory_of(fields), version=version))
        return tuple(queued)

    async def memory_count(self) -> int:
        """Return how many memories there are."""
        count: int = await self._scalar("count memories", queries.MEMORY_COUNT)
        return count

    async def close(self) -> None:
        """Close every connection; one that does not answer is left to the end of the process."""
        self._is_closed = True
        with self._in_flight:
            await run_whole(close_engine(self._readers), to_the_end=True)

    async def _read(self, kind: type[ValueT], wanted: queries.Select) -> tuple[ValueT, ...]:
        rows = await self._rows(f"read {kind.__name__} rows", wanted)
        return tuple(value_of(kind, row) for row in rows)

    async def _rows(self, what: str, wanted: queries.Select) -> Sequence[sa.RowMapping]:
        async def fetch(connection: AsyncConnection) -> Sequence[sa.RowMapping]:
            return (await connection.execute(wanted)).mappings().all()

        return await self._look(what, fetch)

    async def _scalar(self, what: str, wanted: queries.Select) -> Any:  # noqa: ANN401 any column
        async def fetch(connection: AsyncConnection) -> object:
            return await connection.scalar(wanted)

        return await self._look(what, fetch)

    async def _look(
        self,
        what: str,
        read: Callable[[AsyncConnection], Awaitable[ResultT]],
        *,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> ResultT:
        """Run `read` on one snapshot of the database."""
        self._require_open(what)

        async def within_bounds() -> ResultT:
            with self._in_flight, store_errors(what, timeout_s):
                async with asyncio.timeout(timeout_s), self._readers.connect() as connection:
                    return await read(connection)

        return await run_whole(within_bounds(), to_the_end=False)

    def _require_open(self, what: str) -> None:
        if self._is_closed:
            raise TryLater(f"the store is closed and did not {what}; open it again")


async def close_engine(engine: AsyncEngine) -> None:
    """Close an engine's connections, within a bound."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await engine.dispose()


async def _require_head(connection: AsyncConnection) -> None:
    await connection.run_sync(schema.require_head)


async def _totals(connection: AsyncConnection) -> Totals:
    row = (await connection.execute(queries.SESSION_SUMS)).mappings().one()
    memories: int = (await connection.execute(queries.MEMORY_COUNT)).scalar_one()
    return Totals(memories=memories, **{name: int(count) for name, count in row.items()})


async def _load(connection: AsyncConnection) -> StoredState:
    resolved, still_open = await _all_memories(connection)
    last_tick = await _values(connection, TickRecord, queries.recent_ticks(1))
    return StoredState(
        last_tick=last_tick[0] if last_tick else None,
        lots=await _values(connection, Lot, queries.LOTS),
        open_orders=await _values(connection, Order, queries.OPEN_ORDERS),
        open_memories=still_open,
        resolved_memories=resolved,
        calibration=await _values(connection, CalibrationCell, queries.CALIBRATION),
        documents=await _pairs(connection, queries.DOCUMENTS),
        last_exits=await _pairs(connection, queries.LAST_EXITS),
    )


async def _values(
    connection: AsyncConnection, kind: type[ValueT], wanted: queries.Select
) -> tuple[ValueT, ...]:
    rows = (await connection.execute(wanted)).mappings()
    return tuple(value_of(kind, row) for row in rows)


async def _pairs(connection: AsyncConnection, wanted: queries.Select) -> dict[str, Any]:
    names, values = wanted.selected_columns
    rows = (await connection.execute(wanted)).mappings()
    return {row[names]: row[values] for row in rows}


async def _all_memories(
    connection: AsyncConnection,
) -> tuple[tuple[Memory, ...], tuple[Memory, ...]]:
    """Return resolved and open memories, page by page: a year holds a hundred thousand."""
    resolved, still_open, after = list[Memory](), list[Memory](), ""
    while True:
        page = await connection.execute(queries.memories_after(after, _PAGE))
        rows = page.mappings().all()
        for memory in map(memory_of, rows):
            (still_open if memory.outcome is None else resolved).append(memory)
        if len(rows) < _PAGE:
            return tuple(resolved), tuple(still_open)
        after = rows[-1]["memory_id"]
        await asyncio.sleep(0)
