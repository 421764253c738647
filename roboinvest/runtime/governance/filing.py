"""What the inbox takes in: no double, no flood, no contradiction, nothing that was just refused.

Taking risk away passes beside whatever is open, and may be proposed ten times as often.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from roboinvest.core.approvals import (
    CLOCK_SLACK,
    Filed,
    InboxRules,
    ProposalState,
    require_move,
    same_name,
)
from roboinvest.core.audit import stamp
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposals import Direction, Level, Proposal
from roboinvest.runtime.governance import rows
from roboinvest.runtime.governance.file import Transaction

_FOR_LESS: Final = 10  # times as many proposals, where they take risk away


def require_room(transaction: Transaction, proposal: Proposal, rules: InboxRules) -> None:
    """Raise Refused or BadInput where the inbox does not take a proposal now."""
    _require_times(transaction, proposal, rules)
    taken = "SELECT 1 FROM proposals WHERE proposal_id = ?"
    if transaction.connection.execute(taken, (proposal.proposal_id,)).fetchone():
        raise BadInput(f"a proposal {proposal.proposal_id} was filed before; give it another name")
    _require_new(transaction, proposal, rules)
    is_less = proposal.direction is Direction.LESS
    _require_quota(transaction, proposal, rules, times=_FOR_LESS if is_less else 1)


def require_edit(
    transaction: Transaction, filed: Filed, edited: Proposal, rules: InboxRules
) -> None:
    """Raise Refused or BadInput where a version cannot take the place of another."""
    old = filed.proposal
    for name in ("proposal_id", "kind", "subject", "who"):
        if getattr(old, name) != getattr(edited, name):
            raise BadInput(f"an edit keeps {name}; propose something else instead")
    if old.digest == edited.digest:
        raise BadInput(f"the edit of {old.proposal_id} changes nothing")
    _require_times(transaction, edited, rules, made_before=True)
    _require_new(transaction, edited, rules)


def put_version(
    transaction: Transaction, filed: Filed, edited: Proposal, by: str, rules: InboxRules
) -> None:
    """Let a version take the place of another; it waits for its own word."""
    name = edited.proposal_id
    require_move(name, filed.state, ProposalState.OPEN, filed.reason)
    version = filed.version + 1
    is_veto = edited.level is Level.L1
    transaction.connection.execute(
        "UPDATE proposals SET digest = ?, version = ?, fingerprint = ?, state = 'open', needed = ?,"
        " expires_at = ?, veto_until = ?, snoozed_until = NULL, reason = '', moved_at = ? "
        "WHERE proposal_id = ?",
        (
            *(edited.digest, version, edited.fingerprint, rules.needed(edited)),
            stamp(edited.expires_at),
            stamp(transaction.now + rules.veto_time) if is_veto else None,
            *(stamp(transaction.now), name),
        ),
    )
    rows.insert_version(transaction, edited, version, by)
    why = f"version {version} takes the place of version {filed.version}"
    state = ProposalState.OPEN
    rows.note(transaction, filed, "edited", who=by, why=why, after=state, digest=edited.digest)


def _require_times(
    transaction: Transaction, proposal: Proposal, rules: InboxRules, *, made_before: bool = False
) -> None:
    now, name = transaction.now, proposal.proposal_id
    if not made_before and abs(now - proposal.made_at) > CLOCK_SLACK:
        raise BadInput(f"{name} was made at {proposal.made_at}, and it is {now} now; make it anew")
    if proposal.expires_at <= now:
        raise BadInput(f"{name} expired at {proposal.expires_at}; make it anew")
    if proposal.expires_at - now > rules.longest_life:
        raise BadInput(
            f"{name} would lie open until {proposal.expires_at}; the longest life of a proposal is "
            f"{rules.longest_life.days} days"
        )


def _require_new(transaction: Transaction, proposal: Proposal, rules: InboxRules) -> None:
    """Raise Refused where the same lies open or was rejected lately, or the contrary lies open."""
    connection, name = transaction.connection, proposal.proposal_id
    same = connection.execute(
        "SELECT proposal_id FROM proposals "
        "WHERE fingerprint = ? AND state IN ('open', 'approved') AND proposal_id <> ?",
        (proposal.fingerprint, name),
    ).fetchone()
    if same:
        raise Refused(f"{name} asks for what {same[0]} asks for already; wait for its decision")
    since = stamp(transaction.now - rules.rejected_rests)
    refused = connection.execute(
        "SELECT proposal_id, reason, moved_at FROM proposals "
        "WHERE fingerprint = ? AND state = 'rejected' AND moved_at > ? AND proposal_id <> ?",
        (proposal.fingerprint, since, name),
    ).fetchone()
    if refused:
        raise Refused(
            f"{name} asks for what was rejected as {refused[0]} on {refused[2][:10]} "
            f"({refused[1][:200]}); ask for something else"
        )
    if proposal.direction is Direction.LESS:
        return
    other = connection.execute(
        "SELECT proposal_id FROM proposals WHERE kind = ? AND subject = ? "
        "AND state IN ('open', 'approved') AND proposal_id <> ?",
        (proposal.kind, proposal.subject, name),
    ).fetchone()
    if other:
        raise Refused(
            f"{name} is a second wish for the {proposal.kind} of {proposal.subject}, and "
            f"{other[0]} is not decided yet; decide or withdraw that one first"
        )


def _require_quota(
    transaction: Transaction, proposal: Proposal, rules: InboxRules, *, times: int
) -> None:
    connection, source, who = transaction.connection, same_name(proposal.who), proposal.who
    pending = "SELECT count(*) FROM proposals WHERE state IN ('open', 'approved')"
    mine = int(connection.execute(f"{pending} AND source = ?", (source,)).fetchone()[0])
    most = rules.max_open * times
    if mine >= most:
        raise Refused(
            f"{who} has {mine} proposals open, and {most} are allowed; wait for decisions"
        )
    since = stamp(transaction.now - timedelta(days=1))
    today = "SELECT count(*) FROM proposals WHERE source = ? AND filed_at > ?"
    filed = int(connection.execute(today, (source, since)).fetchone()[0])
    most = rules.max_a_day * times
    if filed >= most:
        raise Refused(
            f"{who} filed {filed} proposals within a day, and {most} are allowed; propose again "
            "tomorrow"
        )
    everybody = int(connection.execute(pending).fetchone()[0])
    most = rules.max_open_of_all * times
    if everybody >= most:
        raise Refused(
            f"{everybody} proposals lie open, and {most} are allowed; a person has to decide some "
            "first"
        )
