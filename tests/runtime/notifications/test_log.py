"""What becomes of alerts is written to the log, once."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from roboinvest.core.events import Severity
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.notifications.log import LogNotifier
from tests.fakes.alert_boards import Shelf, raised, resolved


def board() -> AlertBoard:
    made = AlertBoard(Shelf().save)
    made.listen(LogNotifier().hear)
    return made


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.CRITICAL, "critical"),
        (Severity.HIGH, "error"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "info"),
    ],
)
async def test_an_alert_is_logged_once_at_the_level_of_its_severity(
    severity: Severity, level: str, logged: list[MutableMapping[str, Any]]
) -> None:
    one = board()
    for minute in range(3):
        await one.receive(raised("service.feed", minute, severity))
    assert logged == [
        {
            "log_level": level,
            "event": "alert_raised",
            "key": "service.feed",
            "kind": "system",
            "message": "service.feed is away",
        }
    ]


async def test_a_resolved_alert_is_logged_with_what_recovered_it(
    logged: list[MutableMapping[str, Any]],
) -> None:
    one = board()
    await one.receive(raised())
    await one.receive(resolved())
    assert (logged[1]["event"], logged[1]["message"]) == ("alert_resolved", "it answers again")


async def test_what_is_folded_is_in_the_log_all_the_same(
    logged: list[MutableMapping[str, Any]],
) -> None:
    one = board()
    await one.receive(raised("broker"))
    await one.receive(raised("fills", caused_by="broker"))
    assert [line.get("folded") for line in logged] == [None, True]
