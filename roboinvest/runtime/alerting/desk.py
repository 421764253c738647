"""What a person may do about an alert: acknowledge it, or have it be silent for a while.

Neither closes it: only recovery does. The same code answers the control port of a running daemon
and a command that holds the folder of one that does not run.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.ports import Clock
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.values import Alert

LONGEST_SNOOZE: Final = timedelta(days=30)
_SPAN: Final = re.compile(r"(\d{1,6})\s*([mhd])", re.IGNORECASE)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_SHORTEST_NAME: Final = 4  # characters of a fingerprint that may stand for the whole


def span_of(text: str) -> timedelta:
    """Return how long "30m", "4h" or "2d" is.

    Raises:
        BadInput: it is none of these, nothing, or more than 30 days.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text[:40]!r} is no length of time; write one such as 30m, 4h or 2d")
    span = timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
    if not timedelta(0) < span <= LONGEST_SNOOZE:
        raise BadInput(f"{text} is not within 1 minute and {LONGEST_SNOOZE.days} days; shorten it")
    return span


class AlertDesk:
    """Acts on a board for people, for the record."""

    def __init__(self, board: AlertBoard, clock: Clock) -> None:
        self._board = board
        self._clock = clock

    async def acknowledge(self, name: str, *, by: str) -> Alert:
        """Note that somebody looks after an open alert; it stays open until it recovers.

        `name` is its key, its fingerprint, or the first digits of that.

        Raises:
            BadInput: no open alert, or more than one, is called that.
            TryLater: the store takes nothing; it is kept as soon as it does.
        """
        alert = self._find(name)
        done = self._board.change(
            alert.key, acknowledged_at=self._clock.now(), acknowledged_by=_who(by)
        )
        await self._board.flush()
        return done

    async def snooze(self, name: str, *, by: str, span: timedelta) -> Alert:
        """Let nobody hear of an open alert for `span`, unless it worsens.

        Raises:
            BadInput: no open alert, or more than one, is called that, or the span is too long.
            TryLater: as above.
        """
        if not timedelta(0) < span <= LONGEST_SNOOZE:
            raise BadInput(f"a snooze of {span} is not within {LONGEST_SNOOZE.days} days")
        alert = self._find(name)
        until: datetime = self._clock.now() + span
        done = self._board.change(alert.key, snoozed_until=until, snoozed_by=_who(by))
        await self._board.flush()
        return done

    def _find(self, name: str) -> Alert:
        still_open = [alert for alert in self._board.alerts() if alert.is_open]
        found = [alert for alert in still_open if name in (alert.key, alert.fingerprint)]
        if not found and len(name) >= _SHORTEST_NAME:
            found = [alert for alert in still_open if alert.fingerprint.startswith(name.lower())]
        if len(found) == 1:
            return found[0]
        shown = clean(name, 80) or "this name"
        if found:
            names = ", ".join(alert.fingerprint for alert in found[:5])
            raise BadInput(f"{len(found)} open alerts begin with {shown} ({names}); write more")
        raise BadInput(f"no open alert is called {shown}; `roboinvest alerts ls` lists them")


def acknowledged_text(alert: Alert) -> str:
    """Return the sentence that says what an acknowledgement did."""
    return (
        f"{alert.fingerprint} ({alert.message}) is acknowledged by {alert.acknowledged_by}; "
        "it stays open until it recovers"
    )


def snoozed_text(alert: Alert) -> str:
    """Return the sentence that says what a snooze did."""
    until = f"{alert.snoozed_until:%Y-%m-%d %H:%M} UTC" if alert.snoozed_until else "nothing"
    return f"{alert.fingerprint} ({alert.message}) is silent until {until}, unless it gets worse"


def _who(name: str) -> str:
    return clean(name, 80) or "somebody"
