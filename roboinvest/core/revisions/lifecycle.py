"""What a revision goes through, and how an alias moves: one table, and rules about a history.

    DRAFT -> GATED -> INSTALLED (inactive) -> ACTIVE -> QUARANTINED / RETIRED

An agent has one alias, its own id, and it stands at the one ACTIVE revision or nowhere. Every move
of it has a number that goes up by one; whoever wants to move it names the number that was seen
last, so that a message of yesterday, or a second writer, moves nothing. A rollback takes one step
down the trail of what was active, and does not put what it left back on that trail: rolling back
twice goes back twice and never to and fro.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposals import Capability

SHORT: Final = 12  # digits of an id that a sentence shows
MAX_REASON: Final = 2_000  # characters


class State(StrEnum):
    """Where a revision stands."""

    DRAFT = "draft"  # stored; nobody has judged it
    GATED = "gated"  # what can be judged without running it in its place was judged
    INSTALLED = "installed"  # may be run beside the active one; does nothing by itself
    ACTIVE = "active"
    QUARANTINED = "quarantined"  # until a person releases it
    RETIRED = "retired"


MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.DRAFT: frozenset({State.GATED, State.RETIRED}),
    State.GATED: frozenset({State.INSTALLED, State.RETIRED}),
    State.INSTALLED: frozenset({State.ACTIVE, State.QUARANTINED, State.RETIRED}),
    State.ACTIVE: frozenset({State.INSTALLED, State.QUARANTINED, State.RETIRED}),
    State.QUARANTINED: frozenset({State.INSTALLED, State.RETIRED}),
    State.RETIRED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who wants a change, and why."""

    name: str
    reason: str
    is_person: bool  # set by who took the request: the command line and the inbox, no message

    def __post_init__(self) -> None:
        """Check that both are told.

        Raises:
            BadInput: a name or a reason is empty or too long.
        """
        for what, text in (("a name", self.name), ("a reason", self.reason)):
            if not text.strip() or len(text) > MAX_REASON:
                raise BadInput(
                    f"a change of a revision needs {what} of 1 to {MAX_REASON} characters; "
                    f"there are {len(text.strip())}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One immutable revision, and where it stands."""

    agent_id: str
    revision_id: str  # hex SHA-256 of its manifest
    parent: str | None  # the revision that it was made from
    artifact_digest: str  # what evidence is bound to
    fingerprint: str
    capabilities: frozenset[Capability]  # declared united with inferred
    calls: tuple[str, ...]  # agents, by name
    state: State
    made_at: datetime  # UTC
    made_by: str
    quarantined_by_person: bool = False

    @property
    def short(self) -> str:
        """Return the first digits of the id."""
        return self.revision_id[:SHORT]


class MoveKind(StrEnum):
    """Why an alias moved."""

    ACTIVATED = "activated"
    ROLLED_BACK = "rolled_back"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One move of an alias; moves are never changed."""

    alias: str
    sequence: int  # 1 for the first
    kind: MoveKind
    before: str | None  # revision id
    after: str | None
    findings: int  # of the revision it moved to; those that only inform left out
    forced: bool  # the governor was overridden
    by: str
    reason: str
    at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Where an alias stands."""

    alias: str
    revision_id: str | None  # None: nothing is active
    sequence: int  # of its last move; 0 before the first


def require_move(revision: Revision, to: State, actor: Actor) -> None:
    """Raise Refused unless the table has this move and, out of a quarantine, a person makes it."""
    if to not in MOVES[revision.state]:
        ways = ", ".join(sorted(state.value for state in MOVES[revision.state])) or "nothing"
        raise Refused(
            f"revision {revision.short} of {revision.agent_id} is {revision.state}, and from there "
            f"it can become {ways}, not {to}; nothing was changed"
        )
    if revision.state is State.QUARANTINED:
        require_person(actor, f"take revision {revision.short} out of quarantine")


def require_person(actor: Actor, what: str) -> None:
    """Raise Refused unless a person asks."""
    if not actor.is_person:
        raise Refused(f"{actor.name} may not {what}: only a person may; use `roboinvest agents`")


def require_sequence(alias: Alias, expected: int) -> None:
    """Raise Refused when the alias has moved since the number was seen."""
    if alias.sequence != expected:
        raise Refused(
            f"{alias.alias} stands at move {alias.sequence}, and this request was made at move "
            f"{expected}; nothing was changed: look again and ask again"
        )


def trail_of(moves: Iterable[AliasMove]) -> tuple[str, ...]:
    """Return what a rollback can go back through, oldest first; the last one is, or was, active."""
    trail: list[str] = []
    for move in moves:
        if move.kind is MoveKind.ROLLED_BACK and move.after in trail:
            while trail[-1] != move.after:
                trail.pop()
        elif move.after is not None and trail[-1:] != [move.after]:
            trail.append(move.after)
    return tuple(trail)


def rollback_target(
    alias: Alias,
    moves: Sequence[AliasMove],
    states: Mapping[str, State],
    wanted: str | None = None,
) -> str:
    """Return the revision that one step back leads to.

    What is retired or in quarantine is passed over; where nothing is active any more, the step is
    to the last one that may be.

    Args:
        alias: where it stands.
        moves: its history, oldest first.
        states: of the revisions in it.
        wanted: the id that the caller expects; None: whichever it is.

    Raises:
        Refused: there is nothing to go back to, or it is not the wanted one.
    """
    name = alias.alias
    if wanted is not None and wanted == alias.revision_id:
        raise Refused(
            f"{name} already stands at {wanted[:SHORT]}: a rollback to what is active changes "
            "nothing; name the revision before it, or none"
        )
    trail = [id_ for id_ in trail_of(moves) if id_ != alias.revision_id]
    usable = [id_ for id_ in trail if states.get(id_) is State.INSTALLED]
    if not usable:
        raise Refused(
            f"{name} has nothing to go back to: {len(trail)} revisions were active before, and "
            "none of them may be now; quarantine it, or activate another one"
        )
    target = usable[-1]
    if wanted is not None and wanted != target:
        raise Refused(
            f"a rollback of {name} goes one step, to {target[:SHORT]}, and not to "
            f"{wanted[:SHORT]}; activate that one by its id instead"
        )
    return target
