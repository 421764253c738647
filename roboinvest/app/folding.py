"""Folds the failures of trading under the outage that they follow from.

A supervisor knows what a service raised, and not whose fault it is; who asks a broker or a vendor
knows when it is away, before trading fails over it. A person hears of the outage alone. What
trading has of its own is not lost by that: the board tells what is still open after the outage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from roboinvest.app.roster import TRADING
from roboinvest.core.events import AlertRaised, Event, Severity
from roboinvest.runtime.supervision.supervisor import ALERT_PREFIX

Away = Callable[[], str | None]  # the key of the open alert of an outage; None: there is none


def folding(
    publish: Callable[[Event], None], outages: Callable[[], Sequence[Away]]
) -> Callable[[Event], None]:
    """Return a `publish` for the supervisor.

    A critical alert is never folded: the daemon ends with it.

    Args:
        publish: hears of everything.
        outages: of whom trading needs; the first that is away is the cause.
    """

    def folded(event: Event) -> None:
        about = isinstance(event, AlertRaised) and event.key == f"{ALERT_PREFIX}{TRADING}"
        if isinstance(event, AlertRaised) and about and event.severity is not Severity.CRITICAL:
            cause = next((key for away in outages() if (key := away()) is not None), None)
            event = event if cause is None else replace(event, caused_by=cause)
        publish(event)

    return folded
