"""The service that tells people: it takes news at once and sends it in its own time.

A channel that fails is itself an alert, which the other channels carry; what it could not send
waits, and trying that again is how its recovery shows. Nothing here ever holds up who states news.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.values import AlertChange
from roboinvest.runtime.notifications.channel import Channel, Sent
from roboinvest.runtime.notifications.notice import Message, Notice, NoticeRules, notice_of
from roboinvest.runtime.notifications.queue import ALERT_PREFIX, ChannelQueue
from roboinvest.runtime.supervision.service import ServiceContext

DOCUMENT: Final = "notifications"
INTERVAL_S: Final = 1.0
GAP_S: Final = 5.0  # between two messages of a channel
FIRST_RETRY_S: Final = 30.0
LONGEST_RETRY_S: Final = 900.0


class _Line:
    """A channel with what waits for it, and how it fares."""

    def __init__(self, channel: Channel, rules: NoticeRules, *, failing: bool) -> None:
        self.channel = channel
        self.queue = ChannelQueue(channel.name, rules)
        self.is_failing = failing
        self.retry_s = FIRST_RETRY_S
        self.next_at = 0.0  # loop time before which nothing is sent


class Outbox:
    """Tells people what they asked to hear."""

    name: Final = "notifications"

    def __init__(
        self,
        channels: Sequence[Channel],
        rules: NoticeRules,
        *,
        clock: Clock,
        publish: Callable[[Event], None],
        save: Callable[[str, str], Awaitable[None]],
        left_open: Collection[str] = (),
    ) -> None:
        """Take the channels.

        Args:
            channels: to all of which news goes.
            rules: who hears what, when.
            clock: tells the time of day.
            publish: hears of channels that fail, and that work again.
            save: keeps a named text.
            left_open: names of channels whose alert an earlier run left open.
        """
        self._lines = [_Line(one, rules, failing=one.name in left_open) for one in channels]
        self._gone = sorted(set(left_open) - {one.name for one in channels})
        self._clock = clock
        self._publish = publish
        self._save = save
        self._unsaved = False
        self._log = structlog.get_logger("roboinvest.notifications")

    def hear(self, change: AlertChange) -> None:
        """Take a change of the board; what is folded under another is nobody's news."""
        if not change.folded:
            self.post(notice_of(change))

    def post(self, notice: Notice) -> None:
        """Take news; never waits."""
        for line in self._lines:
            self._unsaved |= line.queue.post(notice)

    def restore(self, text: str | None) -> None:
        """Take over what the run before had not sent; what cannot be read is left out."""
        try:
            tree = json.loads(text) if text else {}
            for line in self._lines:
                if line.channel.name in tree:
                    line.queue.restore(tree[line.channel.name])
        except (ValueError, TypeError, KeyError) as error:
            self._log.warning("notifications_unreadable", error=repr(error))

    async def run(self, ctx: ServiceContext) -> None:
        """Send what is due until cancelled; what is left is kept for the next start."""
        for name in self._gone:
            self._tell_over(name, "it is not configured any more")
        self._gone = []
        try:
            async for _ in ctx.every(INTERVAL_S):
                waiting = [line for line in self._lines if line.queue.is_waiting]
                if not waiting:
                    continue
                async with asyncio.TaskGroup() as sends:
                    for line in waiting:
                        sends.create_task(self._serve(line), name=line.channel.name)
                await self._keep()
        finally:
            await self._keep()

    async def _serve(self, line: _Line) -> None:
        """Send at most one message of a channel."""
        loop = asyncio.get_running_loop()
        if loop.time() < line.next_at:
            return
        now = self._clock.now()
        found, is_digest = line.queue.next_message(now), False
        if found is None:
            found, is_digest = line.queue.next_digest(now), True
        if found is None:
            return
        message, parts = found
        sent = await self._send(line, message)
        if sent.ok:
            line.queue.delivered(parts, now, digest=is_digest)
            self._unsaved = True
            line.next_at, line.retry_s = loop.time() + GAP_S, FIRST_RETRY_S
        else:
            line.next_at = loop.time() + line.retry_s
            line.retry_s = min(2 * line.retry_s, LONGEST_RETRY_S)
        self._note(line, sent, now)

    async def _send(self, line: _Line, message: Message) -> Sent:
        sent = await line.channel.send(message)
        write = self._log.info if sent.ok else self._log.warning
        event = "notification_sent" if sent.ok else "notification_failed"
        write(event, channel=sent.channel, result=sent.text, took_s=round(sent.took_s, 3))
        return sent

    def _note(self, line: _Line, sent: Sent, now: datetime) -> None:
        """Say that a channel failed, and that it works again."""
        if sent.ok:
            if line.is_failing:
                line.is_failing = False
                self._tell_over(line.channel.name, "a message went through again")
            return
        line.is_failing = True
        all_fail = all(one.is_failing for one in self._lines)
        self._publish(
            AlertRaised(
                at=now,
                key=ALERT_PREFIX + line.channel.name,
                severity=Severity.HIGH if all_fail else Severity.MEDIUM,
                kind="system",
                message=f"channel {line.channel.name} failed: {sent.text}; "
                f"{len(line.queue)} pieces of news wait, and are tried again by themselves; "
                f"try it with: roboinvest notify test {line.channel.name}",
            )
        )

    def _tell_over(self, name: str, why: str) -> None:
        at = self._clock.now()
        message = f"channel {name}: {why}"
        self._publish(AlertResolved(at=at, key=ALERT_PREFIX + name, message=message))

    async def _keep(self) -> None:
        if not self._unsaved:
            return
        tree = {line.channel.name: line.queue.to_plain() for line in self._lines}
        try:
            await self._save(DOCUMENT, json.dumps(tree))
            self._unsaved = False
        except TryLater as error:  # tried again with the next round
            self._log.warning("notifications_not_kept", error=str(error))
