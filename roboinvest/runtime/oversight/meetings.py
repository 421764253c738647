"""Meetings, what they decided, and what was set by them, in the Overseer's file.

A day has one meeting. What it decided is written at once, together with how far it had read the
log, so that one which dies is held again whole or not again at all. A decision that was scored
stays scored; nothing is removed. Blocking, for threads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from roboinvest.core.change_outcomes import Effect
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import NEXT, UNDER_WAY, Decision, DecisionState
from roboinvest.core.oversight.scoring import Calibration, Sample, Score, Verdict, calibration
from roboinvest.core.records import canonical_json
from roboinvest.runtime.oversight.file import OverseerFile

MAX_TEXT: Final = 1_000  # characters of a sentence
_MEETING: Final = "day, meeting_id, begun_at, decided_at, done_at, source, reason, facts, log_mark"
_COLUMNS: Final = (
    "content, day, state, reason, reference, tries, value, executed_at, baseline, verdict, effect, "
    "score_reason, scored_at, undo_by"
)
_INSERT: Final = (
    "INSERT INTO decisions "
    "(decision_id, day, content, fingerprint, state, confidence, deadline, changed_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingRow:
    """One meeting."""

    day: date
    meeting_id: str
    begun_at: datetime
    decided_at: datetime | None  # None: nothing was decided yet
    done_at: datetime | None
    source: str  # who answered
    reason: str  # why it was not the model's own answer
    facts: str  # canonical JSON of what was read, in figures
    log_mark: str | None  # how far the log was read


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A decision and what became of it."""

    decision: Decision
    day: date
    state: DecisionState
    reason: str  # of the last move, in words
    reference: str  # of a proposal or a job
    tries: int
    value: str | None  # JSON text of what was set, where a person agreed to something else
    executed_at: datetime | None
    baseline: Sample | None  # of the metric before
    verdict: Verdict | None
    effect: Effect | None
    score_reason: str
    scored_at: datetime | None
    undo_by: str | None  # who asked for it to be undone

    @property
    def after(self) -> str:
        """Return what was, or is to be, set."""
        return self.decision.after if self.value is None else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A wish that was refused."""

    number: int
    wish: str
    reason: str
    nobody: bool
    level: int | None


class MeetingRows:
    """The rows of one file."""

    def __init__(self, file: OverseerFile) -> None:
        self._file = file

    def begin(self, day: date, meeting_id: str, now: datetime) -> MeetingRow:
        """Return the meeting of a day, begun if there was none."""

        def begin(db: sqlite3.Connection) -> MeetingRow:
            db.execute(
                "INSERT INTO meetings (day, meeting_id, begun_at) VALUES (?, ?, ?) "
                "ON CONFLICT (day) DO NOTHING",
                (day.isoformat(), meeting_id, _stamp(now)),
            )
            return _meetings(db, "WHERE day = ?", (day.isoformat(),))[0]

        return self._file.write(begin)

    def decide(
        self,
        day: date,
        decisions: Sequence[Decision],
        refused: Sequence[RefusedRow],
        *,
        source: str,
        reason: str,
        facts: str,
        log_mark: str | None,
        now: datetime,
    ) -> None:
        """Write down what a meeting decided, all of it or nothing.

        Raises:
            Refused: it has decided before.
        """

        def decide(db: sqlite3.Connection) -> None:
            found = db.execute(
                "UPDATE meetings SET decided_at = ?, source = ?, reason = ?, facts = ?, "
                "log_mark = ? WHERE day = ? AND decided_at IS NULL",
                (_stamp(now), source, reason[:MAX_TEXT], facts, log_mark, day.isoformat()),
            )
            if not found.rowcount:
                raise Refused(f"the meeting of {day} has decided already; the next is tomorrow")
            for each in decisions:
                db.execute(_INSERT, _inserted(each, day, now))
            for wish in refused:
                values = (wish.number, wish.wish, wish.reason[:MAX_TEXT], wish.nobody, wish.level)
                db.execute(
                    "INSERT INTO refused_wishes (day, number, wish, reason, nobody, level) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (day.isoformat(), *values),
                )

        self._file.write(decide)

    def finish(self, day: date, now: datetime) -> None:
        """Write down that a meeting is over."""
        values = (_stamp(now), day.isoformat())
        self._file.write(
            lambda db: db.execute(
                "UPDATE meetings SET done_at = ? WHERE day = ? AND done_at IS NULL", values
            )
        )

    def meetings(self, limit: int = 30) -> tuple[MeetingRow, ...]:
        """Return the newest meetings, newest first."""
        return self._file.read(
            lambda db: tuple(_meetings(db, "ORDER BY day DESC LIMIT ?", (limit,)))
        )

    def meeting(self, day: date) -> MeetingRow | None:
        """Return the meeting of a day."""
        found = self._file.read(lambda db: _meetings(db, "WHERE day = ?", (day.isoformat(),)))
        return found[0] if found else None

    def log_mark(self) -> str | None:
        """Return how far the last meeting that decided has read the log."""
        statement = "SELECT log_mark FROM meetings WHERE decided_at IS NOT NULL ORDER BY day DESC"
        row = self._file.read(lambda db: db.execute(f"{statement} LIMIT 1").fetchone())
        return None if row is None else row[0]

    def refused(self, day: date) -> tuple[RefusedRow, ...]:
        """Return the wishes that a meeting refused."""
        rows = self._file.read(
            lambda db: db.execute(
                "SELECT number, wish, reason, nobody, level FROM refused_wishes WHERE day = ? "
                "ORDER BY number",
                (day.isoformat(),),
            ).fetchall()
        )
        return tuple(
            RefusedRow(number=number, wish=wish, reason=reason, nobody=bool(nobody), level=level)
            for number, wish, reason, nobody, level in rows
        )

    def get(self, decision_id: str) -> DecisionRow:
        """Return a decision.

        Raises:
            BadInput: there is none of that name.
        """
        found = self._found("WHERE decision_id = ?", (decision_id,))
        if not found:
            raise BadInput(f"there is no decision {decision_id[:80]!a}; see governance ls")
        return found[0]

    def of_day(self, day: date) -> tuple[DecisionRow, ...]:
        """Return what the meeting of a day decided."""
        return self._found("WHERE day = ? ORDER BY rowid", (day.isoformat(),))

    def under_way(self) -> tuple[DecisionRow, ...]:
        """Return what is not settled yet, or is to be undone; oldest first."""
        states = ", ".join(f"'{each}'" for each in UNDER_WAY)
        undo = "undo_by IS NOT NULL AND state <> 'undone'"
        return self._found(f"WHERE state IN ({states}) OR ({undo}) ORDER BY rowid", ())

    def due(self, now: datetime) -> tuple[DecisionRow, ...]:
        """Return what is past its deadline and not scored; oldest first."""
        return self._found(
            "WHERE verdict IS NULL AND deadline <= ? ORDER BY deadline, rowid", (_stamp(now),)
        )

    def newest(self, limit: int = 200) -> tuple[DecisionRow, ...]:
        """Return the newest decisions, newest first."""
        return self._found("ORDER BY rowid DESC LIMIT ?", (limit,))

    def calibration(self) -> Calibration:
        """Return how good the confidence of all scored decisions was."""
        rows = self._file.read(
            lambda db: db.execute(
                "SELECT confidence, verdict FROM decisions WHERE verdict IS NOT NULL"
            ).fetchall()
        )
        return calibration((float(p), Verdict(verdict)) for p, verdict in rows)

    def move(
        self,
        decision_id: str,
        to: DecisionState,
        reason: str,
        *,
        now: datetime,
        reference: str | None = None,
        value: str | None = None,
    ) -> None:
        """Write down how far a decision has come.

        Raises:
            Refused: there is no such move.
        """

        def move(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT state FROM decisions WHERE decision_id = ?", (decision_id,))
            state = DecisionState(row.fetchone()[0])
            if to is not state and to not in NEXT[state]:
                raise Refused(f"{decision_id} is {state}, and cannot become {to}")
            db.execute(
                "UPDATE decisions SET state = ?, reason = ?, changed_at = ?, "
                "reference = coalesce(?, reference), value = coalesce(?, value), "
                "executed_at = CASE WHEN ? = 'done' THEN coalesce(executed_at, ?) "
                "ELSE executed_at END WHERE decision_id = ?",
                (
                    *(to, reason[:MAX_TEXT], _stamp(now), reference, value),
                    *(to, _stamp(now), decision_id),
                ),
            )

        self._file.write(move)

    def tried(self, decision_id: str) -> int:
        """Count a try, before it is made; return how many that are."""

        def tried(db: sqlite3.Connection) -> int:
            statement = "UPDATE decisions SET tries = tries + 1 WHERE decision_id = ?"
            db.execute(statement, (decision_id,))
            found = "SELECT tries FROM decisions WHERE decision_id = ?"
            return int(db.execute(found, (decision_id,)).fetchone()[0])

        return self._file.write(tried)

    def set_baseline(self, decision_id: str, sample: Sample) -> None:
        """Keep what the metric was before; the first one stays."""
        values = (canonical_json(sample), decision_id)
        self._file.write(
            lambda db: db.execute(
                "UPDATE decisions SET baseline = coalesce(baseline, ?) WHERE decision_id = ?",
                values,
            )
        )

    def score(self, decision_id: str, score: Score, now: datetime) -> None:
        """Write a verdict down.

        Raises:
            Refused: there is one already.
        """
        effect = None if score.effect is None else canonical_json(score.effect)
        values = (score.verdict, effect, score.reason[:MAX_TEXT], _stamp(now), decision_id)
        self._file.write(
            lambda db: db.execute(
                "UPDATE decisions SET verdict = ?, effect = ?, score_reason = ?, scored_at = ? "
                "WHERE decision_id = ?",
                values,
            )
        )

    def ask_undo(self, decision_id: str, by: str) -> None:
        """Keep that somebody wants a decision undone; whoever has hands does it."""
        self.get(decision_id)
        self._file.write(
            lambda db: db.execute(
                "UPDATE decisions SET undo_by = ? WHERE decision_id = ?", (by, decision_id)
            )
        )

    def undo_over(self, decision_id: str, reason: str) -> None:
        """Keep that a decision cannot be undone, and why."""
        self._file.write(
            lambda db: db.execute(
                "UPDATE decisions SET undo_by = NULL, reason = ? WHERE decision_id = ?",
                (reason[:MAX_TEXT], decision_id),
            )
        )

    def make_due(self, cadence: str, now: datetime) -> bool:
        """Let a cadence be due now; False: it was never begun, and is due anyhow."""
        values = (_stamp(now), cadence)
        return self._file.write(
            lambda db: bool(
                db.execute("UPDATE cadences SET next_at = ? WHERE name = ?", values).rowcount
            )
        )

    def _found(self, rest: str, values: Sequence[object]) -> tuple[DecisionRow, ...]:
        statement = f"SELECT {_COLUMNS} FROM decisions {rest}"  # noqa: S608 the columns are ours
        rows = self._file.read(lambda db: db.execute(statement, tuple(values)).fetchall())
        return tuple(_row(each) for each in rows)


def _inserted(decision: Decision, day: date, now: datetime) -> tuple[object, ...]:
    return (
        *(decision.decision_id, day.isoformat(), canonical_json(decision), decision.fingerprint),
        *(DecisionState.DECIDED, decision.confidence, _stamp(decision.deadline), _stamp(now)),
    )


def _meetings(db: sqlite3.Connection, rest: str, values: Sequence[object]) -> list[MeetingRow]:
    rows = db.execute(f"SELECT {_MEETING} FROM meetings {rest}", tuple(values))  # noqa: S608 ours
    return [
        MeetingRow(
            day=date.fromisoformat(day),
            meeting_id=name,
            begun_at=datetime.fromisoformat(begun),
            decided_at=_instant(decided),
            done_at=_instant(done),
            source=source,
            reason=reason,
            facts=facts,
            log_mark=mark,
        )
        for day, name, begun, decided, done, source, reason, facts, mark in rows.fetchall()
    ]


def _row(row: tuple[Any, ...]) -> DecisionRow:
    """Return a row as a value.

    Raises:
        BadInput: it is not what was written.
    """
    told: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    try:
        effect, sample, verdict = told["effect"], told["baseline"], told["verdict"]
        return DecisionRow(
            decision=TypeAdapter(Decision).validate_json(told["content"]),
            day=date.fromisoformat(told["day"]),
            state=DecisionState(told["state"]),
            reason=told["reason"],
            reference=told["reference"],
            tries=told["tries"],
            value=told["value"],
            executed_at=_instant(told["executed_at"]),
            baseline=None if sample is None else Sample(**json.loads(sample)),
            verdict=None if verdict is None else Verdict(verdict),
            effect=None if effect is None else Effect(**json.loads(effect)),
            score_reason=told["score_reason"],
            scored_at=_instant(told["scored_at"]),
            undo_by=told["undo_by"],
        )
    except (ValidationError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"a decision of {told['day']} cannot be read: {error!r}"[:400]) from error


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
