"""The one sender: an intent is durable, then it leaves once, then its answer is judged.

A request that left and was not answered in a way that can be believed is UNKNOWN. Only a refusal
of the first request is a refusal: after a second one, "no" may mean that the first was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.brokers.desk.order_book import Family, OrderBook, heads_and_legs, leg_id
from roboinvest.brokers.desk.parts import JOURNAL_DOUBT, DeskParts
from roboinvest.brokers.paper_book import DUST
from roboinvest.brokers.paper_checks import check_form
from roboinvest.core.errors import BadInput, OrderRejected, Refused, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.orders import Leg, OrderIntent, Side
from roboinvest.core.venue import Outcome, OutcomeKind, VenueOrder

ZERO: Final = Decimal(0)
LIMITED: Final = "limited"  # notes
CLOSING: Final = frozenset({Leg.EXIT, Leg.FLATTEN, Leg.STOP, Leg.TARGET})
_ADDING_ALLOWED: Final = frozenset({TradingState.READY})
_CLOSING_ALLOWED: Final = frozenset({TradingState.READY, TradingState.DEGRADED})


class Sender:
    """Writes intents down and sends them."""

    def __init__(self, parts: DeskParts, limits: Callable[[], str]) -> None:
        self._parts = parts
        self._limits = limits

    async def ensure(self, intent: OrderIntent, at: datetime) -> Family:
        """Send an intent that was never sent; return what is known of it.

        Raises:
            OrderRejected: refused for certain, now or earlier; nothing was booked.
            TryLater: the journal cannot be written; nothing was sent.
        """
        parts = self._parts
        check_form(intent, min(at, intent.valid_until))  # whether it came too late is seen below
        async with parts.lock:
            intent = await self._limited(intent, at)
            entry = await self._recorded(intent, at)
            family = parts.book.put(entry)
            if entry.state is JournalState.INTENT:
                entry = await self.send(entry)
        if entry.state in (JournalState.REJECTED, JournalState.EXPIRED):
            if not any(family.reports.values()):
                parts.book.forget(family)
            raise OrderRejected(f"{intent.symbol}: {entry.reason}")
        return family

    async def send(self, entry: JournalEntry) -> JournalEntry:
        """Send an intent, the first time or again, and judge the answer; the lock is held."""
        parts, name = self._parts, entry.intent.client_order_id
        refusal = self.why_not(entry)
        if refusal is not None:
            if entry.state is JournalState.INTENT:
                late = parts.clock.now() > entry.intent.valid_until
                end = JournalState.EXPIRED if late else JournalState.REJECTED
                return await parts.move(entry, end, reason=refusal)
            return entry
        parts.sending = name
        try:
            entry = await parts.move(entry, JournalState.SENDING)
            refusal = self.why_not(entry)  # once more: the world went on while the disk wrote
            if refusal is not None:
                first = entry.sends == 1
                end = JournalState.REJECTED if first else JournalState.UNKNOWN
                return await parts.move(entry, end, reason=refusal)
            parts.left_at[name] = parts.clock.monotonic()
            outcome = await self._place(entry.intent)
            return await self._judge(entry, outcome)
        finally:
            parts.sending = None

    def why_not(self, entry: JournalEntry) -> str | None:
        """Return why an intent may not leave now; None where it may."""
        parts, intent = self._parts, entry.intent
        now = parts.clock.now()
        if now > intent.valid_until:
            return f"valid until {intent.valid_until.isoformat()}, now {now.isoformat()}"
        if intent.client_order_id in parts.unwanted:
            return "cancelled before the broker was known to have it"
        state, reason = parts.standing.now()
        closes = intent.leg in CLOSING
        if state not in (_CLOSING_ALLOWED if closes else _ADDING_ALLOWED):
            return f"trading is {state}: {reason}"
        return parts.may_act(intent) or (
            self._not_closable(intent) if closes else self._not_addable(intent)
        )

    async def adopt(self, entry: JournalEntry, reports: Sequence[VenueOrder]) -> JournalEntry:
        """Take an order over that the broker has; the lock is held.

        Legs are linked before the entry counts as accepted, so that no crash leaves one unnamed.
        """
        parts, name = self._parts, entry.intent.client_order_id
        head, legs = heads_and_legs(name, reports)
        if head is None:
            return entry
        stranger = _difference(entry, head)
        if stranger is not None:
            reason = f"the broker has another order under {name}: {stranger}"
            parts.standing.doubt(f"order.{name}", reason, alarm=True)
            if entry.state is JournalState.SENDING or entry.state is JournalState.UNKNOWN:
                return await parts.move(entry, JournalState.REJECTED, reason=reason)
            return entry
        for leg in legs:
            our_leg = leg_id(name, leg.order_type)
            if our_leg is not None:
                await parts.link(leg.venue_id, our_leg)
        if entry.state in (JournalState.SENDING, JournalState.UNKNOWN):
            entry = await parts.move(entry, JournalState.ACCEPTED, venue_id=head.venue_id)
        elif entry.venue_id != head.venue_id:
            await parts.link(head.venue_id, name)
        parts.book.take_report(name, head)
        for leg in legs:
            our_leg = leg_id(name, leg.order_type)
            if our_leg is not None:
                parts.book.take_report(our_leg, leg)
        return entry

    async def _limited(self, intent: OrderIntent, at: datetime) -> OrderIntent:
        """Return a sale that closes as far as the broker has the shares; the lock is held.

        Somebody may have sold ours by hand. The second time it is what it was the first time.
        """
        parts = self._parts
        if intent.leg not in CLOSING:
            return intent
        known = await parts.journal.entry(intent.client_order_id)
        if known is not None:
            body = _limit(intent, known.intent.qty)
            limited = any(dict(n.body) == body for n in await parts.journal.notes(LIMITED))
            return replace(intent, qty=known.intent.qty) if limited else intent
        free = self._sellable(intent)
        if free is None or free <= DUST or intent.qty - free <= DUST:
            return intent
        if self._beyond_ours(intent) is not None:
            return intent  # refused, whatever the broker holds
        await parts.journal.note(LIMITED, at, _limit(intent, free))
        return replace(intent, qty=free)

    async def _recorded(self, intent: OrderIntent, at: datetime) -> JournalEntry:
        parts = self._parts
        try:
            entry = await parts.journal.record(intent, self._limits(), at)
        except TryLater as error:
            parts.standing.doubt(JOURNAL_DOUBT, f"the order journal: {error}", alarm=True)
            raise
        except (Refused, BadInput) as error:
            raise OrderRejected(str(error)) from error
        parts.standing.proven(JOURNAL_DOUBT, "the order journal can be written again")
        return entry

    async def _place(self, intent: OrderIntent) -> Outcome:
        try:
            return await self._parts.asked(self._parts.venue.place(intent), "answer to an order")
        except TryLater as error:
            return Outcome(kind=OutcomeKind.UNKNOWN, code="timeout", text=str(error))

    async def _judge(self, entry: JournalEntry, outcome: Outcome) -> JournalEntry:
        parts, name = self._parts, entry.intent.client_order_id
        answer = " ".join(part for part in (outcome.code, outcome.text) if part)
        orders: Sequence[VenueOrder] = outcome.orders
        if outcome.kind is OutcomeKind.REJECTED and outcome.is_duplicate:
            try:
                orders = await parts.asked(parts.venue.find(name), "order by its id")
            except TryLater:
                orders = ()
        elif outcome.kind is OutcomeKind.REJECTED and entry.sends == 1:
            return await parts.move(entry, JournalState.REJECTED, reason=answer or "refused")
        if outcome.kind is not OutcomeKind.UNKNOWN and heads_and_legs(name, orders)[0] is not None:
            return await self.adopt(entry, orders)
        return await parts.move(entry, JournalState.UNKNOWN, reason=answer or "no answer")

    def _not_addable(self, intent: OrderIntent) -> str | None:
        """New risk waits while an order of the same symbol is being looked up."""
        for entry in self._parts.book.unsettled():
            other = entry.intent
            if other.symbol == intent.symbol and other.client_order_id != intent.client_order_id:
                return f"{other.client_order_id} in {other.symbol} is still being looked up"
        return None

    def _not_closable(self, intent: OrderIntent) -> str | None:
        """What closes a position must not open one, together with all that closes it already."""
        beyond, free = self._beyond_ours(intent), self._sellable(intent)
        if beyond is not None or free is None or intent.qty - free <= DUST:
            return beyond
        return (
            f"{intent.leg} to sell {intent.qty} shares: the broker holds "
            f"{self._parts.book.at_broker(intent.symbol)}, of which {free} are free to be sold; "
            "shares were sold by hand, or are missing: compare with the broker"
        )

    def _sellable(self, intent: OrderIntent) -> Decimal | None:
        """Return the shares that the broker still has for a sale; None where nothing limits it."""
        if intent.side is not Side.SELL or self._parts.policy.may_short:
            return None
        book = self._parts.book
        there = max(book.at_broker(intent.symbol), ZERO)
        return max(there - _closing(book, intent), ZERO)

    def _beyond_ours(self, intent: OrderIntent) -> str | None:
        book = self._parts.book
        held = max(book.held(intent.symbol) * -intent.side.sign, ZERO)
        closing = _closing(book, intent)
        if intent.qty + closing - held > DUST:
            return (
                f"{intent.leg} to {intent.side} {intent.qty} shares: {held} are held, and open "
                f"orders may close {closing} of them; cancel those, or wait for their end"
            )
        return None


def _limit(intent: OrderIntent, qty: Decimal) -> dict[str, str]:
    """Return the note of a sale that is sent with fewer shares than were asked for."""
    name, asked = intent.client_order_id, f"{intent.qty.normalize():f}"
    return {"client_order_id": name, "asked": asked, "limit": f"{qty.normalize():f}"}


def _closing(book: OrderBook, intent: OrderIntent) -> Decimal:
    """Return the shares that open orders may still take off the position `intent` closes."""
    total = ZERO
    for name, family in book.families.items():
        entry = family.entry.intent
        if entry.symbol != intent.symbol or name == intent.client_order_id:
            continue
        orders = [order for order in book.family_orders(family) if order.is_open]
        if entry.leg in CLOSING:
            total += sum((o.remaining for o in orders if o.side is intent.side), ZERO)
            continue
        legs = [order.remaining for order in orders if order.parent_id is not None]
        # One leg fills, or the other; across a split they may have grown beyond what was filled.
        grown = max(book.scale(entry.symbol, family.entry.created_at), Decimal(1))
        total += min(max(legs, default=ZERO), book.filled(name) * grown)
    return total


def _difference(entry: JournalEntry, report: VenueOrder) -> str | None:
    """Return in which way a broker's order is not the intent; None where it is.

    The quantity of one that was taken over before is the broker's: a split changes it.
    """
    intent = entry.intent
    replaced = (
        entry.venue_id == report.venue_id
        or report.replaced_by is not None
        or report.replaces is not None
    )
    same_qty = replaced or not report.qty or report.qty == intent.qty
    if (report.symbol, report.side) == (intent.symbol, intent.side) and same_qty:
        return None
    theirs = f"{report.side} {report.qty} {report.symbol}"
    return f"{theirs} in place of {intent.side} {intent.qty} {intent.symbol}"
