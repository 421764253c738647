"""Looks up what is not known: each open question by its client order id, with growing pauses.

Found is adopted. Not found is believed only of a look-up that began after the broker had time to
show the order; then the same id is sent again while it is still valid. After that nothing is ever
sent: two clean look-ups and the list of the day's orders have to agree before it is EXPIRED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from roboinvest.brokers.desk.parts import DeskParts
from roboinvest.brokers.desk.sending import Sender
from roboinvest.core.errors import TryLater
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.venue import VenueOrder


@dataclass(slots=True)
class _Question:
    """When an order is looked up next."""

    due: float  # Clock.monotonic, s
    pause_s: float


class LookUps:
    """Settles the entries of which it is not known what became of the request."""

    def __init__(self, parts: DeskParts, sender: Sender) -> None:
        self._parts = parts
        self._sender = sender
        self._questions: dict[str, _Question] = {}
        self._answered: set[str] = set()  # looked up in good order since this start
        self._began = 0.0  # Clock.monotonic, s

    def begin(self) -> None:
        """Forget what was asked: a new start."""
        self._questions.clear()
        self._answered.clear()
        self._began = self._parts.clock.monotonic()

    def all_answered(self) -> bool:
        """Return whether every open question was answered in good order since the start."""
        return all(
            entry.state is JournalState.INTENT or entry.intent.client_order_id in self._answered
            for entry in self._parts.book.unsettled()
        )

    def due_in(self) -> float | None:
        """Return the seconds until the next look-up; None where there is no open question."""
        now = self._parts.clock.monotonic()
        dues = [self._question(e).due for e in self._parts.book.unsettled()]
        return max(0.0, min(dues) - now) if dues else None

    async def resolve(self) -> None:
        """Look up what is due, once each.

        Raises:
            TryLater: the journal cannot be written.
        """
        parts = self._parts
        now = parts.clock.monotonic()
        for entry in parts.book.unsettled():
            question = self._question(entry)
            if question.due > now or entry.intent.client_order_id == parts.sending:
                continue
            question.due = now + question.pause_s
            question.pause_s = min(question.pause_s * 2, parts.policy.longest_look_s)
            if entry.state is JournalState.INTENT:
                await self._send_late(entry)
            else:
                await self._look(entry)
        open_ids = {entry.intent.client_order_id for entry in parts.book.unsettled()}
        for name in [name for name in self._questions if name not in open_ids]:
            del self._questions[name]
        for name in [name for name in parts.left_at if name not in open_ids]:
            del parts.left_at[name]

    async def _send_late(self, entry: JournalEntry) -> None:
        """Send what was written down before a crash and never left, if it is still wanted."""
        async with self._parts.lock:
            now_known = self._again(entry)
            if now_known is None or now_known.state is not JournalState.INTENT:
                return
            late = self._parts.clock.now() > entry.intent.valid_until
            if late or self._sender.why_not(now_known) is None:
                await self._sender.send(now_known)

    async def _look(self, entry: JournalEntry) -> None:
        parts, name = self._parts, entry.intent.client_order_id
        began = parts.clock.now()
        try:
            found: Sequence[VenueOrder] = await parts.asked(parts.venue.find(name), "order by id")
            if not found and self._nearly_over(entry, began):
                listed = await parts.asked(parts.venue.orders(self._since(entry)), "order list")
                found = _family_in(listed, name)
        except TryLater:
            return
        self._answered.add(name)
        async with parts.lock:
            now_known = self._again(entry)
            if now_known is None or now_known.is_settled:
                return
            if found:
                await self._sender.adopt(now_known, found)
            else:
                await self._not_there(now_known, began)

    async def _not_there(self, entry: JournalEntry, began: datetime) -> None:
        parts = self._parts
        if entry.state is JournalState.SENDING:
            reason = "left before the last start; the broker does not show it yet"
            entry = await parts.move(entry, JournalState.UNKNOWN, reason=reason)
        if not self._had_time(entry, began):
            return
        if parts.clock.now() <= entry.intent.valid_until:
            if self._sender.why_not(entry) is None:
                await self._sender.send(entry)
            return
        if began <= entry.intent.valid_until:
            return
        looks = entry.clean_lookups + 1
        if looks < parts.policy.looks_to_expire:
            await parts.move(entry, JournalState.UNKNOWN, reason=entry.reason, clean_lookups=looks)
            return
        reason = f"the broker never had it: {looks} look-ups and its list of the day agree"
        await parts.move(entry, JournalState.EXPIRED, reason=reason)
        parts.unwanted.discard(entry.intent.client_order_id)

    def _again(self, entry: JournalEntry) -> JournalEntry | None:
        """Return the entry as it is now; None where it was sent again or is being sent."""
        name = entry.intent.client_order_id
        family = self._parts.book.families.get(name)
        if family is None or name == self._parts.sending or family.entry.sends != entry.sends:
            return None
        return family.entry

    def _had_time(self, entry: JournalEntry, began: datetime) -> bool:
        """Return whether the broker would have shown the order by the time a look-up began.

        The wall clock survives a start, and can be set; so it has to be long enough by both.
        """
        policy = self._parts.policy
        sent_at = entry.sent_at or entry.created_at
        left_at = self._parts.left_at.get(entry.intent.client_order_id, self._began)
        watched_s = self._parts.clock.monotonic() - left_at
        return (
            began >= sent_at + timedelta(seconds=policy.settle_s) and watched_s >= policy.watched_s
        )

    def _nearly_over(self, entry: JournalEntry, began: datetime) -> bool:
        """Return whether this look-up may be the last, so that the day's list is asked too."""
        late = began > entry.intent.valid_until and self._had_time(entry, began)
        return late and entry.clean_lookups + 1 >= self._parts.policy.looks_to_expire

    def _since(self, entry: JournalEntry) -> datetime:
        return entry.created_at - self._parts.policy.overlap

    def _question(self, entry: JournalEntry) -> _Question:
        first = self._parts.policy.first_look_s
        name = entry.intent.client_order_id
        if name not in self._questions:
            due = self._parts.clock.monotonic()
            self._questions[name] = _Question(due=due, pause_s=first)
        return self._questions[name]


def _family_in(listed: Sequence[VenueOrder], name: str) -> list[VenueOrder]:
    """Return the order with an id and its legs, out of a list of all orders."""
    heads = [report for report in listed if report.client_order_id == name]
    venue_ids = {report.venue_id for report in heads}
    return heads + [report for report in listed if report.parent_id in venue_ids]
