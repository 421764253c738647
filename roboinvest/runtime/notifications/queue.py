"""What waits for one channel: merged by cause, bounded, and kept over a restart.

The first news of a cause leaves at once. The same news again within a while is counted and leaves
later as one line, and so does what comes in quiet hours or while the channel is down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from roboinvest.core.events import Severity
from roboinvest.runtime.notifications.notice import (
    Message,
    Notice,
    NoticeRules,
    Pending,
    Worth,
    message_of,
)

MAX_WAITING: Final = 200  # causes; more are counted
MAX_REMEMBERED: Final = 1_000  # causes that were told lately
TOO_OLD: Final = timedelta(hours=24)  # what waited longer is counted as undelivered
ALERT_PREFIX: Final = "notify.channel."  # begins the keys of alerts about channels


class ChannelQueue:
    """News for one channel."""

    def __init__(self, channel: str, rules: NoticeRules) -> None:
        self.channel = channel
        self._rules = rules
        self._waiting: dict[str, Pending] = {}
        self._digest: dict[str, Pending] = {}
        self._more = 0  # came, and found no room or grew too old
        self._digest_more = 0
        self._told: dict[tuple[str, bool], datetime] = {}

    def __len__(self) -> int:
        return len(self._waiting) + self._more

    @property
    def is_waiting(self) -> bool:
        """Return whether anything waits, for now or for the digest."""
        return bool(self._waiting or self._digest)

    def post(self, notice: Notice) -> bool:
        """Take news; return whether anything waits because of it."""
        if notice.key == ALERT_PREFIX + self.channel:
            return False  # nobody would hear of a broken channel through itself
        worth = self._rules.worth(notice, self.channel)
        if worth is Worth.OFF:
            return False
        if worth is Worth.DIGEST:
            if not self._merge(self._digest, notice, notice.at):
                self._digest_more += 1
            return True
        told_at = self._told.get((notice.key, notice.is_end))
        due = notice.at if told_at is None else max(notice.at, told_at + self._rules.repeat)
        if not self._merge(self._waiting, notice, due):
            self._more += 1
        return True

    def next_message(self, now: datetime) -> tuple[Message, tuple[Pending, ...]] | None:
        """Return what may be sent now, and what it is made of; None: nothing."""
        self._age(now)
        quiet = self._rules.is_quiet(now)
        due = [
            one
            for one in self._waiting.values()
            if one.due <= now and (not quiet or one.notice.severity is Severity.CRITICAL)
        ]
        if not due:
            return None
        return message_of(due, more=self._more), tuple(due)

    def next_digest(self, now: datetime) -> tuple[Message, tuple[Pending, ...]] | None:
        """Return the digest once its time has passed since news came for it; None: not yet."""
        every = tuple(self._digest.values())
        if not every:
            return None
        oldest = min(one.since for one in every)
        if self._rules.digest_day(now) <= self._rules.digest_day(oldest):
            return None
        return message_of(every, more=self._digest_more, heading="digest"), every

    def delivered(self, parts: tuple[Pending, ...], now: datetime, *, digest: bool) -> None:
        """Forget what was sent; what came meanwhile stays."""
        held = self._digest if digest else self._waiting
        for one in parts:
            if held.get(one.notice.key) is one:
                del held[one.notice.key]
            self._told[(one.notice.key, one.notice.is_end)] = now
        while len(self._told) > MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
        if digest:
            self._digest_more = 0
        else:
            self._more = 0

    def to_plain(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return {
            "waiting": [_plain(one) for one in self._waiting.values()],
            "digest": [_plain(one) for one in self._digest.values()],
            "more": self._more,
            "digest_more": self._digest_more,
            "told": [[key, end, at.isoformat()] for (key, end), at in self._told.items()],
        }

    def restore(self, raw: Mapping[str, Any]) -> None:
        """Take over what the run before had not sent.

        Raises:
            KeyError, TypeError, ValueError: it cannot be read; nothing is taken over.
        """
        waiting = [_pending(one) for one in raw["waiting"]]
        digest = [_pending(one) for one in raw["digest"]]
        told = {(str(k), bool(end)): datetime.fromisoformat(at) for k, end, at in raw["told"]}
        self._more, self._digest_more = int(raw["more"]), int(raw["digest_more"])
        self._waiting = {one.notice.key: one for one in waiting}
        self._digest = {one.notice.key: one for one in digest}
        self._told = told

    def _merge(self, held: dict[str, Pending], notice: Notice, due: datetime) -> bool:
        """Put news beside what waits of its cause; return False where there is no room."""
        before = held.get(notice.key)
        if before is not None:
            due = min(due, before.due)
            held[notice.key] = replace(before, notice=notice, count=before.count + 1, due=due)
            return True
        if len(held) >= MAX_WAITING and not self._make_room(held, notice):
            return False
        held[notice.key] = Pending(notice=notice, since=notice.at, count=1, due=due)
        return True

    def _make_room(self, held: dict[str, Pending], notice: Notice) -> bool:
        """Give up the place of lesser news for a critical; it is counted."""
        if notice.severity is not Severity.CRITICAL:
            return False
        lesser = (k for k, one in held.items() if one.notice.severity is not Severity.CRITICAL)
        key = next(lesser, None)
        if key is None:
            return False
        del held[key]
        self._more += 1
        return True

    def _age(self, now: datetime) -> None:
        old = [key for key, one in self._waiting.items() if now - one.since > TOO_OLD]
        for key in old:
            del self._waiting[key]
            self._more += 1


def _plain(one: Pending) -> dict[str, Any]:
    return {
        "notice": one.notice.to_plain(),
        "since": one.since.isoformat(),
        "count": one.count,
        "due": one.due.isoformat(),
    }


def _pending(raw: Mapping[str, Any]) -> Pending:
    return Pending(
        notice=Notice.from_plain(raw["notice"]),
        since=datetime.fromisoformat(raw["since"]),
        count=int(raw["count"]),
        due=datetime.fromisoformat(raw["due"]),
    )
