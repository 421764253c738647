"""Alpaca as a venue: one request a call, each with a deadline, none repeated blindly.

An intent is judged here once more, right before it leaves: its form, the symbol, and for an entry
also hours, buying power and margin. The last look is at its `valid_until`, in the thread that
sends, so that an order that waited for its turn too long does not leave.

Deliberately absent: replacing an order. A replacement races the fills of what it replaces; the
house cancels, waits for the end and sends a new intent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from roboinvest.brokers.alpaca.checks import (
    check_asset,
    check_entry,
    check_intent_form,
    is_entry,
)
from roboinvest.brokers.alpaca.client import AlpacaAccess, AlpacaClient, in_path
from roboinvest.brokers.alpaca.errors import NOT_SENT, Failure, ReadFailed, Unreadable
from roboinvest.brokers.alpaca.facts import VenueFacts
from roboinvest.brokers.alpaca.pages import all_executions, all_orders, ended_orders, merge
from roboinvest.brokers.alpaca.transport import AlpacaTransport, Patience, RateNotes
from roboinvest.brokers.alpaca.wire import (
    Asset,
    VenueClock,
    orders_of,
    position_of,
    request_of,
    rows,
    session_of,
)
from roboinvest.core.errors import OrderRejected, TryLater
from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Clock
from roboinvest.core.venue import (
    Execution,
    Outcome,
    OutcomeKind,
    VenueAccount,
    VenueOrder,
    VenuePosition,
)
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import NotSent, VendorCalls
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.rate_limiter import Lane, RateLimiter

REFUSED_HERE: Final = "refused-here"  # the code of what was not sent because of a check
_LONGEST_LIFE: Final = timedelta(days=92)  # Alpaca ends a GTC order after 90 days
_MANY: Final = 8  # orders, from which on a list is cheaper than one question each
_THREADS: Final = 4
_BURST: Final = 20  # calls at once after a quiet time: one reconciliation


class AlpacaVenue:
    """The venue port, on Alpaca."""

    def __init__(self, transport: AlpacaTransport, facts: VenueFacts, clock: Clock) -> None:
        self._transport = transport
        self._facts = facts
        self._clock = clock
        self._open: dict[str, VenueOrder] | None = None  # at the last look; None: never looked

    async def place(self, intent: OrderIntent) -> Outcome:
        """Judge an intent and send it once; what a check refused is REJECTED and was never sent."""
        try:
            await self._judge(intent)
        except OrderRejected as refusal:
            return Outcome(kind=OutcomeKind.REJECTED, code=REFUSED_HERE, text=str(refusal))
        except TryLater as error:
            return Outcome(kind=OutcomeKind.UNKNOWN, code=NOT_SENT, text=f"not sent: {error}")
        self._facts.sent(intent)
        result = await self._transport.change(lambda: self._send(intent))
        if isinstance(result, Failure):
            if result.is_definitive or result.code == NOT_SENT:
                self._facts.not_sent(intent)
            return result.outcome()
        return Outcome(kind=OutcomeKind.ACCEPTED, orders=result)

    async def cancel(self, venue_id: str) -> Outcome:
        """Ask for the end of an order."""
        path = f"/orders/{in_path(venue_id)}"
        result = await self._transport.change(lambda: self._transport.client.delete(path))
        if isinstance(result, Failure):
            return result.outcome()
        return Outcome(kind=OutcomeKind.ACCEPTED)

    async def find(self, client_order_id: str) -> tuple[VenueOrder, ...]:
        """Return the order with this id and the legs of its bracket; () where there is none."""
        try:
            found, has_legs = await self._transport.read(
                f"order {client_order_id}",
                "/orders:by_client_order_id",
                _found,
                {"client_order_id": client_order_id},
                lane=Lane.ORDERS,
            )
        except ReadFailed as error:
            if error.failure.is_missing:
                return ()
            raise
        if found[0].client_order_id != client_order_id:
            raise TryLater(
                f"alpaca: asked for {client_order_id}, told of {found[0].client_order_id}"
            )
        if has_legs and len(found) == 1:
            return await self._group(found[0].venue_id) or found
        return found

    async def orders(self, since: datetime) -> Sequence[VenueOrder]:
        """Return every open order, and every one touched since, legs included, oldest first.

        The interface can be asked for orders by the time of their submission only. What was open
        at the last look and is no longer listed is therefore asked for by its id, and the first
        look goes back for as long as an order can live.
        """
        reach = since if self._open is not None else since - _LONGEST_LIFE
        found = await all_orders(self._transport, reach)
        await self._find_gone(found)
        self._open = {key: order for key, order in found.items() if order.is_open}
        touched = {
            order.parent_id or order.venue_id
            for order in found.values()
            if order.is_open or order.updated_at is None or order.updated_at >= since
        }
        kept = [o for o in found.values() if (o.parent_id or o.venue_id) in touched]
        return sorted(kept, key=_age)

    async def executions(self, since: datetime) -> Sequence[Execution]:
        """Return every execution since, complete, oldest first."""
        return await all_executions(self._transport, since)

    async def positions(self) -> Sequence[VenuePosition]:
        """Return what is held; () only where the broker says that nothing is."""
        return await self._transport.read(
            "positions", "/positions", lambda raw: tuple(position_of(row) for row in rows(raw))
        )

    async def account(self) -> VenueAccount:
        """Return what we own and whether we may trade, read now."""
        return await self._facts.account()

    async def clock(self) -> VenueClock:
        """Return the broker's clock, read now.

        Raises:
            TryLater: the broker is away.
        """
        return await self._facts.hours(fresh=True)

    async def sessions(self, first: date, last: date) -> Sequence[Session]:
        """Return the sessions of exchange days `first` to `last`, both included, oldest first.

        Raises:
            TryLater: the broker is away.
        """
        found = await self._transport.read(
            "calendar",
            "/calendar",
            lambda raw: [session_of(row) for row in rows(raw)],
            {"start": first.isoformat(), "end": last.isoformat()},
            lane=Lane.DATA,
        )
        return sorted((s for s in found if first <= s.day <= last), key=lambda s: s.day)

    async def asset(self, symbol: str) -> Asset:
        """Return what may be done with a symbol, at most a day old.

        Raises:
            OrderRejected: the broker does not know it.
            TryLater: the broker is away.
        """
        return await self._facts.asset(symbol)

    def close(self) -> None:
        """Take no more calls."""
        self._transport.close()

    async def _judge(self, intent: OrderIntent) -> None:
        """Raise OrderRejected for what must not be sent, TryLater where that is not known."""
        check_intent_form(intent, self._clock.now())
        if is_entry(intent):
            facts = await self._facts.about(intent)
            check_asset(intent, facts.asset)
            check_entry(intent, facts)
        elif (asset := self._facts.known_asset(intent.symbol)) is not None:
            check_asset(intent, asset)

    def _send(self, intent: OrderIntent) -> tuple[VenueOrder, ...]:
        """Send, in a worker thread."""
        now = self._clock.now()
        if now > intent.valid_until:
            raise NotSent(
                f"{intent.symbol}: its turn came at {now.isoformat()}, it was valid until "
                f"{intent.valid_until.isoformat()}; it was not sent"
            )
        booked = orders_of(self._transport.client.post("/orders", request_of(intent)))
        if not booked or booked[0].client_order_id != intent.client_order_id:
            raise Unreadable("it tells of another order than the one that was sent")
        return booked

    async def _find_gone(self, found: dict[str, VenueOrder]) -> None:
        """Add what was open at the last look and is not listed: it ended, submitted long ago."""
        before = self._open or {}
        gone = before.keys() - found.keys()
        if len(gone) > _MANY:
            oldest = min((at for key in gone if (at := before[key].created_at)), default=None)
            merge(found, await ended_orders(self._transport, oldest) if oldest else ())
        for venue_id in sorted(gone - found.keys()):
            merge(found, await self._group(venue_id))

    async def _group(self, venue_id: str) -> tuple[VenueOrder, ...]:
        """Return an order and its legs by the broker's id; () where there is none."""
        try:
            return await self._transport.read(
                f"order {venue_id}",
                f"/orders/{in_path(venue_id)}",
                orders_of,
                {"nested": "true"},
                lane=Lane.ORDERS,
            )
        except ReadFailed as error:
            if error.failure.is_missing:
                return ()
            raise


