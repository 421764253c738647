"""The paper broker: a cash account that fills orders from bars, by the rules of `core.fills`.

It is the broker of the first run, of every replay and of every shadow revision, so it refuses what
a real one would refuse (a wrong-sided stop, a sub-penny price, shares that are not held) instead of
being kind. Bars are worked through instant by instant: all orders due at the open, then stops, then
limits, oldest order first, so that neither the order of symbols nor a late tick changes a result.

Two choices a reader may question. A bracket that starts to exit stops entering: the rest of a
partly filled entry is cancelled. And once a stop is touched its target is gone, even when volume
lets only a part of the stop fill in that bar.

Deliberately absent: margin, borrow fees, settlement delay (T+1), order latency inside a bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from pydantic import ValidationError

from roboinvest.brokers.paper_book import DUST, Booked, FillCounts, PaperBook
from roboinvest.brokers.paper_checks import booked_orders, check_form
from roboinvest.core.errors import BadInput, OrderRejected
from roboinvest.core.fills import (
    BarPrices,
    BracketExit,
    FillRules,
    affordable,
    bar_prices,
    fees,
    match_at_open,
    match_inside,
    reaches,
    resolve_bracket,
    slippage_bps,
)
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind, Bar, CorporateAction
from roboinvest.core.orders import (
    Account,
    CashFlow,
    Fill,
    Leg,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Settlement,
    Side,
    cents,
    to_price,
)

ZERO: Final = Decimal(0)
CLOSING_LEGS: Final = frozenset({Leg.EXIT, Leg.FLATTEN})
PROTECTIVE_LEGS: Final = frozenset({Leg.STOP, Leg.TARGET})


@dataclass(slots=True, kw_only=True)
class _Moment:
    """The bars of one instant, and what they have still to give."""

    opens_at: datetime
    closes_at: dict[str, datetime]  # by symbol
    prices: dict[str, BarPrices]  # by symbol
    room: dict[str, Decimal | None]  # shares left to trade, by symbol
    entered: dict[str, OrderType] = field(default_factory=dict)  # entries filled after the open


class PaperBroker:
    """Fills orders against bars; see `core.ports.Broker` for the contract."""

    def __init__(self, cash: Decimal, rules: FillRules, *, allow_short: bool = False) -> None:
        self._rules = rules
        self._allow_short = allow_short
        self._book = PaperBook(cash=cash)
        self._fills: list[Fill] = []

    async def settle(self, update: MarketUpdate) -> Settlement:
        """Return what became of our orders up to `update.at`; each change is reported once."""
        book, session = self._book, update.session
        bars = [bar for bar in update.bars if bar.symbol not in update.suspended]
        # A tick that comes late may carry bars from before the night: they are on the old side of
        # a split, and the day orders of their session were still alive.
        self._work([bar for bar in bars if bar.closes_at <= session.opens_at], None)
        book.enter(session)
        flows = [flow for action in update.actions for flow in self._apply(action, session)]
        self._work([bar for bar in bars if bar.closes_at > session.opens_at], session)
        if update.at >= session.closes_at:
            book.expire(session.closes_at)
        fills, self._fills = tuple(self._fills), []
        return Settlement(orders=book.take_changes(), fills=fills, cash_flows=tuple(flows))

    async def submit(self, intent: OrderIntent, at: datetime) -> tuple[Order, ...]:
        """Book an intent; a bracket returns its entry and its protective legs.

        Raises:
            OrderRejected: refused for certain; nothing was booked.
        """
        known = self._book.family(intent.client_order_id)
        if known:
            return known
        check_form(intent, at)
        limit = self._closable(intent)
        if limit is not None and intent.qty - limit > DUST:
            raise OrderRejected(
                f"{intent.symbol}: {intent.leg} to {intent.side} {intent.qty} shares, "
                f"{limit} can be closed; lower the quantity"
            )
        for order in booked_orders(intent, at):
            waits = order.parent_id is not None
            self._book.add(order, OrderState.HELD if waits else OrderState.ACCEPTED, at)
        return self._book.take_changes()

    async def cancel(self, client_order_id: str, at: datetime, note: str) -> tuple[Order, ...]:
        """Cancel an open order and the legs that wait for it; return every order that changed."""
        booked = self._book.open.get(client_order_id)
        if booked is None:
            return ()
        self._book.end(booked, OrderState.CANCELLED, at, note)
        return self._book.take_changes()

    async def account(self, marks: Mapping[str, float]) -> Account:
        """Return cash and equity; a holding without a mark counts at what was paid for it."""
        cash = self._book.cash
        equity = cash
        for symbol, held in self._book.holdings.items():
            mark = to_price(marks[symbol]) if symbol in marks else held.avg_price
            equity += held.qty * mark
        return Account(cash=cash, equity=equity, buying_power=cash)

    async def open_orders(self) -> Sequence[Order]:
        """Return every order that can still fill, oldest first."""
        return tuple(booked.order for booked in self._book.open.values())

    def snapshot(self) -> str:
        """Return the books as JSON: cash, holdings, open orders and the recent ended ones."""
        return self._book.dump()

    def restore(self, snapshot: str) -> None:
        """Take the state that `snapshot` returned.

        Raises:
            BadInput: the text is not a snapshot of this broker; the state is unchanged.
        """
        try:
            self._book = PaperBook.load(snapshot)
        except ValidationError as error:
            raise BadInput(
                f"the paper broker's snapshot cannot be read ({error.error_count()} faults, "
                f"{len(snapshot)} characters); restore the database from a backup"
            ) from error

    def holdings(self) -> dict[str, Decimal]:
        """Return the signed shares held, by symbol."""
        return {symbol: held.qty for symbol, held in self._book.holdings.items()}

    def counts(self) -> FillCounts:
        """Return how often a bar was ambiguous and how often cash cut a fill."""
        return self._book.counts

    def _apply(self, action: CorporateAction, session: Session) -> Iterable[CashFlow]:
        at = session.opens_at
        if action.kind is ActionKind.SPLIT:
            self._book.scale(action.symbol, action.ratio, at)
            return
        amount = cents(self._book.qty(action.symbol) * action.cash)
        if amount:
            self._book.cash += amount
            yield CashFlow(
                symbol=action.symbol,
                amount=amount,
                at=at,
                reason=f"dividend of {action.cash} USD a share",
            )

    def _work(self, bars: Sequence[Bar], session: Session | None) -> None:
        """Work bars off instant by instant; `session` is None for those of an earlier one."""
        wanted = {booked.order.symbol for booked in self._book.open.values()}
        instants: dict[datetime, list[Bar]] = {}
        for bar in bars:
            outside = session is not None and bar.ts >= session.closes_at
            if bar.symbol in wanted and not outside:
                instants.setdefault(bar.ts, []).append(bar)
        for ts in sorted(instants):
            self._work_instant(ts, instants[ts], session)

    def _work_instant(self, ts: datetime, bars: Sequence[Bar], session: Session | None) -> None:
        prices = {bar.symbol: bar_prices(bar, self._rules) for bar in bars}
        moment = _Moment(
            opens_at=ts if session is None else max(ts, session.opens_at),
            closes_at={bar.symbol: bar.closes_at for bar in bars},
            prices=prices,
            room={symbol: row.capacity for symbol, row in prices.items()},
        )
        for booked in self._live(moment, ts):
            if booked.works:
                self._at_open(booked, moment)
        for kind in (OrderType.STOP, OrderType.LIMIT):
            for booked in self._live(moment, ts):
                begun_inside = booked.order.parent_id in moment.entered
                if booked.order.order_type is kind and booked.works and not begun_inside:
                    self._inside(booked, moment)
        for parent_id in moment.entered:
            for booked in self._book.legs(parent_id):
                if booked.works:
                    self._inside(booked, moment)

    def _live(self, moment: _Moment, ts: datetime) -> list[Booked]:
        """Return the orders that the bars of a moment may fill (F1), oldest first."""
        return [
            booked
            for booked in self._book.open.values()
            if booked.works
            and booked.order.symbol in moment.prices
            and booked.order.created_at <= ts
            and (booked.triggered or _within_reach(booked.order, moment))
        ]

    def _at_open(self, booked: Booked, moment: _Moment) -> None:
        order = booked.order
        kind = OrderType.MARKET if booked.triggered else order.order_type
        prices = moment.prices[order.symbol]
        price = match_at_open(kind, order.side, _level(order), prices, self._rules)
        if price is None:
            return
        self._take(booked, price, moment, moment.opens_at)
        for leg in self._book.legs(order.client_order_id):
            if leg.works:  # filled at the open, so the open counts for what protects it (F3)
                self._at_open(leg, moment)

    def _inside(self, booked: Booked, moment: _Moment) -> None:
        order = booked.order
        if booked.triggered:
            return
        at = moment.closes_at[order.symbol]
        if order.parent_id is not None:
            self._leg_inside(booked, order.parent_id, moment)
            return
        prices = moment.prices[order.symbol]
        price = match_inside(order.order_type, order.side, _level(order), prices, self._rules)
        if price is not None and self._take(booked, price, moment, at):
            moment.entered[order.client_order_id] = order.order_type

    def _leg_inside(self, booked: Booked, parent_id: str, moment: _Moment) -> None:
        order = booked.order
        stop, target = (self._book.leg(parent_id, leg) for leg in (Leg.STOP, Leg.TARGET))
        outcome = resolve_bracket(
            order.side,
            None if stop is None else stop.order.stop_price,
            None if target is None else target.order.limit_price,
            moment.prices[order.symbol],
            self._rules,
            entered=moment.entered.get(parent_id, OrderType.MARKET),
        )
        if outcome.leg is order.leg and outcome.price is not None:
            note = _doubt(outcome) if outcome.ambiguous else ""
            self._take(booked, outcome.price, moment, moment.closes_at[order.symbol], note)
        if outcome.ambiguous and order.leg is (outcome.leg or Leg.TARGET):
            counts = self._book.counts
            self._book.counts = replace(counts, ambiguous=counts.ambiguous + 1)

    def _take(
        self, booked: Booked, price: Decimal, moment: _Moment, at: datetime, note: str = ""
    ) -> bool:
        """Fill what volume, holdings and cash allow; return whether anything was filled."""
        order = booked.order
        if order.order_type is OrderType.STOP and not booked.triggered:
            booked.triggered = True
            self._stop_entering(booked, at)
        room = moment.room[order.symbol]
        qty = order.remaining if room is None else min(order.remaining, room)
        if qty <= 0:
            return False
        held, why = self._within_holdings(order, qty)
        paid = held
        if order.side is Side.BUY:
            paid = affordable(held, price, self._book.cash, self._rules)
        if paid < held:
            why = f"{held} shares at {price} USD cost more than the cash of {self._book.cash} USD"
            counts = self._book.counts
            self._book.counts = replace(counts, unaffordable=counts.unaffordable + 1)
        if paid > 0:
            self._execute(booked, paid, price, at, note)
            if room is not None:
                moment.room[order.symbol] = room - paid
        # A cover that cash cannot pay waits for the next bar: it must not leave a short unguarded.
        waits = paid < held and order.leg is not Leg.ENTRY
        if why and booked.works and not waits:
            refused = paid < held and order.state is OrderState.ACCEPTED and paid <= 0
            state = OrderState.REJECTED if refused else OrderState.CANCELLED
            self._book.end(booked, state, at, why)
        return paid > 0

    def _within_holdings(self, order: Order, qty: Decimal) -> tuple[Decimal, str]:
        """Return the part of `qty` that closes what is held, and why when it is less."""
        limit = self._closable(order)
        if limit is None or qty <= limit:
            return qty, ""
        return limit, f"only {limit} shares were left to {order.side}"

    def _closable(self, order: Order | OrderIntent) -> Decimal | None:
        """Return the most that an order may trade; None when it may open a position."""
        book, symbol, side = self._book, order.symbol, order.side
        total = book.closable(symbol, side)
        if side is Side.SELL and not self._allow_short and order.leg not in PROTECTIVE_LEGS:
            return total
        if order.leg in CLOSING_LEGS:
            return total
        if order.leg in PROTECTIVE_LEGS:
            own = book.closable(symbol, side, order.agent_id)
            return own if self._allow_short else min(own, total)
        return None

    def _execute(
        self, booked: Booked, qty: Decimal, price: Decimal, at: datetime, note: str
    ) -> None:
        order, book = booked.order, self._book
        booked.executions += 1
        commission = fees(order.side, qty, price, self._rules)
        book.cash -= order.side.sign * qty * price + commission
        book.hold(order.agent_id, order.symbol, order.side.sign * qty, price)
        self._fills.append(
            Fill(
                execution_id=f"{order.client_order_id}-{booked.executions}",
                client_order_id=order.client_order_id,
                agent_id=order.agent_id,
                revision_id=order.revision_id,
                symbol=order.symbol,
                leg=order.leg,
                qty=order.side.sign * qty,
                price=price,
                commission=commission,
                slippage_bps=slippage_bps(order.side, price, order.mark),
                filled_at=at,
            )
        )
        filled = order.filled_qty + qty
        state = OrderState.FILLED if order.qty - filled <= DUST else OrderState.PARTIAL
        book.move(booked, state, at, filled_qty=filled, note=note or None)
        self._after(order, qty, at)

    def _after(self, order: Order, qty: Decimal, at: datetime) -> None:
        """Bring the orders that depend on a fill in line with it."""
        book = self._book
        if order.parent_id is None:
            book.open_legs(order.client_order_id, qty, at)
            book.trim_legs(order.agent_id, order.symbol, at, nets=self._allow_short)
            return
        entry = book.open.get(order.parent_id)
        if entry is not None:
            book.end(entry, OrderState.CANCELLED, at, f"its {order.leg} was filled")
        stop = book.leg(order.parent_id, Leg.STOP)
        if order.leg is Leg.TARGET and stop is not None:
            book.shrink(stop, qty, at, "the target was filled")

    def _stop_entering(self, stop: Booked, at: datetime) -> None:
        """A touched stop ends its target and what is left of its entry."""
        parent_id = stop.order.parent_id
        if parent_id is None:
            return
        for other in (self._book.leg(parent_id, Leg.TARGET), self._book.open.get(parent_id)):
            if other is not None:
                self._book.end(other, OrderState.CANCELLED, at, "the stop was touched")


def _level(order: Order) -> Decimal | None:
    return order.stop_price if order.order_type is OrderType.STOP else order.limit_price


def _within_reach(order: Order, moment: _Moment) -> bool:
    return reaches(order.order_type, order.side, _level(order), moment.prices[order.symbol])


def _doubt(outcome: BracketExit) -> str:
    kindest = "no exit" if outcome.optimistic is None else f"{outcome.optimistic} USD"
    return f"ambiguous bar: the worst was assumed, the kindest was {kindest}"
