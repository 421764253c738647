"""Proves a journal: its chain is whole, and its tables say nothing but what the chain says.

The events are replayed from the first to the last, and what they come to is compared with every
row beside them. So a row that was changed by hand is found, a chain that was mended and tables
that were not, and a file whose last pages were lost.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.journal import JournalState
from roboinvest.runtime.journal.schema import GENESIS, KIND
from roboinvest.runtime.journal.values import Chain, digest_after, digest_of
from roboinvest.runtime.lanes.file import in_words, open_reader

_TABLES: Final[Mapping[str, str]] = {
    "intents": """
        SELECT i.client_order_id, i.tick_id, i.agent_id, i.symbol, i.leg, i.event,
               lower(hex(l.digest)), i.state, i.venue_id, i.sends, i.clean_lookups, i.reason,
               i.sent_at, i.updated_at
        FROM intents AS i LEFT JOIN limits AS l ON l.id = i.limits ORDER BY i.id
    """,
    "links": "SELECT venue_id, client_order_id FROM links ORDER BY venue_id",
    "executions": """
        SELECT seq, execution_id, venue_id, client_order_id, event FROM executions ORDER BY seq
    """,
    "notes": "SELECT event, kind, digest FROM notes ORDER BY event",
}
Row = tuple[Any, ...]


def verify_file(path: Path) -> Chain:
    """Read a whole journal and return what its chain comes to.

    Raises:
        BadSettings: it was changed, or is damaged; the sentence names the place.
        TryLater: it cannot be read now.
    """
    try:
        with contextlib.closing(open_reader(path, KIND)) as connection:
            connection.execute("BEGIN")  # one moment for all tables, whoever writes meanwhile
            replay = _Replay()
            chain = _chained(connection, replay, path)
            _compare(connection, replay, path)
            return chain
    except sqlite3.Error as error:
        raise TryLater(f"{path} cannot be verified: {in_words(error)}; look at the disk") from error


@dataclass(slots=True)
class _Intent:
    """A row of `intents` as the events tell it."""

    facts: Row
    state: str
    updated_at: str
    venue_id: str | None = None
    sends: int = 0
    clean_lookups: int = 0
    reason: str = ""
    sent_at: str | None = None

    def row(self) -> Row:
        come_to = (self.state, self.venue_id, self.sends, self.clean_lookups, self.reason)
        return (*self.facts, *come_to, self.sent_at, self.updated_at)


@dataclass(slots=True)
class _Replay:
    """The tables as the events tell them."""

    intents: dict[str, _Intent] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    executions: list[Row] = field(default_factory=list)
    notes: list[Row] = field(default_factory=list)

    def take(self, seq: int, fact: str) -> None:
        """Go on by one event."""
        plain = json.loads(fact)
        match plain["kind"]:
            case "intent":
                self._intent(seq, plain)
            case "move":
                self._move(plain)
            case "link":
                self.links.setdefault(plain["venue_id"], plain["client_order_id"])
            case "execution":
                done = plain["execution"]
                names = (done["execution_id"], done["venue_id"], done["client_order_id"])
                self.executions.append((len(self.executions) + 1, *names, seq))
            case "note":
                self.notes.append((seq, plain["note"], digest_of(fact)))
            case other:
                raise ValueError(f"{other!r} is no kind of event")

    def rows(self, table: str) -> Iterator[Row]:
        """Return the rows that a table should have, in the order of `_TABLES`."""
        match table:
            case "intents":
                return (intent.row() for intent in self.intents.values())
            case "links":
                return iter(sorted(self.links.items()))
            case "executions":
                return iter(self.executions)
            case _:
                return iter(self.notes)

    def _intent(self, seq: int, plain: Mapping[str, Any]) -> None:
        intent = plain["intent"]
        place = tuple(
            intent[name] for name in ("client_order_id", "tick_id", "agent_id", "symbol", "leg")
        )
        self.intents[place[0]] = _Intent(
            facts=(*place, seq, plain["limits"]),
            state=JournalState.INTENT.value,
            updated_at=plain["at"],
        )

    def _move(self, plain: Mapping[str, Any]) -> None:
        intent = self.intents[plain["client_order_id"]]
        intent.state, intent.reason = plain["state"], plain["reason"]
        intent.updated_at = plain["at"]
        if intent.state == JournalState.SENDING:
            intent.sends, intent.sent_at = intent.sends + 1, plain["at"]
        if plain["clean_lookups"] is not None:
            intent.clean_lookups = plain["clean_lookups"]
        if plain["venue_id"]:
            intent.venue_id = plain["venue_id"]
            self.links.setdefault(plain["venue_id"], plain["client_order_id"])


def _chained(connection: sqlite3.Connection, replay: _Replay, path: Path) -> Chain:
    """Return the end of the chain, after a replay of every event in it."""
    count, digest = 0, GENESIS
    for seq, fact, stored in connection.execute(
        "SELECT seq, fact, digest FROM events ORDER BY seq"
    ):
        count += 1
        digest = digest_after(digest, fact)
        if seq != count or digest != stored:
            raise _broken(path, f"the chain breaks at event {count}")
        try:
            replay.take(seq, fact)
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(path, f"event {seq} cannot be read ({error!r})") from error
    return Chain(events=count, digest=digest.hex())


def _compare(connection: sqlite3.Connection, replay: _Replay, path: Path) -> None:
    for table, statement in _TABLES.items():
        stored = connection.execute(statement)
        for number, (there, told) in enumerate(zip_longest(stored, replay.rows(table)), 1):
            if there != told:
                raise _broken(path, f"row {number} of {table} is not what the events say")
    for text, digest in connection.execute("SELECT text, digest FROM limits ORDER BY id"):
        if digest_of(text) != digest:
            raise _broken(path, "the text of limits is not what the events say")


def _broken(path: Path, fact: str) -> BadSettings:
    return BadSettings(
        f"{path} was changed or is damaged: {fact}; halt, put a copy in its place, and compare "
        "orders and positions with the broker by hand"
    )
