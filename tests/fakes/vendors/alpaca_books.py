"""Alpaca's books: who holds what, what each order has become, and the message of every change.

The books keep accounts and never decide: rules are in `alpaca_drafts`, matching, cancelling and
replacing in `alpaca_exchange`. Each change of an order leaves through `on_update` as the message
that the trade stream sends.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from tests.fakes.vendors.alpaca_bodies import (
    Body,
    order_body,
    position_body,
    stamp,
    text,
    update_body,
)
from tests.fakes.vendors.alpaca_drafts import Standing
from tests.fakes.vendors.alpaca_values import (
    ACTIVE,
    TERMINAL,
    Asset,
    BookedOrder,
    BooksState,
    Holding,
    Refusal,
    Trade,
)

ZERO = Decimal(0)


class Books:
    """One account."""

    def __init__(self, state: BooksState, *, now: Callable[[], datetime], seed: int) -> None:
        self.state = state
        self.now = now
        self.on_update: Callable[[Body], None] = lambda message: None
        self.hidden_s = 0.0  # how long look-ups do not find a new order
        self._rng = random.Random(f"{seed} {len(state.orders)}")
        self._events = 0
        self._open = dict.fromkeys(state.orders)  # ids, oldest first; those that ended drop out

    def new_id(self) -> str:
        """Return a fresh identifier."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    # ------------------------------------------------------------------ questions

    def asset(self, symbol: str) -> Asset:
        """Return an asset by symbol or id.

        Raises:
            Refusal: there is none.
        """
        for asset in self.state.assets.values():
            if symbol in {asset.symbol, asset.id}:
                return asset
        raise Refusal(404, 40410000, f"asset not found for {symbol}")

    def price(self, symbol: str) -> Decimal | None:
        """Return the last price; None before the first."""
        return self.state.prices.get(symbol)

    def held(self, symbol: str) -> Decimal:
        """Return the shares held, signed."""
        holding = self.state.holdings.get(symbol)
        return holding.qty if holding else ZERO

    def open_orders(self, symbol: str | None = None) -> list[BookedOrder]:
        """Return the orders that have not ended, oldest first."""
        orders = [self.state.orders[each] for each in self._open]
        for order in orders:
            if not order.is_open:
                del self._open[order.id]
        return [order for order in orders if order.is_open and symbol in {None, order.symbol}]

    def legs(self, order: BookedOrder) -> list[BookedOrder]:
        """Return the protective legs of an order."""
        return [self.state.orders[each] for each in order.leg_ids]

    def group(self, order: BookedOrder) -> list[BookedOrder]:
        """Return the other orders of its bracket, OCO or OTO."""
        parent = self.state.orders[order.parent_id] if order.parent_id else order
        return [each for each in (parent, *self.legs(parent)) if each is not order]

    def closing(self, symbol: str, but: BookedOrder | None = None) -> tuple[Decimal, list[str]]:
        """Return the shares that open orders hold of a position, and those orders' ids.

        The orders of one OCO pair hold the same shares, once; `but` leaves an order out, and its
        pair.
        """
        sign = 1 if self.held(symbol) > 0 else -1
        by_group: dict[str, Decimal] = {}
        ids: list[str] = []
        for order in self.open_orders(symbol):
            if order.sign == sign or not order.is_live:
                continue
            key = order.parent_id or order.id
            if but is not None and key == (but.parent_id or but.id):
                continue
            by_group[key] = max(by_group.get(key, ZERO), order.remaining)
            ids.append(order.id)
        return sum(by_group.values(), ZERO), ids

    def equity(self) -> Decimal:
        """Return cash and holdings at their last prices, in USD."""
        return self.state.cash + sum((value for _, value in self.values()), ZERO)

    def values(self) -> Iterable[tuple[str, Decimal]]:
        """Yield each symbol held with its signed value in USD."""
        for holding in self.state.holdings.values():
            price = self.price(holding.symbol) or holding.avg_price
            yield holding.symbol, holding.qty * price

    def buying_power(self) -> Decimal:
        """Return what new risk may cost, in USD, never negative."""
        gross = sum((abs(value) for _, value in self.values()), ZERO)
        power = self.equity() * self.state.terms.multiplier - gross - self._promised()
        return max(ZERO, power)

    def _promised(self) -> Decimal:
        total = ZERO
        for order in self.open_orders():
            if not order.is_live or self.held(order.symbol) * order.sign < 0:
                continue
            price = order.limit_price or order.stop_price or self.price(order.symbol) or ZERO
            waiting = order.notional if order.qty is None else order.remaining * price
            total += waiting or ZERO
        return total

    def standing(self, symbol: str, side: str) -> Standing:
        """Return what matters for one new order."""
        reserved, related = self.closing(symbol)
        return Standing(
            terms=self.state.terms,
            asset=self.asset(symbol),
            price=self.price(symbol),
            held=self.held(symbol),
            reserved=reserved,
            opposite=[
                order for order in self.open_orders(symbol) if order.side != side and order.is_live
            ],
            related=related,
            buying_power=self.buying_power(),
        )

    # ------------------------------------------------------------------ changes

    def book(self, order: BookedOrder) -> None:
        """Write a new order down."""
        order.visible_at = self.now() + timedelta(seconds=self.hidden_s)
        self.state.orders[order.id] = order
        self._open[order.id] = None
        self.state.booked_ids.setdefault(order.client_order_id, []).append(order.id)

    def move(self, order: BookedOrder, status: str, event: str | None = None) -> None:
        """Give an order a status, and say so."""
        order.status = status
        order.updated_at = self.now()
        if status in TERMINAL:
            order.ended_at = order.updated_at
        self._say(event or status, order)

    def execute(self, order: BookedOrder, qty: Decimal, price: Decimal) -> Trade:
        """Fill some of an order, book money and shares, and say so."""
        order.filled_qty += qty
        order.filled_value += qty * price
        order.updated_at = self.now()
        is_done = order.remaining <= 0
        if is_done:
            order.status, order.ended_at = "filled", order.updated_at
        elif order.status in ACTIVE:
            order.status = "partially_filled"
        trade = Trade(
            execution_id=self.new_id(),
            order_id=order.id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            at=order.updated_at,
            cum_qty=order.filled_qty,
            leaves_qty=order.remaining,
            order_status=order.status,
        )
        self.state.trades.append(trade)
        self.state.cash -= order.sign * qty * price
        self._hold(order.symbol, order.sign * qty, price)
        self._say("fill" if is_done else "partial_fill", order, trade)
        return trade

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Put shares and prices on a new scale, overnight and unsaid; a fraction becomes cash.

        Orders that rest are changed in place, as far as whole shares go.
        """
        state = self.state
        price = state.prices[symbol] = state.prices[symbol] / ratio
        for order in self.open_orders(symbol):
            if order.qty is not None:
                order.qty = (order.qty * ratio).to_integral_value(ROUND_DOWN)
            for level in ("limit_price", "stop_price"):
                old = getattr(order, level)
                if old is not None:
                    setattr(order, level, (old / ratio).quantize(Decimal("0.01")))
            order.updated_at = self.now()
        holding = state.holdings.pop(symbol, None)
        if holding is not None:
            new = holding.qty * ratio
            whole = new.to_integral_value(ROUND_DOWN)
            state.cash += (new - whole) * price
            if whole:
                average = holding.avg_price / ratio
                state.holdings[symbol] = Holding(symbol=symbol, qty=whole, avg_price=average)

    def _hold(self, symbol: str, qty: Decimal, price: Decimal) -> None:
        before = self.state.holdings.get(symbol)
        old = before.qty if before else ZERO
        after = old + qty
        if after == 0:
            self.state.holdings.pop(symbol, None)
            return
        average = before.avg_price if before else price
        if old * qty >= 0:  # it grows
            average = (abs(old) * average + abs(qty) * price) / abs(after)
        elif old * after < 0:  # it turns round
            average = price
        self.state.holdings[symbol] = Holding(symbol=symbol, qty=after, avg_price=average)

    def _say(self, event: str, order: BookedOrder, trade: Trade | None = None) -> None:
        self._events += 1
        event_id = f"01{self._rng.getrandbits(64):016X}{self._events:08d}"
        message = update_body(event, event_id, self.body(order), self.now(), trade)
        if trade is not None:
            message["data"]["position_qty"] = text(self.held(order.symbol))
        self.on_update(message)

    # ------------------------------------------------------------------ answers

    def body(self, order: BookedOrder, *, nested: bool = False) -> Body:
        """Return an order as JSON, with its legs where they are asked for."""
        legs = [self.body(leg) for leg in self.legs(order)] if nested and order.leg_ids else None
        is_quiet_stop = (
            self.state.terms.stop_legs_stay_held
            and order.parent_id is not None
            and order.stop_price is not None
            and order.status == "new"
        )
        return order_body(order, self.asset(order.symbol), legs, says_held=is_quiet_stop)

    def account_body(self) -> Body:
        """Return the account as JSON."""
        terms, equity, power = self.state.terms, self.equity(), self.buying_power()
        long = sum((value for _, value in self.values() if value > 0), ZERO)
        short = sum((value for _, value in self.values() if value < 0), ZERO)
        body: Body = {
            "id": terms.id,
            "account_number": "PA0TEST00000",
            "status": terms.status,
            "currency": "USD",
            "cash": text(self.state.cash),
            "equity": text(equity),
            "last_equity": text(self.state.last_equity),
            "portfolio_value": text(equity),
            "buying_power": text(power),
            "regt_buying_power": text(power),
            "non_marginable_buying_power": text(max(ZERO, self.state.cash)),
            "options_buying_power": "0",
            "long_market_value": text(long),
            "short_market_value": text(short),
            "initial_margin": text((long - short) / 2),
            "maintenance_margin": text((long - short) * Decimal("0.3")),
            "last_maintenance_margin": "0",
            "sma": "0",
            "multiplier": str(terms.multiplier),
            "accrued_fees": "0",
            "shorting_enabled": terms.shorting_enabled,
            "trading_blocked": terms.trading_blocked,
            "account_blocked": terms.account_blocked,
            "transfers_blocked": False,
            "trade_suspended_by_user": terms.trade_suspended_by_user,
            "created_at": stamp(datetime.fromisoformat("2019-06-17T01:32:09.887277+00:00")),
        }
        if terms.has_day_trade_fields:
            body |= {
                "pattern_day_trader": False,
                "daytrade_count": 0,
                "daytrading_buying_power": text(power),
            }
        return {name: value for name, value in body.items() if name not in terms.omitted}

    def position(self, symbol: str) -> Body:
        """Return a position as JSON.

        Raises:
            Refusal: nothing is held.
        """
        asset = self.asset(symbol)
        holding = self.state.holdings.get(asset.symbol)
        if holding is None:
            raise Refusal(404, 40410000, "position does not exist")
        price = self.price(asset.symbol) or holding.avg_price
        free = abs(holding.qty) - self.closing(asset.symbol)[0]
        return position_body(holding, asset, price, free)
