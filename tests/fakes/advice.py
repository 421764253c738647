"""Advice and hourly figures, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from roboinvest.core.oversight.advice import Advice, Aim
from tests.fakes.clocks import START

HOUR = timedelta(hours=1)
NOON = START.replace(minute=0)


def advice(name: str = "r1", **fields: Any) -> Advice:
    """Return advice that expects latency to fall by a tenth of a second."""
    values: dict[str, Any] = {
        "advice_id": name,
        "rule": "bottleneck",
        "subject": "trading/strategy/model",
        "text": "Shorten its prompt.",
        "evidence": "60 % of all time",
        "metric": "span.mean_s/trading/model",
        "aim": Aim.LOWER,
        "expected": -0.1,
        "expected_text": "100 ms less a time",
        "watch_s": 48 * 3600.0,
        "made_at": NOON,
        "deadline": NOON + timedelta(days=7),
    }
    return Advice(**{**values, **fields})


def hours(
    values: Sequence[float], *, end: datetime, n: int = 1
) -> tuple[tuple[datetime, float, int], ...]:
    """Return hourly rows of which the last begins an hour before `end`."""
    first = end - len(values) * HOUR
    return tuple((first + place * HOUR, value, n) for place, value in enumerate(values))
