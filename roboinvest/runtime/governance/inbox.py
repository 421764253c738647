"""The inbox: what waits for a word, who gave it, and the one use of it.

Every move is one transaction with its audit row. An approval is of a digest: an edit makes another
digest, and void what was agreed to. It is used up inside the transaction of the change that it
allows, so that a kill leaves both or neither. While the audit log is not what was written, nobody's
word is taken but for less risk, and no other is used. What a proposal says is there before the
change has to be there when the change is made, wherever less than a person was asked because of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from roboinvest.core.approvals import (
    GATES_NAME,
    PENDING,
    POLICY_NAME,
    Filed,
    InboxRules,
    ProposalState,
    require_move,
    require_person,
    same_name,
)
from roboinvest.core.audit import stamp
from roboinvest.core.change_outcomes import ChangeOutcome, Outcome, Teller
from roboinvest.core.errors import BadInput, NeedsApproval, Refused
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Direction, Level, Proposal, stands_as
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.governance import filing, rows
from roboinvest.runtime.governance.file import GovernanceFile, Transaction
from roboinvest.runtime.governance.outcomes import recorded
from roboinvest.runtime.governance.verify import require_whole

MAX_LISTED: Final = 500
_NOT_SAID: Final = "\0"  # no JSON text


class Inbox:
    """Proposals and what people said to them; any thread or process may use it."""

    def __init__(self, file: GovernanceFile, rules: InboxRules, clock: Clock) -> None:
        self._file = file
        self._rules = rules
        self._clock = clock

    def propose(self, proposal: Proposal) -> Filed:
        """File a proposal; what needs nobody is approved at once.

        Raises:
            Refused: the same is open, or was rejected lately, or its source proposes too much.
            BadInput: it lives too long, is from another time, or its name is taken.
        """

        def file_it(transaction: Transaction) -> None:
            self._swept(transaction)
            filing.require_room(transaction, proposal, self._rules)
            rows.insert(transaction, proposal, self._rules)
            filed = rows.find(transaction.connection, proposal.proposal_id)
            say = {"who": proposal.who, "why": proposal.why, "after": ProposalState.OPEN}
            rows.note(transaction, filed, "filed", **say)  # type: ignore[arg-type]
            if proposal.level is Level.L0:
                self._agree(transaction, filed, POLICY_NAME, "it needs nobody's word")

        self._file.write(file_it)
        return self.get(proposal.proposal_id)

    def approve(self, name: str, digest: str, *, by: str) -> Filed:
        """Say yes as a person, to what has this digest.

        Raises:
            Refused: it is not open, says something else by now, this person cannot decide, or the
                audit log is broken.
            BadInput: there is none of that name.
        """

        self._require_whole(name)

        def approve(transaction: Transaction) -> None:
            filed = self._pending(transaction, name, ProposalState.APPROVED)
            person = require_person(by, filed.proposal)
            _require_digest(filed, digest)
            if any(same_name(each.by) == same_name(person) for each in filed.approvals):
                raise Refused(f"{person} has approved {name} already; another person has to")
            self._agree(transaction, filed, person, "a person agreed")

        self._file.write(approve)
        return self.get(name)

    def approve_by_gates(self, name: str, digest: str, *, record: str) -> Filed:
        """Say yes for the gates; `record` is the digest of what they found.

        Raises:
            Refused: a person has to say it, or as `approve` does.
        """

        self._require_whole(name)

        def approve(transaction: Transaction) -> None:
            filed = self._pending(transaction, name, ProposalState.APPROVED)
            _require_digest(filed, digest)
            if filed.level > Level.L2:
                raise Refused(f"{name} needs a person, and gates are none; see approvals show")
            if not record.strip():
                raise BadInput("gates approve by a record of what they found, and there is none")
            self._agree(transaction, filed, GATES_NAME, f"gates passed: {clean(record, 200)}")

        self._file.write(approve)
        return self.get(name)

    def edit(self, name: str, digest: str, edited: Proposal, *, by: str) -> Filed:
        """Put another version in the place of what has this digest; what was agreed to is void.

        Raises:
            Refused: it is decided, says something else by now, or the same is open already.
            BadInput: the new version has another name, kind or source.
        """

        def edit(transaction: Transaction) -> None:
            filed = self._pending(transaction, name, ProposalState.OPEN)
            person = require_person(by, filed.proposal)
            _require_digest(filed, digest)
            filing.require_edit(transaction, filed, edited, self._rules)
            rows.void_approvals(transaction, name)
            filing.put_version(transaction, filed, edited, person, self._rules)

        self._file.write(edit)
        return self.get(name)

    def reject(self, name: str, *, by: str, reason: str) -> Filed:
        """Say no, also to what was approved and not used yet; the reason is kept as knowledge.

        Raises:
            Refused: it is decided.
            BadInput: there is no reason, or no such proposal.
        """
        why = clean(reason, 1000)
        if not why:
            raise BadInput("a rejection needs a reason: the next proposal learns from it")

        def reject(transaction: Transaction) -> None:
            filed = self._pending(transaction, name, ProposalState.REJECTED)
            person = require_person(by, filed.proposal)
            rows.void_approvals(transaction, name)
            end = ProposalState.REJECTED
            rows.move(transaction, filed, end, who=person, why=why, what="rejected")
            outcome = _rejected(filed.proposal, person, why, transaction.now)
            recorded(transaction, outcome, who=person)

        self._file.write(reject)
        return self.get(name)

    def snooze(self, name: str, *, by: str, until: datetime) -> Filed:
        """Hide it until then; it expires all the same.

        Raises:
            Refused: it is decided.
            BadInput: the time is past, or after its expiry.
        """

        def snooze(transaction: Transaction) -> None:
            filed = self._pending(transaction, name, ProposalState.OPEN)
            person = require_person(by, filed.proposal)
            if not transaction.now < until < filed.proposal.expires_at:
                raise BadInput(
                    f"{name} can be put off to a time before {filed.proposal.expires_at}, and "
                    f"{until} is none"
                )
            transaction.connection.execute(
                "UPDATE proposals SET snoozed_until = ? WHERE proposal_id = ?", (stamp(until), name)
            )
            why = f"put off until {stamp(until)}"
            rows.note(transaction, filed, "snoozed", who=person, why=why, after=filed.state)

        self._file.write(snooze)
        return self.get(name)

    def withdraw(self, name: str, *, by: str) -> Filed:
        """Take back what one proposed oneself.

        Raises:
            Refused: it is decided, or somebody else's.
        """

        def withdraw(transaction: Transaction) -> None:
            end = ProposalState.WITHDRAWN
            filed = self._pending(transaction, name, end)
            if same_name(by) != same_name(filed.proposal.who):
                raise Refused(f"{name} is {filed.proposal.who}'s to withdraw; reject it instead")
            rows.void_approvals(transaction, name)
            who, why = filed.proposal.who, "whoever proposed it took it back"
            rows.move(transaction, filed, end, who=who, why=why, what="withdrawn")

        self._file.write(withdraw)
        return self.get(name)

    def consume(
        self, transaction: Transaction, name: str, digest: str, *, standing: str | None = _NOT_SAID
    ) -> Proposal:
        """Use an approval up, inside the transaction of the change that it allows; return what was
        agreed to, which is what is to be done and nothing else.

        Args:
            transaction: of the change.
            name: of the proposal.
            digest: of what is about to be done.
            standing: JSON text of what is there now; None: nothing is. Where the proposal was held
                for no added risk because of what it says is there, this has to be handed in.

        Raises:
            NeedsApproval: nobody agreed, or the approval expired.
            Refused: it was used, edited, rejected, what is there now is something else, or the
                audit log is broken.
        """
        self._require_trusted(rows.find(transaction.connection, name))
        filed = self._pending(transaction, name, ProposalState.USED, is_use=True)
        _require_digest(filed, digest)
        proposal = filed.proposal
        if filed.state is not ProposalState.APPROVED:
            why = f" ({filed.reason})" if filed.reason else ""
            raise NeedsApproval(
                f"{name} is not approved{why}; see roboinvest approvals show {name}"
            )
        _require_standing(proposal, standing)
        who = ", ".join(each.by for each in filed.approvals)
        rows.use_approvals(transaction, filed)
        rows.move(
            *(transaction, filed, ProposalState.USED),
            who=who,
            why=proposal.why,
            what="used",
            undo=proposal.undo,
        )
        return proposal

    def get(self, name: str) -> Filed:
        """Return a proposal as it stands now.

        Raises:
            BadInput: there is none of that name.
        """
        now = self._clock.now()
        return self._file.read(
            lambda connection: rows.effective(rows.find(connection, name), now, self._rules)
        )

    def listed(self, *, everything: bool = False) -> tuple[Filed, ...]:
        """Return what waits for a word or for its use, the oldest first; or the newest of all."""
        now = self._clock.now()
        pending = "WHERE p.state IN ('open', 'approved') ORDER BY p.filed_at, p.proposal_id"
        newest = "ORDER BY p.filed_at DESC, p.proposal_id"
        rest = f"{newest if everything else pending} LIMIT {MAX_LISTED}"
        found = self._file.read(lambda connection: rows.select(connection, rest)[0])
        standing = (rows.effective(each, now, self._rules) for each in found)
        return tuple(each for each in standing if everything or each.state in PENDING)

    def unreadable(self) -> tuple[str, ...]:
        """Return a sentence on each proposal that waits and is not what was filed."""
        pending = "WHERE p.state IN ('open', 'approved')"
        return self._file.read(lambda connection: rows.select(connection, pending)[1])

    def sweep(self) -> int:
        """Write down what time has done to proposals; return how many changed."""
        return self._file.write(self._swept)

    def _swept(self, transaction: Transaction) -> int:
        pending = "WHERE p.state IN ('open', 'approved') ORDER BY p.filed_at, p.proposal_id"
        found, _ = rows.select(transaction.connection, pending)
        return sum(self._settled(transaction, filed) is not filed.state for filed in found)

    def _settled(self, transaction: Transaction, filed: Filed) -> ProposalState:
        """Write down what time has done to a proposal; return its state."""
        now = rows.effective(filed, transaction.now, self._rules)
        name = filed.proposal.proposal_id
        rows.void_expired(transaction, name)
        if now.state is filed.state:
            return now.state
        if now.state is ProposalState.APPROVED:
            self._agree(transaction, filed, POLICY_NAME, now.reason)
            return now.state
        rows.void_approvals(transaction, name)
        what = "expired" if now.state is ProposalState.EXPIRED else "reopened"
        rows.move(transaction, filed, now.state, who=POLICY_NAME, why=now.reason, what=what)
        return now.state

    def _require_whole(self, name: str) -> None:
        """Raise Refused where no word can be taken: the log that would tell of it is broken."""
        self._require_trusted(self.get(name))

    def _require_trusted(self, filed: Filed) -> None:
        if filed.proposal.direction is not Direction.LESS:
            require_whole(self._file.path, self._file.anchors)

    def _pending(
        self, transaction: Transaction, name: str, to: ProposalState, *, is_use: bool = False
    ) -> Filed:
        """Return a proposal with what time has done to it written down; it can still move.

        Raises:
            Refused: it is decided, or its time is over.
        """
        filed = rows.find(transaction.connection, name)
        if filed.state in PENDING:
            self._settled(transaction, filed)
            filed = rows.find(transaction.connection, name)
            filed = rows.effective(filed, transaction.now, self._rules)  # whose words hold
        if is_use and filed.state is ProposalState.OPEN:
            return filed
        require_move(name, filed.state, to, filed.reason)
        return filed

    def _agree(self, transaction: Transaction, filed: Filed, by: str, why: str) -> None:
        """Write a word down, and approve the proposal if it is the last one that was needed."""
        rows.insert_approval(transaction, filed, by, self._rules)
        given = len(filed.approvals) + 1
        name = filed.proposal.proposal_id
        undo = f"roboinvest approvals reject {name}"
        if given < filed.needed:
            why = f"{why}; {given} of {filed.needed} words are there"
            state = filed.state
            rows.note(transaction, filed, "approved", who=by, why=why, after=state, undo=undo)
            return
        to = ProposalState.APPROVED
        rows.move(transaction, filed, to, who=by, why=why, what="approved", undo=undo)


def _require_digest(filed: Filed, digest: str) -> None:
    if filed.proposal.digest != digest:
        raise Refused(
            f"{filed.proposal.proposal_id} says something else than what was looked at (digest "
            f"{filed.proposal.digest[:12]}, not {digest[:12]!a}); look at it again"
        )


def _require_standing(proposal: Proposal, standing: str | None) -> None:
    """Compare what a proposal says is there with what is."""
    if standing == _NOT_SAID:
        if proposal.direction is not Direction.MORE:
            raise Refused(
                f"{proposal.proposal_id} was let through as no added risk by what it says is there "
                "now; hand in what is there, to be compared"
            )
        return
    if not stands_as(proposal, standing):
        raise Refused(
            f"{proposal.proposal_id} is about {(proposal.before or 'nothing')[:80]}, and there is "
            f"{(standing or 'nothing')[:80]} now; propose it anew"
        )


def _rejected(proposal: Proposal, person: str, why: str, now: datetime) -> ChangeOutcome:
    return ChangeOutcome(
        fingerprint=proposal.fingerprint,
        kind=proposal.kind,
        target=proposal.subject,
        cause=proposal.cause,
        hypothesis=proposal.why,
        evidence_before="; ".join(proposal.evidence)[:1900],
        effect=None,
        outcome=Outcome.REJECTED,
        lesson=why,
        told_by=Teller.PERSON,
        source=person,
        at=now,
    )
