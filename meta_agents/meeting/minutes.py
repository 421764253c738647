"""What a meeting shows: JSON for a frontend and for people, from the rows of the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from roboinvest.core.oversight.scoring import Calibration
from roboinvest.core.records import to_plain
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRow, RefusedRow


def minutes(
    meeting: MeetingRow,
    decisions: Iterable[DecisionRow],
    refused: Iterable[RefusedRow],
    calibration: Calibration,
) -> dict[str, Any]:
    """Return a meeting as JSON types."""
    return {
        "schema_version": 1,
        "date": meeting.day.isoformat(),
        "meeting_id": meeting.meeting_id,
        "source": meeting.source,
        "reason": meeting.reason,
        "held_at": to_plain(meeting.decided_at),
        "done_at": to_plain(meeting.done_at),
        "read": json.loads(meeting.facts),
        "decisions": [decision_facts(each) for each in decisions],
        "refused": [to_plain(each) for each in refused],
        "calibration": {**to_plain(calibration), "text": calibration.text},
    }


def decision_facts(row: DecisionRow) -> dict[str, Any]:
    """Return a decision as JSON types; the first six are what frontends know."""
    decision = row.decision
    return {
        "decision_type": decision.kind.value,
        "description": decision.description,
        "priority": decision.priority.value,
        "estimated_impact": decision.impact.value,
        "implementation_plan": list(decision.plan),
        "approval_required": decision.approval_required or decision.level >= 3,
        "decision_id": decision.decision_id,
        "action": decision.act.value,
        "subject": decision.subject,
        "before": decision.before,
        "after": row.after,
        "level": decision.level.name,
        "state": row.state.value,
        "reason": row.reason,
        "reference": row.reference,
        "hypothesis": decision.hypothesis,
        "metric": decision.metric,
        "expected": decision.expected,
        "confidence": decision.confidence,
        "effort": decision.effort.value,
        "deadline": to_plain(decision.deadline),
        "undo": decision.undo,
        "executed_at": to_plain(row.executed_at),
        "verdict": None if row.verdict is None else row.verdict.value,
        "effect": to_plain(row.effect),
        "score_reason": row.score_reason,
    }
