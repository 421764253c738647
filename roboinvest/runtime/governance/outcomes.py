"""The table of what became of changes, in the governance file."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from roboinvest.core.audit import AuditEntry, stamp
from roboinvest.core.change_outcomes import (
    ChangeOutcome,
    Effect,
    Outcome,
    Teller,
    for_the_next,
    is_switched_off,
)
from roboinvest.core.errors import BadInput
from roboinvest.core.records import canonical_json
from roboinvest.runtime.governance.file import GovernanceFile, Transaction

_LOOKED_AT: Final = 500  # rows of a target or a cause, the newest
_INSERT: Final = """
    INSERT INTO change_outcomes (fingerprint, kind, target, cause, source, outcome, content, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class ChangeOutcomes:
    """What was learned from changes; a row stays, and may be revoked with all of its source."""

    def __init__(self, file: GovernanceFile) -> None:
        self._file = file

    def record(self, outcome: ChangeOutcome, *, who: str) -> int:
        """Write down what became of a change; return the row's number."""
        return self._file.write(lambda transaction: recorded(transaction, outcome, who=who))

    def for_the_next(self, *, target: str, cause: str, now: datetime) -> tuple[ChangeOutcome, ...]:
        """Return what the next proposal on a target, or against a cause, should know."""
        found = self._file.read(
            lambda connection: _select(
                connection, "target = ? OR (? <> '' AND cause = ?)", (target, cause, cause)
            )
        )
        return for_the_next(found, target=target, cause=cause, now=now)

    def is_switched_off(self, *, kind: str, cause: str) -> bool:
        """Return whether changes of a kind against a cause have failed too often to go on."""
        found = self._file.read(
            lambda connection: _select(connection, "kind = ? AND cause = ?", (kind, cause))
        )
        return is_switched_off(found)

    def revoke(self, source: str, *, who: str, why: str) -> int:
        """Take back all that came from a source; return how many rows that were.

        Raises:
            BadInput: nothing came from it that stands.
        """

        def revoke(transaction: Transaction) -> int:
            count = transaction.connection.execute(
                "UPDATE change_outcomes SET revoked_at = ? WHERE source = ? AND revoked_at IS NULL",
                (stamp(transaction.now), source),
            ).rowcount
            if not count:
                raise BadInput(f"no outcome that stands came from {source[:80]!a}")
            _audit(
                *(transaction, "outcome.revoked", source, who, why),
                after=canonical_json({"rows": count}),
            )
            return count

        return self._file.write(revoke)


def recorded(transaction: Transaction, outcome: ChangeOutcome, *, who: str) -> int:
    """Write down what became of a change, in a transaction of somebody else."""
    cursor = transaction.connection.execute(
        _INSERT,
        (
            *(outcome.fingerprint, outcome.kind, outcome.target, outcome.cause, outcome.source),
            *(outcome.outcome, canonical_json(outcome), stamp(outcome.at)),
        ),
    )
    facts = {"outcome": outcome.outcome, "fingerprint": outcome.fingerprint}
    _audit(
        *(transaction, "outcome.recorded", outcome.target, who, outcome.lesson or outcome.outcome),
        after=canonical_json({**facts, "row": cursor.lastrowid}),
    )
    return int(cursor.lastrowid or 0)


def outcome_of(content: str) -> ChangeOutcome:
    """Return the outcome of a stored text.

    Raises:
        BadInput: it is none.
    """
    try:
        facts: dict[str, Any] = json.loads(content)
        effect = None if facts["effect"] is None else Effect(**facts["effect"])
        typed = {
            "effect": effect,
            "outcome": Outcome(facts["outcome"]),
            "told_by": Teller(facts["told_by"]),
            "cost_usd": Decimal(facts["cost_usd"]),
            "at": datetime.fromisoformat(facts["at"]),
        }
        return ChangeOutcome(**{**facts, **typed})
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise BadInput(f"the text is no outcome of a change: {error!r}") from error


def _select(
    connection: sqlite3.Connection, where: str, values: tuple[str, ...]
) -> list[ChangeOutcome]:
    statement = (
        f"SELECT content FROM change_outcomes WHERE revoked_at IS NULL AND ({where}) "  # noqa: S608 ours
        "ORDER BY id DESC LIMIT ?"
    )
    rows = connection.execute(statement, (*values, _LOOKED_AT)).fetchall()
    return [outcome_of(content) for (content,) in rows]


def _audit(
    transaction: Transaction, kind: str, subject: str, who: str, why: str, *, after: str
) -> None:
    transaction.audit(
        AuditEntry(
            kind=kind,
            subject=subject,
            who=who,
            why=why,
            before=None,
            after=after,
            undo=None,
            at=transaction.now,
        )
    )
