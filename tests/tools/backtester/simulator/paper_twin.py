"""The same orders through the real paper broker, bar by bar, as the daemon would send them.

This walks every bar and asks the broker itself what is held and what is open: nothing of the
simulator is used, so that both have to be right for them to agree. Where limits apply, the daemon's
own account book keeps the figures that risk judges by.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.events import TradingState
from roboinvest.core.ledger import Ledger
from roboinvest.core.market.bars import from_ns
from roboinvest.core.market.grid import from_units
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import CorporateAction
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    TICK_SIZE,
    Leg,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Settlement,
    Side,
    TimeInForce,
    to_price,
    to_tick,
)
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.risk import RiskBook, check_intent, size_entry
from roboinvest.core.strategy import requested_shares
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.locks.book import LockBook
from tools.backtester.contract import Part, Stage, Terms

ZERO = Decimal(0)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
Told = tuple[str, int, Decimal, Decimal, Decimal, Leg, datetime]


@dataclass(slots=True, kw_only=True)
class PaperPlay:
    """What the broker came to."""

    fills: list[Told] = field(default_factory=list)
    equity: list[Decimal] = field(default_factory=list)  # USD, after each bar close
    cash: Decimal = ZERO
    ambiguous: int = 0
    unaffordable: int = 0
    expired: int = 0
    signals: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    clamped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class _Guarded:
    """What is remembered of a position."""

    entry_row: int
    stop: Decimal | None
    trail: Decimal
    best: Decimal


class _Daemon:
    def __init__(self, stage: Stage, terms: Terms) -> None:
        self.stage, self.terms = stage, terms
        self.broker = PaperBroker(terms.cash, terms.rules, allow_short=terms.allow_short)
        self.told = PaperPlay()
        self.guarded: dict[str, _Guarded] = {}
        self.asked: dict[str, _Guarded] = {}  # by the last entry sent, not filled yet
        self.marks: dict[str, float] = {}
        self.sent = 0
        self.session: Session | None = None
        self.account: AccountBook | None = None
        if terms.limits is not None:
            self.account = AccountBook(
                Ledger(),
                (),
                AccountFigures.starting_with(terms.cash),
                LockBook(rules=terms.protections or ProtectionRules()),
            )

    async def tick(self, at: int, rows: dict[str, int], session: Session) -> None:
        bars = [self.stage.parts[s].bars.series().bar(row) for s, row in sorted(rows.items())]
        actions: tuple[CorporateAction, ...] = ()
        if self.session is None or session.day != self.session.day:
            actions = tuple(a for a in self.stage.actions if a.ex_date == session.day)
        self.session = session
        update = MarketUpdate(at=from_ns(at), session=session, bars=tuple(bars), actions=actions)
        if self.account is not None:
            self.account.begin(update)
        settled = await self.broker.settle(update)
        if self.account is not None:
            self.account.settle(settled)
        self._rescale(actions)
        self._take(settled, rows)
        self.marks.update({bar.symbol: bar.close for bar in bars})
        await self._decide(at, rows)
        if rows:
            await self._value(at)

    def _rescale(self, actions: tuple[CorporateAction, ...]) -> None:
        for action in actions:
            for kept in (self.guarded.get(action.symbol), self.asked.get(action.symbol)):
                if kept is not None and action.ratio != 1:
                    kept.stop = None if kept.stop is None else to_tick(kept.stop / action.ratio)
                    kept.trail = to_tick(kept.trail / action.ratio)
                    kept.best = (kept.best / action.ratio).quantize(Decimal("0.0001"))

    def _take(self, settled: Settlement, rows: dict[str, int]) -> None:
        self.told.expired += sum(
            o.state is OrderState.EXPIRED and o.leg is Leg.ENTRY for o in settled.orders
        )
        for fill in settled.fills:
            row = rows[fill.symbol]
            self.told.fills.append(
                (fill.symbol, row, fill.qty, fill.price, fill.commission, fill.leg, fill.filled_at)
            )
            if fill.leg is Leg.ENTRY and fill.symbol not in self.guarded:
                self.guarded[fill.symbol] = kept = self.asked.pop(fill.symbol)
                kept.entry_row = row
        held = self.broker.holdings()
        self.guarded = {s: kept for s, kept in self.guarded.items() if s in held}
        for symbol in self.guarded.keys() & rows.keys():
            self._look(symbol, rows[symbol], is_long=held[symbol] > 0)

    async def _value(self, at: int) -> None:
        equity = (await self.broker.account(self.marks)).equity
        self.told.equity.append(equity)
        if self.account is not None and self.terms.limits is not None and self.session is not None:
            self.account.value(equity)
            self.account.latch(self.terms.limits, self.session, from_ns(at))

    def _look(self, symbol: str, row: int, *, is_long: bool) -> None:
        kept, bars = self.guarded[symbol], self.stage.parts[symbol].bars
        reached = to_price(bars.high[row] if is_long else bars.low[row])
        better = max if is_long else min
        kept.best = better(kept.best, reached) if kept.best else reached

    async def _decide(self, at: int, rows: dict[str, int]) -> None:
        assert self.session is not None
        silent = self.account is not None and not self.session.holds(from_ns(at))
        if not silent:
            await self._exits(at, rows)
        for symbol, row in sorted(rows.items()):
            if symbol not in self.guarded and not await self._open(symbol):
                await self._enter(symbol, row, at)
        if not silent:
            for symbol, row in sorted(rows.items()):
                if symbol in self.guarded and not await self._leaving(symbol):
                    await self._protect(symbol, row, at)

    async def _exits(self, at: int, rows: dict[str, int]) -> None:
        for symbol, row in sorted(rows.items()):
            if (
                symbol in self.guarded
                and not await self._leaving(symbol)
                and self._out(symbol, row)
            ):
                await self._leave(symbol, at)

    def _out(self, symbol: str, row: int) -> bool:
        wants, most = self.stage.parts[symbol].signals, self.stage.plan.execution.max_bars
        old = most is not None and row - self.guarded[symbol].entry_row + 1 >= most
        return bool(wants.late[row] or old or wants.leave[row])

    async def _open(self, symbol: str) -> list[Order]:
        return [order for order in await self.broker.open_orders() if order.symbol == symbol]

    async def _leaving(self, symbol: str) -> bool:
        return any(order.leg is Leg.EXIT for order in await self._open(symbol))

    async def _leave(self, symbol: str, at: int) -> None:
        for order in await self._open(symbol):
            await self._cancel(order, at, "replaced by an exit")
        await self._send(symbol, at, Leg.EXIT, -self.broker.holdings()[symbol])

    async def _enter(self, symbol: str, row: int, at: int) -> None:
        wants = self.stage.parts[symbol].signals
        way = int(wants.entry[row])
        if not way:
            return
        self.told.signals += 1
        if way < 0 and not self.terms.allow_short:
            self.told.refused["short"] += 1
            return
        stop, target = (
            from_units(int(units[row])) if units[row] else None
            for units in (wants.stop, wants.target)
        )
        equity = (await self.broker.account(self.marks)).equity
        mark = from_units(int(wants.mark[row]))
        qty = requested_shares(self.stage.plan.execution.size, equity, mark, stop)
        wish = self._intent(symbol, at, Leg.ENTRY, way * qty, stop_loss=stop, take_profit=target)
        if self.account is not None:
            qty = await self._allowed(wish, equity, at)
        elif not qty:
            self.told.refused["quantity"] += 1
        if qty:
            trail = from_units(int(wants.trail[row]))
            self.asked[symbol] = _Guarded(entry_row=row, stop=stop, trail=trail, best=ZERO)
            await self._submit(replace(wish, qty=qty), at)

    async def _protect(self, symbol: str, row: int, at: int) -> None:
        kept = self.guarded[symbol]
        mark = from_units(int(self.stage.parts[symbol].signals.mark[row]))
        held = self.broker.holdings()[symbol]
        is_long = held > 0
        stops = [order for order in await self._open(symbol) if order.leg is Leg.STOP]
        if kept.stop is None or (stops and self._is_touched(stops[0])):
            return
        if kept.trail:
            level = _tick_away(kept.best + (-kept.trail if is_long else kept.trail), is_long)
            if (level - kept.stop) * held > 0:
                kept.stop = level
                if (mark - level) * held <= 0:
                    await self._leave(symbol, at)
                    return
                for order in stops:
                    await self._cancel(order, at, "moved")
                stops = []
        if stops:
            return
        if (mark - kept.stop) * held <= 0:
            await self._leave(symbol, at)
        else:
            await self._send(symbol, at, Leg.STOP, -held, level=kept.stop)

    def _is_touched(self, stop: Order) -> bool:
        booked = json.loads(self.broker.snapshot())["open"]
        mine = (b for b in booked if b["order"]["client_order_id"] == stop.client_order_id)
        return bool(next(mine)["triggered"])

    async def _allowed(self, wish: OrderIntent, equity: Decimal, at: int) -> Decimal:
        """Ask the house's risk, with the figures of the house's own account book."""
        limits, account, session = self.terms.limits, self.account, self.session
        assert limits is not None
        assert account is not None
        assert session is not None
        sized = wish.qty
        if wish.stop_loss is not None:
            sized = min(wish.qty, size_entry(equity, wish.mark, wish.stop_loss, limits))
        symbol, figures = wish.symbol, account.figures
        marks = {name: to_price(mark) for name, mark in self.marks.items()}
        book = RiskBook(
            at=from_ns(at),
            session=session,
            state=TradingState.READY,
            state_reason="",
            equity=equity,
            cash=(await self.broker.account({})).cash - account.reserved_cash(),
            day_start_equity=figures.day_start_equity,
            peak_equity=figures.peak_equity,
            position_qty=account.ledger.qty(symbol) + account.working_qty(symbol),
            gross_usd=account.gross_usd(marks),
            trades_today=figures.entries_today,
            open_orders=len(account.open_orders()),
            last_price=wish.mark,
            bar_age=timedelta(0),
            locks=account.locks_on(symbol, session, from_ns(at)),
        )
        verdict = check_intent(replace(wish, qty=sized), book, limits)
        if not verdict.approved:
            self.told.refused.update({clamp.rule for clamp in verdict.clamps if not clamp.allowed})
            return ZERO
        self.told.clamped.update({clamp.rule for clamp in verdict.clamps})
        self.told.clamped.update(["risk_per_trade"] if sized < wish.qty else [])
        return verdict.qty

    async def _cancel(self, order: Order, at: int, note: str) -> None:
        changed = await self.broker.cancel(order.client_order_id, from_ns(at), note)
        if self.account is not None:
            self.account.track(changed)

    async def _submit(self, intent: OrderIntent, at: int) -> None:
        orders = await self.broker.submit(intent, from_ns(at))
        if self.account is not None:
            self.account.track(orders)

    async def _send(
        self, symbol: str, at: int, leg: Leg, shares: Decimal, *, level: Decimal | None = None
    ) -> None:
        await self._submit(self._intent(symbol, at, leg, shares, level=level), at)

    def _intent(
        self,
        symbol: str,
        at: int,
        leg: Leg,
        shares: Decimal,
        *,
        level: Decimal | None = None,
        stop_loss: Decimal | None = None,
        take_profit: Decimal | None = None,
    ) -> OrderIntent:
        self.sent += 1
        return OrderIntent(
            client_order_id=f"{symbol}-{self.sent}",
            tick_id="t",
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=symbol,
            leg=leg,
            side=Side.BUY if shares > 0 else Side.SELL,
            qty=abs(shares),
            order_type=OrderType.MARKET if level is None else OrderType.STOP,
            time_in_force=TimeInForce.DAY if level is None else TimeInForce.GTC,
            mark=to_price(self.marks[symbol]),
            stop_price=level,
            stop_loss=stop_loss,
            take_profit=take_profit,
            valid_until=FAR,
        )


def play_on_paper(stage: Stage, terms: Terms) -> PaperPlay:
    """Return what the real paper broker, and the real books of the account, make of a stage."""
    return asyncio.run(_play(stage, terms))


async def _play(stage: Stage, terms: Terms) -> PaperPlay:
    daemon = _Daemon(stage, terms)
    ticks: dict[int, tuple[dict[str, int], Session]] = {}
    for symbol, part in stage.parts.items():
        for row in range(len(part.bars)):
            session = _session(part, row)
            rows, _ = ticks.setdefault(int(part.bars.closes_at[row]), ({}, session))
            rows[symbol] = row
            if terms.limits is None:  # the daemon's last tick, without a reading of equity
                ticks.setdefault(int(part.bars.ends[row]), ({}, session))
    last = max(int(part.bars.closes_at[-1]) for part in stage.parts.values())
    for at in sorted(at for at in ticks if at <= last):
        await daemon.tick(at, *ticks[at])
    counts = daemon.broker.counts()
    daemon.told.cash = (await daemon.broker.account({})).cash
    daemon.told.ambiguous, daemon.told.unaffordable = counts.ambiguous, counts.unaffordable
    return daemon.told


def _tick_away(level: Decimal, is_long: bool) -> Decimal:
    if level < 1:
        return level
    return level.quantize(TICK_SIZE, rounding=ROUND_FLOOR if is_long else ROUND_CEILING)


def _session(part: Part, row: int) -> Session:
    return Session(
        day=date.fromordinal(int(part.bars.day[row])),
        opens_at=from_ns(int(part.bars.opens[row])),
        closes_at=from_ns(int(part.bars.ends[row])),
        is_half_day=False,
    )
