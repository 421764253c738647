"""The alert board: each cause once, counted while it lasts, closed only by what recovered it.

It listens on the bus and keeps its state as a named document, so that an open alert is still open
after a restart. What opens or closes is kept before the next fact is taken; counts, and what comes
in a storm, within a moment by the keeper. Closed ones stay for a while, so that a person can see
what went by. Nothing is ever closed because it is old: a cause nobody looks at is still there.

An alert that follows from another open one is folded under it: it is on the board, and a person is
told of the root alone. What is still open some time after its root recovered is told after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.alerting.document import BoardDocument, read_board
from roboinvest.runtime.alerting.storms import (
    OVERFLOW,
    STORM,
    BoardLimits,
    Spilled,
    StormWatch,
)
from roboinvest.runtime.alerting.values import (
    RANK,
    Alert,
    AlertChange,
    Change,
    short_key,
)

DOCUMENT: Final = "alerts"
KEEP_RESOLVED: Final = timedelta(days=7)
MAX_KEPT: Final = 500  # alerts; closed ones beyond it are forgotten, open ones never
ORPHANED_AFTER: Final = timedelta(minutes=2)  # its root recovered, and it did not
MAX_MESSAGE: Final = 1_000  # characters
_LOOK_EVERY: Final = timedelta(minutes=1)
_SAVES_A_SECOND: Final = 5  # at once; what is more waits for the keeper
_SLACK: Final = 500  # closed alerts beyond `MAX_KEPT` before somebody sorts them out at once
_OWN: Final = "alerts."  # begins the keys that only the board itself may use
_MAX_HOPS: Final = 16  # from a cause to its root


class AlertBoard:
    """Open and lately closed alerts, by key."""

    def __init__(
        self,
        save: Callable[[str, str], Awaitable[None]],
        *,
        redact: Callable[[str], str] = str,
        limits: BoardLimits | None = None,
    ) -> None:
        """Take where to keep the document.

        Args:
            save: keeps a named text: `save(name, text)`.
            redact: cuts secrets out of what others wrote.
            limits: of storms and of room.
        """
        self._save = save
        self._redact = redact
        self._limits = limits or BoardLimits()
        self._alerts: dict[str, Alert] = {}
        self._open = 0
        self._below: dict[str, set[str]] = {}  # open alerts, by the key they follow from
        self._untold: set[str] = set()  # open, and nobody was told
        self._storms = StormWatch(self._limits)
        self._spilled = Spilled()
        self._looked_at = datetime.min.replace(tzinfo=UTC)  # for what to forget
        self._listeners: list[Callable[[AlertChange], None]] = []
        self._text = BoardDocument()
        self._unsaved = False
        self._saving = asyncio.Lock()
        self._saves: list[datetime] = []  # lately, at once

    def listen(self, hear: Callable[[AlertChange], None]) -> None:
        """Call `hear` with each change from now on; it must neither wait nor raise."""
        self._listeners.append(hear)

    def restore(self, text: str | None) -> None:
        """Take the alerts of the run before; what cannot be read is left out and logged."""
        stored = read_board(text)
        self._spilled.restore(stored.digests, stored.unnamed)
        for alert in stored.alerts:
            self._put(alert)
            if alert.is_open and (alert.told is None or alert.snoozed_until is not None):
                self._untold.add(alert.key)
        self._unsaved = False

    async def receive(self, event: AlertRaised | AlertResolved) -> None:
        """Fold one fact from the bus, and keep the result."""
        if event.key.startswith(_OWN):
            event = replace(event, key=f"outside.{event.key}")
        urgent = self._raised(event) if isinstance(event, AlertRaised) else self._resolved_by(event)
        if urgent and self._may_save_now(event.at):
            await self.flush()

    async def flush(self) -> None:
        """Keep what is not kept yet.

        Raises:
            TryLater: the store takes nothing; it stays to be kept.
        """
        async with self._saving:
            if not self._unsaved:
                return
            self._unsaved = False
            try:
                await self._save(DOCUMENT, await self._text.text(self._alerts, self._spilled))
            except BaseException:
                self._unsaved = True
                raise

    def settle(self, now: datetime) -> None:
        """Do what time brings: snoozes end, orphans are told of, old closed ones are forgotten."""
        for key in tuple(self._untold):
            alert = self._alerts[key]
            until = alert.snoozed_until
            if until is not None:
                if until <= now:
                    awake = self._put(replace(alert, snoozed_until=None, snoozed_by=None))
                    self._tell(awake, Change.STILL_OPEN, now)
            elif self._is_orphaned(alert, now):
                self._tell(alert, Change.STILL_OPEN, now)
        if len(self._alerts) > MAX_KEPT or abs(now - self._looked_at) >= _LOOK_EVERY:
            self._looked_at = now
            self._forget(now)

    def change(self, key: str, **fields: Any) -> Alert:  # noqa: ANN401 as `replace` takes them
        """Put down what a person decided about an open alert; return it."""
        alert = replace(self._alerts[key], **fields)
        if alert.snoozed_until is not None:
            self._untold.add(key)
        elif alert.acknowledged_at is not None:
            self._untold.discard(key)
        return self._put(alert)

    def alerts(self) -> tuple[Alert, ...]:
        """Return open alerts by severity, then closed ones; the newest first in each."""
        return tuple(
            sorted(
                self._alerts.values(),
                key=lambda a: (
                    a.resolved_at is not None,
                    RANK[a.severity],
                    -a.last_seen_at.timestamp(),
                    a.key,
                ),
            )
        )

    def open_keys(self, prefix: str) -> frozenset[str]:
        """Return the keys of open alerts that begin with `prefix`, without it."""
        keys = (alert.key for alert in self._alerts.values() if alert.resolved_at is None)
        return frozenset(key.removeprefix(prefix) for key in keys if key.startswith(prefix))

    def root_of(self, key: str) -> str | None:
        """Return the key of the open alert that this one is folded under; None: it stands alone."""
        alert = self._alerts.get(key)
        return None if alert is None or not alert.is_open else self._root_of(alert)

    def folded_count(self, key: str) -> int:
        """Return how many open alerts follow directly from this one."""
        return len(self._below.get(key, ()))

    def _raised(self, event: AlertRaised) -> bool:
        """Count or open the cause; return whether it has to be kept at once."""
        key, message = short_key(event.key), self._shown(event.message)
        known = self._alerts.get(key)
        if known is not None and known.is_open:
            return self._seen_again(known, event, message)
        cause = None if event.caused_by is None else short_key(event.caused_by)
        alert = Alert(
            key=key,
            severity=event.severity,
            kind=event.kind,
            message=message,
            raised_at=event.at,
            last_seen_at=event.at,
            count=1,
            caused_by=cause if cause != key else None,
        )
        own = key.startswith((STORM, OVERFLOW))
        if not own and self._open >= self._limits.room[event.severity]:
            self._spill(alert)
            return False
        self._spilled.take(key)
        storm = None
        if not own and self._root_of(alert) is None:
            storm = self._storms.storm_of(event.kind, event.severity, event.at)
        if storm is not None:
            alert = replace(alert, caused_by=storm)
            self._open_storm(storm, alert)
        self._put(alert)
        self._untold.add(key)
        self._tell(alert, Change.RAISED, event.at)
        return storm is None

    def _seen_again(self, known: Alert, event: AlertRaised, message: str) -> bool:
        worse = RANK[event.severity] < RANK[known.severity]
        alert = replace(
            known,
            severity=event.severity,
            message=message,
            last_seen_at=event.at,
            count=known.count + 1,
        )
        if event.caused_by is not None and event.caused_by != known.key:
            alert = replace(alert, caused_by=short_key(event.caused_by))
        if worse:  # what was said of a lesser trouble does not hold for this one
            alert = replace(
                alert,
                acknowledged_at=None,
                acknowledged_by=None,
                snoozed_until=None,
                snoozed_by=None,
            )
        self._put(alert)
        if worse and (known.told is None or RANK[event.severity] < RANK[known.told]):
            self._tell(alert, Change.WORSENED, event.at)
        return worse

    def _resolved_by(self, event: AlertResolved) -> bool:
        key = short_key(event.key)
        known = self._alerts.get(key)
        if known is None or not known.is_open:
            if self._spilled.take(key):
                self._unsaved = True
                self._drained(event.at)
            return False
        self._close(known, event.at, self._shown(event.message))
        return True

    def _close(self, known: Alert, at: datetime, resolution: str) -> None:
        alert = self._put(replace(known, resolved_at=at, resolution=resolution))
        self._untold.discard(known.key)
        asleep = known.snoozed_until is not None and at < known.snoozed_until
        self._say(alert, Change.RESOLVED, at, folded=asleep or known.told is None)
        if len(self._alerts) - self._open > MAX_KEPT + _SLACK:
            self._forget(at)
        cause = known.caused_by
        if cause is not None and cause.startswith(STORM) and not self._below.get(cause):
            storm = self._alerts.get(cause)
            if storm is not None and storm.is_open:
                text = f"the last of its {storm.count} causes recovered: {resolution}"
                self._close(storm, at, text[:MAX_MESSAGE])

    def _open_storm(self, key: str, child: Alert) -> None:
        """Raise the storm that a cause belongs to, or count one more."""
        known = self._alerts.get(key)
        count = known.count + 1 if known is not None and known.is_open else 1
        worst = child
        if known is not None and known.is_open and RANK[known.severity] < RANK[child.severity]:
            worst = known
        self._raised(
            AlertRaised(
                at=child.last_seen_at,
                key=key,
                severity=worst.severity,
                kind=child.kind,
                message=f"{count} causes of kind {child.kind} in a storm; lately: {child.message}",
            )
        )

    def _spill(self, alert: Alert) -> None:
        """Note a cause that finds no room; people hear of the number."""
        self._spilled.add(alert.key)
        self._unsaved = True
        known = self._alerts.get(OVERFLOW)
        severity = alert.severity
        if known is not None and known.is_open and RANK[known.severity] < RANK[severity]:
            severity = known.severity
        text = f"{self._spilled.count} causes found no room on the board; lately: {alert.message}"
        self._raised(
            AlertRaised(
                at=alert.raised_at, key=OVERFLOW, severity=severity, kind="system", message=text
            )
        )

    def _drained(self, at: datetime) -> None:
        known = self._alerts.get(OVERFLOW)
        if known is not None and known.is_open and not self._spilled.count:
            self._close(known, at, "every cause without room has recovered")

    def _tell(self, alert: Alert, change: Change, at: datetime) -> None:
        """Pass a change on, and note that people know, unless they are to hear of the root."""
        snoozed = alert.snoozed_until is not None and at < alert.snoozed_until
        folded = snoozed or self._is_hidden(alert)
        if not folded:
            alert = self._put(replace(alert, told=alert.severity))
            self._untold.discard(alert.key)
        self._say(alert, change, at, folded=folded)

    def _say(self, alert: Alert, change: Change, at: datetime, *, folded: bool) -> None:
        said = AlertChange(alert=alert, change=change, at=at, folded=folded)
        for hear in self._listeners:
            hear(said)

    def _put(self, alert: Alert) -> Alert:
        before = self._alerts.get(alert.key)
        was_open = before is not None and before.is_open
        if before is not None and before.caused_by in self._below:
            below = self._below[before.caused_by]
            below.discard(alert.key)
            if not below:
                del self._below[before.caused_by]
        if alert.caused_by is not None and alert.is_open:
            self._below.setdefault(alert.caused_by, set()).add(alert.key)
        self._open += int(alert.is_open) - int(was_open)
        self._alerts[alert.key] = alert
        self._text.changed(alert.key)
        self._unsaved = True
        return alert

    def _root_of(self, alert: Alert) -> str | None:
        """Follow open causes upwards; a circle has no root, and hides nobody."""
        found, key = None, alert.caused_by
        for _ in range(_MAX_HOPS):
            above = None if key is None else self._alerts.get(key)
            if above is None or not above.is_open:
                return found
            found, key = above.key, above.caused_by
        return None

    def _is_hidden(self, alert: Alert) -> bool:
        """Return whether people hear of its root instead; a critical hides under its like alone."""
        root = self._root_of(alert)
        if root is None:
            return False
        return (
            alert.severity is not Severity.CRITICAL
            or self._alerts[root].severity is Severity.CRITICAL
        )

    def _is_orphaned(self, alert: Alert, now: datetime) -> bool:
        if alert.acknowledged_at is not None or self._is_hidden(alert):
            return False
        above = self._alerts.get(alert.caused_by or "")
        since = above.resolved_at if above is not None and above.resolved_at else alert.last_seen_at
        return now - since >= ORPHANED_AFTER

    def _may_save_now(self, at: datetime) -> bool:
        second = timedelta(seconds=1)
        self._saves = [when for when in self._saves if abs(at - when) < second]
        if len(self._saves) >= _SAVES_A_SECOND:
            return False
        self._saves.append(at)
        return True

    def _shown(self, text: str) -> str:
        """Return what others wrote, harmless to show: one line, without secrets or markup."""
        return clean(self._redact(text), MAX_MESSAGE) or "(nothing that can be shown)"

    def _forget(self, now: datetime) -> None:
        if len(self._alerts) == self._open:
            return
        closed = [alert for alert in reversed(self.alerts()) if alert.resolved_at is not None]
        spare = max(0, len(self._alerts) - MAX_KEPT)
        for number, alert in enumerate(closed):
            old = alert.resolved_at is not None and now - alert.resolved_at > KEEP_RESOLVED
            if old or number < spare:
                del self._alerts[alert.key]
                self._text.changed(alert.key)
                self._unsaved = True
