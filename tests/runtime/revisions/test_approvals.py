"""A person's word in the inbox: for one revision, once, and never policy's or a gate's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from roboinvest.core.approvals import InboxRules, ProposalState
from roboinvest.core.errors import BadInput, NeedsApproval, Refused
from roboinvest.core.proposals import Capability, Proposal, ProposalKind
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.revisions.approvals import InboxApprovals, after_of
from tests.fakes.revisions import AGENT, MACHINE, AgentHouse, a_digest, an_artifact, unchanged

DAY_S = 86_400
TRADES = (Capability.PROPOSE_ORDERS,)


def a_proposal_for(house: AgentHouse, revision: Revision, **fields: Any) -> Proposal:
    values: dict[str, Any] = {
        "proposal_id": "p1",
        "kind": ProposalKind.NEW_AGENT,
        "subject": AGENT,
        "who": "factory",
        "why": "it would trade well",
        "cause": "",
        "evidence": (),
        "before": None,
        "after": after_of(revision),
        "risk": "it may lose",
        "undo": f"roboinvest agents rollback {AGENT}",
        "capabilities": revision.capabilities,
        "made_at": house.clock.now(),
        "expires_at": house.clock.now() + timedelta(days=3),
    }
    return Proposal(**{**values, **fields})


def with_inbox(house: AgentHouse) -> tuple[AgentHouse, Inbox]:
    inbox = Inbox(house.file, InboxRules(), house.clock)
    return house.with_(approvals=InboxApprovals(inbox)), inbox


def test_an_approval_of_the_inbox_is_used_once_and_for_one_revision(house: AgentHouse) -> None:
    house, inbox = with_inbox(house)
    revision = house.installed(an_artifact(1, *TRADES))
    twin = house.installed(an_artifact(2, *TRADES), revision.revision_id)
    filed = inbox.propose(a_proposal_for(house, revision))
    with unchanged(house, NeedsApproval, "needs a person's word"):
        house.activate(revision, MACHINE)
    with unchanged(house, NeedsApproval, "p1 is not approved"):
        house.activate(revision, MACHINE, approval_id="p1")
    inbox.approve("p1", filed.proposal.digest, by="ada")
    with unchanged(house, NeedsApproval, "is for another revision"):
        house.activate(twin, MACHINE, approval_id="p1")
    house.activate(revision, MACHINE, approval_id="p1")
    assert inbox.get("p1").state is ProposalState.USED
    with unchanged(house, Refused, "used"):
        house.activate(twin, MACHINE, approval_id="p1")
    assert verify(house.file.path).is_whole


def test_an_approval_is_not_used_up_by_an_activation_that_is_refused(house: AgentHouse) -> None:
    house, inbox = with_inbox(house)
    revision = house.installed(an_artifact(1, *TRADES))
    filed = inbox.propose(a_proposal_for(house, revision))
    inbox.approve("p1", filed.proposal.digest, by="ada")
    place = house.folders.place_of(AGENT, revision.revision_id) / "code" / "strategy.py"
    content = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(b"evil")
    with unchanged(house, Refused, "code/strategy.py of revision"):
        house.activate(revision, MACHINE, approval_id="p1")
    place.write_bytes(content)
    house.activate(revision, MACHINE, approval_id="p1")


def test_an_expired_an_edited_and_an_unknown_approval_are_none(house: AgentHouse) -> None:
    house, inbox = with_inbox(house)
    revision = house.installed(an_artifact(1, *TRADES))
    filed = inbox.propose(a_proposal_for(house, revision))
    with unchanged(house, BadInput, "nothing"):
        house.activate(revision, MACHINE, approval_id="nothing")
    inbox.approve("p1", filed.proposal.digest, by="ada")
    inbox.edit("p1", filed.proposal.digest, replace(filed.proposal, risk="more"), by="ada")
    with unchanged(house, NeedsApproval, "p1 is not approved"):
        house.activate(revision, MACHINE, approval_id="p1")
    inbox.approve("p1", inbox.get("p1").proposal.digest, by="bob")
    house.clock.advance(DAY_S + 1)
    with unchanged(house, NeedsApproval, "p1 is not approved"):
        house.activate(revision, MACHINE, approval_id="p1")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"subject": "other"}, "is about new_agent of other"),
        ({"kind": ProposalKind.PERSONALITY}, "is about personality of scout"),
        ({"after": '{"revision":"x"}'}, "is for another revision"),
        ({"capabilities": frozenset({Capability.SPAWN})}, "does not say OrderProposal"),
    ],
)
def test_an_approval_of_something_else_is_none(
    house: AgentHouse, fields: dict[str, Any], word: str
) -> None:
    house, inbox = with_inbox(house)
    revision = house.installed(an_artifact(1, *TRADES))
    filed = inbox.propose(a_proposal_for(house, revision, **fields))
    inbox.approve("p1", filed.proposal.digest, by="ada")
    with unchanged(house, NeedsApproval, word):
        house.activate(revision, MACHINE, approval_id="p1")


def test_gates_are_no_person(house: AgentHouse) -> None:
    """Where policy lets gates say the word, an escalation still asks for a person."""
    house, inbox = with_inbox(house)
    narrow = house.installed(an_artifact(1))
    house.activate(narrow)
    wide = house.installed(an_artifact(2, Capability.MARKET_DATA), narrow.revision_id)
    edit = a_proposal_for(
        *(house, wide),
        kind=ProposalKind.CODE_EDIT,
        paths=("data/agents/scout/code.py",),
        diff="--- a\n+++ b\n@@ -1 +1 @@\n-x = 1\n+x = 2\n",
    )
    filed = inbox.propose(edit)
    inbox.approve_by_gates("p1", filed.proposal.digest, record=a_digest("gates"))
    with unchanged(house, NeedsApproval, "was given by nobody who is a person"):
        house.activate(wide, MACHINE, approval_id="p1")


def test_without_an_inbox_no_approval_counts(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1, *TRADES))
    with unchanged(house, NeedsApproval, "no inbox knows the approval 'p1'"):
        house.activate(revision, MACHINE, approval_id="p1")
