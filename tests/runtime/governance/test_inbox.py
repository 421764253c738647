"""A word is for one digest, for one use, for a day; every move is told in the audit log."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.approvals import InboxRules, ProposalState
from roboinvest.core.change_outcomes import Outcome
from roboinvest.core.errors import BadInput, NeedsApproval, Refused, RoboInvestError
from roboinvest.core.proposals import Level, Proposal, ProposalKind, content_of
from roboinvest.runtime.governance.outcomes import ChangeOutcomes
from roboinvest.runtime.governance.verify import verify
from tests.fakes.clocks import START
from tests.fakes.governance import Bureau, a_code_edit, a_proposal, bureau

HOUR = 3600.0
DAY = 24 * HOUR


def test_a_proposal_is_approved_by_a_person_and_used_once(office: Bureau) -> None:
    proposal = office.filed()
    assert office.inbox.get("p0").state is ProposalState.OPEN
    filed = office.inbox.approve("p0", proposal.digest, by="Ann")
    assert (filed.state, [each.by for each in filed.approvals]) == (ProposalState.APPROVED, ["Ann"])
    assert office.use(proposal) == proposal
    assert office.inbox.get("p0").state is ProposalState.USED
    assert office.told() == ["proposal.filed", "proposal.approved", "proposal.used"]
    used = office.file.rows()[-1].entry
    assert (used.who, used.why, used.undo) == ("Ann", proposal.why, proposal.undo)
    assert verify(office.path).is_whole


def test_hard_case_36_a_used_approval_is_not_used_again(office: Bureau) -> None:
    proposal = office.approved()
    office.use(proposal)
    for _ in range(3):
        with pytest.raises(Refused, match="is used"):
            office.use(proposal)
    with pytest.raises(Refused, match="is used"):
        office.inbox.approve("p0", proposal.digest, by="bob")
    assert len(office.changes()) == 1


def test_hard_case_36_an_approval_is_of_one_digest(office: Bureau) -> None:
    proposal = office.approved()
    other = a_proposal(after='"11"')
    with pytest.raises(Refused, match="says something else"):
        office.use(other)
    with pytest.raises(Refused, match="says something else"):
        office.inbox.edit("p0", other.digest, other, by="ann")
    assert office.changes() == []
    assert office.use(proposal) == proposal


def test_hard_case_36_an_expired_approval_is_none(office: Bureau) -> None:
    proposal = office.approved()
    office.clock.advance(DAY)
    with pytest.raises(NeedsApproval, match="expired before it was used"):
        office.use(proposal)
    assert office.changes() == []
    assert office.inbox.get("p0").state is ProposalState.OPEN
    office.inbox.approve("p0", proposal.digest, by="ann")
    office.use(proposal)
    assert "proposal.reopened" in office.told()
    assert verify(office.path).is_whole


def test_an_approval_does_not_outlive_a_clock_that_is_set_back(office: Bureau) -> None:
    proposal = office.approved()
    office.clock.advance(-HOUR)
    with pytest.raises(NeedsApproval):
        office.use(proposal)


def test_nothing_is_used_that_nobody_approved(office: Bureau) -> None:
    proposal = office.filed()
    with pytest.raises(NeedsApproval, match="not approved"):
        office.use(proposal)
    with pytest.raises(BadInput, match="no proposal is called"):
        office.use(a_proposal(5))
    assert office.changes() == []


def test_a_change_that_fails_leaves_its_approval_unused(office: Bureau) -> None:
    proposal = office.approved()

    def fail(transaction: Any) -> None:
        office.inbox.consume(transaction, "p0", proposal.digest)
        raise BadInput("the change failed")

    with pytest.raises(BadInput, match="the change failed"):
        office.file.write(fail)
    assert office.inbox.get("p0").state is ProposalState.APPROVED
    office.use(proposal)


def test_an_edit_makes_another_digest_and_voids_what_was_agreed(office: Bureau) -> None:
    old = office.approved()
    new = a_proposal(after='"7"')
    filed = office.inbox.edit("p0", old.digest, new, by="bob")
    assert (filed.version, filed.state, filed.approvals) == (2, ProposalState.OPEN, ())
    with pytest.raises(NeedsApproval):
        office.use(new)
    with pytest.raises(Refused, match="says something else"):
        office.use(old)
    with pytest.raises(Refused, match="says something else"):
        office.inbox.approve("p0", old.digest, by="ann")
    office.inbox.approve("p0", new.digest, by="ann")
    assert office.use(new).after == '"7"'
    assert verify(office.path).is_whole


def test_an_edit_back_to_what_was_approved_needs_a_new_word(office: Bureau) -> None:
    old = office.approved()
    new = a_proposal(after='"7"')
    office.inbox.edit("p0", old.digest, new, by="bob")
    office.inbox.edit("p0", new.digest, old, by="bob")
    with pytest.raises(NeedsApproval):
        office.use(old)
    office.inbox.approve("p0", old.digest, by="ann")
    office.use(old)


@pytest.mark.parametrize(
    "fields",
    [
        {"proposal_id": "p9"},
        {"subject": "agent-9"},
        {"who": "ann"},
        {"kind": ProposalKind.SCHEDULE},
        {},
        {"expires_at": START + timedelta(days=30)},
    ],
    ids=str,
)
def test_an_edit_keeps_who_and_what_it_is_about(office: Bureau, fields: dict[str, Any]) -> None:
    old = office.filed()
    with pytest.raises(BadInput):
        office.inbox.edit("p0", old.digest, a_proposal(**fields), by="bob")
    assert office.inbox.get("p0").proposal == old
    assert office.told() == ["proposal.filed"]


def test_a_rejection_needs_a_reason_and_teaches_the_next_one(office: Bureau) -> None:
    proposal = office.filed()
    with pytest.raises(BadInput, match="needs a reason"):
        office.inbox.reject("p0", by="ann", reason=" \u200b")
    filed = office.inbox.reject("p0", by="ann", reason="money does not find setups")
    assert filed.state is ProposalState.REJECTED
    (known,) = ChangeOutcomes(office.file).for_the_next(
        target="agent-0", cause="", now=office.clock.now()
    )
    assert (known.outcome, known.lesson) == (Outcome.REJECTED, "money does not find setups")
    assert known.fingerprint == proposal.fingerprint
    for act in (
        lambda: office.use(proposal),
        lambda: office.inbox.approve("p0", proposal.digest, by="ann"),
        lambda: office.inbox.reject("p0", by="ann", reason="again"),
    ):
        with pytest.raises(Refused, match="is rejected"):
            act()
    assert verify(office.path).is_whole


def test_an_approved_one_can_be_rejected_until_it_is_used(office: Bureau) -> None:
    proposal = office.approved()
    office.inbox.reject("p0", by="bob", reason="wait")
    with pytest.raises(Refused, match="is rejected"):
        office.use(proposal)


def test_hard_case_51_what_was_rejected_is_not_asked_again_for_a_month(office: Bureau) -> None:
    patch = "-fast = mean(bars, 10)\n+fast = mean(bars, 12)\n"
    office.inbox.propose(a_code_edit(diff=patch))
    office.inbox.reject("p0", by="ann", reason="overfit")
    renamed = patch.replace("fast", "speed").replace("bars", "rows")
    office.clock.advance(DAY)
    late: dict[str, Any] = {
        "made_at": office.clock.now(),
        "expires_at": office.clock.now() + timedelta(days=1),
    }
    with pytest.raises(Refused, match="was rejected as p0 on 2026-01-05 \\(overfit\\)"):
        office.inbox.propose(a_code_edit(proposal_id="p1", diff=renamed, who="other", **late))
    office.clock.advance(30 * DAY)
    late = {"made_at": office.clock.now(), "expires_at": office.clock.now() + timedelta(days=1)}
    office.inbox.propose(a_code_edit(proposal_id="p1", diff=renamed, **late))


def test_the_same_is_refused_while_it_is_open_and_so_is_the_contrary(office: Bureau) -> None:
    office.filed()
    with pytest.raises(Refused, match="asks for what p0 asks for"):
        office.filed(number=1, subject="agent-0", who="other", why="me too")
    with pytest.raises(Refused, match="second wish"):
        office.filed(number=1, subject="agent-0", after='"20"')
    assert office.told() == ["proposal.filed"]
    office.inbox.withdraw("p0", by="steward")
    office.filed(number=1, subject="agent-0", after='"20"')


def test_less_risk_passes_beside_what_is_open(office: Bureau) -> None:
    office.filed()
    lower = office.filed(number=1, subject="agent-0", before='"5"', after='"1"')
    assert office.inbox.get("p1").state is ProposalState.APPROVED
    with pytest.raises(Refused, match="hand in what is there"):
        office.use(lower)
    with pytest.raises(Refused, match=r'there is "0\.5" now'):
        office.use(lower, standing='"0.5"')
    assert office.use(lower, standing='"5.00"') == lower


def test_hard_case_50_fifty_wishes_at_once_do_not_flood_anybody(office: Bureau) -> None:
    refused = []
    for number in range(50):
        try:
            office.filed(number=number, who="governance")
        except Refused as error:
            refused.append(str(error))
    assert len(office.inbox.listed()) == InboxRules().max_open
    assert len(refused) == 45
    assert "governance has 5 proposals open, and 5 are allowed" in refused[0]
    office.filed(number=60, who="another")
    for number in range(5):
        office.inbox.reject(f"p{number}", by="ann", reason="no")
    with pytest.raises(Refused, match="filed 5 proposals within a day"):
        office.filed(number=61, who="Governance")
    office.filed(number=62, who="governance", before='"5"', after='"1"')  # less is let through


def test_all_sources_together_have_an_end(tmp_path: Path) -> None:
    with bureau(tmp_path, InboxRules(max_open_of_all=3)) as office:
        for number in range(3):
            office.filed(number=number, who=f"source {number}")
        with pytest.raises(Refused, match="3 proposals lie open"):
            office.filed(number=3, who="source 3")


def test_what_needs_nobody_is_approved_at_once_and_logged(office: Bureau) -> None:
    proposal = office.filed(kind=ProposalKind.RESTART, before=None, after=None)
    assert proposal.level is Level.L0
    assert office.told() == ["proposal.filed", "proposal.approved"]
    office.use(proposal)


def test_people_have_an_hour_to_say_no(office: Bureau) -> None:
    label: dict[str, Any] = {"kind": ProposalKind.PROMPT_LABEL, "before": '"v1"', "after": '"v2"'}
    proposal = office.filed(**label)
    assert proposal.level is Level.L1
    office.clock.advance(HOUR - 1)
    with pytest.raises(NeedsApproval):
        office.use(proposal)
    office.clock.advance(1)
    assert office.inbox.get("p0").state is ProposalState.APPROVED
    office.use(proposal)
    office.filed(number=1, **label)
    office.inbox.reject("p1", by="ann", reason="no")
    office.clock.advance(2 * HOUR)
    assert office.inbox.get("p1").state is ProposalState.REJECTED


def test_gates_approve_what_they_may_and_never_for_a_person(office: Bureau) -> None:
    edit = a_code_edit()
    office.inbox.propose(edit)
    with pytest.raises(BadInput, match="record"):
        office.inbox.approve_by_gates("p0", edit.digest, record=" ")
    office.inbox.approve_by_gates("p0", edit.digest, record="f" * 64)
    office.use(edit)
    budget = office.filed(number=1)
    with pytest.raises(Refused, match="needs a person"):
        office.inbox.approve_by_gates("p1", budget.digest, record="f" * 64)


def test_two_persons_are_two(tmp_path: Path) -> None:
    with bureau(tmp_path, InboxRules(two_persons=frozenset({ProposalKind.BUDGET}))) as office:
        proposal = office.filed()
        filed = office.inbox.approve("p0", proposal.digest, by="ann")
        assert (filed.state, filed.needed) == (ProposalState.OPEN, 2)
        with pytest.raises(NeedsApproval):
            office.use(proposal)
        with pytest.raises(Refused, match="another person has to"):
            office.inbox.approve("p0", proposal.digest, by=" ANN")
        assert office.inbox.approve("p0", proposal.digest, by="bob").state is ProposalState.APPROVED
        office.use(proposal)
        assert office.file.rows()[-1].entry.who == "ann, bob"
        assert verify(office.path).is_whole


def test_the_first_of_two_words_expires_by_itself(tmp_path: Path) -> None:
    with bureau(tmp_path, InboxRules(two_persons=frozenset({ProposalKind.BUDGET}))) as office:
        proposal = office.filed()
        office.inbox.approve("p0", proposal.digest, by="ann")
        office.clock.advance(DAY)
        assert office.inbox.approve("p0", proposal.digest, by="bob").state is ProposalState.OPEN
        with pytest.raises(NeedsApproval):
            office.use(proposal)
        office.inbox.approve("p0", proposal.digest, by="ann")
        office.use(proposal)


def test_what_proposes_does_not_approve(office: Bureau) -> None:
    proposal = office.filed()
    for name in ("steward", "Steward", "policy", "gates"):
        with pytest.raises(Refused, match="another person"):
            office.inbox.approve("p0", proposal.digest, by=name)


def raced(act: Callable[[int], object]) -> list[object]:
    """Do it six times at once; return what each came to."""
    gate = threading.Barrier(6)

    def one(number: int) -> object:
        gate.wait()
        try:
            return act(number)
        except RoboInvestError as error:
            return error

    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(one, range(6)))


def test_of_approvals_that_race_one_wins(tmp_path: Path) -> None:
    with bureau(tmp_path) as office, bureau(tmp_path) as other:
        proposal = office.filed()

        def approve(number: int) -> object:
            inbox = (office, other)[number % 2].inbox
            return inbox.approve("p0", proposal.digest, by=f"person {number}")

        assert sum(isinstance(end, Refused) for end in raced(approve)) == 5
        assert office.told().count("proposal.approved") == 1


def test_of_uses_that_race_one_wins(tmp_path: Path) -> None:
    with bureau(tmp_path) as office, bureau(tmp_path) as other:
        proposal = office.approved()
        ends = raced(lambda number: (office, other)[number % 2].use(proposal))
        assert sum(isinstance(end, Proposal) for end in ends) == 1
        assert len(office.changes()) == 1
        assert verify(office.path).is_whole


def test_a_proposal_expires_and_says_so(office: Bureau) -> None:
    proposal = office.filed()
    office.clock.advance(3 * DAY)
    assert office.inbox.get("p0").state is ProposalState.EXPIRED
    with pytest.raises(Refused, match="expired"):
        office.inbox.approve("p0", proposal.digest, by="ann")
    assert office.inbox.sweep() == 1
    assert office.told() == ["proposal.filed", "proposal.expired"]
    assert office.inbox.sweep() == 0
    assert office.inbox.listed() == ()
    assert len(office.inbox.listed(everything=True)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"made_at": START - timedelta(days=1), "expires_at": START + timedelta(days=1)},
        {"made_at": START + timedelta(days=1), "expires_at": START + timedelta(days=2)},
        {"expires_at": START + timedelta(days=15)},
    ],
    ids=["old", "from the future", "for ever"],
)
def test_a_proposal_is_of_now_and_not_for_ever(office: Bureau, fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        office.inbox.propose(a_proposal(**fields))
    assert office.told() == []


def test_a_name_is_taken_once(office: Bureau) -> None:
    office.filed()
    with pytest.raises(BadInput, match="another name"):
        office.inbox.propose(a_proposal(subject="agent-5"))


def test_a_snoozed_proposal_is_hidden_and_expires_all_the_same(office: Bureau) -> None:
    office.filed()
    later = office.clock.now() + timedelta(hours=4)
    assert office.inbox.snooze("p0", by="ann", until=later).is_snoozed(office.clock.now())
    assert not office.inbox.get("p0").is_snoozed(later)
    for until in (START, START + timedelta(days=3)):
        with pytest.raises(BadInput, match="put off"):
            office.inbox.snooze("p0", by="ann", until=until)


def test_only_whoever_proposed_withdraws(office: Bureau) -> None:
    office.filed()
    with pytest.raises(Refused, match="reject it instead"):
        office.inbox.withdraw("p0", by="ann")
    assert office.inbox.withdraw("p0", by="steward").state is ProposalState.WITHDRAWN


def forged(office: Bureau, statement: str) -> None:
    """Change the file with its guards away."""
    with closing(sqlite3.connect(office.path)) as connection:
        names = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        for (name,) in connection.execute(names).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()


def test_hard_case_36_a_proposal_that_was_changed_in_the_file_is_not_used(office: Bureau) -> None:
    proposal = office.approved()
    office.filed(number=1)
    forged(
        office,
        'UPDATE proposal_versions SET content = replace(content, \'"\\"10\\""\', \'"\\"999\\""\') '
        "WHERE proposal_id = 'p0'",
    )
    with pytest.raises(Refused, match="was changed in the file"):
        office.use(proposal)
    with pytest.raises(Refused, match="was changed in the file"):
        office.inbox.get("p0")
    assert [each.proposal.proposal_id for each in office.inbox.listed()] == ["p1"]
    (fault,) = office.inbox.unreadable()
    assert fault.startswith("p0: ")
    assert not verify(office.path).is_whole


def test_an_earlier_version_that_was_forged_with_its_digest_is_found(office: Bureau) -> None:
    old, new = office.filed(), a_proposal(after='"7"')
    office.inbox.edit("p0", old.digest, new, by="bob")
    forged_one = a_proposal(after='"6"')
    content = content_of(forged_one).replace("'", "''")
    forged(
        office,
        f"UPDATE proposal_versions SET digest = '{forged_one.digest}', content = '{content}' "  # noqa: S608 ours
        "WHERE version = 1",
    )
    assert any("what was proposed as p0" in each.text for each in verify(office.path).breaks)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals SET used_at = NULL",
        "UPDATE approvals SET expires_at = '9999'",
        "DELETE FROM approvals",
        "UPDATE proposals SET state = 'approved'",
        "DELETE FROM proposals",
        "UPDATE proposal_versions SET content = ''",
        "DELETE FROM proposal_versions",
    ],
)
def test_what_is_decided_is_guarded_by_the_tables_themselves(
    office: Bureau, statement: str
) -> None:
    office.use(office.approved())
    with pytest.raises(Refused):
        office.file.write(lambda transaction: transaction.connection.execute(statement))
    assert verify(office.path).is_whole
