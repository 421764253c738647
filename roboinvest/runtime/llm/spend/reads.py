"""What can be asked of the ledger, on a connection that only reads.

Each answer is of one moment, whoever writes meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from roboinvest.core.errors import TryLater
from roboinvest.runtime.lanes.file import in_words, open_reader
from roboinvest.runtime.llm.provider import Usage
from roboinvest.runtime.llm.spend import totals
from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps
from roboinvest.runtime.llm.spend.days import month_of
from roboinvest.runtime.llm.spend.money import usd_of
from roboinvest.runtime.llm.spend.schema import KIND
from roboinvest.runtime.llm.spend.totals import Scope
from roboinvest.runtime.llm.spend.values import (
    AskFacts,
    AskRecord,
    CallFacts,
    CallRecord,
    CallState,
    DayCapMove,
    SpendLine,
    Standing,
)

By = Literal["agent", "task", "model", "day"]
_MOVES: Final = 5  # of the day's cap, that people are shown

_ASKS: Final = """
    SELECT ask_id, at, agent, task, about, prompt_name, prompt_version, inputs_digest, source,
           reason, output, latency_ms, attempts, cost, looked_up, outcome,
           (SELECT text FROM texts WHERE of = ask_id AND kind = 'inputs')
    FROM asks
"""
_CALLS: Final = """
    SELECT call_id, ask_id, at, day, agent, task, about, model, purpose, reserved, state, charged,
           is_estimated, input_tokens, cached_tokens, output_tokens, latency_ms, failure, ended_at,
           (SELECT text FROM texts WHERE of = call_id AND kind = 'prompt'),
           (SELECT text FROM texts WHERE of = call_id AND kind = 'reply')
    FROM calls WHERE ask_id = ? ORDER BY id
"""
_FIGURES: Final = """
    SELECT {by}, count(*), total(input_tokens), total(cached_tokens), total(output_tokens),
           sum(charged),
           sum(CASE WHEN state = 'reserved' THEN reserved ELSE 0 END),
           sum(CASE WHEN state = 'settled' AND NOT is_estimated THEN charged ELSE 0 END),
           sum(CASE WHEN state = 'settled' AND is_estimated THEN charged ELSE 0 END),
           sum(CASE WHEN state = 'cut' THEN charged ELSE 0 END),
           count(CASE WHEN state = 'released' THEN 1 END)
    FROM calls WHERE day >= ? GROUP BY {by} ORDER BY {by}
"""

_BETWEEN: Final = """
    SELECT agent, task, count(*), sum(charged), avg(latency_ms),
           count(CASE WHEN failure IS NOT NULL THEN 1 END)
    FROM calls WHERE at >= ? AND at < ? GROUP BY agent, task ORDER BY agent, task
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendPart:
    """What one agent's task asked of models within a span."""

    agent: str
    task: str
    calls: int
    cost_usd: Decimal  # charged
    mean_latency_ms: float | None  # None: no call came back
    failed: int  # calls


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendReport:
    """What a person is shown; `standing` is None before a daemon has said its caps."""

    lines: tuple[SpendLine, ...]
    standing: Standing | None


def report(path: Path, by: By, since: date | None, today: date) -> SpendReport | None:
    """Return what stands in a file, with a daemon at work on it or not; None: there is none.

    Raises:
        BadSettings: it is no spend ledger, of a newer program, or damaged.
        TryLater: it cannot be read now.
    """
    if not path.exists():
        return None
    try:
        with (
            contextlib.closing(open_reader(path, KIND)) as connection,
            _one_moment(connection),
        ):
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return None  # a first start that was killed
            caps = _stored_caps(connection)
            return SpendReport(
                lines=_lines(connection, by, since),
                standing=None if caps is None else _standing(connection, caps, today, ""),
            )
    except sqlite3.Error as error:
        raise TryLater(f"{path} cannot be read: {in_words(error)}; look at the disk") from error


def between(path: Path, start: datetime, end: datetime) -> tuple[SpendPart, ...] | None:
    """Return what calls cost that began from `start` to before `end`; None: there is no file.

    Raises:
        BadSettings, TryLater: as `report`.
    """
    if not path.exists():
        return None
    try:
        with contextlib.closing(open_reader(path, KIND)) as connection, _one_moment(connection):
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return None
            rows = connection.execute(_BETWEEN, (start.isoformat(), end.isoformat())).fetchall()
    except sqlite3.Error as error:
        raise TryLater(f"{path} cannot be read: {in_words(error)}; look at the disk") from error
    return tuple(
        SpendPart(
            agent=agent,
            task=task,
            calls=calls,
            cost_usd=usd_of(charged),
            mean_latency_ms=latency_ms,
            failed=failed,
        )
        for agent, task, calls, charged, latency_ms, failed in rows
    )


def standing(connection: sqlite3.Connection, caps: SpendCaps, day: date, about: str) -> Standing:
    """Return where every cap stands on a day."""
    with _one_moment(connection):
        return _standing(connection, caps, day, about)


