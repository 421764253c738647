"""The books of the paper broker: cash, holdings, orders, and the relations between orders.

Shares are kept per agent beside the total, because a protective leg may only sell what its own
agent still holds: after an exit by hand the legs of that position must shrink, or a later position
in the same symbol would be sold by them.

Ended orders are kept for the running and the previous session, so that an intent sent twice is
answered and not booked twice; then they are forgotten. Nothing here looks at a price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from pydantic import TypeAdapter

from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import (
    NEXT_STATES,
    TERMINAL_STATES,
    WORKING_STATES,
    Leg,
    Order,
    OrderState,
    Side,
    TimeInForce,
    moved,
    to_tick,
)

ZERO: Final = Decimal(0)
DUST: Final = Decimal("1e-9")  # shares; what a division by a split ratio may leave behind
STOP_SUFFIX: Final = "-s"
TARGET_SUFFIX: Final = "-t"
_MARK_STEP: Final = Decimal("0.0001")  # USD


@dataclass(slots=True, kw_only=True)
class Booked:
    """An order that can still fill, and what the broker must remember about it."""

    order: Order
    day: date | None = None  # the session a DAY order dies with; None: the next one that opens
    executions: int = 0
    triggered: bool = False  # a stop whose level was touched; it fills at the next open it can

    @property
    def works(self) -> bool:
        """Return whether a bar may fill it."""
        return self.order.state in WORKING_STATES


@dataclass(slots=True, kw_only=True)
class Holding:
    """The shares of one symbol, all agents together."""

    qty: Decimal  # shares, signed
    avg_price: Decimal  # USD per share; values the holding where no mark is given


@dataclass(frozen=True, slots=True, kw_only=True)
class FillCounts:
    """How often the rules had to decide something that a report should show."""

    ambiguous: int = 0  # bars that could not tell how a bracket went; the worst was assumed
    unaffordable: int = 0  # fills that cash cut or refused (F7)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AgentShares:
    agent_id: str
    symbol: str
    qty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    cash: Decimal
    holdings: dict[str, Holding]
    shares: list[_AgentShares]
    open: list[Booked]
    recent: list[Order]
    previous: list[Order]
    day: date | None
    closes_at: datetime | None
    counts: FillCounts


_SNAPSHOT: Final = TypeAdapter(_Snapshot)


@dataclass(slots=True, kw_only=True)
class PaperBook:
    """Everything the paper broker knows; `changes` holds what was not reported yet."""

    cash: Decimal
    holdings: dict[str, Holding] = field(default_factory=dict)
    open: dict[str, Booked] = field(default_factory=dict)  # by client order id, oldest first
    changes: list[Order] = field(default_factory=list)
    counts: FillCounts = field(default_factory=FillCounts)
    closes_at: datetime | None = None  # of the last session seen
    _day: date | None = None
    _shares: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # (agent, symbol)
    _recent: dict[str, Order] = field(default_factory=dict)  # ended in this session
    _previous: dict[str, Order] = field(default_factory=dict)  # ended in the one before

    def find(self, client_order_id: str) -> Order | None:
        """Return an order that is open, or ended in this session or the one before."""
        booked = self.open.get(client_order_id)
        if booked is not None:
            return booked.order
        ended = self._recent.get(client_order_id)
        return ended or self._previous.get(client_order_id)

    def family(self, client_order_id: str) -> tuple[Order, ...]:
        """Return an order and its protective legs, as far as they are known."""
        ids = (client_order_id, client_order_id + STOP_SUFFIX, client_order_id + TARGET_SUFFIX)
        return tuple(order for order in map(self.find, ids) if order is not None)

    def leg(self, parent_id: str, leg: Leg) -> Booked | None:
        """Return a protective leg that is still open."""
        return self.open.get(parent_id + (STOP_SUFFIX if leg is Leg.STOP else TARGET_SUFFIX))

    def legs(self, parent_id: str) -> tuple[Booked, ...]:
        """Return the protective legs of an entry that are still open, the stop first."""
        both = (self.leg(parent_id, Leg.STOP), self.leg(parent_id, Leg.TARGET))
        return tuple(booked for booked in both if booked is not None)

    def add(self, order: Order, state: OrderState, at: datetime) -> None:
        """Book a new order."""
        day = self._day if self.closes_at is not None and at < self.closes_at else None
        booked = Booked(order=order, day=day)
        self.open[order.client_order_id] = booked
        self.move(booked, state, at)

    def move(
        self,
        booked: Booked,
        state: OrderState,
        at: datetime,
        *,
        filled_qty: Decimal | None = None,
        note: str | None = None,
    ) -> None:
        """Change the state of an order; an ended one leaves the open orders."""
        self._put(booked, moved(booked.order, state, at, filled_qty=filled_qty, note=note))

    def end(self, booked: Booked, state: OrderState, at: datetime, note: str) -> None:
        """End an order early, and the legs that still wait for it."""
        self.move(booked, state, at, note=note)
        for leg in self.legs(booked.order.client_order_id):
            if leg.order.state is not OrderState.HELD:
                continue
            fate = state if state in NEXT_STATES[OrderState.HELD] else OrderState.CANCELLED
            self.move(leg, fate, at, note=f"the entry is {state}: {note}")

    def shrink(self, booked: Booked, by: Decimal, at: datetime, note: str) -> None:
        """Take shares off an open order; it is cancelled when none are left to fill."""
        if booked.order.remaining - by <= DUST:
            self.move(booked, OrderState.CANCELLED, at, note=note)
        else:
            self._put(booked, replace(booked.order, qty=booked.order.qty - by, updated_at=at))

    def open_legs(self, parent_id: str, qty: Decimal, at: datetime) -> None:
        """Let the legs of an entry protect `qty` more shares."""
        for leg in self.legs(parent_id):
            if leg.order.state is OrderState.HELD:
                accepted = moved(leg.order, OrderState.ACCEPTED, at)
                self._put(leg, replace(accepted, qty=qty))
            else:
                self._put(leg, replace(leg.order, qty=leg.order.qty + qty, updated_at=at))

    def hold(self, agent_id: str, symbol: str, qty: Decimal, price: Decimal) -> None:
        """Add signed shares to an agent's and to the account's holding."""
        shares = self._shares.pop((agent_id, symbol), ZERO) + qty
        if abs(shares) > DUST:
            self._shares[agent_id, symbol] = shares
        held = self.holdings.pop(symbol, None) or Holding(qty=ZERO, avg_price=price)
        total = held.qty + qty
        if abs(total) <= DUST:
            return
        if held.qty * qty > 0:
            cost = held.qty * held.avg_price + qty * price
            self.holdings[symbol] = Holding(qty=total, avg_price=cost / total)
        else:
            kept = held.avg_price if held.qty * total > 0 else price
            self.holdings[symbol] = Holding(qty=total, avg_price=kept)

    def qty(self, symbol: str) -> Decimal:
        """Return the signed shares that are held."""
        held = self.holdings.get(symbol)
        return ZERO if held is None else held.qty

    def closable(self, symbol: str, side: Side, agent_id: str | None = None) -> Decimal:
        """Return the shares that an order of `side` may trade without opening a position."""
        held = self.qty(symbol) if agent_id is None else self._of(agent_id, symbol)
        return max(ZERO, -side.sign * held)

    def trim_legs(self, agent_id: str, symbol: str, at: datetime, *, nets: bool) -> None:
        """Shrink protective legs to what their agent still holds.

        Where the account `nets` long and short books, its total says nothing about one agent;
        where it does not, all legs together may not sell more than the account holds.
        """
        legs = [b for b in self._working_legs(symbol) if b.order.agent_id == agent_id]
        self._trim(legs, self._of(agent_id, symbol), at)
        if not nets:
            self._trim(list(self._working_legs(symbol)), self.qty(symbol), at)

    def scale(self, symbol: str, ratio: Decimal, at: datetime) -> None:
        """Put holdings and open orders on the new scale of a split."""
        held = self.holdings.get(symbol)
        if held is not None:
            held.qty, held.avg_price = held.qty * ratio, held.avg_price / ratio
        for key in [key for key in self._shares if key[1] == symbol]:
            self._shares[key] *= ratio
        for booked in self.open.values():
            if booked.order.symbol == symbol:
                self._put(booked, _scaled(booked.order, ratio, at))

    def enter(self, session: Session) -> None:
        """Begin a session: day orders of an earlier one die, old ended orders are forgotten."""
        if session.day != self._day:
            if self.closes_at is not None:
                self.expire(self.closes_at)
            self._previous, self._recent = self._recent, {}
            self._day, self.closes_at = session.day, session.closes_at
        for booked in self.open.values():
            if booked.day is None and booked.order.created_at < session.closes_at:
                booked.day = session.day

    def expire(self, at: datetime) -> None:
        """End the day orders of the session at hand, at its close."""
        for booked in list(self.open.values()):
            is_day = booked.order.time_in_force is TimeInForce.DAY
            if is_day and booked.day is not None and booked.day == self._day:
                self.end(booked, OrderState.EXPIRED, at, f"day order; session {self._day} closed")

    def take_changes(self) -> tuple[Order, ...]:
        """Return every change since the last call, in order."""
        taken = tuple(self.changes)
        self.changes.clear()
        return taken

    def dump(self) -> str:
        """Return the books as JSON."""
        snapshot = _Snapshot(
            cash=self.cash,
            holdings=self.holdings,
            shares=[
                _AgentShares(agent_id=agent, symbol=symbol, qty=qty)
                for (agent, symbol), qty in self._shares.items()
            ],
            open=list(self.open.values()),
            recent=list(self._recent.values()),
            previous=list(self._previous.values()),
            day=self._day,
            closes_at=self.closes_at,
            counts=self.counts,
        )
        return _SNAPSHOT.dump_json(snapshot).decode()

    @classmethod
    def load(cls, text: str) -> PaperBook:
        """Return the books that `dump` wrote.

        Raises:
            pydantic.ValidationError: the text is not such a snapshot.
        """
        kept = _SNAPSHOT.validate_json(text)
        return cls(
            cash=kept.cash,
            holdings=kept.holdings,
            open={booked.order.client_order_id: booked for booked in kept.open},
            counts=kept.counts,
            closes_at=kept.closes_at,
            _day=kept.day,
            _shares={(row.agent_id, row.symbol): row.qty for row in kept.shares},
            _recent=_by_id(kept.recent),
            _previous=_by_id(kept.previous),
        )

    def _put(self, booked: Booked, order: Order) -> None:
        booked.order = order
        self.changes.append(order)
        if order.state in TERMINAL_STATES:
            del self.open[order.client_order_id]
            self._recent[order.client_order_id] = order

    def _of(self, agent_id: str, symbol: str) -> Decimal:
        return self._shares.get((agent_id, symbol), ZERO)

    def _working_legs(self, symbol: str) -> Iterator[Booked]:
        for booked in self.open.values():
            if booked.order.parent_id and booked.order.symbol == symbol and booked.works:
                yield booked

    def _trim(self, legs: list[Booked], held: Decimal, at: datetime) -> None:
        for side in Side:
            brackets: dict[str, list[Booked]] = {}
            for booked in legs:
                if booked.order.side is side and booked.works:
                    brackets.setdefault(booked.order.parent_id or "", []).append(booked)
            guarded = {parent: _guarded(pair) for parent, pair in brackets.items()}
            excess = sum(guarded.values(), ZERO) - max(ZERO, -side.sign * held)
            for parent, pair in brackets.items():
                cut = min(excess, guarded[parent])
                if cut <= DUST:
                    break
                excess -= cut
                for booked in pair:
                    self.shrink(booked, cut, at, "the shares were sold by another order")


def _guarded(pair: list[Booked]) -> Decimal:
    return max(booked.order.remaining for booked in pair)


def _scaled(order: Order, ratio: Decimal, at: datetime) -> Order:
    limit, stop = order.limit_price, order.stop_price
    return replace(
        order,
        qty=order.qty * ratio,
        filled_qty=order.filled_qty * ratio,
        mark=(order.mark / ratio).quantize(_MARK_STEP),
        limit_price=None if limit is None else to_tick(limit / ratio),
        stop_price=None if stop is None else to_tick(stop / ratio),
        updated_at=at,
    )


def _by_id(orders: Iterable[Order]) -> dict[str, Order]:
    return {order.client_order_id: order for order in orders}
