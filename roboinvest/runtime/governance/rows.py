"""Rows of the inbox, read and written inside a transaction that somebody else begins and ends."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Final

from roboinvest.core.approvals import (
    PENDING,
    Approval,
    Filed,
    InboxRules,
    ProposalState,
    require_move,
    same_name,
)
from roboinvest.core.audit import AuditEntry, stamp
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposals import Level, Proposal, content_of, proposal_of
from roboinvest.core.records import canonical_json
from roboinvest.runtime.governance.file import Transaction

_COLUMNS: Final = """
    SELECT p.proposal_id, p.digest, p.version, p.state, p.needed, p.filed_at, p.veto_until,
           p.snoozed_until, p.reason, v.content
    FROM proposals AS p
    JOIN proposal_versions AS v ON v.proposal_id = p.proposal_id AND v.version = p.version
"""
_APPROVALS: Final = """
    SELECT by, digest, at, expires_at FROM approvals
    WHERE proposal_id = ? AND digest = ? AND used_at IS NULL AND void_at IS NULL ORDER BY id
"""
_INSERT: Final = """
    INSERT INTO proposals (proposal_id, kind, subject, source, fingerprint, digest, version, state,
                           needed, filed_at, expires_at, veto_until, reason, moved_at)
    VALUES (?, ?, ?, ?, ?, ?, 1, 'open', ?, ?, ?, ?, '', ?)
"""


def insert(transaction: Transaction, proposal: Proposal, rules: InboxRules) -> None:
    """Write a new proposal down."""
    now = stamp(transaction.now)
    is_veto = proposal.level is Level.L1
    veto = stamp(transaction.now + rules.veto_time) if is_veto else None
    transaction.connection.execute(
        _INSERT,
        (
            *(proposal.proposal_id, proposal.kind, proposal.subject, same_name(proposal.who)),
            *(proposal.fingerprint, proposal.digest, rules.needed(proposal), now),
            *(stamp(proposal.expires_at), veto, now),
        ),
    )
    insert_version(transaction, proposal, 1, proposal.who)


def insert_version(transaction: Transaction, proposal: Proposal, version: int, by: str) -> None:
    """Keep what a proposal says."""
    transaction.connection.execute(
        "INSERT INTO proposal_versions VALUES (?, ?, ?, ?, ?, ?)",
        (
            *(proposal.proposal_id, version, proposal.digest, content_of(proposal), by),
            stamp(transaction.now),
        ),
    )


def select(connection: sqlite3.Connection, rest: str) -> tuple[tuple[Filed, ...], tuple[str, ...]]:
    """Return proposals as they are stored, and a sentence on each that cannot be read."""
    found: list[Filed] = []
    faults: list[str] = []
    for row in connection.execute(_COLUMNS + rest).fetchall():
        try:
            found.append(_filed(connection, row))
        except (BadInput, Refused, ValueError) as error:  # ValueError: a state or time that is none
            faults.append(f"{row[0]}: {error}")
    return tuple(found), tuple(faults)


def find(connection: sqlite3.Connection, name: str) -> Filed:
    """Return one proposal as it is stored.

    Raises:
        BadInput: there is none.
        Refused: what it says is not what its digest covers.
    """
    row = connection.execute(f"{_COLUMNS} WHERE p.proposal_id = ?", (name,)).fetchone()
    if row is None:
        raise BadInput(f"no proposal is called {name[:120]!a}; see roboinvest approvals ls --all")
    return _filed(connection, row)


def effective(filed: Filed, now: datetime, rules: InboxRules) -> Filed:
    """Return a proposal as it stands now: what time has done to it is in no row yet."""
    if filed.state not in PENDING:
        return filed
    if now >= filed.proposal.expires_at:
        return replace(filed, state=ProposalState.EXPIRED, reason="nobody decided in time")
    holding = tuple(each for each in filed.approvals if each.holds(filed.proposal.digest, now))
    if filed.state is ProposalState.APPROVED and len(holding) < filed.needed:
        reason = "its approval expired before it was used"
        return replace(filed, state=ProposalState.OPEN, approvals=holding, reason=reason)
    due = filed.veto_until
    is_due = due is not None and due <= now < due + rules.approval_lasts
    if is_due and filed.state is ProposalState.OPEN:
        reason = "nobody said no in time"
        return replace(filed, state=ProposalState.APPROVED, approvals=holding, reason=reason)
    return replace(filed, approvals=holding)


def move(
    transaction: Transaction,
    filed: Filed,
    to: ProposalState,
    *,
    who: str,
    why: str,
    what: str,
    undo: str | None = None,
) -> None:
    """Bring a proposal to its next state, with an audit row.

    Raises:
        Refused: there is no such move.
    """
    proposal = filed.proposal
    name = proposal.proposal_id
    require_move(name, filed.state, to, filed.reason)
    transaction.connection.execute(
        "UPDATE proposals SET state = ?, reason = ?, moved_at = ? WHERE proposal_id = ?",
        (to, why, stamp(transaction.now), name),
    )
    note(transaction, filed, what, who=who, why=why, after=to, undo=undo)


def note(
    transaction: Transaction,
    filed: Filed,
    what: str,
    *,
    who: str,
    why: str,
    after: ProposalState,
    digest: str = "",
    undo: str | None = None,
) -> None:
    """Append the audit row of what happened to a proposal."""
    proposal = filed.proposal
    now = {"state": after, "digest": digest or proposal.digest, "level": proposal.level.name}
    transaction.audit(
        AuditEntry(
            kind=f"proposal.{what}",
            subject=proposal.proposal_id,
            who=who,
            why=why,
            before=canonical_json({"state": filed.state, "digest": proposal.digest}),
            after=canonical_json({**now, "kind": proposal.kind, "about": proposal.subject}),
            undo=undo,
            at=transaction.now,
        )
    )


def insert_approval(transaction: Transaction, filed: Filed, by: str, rules: InboxRules) -> Approval:
    """Write somebody's word down; it holds for a day, and not longer than the proposal."""
    proposal, now = filed.proposal, transaction.now
    ends = min(now + rules.approval_lasts, proposal.expires_at)
    transaction.connection.execute(
        "INSERT INTO approvals (proposal_id, digest, person, by, at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (proposal.proposal_id, proposal.digest, same_name(by), by, stamp(now), stamp(ends)),
    )
    return Approval(by=by, digest=proposal.digest, at=now, expires_at=ends)


