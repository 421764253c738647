"""Proposals, entries and governance files for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from roboinvest.core.approvals import InboxRules
from roboinvest.core.audit import AuditEntry
from roboinvest.core.change_outcomes import ChangeOutcome, Effect, Outcome, Teller
from roboinvest.core.proposals import Proposal, ProposalKind
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile, Transaction
from roboinvest.runtime.governance.inbox import Inbox
from tests.fakes.clocks import START, ManualClock


def an_entry(number: int = 0, **fields: Any) -> AuditEntry:
    """Return the entry about thing-<number>."""
    values: dict[str, Any] = {
        "kind": "thing.changed",
        "subject": f"thing-{number}",
        "who": "ann",
        "why": "it was wrong",
        "before": json.dumps({"value": number}),
        "after": json.dumps({"value": number + 1}),
        "undo": f"put thing-{number} back",
        "at": START + timedelta(seconds=number),
    }
    return AuditEntry(**{**values, **fields})


def a_proposal(number: int = 0, **fields: Any) -> Proposal:
    """Return p<number>: agent a<number> asks for 10 USD a day instead of 5; a person decides."""
    values: dict[str, Any] = {
        "proposal_id": f"p{number}",
        "kind": ProposalKind.BUDGET,
        "subject": f"agent-{number}",
        "who": "steward",
        "why": "more questions would find more setups",
        "cause": "budget spent by noon",
        "evidence": ("12 of 20 days ended without money for questions",),
        "before": '"5"',
        "after": '"10"',
        "risk": "5 USD a day are lost",
        "undo": f"roboinvest llm budget agent-{number} 5",
        "made_at": START,
        "expires_at": START + timedelta(days=3),
    }
    return Proposal(**{**values, **fields})


def a_code_edit(number: int = 0, **fields: Any) -> Proposal:
    """Return p<number>: an edit of a prompt that lies where nobody has to be asked."""
    values: dict[str, Any] = {
        "kind": ProposalKind.CODE_EDIT,
        "subject": f"strategy-{number}",
        "before": None,
        "after": None,
        "diff": "--- a\n+++ b\n@@ -1 +1 @@\n-fast = 10\n+fast = 12\n",
        "paths": (f"data/agents/strategy-{number}/code.py",),
    }
    return a_proposal(number, **{**values, **fields})


def an_outcome(number: int = 0, **fields: Any) -> ChangeOutcome:
    """Return an outcome of change f<number>, measured by the house."""
    values: dict[str, Any] = {
        "fingerprint": f"f{number}",
        "kind": "prompt_edit",
        "target": "strategist",
        "cause": "format drift",
        "hypothesis": "fewer bad replies",
        "evidence_before": "9 of 100 replies could not be read",
        "effect": Effect(mean=0.02, low=0.01, high=0.03, n=120),
        "outcome": Outcome.BETTER,
        "lesson": "examples help",
        "told_by": Teller.HOUSE,
        "source": f"run-{number}",
        "at": START,
    }
    return ChangeOutcome(**{**values, **fields})


@dataclass
class Bureau:
    """A governance file with its inbox, and a clock that the test moves."""

    folder: Path
    file: GovernanceFile
    inbox: Inbox
    clock: ManualClock = field(default_factory=ManualClock)

    @property
    def path(self) -> Path:
        """Return where the file lies."""
        return self.file.path

    def filed(self, proposal: Proposal | None = None, **fields: Any) -> Proposal:
        """File a proposal; return it."""
        proposal = proposal or a_proposal(made_at=self.clock.now(), **fields)
        self.inbox.propose(proposal)
        return proposal

    def approved(self, **fields: Any) -> Proposal:
        """File a proposal that ann approves; return it."""
        proposal = self.filed(**fields)
        self.inbox.approve(proposal.proposal_id, proposal.digest, by="ann")
        return proposal

    def use(self, proposal: Proposal, **more: Any) -> Proposal:
        """Use an approval up, with a change of one row beside it."""

        def change(transaction: Transaction) -> Proposal:
            done = self.inbox.consume(transaction, proposal.proposal_id, proposal.digest, **more)
            transaction.connection.execute(
                "INSERT INTO changes VALUES (?, ?)", (done.proposal_id, done.after)
            )
            return done

        return self.file.write(change)

    def changes(self) -> list[tuple[str, str]]:
        """Return the changes that were made."""
        return self.file.read(
            lambda connection: connection.execute("SELECT * FROM changes").fetchall()
        )

    def told(self) -> list[str]:
        """Return the kinds of the audit rows."""
        return [row.entry.kind for row in self.file.rows()]


CHANGES = "CREATE TABLE IF NOT EXISTS changes (proposal_id TEXT, after TEXT)"


@contextmanager
def bureau(folder: Path, rules: InboxRules | None = None) -> Iterator[Bureau]:
    """Open a governance file in a folder."""
    clock = ManualClock()
    with GovernanceFile.open(folder / FILE_NAME, clock, schemas=[CHANGES]) as file:
        inbox = Inbox(file, rules or InboxRules(), clock)
        yield Bureau(folder=folder, file=file, inbox=inbox, clock=clock)
