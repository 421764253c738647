"""The lines of `status` that several places of the house have a word in."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from roboinvest.runtime.reports.models import Budget, SystemStatus
    from roboinvest.runtime.reports.overseer_line import OverseerLine

SHOWN_REPAIRS: Final = 3


def rules_facts(found: SystemStatus) -> dict[str, Any]:
    """Return what stops entries: the mandate, the locks, what was refused last."""
    facts: dict[str, Any] = {}
    if found.mandate is not None and found.mandate.state != "absent":
        facts["mandate"] = f"{found.mandate.state}: {found.mandate.reason}"
    if found.locks:
        facts["locks"] = "; ".join(f"{lock.name}, {lock.text}" for lock in found.locks)
    if found.lowered_limits:
        lowered = (f"{x.name} {x.value:g} of {x.of_settings:g}" for x in found.lowered_limits)
        facts["lowered"] = "; ".join(lowered) + " (governance undo goes back)"
    if found.refusals:
        last = found.refusals[0]
        facts["refused"] = f"{last.text} ({last.rule}, {minute(last.last_at)}, x{last.count})"
    return facts


def governance_facts(found: SystemStatus) -> dict[str, Any]:
    """Return what waits for a person, and whether what agents do is held and written down."""
    line = found.governance
    if line is None:
        return {}
    facts: dict[str, Any] = {}
    if line.state == "degraded":
        facts["governance"] = f"degraded: {line.reason}"
    if line.proposals_waiting:
        waiting = ", ".join(f"{n} of {level}" for level, n in line.proposals_waiting.items())
        facts["proposals"] = f"{waiting} waiting: roboinvest approvals"
    if line.quarantined:
        facts["quarantined"] = ", ".join(line.quarantined)
    if line.promotions_frozen:
        facts["promotions"] = line.promotions_frozen
    if line.audit_whole is None:
        facts["audit"] = "not verified yet"
    else:
        broken = "whole" if line.audit_whole else f"BROKEN: {line.audit_fault}"
        facts["audit"] = f"{line.audit_rows} rows, {broken}"
    if line.sandbox is None:
        facts["code agents"] = "off until the sandbox was tried"
    else:
        word = "may run" if line.sandbox.code_agents else "off"
        facts["code agents"] = f"{word}, sandbox tier {line.sandbox.tier}: {line.sandbox.reason}"
    return facts


def answer_facts(budget: Budget) -> dict[str, Any]:
    """Return who answered, where it was not the rules alone, and what that cost."""
    if not set(budget.by_source) - {"rules"}:
        return {}
    shares = ", ".join(f"{source} {n}" for source, n in sorted(budget.by_source.items()))
    cost = f"{budget.cost_today:.4f} of {budget.day_cap_usd:.2f} USD today"
    return {"answers": f"{shares}; {cost}"}


def overseer_facts(line: OverseerLine | None, *, live: bool) -> dict[str, Any]:
    """Return how the agents are, what is being healed, and what comes next."""
    if line is None:
        return {}
    if line.state == "off":
        return {"overseer": f"OFF: nobody looks after the house ({line.reason})"}
    facts: dict[str, Any] = {"overseer": _agents(line)}
    if line.reason:
        facts["overseer"] += f"; {line.reason}"
    repairs = [
        f"{each.agent} ({each.rung} at {each.since:%H:%M}, "
        + (f"measured again at {each.measured_at:%H:%M} UTC)" if live else "not measured again)")
        for each in line.healing[:SHOWN_REPAIRS]
    ]
    if len(line.healing) > SHOWN_REPAIRS:
        repairs.append(f"and {len(line.healing) - SHOWN_REPAIRS} more")
    if repairs:
        facts["healing"] = ", ".join(repairs)
    if line.next_meeting is not None:
        facts["meeting"] = f"next {minute(line.next_meeting)} UTC"
        if line.open_decisions:
            facts["meeting"] += f"; {line.open_decisions} decisions open: roboinvest governance ls"
    return facts


def _agents(line: OverseerLine) -> str:
    if line.total_agents is None or line.looked_at is None:
        return "starting: it has not looked at the agents yet"
    counts = (
        (line.offline_agents, "offline"),
        (line.failing_agents, "failing"),
        (line.degraded_agents, "degraded"),
    )
    unwell = [f"{count} {word}" for count, word in counts if count]
    well = f"{line.healthy_agents} of {line.total_agents} agents healthy"
    looked = f"looked at {minute(line.looked_at)} UTC"
    if not unwell:
        return f"{well}, {looked}"
    return f"{', '.join(unwell)}, {well}, {looked}: roboinvest health"


def minute(instant: datetime | None) -> str | None:
    """Return an instant to the minute."""
    return None if instant is None else f"{instant:%Y-%m-%d %H:%M}"
