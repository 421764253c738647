"""Outcomes are rows: told to the next proposal, and revoked together with their source."""

from __future__ import annotations

import pytest

from roboinvest.core.change_outcomes import ChangeOutcome, Outcome
from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.governance.outcomes import ChangeOutcomes, outcome_of
from tests.fakes.governance import Bureau, an_outcome


@pytest.fixture
def outcomes(office: Bureau) -> ChangeOutcomes:
    """Return the table, with a failure and a success."""
    table = ChangeOutcomes(office.file)
    table.record(an_outcome(1), who="house")
    table.record(an_outcome(2, outcome=Outcome.WORSE, source="run-1", target="x"), who="house")
    return table


def told(outcomes: ChangeOutcomes, office: Bureau) -> tuple[ChangeOutcome, ...]:
    return outcomes.for_the_next(target="strategist", cause="format drift", now=office.clock.now())


def test_an_outcome_is_read_back_as_it_was(outcomes: ChangeOutcomes, office: Bureau) -> None:
    worse = an_outcome(2, outcome=Outcome.WORSE, source="run-1", target="x")
    assert told(outcomes, office) == (worse, an_outcome(1))
    assert office.told() == ["outcome.recorded"] * 2


def test_what_came_from_a_source_is_revoked_together(
    outcomes: ChangeOutcomes, office: Bureau
) -> None:
    outcomes.record(an_outcome(3), who="house")
    assert outcomes.revoke("run-1", who="ann", why="its data were wrong") == 2
    assert told(outcomes, office) == (an_outcome(3),)
    with pytest.raises(BadInput, match="no outcome that stands"):
        outcomes.revoke("run-1", who="ann", why="again")
    assert office.told()[-1] == "outcome.revoked"


def test_a_kind_is_switched_off_by_its_rows(outcomes: ChangeOutcomes, office: Bureau) -> None:
    assert not outcomes.is_switched_off(kind="prompt_edit", cause="timeout")
    for number in range(20):
        outcomes.record(an_outcome(number, outcome=Outcome.WORSE, cause="timeout"), who="house")
    assert outcomes.is_switched_off(kind="prompt_edit", cause="timeout")
    assert not outcomes.is_switched_off(kind="code_edit", cause="timeout")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_outcomes SET outcome = 'better', revoked_at = 'x'",
        "UPDATE change_outcomes SET content = '{}', revoked_at = 'x'",
        "DELETE FROM change_outcomes",
    ],
)
def test_a_row_is_not_rewritten(outcomes: ChangeOutcomes, office: Bureau, statement: str) -> None:
    with pytest.raises(Refused):
        office.file.write(lambda tx: tx.connection.execute(statement))


@pytest.mark.parametrize("content", ["", "{}", "[]", "null"])
def test_a_text_that_is_no_outcome_is_refused(content: str) -> None:
    with pytest.raises(BadInput):
        outcome_of(content)
