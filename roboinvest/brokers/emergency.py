"""Cancelling and closing for a person who halted, on a thread and a connection of their own.

It works while the event loop is wedged, the database takes nothing or the stream is down, so it
shares nothing with the order desk but the journal. Each cancel and each closing order is written
down before it leaves: in the journal or, if that takes nothing, in the halt log. A closing order is
named by the instant of the halt, so that a daemon and a command that both act cannot close twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.journal import JournalEntry, JournalState, is_ours
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Leg,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
    client_order_id,
)
from roboinvest.core.ports import Clock
from roboinvest.core.venue import Execution, Outcome, OutcomeKind, VenueOrder, VenuePosition
from roboinvest.runtime.halt import Halt, HaltLevel

GONE_WITHIN_S: Final = 3.0  # for cancelled orders to leave the broker's list
MOST_FAMILIES: Final = 20  # of brackets asked for their legs, the latest first
LEG_SUFFIX: Final = "-leg"
LOOK_S: Final = 0.2  # between two looks at that list
VALID_FOR: Final = timedelta(minutes=2)
ON_THE_WAY: Final = frozenset(
    {JournalState.INTENT, JournalState.SENDING, JournalState.UNKNOWN, JournalState.ACCEPTED}
)
_ZERO: Final = Decimal(0)


class Hands(Protocol):
    """A broker's interface for a thread: each call blocks, ends in time, and is made once."""

    def open_orders(self) -> Sequence[VenueOrder]:
        """Return every order that can still fill, legs included; TryLater where that is unknown."""

    def family(self, venue_id: str) -> Sequence[VenueOrder]:
        """Return an order and the legs of its bracket; TryLater where that is unknown."""

    def executions(self, since: datetime) -> Sequence[Execution]:
        """Return every execution since; TryLater where that is unknown."""

    def positions(self) -> Sequence[VenuePosition]:
        """Return what is held; TryLater where that is unknown."""

    def cancel(self, venue_id: str) -> Outcome:
        """Ask for the end of an order."""

    def place(self, intent: OrderIntent) -> Outcome:
        """Send an intent."""


class Notebook(Protocol):
    """Where requests are written down before they leave."""

    def known(self) -> Mapping[str, JournalEntry]:
        """Return the intents that may be at the broker, by client order id; {} if unreadable."""

    def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order, as far as it can be read."""

    def held(self, news: Iterable[Execution]) -> Mapping[str, Decimal] | None:
        """Return our signed shares by symbol, with executions not yet taken in; None: unreadable.

        Those that are no order of ours are left out.
        """

    def cancelling(self, order: VenueOrder, at: datetime) -> None:
        """Write down that a cancel is about to leave; one that cannot be is asked for as well."""

    def closing(self, intent: OrderIntent, at: datetime) -> OrderIntent:
        """Write down that a closing order is about to leave; return the one to send.

        That is an earlier one of the same name, where there was a try before.

        Raises:
            TryLater: it can be written nowhere.
        """

    def closed(self, intent: OrderIntent, outcome: Outcome, at: datetime) -> None:
        """Write down what the broker said to it, as far as anything can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How far a halt was carried out."""

    cancelled: int = 0
    closed: int = 0
    failed: int = 0  # requests that were refused or not answered

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was refused or left open."""
        return not self.failed


