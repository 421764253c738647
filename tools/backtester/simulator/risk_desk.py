"""The house's limits over a simulated account: every entry is asked about as the daemon asks.

`core.risk` judges; here are only the figures it judges by, folded from the equity curve as
`trading.account_book` folds them from tick to tick: the day's start, the confirmed peak, and the
latches that several readings confirm. A drawdown's latch stays: no person clears it in a backtest.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from roboinvest.core.events import TradingState
from roboinvest.core.market.bars import from_ns
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Leg,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
)
from roboinvest.core.protections import EVERYTHING, Lock, LockRule
from roboinvest.core.risk import RiskBook, RiskLimits, Verdict, check_intent, size_entry
from roboinvest.core.strategy import requested_shares
from tools.backtester.contract import Stage, Terms
from tools.backtester.simulator.book import SimBook
from tools.backtester.simulator.locks import SimLocks
from tools.backtester.simulator.readings import Readings
from tools.backtester.simulator.sizing import Wish

ZERO: Final = Decimal(0)


class RiskDesk:
    """Asks risk about every entry, and remembers what risk will want to know."""

    def __init__(
        self, stage: Stage, terms: Terms, limits: RiskLimits, book: SimBook, readings: Readings
    ) -> None:
        """Take the limits and the account they bind."""
        self._size = stage.plan.execution.size
        self._terms = terms
        self._limits = limits
        self._book = book
        self._readings = readings
        self._is_daily = stage.timeframe is Timeframe.DAY
        self._locks = SimLocks(stage, terms.protections)
        self._entries = Counter[date]()
        self.refused = Counter[str]()
        self.clamped = Counter[str]()

    def allowed(self, wish: Wish) -> Decimal:
        """Return the shares that limits let through."""
        lane, row = wish.seat.lane, wish.row
        asked_for = row + 1 if self._is_daily else row  # a day bar's order opens the next session
        if asked_for >= lane.rows:
            self.refused["session"] += 1
            return ZERO
        if wish.side is Side.SELL and not self._terms.allow_short:
            self.refused["short"] += 1
            return ZERO
        bars = lane.part.bars
        session = Session(
            day=date.fromordinal(int(bars.day[asked_for])),
            opens_at=from_ns(bars.opens[asked_for]),
            closes_at=from_ns(bars.ends[asked_for]),
            is_half_day=False,  # no limit asks
        )
        at = session.opens_at if self._is_daily else from_ns(bars.closes_at[row])
        equity = self._book.equity(lane, row)
        asked = requested_shares(self._size, equity, wish.mark, wish.stop)
        qty = asked
        if wish.stop is not None:
            qty = min(asked, size_entry(equity, wish.mark, wish.stop, self._limits))
        intent = _intent(wish, qty, at)
        verdict = check_intent(intent, self._risk_book(wish, equity, session, at), self._limits)
        return self._noted(verdict, session.day, is_cut=qty < asked)

    def settle(self, first: int, at: int) -> None:
        """Let protections judge the trades that the fills from number `first` on closed."""
        self._locks.judge(self._book.fills[first:], self._readings.day_start(at))

    def _noted(self, verdict: Verdict, day: date, *, is_cut: bool) -> Decimal:
        """Count what risk said, and return the shares it allows."""
        if not verdict.approved:
            self.refused.update({clamp.rule for clamp in verdict.clamps if not clamp.allowed})
            return ZERO
        self._entries[day] += 1
        self.clamped.update({clamp.rule for clamp in verdict.clamps})
        if is_cut:
            self.clamped["risk_per_trade"] += 1
        return verdict.qty

    def _risk_book(self, wish: Wish, equity: Decimal, session: Session, at: datetime) -> RiskBook:
        lane, book = wish.seat.lane, self._book
        now = int(lane.instants[wish.row])
        if self._is_daily:  # asked at the next open: this close is yesterday's last reading
            now += 1
            day_start = equity
        else:
            day_start = self._readings.day_start(now)
        self._readings.fold(now)
        entering = [order for order in book.open.values() if order.leg is Leg.ENTRY]
        committed = sum((order.remaining * order.mark for order in entering), ZERO)
        bought = (order for order in entering if order.side is Side.BUY)
        return RiskBook(
            at=at,
            session=session,
            state=TradingState.READY,
            state_reason="backtest",
            equity=equity,
            cash=book.cash - sum((order.remaining * order.mark for order in bought), ZERO),
            day_start_equity=day_start,
            peak_equity=self._readings.peak,
            position_qty=ZERO,  # an entry is asked for while flat, and with nothing on its way
            gross_usd=book.gross(lane, wish.row) + committed,
            trades_today=self._entries[session.day],
            open_orders=len(book.open),
            last_price=wish.mark,
            bar_age=timedelta(0),
            locks=(
                *self._latches(now, day_start, session, at),
                *self._locks.on(lane.symbol, session, at),
            ),
        )

    def _latches(self, now: int, day_start: Decimal, session: Session, at: datetime) -> list[Lock]:
        locks = []
        is_running = not self._is_daily and session.holds(at)  # the lock ends with the session
        if is_running and self._readings.is_down(now, day_start):
            text = "readings in a row confirm the day's loss"
            locks.append(_latch(LockRule.DAILY_LOSS, session, session.closes_at, text))
        if self._readings.in_drawdown:
            text = "readings in a row confirmed the drawdown"
            locks.append(_latch(LockRule.DRAWDOWN, session, None, text))
        return locks


def _latch(rule: LockRule, session: Session, until: datetime | None, text: str) -> Lock:
    return Lock(scope=EVERYTHING, rule=rule, since=session.opens_at, until=until, text=text)


def _intent(wish: Wish, qty: Decimal, at: datetime) -> OrderIntent:
    lane = wish.seat.lane
    name = f"sim-{lane.symbol}-{wish.row}"
    return OrderIntent(
        client_order_id=name,
        tick_id=name,
        agent_id=HOUSE_AGENT,
        revision_id=HOUSE_REVISION,
        symbol=lane.symbol,
        leg=Leg.ENTRY,
        side=wish.side,
        qty=qty,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        mark=wish.mark,
        stop_loss=wish.stop,
        take_profit=wish.target,
        valid_until=at,
    )