def alpaca_venue(
    access: AlpacaAccess,
    *,
    calls_per_minute: int,
    clock: Clock,
    rng: random.Random,
    in_flight: InFlight,
    limits: SocketLimits | None = None,
    patience: Patience | None = None,
) -> AlpacaVenue:
    """Build the venue; nothing is sent.

    Args:
        access: where, and as whom.
        calls_per_minute: all lanes together.
        clock: whose `monotonic` is real time.
        rng: spreads the repetition of reads.
        in_flight: counts the calls under way.
        limits: of sockets.
        patience: of calls.

    Raises:
        BadSettings: an address is wrong or not allowed.
    """
    limiter, notes = RateLimiter(calls_per_minute, burst=_BURST), RateNotes()
    client = AlpacaClient(
        access, limits=limits or SocketLimits(), monotonic=clock.monotonic, on_note=notes
    )

    def pool(purpose: str) -> VendorCalls:
        name = f"alpaca-{purpose}"
        return VendorCalls(name, threads=_THREADS, limiter=limiter, in_flight=in_flight)

    transport = AlpacaTransport(
        client,
        changes=pool("orders"),
        reads=pool("reads"),
        limiter=limiter,
        notes=notes,
        redactor=access.redactor(),
        clock=clock,
        rng=rng,
        patience=patience or Patience(),
    )
    return AlpacaVenue(transport, VenueFacts(transport, clock, is_paper=not access.live), clock)


def _found(raw: Any) -> tuple[tuple[VenueOrder, ...], bool]:  # noqa: ANN401 JSON
    """Return the orders of a lookup, and whether there should be legs among them."""
    found = orders_of(raw)
    if not found:
        raise Unreadable("an order without a symbol of its own came")
    return found, raw.get("order_class") in {"bracket", "oto", "oco"}


def _age(order: VenueOrder) -> tuple[float, str]:
    return (order.created_at.timestamp() if order.created_at else 0.0, order.venue_id)
