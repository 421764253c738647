"""Cancelling and closing for a person who halted, on a thread and a connection of their own.

It works while the event loop is wedged, the database takes nothing or the stream is down, so it
shares nothing with the order desk but the journal. Each cancel and each closing order is written
down before it leaves: in the journal or, if that takes nothing, in the halt log. A closing order is
named by the instant of the halt, so that a daemon and a command that both act cannot close twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from roboinvest.brokers.emergency_ports import Done, Hands, Notebook
from roboinvest.core.errors import Refused, RoboInvestError, TryLater
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
OTHERS_PREFIX: Final = "halt-"  # makes the name of an order that closes what is not ours
LOOK_S: Final = 0.2  # between two looks at that list
VALID_FOR: Final = timedelta(minutes=2)
MOST_TRIES: Final = 20  # to close one symbol in one halt
AT_THE_BROKER: Final = "it is at the broker already"
ON_THE_WAY: Final = frozenset({JournalState.INTENT, JournalState.SENDING, JournalState.UNKNOWN})
_NEVER_BOOKED: Final = frozenset({JournalState.REJECTED, JournalState.EXPIRED})
_ZERO: Final = Decimal(0)


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
            Refused: the keys open another account than the journal's.
        """
        if halt.level is HaltLevel.NEW:
            return Done()
        self._check_account()
        wanted = halt.level is HaltLevel.FLATTEN
        flatten = wanted and (all_positions or self._notebook.held(()) is not None)
        there = [o for o in self._hands.open_orders() if not self._closes(o, halt)]
        chosen = self._chosen(there, flatten=flatten, others=all_positions)
        for order in chosen:
            self._cancel(order, tell)
        left = self._left_of(chosen)
        for order in left:
            tell(f"{_named(order)} is still open")
        late = self._on_the_way(tell)
        done = Done(cancelled=len(chosen) - len(left), failed=len(left) + late)
        if not wanted:
            return done
        if not flatten:  # what protects the shares that nobody can name stays as well
            return self._unreadable(done, tell)
        return self._flatten(halt, tell, done, all_positions=all_positions)

    def _check_account(self) -> None:
        owner = self._notebook.account()
        if owner is None:
            return
        found = self._hands.account_id()
        if found != owner:
            raise Refused(
                f"the orders here are those of account {owner}, and the keys open {found}; "
                "give the keys of the former"
            )

    def _on_the_way(self, tell: Callable[[str], None]) -> int:
        """Return how many entries may still arrive at the broker: a halt is not done before."""
        late = [
            entry.intent
            for entry in self._notebook.known().values()
            if entry.state in ON_THE_WAY and entry.intent.leg is Leg.ENTRY
        ]
        for intent in late:
            tell(f"{intent.symbol}: an entry of {intent.qty} may still arrive; looked at again")
        return len(late)

    def _unreadable(self, done: Done, tell: Callable[[str], None]) -> Done:
        tell(
            "the order journal cannot be read, so nobody knows which shares are ours; "
            "close everything with --all-positions"
        )
        return replace(done, failed=done.failed + 1)

    def _closes(self, order: VenueOrder, halt: Halt) -> bool:
        """Return whether an order is what this halt itself sent to close."""
        names = {self._closing_id(halt, order.symbol, n) for n in range(MOST_TRIES)}
        return order.client_order_id.removeprefix(OTHERS_PREFIX) in names

    def _closing_id(self, halt: Halt, symbol: str, attempt: int = 0) -> str:
        moment = _moment(halt, attempt)
        return client_order_id(self._instance, moment, HOUSE_AGENT, symbol, Leg.FLATTEN)

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
        elif outcome.kind is OutcomeKind.REJECTED:  # as the second leg of a pair whose first ended
            tell(f"{_named(order)} has ended already ({outcome.text})")
        else:  # the broker's list says whether it is open
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
        news = self._news(tell)
        ours = self._ours(positions, news, tell)
        if ours is None and not all_positions:
            return self._unreadable(done, tell)
        if ours is None:  # whose it is cannot be told; it counts as ours
            ours = {symbol: position.qty for symbol, position in positions.items()}
        results = [
            self._close(halt, positions[symbol], qty, news, tell) for symbol, qty in ours.items()
        ]
        if all_positions:
            results += [
                self._close_others(halt, position, rest, tell)
                for symbol, position in positions.items()
                if (rest := position.qty - ours.get(symbol, _ZERO))
            ]
        if not results:
            tell("nothing of ours is held")
        closed = sum(results)
        return replace(done, closed=closed, failed=done.failed + len(results) - closed)

    def _news(self, tell: Callable[[str], None]) -> Sequence[Execution]:
        """Return the last executions; () where they are not told."""
        try:
            return self._hands.executions(self._clock.now() - timedelta(days=1))
        except TryLater as error:
            tell(f"executions of the last day are not known ({error}); closing what is written")
            return ()

    def _ours(
        self,
        positions: Mapping[str, VenuePosition],
        news: Sequence[Execution],
        tell: Callable[[str], None],
    ) -> dict[str, Decimal] | None:
        """Return our signed shares, never more than the broker says are there; None: unreadable."""
        held = self._notebook.held(news)
        if held is None:
            return None
        found = {}
        for symbol, qty in held.items():
            there = positions[symbol].qty if symbol in positions else _ZERO
            if there * qty > 0:
                found[symbol] = min(qty, there, key=abs)
            else:
                tell(f"{symbol}: {qty} shares are ours, the broker holds {there}; left alone")
        return found

    def _close(
        self,
        halt: Halt,
        position: VenuePosition,
        qty: Decimal,
        news: Sequence[Execution],
        tell: Callable[[str], None],
    ) -> bool:
        now = self._clock.now()
        attempt, waits = self._next_try(halt, position.symbol, news)
        intent = self._intent(halt, position, qty, now, attempt)
        what = f"{intent.symbol}: {intent.side} {intent.qty} to close"
        if waits is not None:
            tell(f"{what}: {waits}")
            return waits == AT_THE_BROKER
        try:
            intent = self._notebook.closing(intent, now)
        except RoboInvestError as error:
            tell(f"{what} not sent: it could not be written down ({error})")
            return False
        outcome = self._hands.place(intent)
        self._notebook.closed(intent, outcome, self._clock.now())
        return _told(what, outcome, tell)

    def _next_try(
        self, halt: Halt, symbol: str, news: Sequence[Execution]
    ) -> tuple[int, str | None]:
        """Return the number of the try to send, and why it has to wait; None: it has not.

        A try that the broker refused, or that is filled and seen in the executions, is over; then
        what is still held needs another name, because a name is good for one order.
        """
        for attempt in range(MOST_TRIES):
            entry = self._notebook.entry(self._closing_id(halt, symbol, attempt))
            if entry is None or entry.state in ON_THE_WAY:
                return attempt, None
            if entry.venue_id is None or entry.state in _NEVER_BOOKED:
                continue
            order = self._hands.family(entry.venue_id)[0]
            if order.is_open:
                return attempt, AT_THE_BROKER
            seen = sum((e.qty for e in news if e.venue_id == entry.venue_id), _ZERO)
            if seen < order.filled_qty:
                return attempt, "an order to close is filled, and its executions are not told yet"
        return 0, f"{MOST_TRIES} orders to close did not; halt again, or close by hand"

    def _close_others(
        self, halt: Halt, position: VenuePosition, qty: Decimal, tell: Callable[[str], None]
    ) -> bool:
        """Close what a person holds, under a name that keeps it out of our books."""
        now = self._clock.now()
        intent = self._intent(halt, position, qty, now)
        intent = replace(intent, client_order_id=OTHERS_PREFIX + intent.client_order_id)
        what = f"{intent.symbol}: {intent.side} {intent.qty} that are not ours to close"
        try:
            self._notebook.closing_others(intent, now)
        except RoboInvestError as error:
            tell(f"{what} not sent: it could not be written down ({error})")
            return False
        return _told(what, self._hands.place(intent), tell)

    def _intent(
        self,
        halt: Halt,
        position: VenuePosition,
        qty: Decimal,
        now: datetime,
        attempt: int = 0,
    ) -> OrderIntent:
        return OrderIntent(
            client_order_id=self._closing_id(halt, position.symbol, attempt),
            tick_id=_moment(halt, attempt),
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


def _moment(halt: Halt, attempt: int) -> str:
    moment = f"halt-{halt.at:%Y%m%dT%H%M%S.%fZ}" if halt.at else "halt-by-hand"
    return f"{moment}-{attempt}" if attempt else moment


def _told(what: str, outcome: Outcome, tell: Callable[[str], None]) -> bool:
    """Tell what became of a closing order; return whether the broker has it."""
    if outcome.kind is OutcomeKind.ACCEPTED or outcome.is_duplicate:
        tell(f"{what} sent")
        return True
    tell(f"{what} {outcome.kind}: {outcome.text}")
    return False


def _named(order: VenueOrder) -> str:
    return f"{order.symbol}: {order.side} {order.qty} ({order.venue_id})"


def _may_enter(order: VenueOrder, known: Mapping[str, JournalEntry]) -> bool:
    """Return whether an order that is not in the journal could add risk: a doubt counts as yes.

    With a readable journal an order that it does not know is a leg of one that it does.
    """
    return not known and order.order_type is not OrderType.STOP
