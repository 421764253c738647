"""What a scrape is answered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roboinvest.runtime.reports.models import Alerts, Budget, Performance, SystemStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The reports that are true now, and what they do not say."""

    status: SystemStatus
    alerts: Alerts
    budget: Budget
    performance: Performance
    ticks: int  # committed since the daemon started
    counted: Mapping[str, int] = field(default_factory=dict)  # by what, since then
