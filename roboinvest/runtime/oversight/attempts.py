"""Attempts to heal, in the Overseer's file: written before they act, and closed once.

Blocking, for threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import (
    ActionEnd,
    Expected,
    HealAttempt,
    Rung,
    Verdict,
)
from roboinvest.runtime.oversight.file import OverseerFile

MAX_TEXT: Final = 1_000  # characters of a sentence
_COLUMNS: Final = (
    "attempt_id, agent, measured, cause, rung, systemic, precondition, action, action_end, metric, "
    "target, expected, at, deadline, metric_before, metric_after, verdict, reason, settled_at"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM heal_attempts"  # noqa: S608 the columns are ours
_INSERT: Final = f"INSERT INTO heal_attempts ({_COLUMNS}) VALUES ({', '.join('?' * 19)})"  # noqa: S608 ours


class HealAttempts:
    """The rows of one file."""

    def __init__(self, file: OverseerFile) -> None:
        self._file = file

    def begin(self, attempt: HealAttempt) -> None:
        """Write an attempt down, before anything is done.

        Raises:
            Refused: the agent has an attempt that is not measured yet, or the id is taken.
            TryLater, BadSettings: it cannot be written: nothing may be done then.
        """
        if attempt.verdict is not None or attempt.action_end is not ActionEnd.UNDER_WAY:
            raise BadInput(f"attempt {attempt.attempt_id} begins before it acts, and is not closed")
        self._file.write(lambda db: db.execute(_INSERT, _values(attempt)))

    def acted(self, attempt_id: str, end: ActionEnd, action: str) -> None:
        """Write down how the action ended; that is no verdict."""
        self._change(
            "UPDATE heal_attempts SET action_end = ?, action = ? "
            "WHERE attempt_id = ? AND verdict IS NULL",
            (end, action[:MAX_TEXT], attempt_id),
            attempt_id,
        )

    def settle(
        self,
        attempt_id: str,
        verdict: Verdict,
        reason: str,
        *,
        metric_after: float | None,
        at: datetime,
    ) -> None:
        """Close an attempt.

        Raises:
            Refused: it was closed before, or there is none; or it would be called healed although
                nothing was measured, or the action did not return.
        """
        self._change(
            "UPDATE heal_attempts SET verdict = ?, reason = ?, metric_after = ?, settled_at = ? "
            "WHERE attempt_id = ? AND verdict IS NULL",
            (verdict, reason[:MAX_TEXT], metric_after, _stamp(at), attempt_id),
            attempt_id,
        )

    def get(self, attempt_id: str) -> HealAttempt:
        """Return one attempt.

        Raises:
            BadInput: there is none of that name.
        """
        found = self._found("WHERE attempt_id = ?", (attempt_id,))
        if not found:
            raise BadInput(f"there is no attempt to heal {attempt_id[:80]!a}")
        return found[0]

    def open(self) -> tuple[HealAttempt, ...]:
        """Return the attempts that are not measured yet, oldest first."""
        return self._found("WHERE verdict IS NULL ORDER BY number", ())

    def since(self, at: datetime) -> tuple[HealAttempt, ...]:
        """Return all attempts from an instant on, oldest first; open ones in any case."""
        return self._found("WHERE at >= ? OR verdict IS NULL ORDER BY number", (_stamp(at),))

    def newest(self, limit: int = 50, *, agent: str | None = None) -> tuple[HealAttempt, ...]:
        """Return the newest attempts, newest first, of one agent where it is given."""
        return self._found(
            "WHERE ? IS NULL OR agent = ? ORDER BY number DESC LIMIT ?", (agent, agent, limit)
        )

    def _found(self, rest: str, values: Sequence[object]) -> tuple[HealAttempt, ...]:
        def select(db: sqlite3.Connection) -> list[tuple[object, ...]]:
            return db.execute(f"{_SELECT} {rest}", tuple(values)).fetchall()

        return tuple(_attempt(row) for row in self._file.read(select))

    def _change(self, statement: str, values: Sequence[object], attempt_id: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            if not db.execute(statement, tuple(values)).rowcount:
                raise Refused(f"there is no open attempt {attempt_id}; nothing was written")

        self._file.write(change)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _values(attempt: HealAttempt) -> tuple[object, ...]:
    settled = attempt.settled_at
    return (
        *(attempt.attempt_id, attempt.agent, attempt.measured, attempt.cause, attempt.rung),
        *(attempt.systemic, attempt.precondition[:MAX_TEXT], attempt.action[:MAX_TEXT]),
        *(attempt.action_end, attempt.expected.metric, attempt.expected.target),
        *(attempt.expected.text[:MAX_TEXT], _stamp(attempt.at), _stamp(attempt.deadline)),
        *(attempt.metric_before, attempt.metric_after, attempt.verdict, attempt.reason[:MAX_TEXT]),
        None if settled is None else _stamp(settled),
    )


def _attempt(row: tuple[object, ...]) -> HealAttempt:
    """Return a row as a value.

    Raises:
        BadInput: it is not what `_values` made.
    """
    told = dict(zip(_COLUMNS.split(", "), row, strict=True))
    try:
        after, verdict, settled = told["metric_after"], told["verdict"], told["settled_at"]
        return HealAttempt(
            attempt_id=str(told["attempt_id"]),
            agent=str(told["agent"]),
            measured=str(told["measured"]),
            cause=Cause(str(told["cause"])),
            rung=Rung(str(told["rung"])),
            systemic=bool(told["systemic"]),
            precondition=str(told["precondition"]),
            action=str(told["action"]),
            action_end=ActionEnd(str(told["action_end"])),
            expected=Expected(
                metric=str(told["metric"]),
                target=float(str(told["target"])),
                text=str(told["expected"]),
            ),
            at=datetime.fromisoformat(str(told["at"])),
            deadline=datetime.fromisoformat(str(told["deadline"])),
            metric_before=float(str(told["metric_before"])),
            metric_after=None if after is None else float(str(after)),
            verdict=None if verdict is None else Verdict(str(verdict)),
            reason=str(told["reason"]),
            settled_at=None if settled is None else datetime.fromisoformat(str(settled)),
        )
    except ValueError as error:
        raise BadInput(f"attempt {told['attempt_id']} to heal cannot be read: {error}") from error
