"""News to tell people."""

from __future__ import annotations

from datetime import timedelta

from roboinvest.core.events import Severity
from roboinvest.runtime.notifications.notice import Notice
from tests.fakes.clocks import START


def notice(
    key: str = "recall",
    severity: Severity = Severity.HIGH,
    *,
    minutes: float = 0,
    kind: str = "system",
    text: str = "",
    is_end: bool = False,
) -> Notice:
    """Return news of a cause, `minutes` after the start of tests' time."""
    return Notice(
        key=key,
        kind=kind,
        severity=severity,
        text=text or f"{key} is away",
        at=START + timedelta(minutes=minutes),
        is_end=is_end,
    )
