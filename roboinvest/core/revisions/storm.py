"""A quarantine storm: so many agents put away within an hour that something larger is wrong.

Then what stands is left as it is: no promotion for a day, and a person looks. To put more agents
away, and to go back, stays possible. A share of the agents that stood within that hour decides, so
that a storm is one in a small house as in a large one; one agent alone is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.revisions.governor import DAY, GovernorLimits, Objection, Rule
from roboinvest.core.revisions.lifecycle import AliasMove, MoveKind

WINDOW: Final = timedelta(hours=1)
FREEZE: Final = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What happened within an hour."""

    agents: tuple[str, ...]  # put away, by name
    of: int  # agents that stood within that hour
    until: datetime  # UTC; nothing is promoted before

    @property
    def text(self) -> str:
        """Return it in words."""
        shown = ", ".join(self.agents[:5]) + (" and more" if len(self.agents) > 5 else "")
        return (
            f"{len(self.agents)} of {self.of} agents were put in quarantine within an hour "
            f"({shown}); nothing is promoted until {self.until:%Y-%m-%d %H:%M} UTC"
        )


def storm(
    moves: Mapping[str, Sequence[AliasMove]], now: datetime, limits: GovernorLimits
) -> Storm | None:
    """Return the newest storm that still freezes promotions; None where there is none.

    Args:
        moves: the history of every alias, by its name, oldest first.
        now: UTC.
        limits: in force.
    """
    if not limits.is_on:
        return None
    # A move stamped in the future counts too: a clock that was set back ends no storm.
    ends = sorted(
        {
            move.at
            for history in moves.values()
            for move in history
            if move.kind is MoveKind.QUARANTINED and move.at > now - FREEZE
        },
        reverse=True,
    )
    for end in ends:
        gone = sorted(name for name, history in moves.items() if _left(history, end))
        stood = sum(_stood(history, end) for history in moves.values())
        if len(gone) >= limits.storm_agents and len(gone) > limits.storm_frac * stood:
            return Storm(agents=tuple(gone), of=stood, until=end + FREEZE)
    return None


def objection_of(found: Storm | None) -> tuple[Objection, ...]:
    """Return what the governor says of a storm."""
    return () if found is None else (Objection(rule=Rule.STORM, text=found.text),)


def _left(history: Iterable[AliasMove], end: datetime) -> bool:
    """Return whether an alias was put away within the hour before."""
    return any(
        move.kind is MoveKind.QUARANTINED and end - WINDOW < move.at <= end for move in history
    )


def _stood(history: Iterable[AliasMove], end: datetime) -> bool:
    """Return whether an alias stood somewhere at any time within the hour before."""
    stands = False
    for move in history:
        if move.at > end:
            break
        within = move.at > end - WINDOW
        if within and (stands or move.after is not None):
            return True
        stands = move.after is not None
    return stands
