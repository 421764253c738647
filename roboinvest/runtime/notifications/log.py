"""Writes what becomes of alerts to the log, which journald or docker keep.

Each change once, also of those that are folded under another: the log is the record.
"""

from __future__ import annotations

from typing import Final

import structlog

from roboinvest.core.events import Severity
from roboinvest.runtime.alerting.values import AlertChange, Change

_LEVELS: Final = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}
_EVENTS: Final = {
    Change.RAISED: "alert_raised",
    Change.WORSENED: "alert_worsened",
    Change.STILL_OPEN: "alert_still_open",
}


class LogNotifier:
    """Writes alerts to the log, at a level that matches their severity."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("roboinvest.alerts")

    def hear(self, change: AlertChange) -> None:
        """Write one line."""
        alert = change.alert
        if change.change is Change.RESOLVED:
            self._log.info("alert_resolved", key=alert.key, message=alert.resolution)
            return
        write = getattr(self._log, _LEVELS[alert.severity])
        folded = {"folded": True} if change.folded else {}
        write(
            _EVENTS[change.change], key=alert.key, kind=alert.kind, message=alert.message, **folded
        )
