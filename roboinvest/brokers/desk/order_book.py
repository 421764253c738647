"""What the desk knows of our orders: the intents, the broker's reports on them, the executions.

What an order has come to is stored nowhere. It is folded from the journal's entry, the broker's
reports in any order and any number, and the executions that the journal took in. Executions count
more than reports: an order is told as ended only once every share that the broker says was filled
has arrived as an execution, so that nobody acts on an ended order whose fill he does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from roboinvest.brokers.paper_book import DUST, STOP_SUFFIX, TARGET_SUFFIX
from roboinvest.brokers.paper_checks import booked_orders
from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState
from roboinvest.core.orders import Order, OrderState, OrderType
from roboinvest.core.venue import ORDER_STATES, Execution, VenueOrder, VenueStatus

ZERO: Final = Decimal(0)
SPLIT: Final = "split-"  # begins the ids of executions that no order had, see `desk.splits`
ENDED: Final = frozenset(
    {
        VenueStatus.FILLED,
        VenueStatus.CANCELLED,
        VenueStatus.EXPIRED,
        VenueStatus.REJECTED,
        VenueStatus.REPLACED,
    }
)
_BY_JOURNAL: Final = {
    JournalState.INTENT: OrderState.INTENT,
    JournalState.SENDING: OrderState.UNKNOWN,
    JournalState.UNKNOWN: OrderState.UNKNOWN,
    JournalState.REJECTED: OrderState.REJECTED,
    JournalState.EXPIRED: OrderState.EXPIRED,
}


def entry_id(our_id: str) -> str:
    """Return the intent that an order of ours belongs to: itself, or the entry of a leg."""
    return our_id.removesuffix(STOP_SUFFIX).removesuffix(TARGET_SUFFIX)


def is_split(execution: Execution) -> bool:
    """Return whether an execution only puts the books on the scale of a split."""
    return execution.execution_id.startswith(SPLIT)


def leg_id(entry: str, kind: OrderType | None) -> str | None:
    """Return our name of a protective leg; None for a kind of order that no leg of ours is."""
    if kind is OrderType.STOP:
        return entry + STOP_SUFFIX
    return entry + TARGET_SUFFIX if kind is OrderType.LIMIT else None


def merged(before: VenueOrder, after: VenueOrder) -> VenueOrder:
    """Return two reports of one order as one: the latest word, but what ended stays ended.

    Reports come twice and out of order; shares once filled are never taken back.
    """
    stale = (
        before.updated_at is not None
        and after.updated_at is not None
        and after.updated_at < before.updated_at
    )
    keeps = before.status in ENDED or stale or after.status is VenueStatus.UNKNOWN
    latest = before if keeps else after
    return replace(
        latest,
        filled_qty=max(before.filled_qty, after.filled_qty),
        replaced_by=before.replaced_by or after.replaced_by,
        parent_id=before.parent_id or after.parent_id,
    )


@dataclass(slots=True, kw_only=True)
class Family:
    """An intent and the protective legs that it carries."""

    entry: JournalEntry
    drafts: dict[str, Order]  # by our id, the entry first
    reports: dict[str, dict[str, VenueOrder]] = field(default_factory=dict)  # our id, venue id

    @classmethod
    def of(cls, entry: JournalEntry) -> Family:
        """Return the family of an intent, nothing reported yet."""
        orders = booked_orders(entry.intent, entry.created_at)
        return cls(entry=entry, drafts={order.client_order_id: order for order in orders})

    def current(self, our_id: str) -> VenueOrder | None:
        """Return the report that counts: of the last order in a chain of replacements."""
        reports = self.reports.get(our_id, {})
        alive = [r for r in reports.values() if r.status is not VenueStatus.REPLACED]
        return alive[-1] if alive else next(reversed(reports.values()), None)

    def lacks_reports(self) -> bool:
        """Return whether the broker has not yet named every order of this family."""
        return self.entry.state is JournalState.ACCEPTED and any(
            not self.reports.get(our_id) for our_id in self.drafts
        )


class OrderBook:
    """Families, the broker's names for them, and what was executed; nothing here waits."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self.names: dict[str, str] = {}  # venue id -> our id
        self.ours: dict[str, Decimal] = {}  # signed shares by symbol
        self.others: dict[str, Decimal] = {}
        self.taken: set[str] = set()  # ids of the executions that the journal has
        self.last_execution_at: datetime | None = None
        self.trades: dict[str, list[BookedExecution]] = {}  # by symbol, splits included
        self.splits: dict[tuple[str, datetime], Decimal] = {}  # (symbol, ex-date) -> ratio
        self.reported: dict[str, Decimal] = {}  # what the broker said it holds, the last time
        self.gaps: dict[str, Decimal] = {}  # how far that was from `expected`
        self.certain: set[str] = set()  # symbols whose gap is no race between two reports
        self._executed: dict[str, dict[str, Decimal]] = {}  # our id, venue id -> shares

    def put(self, entry: JournalEntry) -> Family:
        """Take over an entry as the journal now has it."""
        name = entry.intent.client_order_id
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family.of(entry)
        family.entry = entry
        if entry.venue_id is not None:
            self.names[entry.venue_id] = name
        return family

    def family_of(self, our_id: str) -> Family | None:
        """Return the family that an order of ours belongs to."""
        return self.families.get(entry_id(our_id))

    def take_report(self, our_id: str, report: VenueOrder) -> None:
        """Take in what the broker says of one of our orders."""
        family = self.family_of(our_id)
        if family is None or our_id not in family.drafts:
            return
        self.names[report.venue_id] = our_id
        reports = family.reports.setdefault(our_id, {})
        before = reports.get(report.venue_id)
        reports[report.venue_id] = report if before is None else merged(before, report)

    def take_booked(self, executions: Iterable[BookedExecution]) -> None:
        """Take in executions that the journal has; one that was taken before changes nothing."""
        for booked in executions:
            execution = booked.execution
            if execution.execution_id in self.taken:
                continue
            self.taken.add(execution.execution_id)
            signed = execution.qty * execution.side.sign
            held = self.others if booked.owner is None else self.ours
            held[execution.symbol] = held.get(execution.symbol, ZERO) + signed
            self.trades.setdefault(execution.symbol, []).append(booked)
            if is_split(execution):
                if execution.symbol in self.gaps:  # the last report had the new shares already
                    self.gaps[execution.symbol] -= signed
                self.certain.discard(execution.symbol)
                continue
            if booked.owner is not None:
                by_venue = self._executed.setdefault(booked.owner, {})
                filled = by_venue.get(execution.venue_id, ZERO) + execution.qty
                by_venue[execution.venue_id] = filled
            if self.last_execution_at is None or execution.at > self.last_execution_at:
                self.last_execution_at = execution.at

    def filled(self, our_id: str) -> Decimal:
        """Return the shares executed for one of our orders."""
        return sum(self._executed.get(our_id, {}).values(), ZERO)

    def order(self, our_id: str) -> Order | None:
        """Return one of our orders as far as it is known; None where it is not."""
        family = self.family_of(our_id)
        draft = None if family is None else family.drafts.get(our_id)
        if family is None or draft is None:
            return None
        filled, report = self.filled(our_id), family.current(our_id)
        # A person may have replaced it, and a broker changes what rests across a split.
        theirs = report if report is not None and report.qty > 0 else None
        qty = draft.qty if theirs is None else theirs.qty
        changed = qty != draft.qty
        state = self._state(family, our_id, filled, qty)
        ended = family.entry.state in (JournalState.REJECTED, JournalState.EXPIRED)
        told = report.reason if report is not None else family.entry.reason if ended else ""
        levels = report is not None and report.replaces is not None
        limit, stop = draft.limit_price, draft.stop_price
        if report is not None and (levels or changed):
            limit = report.limit_price if levels else report.limit_price or limit
            stop = report.stop_price if levels else report.stop_price or stop
        return replace(
            draft,
            state=state,
            qty=qty,
            filled_qty=filled,
            updated_at=(report and report.updated_at) or family.entry.updated_at,
            limit_price=limit,
            stop_price=stop,
            note=told,
        )

    def orders(self) -> Iterator[Order]:
        """Yield every order of every family, oldest first."""
        for family in tuple(self.families.values()):
            yield from self.family_orders(family)

    def family_orders(self, family: Family) -> tuple[Order, ...]:
        """Return the entry and its legs."""
        found = (self.order(our_id) for our_id in family.drafts)
        return tuple(order for order in found if order is not None)

    def open_orders(self, symbol: str | None = None) -> tuple[Order, ...]:
        """Return what can still fill, of one symbol or of all."""
        return tuple(o for o in self.orders() if o.is_open and symbol in (None, o.symbol))

    def unsettled(self) -> list[JournalEntry]:
        """Return the entries of which it is not known what became of the request."""
        return [f.entry for f in self.families.values() if not f.entry.is_settled]

    def missing(self, our_id: str) -> bool:
        """Return whether the broker reports filled shares whose executions are not here yet."""
        family = self.family_of(our_id)
        if family is None:
            return False
        executed, before = self._executed.get(our_id, {}), ZERO
        for venue_id, report in family.reports.get(our_id, {}).items():
            own = executed.get(venue_id, ZERO)
            before += own
            # A replacement's figure may or may not include what its forerunner filled.
            if max(own, before) + DUST < report.filled_qty:
                return True
        return False

    def forget(self, family: Family) -> None:
        """Drop a family that has ended and was told."""
        self.families.pop(family.entry.intent.client_order_id, None)

    def held(self, symbol: str) -> Decimal:
        """Return our own signed shares."""
        return self.ours.get(symbol, ZERO)

    def at_broker(self, symbol: str) -> Decimal:
        """Return the signed shares that the broker has, whoever bought them.

        That is our fold, less what the last position report is certainly short of.
        """
        gap, fold = self.gaps.get(symbol, ZERO), self.total(symbol)
        known = symbol in self.certain or self.is_fraction(symbol)
        return fold + gap if known else fold

    def is_fraction(self, symbol: str) -> bool:
        """Return whether the last gap is what a split leaves where a broker pays for fractions.

        The broker then holds a whole number of shares, less than one away from our fold.
        """
        gap, held = self.gaps.get(symbol, ZERO), self.reported.get(symbol, ZERO)
        was_split = any(split == symbol for split, _ in self.splits)
        has_fraction = held == int(held) and (held - gap) != int(held - gap)
        return was_split and has_fraction and abs(gap) < 1

    def scale(self, symbol: str, at: datetime) -> Decimal:
        """Return how many of today's shares one share of an earlier instant is."""
        found = Decimal(1)
        for (split, ex_date), ratio in self.splits.items():
            if split == symbol and at < ex_date:
                found *= ratio
        return found

    def total(self, symbol: str) -> Decimal:
        """Return the signed shares of one symbol, ours and everybody else's."""
        return self.ours.get(symbol, ZERO) + self.others.get(symbol, ZERO)

    def expected(self) -> dict[str, Decimal]:
        """Return what the broker should hold by symbol: ours and everybody else's."""
        symbols = {*self.ours, *self.others}
        return {symbol: self.total(symbol) for symbol in sorted(symbols)}

    def _state(self, family: Family, our_id: str, filled: Decimal, qty: Decimal) -> OrderState:
        if filled and filled + DUST >= qty:
            return OrderState.FILLED
        report, journal = family.current(our_id), family.entry.state
        if report is None:
            return _unreported(journal, filled, is_leg=our_id != entry_id(our_id))
        begun = OrderState.PARTIAL if filled else OrderState.ACCEPTED
        if report.status is VenueStatus.HELD and not filled:
            return OrderState.HELD
        still = report.status not in ENDED or report.status is VenueStatus.REPLACED
        if still or self.missing(our_id):
            return begun
        return ORDER_STATES[report.status] or begun


def _unreported(journal: JournalState, filled: Decimal, *, is_leg: bool) -> OrderState:
    """Return the state of an order that the broker has not reported on since we started."""
    if journal is JournalState.CLOSED:
        return OrderState.FILLED if filled and is_leg else OrderState.CANCELLED
    if filled:
        return OrderState.PARTIAL
    if journal is JournalState.ACCEPTED:
        return OrderState.HELD if is_leg else OrderState.ACCEPTED
    return _BY_JOURNAL[journal]


def heads_and_legs(
    client_order_id: str, reports: Sequence[VenueOrder]
) -> tuple[VenueOrder | None, list[VenueOrder]]:
    """Return the order with this id and the reports of its legs, out of one answer."""
    head = next((r for r in reports if r.client_order_id == client_order_id), None)
    if head is None:
        return None, []
    legs = [r for r in reports if r is not head and r.client_order_id != client_order_id]
    return head, [leg for leg in legs if leg.parent_id in (None, head.venue_id)]
