"""Our own books: the ledger, the open orders, and the day's figures that risk is judged by.

The broker says what happened; this folds it. Everything here can be rebuilt from what `take` gave
to the store, which is how a killed tick leaves nothing behind: the books are read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from roboinvest.core.ledger import Ledger, Trade
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.orders import (
    HOUSE_AGENT,
    Leg,
    Order,
    OrderState,
    Settlement,
    Side,
)
from roboinvest.core.protections import (
    CONFIRMING_READINGS,
    EVERYTHING,
    Lock,
    LockRule,
    confirmed,
    confirmed_peak,
    cooldown_lock,
)
from roboinvest.core.records import canonical_json
from roboinvest.core.risk import (
    RiskLimits,
    daily_loss_floor,
    daily_loss_text,
    drawdown_floor,
    drawdown_text,
)
from roboinvest.trading.locks.book import LockBook

ZERO: Final = Decimal(0)
_NEVER_BOOKED: Final = frozenset({OrderState.REJECTED, OrderState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFigures:
    """What has to survive a restart beside lots and orders."""

    start_equity: Decimal  # USD, when the data folder was first used
    equity: Decimal  # USD, after the last tick
    session_day: date | None  # exchange date of the last tick
    day_start_equity: Decimal
    last_session_pnl: Decimal  # USD, of the session before
    peak_equity: Decimal
    entries_today: int
    closed_trades: int
    realised: Mapping[str, Decimal]  # by agent
    last_exit: Mapping[str, datetime]  # by symbol
    recent_equity: tuple[Decimal, ...] = ()  # USD, the last readings, oldest first

    @classmethod
    def starting_with(cls, cash: Decimal) -> AccountFigures:
        """Return the figures of an untouched account."""
        return cls(
            start_equity=cash,
            equity=cash,
            session_day=None,
            day_start_equity=cash,
            last_session_pnl=ZERO,
            peak_equity=cash,
            entries_today=0,
            closed_trades=0,
            realised={},
            last_exit={},
        )

    @classmethod
    def from_json(cls, text: str) -> AccountFigures:
        """Return the figures that `canonical_json` wrote."""
        raw = json.loads(text)
        day = raw["session_day"]
        return cls(
            start_equity=Decimal(raw["start_equity"]),
            equity=Decimal(raw["equity"]),
            session_day=None if day is None else date.fromisoformat(day),
            day_start_equity=Decimal(raw["day_start_equity"]),
            last_session_pnl=Decimal(raw["last_session_pnl"]),
            peak_equity=Decimal(raw["peak_equity"]),
            entries_today=raw["entries_today"],
            closed_trades=raw["closed_trades"],
            realised={agent: Decimal(usd) for agent, usd in raw["realised"].items()},
            last_exit={s: datetime.fromisoformat(at) for s, at in raw["last_exit"].items()},
            recent_equity=tuple(Decimal(usd) for usd in raw.get("recent_equity", ())),
        )


class AccountBook:
    """Ledger, open orders and day figures of one account."""

    def __init__(
        self,
        ledger: Ledger,
        orders: Iterable[Order],
        figures: AccountFigures,
        locks: LockBook | None = None,
    ) -> None:
        self.ledger = ledger
        self.figures = figures
        self.locks = locks or LockBook()
        self._open = {order.client_order_id: order for order in orders}
        self._ahead = dict[str, Order]()  # entries' shares that are filled and no lots yet
        self._counted = set[str]()  # entries of the day that were counted since the start
        self._stop_of = {
            order.parent_id: order.stop_price
            for order in self._open.values()
            if order.leg is Leg.STOP and order.parent_id
        }

    def begin(self, update: MarketUpdate) -> None:
        """Roll the day where it changed, and put the books on the scale of today's splits."""
        self._lift(self.locks.begin(update.at))
        figures = self.figures
        if figures.session_day != update.session.day:
            self._counted.clear()
            self.figures = replace(
                figures,
                session_day=update.session.day,
                last_session_pnl=figures.equity - figures.day_start_equity,
                day_start_equity=figures.equity,
                entries_today=0,
            )
        for action in update.actions:
            self.ledger.apply_action(action)

    def settle(self, settlement: Settlement) -> tuple[Trade, ...]:
        """Fold what became of our orders; return the round trips that closed."""
        trades = list[Trade]()
        for order in settlement.orders:  # a tick that was killed left them, and never told us
            if order.leg is Leg.STOP and order.parent_id:
                self._stop_of.setdefault(order.parent_id, order.stop_price)
        for fill in settlement.fills:
            trades += self.ledger.apply_fill(fill, self._stop_of.get(fill.client_order_id))
        for flow in settlement.cash_flows:
            self.ledger.add_realised(HOUSE_AGENT, flow.amount)
        self._ahead.clear()  # those fills are lots by now
        self._take(settlement.orders)
        if trades:
            self._note_exits(trades)
            self.locks.judge(trades, self.figures.day_start_equity)
        return tuple(trades)

    def track(self, orders: Iterable[Order]) -> None:
        """Take over new and changed orders, told between two settlements.

        Shares that they say are filled become lots at the next settlement, and count as still to be
        bought until then: a limit must not overlook them.
        """
        for order in orders:
            before = self._open.get(order.client_order_id)
            news = order.filled_qty - (before.filled_qty if before else ZERO)
            if order.leg is Leg.ENTRY and news > 0 and order.client_order_id not in self._ahead:
                self._ahead[order.client_order_id] = replace(order, qty=news, filled_qty=ZERO)
            self._take((order,))

    def _take(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._count_entry(order)
            if order.is_open:
                self._open[order.client_order_id] = order
            else:
                self._open.pop(order.client_order_id, None)
                self._stop_of.pop(order.client_order_id, None)
            if order.leg is Leg.STOP and order.parent_id and order.is_open:
                self._stop_of[order.parent_id] = order.stop_price

    def value(self, equity: Decimal) -> None:
        """Note the broker's equity after a tick; the peak is what several readings reached."""
        if not equity.is_finite():
            return
        recent = (*self.figures.recent_equity, equity)[-CONFIRMING_READINGS:]
        peak = confirmed_peak(self.figures.peak_equity, recent)
        self.figures = replace(self.figures, equity=equity, peak_equity=peak, recent_equity=recent)

    def latch(self, limits: RiskLimits, session: Session, at: datetime) -> None:
        """Lock entries where several readings confirm that the day's loss or a drawdown is real."""
        figures, readings = self.figures, self.figures.recent_equity
        if not figures.day_start_equity > 0 or not figures.peak_equity > 0:
            return
        if confirmed(readings, daily_loss_floor(limits, figures.day_start_equity)):
            text = daily_loss_text(limits, figures.equity, figures.day_start_equity)
            self._latch(LockRule.DAILY_LOSS, at, session.closes_at, text)
        if confirmed(readings, drawdown_floor(limits, figures.peak_equity)):
            text = drawdown_text(limits, figures.equity, figures.peak_equity)
            self._latch(LockRule.DRAWDOWN, at, None, text)
        self.locks.cooldowns = self._cooldowns(session, at)

    def locks_on(self, symbol: str, session: Session, at: datetime) -> tuple[Lock, ...]:
        """Return the locks that stop an entry in `symbol`, its cooldown included."""
        cooldown = self._cooldown(symbol, session, at, self.locks.rules.cooldown)
        return (*self.locks.binding(symbol, at), *((cooldown,) if cooldown else ()))

    def open_orders(self, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the orders that can still fill, of one symbol or of all, oldest first."""
        return tuple(o for o in self._open.values() if symbol in (None, o.symbol))

    def working(self, symbol: str, leg: Leg) -> Order | None:
        """Return the open order of one leg in a symbol, if there is one."""
        return next((o for o in self.open_orders(symbol) if o.leg is leg), None)

    def reserved_cash(self) -> Decimal:
        """Return what working entry buys will need, in USD at their marks."""
        return sum(
            (o.remaining * o.mark for o in self._entries() if o.side is Side.BUY),
            ZERO,
        )

    def working_qty(self, symbol: str) -> Decimal:
        """Return the signed shares that working entries of a symbol may still add."""
        return sum((o.remaining * o.side.sign for o in self._entries() if o.symbol == symbol), ZERO)

    def gross_usd(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the absolute value of positions and working entries."""
        held = ZERO
        for symbol in self.ledger.symbols():
            position = self.ledger.position(symbol, marks.get(symbol, ZERO))
            held += abs(position.value) if position else ZERO
        return held + sum((o.remaining * o.mark for o in self._entries()), ZERO)

    def document(self) -> str:
        """Return the figures as the JSON document that a restart reads."""
        self.figures = replace(self.figures, realised=self.ledger.realised_by_agent())
        return canonical_json(self.figures)

    def cooling_down(
        self, symbol: str, session: Session, at: datetime, cooldown: timedelta
    ) -> bool:
        """Return whether the last exit in `symbol` was this session, less than `cooldown` ago."""
        return self._cooldown(symbol, session, at, cooldown) is not None

    def _cooldown(
        self, symbol: str, session: Session, at: datetime, cooldown: timedelta
    ) -> Lock | None:
        left = self.figures.last_exit.get(symbol)
        if left is None:
            return None
        return cooldown_lock(symbol, left, session, at, cooldown)

    def _cooldowns(self, session: Session, at: datetime) -> tuple[Lock, ...]:
        rule = self.locks.rules.cooldown
        found = (self._cooldown(s, session, at, rule) for s in self.figures.last_exit)
        return tuple(lock for lock in found if lock)

    def _latch(self, rule: LockRule, at: datetime, until: datetime | None, text: str) -> None:
        if not self.locks.holds(rule, at):
            self.locks.add(Lock(scope=EVERYTHING, rule=rule, since=at, until=until, text=text))

    def _lift(self, cleared: Iterable[Lock]) -> None:
        """Forget what a lock that a person cleared stood on, or it would come back at once."""
        for lock in cleared:
            figures = self.figures
            if lock.rule is LockRule.COOLDOWN:
                kept = {s: at for s, at in figures.last_exit.items() if s != lock.scope}
                self.figures = replace(figures, last_exit=kept)
            elif lock.rule is LockRule.DRAWDOWN:  # counted from here on
                self.figures = replace(figures, peak_equity=figures.equity, recent_equity=())

    def _entries(self) -> Iterable[Order]:
        working = (o for o in self._open.values() if o.leg is Leg.ENTRY)
        return (*working, *self._ahead.values())

    def _count_entry(self, order: Order) -> None:
        """Count an entry of the day when it is first seen.

        That may be a tick after it was sent: a tick that is killed leaves its orders at the broker,
        and they are told by the next settlement.
        """
        is_known = order.client_order_id in self._open or order.client_order_id in self._counted
        if order.leg is not Leg.ENTRY or is_known or order.state in _NEVER_BOOKED:
            return
        if order.created_at.date() == self.figures.session_day:
            self._counted.add(order.client_order_id)
            self.figures = replace(self.figures, entries_today=self.figures.entries_today + 1)

    def _note_exits(self, trades: list[Trade]) -> None:
        last_exit = {**self.figures.last_exit, **{t.symbol: t.closed_at for t in trades}}
        self.figures = replace(
            self.figures,
            last_exit=dict(sorted(last_exit.items())),
            closed_trades=self.figures.closed_trades + len(trades),
        )
