"""What the status says of the Overseer: how the agents are, what is being healed, what comes next.

It is read by a person who was woken up and by a frontend; each figure that is not known is null.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from roboinvest.runtime.reports.fields import Count, Record


class UnderRepair(Record):
    """An agent that healing has acted on, and has not measured again yet."""

    agent: str
    cause: str  # in words
    rung: str  # in words: what was done
    since: AwareDatetime
    measured_at: AwareDatetime  # when it is measured again


class OverseerLine(Record):
    """What the Overseer knows at this moment."""

    # starting: it did not look yet; watching: and heals; observing: and heals nothing in this run
    state: Literal["off", "starting", "watching", "observing"]
    reason: str | None = None  # why it is off, or heals nothing, or remembers nothing
    looked_at: AwareDatetime | None = None
    total_agents: Count | None = None  # null: it did not look yet
    healthy_agents: Count | None = None
    degraded_agents: Count | None = None
    failing_agents: Count | None = None
    offline_agents: Count | None = None
    healing: tuple[UnderRepair, ...] = ()
    next_meeting: AwareDatetime | None = None  # null: not known, or none is held in this run
    open_decisions: Count | None = None  # of meetings, neither settled nor scored


def off() -> OverseerLine:
    """Return the line of a house that nobody looks after."""
    return OverseerLine(state="off", reason="overseer.enabled is off in the settings")
