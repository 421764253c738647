"""What can be written to the ledger in one transaction, which somebody else begins and ends."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import Refused
from roboinvest.core.records import plain_json
from roboinvest.runtime.llm.spend import totals
from roboinvest.runtime.llm.spend.calls import Calls
from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps
from roboinvest.runtime.llm.spend.money import nano_allowed, nano_charged, usd_of, usd_text
from roboinvest.runtime.llm.spend.totals import Scope, Watch
from roboinvest.runtime.llm.spend.values import AskFacts, DayCapMove, Notice, Spent

_INSERT_ASK: Final = """
    INSERT OR IGNORE INTO asks (ask_id, at, day, agent, task, about, prompt_name, prompt_version,
        inputs_digest, source, reason, output, latency_ms, attempts, cost, looked_up)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class Transaction:
    """The changes of one transaction, and what people are to be told when it is committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._watch = Watch(connection)
        self.calls = Calls(connection, self._watch)

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what came up since this was asked last."""
        return self._watch.take()

    def enter(self, caps: SpendCaps, at: datetime, *, recover: bool) -> int:
        """Begin with these caps; return how many calls of a killed process were cut.

        Whoever does not recover leaves calls alone, and the owner's caps where there are any.
        """
        row = self._connection.execute("SELECT text FROM caps ORDER BY id DESC LIMIT 1").fetchone()
        before = None if row is None else SpendCaps.from_json(row[0])
        if before is None or (recover and before != caps):
            self._connection.execute(
                "INSERT INTO caps (at, text) VALUES (?, ?)", (at.isoformat(), caps.to_json())
            )
            if before is None or before.day_usd != caps.day_usd:
                in_force = None if before is None else totals.day_cap(self._connection, before)
                self._move(in_force, caps.day_usd, "owner", "as the settings say", at)
        return (
            self.calls.cut_all("its process ended before the call did", at, caps) if recover else 0
        )

    def move_day_cap(
        self, after_usd: Decimal, reason: str, at: datetime, day: date, caps: SpendCaps
    ) -> DayCapMove | None:
        """Move the day's cap up to the ceiling; None: it stands there already."""
        if after_usd > caps.ceiling_usd:
            raise Refused(
                f"the day's cap is not moved to {usd_text(after_usd)} USD, because its ceiling is "
                f"{usd_text(caps.ceiling_usd)} USD; only a person raises that, in the settings"
            )
        after = usd_of(nano_allowed(after_usd))
        before = totals.day_cap(self._connection, caps)
        if before == after:
            return None
        move = self._move(before, after, "budget", reason, at)
        self._watch.look(Scope(Cap.DAY, day.isoformat(), ""), day, caps)
        return move

    def settle(self, call_id: str, spent: Spent, at: datetime, caps: SpendCaps) -> Decimal:
        """Charge a call what it cost, and keep what was said; return the cost in USD."""
        cost_usd = self.calls.settle(call_id, spent, at, caps)
        self._keep_text(call_id, "prompt", at, spent.prompt)
        self._keep_text(call_id, "reply", at, spent.reply)
        return cost_usd

    def note_ask(self, ask: AskFacts, day: date) -> None:
        """Write an ask down; the first record of one stays."""
        done = self._connection.execute(
            _INSERT_ASK,
            (
                *(ask.ask_id, ask.at.isoformat(), day.isoformat(), ask.agent, ask.task, ask.about),
                *(ask.prompt_name, ask.prompt_version, ask.inputs_digest, ask.source, ask.reason),
                *(ask.output, ask.latency_ms, ask.attempts, nano_charged(ask.cost_usd)),
                plain_json(list(ask.looked_up)),
            ),
        )
        if done.rowcount:
            self._keep_text(ask.ask_id, "inputs", ask.at, ask.inputs)

    def link_outcome(self, text: str, ask_id: str | None, about: str | None) -> int:
        """Say what became of an ask, or of all about one thing; return how many there are."""
        column, value = ("ask_id", ask_id) if ask_id else ("about", about)
        done = self._connection.execute(
            f"UPDATE asks SET outcome = ? WHERE {column} = ?",  # noqa: S608 one of two names
            (text, value),
        )
        return done.rowcount

    def put_reply(self, key: str, body: str, at: datetime, instead_of: str | None) -> str:
        """Keep a recorded reply; return the one that stands: see `SpendLedger.put_reply`."""
        self._connection.execute(
            "INSERT INTO replies (key, body, at) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET body = excluded.body, at = excluded.at "
            "WHERE replies.body = ?",
            (key, body, at.isoformat(), instead_of),
        )
        row = self._connection.execute("SELECT body FROM replies WHERE key = ?", (key,)).fetchone()
        return str(row[0])

    def drop_texts(self, before: datetime, most: int) -> int:
        """Drop the oldest texts from before an instant; return how many."""
        done = self._connection.execute(
            "DELETE FROM texts WHERE rowid IN "
            "(SELECT rowid FROM texts WHERE at < ? ORDER BY at LIMIT ?)",
            (before.isoformat(), most),
        )
        return done.rowcount

    def _keep_text(self, of: str, kind: str, at: datetime, text: str) -> None:
        if text:
            self._connection.execute(
                "INSERT INTO texts (of, kind, at, text) VALUES (?, ?, ?, ?)",
                (of, kind, at.isoformat(), text),
            )

    def _move(
        self, before: Decimal | None, after: Decimal, by: str, reason: str, at: datetime
    ) -> DayCapMove:
        move = DayCapMove(at=at, before_usd=before, after_usd=after, by=by, reason=reason)
        self._connection.execute(
            "INSERT INTO cap_moves (at, before, after, by, reason) VALUES (?, ?, ?, ?, ?)",
            (
                at.isoformat(),
                None if before is None else nano_allowed(before),
                nano_allowed(after),
                *(by, reason),
            ),
        )
        return move
