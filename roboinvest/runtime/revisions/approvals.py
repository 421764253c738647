"""Where a person's word for a revision lies: in the inbox, bound to the id of the revision.

What is agreed to is the text `after` of a proposal, which names one revision; an approval of
another one, of an earlier version, used, expired or given by policy or gates is no person's word.
It is used up inside the transaction of the activation, so that a kill leaves both or neither.
"""

from __future__ import annotations

import json
from typing import Final, Protocol

from roboinvest.core.approvals import GATES_NAME, POLICY_NAME
from roboinvest.core.errors import NeedsApproval
from roboinvest.core.proposals import ProposalKind
from roboinvest.core.records import plain_json
from roboinvest.core.revisions.artifact import names_of
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.runtime.governance import rows
from roboinvest.runtime.governance.file import Transaction
from roboinvest.runtime.governance.inbox import Inbox

KINDS: Final = frozenset({ProposalKind.NEW_AGENT, ProposalKind.CODE_EDIT, ProposalKind.REFINEMENT})


def after_of(revision: Revision) -> str:
    """Return the text `after` of a proposal to activate a revision."""
    return plain_json({"activate": revision.agent_id, "revision": revision.revision_id})


class Approvals(Protocol):
    """Where a person's word lies."""

    def use(self, transaction: Transaction, approval_id: str, revision: Revision) -> None:
        """Use an approval up, within a transaction that may still be undone.

        Raises:
            NeedsApproval: nobody agreed, it expired, or it is for something else.
            Refused: it was used or rejected.
            BadInput: there is none of that name.
        """


class NoInbox:
    """A house without an inbox: a person has to come to the command line."""

    def use(self, transaction: Transaction, approval_id: str, revision: Revision) -> None:  # noqa: ARG002 a port's signature
        """Raise NeedsApproval."""
        raise NeedsApproval(
            f"no inbox knows the approval {approval_id!r}; a person activates revision "
            f"{revision.short} with `roboinvest agents activate`"
        )


class InboxApprovals:
    """The house's inbox; an approval is named by its proposal."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def use(self, transaction: Transaction, approval_id: str, revision: Revision) -> None:
        """Use the approval of a proposal up, if a person gave it for this revision."""
        filed = rows.find(transaction.connection, approval_id)
        given = {approval.by for approval in filed.approvals}
        agreed = self._inbox.consume(transaction, approval_id, filed.proposal.digest)
        fault: str | None = None
        if agreed.kind not in KINDS or agreed.subject != revision.agent_id:
            fault = f"is about {agreed.kind} of {agreed.subject}"
        elif agreed.after is None or json.loads(agreed.after) != json.loads(after_of(revision)):
            fault = "is for another revision"
        elif not revision.capabilities <= agreed.capabilities:
            fault = f"does not say {names_of(revision.capabilities - agreed.capabilities)}"
        elif not given - {POLICY_NAME, GATES_NAME}:
            fault = "was given by nobody who is a person"
        if fault is not None:
            raise NeedsApproval(
                f"the approval {approval_id} {fault}; propose revision {revision.short} of "
                f"{revision.agent_id} itself"
            )
