"""What the PerformanceAnalystAgent keeps: figures of each hour, and what became of its advice.

Rows of the Overseer's file. A figure of an hour may be written again until the hour is over for
good; advice is written once, taken once, and measured once, and what was measured stays measured.
Blocking, for threads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.advice import Advice, AdviceState, Aim, Effect
from roboinvest.runtime.oversight.file import OverseerFile

SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS hourly_figures (
        metric TEXT NOT NULL,
        hour TEXT NOT NULL,  -- its begin, UTC
        value REAL NOT NULL,
        n INTEGER NOT NULL CHECK (n >= 1),  -- observations behind it
        PRIMARY KEY (metric, hour)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS hourly_figures_by_hour ON hourly_figures (hour);
    CREATE TABLE IF NOT EXISTS advice (
        advice_id TEXT PRIMARY KEY,
        rule TEXT NOT NULL,
        subject TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'taken', 'measured', 'lapsed')),
        made_at TEXT NOT NULL,
        deadline TEXT NOT NULL,
        taken_at TEXT,
        settled_at TEXT,
        content TEXT NOT NULL,  -- JSON
        CHECK ((state IN ('measured', 'lapsed')) = (settled_at IS NOT NULL)),
        CHECK (state NOT IN ('taken', 'measured') OR taken_at IS NOT NULL)
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS advice_pending ON advice (rule, subject)
    WHERE state IN ('open', 'taken');
    CREATE INDEX IF NOT EXISTS advice_by_time ON advice (made_at);
    CREATE TRIGGER IF NOT EXISTS advice_ends BEFORE UPDATE ON advice
    WHEN OLD.settled_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'what was measured stays measured'); END;
    CREATE TRIGGER IF NOT EXISTS advice_stays BEFORE DELETE ON advice
    BEGIN SELECT RAISE(ABORT, 'advice stays'); END
"""
KEPT: Final = timedelta(days=100)  # of figures
MAX_METRICS: Final = 400  # in one hour
_INSERT: Final = "INSERT INTO hourly_figures (metric, hour, value, n) VALUES (?, ?, ?, ?)"
_SELECT: Final = "SELECT metric, hour, value, n FROM hourly_figures"
_LAST: Final = "\U0010ffff"  # sorts behind every character
_COLUMNS: Final = (
    "advice_id, rule, subject, state, made_at, deadline, taken_at, settled_at, content"
)


class HourlyFigures:
    """One number for each metric and hour."""

    def __init__(self, file: OverseerFile) -> None:
        self._file = file

    def put(self, hour: datetime, figures: Mapping[str, tuple[float, int]]) -> None:
        """Write figures of an hour: metric -> (value, observations); the later word counts.

        Raises:
            BadInput: more than `MAX_METRICS`, or the instant is not the begin of an hour.
        """
        self._write(hour, figures, "value = excluded.value, n = excluded.n")

    def add(self, hour: datetime, figures: Mapping[str, tuple[float, int]]) -> None:
        """Add to figures of an hour, for what is counted and not measured; else as `put`."""
        self._write(hour, figures, "value = value + excluded.value, n = n + excluded.n")

    def _write(self, hour: datetime, figures: Mapping[str, tuple[float, int]], again: str) -> None:
        if len(figures) > MAX_METRICS:
            raise BadInput(f"{len(figures)} figures of one hour; keep {MAX_METRICS} at most")
        at = _hour(hour)
        rows = [(metric, at, value, n) for metric, (value, n) in figures.items()]

        def write(db: sqlite3.Connection) -> None:
            db.executemany(
                f"{_INSERT} ON CONFLICT (metric, hour) DO UPDATE SET {again}",
                rows,
            )
            db.execute("DELETE FROM hourly_figures WHERE hour < ?", (_stamp(hour - KEPT),))

        self._file.write(write)

    def read(
        self, metric: str, start: datetime, end: datetime
    ) -> tuple[tuple[datetime, float, int], ...]:
        """Return hour, value and observations of a metric from `start` to before `end`."""
        found = self.read_all(start, end, metric=metric)
        return found.get(metric, ())

    def read_all(
        self, start: datetime, end: datetime, *, metric: str | None = None
    ) -> dict[str, tuple[tuple[datetime, float, int], ...]]:
        """Return the same of every metric, by name; oldest first."""
        one, values = ("", ()) if metric is None else ("metric = ? AND ", (metric,))
        statement = f"{_SELECT} WHERE {one}hour >= ? AND hour < ? ORDER BY metric, hour"

        def select(db: sqlite3.Connection) -> list[tuple[str, str, float, int]]:
            return db.execute(statement, (*values, _stamp(start), _stamp(end))).fetchall()

        found: dict[str, list[tuple[datetime, float, int]]] = {}
        hours: dict[str, datetime] = {}  # of many metrics the same
        for name, hour, value, n in self._file.read(select):
            at = hours.get(hour)
            if at is None:
                at = hours[hour] = datetime.fromisoformat(hour)
            found.setdefault(name, []).append((at, value, n))
        return {name: tuple(rows) for name, rows in found.items()}

    def names(self, begin: str, start: datetime, end: datetime) -> frozenset[str]:
        """Return the metrics whose name begins so, and that have a figure from `start` to `end`."""
        values = begin, f"{begin}{_LAST}", _stamp(start), _stamp(end)
        statement = (
            "SELECT DISTINCT metric FROM hourly_figures "
            "WHERE metric >= ? AND metric < ? AND hour >= ? AND hour < ?"
        )
        rows = self._file.read(lambda db: db.execute(statement, values).fetchall())
        return frozenset(name for (name,) in rows)


