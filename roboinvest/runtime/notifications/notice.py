"""What people are told, and when: values and rules, without a loop or a channel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from roboinvest.core.events import Severity
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.alerting.values import KINDS, RANK, AlertChange, Change

MAX_TITLE: Final = 150  # characters
MAX_LINE: Final = 500
MAX_LINES: Final = 20  # of one message
_CALLS: Final = re.compile(r"@(?=\w)")  # words that some channels ring everybody's phone for
_DAY: Final = timedelta(days=1)


class Worth(StrEnum):
    """What becomes of news."""

    ON = "on"
    DIGEST = "digest"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One piece of news."""

    key: str  # of its cause
    kind: str
    severity: Severity
    text: str
    at: datetime  # UTC
    is_end: bool = False  # the trouble is over

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "key": self.key,
            "kind": self.kind,
            "severity": self.severity.value,
            "text": self.text,
            "at": self.at.isoformat(),
            "is_end": self.is_end,
        }

    @classmethod
    def from_plain(cls, raw: Mapping[str, Any]) -> Notice:
        """Return what `to_plain` made; KeyError, TypeError or ValueError: it is none."""
        return cls(
            key=str(raw["key"]),
            kind=str(raw["kind"]),
            severity=Severity(raw["severity"]),
            text=str(raw["text"]),
            at=datetime.fromisoformat(raw["at"]),
            is_end=bool(raw["is_end"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """News that waits, and how often it came meanwhile."""

    notice: Notice  # the latest of its cause
    since: datetime  # UTC, when the first of them came
    count: int
    due: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRules:
    """Who hears what, when."""

    kinds: Mapping[str, Worth] = field(default_factory=dict)
    only: Mapping[str, Mapping[str, Worth]] = field(default_factory=dict)  # by channel
    at_least: Severity = Severity.MEDIUM
    quiet: tuple[time, time] | None = None
    digest_at: time = time(18)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    repeat: timedelta = timedelta(minutes=15)

    def worth(self, notice: Notice, channel: str) -> Worth:
        """Return what becomes of news on a channel; a critical is never left for the digest."""
        worth = self.only.get(channel, {}).get(notice.kind)
        worth = worth or self.kinds.get(notice.kind, Worth.ON)
        if worth is Worth.OFF:
            return Worth.OFF
        if notice.severity is Severity.CRITICAL:
            return Worth.ON
        if worth is Worth.DIGEST or RANK[notice.severity] > RANK[self.at_least]:
            return Worth.DIGEST
        return Worth.ON

    def is_quiet(self, now: datetime) -> bool:
        """Return whether only criticals are sent now."""
        if self.quiet is None:
            return False
        begins, ends = self.quiet
        local = now.astimezone(self.zone).time()
        if begins < ends:
            return begins <= local < ends
        return local >= begins or local < ends

    def digest_day(self, now: datetime) -> date:
        """Return the day of the latest digest that is due."""
        local = now.astimezone(self.zone)
        day = local.date()
        return day if local.time() >= self.digest_at else day - _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel sends."""

    title: str
    body: str
    severity: Severity
    is_end: bool = False


def notice_of(change: AlertChange) -> Notice:
    """Return a change of the board as news."""
    alert = change.alert
    is_end = change.change is Change.RESOLVED
    text = alert.message
    if is_end:
        text = f"{alert.message} - over: {alert.resolution}"
    elif change.change is not Change.RAISED:
        text = f"{change.change.value}: {alert.message}"
    if alert.count > 1:
        text += f" (seen {alert.count} times since {alert.raised_at:%Y-%m-%d %H:%M} UTC)"
    return Notice(
        key=alert.key,
        kind=alert.kind,
        severity=alert.severity,
        text=text,
        at=change.at,
        is_end=is_end,
    )


def message_of(pending: Sequence[Pending], *, more: int, heading: str | None = None) -> Message:
    """Return one message of all that waits, the worst first; `more` came and found no room.

    `heading` begins the title of a message of several.
    """
    pending = sorted(pending, key=lambda one: RANK[one.notice.severity])
    worst = pending[0].notice
    over = all(one.notice.is_end for one in pending)
    lines = [_line(one) for one in pending[:MAX_LINES]]
    left = len(pending) - len(lines) + more
    if left:
        lines.append(f"and {left} more; see `roboinvest alerts ls`")
    if len(pending) == 1 and not more and heading is None:
        word = "over" if over else worst.severity.value
        title = f"RoboInvest, {word}: {KINDS.get(worst.kind, worst.kind)}"
    else:
        title = (
            f"RoboInvest, {heading or worst.severity.value}: {len(pending) + more} pieces of news"
        )
    return Message(
        title=plain(title, MAX_TITLE),
        body="\n".join(lines),
        severity=worst.severity,
        is_end=over,
    )


def plain(text: str, limit: int) -> str:
    """Return a text on one line that no channel takes for markup, a command or a call to all."""
    return _CALLS.sub("(at)", clean(text, limit)).replace("`", "'")


def _line(one: Pending) -> str:
    notice = one.notice
    word = "over" if notice.is_end else notice.severity.value
    times = f" (x{one.count} since {one.since:%H:%M} UTC)" if one.count > 1 else ""
    return f"[{word}] {plain(notice.text, MAX_LINE)}{times}"
