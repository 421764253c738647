"""What the status says of revisions, inbox, audit and the box of generated code."""

from __future__ import annotations

from roboinvest.runtime.reports.models import BoxLine, GovernanceLine
from roboinvest.runtime.upkeep.code_agents import BoxFound
from roboinvest.runtime.upkeep.standing import GovernanceStanding


def governance_line(standing: GovernanceStanding, box: BoxFound | None) -> GovernanceLine:
    """Return the line; what is not known yet is null."""
    return GovernanceLine(
        state=standing.state.value,
        reason=standing.reason or None,
        proposals_waiting=dict(standing.waiting),
        quarantined=standing.quarantined,
        promotions_frozen=standing.frozen,
        audit_rows=standing.rows,
        audit_whole=standing.is_whole,
        audit_fault=standing.fault,
        sandbox=None
        if box is None
        else BoxLine(tier=box.tier, code_agents=box.runs_code, reason=box.reason),
    )
