"""What becomes of orders at Alpaca: taken, matched, cancelled, replaced, expired.

A price is set, and what it fills is filled at it: market orders at once, limits and stops where the
price meets them. `shares` of a price bounds how many shares trade at it, which makes partial fills.
What a hand on the real venue would do (hold an order, delay a cancel) is a switch here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace as copied
from decimal import Decimal
from typing import Any

from tests.fakes.vendors.alpaca_books import ZERO, Books
from tests.fakes.vendors.alpaca_drafts import (
    BAD_FIELD,
    BAD_RULE,
    Draft,
    figure,
    no_money,
    no_shares,
    read_draft,
    refuse_form,
    refuse_standing,
    refuse_sub_penny,
    shares_for,
)
from tests.fakes.vendors.alpaca_values import ACTIVE, PENDING, BookedOrder, Refusal, Side

AT_ONCE = frozenset({"ioc", "fok"})


class Exchange:
    """Takes orders into the books and trades them."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.is_open = True
        self.holds_fills = False  # nothing fills but by `fill`
        self.holds_changes = False  # cancels and replaces stay pending until `settle`
        self.forgets_ids = False  # takes a client order id again, as if it had never seen it
        self.before_booking: list[Callable[[Mapping[str, Any]], None]] = []
        self._shares: dict[str, Decimal] = {}  # what still trades at the price that is set
        self._replacing: dict[str, str] = {}  # order that is replaced -> the one to come

    # ------------------------------------------------------------------ taking orders

    def place(self, body: Any) -> BookedOrder:
        """Take an order as the client sent it; it is not matched yet.

        Raises:
            Refusal: a rule says no; nothing is booked.
        """
        draft, books = read_draft(body), self.books
        if draft.client_order_id in books.state.booked_ids and not self.forgets_ids:
            raise Refusal(422, BAD_FIELD, "client_order_id must be unique")
        if len(draft.client_order_id or "") > 128:
            raise Refusal(422, BAD_FIELD, "client_order_id must be no more than 128 characters")
        if draft.symbol not in books.state.assets:
            raise Refusal(422, BAD_RULE, f'asset "{draft.symbol}" not found')
        refuse_form(draft, books.price(draft.symbol))
        refuse_standing(draft, books.standing(draft.symbol, draft.side))
        for callback in self.before_booking:
            callback(body)
        return self._book(draft)

    def person(self, symbol: str, side: Side, qty: Decimal, price: Decimal | None) -> BookedOrder:
        """Trade by hand, as the owner does in the vendor's own application, past every rule."""
        at = price or self.books.price(symbol)
        if at is None:
            raise ValueError(f"{symbol} has no price; set one before a person trades it")
        order = self._book(
            read_draft(
                {
                    "symbol": symbol,
                    "side": side,
                    "type": "market",
                    "time_in_force": "day",
                    "qty": str(qty),
                }
            )
        )
        self.books.move(order, "new")
        self.books.execute(order, qty, at)
        return order

    def _book(self, draft: Draft) -> BookedOrder:
        order = self._fresh(draft)
        self.books.book(order)
        exit_side: Side = order.side if draft.order_class == "oco" else _other(order.side)
        if draft.take_profit is not None and draft.order_class != "oco":
            self._add_leg(order, exit_side, "limit", limit=draft.take_profit, stop=None)
        if draft.stop_loss is not None:
            kind = "stop" if draft.stop_loss_limit is None else "stop_limit"
            self._add_leg(order, exit_side, kind, limit=draft.stop_loss_limit, stop=draft.stop_loss)
        return order

    def _fresh(self, draft: Draft) -> BookedOrder:
        now = self.books.now()
        return BookedOrder(
            id=self.books.new_id(),
            client_order_id=draft.client_order_id or self.books.new_id(),
            symbol=draft.symbol,
            side=draft.side,
            type=draft.type,
            time_in_force=draft.time_in_force,
            order_class=draft.order_class,
            qty=draft.qty,
            notional=draft.notional,
            limit_price=draft.limit_price,
            stop_price=draft.stop_price,
            extended_hours=draft.extended_hours,
            status="pending_new" if self.is_open else "accepted",
            created_at=now,
            updated_at=now,
            visible_at=now,
        )

    def _add_leg(
        self,
        entry: BookedOrder,
        side: Side,
        kind: str,
        *,
        limit: Decimal | None,
        stop: Decimal | None,
    ) -> None:
        leg = copied(
            entry,
            id=self.books.new_id(),
            client_order_id=self.books.new_id(),
            side=side,
            type=kind,
            limit_price=limit,
            stop_price=stop,
            status="held",
            parent_id=entry.id,
            leg_ids=[],
            is_live=False,
        )
        entry.leg_ids.append(leg.id)
        self.books.book(leg)

    # ------------------------------------------------------------------ matching

    def set_price(self, symbol: str, price: Decimal, shares: Decimal | None = None) -> None:
        """Let a symbol trade at a price, for `shares` shares or for as many as are wanted."""
        self.books.state.prices[symbol] = price
        self._shares.pop(symbol, None)
        if shares is not None:
            self._shares[symbol] = shares
        self.run(symbol)

    def run(self, symbol: str | None = None) -> None:
        """Match whatever can be matched now; a fill may set legs free, which are matched too."""
        if not self.is_open:
            return
        for order in self.books.open_orders(symbol):
            if order.status in {"pending_new", "accepted"}:
                self._begin(order)
        while any(self._match(order) for order in self.books.open_orders(symbol)):
            pass

    def _begin(self, order: BookedOrder) -> None:
        self.books.move(order, "new")
        if order.order_class == "oco":
            self._free_legs(order)

    def _match(self, order: BookedOrder) -> bool:
        """Return whether it was filled, in part or whole."""
        price = self.books.price(order.symbol)
        if self.holds_fills or price is None or not order.is_open or not order.is_live:
            return False
        if order.status not in ACTIVE | PENDING:
            return False
        if order.qty is None:
            order.qty = shares_for(order.notional, price)
        wanted = order.remaining if meets(order, price) else ZERO
        there = self._shares.get(order.symbol, wanted)
        qty = min(wanted, there)
        if order.time_in_force == "fok" and qty < order.remaining:
            qty = ZERO
        if qty > 0:
            if order.symbol in self._shares:
                self._shares[order.symbol] -= qty
            self._execute(order, qty, price)
        if order.is_open and order.time_in_force in AT_ONCE:
            self._end(order, "canceled")
        return qty > 0

    def fill(self, order: BookedOrder, qty: Decimal | None, price: Decimal | None) -> None:
        """Fill some of an order whatever the price, also one that is being cancelled.

        Raises:
            ValueError: it has ended, it has no such quantity left, or no price is known.
        """
        at = price or self.books.price(order.symbol)
        if at is None:
            raise ValueError(f"{order.symbol} has no price")
        if order.qty is None:
            order.qty = shares_for(order.notional, at)
        qty = order.remaining if qty is None else qty
        if not order.is_open or not 0 < qty <= order.remaining:
            raise ValueError(f"{order.id} is {order.status} and has {order.remaining} left")
        if order.status in {"pending_new", "accepted"}:
            self._begin(order)
        self._execute(order, qty, at)
        self.run(order.symbol)

    def _execute(self, order: BookedOrder, qty: Decimal, price: Decimal) -> None:
        self.books.execute(order, qty, price)
        is_entry = order.parent_id is None and order.order_class in {"bracket", "oto"}
        if is_entry:
            if not order.is_open:
                self._free_legs(order)
            return
        for other in self.books.group(order):
            if not other.is_open:
                continue
            if order.is_open and other.qty is not None and other.remaining > qty:
                other.qty -= qty  # the pair shares its quantity
            else:
                self._end_one(other, "canceled")

    def _free_legs(self, entry: BookedOrder) -> None:
        for leg in self.books.legs(entry):
            if leg.status == "held":
                leg.is_live = True
                self.books.move(leg, "new")

    # ------------------------------------------------------------------ ends

    def cancel(self, order: BookedOrder) -> None:
        """Cancel an order, and with it its group.

        Raises:
            Refusal: it has ended.
        """
        if not order.is_open:
            raise Refusal(422, BAD_RULE, f'order is already in "{order.status}" state')
        if self.holds_changes:
            self.books.move(order, "pending_cancel")
        else:
            self._end(order, "canceled")

    def settle(self) -> None:
        """Do what cancels and replaces are waiting for."""
        for order in self.books.open_orders():
            if order.status == "pending_cancel":
                self._end(order, "canceled")
        for old_id, new_id in tuple(self._replacing.items()):
            self._replace(self.books.state.orders[old_id], self.books.state.orders[new_id])
        self._replacing.clear()

    def _end(self, order: BookedOrder, status: str) -> None:
        self._end_one(order, status)
        for other in self.books.group(order):
            if other.is_open:
                self._end_one(other, status)

    def _end_one(self, order: BookedOrder, status: str) -> None:
        self.books.move(order, status)

    def reject(self, order: BookedOrder) -> None:
        """End an order as an exchange does that will not have it after all."""
        self._end(order, "rejected")

    def open_market(self) -> None:
        """Open: what was queued becomes active and is matched."""
        self.is_open = True
        self.run()

    def close_market(self) -> None:
        """Close: what lived for the day expires, and today's equity becomes yesterday's."""
        self.is_open = False
        for order in self.books.open_orders():
            if order.is_open and order.time_in_force != "gtc" and order.status != "accepted":
                self._end(order, "expired")
        state = self.books.state
        state.last_equity = self.books.equity()
        state.equity_curve.append((self.books.now(), state.last_equity))

    # ------------------------------------------------------------------ replacing

    def replace(self, order: BookedOrder, body: Mapping[str, Any]) -> BookedOrder:
        """Take an order's replacement: a new order, with an id of its own.

        Raises:
            Refusal: the order cannot be replaced so.
        """
        if order.status not in ACTIVE | {"held"}:
            raise Refusal(422, BAD_FIELD, "only open orders can be replaced")
        if order.notional is not None:  # text is ours
            raise Refusal(422, BAD_RULE, "notional orders cannot be replaced")
        client_id = body.get("client_order_id") or self.books.new_id()
        if client_id in self.books.state.booked_ids:
            raise Refusal(422, BAD_FIELD, "client_order_id must be unique")
        limit, stop = figure(body, "limit_price"), figure(body, "stop_price")
        refuse_sub_penny("limit_price", limit)
        refuse_sub_penny("stop_price", stop)
        now = self.books.now()
        new = copied(
            order,
            id=self.books.new_id(),
            client_order_id=client_id,
            qty=figure(body, "qty") or order.remaining,
            limit_price=limit or order.limit_price,
            stop_price=stop or order.stop_price,
            time_in_force=body.get("time_in_force") or order.time_in_force,
            status="pending_new" if order.is_live else "held",
            created_at=now,
            updated_at=now,
            filled_qty=ZERO,
            filled_value=ZERO,
            leg_ids=[],
            replaces=order.id,
        )
        self._refuse_bigger(order, new)
        self.books.book(new)
        self._replacing[order.id] = new.id
        if self.holds_changes:
            new.status = "accepted"
            new.is_live = False  # until the old one is gone
            self.books.move(order, "pending_replace")
        else:
            self._replace(order, new)
            del self._replacing[order.id]
        return new

    def _refuse_bigger(self, old: BookedOrder, new: BookedOrder) -> None:
        """The replacement may take what its original already held, and what is free."""
        books, price, qty = self.books, self.books.price(old.symbol), new.qty or ZERO
        if not old.is_live and qty != old.remaining:  # text is ours
            raise Refusal(422, BAD_RULE, "the qty of a held leg cannot be replaced")
        if not old.is_live:
            return
        held = books.held(old.symbol)
        if held * old.sign < 0:
            reserved, related = books.closing(old.symbol, but=old)
            if qty > abs(held) - reserved:
                raise no_shares(old.symbol, qty, held, reserved, related)
            return
        before = old.remaining * (old.limit_price or old.stop_price or price or ZERO)
        after = qty * (new.limit_price or new.stop_price or price or ZERO)
        if after - before > books.buying_power():
            raise no_money(after, books.buying_power())

    def _replace(self, old: BookedOrder, new: BookedOrder) -> None:
        if not old.is_open:  # it filled first
            self.books.move(new, "rejected")
            return
        old.replaced_by = new.id
        self._hand_over(old, new)
        new.is_live = new.is_live or old.is_live
        self.books.move(old, "replaced")
        if new.is_live and self.is_open:
            self.books.move(new, "new")

    def _hand_over(self, old: BookedOrder, new: BookedOrder) -> None:
        """Give the new order the place of the old one in its group."""
        if old.parent_id is not None:
            ids = self.books.state.orders[old.parent_id].leg_ids
            ids[ids.index(old.id)] = new.id
        new.leg_ids, old.leg_ids = old.leg_ids, []
        for leg in self.books.legs(new):
            leg.parent_id = new.id
            if leg.is_open and not leg.is_live:
                leg.qty = new.qty


def meets(order: BookedOrder, price: Decimal) -> bool:
    """Return whether an order trades at a price; a stop that is met stays triggered."""
    if order.stop_price is not None and not order.triggered:
        order.triggered = (price - order.stop_price) * order.sign >= 0
        if not order.triggered:
            return False
    return order.limit_price is None or (order.limit_price - price) * order.sign >= 0


def _other(side: Side) -> Side:
    return "sell" if side == "buy" else "buy"
