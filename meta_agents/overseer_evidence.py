"""What was seen of an agent that is not well, as the rules of `causes` want it.

The errors are those of its own vital signs; the rest is what is known of those it needs and of the
machine. Nothing is guessed: what nobody saw is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from roboinvest.core.oversight.agents import AgentCard
from roboinvest.core.oversight.evidence import (
    SILENCE,
    DataSeen,
    DependencySeen,
    ErrorSeen,
    Evidence,
    Origin,
    ResourceSeen,
)
from roboinvest.core.oversight.fingerprints import HUNG, RETURNED, error_of, http_of
from roboinvest.core.oversight.health import AgentHealth, Status
from roboinvest.core.oversight.thresholds import Thresholds

_LEAST: Final = 0.05  # of an error, by what is left of it; less was long ago


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How an agent is judged, and what hangs on it."""

    limits: Thresholds = field(default_factory=Thresholds)
    is_outside: bool = False  # somebody else runs it
    is_data: bool = False  # what it does is to bring data
    is_vital: bool = False  # money or the house hangs on it: critical where it is down


def evidence_of(
    card: AgentCard,
    health: AgentHealth,
    terms: Mapping[str, Terms],
    healths: Mapping[str, AgentHealth],
) -> Evidence:
    """Return what was seen of an agent that is not well.

    Args:
        card: of the agent.
        health: of the agent.
        terms: of all agents.
        healths: of all agents, by the same look.
    """
    own, name = terms[card.name], card.name
    lines = [(line, left) for line, left in health.signs.fingerprints if left >= _LEAST]
    errors = [each for line, left in lines if (each := error_of(line, left)) is not None]
    answers = [said for line, left in lines if (said := http_of(line, left, name)) is not None]
    silent = next((each for each in health.findings if each.what == "silence"), None)
    silent_s = health.signs.silent_s if silent is not None else 0.0
    if not silent_s and any(line.startswith(HUNG) for line, _ in lines):
        silent_s = own.limits.offline_s
    if own.is_outside and not answers:
        errors = [_outside(each) for each in errors] or [_silent_vendor(name)]
    return Evidence(
        agent=name,
        errors=tuple(errors),
        http=tuple(answers),
        dependencies=tuple(_needed(card, terms, healths)),
        data=_data(name, silent_s, own),
        resources=tuple(_resources(card, terms, healths)),
        silent_s=silent_s,
        has_returned=any(line.startswith(RETURNED) for line, _ in lines),
        is_slow=health.is_slow,
    )


def _needed(
    card: AgentCard, terms: Mapping[str, Terms], healths: Mapping[str, AgentHealth]
) -> list[DependencySeen]:
    return [
        DependencySeen(
            name=needed,
            status=found.status,
            is_slow=found.is_slow,
            is_outside=terms[needed].is_outside,
        )
        for needed in card.dependencies
        if (found := healths.get(needed)) is not None and found.status is not Status.HEALTHY
    ]


def _resources(
    card: AgentCard, terms: Mapping[str, Terms], healths: Mapping[str, AgentHealth]
) -> list[ResourceSeen]:
    """Return the gauges over their limits, of the agent and of those it needs."""
    found = []
    for name in (card.name, *card.dependencies):
        health, limits = healths.get(name), terms[name].limits.gauges
        if health is None:
            continue
        for gauge in health.signs.gauges:
            limit = limits.get(gauge.name)
            if limit is None or gauge.name == FAILURES:
                continue
            if gauge.value > limit.degraded:
                seen = ResourceSeen(name=gauge.name, value=gauge.value, limit=limit.degraded)
                found.append(seen)
            elif any(each.what == f"leak {gauge.name}" for each in health.findings):
                rising = f"{gauge.name}, which rises,"
                found.append(ResourceSeen(name=rising, value=gauge.value, limit=gauge.usual))
    return found


FAILURES: Final = "failures in 10 min"  # a gauge of services, and nothing of the machine


def _data(name: str, silent_s: float, terms: Terms) -> tuple[DataSeen, ...]:
    if not (terms.is_data and silent_s):
        return ()
    return (DataSeen(name=name, age_s=silent_s, limit_s=terms.limits.offline_s),)


def _outside(seen: ErrorSeen) -> ErrorSeen:
    """Return an error of what somebody else runs: none of it is our code's."""
    return ErrorSeen(
        kind=seen.kind,
        family=seen.family,
        count=seen.count,
        origin=Origin.VENDOR,
        where=seen.where,
        number=seen.number,
        text=seen.text,
    )


def _silent_vendor(name: str) -> ErrorSeen:
    return ErrorSeen(kind=SILENCE, family="TimeoutError", count=1, origin=Origin.VENDOR, text=name)
