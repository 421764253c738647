"""States move by one table; an alias goes back one step, and never to and fro."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.revisions.lifecycle import (
    MAX_REASON,
    MOVES,
    Actor,
    Alias,
    AliasMove,
    MoveKind,
    Revision,
    State,
    require_move,
    require_person,
    require_sequence,
    rollback_target,
    trail_of,
)
from tests.fakes.clocks import START
from tests.fakes.revisions import MACHINE, PERSON

A, B, C = "a" * 64, "b" * 64, "c" * 64
REVISION = Revision(
    agent_id="scout", revision_id=A, parent=None, artifact_digest=A, fingerprint=A,
    capabilities=frozenset(), calls=(), state=State.DRAFT, made_at=START, made_by="x",
)  # fmt: skip


def history(*steps: tuple[MoveKind, str | None]) -> list[AliasMove]:
    moves: list[AliasMove] = []
    for number, (kind, after) in enumerate(steps, 1):
        moves.append(
            AliasMove(
                alias="scout", sequence=number, kind=kind,
                before=moves[-1].after if moves else None, after=after,
                findings=0, forced=False, by="x", reason="y", at=START,
            )
        )  # fmt: skip
    return moves


UP, BACK, AWAY = MoveKind.ACTIVATED, MoveKind.ROLLED_BACK, MoveKind.QUARANTINED


def target(
    moves: list[AliasMove], states: dict[str, State] | None = None, wanted: str | None = None
) -> str:
    alias = Alias(alias="scout", revision_id=moves[-1].after, sequence=len(moves))
    known = dict.fromkeys((A, B, C), State.INSTALLED)
    return rollback_target(alias, moves, known | (states or {}), wanted)


@pytest.mark.parametrize("state", State)
def test_only_the_moves_of_the_table_are_made(state: State) -> None:
    revision = replace(REVISION, state=state)
    for to in State:
        if to in MOVES[state]:
            require_move(revision, to, PERSON)
        else:
            with pytest.raises(Refused, match=f"is {state}, and from there"):
                require_move(revision, to, PERSON)


def test_no_machine_takes_anything_out_of_quarantine() -> None:
    for state in State:
        revision = replace(REVISION, state=state)
        for to in MOVES[state]:
            if state is State.QUARANTINED:
                with pytest.raises(Refused, match="only a person may"):
                    require_move(revision, to, MACHINE)
            else:
                require_move(revision, to, MACHINE)


def test_the_table_knows_every_state_and_retired_is_the_end() -> None:
    assert set(MOVES) == set(State)
    assert MOVES[State.RETIRED] == frozenset()
    assert {state for state in State if State.ACTIVE in MOVES[state]} == {State.INSTALLED}
    assert MOVES[State.QUARANTINED] == {State.INSTALLED, State.RETIRED}


def test_one_step_back_leads_to_what_was_active_before() -> None:
    assert target(history((UP, A), (UP, B))) == A
    assert target(history((UP, A), (UP, B), (UP, C))) == B


def test_to_roll_back_twice_goes_back_twice() -> None:
    moves = history((UP, A), (UP, B), (UP, C), (BACK, B))
    assert trail_of(moves) == (A, B)
    assert target(moves) == A
    with pytest.raises(Refused, match="nothing to go back to"):
        target([*moves, replace(moves[-1], sequence=5, before=B, after=A)])


def test_after_a_quarantine_the_step_leads_to_the_last_one_that_may_be() -> None:
    moves = history((UP, A), (UP, B), (AWAY, None))
    assert target(moves, {B: State.QUARANTINED}) == A
    assert target(moves) == B  # a person has released it


def test_what_is_retired_is_passed_over() -> None:
    moves = history((UP, A), (UP, B), (UP, C))
    assert target(moves, {B: State.RETIRED}) == A


def test_a_rollback_to_what_is_active_is_refused_loudly() -> None:
    with pytest.raises(Refused, match=r"already stands at bbb.*changes nothing"):
        target(history((UP, A), (UP, B)), wanted=B)


def test_a_rollback_to_another_than_the_last_one_is_refused() -> None:
    with pytest.raises(Refused, match="goes one step, to bbbbbbbbbbbb, and not to aaaaaaaaaaaa"):
        target(history((UP, A), (UP, B), (UP, C)), wanted=A)


def test_there_is_nothing_to_go_back_to_from_the_first() -> None:
    with pytest.raises(Refused, match="0 revisions were active before"):
        target(history((UP, A)))


def test_a_request_of_before_the_last_move_is_refused() -> None:
    alias = Alias(alias="scout", revision_id=A, sequence=3)
    require_sequence(alias, 3)
    for wrong in (0, 2, 4):
        with pytest.raises(Refused, match=f"made at move {wrong}"):
            require_sequence(alias, wrong)


def test_some_things_only_a_person_may_do() -> None:
    require_person(PERSON, "release it")
    with pytest.raises(Refused, match="factory may not release it"):
        require_person(MACHINE, "release it")


@pytest.mark.parametrize(("name", "reason"), [("", "x"), ("x", " "), ("x", "y" * (MAX_REASON + 1))])
def test_who_wants_a_change_says_who_and_why(name: str, reason: str) -> None:
    with pytest.raises(BadInput, match="needs a"):
        Actor(name=name, reason=reason, is_person=True)
