"""The alert board: each cause once, counted while it lasts, closed only by what recovered it.

It listens on the bus and keeps its state as a named document, so that an open alert is still open
after a restart. Closed ones are kept for a while, so that a person can see what went by.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.core.records import canonical_json

DOCUMENT: Final = "alerts"
KEEP_RESOLVED: Final = timedelta(days=7)
MAX_KEPT: Final = 500
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One cause."""

    key: str
    severity: Severity
    kind: str
    message: str
    raised_at: datetime  # UTC
    last_seen_at: datetime  # UTC
    count: int
    resolved_at: datetime | None = None
    resolution: str | None = None


class AlertBoard:
    """Open and lately closed alerts, by key."""

    def __init__(self, save: Callable[[str, str], Awaitable[None]]) -> None:
        """Take where to keep the document: `save(name, text)`."""
        self._save = save
        self._alerts: dict[str, Alert] = {}

    def restore(self, text: str | None) -> None:
        """Take the alerts of the run before."""
        for raw in json.loads(text) if text else []:
            alert = _from_plain(raw)
            self._alerts[alert.key] = alert

    async def receive(self, event: AlertRaised | AlertResolved) -> None:
        """Fold one fact from the bus, and keep the result."""
        known = self._alerts.get(event.key)
        if isinstance(event, AlertRaised):
            self._alerts[event.key] = self._raised(event, known)
        elif known is not None and known.resolved_at is None:
            self._alerts[event.key] = replace(known, resolved_at=event.at, resolution=event.message)
        else:
            return
        self._forget(event.at)
        await self._save(DOCUMENT, canonical_json(list(self._alerts.values())))

    def alerts(self) -> tuple[Alert, ...]:
        """Return open alerts by severity, then closed ones; the newest first in each."""
        return tuple(
            sorted(
                self._alerts.values(),
                key=lambda a: (
                    a.resolved_at is not None,
                    _RANK[a.severity],
                    -a.last_seen_at.timestamp(),
                    a.key,
                ),
            )
        )

    def open_keys(self, prefix: str) -> frozenset[str]:
        """Return the keys of open alerts that begin with `prefix`, without it."""
        keys = (alert.key for alert in self._alerts.values() if alert.resolved_at is None)
        return frozenset(key.removeprefix(prefix) for key in keys if key.startswith(prefix))

    def _raised(self, event: AlertRaised, known: Alert | None) -> Alert:
        if known is not None and known.resolved_at is None:
            return replace(
                known,
                severity=event.severity,
                message=event.message,
                last_seen_at=event.at,
                count=known.count + 1,
            )
        return Alert(
            key=event.key,
            severity=event.severity,
            kind=event.kind,
            message=event.message,
            raised_at=event.at,
            last_seen_at=event.at,
            count=1,
        )

    def _forget(self, now: datetime) -> None:
        old = [
            alert.key
            for alert in self._alerts.values()
            if alert.resolved_at is not None and now - alert.resolved_at > KEEP_RESOLVED
        ]
        closed = [alert.key for alert in reversed(self.alerts()) if alert.resolved_at is not None]
        spare = closed[: max(0, len(self._alerts) - MAX_KEPT)]
        for key in {*old, *spare}:
            del self._alerts[key]


def _from_plain(raw: dict[str, str | int | None]) -> Alert:
    closed = raw["resolved_at"]
    return Alert(
        key=str(raw["key"]),
        severity=Severity(str(raw["severity"])),
        kind=str(raw["kind"]),
        message=str(raw["message"]),
        raised_at=datetime.fromisoformat(str(raw["raised_at"])),
        last_seen_at=datetime.fromisoformat(str(raw["last_seen_at"])),
        count=int(raw["count"] or 1),
        resolved_at=None if closed is None else datetime.fromisoformat(str(closed)),
        resolution=None if raw["resolution"] is None else str(raw["resolution"]),
    )