class EmergencyDesk:
    """Carries a halt out, order by order, and tells each result as it comes."""

    def __init__(
        self,
        hands: Hands,
        notebook: Notebook,
        *,
        instance: str,
        clock: Clock,
        pause: Callable[[float], object],
    ) -> None:
        """Take the hands and the notebook.

        Args:
            hands: at the broker.
            notebook: what is written before anything leaves.
            instance: of our client order ids.
            clock: its `monotonic` is called in this thread.
            pause: waits for so many seconds.
        """
        self._hands = hands
        self._notebook = notebook
        self._instance = instance
        self._clock = clock
        self._pause = pause

    def carry_out(
        self, halt: Halt, tell: Callable[[str], None], *, all_positions: bool = False
    ) -> Done:
        """Cancel, and close where the level says so. Blocking; twice is the same as once.

        The halt's own instant names what is sent, so it should say when it was set.

        Raises:
            TryLater: the broker could not be asked what is there.
        """
        if halt.level is HaltLevel.NEW:
            return Done()
        flatten = halt.level is HaltLevel.FLATTEN
        there = [o for o in self._hands.open_orders() if not self._closes(o, halt)]
        chosen = self._chosen(there, flatten=flatten, others=all_positions)
        for order in chosen:
            self._cancel(order, tell)
        left = self._left_of(chosen)
        for order in left:
            tell(f"{_named(order)} is still open")
        done = Done(cancelled=len(chosen) - len(left), failed=len(left))
        return self._flatten(halt, tell, done, all_positions=all_positions) if flatten else done

    def _closes(self, order: VenueOrder, halt: Halt) -> bool:
        """Return whether an order is what this halt itself sent to close."""
        return order.client_order_id == self._closing_id(halt, order.symbol)

    def _closing_id(self, halt: Halt, symbol: str) -> str:
        return client_order_id(self._instance, _moment(halt), HOUSE_AGENT, symbol, Leg.FLATTEN)

    def _chosen(
        self, orders: Sequence[VenueOrder], *, flatten: bool, others: bool
    ) -> list[VenueOrder]:
        """Return the entries of ours or, to flatten, everything that could still trade."""
        known = self._notebook.known()
        names = self._names_of(orders, known)
        chosen = list[VenueOrder]()
        for order in orders:
            name = names[order.venue_id] or names.get(order.parent_id or "")
            if name is None and not (flatten and others):
                continue
            entry = known.get(name or "")
            is_entry = order.parent_id is None and (
                entry.intent.leg is Leg.ENTRY if entry else _may_enter(order, known)
            )
            if flatten or is_entry:
                chosen.append(order)
        return sorted(chosen, key=lambda order: order.parent_id is not None)

    def _names_of(
        self, orders: Sequence[VenueOrder], known: Mapping[str, JournalEntry]
    ) -> dict[str, str | None]:
        """Return our names by venue id; a leg may be known by its entry alone."""
        names = {order.venue_id: self._name_of(order) for order in orders}
        strange = {o.symbol for o in orders if not names[o.venue_id] and not o.parent_id}
        brackets = [
            entry
            for entry in reversed(list(known.values()))
            if entry.venue_id
            and entry.intent.symbol in strange
            and (entry.intent.stop_loss or entry.intent.take_profit)
        ]
        for entry in brackets[:MOST_FAMILIES]:
            for order in self._hands.family(entry.venue_id or ""):
                if names.get(order.venue_id, "") is None:
                    names[order.venue_id] = entry.intent.client_order_id + LEG_SUFFIX
        return names

    def _name_of(self, order: VenueOrder) -> str | None:
        if is_ours(order.client_order_id, self._instance):
            return order.client_order_id
        return self._notebook.owner_of(order.venue_id)

    def _cancel(self, order: VenueOrder, tell: Callable[[str], None]) -> None:
        self._notebook.cancelling(order, self._clock.now())
        outcome = self._hands.cancel(order.venue_id)
        if outcome.kind is OutcomeKind.ACCEPTED:
            tell(f"{_named(order)} cancelled")
        else:  # the broker's list says whether it has ended, as the second leg of a pair has
            tell(f"{_named(order)} not cancelled: {outcome.text}")

    def _left_of(self, asked: Sequence[VenueOrder]) -> list[VenueOrder]:
        """Return the orders that are open still, after a moment for the broker to end them."""
        ends_at = self._clock.monotonic() + GONE_WITHIN_S
        left = list(asked)
        while left:
            try:
                there = {order.venue_id for order in self._hands.open_orders()}
                left = [order for order in left if order.venue_id in there]
            except TryLater:
                pass  # asked again until the time is over
            if not left or self._clock.monotonic() >= ends_at:
                break
            self._pause(LOOK_S)
        return left

    def _flatten(
        self, halt: Halt, tell: Callable[[str], None], done: Done, *, all_positions: bool
    ) -> Done:
        positions = {position.symbol: position for position in self._hands.positions()}
        held = self._to_close(positions, tell, all_positions=all_positions)
        results = [
            self._close(halt, positions[symbol], qty, tell) for symbol, qty in held.items() if qty
        ]
        if not results:
            tell("nothing of ours is held")
        closed = sum(results)
        return Done(
            cancelled=done.cancelled, closed=closed, failed=done.failed + len(results) - closed
        )

    def _to_close(
        self,
        positions: Mapping[str, VenuePosition],
        tell: Callable[[str], None],
        *,
        all_positions: bool,
    ) -> dict[str, Decimal]:
        """Return the signed shares to get rid of; never more than the broker says are there."""
        if all_positions:
            return {symbol: position.qty for symbol, position in positions.items()}
        since = self._clock.now() - timedelta(days=1)
        try:
            news = self._hands.executions(since)
        except TryLater as error:
            tell(f"executions of the last day are not known ({error}); closing what is written")
            news = ()
        ours = self._notebook.held(news)
        if ours is None:
            tell(
                "the order journal cannot be read, so nobody knows which shares are ours; "
                "close everything with --all-positions"
            )
            return {}
        found = {}
        for symbol, qty in ours.items():
            there = positions[symbol].qty if symbol in positions else _ZERO
            if there * qty > 0:
                found[symbol] = min(qty, there, key=abs)
            else:
                tell(f"{symbol}: {qty} shares are ours, the broker holds {there}; left alone")
        return found

    def _close(
        self, halt: Halt, position: VenuePosition, qty: Decimal, tell: Callable[[str], None]
    ) -> bool:
        now = self._clock.now()
        intent = self._intent(halt, position, qty, now)
        what = f"{intent.symbol}: {intent.side} {intent.qty} to close"
        try:
            intent = self._notebook.closing(intent, now)
        except RoboInvestError as error:
            tell(f"{what} not sent: it could not be written down ({error})")
            return False
        outcome = self._hands.place(intent)
        self._notebook.closed(intent, outcome, self._clock.now())
        if outcome.kind is OutcomeKind.ACCEPTED or outcome.is_duplicate:
            tell(f"{what} sent")
            return True
        tell(f"{what} {outcome.kind}: {outcome.text}")
        return False

    def _intent(
        self, halt: Halt, position: VenuePosition, qty: Decimal, now: datetime
    ) -> OrderIntent:
        return OrderIntent(
            client_order_id=self._closing_id(halt, position.symbol),
            tick_id=_moment(halt),
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=position.symbol,
            leg=Leg.FLATTEN,
            side=Side.SELL if qty > 0 else Side.BUY,
            qty=abs(qty),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            mark=position.avg_price,
            valid_until=now + VALID_FOR,
        )


def _moment(halt: Halt) -> str:
    return f"halt-{halt.at:%Y%m%dT%H%M%S.%fZ}" if halt.at else "halt-by-hand"


def _named(order: VenueOrder) -> str:
    return f"{order.symbol}: {order.side} {order.qty} ({order.venue_id})"


def _may_enter(order: VenueOrder, known: Mapping[str, JournalEntry]) -> bool:
    """Return whether an order that is not in the journal could add risk: a doubt counts as yes.

    With a readable journal an order that it does not know is a leg of one that it does.
    """
    return not known and order.order_type is not OrderType.STOP
