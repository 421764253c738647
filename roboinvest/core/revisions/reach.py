"""What an agent reaches through the agents that it calls.

Two agents that share a task between them must not have together what one of them may not have
alone. So the capabilities of whoever is called count as the caller's own, all the way down, and a
revision that brings more with it is judged for each agent that calls it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from roboinvest.core.proposals import Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What one agent has of its own, and whom it calls."""

    capabilities: frozenset[Capability]
    calls: tuple[str, ...]


def called_by(agent_id: str, powers: Mapping[str, Powers]) -> frozenset[str]:
    """Return every agent that one calls, directly or through others; unknown names call nobody."""
    found: set[str] = set()
    waiting = [agent_id]
    while waiting:
        own = powers.get(waiting.pop())
        new = set(own.calls if own else ()) - found
        found |= new
        waiting += new
    return frozenset(found)


def reach_of(agent_id: str, powers: Mapping[str, Powers]) -> frozenset[Capability]:
    """Return an agent's capabilities with those of every agent that it calls."""
    names: Iterable[str] = called_by(agent_id, powers) | {agent_id}
    return frozenset().union(*(powers[name].capabilities for name in names if name in powers))


def callers_of(agent_id: str, powers: Mapping[str, Powers]) -> tuple[str, ...]:
    """Return every other agent that calls one, directly or through others, by name."""
    return tuple(
        sorted(name for name in powers if name != agent_id and agent_id in called_by(name, powers))
    )
