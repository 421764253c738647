"""What can happen to a proposal is a table, and rules are figures that make sense."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from roboinvest.core.approvals import (
    NEXT,
    PENDING,
    Approval,
    InboxRules,
    ProposalState,
    require_move,
    require_person,
)
from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.core.proposals import ProposalKind
from tests.fakes.clocks import START
from tests.fakes.governance import a_proposal


def test_what_was_decided_stays_decided() -> None:
    assert set(NEXT) == set(ProposalState)
    for state in ProposalState:
        if state not in PENDING:
            assert NEXT[state] == frozenset()
            with pytest.raises(Refused, match=f"is {state}"):
                require_move("p0", state, ProposalState.OPEN, "")
    assert ProposalState.USED not in NEXT[ProposalState.OPEN]


def test_an_approval_holds_for_its_digest_and_its_day() -> None:
    word = Approval(by="ann", digest="d", at=START, expires_at=START + timedelta(hours=24))
    assert word.holds("d", START)
    assert not word.holds("e", START)
    assert word.holds("d", START + timedelta(hours=24) - timedelta(microseconds=1))
    assert not word.holds("d", START + timedelta(hours=24))
    assert not word.holds("d", START - timedelta(hours=1))  # the clock was set back


@pytest.mark.parametrize(
    "name", ["steward", "Steward ", "STEWARD", "\uff53teward", "policy", "Gates"]
)
def test_what_proposes_cannot_decide_in_any_spelling_of_its_name(name: str) -> None:
    with pytest.raises(Refused, match="another person"):
        require_person(name, a_proposal())


def test_a_person_has_a_name_that_can_be_seen() -> None:
    assert require_person(" Ann\x1b[1m ", a_proposal()) == "Ann[1m"
    for name in ("", " ", "\u200b"):
        with pytest.raises(BadInput):
            require_person(name, a_proposal())


@pytest.mark.parametrize(
    "fields",
    [
        {"max_open": 0},
        {"max_a_day": 0},
        {"max_open_of_all": -1},
        {"approval_lasts": timedelta(0)},
        {"veto_time": timedelta(seconds=-1)},
    ],
    ids=str,
)
def test_rules_that_allow_nothing_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadSettings):
        InboxRules(**fields)


def test_two_persons_are_asked_where_a_person_is() -> None:
    rules = InboxRules(two_persons=frozenset({ProposalKind.BUDGET}))
    assert rules.needed(a_proposal()) == 2
    assert rules.needed(a_proposal(before="10", after="5")) == 1
    assert InboxRules().needed(a_proposal()) == 1