def figures(connection: sqlite3.Connection, by: By, since: date | None) -> tuple[SpendLine, ...]:
    """Return what was spent from a day on, in lines."""
    return _lines(connection, by, since)


def asks(
    connection: sqlite3.Connection, ask_id: str | None = None, about: str | None = None
) -> tuple[AskRecord, ...]:
    """Return the asks that are named so or are about this, oldest first, with their calls."""
    column, value = ("ask_id", ask_id) if about is None else ("about", about)
    with _one_moment(connection):
        rows = connection.execute(f"{_ASKS} WHERE {column} = ? ORDER BY id", (value,)).fetchall()
        return tuple(_ask_of(row, _calls(connection, row[0])) for row in rows)


def reply(connection: sqlite3.Connection, key: str) -> str | None:
    """Return a recorded reply."""
    row = connection.execute("SELECT body FROM replies WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


@contextlib.contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _standing(connection: sqlite3.Connection, caps: SpendCaps, day: date, about: str) -> Standing:
    scopes = [
        totals.call_scope(day),
        *([Scope(Cap.ITERATION, "", about)] if about else []),
        *totals.agents_of(connection, day),
        Scope(Cap.DAY, day.isoformat(), ""),
        Scope(Cap.MONTH, month_of(day), ""),
    ]
    found = (totals.standing_of(connection, caps, scope) for scope in scopes)
    moves = connection.execute(
        "SELECT at, before, after, by, reason FROM cap_moves ORDER BY id DESC LIMIT ?", (_MOVES,)
    )
    return Standing(
        day=day,
        caps=tuple(cap for cap in found if cap is not None),
        moves=tuple(
            DayCapMove(
                at=datetime.fromisoformat(at),
                before_usd=None if before is None else usd_of(before),
                after_usd=usd_of(after),
                by=by,
                reason=reason,
            )
            for at, before, after, by, reason in moves
        ),
    )


def _lines(connection: sqlite3.Connection, by: By, since: date | None) -> tuple[SpendLine, ...]:
    first = "" if since is None else since.isoformat()
    lines = list[SpendLine]()
    for row in connection.execute(_FIGURES.format(by=by), (first,)):
        name, calls, read, cached, written, *money, released = row
        cost, reserved, settled, estimated, cut = map(usd_of, money)
        lines.append(
            SpendLine(
                name=name,
                calls=calls,
                input_tokens=int(read),
                cached_tokens=int(cached),
                output_tokens=int(written),
                cost_usd=cost,
                reserved_usd=reserved,
                settled_usd=settled,
                estimated_usd=estimated,
                cut_usd=cut,
                released=released,
            )
        )
    return tuple(lines)


def _stored_caps(connection: sqlite3.Connection) -> SpendCaps | None:
    row = connection.execute("SELECT text FROM caps ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else SpendCaps.from_json(row[0])


def _calls(connection: sqlite3.Connection, ask_id: str) -> tuple[CallRecord, ...]:
    return tuple(_call_of(row) for row in connection.execute(_CALLS, (ask_id,)))


def _call_of(row: tuple[Any, ...]) -> CallRecord:
    call_id, ask_id, at, day, agent, task, about, model, purpose, reserved, *rest = row
    state, charged, is_estimated, *counts, latency_ms, failure, ended_at, prompt, said = rest
    read, cached, written = counts
    return CallRecord(
        facts=CallFacts(
            call_id=call_id,
            ask_id=ask_id,
            at=datetime.fromisoformat(at),
            agent=agent,
            task=task,
            about=about,
            model=model,
            purpose=purpose,
            reserved_usd=usd_of(reserved),
        ),
        day=date.fromisoformat(day),
        state=CallState(state),
        charged_usd=usd_of(charged),
        is_estimated=bool(is_estimated),
        usage=None
        if read is None
        else Usage(input_tokens=read, cached_tokens=cached, output_tokens=written),
        latency_ms=latency_ms,
        failure=failure,
        ended_at=None if ended_at is None else datetime.fromisoformat(ended_at),
        prompt=prompt,
        reply=said,
    )


def _ask_of(row: tuple[Any, ...], calls: tuple[CallRecord, ...]) -> AskRecord:
    ask_id, at, agent, task, about, prompt, version, digest, source, reason, *rest = row
    output, latency_ms, attempts, cost, looked_up, outcome, inputs = rest
    return AskRecord(
        facts=AskFacts(
            ask_id=ask_id,
            at=datetime.fromisoformat(at),
            agent=agent,
            task=task,
            about=about,
            prompt_name=prompt,
            prompt_version=version,
            inputs_digest=digest,
            inputs=inputs or "",
            source=source,
            reason=reason,
            output=output,
            latency_ms=latency_ms,
            attempts=attempts,
            cost_usd=usd_of(cost),
            looked_up=tuple(json.loads(looked_up)),
        ),
        outcome=outcome,
        calls=calls,
    )
