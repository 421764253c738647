"""What can happen to a proposal, as a table, and the rules of the inbox as figures.

An approval is of one digest, for one use, for a day. Which moves there are stands here; who makes
them, and the audit row of each, is the inbox's business.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.core.proposals import Level, Proposal, ProposalKind
from roboinvest.core.text.cleaning import clean

POLICY_NAME: Final = "policy"  # approves what needs nobody
GATES_NAME: Final = "gates"  # approve what needs evidence and nobody
CLOCK_SLACK: Final = timedelta(minutes=5)  # by which a clock may be set back unnoticed


class ProposalState(StrEnum):
    """How far a proposal has come."""

    OPEN = "open"
    APPROVED = "approved"  # and not used yet
    USED = "used"  # the change was made
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"  # by whoever proposed it


NEXT: Final[Mapping[ProposalState, frozenset[ProposalState]]] = {
    ProposalState.OPEN: frozenset(
        {ProposalState.OPEN, ProposalState.APPROVED, ProposalState.REJECTED}
        | {ProposalState.EXPIRED, ProposalState.WITHDRAWN}
    ),
    ProposalState.APPROVED: frozenset(
        {ProposalState.OPEN, ProposalState.USED, ProposalState.REJECTED}
        | {ProposalState.EXPIRED, ProposalState.WITHDRAWN}
    ),
    ProposalState.USED: frozenset(),
    ProposalState.REJECTED: frozenset(),
    ProposalState.EXPIRED: frozenset(),
    ProposalState.WITHDRAWN: frozenset(),
}
PENDING: Final = (ProposalState.OPEN, ProposalState.APPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRules:
    """The figures by which the inbox says no."""

    max_open: int = 5  # of one source
    max_a_day: int = 5  # of one source, decided or not
    max_open_of_all: int = 100
    approval_lasts: timedelta = timedelta(hours=24)
    veto_time: timedelta = timedelta(hours=1)  # of people, against what needs none of them
    longest_life: timedelta = timedelta(days=14)  # of a proposal
    rejected_rests: timedelta = timedelta(days=30)  # before the same may be asked again
    two_persons: frozenset[ProposalKind] = frozenset()  # kinds that need two

    def __post_init__(self) -> None:
        """Check the figures.

        Raises:
            BadSettings: one is not above zero.
        """
        counts = (self.max_open, self.max_a_day, self.max_open_of_all)
        spans = (self.approval_lasts, self.veto_time, self.longest_life, self.rejected_rests)
        if min(counts) < 1 or min(spans) <= timedelta(0):
            raise BadSettings("a figure of the inbox's rules is not above zero; raise it")

    def needed(self, proposal: Proposal) -> int:
        """Return how many persons have to agree."""
        is_personal = proposal.level is Level.L3
        return 2 if is_personal and proposal.kind in self.two_persons else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's word for one digest."""

    by: str
    digest: str
    at: datetime  # UTC
    expires_at: datetime  # UTC

    def holds(self, digest: str, now: datetime) -> bool:
        """Return whether it may be used now, for what has this digest."""
        return self.digest == digest and self.at - CLOCK_SLACK <= now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A proposal as it lies in the inbox."""

    proposal: Proposal
    state: ProposalState
    version: int  # 1, and one more with each edit
    needed: int  # approvals
    approvals: tuple[Approval, ...]  # of this digest, not used and not expired
    filed_at: datetime  # UTC
    veto_until: datetime | None  # UTC; from then on it needs nobody
    snoozed_until: datetime | None  # UTC
    reason: str  # of the last move, in words

    @property
    def level(self) -> Level:
        """Return who has to agree."""
        return self.proposal.level

    def is_snoozed(self, now: datetime) -> bool:
        """Return whether it is not to be shown yet."""
        return self.snoozed_until is not None and now < self.snoozed_until


def require_move(name: str, now: ProposalState, to: ProposalState, reason: str) -> None:
    """Raise Refused where the table has no such move."""
    if to not in NEXT[now]:
        why = f" ({reason})" if reason else ""
        raise Refused(f"the proposal {name} is {now}{why}, and cannot become {to}")


def require_person(name: str, proposal: Proposal) -> str:
    """Return the name of whoever decides, cleaned.

    Raises:
        BadInput: it is none.
        Refused: it is the name of what proposed it, or of a part of the house.
    """
    person = clean(name, 80)
    if not person:
        raise BadInput("a decision needs the name of a person; give --as NAME")
    if same_name(person) in {POLICY_NAME, GATES_NAME, same_name(proposal.who)}:
        raise Refused(f"{person} cannot decide on {proposal.proposal_id}; another person has to")
    return person


def same_name(name: str) -> str:
    """Return a name folded, so that two spellings of it are one."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
