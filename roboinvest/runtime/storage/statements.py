"""Every statement that writes, and the list of them that one tick comes to.

`tick_changes` is pure: it decides all that will be written before a transaction begins. Ticks,
fills and trades are inserted and never replaced, so that booking one a second time fails the whole
commit; orders, lots, memories and documents take their latest form.
Upserts are the one thing that dialects spell differently; SQLite and PostgreSQL agree on the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from roboinvest.core.errors import BadSettings
from roboinvest.core.records import TickCommit
from roboinvest.runtime.storage import tables
from roboinvest.runtime.storage.rows import Row, memory_row, row_of

Change = tuple[sa.Executable, Sequence[Row]]  # a statement and its rows
Insert = sqlite.Insert | postgresql.Insert

_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_COUNTED: Final = ("ticks", "buys", "sells", "holds", "orders", "fills", "rejected", "trades")


class Statements:
    """The statements of one dialect, built once and compiled once."""

    def __init__(self, dialect: str) -> None:
        if dialect not in _INSERTS:
            raise BadSettings(
                f"the store speaks {' and '.join(_INSERTS)}, not {dialect}; mend the database URL"
            )
        self._dialect = dialect
        self.insert_tick = sa.insert(tables.ticks)
        self.insert_fill = sa.insert(tables.fills)
        self.insert_trade = sa.insert(tables.trades)
        self.insert_lot = sa.insert(tables.lots)
        self.clear_book = sa.delete(tables.lots).where(
            tables.lots.c.agent_id == sa.bindparam("book_agent"),
            tables.lots.c.symbol == sa.bindparam("book_symbol"),
        )
        self.put_order = self._upsert(tables.orders, "client_order_id")
        self.put_calibration = self._upsert(tables.calibration, "agent_id", "bucket")
        self.put_document = self._upsert(tables.documents, "name")
        self.put_memory = self._put_memory()
        self.count_session = self._count_session()
        self.mark_sent = (
            sa.update(tables.memories)
            .where(
                tables.memories.c.memory_id == sa.bindparam("sent_id"),
                tables.memories.c.version == sa.bindparam("sent_version"),
            )
            .values(unsent=False)
        )
        self.mark_all_unsent = sa.update(tables.memories).values(unsent=True)
        self.shrink_ticks = self._shrink_ticks()

    def _insert(self, table: sa.Table) -> Any:  # noqa: ANN401 one of two classes alike in use
        return _INSERTS[self._dialect](table)

    def _upsert(self, table: sa.Table, *key: str) -> sa.Executable:
        statement = self._insert(table)
        taken = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in (*key, "seq")
        }
        upsert: sa.Executable = statement.on_conflict_do_update(index_elements=key, set_=taken)
        return upsert

    def _put_memory(self) -> sa.Executable:
        table = tables.memories
        statement = self._insert(table)
        taken = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in ("memory_id", "version")
        }
        upsert: sa.Executable = statement.on_conflict_do_update(
            index_elements=["memory_id"], set_={**taken, "version": table.c.version + 1}
        )
        return upsert

    def _count_session(self) -> sa.Executable:
        table = tables.sessions
        statement = self._insert(table)
        counted = {name: table.c[name] + statement.excluded[name] for name in _COUNTED}
        upsert: sa.Executable = statement.on_conflict_do_update(
            index_elements=["session_day"],
            set_={
                **counted,
                "last_tick_id": statement.excluded.last_tick_id,
                "close_equity": statement.excluded.close_equity,
            },
        )
        return upsert

    def _shrink_ticks(self) -> sa.Executable:
        table = tables.ticks
        batch = (
            sa.select(table.c.tick_id)
            .where(table.c.at < sa.bindparam("before"), tables.SHRINKABLE)
            .order_by(table.c.at)
            .limit(sa.bindparam("at_most"))
        )
        return sa.update(table).where(table.c.tick_id.in_(batch)).values(body=None)


def tick_changes(commit: TickCommit, say: Statements) -> list[Change]:
    """Return all that a tick writes, in an order that foreign keys accept."""
    record = commit.record
    tick_id = record.tick_id
    changes: list[tuple[sa.Executable, Iterable[Row]]] = [
        (say.insert_tick, [row_of(record)]),
        (say.count_session, [_session_row(commit)]),
        (say.put_order, (row_of(order) for order in commit.orders)),
        (say.insert_fill, (row_of(fill, tick_id=tick_id) for fill in commit.fills)),
        (say.insert_trade, (row_of(trade, tick_id=tick_id) for trade in commit.trades)),
        (
            say.clear_book,
            ({"book_agent": agent, "book_symbol": symbol} for agent, symbol in commit.books),
        ),
        (
            say.insert_lot,
            (
                row_of(lot, place=place)
                for book in commit.books.values()
                for place, lot in enumerate(book)
            ),
        ),
        (say.put_memory, map(memory_row, commit.memories)),
        (say.put_calibration, map(row_of, commit.calibration)),
        (say.put_document, document_rows(commit.documents.items())),
    ]
    filled = ((statement, list(rows)) for statement, rows in changes)
    return [(statement, rows) for statement, rows in filled if rows]


def document_rows(documents: Iterable[tuple[str, str]]) -> list[Row]:
    """Return named documents as rows."""
    return [{"name": name, "text": text} for name, text in documents]


def _session_row(commit: TickCommit) -> Row:
    record = commit.record
    counts = {name: getattr(record, name) for name in _COUNTED if name not in ("ticks", "trades")}
    return {
        "session_day": record.session_day,
        "last_tick_id": record.tick_id,
        "open_equity": record.equity,
        "close_equity": record.equity,
        "ticks": 1,
        "trades": len(commit.trades),
        **counts,
    }
