"""Cases and attempts to heal, for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import (
    ActionEnd,
    Expected,
    HealAttempt,
    Rung,
    Verdict,
)
from roboinvest.core.oversight.ladder import Case
from tests.fakes.clocks import START


def a_case(cause: Cause = Cause.OWN_CODE, **fields: Any) -> Case:
    """Return the case of agent a."""
    values: dict[str, Any] = {
        "agent": "a",
        "measured": "a",
        "cause": cause,
        "reason": "it raised 9 times",
        "metric": "errors",
        "value": 0.9,
        "limit": 0.2,
        "systemic": False,
    }
    return Case(**{**values, **fields})


def an_attempt(
    number: int = 0, rung: Rung = Rung.RESTART, verdict: Verdict | None = None, **fields: Any
) -> HealAttempt:
    """Return attempt h<number> on agent a, `number` minutes after the start."""
    at = fields.pop("at", START + timedelta(minutes=number))
    ended = None if verdict is None else at + timedelta(minutes=5)
    values: dict[str, Any] = {
        "attempt_id": f"h{number}",
        "agent": "a",
        "measured": "a",
        "cause": Cause.OWN_CODE,
        "rung": rung,
        "systemic": False,
        "precondition": "supervised",
        "action": "the supervisor was asked",
        "action_end": ActionEnd.UNDER_WAY if verdict is None else ActionEnd.RETURNED,
        "expected": Expected(metric="errors", target=0.2, text="errors fall to 0.2"),
        "at": at,
        "deadline": at + timedelta(minutes=5),
        "metric_before": 0.9,
        "metric_after": 0.1 if verdict is Verdict.HEALED else None,
        "verdict": verdict,
        "settled_at": ended,
    }
    return HealAttempt(**{**values, **fields})
