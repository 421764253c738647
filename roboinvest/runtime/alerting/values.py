"""One alert as a value, and as the JSON object that a restart reads back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from roboinvest.core.events import Severity

KINDS: Final = {  # the words of `AlertRaised.kind`, and what people call them
    "agent": "agent failure",
    "performance": "performance degradation",
    "system": "system failure",
    "budget": "budget",
    "data": "data",
    "broker": "broker",
    "security": "security",
    "risk": "risk",
}
RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}  # 0 is the worst
MAX_KEY: Final = 200  # characters; a longer key is cut and keeps a digest of the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One cause."""

    key: str
    severity: Severity
    kind: str
    message: str
    raised_at: datetime  # UTC, first seen
    last_seen_at: datetime  # UTC
    count: int
    resolved_at: datetime | None = None
    resolution: str | None = None  # what recovered it
    caused_by: str | None = None  # key of the alert that it follows from
    told: Severity | None = None  # the worst that people were told of; None: nothing yet
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Return whether nothing recovered it yet."""
        return self.resolved_at is None

    @property
    def fingerprint(self) -> str:
        """Return the short name of its cause: 10 hexadecimal digits."""
        return digest_of(self.key)[:10]


class Change(StrEnum):
    """What became of an alert."""

    RAISED = "raised"
    WORSENED = "worsened"
    STILL_OPEN = (
        "still open"  # its snooze is over, or what it was folded under recovered without it
    )
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """A change of the board, for whoever tells people."""

    alert: Alert
    change: Change
    at: datetime  # UTC
    folded: bool = False  # for the record only: a person hears of its root, or asked for silence


def digest_of(key: str) -> str:
    """Return 32 hexadecimal digits that stand for a key."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def short_key(key: str) -> str:
    """Return a key of at most `MAX_KEY` characters that stays one of its own."""
    if len(key) <= MAX_KEY and key.isascii() and key.isprintable():
        return key
    seen = "".join(c if c.isascii() and c.isprintable() else "?" for c in key[: MAX_KEY - 11])
    return f"{seen}~{digest_of(key)[:10]}"


def alert_json(alert: Alert) -> str:
    """Return an alert as one JSON object."""
    return json.dumps(
        {
            "key": alert.key,
            "severity": alert.severity.value,
            "kind": alert.kind,
            "message": alert.message,
            "raised_at": alert.raised_at.isoformat(),
            "last_seen_at": alert.last_seen_at.isoformat(),
            "count": alert.count,
            "resolved_at": _text(alert.resolved_at),
            "resolution": alert.resolution,
            "caused_by": alert.caused_by,
            "told": alert.told.value if alert.told else None,
            "acknowledged_at": _text(alert.acknowledged_at),
            "acknowledged_by": alert.acknowledged_by,
            "snoozed_until": _text(alert.snoozed_until),
            "snoozed_by": alert.snoozed_by,
        }
    )


def alert_of(raw: Any) -> Alert:  # noqa: ANN401 JSON has no narrower type
    """Return the alert in a JSON object.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    opened = {"told": raw["severity"], **raw}  # one of an older version was told of
    return Alert(
        key=str(raw["key"]),
        severity=Severity(raw["severity"]),
        kind=str(raw["kind"]),
        message=str(raw["message"]),
        raised_at=datetime.fromisoformat(raw["raised_at"]),
        last_seen_at=datetime.fromisoformat(raw["last_seen_at"]),
        count=int(raw["count"] or 1),
        resolved_at=_instant(raw["resolved_at"]),
        resolution=_word(raw["resolution"]),
        caused_by=_word(raw.get("caused_by")),
        told=Severity(opened["told"]) if opened["told"] else None,
        acknowledged_at=_instant(raw.get("acknowledged_at")),
        acknowledged_by=_word(raw.get("acknowledged_by")),
        snoozed_until=_instant(raw.get("snoozed_until")),
        snoozed_by=_word(raw.get("snoozed_by")),
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(raw: str | None) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw)


def _word(raw: object) -> str | None:
    return None if raw is None else str(raw)