def void_approvals(transaction: Transaction, name: str) -> None:
    """Take the force of all approvals of a proposal that were not used."""
    transaction.connection.execute(
        "UPDATE approvals SET void_at = ? "
        "WHERE proposal_id = ? AND used_at IS NULL AND void_at IS NULL",
        (stamp(transaction.now), name),
    )


def void_expired(transaction: Transaction, name: str) -> None:
    """Take the force of approvals whose time is over, so that the same person can approve again."""
    now = stamp(transaction.now)
    transaction.connection.execute(
        "UPDATE approvals SET void_at = ? "
        "WHERE proposal_id = ? AND used_at IS NULL AND void_at IS NULL AND expires_at <= ?",
        (now, name, now),
    )


def use_approvals(transaction: Transaction, filed: Filed) -> None:
    """Mark the approvals of a proposal as used."""
    transaction.connection.execute(
        "UPDATE approvals SET used_at = ? "
        "WHERE proposal_id = ? AND digest = ? AND used_at IS NULL AND void_at IS NULL",
        (stamp(transaction.now), filed.proposal.proposal_id, filed.proposal.digest),
    )


def _filed(connection: sqlite3.Connection, row: tuple[object, ...]) -> Filed:
    name, digest, version, state, needed, filed_at, veto_until, snoozed_until, reason, content = row
    proposal = proposal_of(str(content))
    if proposal.digest != digest or proposal.proposal_id != name:
        raise Refused(
            f"the proposal {name} was changed in the file: what it says is not what its digest "
            "covers; run roboinvest audit verify"
        )
    given = connection.execute(_APPROVALS, (name, digest)).fetchall()
    return Filed(
        proposal=proposal,
        state=ProposalState(str(state)),
        version=int(str(version)),
        needed=int(str(needed)),
        approvals=tuple(
            Approval(
                by=by,
                digest=of,
                at=datetime.fromisoformat(at),
                expires_at=datetime.fromisoformat(ends),
            )
            for by, of, at, ends in given
        ),
        filed_at=datetime.fromisoformat(str(filed_at)),
        veto_until=_instant(veto_until),
        snoozed_until=_instant(snoozed_until),
        reason=str(reason),
    )


def _instant(text: object) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
