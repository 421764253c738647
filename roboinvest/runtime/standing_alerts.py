"""Alerts that follow a state: raised when a cause appears, resolved when it is gone, once each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity


class StandingAlerts:
    """The causes of one kind; `prefix` begins the key of each."""

    def __init__(
        self,
        prefix: str,
        *,
        kind: str,
        over: str,
        publish: Callable[[Event], None],
        severity: Severity = Severity.HIGH,
    ) -> None:
        """Take what the alerts are of.

        Args:
            prefix: of their keys.
            kind: of alert, as in `AlertRaised`.
            over: how a resolved one reads after the name of its cause.
            publish: hears of them.
            severity: of each.
        """
        self.prefix = prefix
        self._kind = kind
        self._over = over
        self._publish = publish
        self._severity = severity
        self._open: set[str] = set()

    def resume(self, names: Iterable[str]) -> None:
        """Take over those that an earlier run left open."""
        self._open = set(names)

    def tell(
        self, causes: Mapping[str, str], at: datetime, *, under: Mapping[str, str] | None = None
    ) -> None:
        """Compare the causes that stand now, by name, with those told before.

        `under` names the alert that one follows from, by its key, where that is known.
        """
        for name in sorted(set(causes) - self._open):
            self._publish(
                AlertRaised(
                    at=at,
                    key=self.prefix + name,
                    severity=self._severity,
                    kind=self._kind,
                    message=causes[name],
                    caused_by=None if under is None else under.get(name),
                )
            )
        for name in sorted(self._open - set(causes)):
            message = f"{name}: {self._over}"
            self._publish(AlertResolved(at=at, key=self.prefix + name, message=message))
        self._open = set(causes)
