"""An alert as frontends and people read it, from the board of a daemon or from what one left."""

from __future__ import annotations

from collections.abc import Mapping

from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.next_steps import agent_in, next_steps
from roboinvest.runtime.alerting.values import Alert
from roboinvest.runtime.reports.models import AlertLine


def alert_lines(board: AlertBoard, tried: Mapping[str, str]) -> tuple[AlertLine, ...]:
    """Return all alerts in the board's order.

    Args:
        board: of the daemon, or as one left it.
        tried: what healing did last, by agent, in words.
    """
    alerts = board.alerts()
    steps = next_steps({each.key: each.caused_by for each in alerts if each.is_open})
    return tuple(_line(each, board.root_of(each.key), tried, steps) for each in alerts)


def _line(
    alert: Alert, root: str | None, tried: Mapping[str, str], steps: Mapping[str, str]
) -> AlertLine:
    return AlertLine(
        key=alert.key,
        severity=alert.severity,
        kind=alert.kind,
        message=alert.message,
        raised_at=alert.raised_at,
        last_seen_at=alert.last_seen_at,
        count=alert.count,
        resolved_at=alert.resolved_at,
        resolution=alert.resolution,
        fingerprint=alert.fingerprint,
        folded_under=root,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
        snoozed_until=alert.snoozed_until,
        tried=tried.get(agent_in(alert.key) or ""),
        next_step=steps.get(alert.key, ""),
    )
