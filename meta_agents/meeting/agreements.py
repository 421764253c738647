"""Where a meeting gets the word it needs: the inbox and its audit log, in threads.

What nobody has to agree to goes through the inbox as well, so that all of it is in one log. A wish
that asks for a person is filed as something only a person can agree to, whatever it would be
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from roboinvest.core.approvals import GATES_NAME, POLICY_NAME, Filed, ProposalState, same_name
from roboinvest.core.audit import AuditEntry
from roboinvest.core.change_outcomes import ChangeOutcome
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import Decision, level_for, terms_of
from roboinvest.core.proposals import Level, Proposal, ProposalKind
from roboinvest.runtime.governance.file import GovernanceFile, Transaction
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.governance.outcomes import recorded
from roboinvest.runtime.oversight.threads import Threads

WHO: Final = "governance"
LASTS: Final = timedelta(days=3)  # of a proposal
HOUSE_NAMES: Final = frozenset({WHO, "overseer", "healer", POLICY_NAME, GATES_NAME})
ResultT = TypeVar("ResultT")


class Agreements:
    """The inbox of a governance file."""

    def __init__(self, file: GovernanceFile, inbox: Inbox, threads: Threads) -> None:
        self._file, self._inbox, self._threads = file, inbox, threads

    async def waiting(self) -> tuple[Filed, ...]:
        """Return what waits for a word."""
        return await self._do(self._inbox.listed)

    async def find(self, name: str) -> Filed | None:
        """Return a proposal; None: it was never filed."""

        def find() -> Filed | None:
            try:
                return self._inbox.get(name)
            except BadInput:
                return None

        return await self._do(find)

    async def file(self, decision: Decision, now: datetime) -> Filed:
        """File what was decided, once.

        Raises:
            Refused, BadInput: the inbox does not take it.
        """
        known = await self.find(decision.decision_id)
        if known is not None:
            return known
        return await self._do(partial(self._inbox.propose, proposal_for(decision, now)))

    async def use(self, filed: Filed, standing: str | None) -> Proposal:
        """Use an approval up; return what was agreed to.

        Raises:
            NeedsApproval: nobody agreed, or it is too late.
            Refused: what stands there is something else by now, or the audit log is broken.
        """
        name, digest = filed.proposal.proposal_id, filed.proposal.digest

        def use(transaction: Transaction) -> Proposal:
            return self._inbox.consume(transaction, name, digest, standing=standing)

        return await self._do(lambda: self._file.write(use))

    async def withdraw(self, name: str) -> None:
        """Take a proposal back.

        Raises:
            Refused: it is decided.
        """

        def withdraw() -> None:
            who = self._inbox.get(name).proposal.who
            if same_name(who) not in HOUSE_NAMES:
                raise Refused(f"{name} is {who}'s, and not the house's to withdraw")
            self._inbox.withdraw(name, by=who)

        await self._do(withdraw)

    async def tell(self, entry: AuditEntry) -> None:
        """Write a row of the audit log."""

        def tell(transaction: Transaction) -> None:
            transaction.audit(entry)

        await self._do(lambda: self._file.write(tell))

    async def learn(self, outcome: ChangeOutcome) -> None:
        """Keep what became of a change; one with the same source is kept once."""
        known = "SELECT 1 FROM change_outcomes WHERE source = ?"

        def learn(transaction: Transaction) -> None:
            source = outcome.source
            if transaction.connection.execute(known, (source,)).fetchone() is None:
                recorded(transaction, outcome, who=WHO)

        await self._do(lambda: self._file.write(learn))

    async def _do(self, work: Callable[[], ResultT]) -> ResultT:
        return await self._threads.do("the inbox", work)


def proposal_for(decision: Decision, now: datetime) -> Proposal:
    """Return a decision as what is agreed to."""
    terms = terms_of(decision.act)
    plain = level_for(
        *(decision.act, decision.subject, decision.before, decision.after), asks_person=False
    )
    asks = decision.level > plain
    expected = f"{decision.metric} {decision.expected:+g} by {decision.deadline:%Y-%m-%d}"
    return Proposal(
        proposal_id=decision.decision_id,
        kind=ProposalKind.REFINEMENT if asks else terms.proposal,
        subject=f"{decision.act}/{decision.subject}"[:120] if asks else decision.subject,
        who=WHO,
        why=f"{decision.description}. {decision.hypothesis}",
        cause="",
        evidence=(f"expected: {expected}, confidence {decision.confidence:g}", *decision.plan),
        before=decision.before,
        after=decision.after,
        risk="a person does this by hand; nothing else changes it"
        if decision.is_by_hand
        else "what it sets is worse than what stood there; it is scored, and can be undone",
        undo=f"roboinvest governance undo {decision.decision_id}",
        made_at=now,
        expires_at=now + LASTS,
    )


def is_agreed(filed: Filed, level: Level) -> bool:
    """Return whether those have agreed who have to: from L3 on a person."""
    words = {same_name(each.by) for each in filed.approvals}
    return filed.state is ProposalState.APPROVED and (level < Level.L3 or bool(words - HOUSE_NAMES))