class AdviceBook:
    """The recommendations of one file."""

    def __init__(self, file: OverseerFile) -> None:
        self._file = file

    def add(self, advice: Advice) -> bool:
        """Write advice down; False where the same is open or taken already.

        Raises:
            BadInput: it is not open.
        """
        if advice.state is not AdviceState.OPEN:
            raise BadInput(f"advice {advice.advice_id} is new and cannot be {advice.state}")
        values = (
            *(advice.advice_id, advice.rule, advice.subject, advice.state),
            *(_stamp(advice.made_at), _stamp(advice.deadline), None, None, _content(advice)),
        )
        return self._file.write(
            lambda db: (
                db.execute(
                    f"INSERT OR IGNORE INTO advice ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 ours
                    values,
                ).rowcount
                > 0
            )
        )

    def take(self, advice_id: str, *, by: str, at: datetime) -> None:
        """Write down that somebody did what was advised; its effect is measured from here on.

        Raises:
            Refused: it is not open.
        """
        advice = self.get(advice_id)
        if advice.state is not AdviceState.OPEN:
            raise Refused(f"advice {advice_id} is {advice.state}; only open advice is taken")
        later = advice.taken(by=by, at=at)
        self._move(later, "open")

    def settle(self, advice: Advice) -> None:
        """Write down what became of advice that was taken, or that lapsed.

        Raises:
            BadInput: it is not settled.
            Refused: it was settled before.
        """
        if advice.settled_at is None:
            raise BadInput(f"advice {advice.advice_id} is {advice.state} and not settled")
        self._move(advice, "taken" if advice.state is AdviceState.MEASURED else "open")

    def get(self, advice_id: str) -> Advice:
        """Return one.

        Raises:
            BadInput: there is none of that name.
        """
        found = self._found("WHERE advice_id = ?", (advice_id,))
        if not found:
            raise BadInput(f"there is no advice {advice_id[:80]!a}")
        return found[0]

    def pending(self) -> tuple[Advice, ...]:
        """Return what is open or taken, oldest first."""
        return self._found("WHERE settled_at IS NULL ORDER BY made_at, advice_id", ())

    def touched(self, start: datetime, end: datetime) -> tuple[Advice, ...]:
        """Return what was made, taken or settled from `start` to before `end`, oldest first."""
        span = (_stamp(start), _stamp(end))
        return self._found(
            "WHERE (made_at >= ? AND made_at < ?) OR (taken_at >= ? AND taken_at < ?) "
            "OR (settled_at >= ? AND settled_at < ?) ORDER BY made_at, advice_id",
            span * 3,
        )

    def _found(self, rest: str, values: Sequence[object]) -> tuple[Advice, ...]:
        def select(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return db.execute(
                f"SELECT {_COLUMNS} FROM advice {rest}",  # noqa: S608 ours
                tuple(values),
            ).fetchall()

        return tuple(_advice(row) for row in self._file.read(select))

    def _move(self, advice: Advice, was: str) -> None:
        values = (
            *(advice.state, _optional(advice.taken_at), _optional(advice.settled_at)),
            *(_stamp(advice.deadline), _content(advice), advice.advice_id, was),
        )

        def move(db: sqlite3.Connection) -> None:
            if not db.execute(
                "UPDATE advice SET state = ?, taken_at = ?, settled_at = ?, deadline = ?, "
                "content = ? WHERE advice_id = ? AND state = ?",
                values,
            ).rowcount:
                raise Refused(f"advice {advice.advice_id} is not {was} any more")

        self._file.write(move)


def _content(advice: Advice) -> str:
    effect = advice.effect
    return json.dumps(
        {
            "text": advice.text,
            "evidence": advice.evidence,
            "metric": advice.metric,
            "aim": advice.aim,
            "expected": advice.expected,
            "expected_text": advice.expected_text,
            "watch_s": advice.watch_s,
            "taken_by": advice.taken_by,
            "effect": None
            if effect is None
            else {name: getattr(effect, name) for name in Effect.__slots__},
            "verdict": advice.verdict,
        },
        allow_nan=False,
    )


def _advice(row: tuple[Any, ...]) -> Advice:
    """Return a row as a value.

    Raises:
        BadInput: it is not what `_content` made.
    """
    name, rule, subject, state, made_at, deadline, taken_at, settled_at, content = row
    try:
        facts = json.loads(content)
        effect = None if facts["effect"] is None else Effect(**facts["effect"])
        return Advice(
            advice_id=name,
            rule=rule,
            subject=subject,
            text=facts["text"],
            evidence=facts["evidence"],
            metric=facts["metric"],
            aim=Aim(facts["aim"]),
            expected=facts["expected"],
            expected_text=facts["expected_text"],
            watch_s=facts["watch_s"],
            made_at=datetime.fromisoformat(made_at),
            deadline=datetime.fromisoformat(deadline),
            state=AdviceState(state),
            taken_at=None if taken_at is None else datetime.fromisoformat(taken_at),
            taken_by=facts["taken_by"],
            effect=effect,
            verdict=facts["verdict"],
            settled_at=None if settled_at is None else datetime.fromisoformat(settled_at),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"advice {name} cannot be read: {error!r}") from error


def _hour(at: datetime) -> str:
    if (at.minute, at.second, at.microsecond) != (0, 0, 0):
        raise BadInput(f"{at} is not the begin of an hour")
    return _stamp(at)


def _optional(at: datetime | None) -> str | None:
    return None if at is None else _stamp(at)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
