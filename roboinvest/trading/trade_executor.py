"""TradeExecutorAgent: the only code that sends an order.

Risk is checked here and not in the strategy, so that no new strategy can forget it. A refused
intent is a result, not an error: it is recorded and the tick goes on. A position is never left
without a stop at the broker: one whose exit died is protected again at the next tick.

News leans on the size of an entry that was decided without it, through the taint gate and before
risk. Exits, stops and targets never see it.

Deliberately absent: retries. What an order came to is learned by asking the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import OrderRejected
from roboinvest.core.events import TradingState
from roboinvest.core.ledger import Lot
from roboinvest.core.news.gate import RULE, TaintGate
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Action,
    Decision,
    Leg,
    Order,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
    client_order_id,
    to_tick,
)
from roboinvest.core.ports import Broker
from roboinvest.core.risk import (
    Clamp,
    RiskBook,
    RiskLimits,
    Verdict,
    check_intent,
    clamped_by_risk,
    size_entry,
)
from roboinvest.core.strategy import requested_shares
from roboinvest.runtime.halt import HaltLevel
from roboinvest.trading.account_book import AccountBook
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.refusals import BY_BROKER, NO_PRICE, RefusalLog
from roboinvest.trading.state import (
    EntryRequest,
    Execution,
    Strategy,
    TickInput,
    TickState,
    World,
)

SEND_WITHIN: Final = timedelta(minutes=5)  # an intent that was not sent by then never is
ZERO: Final = Decimal(0)
_ON_ITS_WAY: Final = (Leg.EXIT, Leg.FLATTEN)
_COVER: Final = (Leg.STOP, Leg.EXIT, Leg.FLATTEN, Leg.ENTRY)


@dataclass(slots=True)
class _Desk:
    """One tick's work: what it may look at, and what it has done so far."""

    tick: TickInput
    world: World
    intents: list[OrderIntent] = field(default_factory=list)
    clamps: list[Clamp] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    refused: list[Clamp] = field(default_factory=list)

    def refuse(self, verdict: Verdict) -> None:
        """Note a verdict that lets nothing through."""
        self.clamps += verdict.clamps
        self.refused += verdict.clamps
        self.rejected.append("; ".join(clamp.text for clamp in verdict.clamps))

    def mark(self, symbol: str) -> Decimal | None:
        """Return the price a symbol is valued at; None where there is none to speak of."""
        mark = self.world.marks.get(symbol)
        return mark if mark is not None and mark.is_finite() else None


