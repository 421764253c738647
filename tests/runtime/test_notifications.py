from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.runtime.notifications import LogNotifier
from tests.fakes.clocks import START


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.CRITICAL, "critical"),
        (Severity.HIGH, "error"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "info"),
    ],
)
async def test_an_alert_is_logged_at_the_level_of_its_severity(
    severity: Severity, level: str, logged: list[MutableMapping[str, Any]]
) -> None:
    alert = AlertRaised(
        at=START, key="service.feed", severity=severity, kind="system", message="quarantined"
    )
    await LogNotifier().notify(alert)
    assert logged == [
        {
            "log_level": level,
            "event": "alert_raised",
            "key": "service.feed",
            "kind": "system",
            "message": "quarantined",
        }
    ]


async def test_a_resolved_alert_is_logged_with_what_recovered_it(
    logged: list[MutableMapping[str, Any]],
) -> None:
    await LogNotifier().notify(AlertResolved(at=START, key="k", message="feed beats again"))
    assert (logged[0]["event"], logged[0]["message"]) == ("alert_resolved", "feed beats again")
