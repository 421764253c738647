"""The governor: how often, and in which direction, an agent may change.

On by default. Four rules over the history of one alias, each a pure function: too many promotions
in a day, to and fro between the same revisions, findings that rise from one promotion to the next,
and a change that was rejected again and again. A fifth one looks at all aliases (`storm`). A person
may override them with a reason, which the audit log keeps with the word `force`; nobody may
override the gates. A rollback is not a promotion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.revisions.lifecycle import SHORT, Actor, AliasMove, MoveKind, Revision

DAY: Final = timedelta(hours=24)


class Rule(StrEnum):
    """What the governor objects to."""

    VELOCITY = "promotion_velocity_exceeded"
    FLAPPING = "promotion_flapping_detected"
    REGRESSION = "promotion_regression"
    ATTEMPTS = "promotion_attempts_exhausted"
    STORM = "quarantine_storm"


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorLimits:
    """How far the governor lets things go; people set it, and no smaller figure is refused."""

    promotions: int = 3  # in 24 h for one alias
    recent: int = 4  # revisions; to one of them nothing goes back
    rising: int = 3  # promotions, the new one among them, whose findings strictly rise
    rejects: int = 3  # of one change for one alias, until a person acknowledges them
    storm_frac: float = 0.3  # of the agents; more in quarantine within an hour freezes promotions
    storm_agents: int = 2  # in quarantine within an hour, below which nothing is a storm
    is_on: bool = True  # whether there is a governor at all

    def __post_init__(self) -> None:
        """Check the figures.

        Raises:
            BadInput: one would refuse everything, or nothing.
        """
        if min(self.promotions, self.recent, self.rejects) < 1 or self.rising < 2:
            raise BadInput(f"the limits of the governor are 1 or more, rising 2 or more: {self}")
        if not 0 < self.storm_frac < 1 or self.storm_agents < 1:
            raise BadInput(f"a storm is a share between 0 and 1 of the agents, 1 or more: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One rule that says no."""

    rule: Rule
    text: str  # the fact, the value, the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is to be promoted."""

    revision: Revision
    findings: int  # those that only inform left out
    rejects: int  # of this change for this alias, since a person acknowledged the last ones


def objections(
    candidate: Candidate,
    moves: Sequence[AliasMove],
    now: datetime,
    limits: GovernorLimits,
) -> tuple[Objection, ...]:
    """Return every rule that says no to a promotion; () where none does.

    Args:
        candidate: what is to be promoted.
        moves: the history of the alias, oldest first.
        now: UTC.
        limits: in force.
    """
    if not limits.is_on:
        return ()
    found = (
        _velocity(moves, now, limits),
        _flapping(candidate, moves, limits),
        _regression(candidate, moves, limits),
        _attempts(candidate, limits),
    )
    return tuple(objection for objection in found if objection is not None)


def require_calm(found: Sequence[Objection], actor: Actor, *, force: bool) -> None:
    """Raise Refused unless the governor has no objection, or a person overrides it.

    The reason of the actor is the reason of the override.
    """
    if not found:
        return
    told = "; ".join(f"{objection.text} ({objection.rule})" for objection in found)
    if not force:
        raise Refused(f"the governor refuses: {told}; wait, or a person overrides it with --force")
    if not actor.is_person:
        raise Refused(f"the governor refuses: {told}; {actor.name} may not override it: no person")


def _velocity(
    moves: Iterable[AliasMove], now: datetime, limits: GovernorLimits
) -> Objection | None:
    # A move stamped in the future counts too: a clock that was set back opens no window.
    recent = [move for move in moves if move.kind is MoveKind.ACTIVATED and move.at > now - DAY]
    if len(recent) < limits.promotions:
        return None
    text = f"{len(recent)} promotions in 24 h, and {limits.promotions} are allowed"
    return Objection(rule=Rule.VELOCITY, text=text)


def _flapping(
    candidate: Candidate, moves: Iterable[AliasMove], limits: GovernorLimits
) -> Objection | None:
    """To come back to what was last active is no flapping: nothing else stood there since."""
    stood: list[str] = []
    for move in moves:
        if move.after is not None and stood[-1:] != [move.after]:
            stood.append(move.after)
    target = candidate.revision.revision_id
    if target not in stood[-limits.recent :] or stood[-1] == target:
        return None
    text = f"revision {target[:SHORT]} is among the last {limits.recent} that were active"
    return Objection(rule=Rule.FLAPPING, text=text)


def _regression(
    candidate: Candidate, moves: Iterable[AliasMove], limits: GovernorLimits
) -> Objection | None:
    promoted = [move.findings for move in moves if move.kind is MoveKind.ACTIVATED]
    run = [*promoted, candidate.findings][-limits.rising :]
    rises = all(before < after for before, after in pairwise(run))
    if len(run) < limits.rising or not rises:
        return None
    text = f"findings rise from promotion to promotion: {', '.join(map(str, run))}"
    return Objection(rule=Rule.REGRESSION, text=text)


def _attempts(candidate: Candidate, limits: GovernorLimits) -> Objection | None:
    if candidate.rejects < limits.rejects:
        return None
    text = (
        f"this change was rejected {candidate.rejects} times, and after {limits.rejects} a person "
        "acknowledges that first"
    )
    return Objection(rule=Rule.ATTEMPTS, text=text)