class TradeExecutorAgent:
    """Sizes decisions, asks risk, and sends what is left."""

    def __init__(
        self,
        broker: Broker,
        account: AccountBook,
        gate: TradingGate,
        *,
        limits: RiskLimits,
        instance: str,
        carries_out_halts: bool = True,
        taint: TaintGate | None = None,
        binding: Callable[[], RiskLimits] | None = None,
    ) -> None:
        """Take the parts; `taint` bounds what news may do, as it does by default.

        `binding` is asked at the begin of each tick for the limits that bind in it; None: `limits`.
        """
        self._broker = broker
        self._account = account
        self._gate = gate
        self._limits = limits
        self._binding = binding or (lambda: limits)
        self._instance = instance
        self._carries_out_halts = carries_out_halts
        self._taint = taint or TaintGate()
        self._refusals = RefusalLog()

    async def __call__(self, state: TickState) -> TickState:
        """Return the `execution` of this tick: a halt first, exits, entries, then stops."""
        self._limits = self._binding()
        desk = _Desk(state["tick"], state["world"])
        wanted = state["strategy"]
        decisions, requests = wanted.decisions, wanted.requests
        self._refusals.begin(desk.tick.session.day)
        await self._obey_halt(desk)
        for decision in decisions:
            if self._closes(decision, wanted):
                await self._close(decision.symbol, desk)
        for symbol, stop in wanted.stops.items():
            await self._move_stop(symbol, stop, desk)
        for decision in decisions:
            if decision.symbol in requests:
                await self._enter_as_asked(decision.symbol, requests[decision.symbol], desk)
            elif decision.action is Action.BUY and not self._closes(decision, wanted):
                await self._enter(decision, desk)
        await self._protect(desk)
        marks = {s: float(mark) for s, mark in desk.world.marks.items() if mark.is_finite()}
        account = await self._broker.account(marks)
        self._account.value(account.equity)
        self._account.latch(self._limits, desk.tick.session, desk.tick.at)
        execution = Execution(
            intents=tuple(desk.intents),
            clamps=tuple(desk.clamps),
            orders=tuple(desk.orders),
            rejected=tuple(desk.rejected),
            account=account,
            refused=tuple(desk.refused),
        )
        return {"execution": execution}

    async def _enter(self, decision: Decision, desk: _Desk) -> None:
        """Buy at the next open, with a stop and a target that live at the broker."""
        symbol, stop = decision.symbol, decision.stop
        if stop is None or symbol not in desk.world.marks:
            text = f"{symbol}: a BUY needs a stop and a price"
            self._say_no(symbol, NO_PRICE, text, ZERO, desk)
            return
        mark = desk.world.marks[symbol]
        qty = size_entry(desk.world.account.equity, mark, stop, self._limits)
        intent = self._intent(desk, symbol, Leg.ENTRY, qty)
        intent = replace(intent, stop_loss=stop, take_profit=decision.target)
        verdict = self._check(intent, desk)
        if not verdict.approved:
            desk.refuse(verdict)
            return
        desk.clamps += verdict.clamps
        qty = self._leaned(decision, replace(intent, qty=verdict.qty), verdict, desk)
        if qty:
            await self._submit(replace(intent, qty=qty), desk)

    def _closes(self, decision: Decision, wanted: Strategy) -> bool:
        """Return whether a decision is about leaving: a SELL, or a BUY that covers a short."""
        if decision.symbol in wanted.requests or decision.action is Action.HOLD:
            return False
        is_short = self._account.ledger.qty(decision.symbol, HOUSE_AGENT) < 0
        return decision.action is Action.SELL or is_short

    async def _enter_as_asked(self, symbol: str, asked: EntryRequest, desk: _Desk) -> None:
        """Enter at the next open as a strategy asks, as far as risk lets it.

        News does not lean here: the strategy was judged without it.
        """
        mark = desk.mark(symbol)
        if asked.stop is None or mark is None:
            text = f"{symbol}: an entry needs a stop and a price"
            self._say_no(symbol, NO_PRICE, text, ZERO, desk)
            return
        equity = desk.world.account.equity
        wanted = requested_shares(asked.size, equity, mark, asked.stop)
        allowed = min(wanted, size_entry(equity, mark, asked.stop, self._limits))
        intent = self._intent(desk, symbol, Leg.ENTRY, allowed * asked.side.sign)
        intent = replace(intent, side=asked.side, stop_loss=asked.stop, take_profit=asked.target)
        verdict = self._check(intent, desk)
        if allowed < wanted:
            desk.clamps.append(clamped_by_risk(symbol, wanted, allowed, self._limits))
        if not verdict.approved:
            desk.refuse(verdict)
            return
        desk.clamps += verdict.clamps
        await self._submit(replace(intent, qty=verdict.qty), desk)

    async def _move_stop(self, symbol: str, stop: Decimal, desk: _Desk) -> None:
        """Put the stop of what is held elsewhere: the old one is cancelled, a new one sent.

        Should the second half fail, `_protect` gives the position its first stop back.
        """
        held = self._account.ledger.qty(symbol, HOUSE_AGENT)
        if not held or self._is_leaving(symbol) or desk.mark(symbol) is None:
            return
        intent = self._stop_intent(desk, symbol, held, stop)
        verdict = self._check(intent, desk)
        if not verdict.approved:
            desk.refuse(verdict)
            return
        await self._cancel(symbol, desk, "the stop is moved")
        await self._submit(intent, desk)

    def _stop_intent(self, desk: _Desk, symbol: str, held: Decimal, stop: Decimal) -> OrderIntent:
        """Return a stop for signed shares that are held."""
        return replace(
            self._intent(desk, symbol, Leg.STOP, -held),
            order_type=OrderType.STOP,
            time_in_force=TimeInForce.GTC,
            stop_price=stop,
        )

    def _leaned(
        self, decision: Decision, intent: OrderIntent, verdict: Verdict, desk: _Desk
    ) -> Decimal:
        """Return the shares to send, and note what news had to do with them.

        News leans on the size that risk allows without it. Where that is a limit, good news has
        nothing to add; what it adds elsewhere, risk judges again.
        """
        world, symbol, allowed = desk.world, decision.symbol, verdict.qty
        sized = self._taint.size(decision, allowed, world.news.get(symbol), world.observations)
        qty = sized.qty
        if qty > allowed:
            again = self._check(replace(intent, qty=qty), desk) if not verdict.clamps else verdict
            qty = max(again.qty, allowed) if again.approved else allowed
        if sized.text:
            text = sized.text if qty == sized.qty else f"{sized.text}; limits allow {qty}"
            clamp = Clamp(rule=RULE, symbol=symbol, requested=allowed, allowed=qty, text=text)
            desk.clamps.append(clamp)
        return qty

    async def _close(self, symbol: str, desk: _Desk) -> None:
        """Sell what the agent holds at the next open, unless an exit is already on its way.

        Its stop and target are cancelled only once risk has let the exit through.
        """
        held = self._account.ledger.qty(symbol, HOUSE_AGENT)
        if not held or self._is_leaving(symbol) or desk.mark(symbol) is None:
            return
        intent = self._intent(desk, symbol, Leg.EXIT, -held)
        verdict = self._check(intent, desk)
        if not verdict.approved:
            desk.refuse(verdict)
            return
        await self._cancel(symbol, desk, "replaced by an exit")
        await self._submit(intent, desk)

    async def _protect(self, desk: _Desk) -> None:
        """Give a position that has neither stop nor exit at the broker its stop back."""
        if desk.tick.trading_state is TradingState.HALTED:
            return
        for lot in self._account.ledger.lots(agent_id=HOUSE_AGENT):
            covered = any(self._account.working(lot.symbol, leg) for leg in _COVER)
            stop, mark = _stop_of(lot), desk.mark(lot.symbol)
            if covered or stop is None or mark is None:
                continue
            held = self._account.ledger.qty(lot.symbol, HOUSE_AGENT)
            if (mark - stop) * held <= 0:
                await self._close(lot.symbol, desk)  # the price is past the stop already
                continue
            intent = self._stop_intent(desk, lot.symbol, held, stop)
            verdict = self._check(intent, desk)
            if verdict.approved:
                await self._submit(intent, desk)
            else:
                desk.refuse(verdict)

    async def _obey_halt(self, desk: _Desk) -> None:
        """Cancel entries, or cancel all and close, as far as the person who halted asked for."""
        halt = self._gate.halt
        if halt is None or halt.level is HaltLevel.NEW or not self._carries_out_halts:
            return  # at a real broker the kill switch acts by itself
        flatten, note = halt.level is HaltLevel.FLATTEN, f"halted: {halt.reason}"
        for symbol in sorted({order.symbol for order in self._account.open_orders()}):
            if not (flatten and self._is_leaving(symbol)):
                await self._cancel(symbol, desk, note, entries_only=not flatten)
        if not flatten or not desk.tick.session.holds(desk.tick.at):
            return
        for symbol in self._account.ledger.symbols():
            held = self._account.ledger.qty(symbol, HOUSE_AGENT)
            if held and not self._is_leaving(symbol) and desk.mark(symbol) is not None:
                await self._submit(self._intent(desk, symbol, Leg.FLATTEN, -held), desk)

    def _is_leaving(self, symbol: str) -> bool:
        return any(self._account.working(symbol, leg) for leg in _ON_ITS_WAY)

    async def _submit(self, intent: OrderIntent, desk: _Desk) -> bool:
        try:
            orders = await self._broker.submit(intent, desk.tick.at)
        except OrderRejected as refusal:
            self._say_no(intent.symbol, BY_BROKER, str(refusal), intent.qty, desk)
            return False
        self._refusals.accepted(intent.symbol)
        desk.intents.append(intent)
        desk.orders += orders
        self._account.track(orders)
        return True

    def _say_no(self, symbol: str, rule: str, text: str, qty: Decimal, desk: _Desk) -> None:
        """Note a refusal that no limit made."""
        clamp = Clamp(rule=rule, symbol=symbol, requested=qty, allowed=ZERO, text=text)
        desk.rejected.append(text)
        desk.refused.append(clamp)
        self._refusals.note_other(clamp)

    async def _cancel(
        self, symbol: str, desk: _Desk, note: str, *, entries_only: bool = False
    ) -> None:
        for order in self._account.open_orders(symbol):
            if order.leg is Leg.ENTRY or not entries_only:
                changed = await self._broker.cancel(order.client_order_id, desk.tick.at, note)
                desk.orders += changed
                self._account.track(changed)

    def _check(self, intent: OrderIntent, desk: _Desk) -> Verdict:
        tick, world, figures = desk.tick, desk.world, self._account.figures
        symbol = intent.symbol
        held = self._account.ledger.qty(symbol)
        if intent.leg is Leg.ENTRY:
            held += self._account.working_qty(symbol)
        book = RiskBook(
            at=tick.at,
            session=tick.session,
            state=tick.trading_state,
            state_reason=tick.state_reason,
            equity=world.account.equity,
            cash=world.account.cash - self._account.reserved_cash(),
            day_start_equity=figures.day_start_equity,
            peak_equity=figures.peak_equity,
            position_qty=held,
            gross_usd=self._account.gross_usd(world.marks),
            trades_today=figures.entries_today,
            open_orders=len(self._account.open_orders()),
            last_price=world.marks.get(symbol),
            bar_age=world.bar_age.get(symbol),
            suspended=tick.update.suspended.get(symbol),
            locks=self._account.locks_on(symbol, tick.session, tick.at),
        )
        verdict = check_intent(intent, book, self._limits)
        self._refusals.note(symbol, verdict.clamps)
        return verdict

    def _intent(self, desk: _Desk, symbol: str, leg: Leg, shares: Decimal) -> OrderIntent:
        """Return a market order for signed `shares`, good for this session."""
        tick_id = desk.tick.tick_id
        return OrderIntent(
            client_order_id=client_order_id(self._instance, tick_id, HOUSE_AGENT, symbol, leg),
            tick_id=tick_id,
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=symbol,
            leg=leg,
            side=Side.BUY if shares >= 0 else Side.SELL,
            qty=abs(shares),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            mark=desk.world.marks[symbol],
            valid_until=desk.tick.at + SEND_WITHIN,
        )


def _stop_of(lot: Lot) -> Decimal | None:
    """Return the price at which a lot loses its initial risk."""
    if lot.risk_per_share is None:
        return None
    return to_tick(
        lot.price - lot.risk_per_share if lot.qty > 0 else lot.price + lot.risk_per_share
    )
