"""How an alert reaches a person. A notifier is subscribed to the alerts of the bus.

For now the only one writes to the log, which journald or docker keep. Deliberately absent: a
retry; the bus counts a failed delivery, and the alert itself stays open in the store.
"""

from __future__ import annotations

from typing import Final, Protocol

import structlog

from roboinvest.core.events import AlertRaised, AlertResolved, Severity

_LEVELS: Final = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}


class Notifier(Protocol):
    """A way to a person."""

    async def notify(self, alert: AlertRaised | AlertResolved) -> None:
        """Pass the alert on.

        Raises:
            TryLater: the channel is away.
        """


class LogNotifier:
    """Writes alerts to the log, at a level that matches their severity."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("roboinvest.alerts")

    async def notify(self, alert: AlertRaised | AlertResolved) -> None:
        """Write one line."""
        if isinstance(alert, AlertResolved):
            self._log.info("alert_resolved", key=alert.key, message=alert.message)
            return
        write = getattr(self._log, _LEVELS[alert.severity])
        write("alert_raised", key=alert.key, kind=alert.kind, message=alert.message)
