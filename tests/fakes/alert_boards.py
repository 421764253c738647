"""Alerts that come and go, and where a board keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Severity

NOW: Final = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)


class Shelf:
    """Keeps the last text of each document; one that is full takes nothing."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.saves = 0
        self.is_full = False

    async def save(self, name: str, text: str) -> None:
        """Keep a text."""
        if self.is_full:
            raise TryLater("the shelf is full")
        self.saves += 1
        self.texts[name] = text


def raised(
    key: str = "recall",
    minutes: float = 0,
    severity: Severity = Severity.LOW,
    *,
    caused_by: str | None = None,
    kind: str = "system",
) -> AlertRaised:
    """Return an alert of a cause."""
    return AlertRaised(
        at=NOW + timedelta(minutes=minutes),
        key=key,
        severity=severity,
        kind=kind,
        message=f"{key} is away",
        caused_by=caused_by,
    )


def resolved(key: str = "recall", minutes: float = 9) -> AlertResolved:
    """Return its recovery."""
    at = NOW + timedelta(minutes=minutes)
    return AlertResolved(at=at, key=key, message="it answers again")
