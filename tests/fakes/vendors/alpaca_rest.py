"""Alpaca's trading endpoints: from a request to the books and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from roboinvest.core.market.sessions import Session
from tests.fakes.vendors.alpaca_bodies import Body, activity_body, asset_body
from tests.fakes.vendors.alpaca_exchange import Exchange
from tests.fakes.vendors.alpaca_values import BookedOrder, Refusal, Trade
from tests.fakes.vendors.http_faults import Request, Response, json_response
from tools.calendar import ExchangeCalendar

NEW_YORK: Final = ZoneInfo("America/New_York")
MAX_ORDERS: Final = 500
MAX_ACTIVITIES: Final = 100
_OLDEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST: Final = datetime(2999, 1, 1, tzinfo=UTC)
Answer = Callable[[Request, str], Response]


class TradingRoutes:
    """Answers under /v2; `answer` is None for what is not of this kind."""

    def __init__(self, exchange: Exchange, calendar: ExchangeCalendar) -> None:
        self.announcements: list[Body] = []
        self._exchange = exchange
        self._books = exchange.books
        self._calendar = calendar
        self._routes: Sequence[tuple[str, str, Answer]] = (
            ("GET", r"/v2/account", self._account),
            ("GET", r"/v2/clock", self._clock),
            ("GET", r"/v2/calendar", self._days),
            ("GET", r"/v2/assets", self._assets),
            ("GET", r"/v2/assets/([^/]+)", self._asset),
            ("POST", r"/v2/orders", self._submit),
            ("GET", r"/v2/orders", self._orders),
            ("DELETE", r"/v2/orders", self._cancel_all),
            ("GET", r"/v2/orders:by_client_order_id", self._by_client_id),
            ("GET", r"/v2/orders/([^/]+)", self._order),
            ("PATCH", r"/v2/orders/([^/]+)", self._replace),
            ("DELETE", r"/v2/orders/([^/]+)", self._cancel),
            ("GET", r"/v2/positions", self._positions),
            ("DELETE", r"/v2/positions", self._close_all),
            ("GET", r"/v2/positions/([^/]+)", self._position),
            ("DELETE", r"/v2/positions/([^/]+)", self._close),
            ("GET", r"/v2/account/activities(?:/([^/]+))?", self._activities),
            ("GET", r"/v2/account/portfolio/history", self._history),
            ("GET", r"/v2/corporate_actions/announcements", self._announced),
        )

    def answer(self, request: Request) -> Response | None:
        """Return the answer, errors included; None where the path is unknown."""
        for method, path, route in self._routes:
            found = re.fullmatch(path, request.path)
            if found is not None and method == request.method:
                return route(request, found[1] or "" if found.groups() else "")
        return None

    # ------------------------------------------------------------------ account and market

    def _account(self, request: Request, _: str) -> Response:
        return json_response(self._books.account_body())

    def _clock(self, request: Request, _: str) -> Response:
        now = self._books.now()
        today = now.date()
        around = self._calendar.sessions(today - timedelta(days=1), today + timedelta(days=14))
        opens = next(each.opens_at for each in around if each.opens_at > now)
        closes = next(each.closes_at for each in around if each.closes_at > now)
        return json_response(
            {
                "timestamp": now.astimezone(NEW_YORK).isoformat(),
                "is_open": self._exchange.is_open,
                "next_open": opens.astimezone(NEW_YORK).isoformat(),
                "next_close": closes.astimezone(NEW_YORK).isoformat(),
            }
        )

    def _days(self, request: Request, _: str) -> Response:
        today = self._books.now().date()
        first = date.fromisoformat(request.query.get("start", today.isoformat())[:10])
        last = date.fromisoformat(request.query.get("end", today.isoformat())[:10])
        return json_response([_day_body(each) for each in self._calendar.sessions(first, last)])

    def _assets(self, request: Request, _: str) -> Response:
        wanted = request.query.get("status")
        found = self._books.state.assets.values()
        return json_response([asset_body(each) for each in found if wanted in {None, each.status}])

    def _asset(self, request: Request, symbol: str) -> Response:
        return json_response(asset_body(self._books.asset(symbol)))

    # ------------------------------------------------------------------ orders

    def _submit(self, request: Request, _: str) -> Response:
        order = self._exchange.place(request.parsed)
        answer = json_response(self._books.body(order, nested=True))
        self._exchange.run(order.symbol)
        return answer

    def _orders(self, request: Request, _: str) -> Response:
        query, now = request.query, self._books.now()
        limit = int(query.get("limit", "50"))
        if not 1 <= limit <= MAX_ORDERS:  # text is ours
            raise Refusal(422, 40010001, f"limit must be between 1 and {MAX_ORDERS}")
        is_nested = query.get("nested", "").lower() == "true"
        found = [order for order in self._books.state.orders.values() if order.visible_at <= now]
        found = [order for order in found if _meets(order, query)]
        if is_nested:
            ids = {order.id for order in found}
            found = [order for order in found if order.parent_id not in ids]
        found = _between_ids(found, query)
        if query.get("direction", "desc") == "desc":
            found.reverse()
        return json_response([self._books.body(each, nested=is_nested) for each in found[:limit]])

    def _order(self, request: Request, order_id: str) -> Response:
        is_nested = request.query.get("nested", "").lower() == "true"
        return json_response(self._books.body(self._visible(order_id), nested=is_nested))

    def _by_client_id(self, request: Request, _: str) -> Response:
        wanted = request.query.get("client_order_id", "")
        ids = self._books.state.booked_ids.get(wanted)
        if not ids:
            raise Refusal(404, 40410000, f"order not found for {wanted}")
        return json_response(self._books.body(self._visible(ids[0], wanted)))

    def _visible(self, order_id: str, named: str = "") -> BookedOrder:
        order = self._books.state.orders.get(order_id)
        if order is None or order.visible_at > self._books.now():
            raise Refusal(404, 40410000, f"order not found for {named or order_id}")
        return order

    def _replace(self, request: Request, order_id: str) -> Response:
        new = self._exchange.replace(self._visible(order_id), request.parsed or {})
        answer = json_response(self._books.body(new))
        self._exchange.run(new.symbol)
        return answer

    def _cancel(self, request: Request, order_id: str) -> Response:
        self._exchange.cancel(self._visible(order_id))
        return Response(status=204)

    def _cancel_all(self, request: Request, _: str) -> Response:
        return json_response(self._cancel_open(), 207)

    def _cancel_open(self) -> list[Body]:
        done: list[Body] = []
        for order in self._books.open_orders():
            if order.is_open:  # it may have ended with its group
                self._exchange.cancel(order)
            done.append({"id": order.id, "status": 200, "body": self._books.body(order)})
        return done

    # ------------------------------------------------------------------ positions

    def _positions(self, request: Request, _: str) -> Response:
        return json_response([self._books.position(each) for each in self._books.state.holdings])

    def _position(self, request: Request, symbol: str) -> Response:
        return json_response(self._books.position(symbol))

    def _close(self, request: Request, symbol: str) -> Response:
        order = self._close_one(symbol, request.query)
        answer = json_response(self._books.body(order))
        self._exchange.run(order.symbol)
        return answer

    def _close_one(self, symbol: str, query: Any) -> BookedOrder:
        held = Decimal(self._books.position(symbol)["qty"])
        qty = abs(held)
        if "qty" in query:
            qty = Decimal(query["qty"])
        elif "percentage" in query:
            qty = (qty * Decimal(query["percentage"]) / 100).quantize(Decimal("1E-9"))
        return self._exchange.place(
            {
                "symbol": self._books.asset(symbol).symbol,
                "qty": f"{qty:f}",
                "side": "sell" if held > 0 else "buy",
                "type": "market",
                "time_in_force": "day",
            }
        )

    def _close_all(self, request: Request, _: str) -> Response:
        if request.query.get("cancel_orders", "").lower() == "true":
            self._cancel_open()
        done: list[Body] = []
        for symbol in tuple(self._books.state.holdings):
            try:
                order = self._close_one(symbol, {})
            except Refusal as refusal:
                done.append({"symbol": symbol, "status": refusal.status, "body": refusal.body})
            else:
                done.append({"symbol": symbol, "status": 200, "body": self._books.body(order)})
        answer = json_response(done, 207)
        self._exchange.run()
        return answer

    # ------------------------------------------------------------------ history

    def _activities(self, request: Request, kind: str) -> Response:
        query = request.query
        kinds = {kind} if kind else set(filter(None, query.get("activity_types", "").split(",")))
        if kinds and "FILL" not in kinds:
            return json_response([])
        size = int(query.get("page_size", str(MAX_ACTIVITIES)))
        if not 1 <= size <= MAX_ACTIVITIES:  # text is ours
            raise Refusal(422, 40010001, f"page_size must be between 1 and {MAX_ACTIVITIES}")
        after, until = _instant(query, "after", _OLDEST), _instant(query, "until", _NEWEST)
        trades = [each for each in self._books.state.trades if after < each.at < until]
        if "date" in query:
            trades = [each for each in trades if each.at.date().isoformat() == query["date"][:10]]
        if query.get("direction", "desc") == "desc":
            trades.reverse()
        page = _after_token(trades, query.get("page_token"))[:size]
        return json_response([activity_body(each) for each in page])

    def _history(self, request: Request, _: str) -> Response:
        curve = [*self._books.state.equity_curve, (self._books.now(), self._books.equity())]
        base = float(curve[0][1])
        equity = [float(value) for _, value in curve]
        return json_response(
            {
                "timestamp": [int(at.timestamp()) for at, _ in curve],
                "equity": equity,
                "profit_loss": [value - base for value in equity],
                "profit_loss_pct": [value / base - 1 if base else None for value in equity],
                "base_value": base,
                "timeframe": request.query.get("timeframe", "1D"),
            }
        )

    def _announced(self, request: Request, _: str) -> Response:
        kinds = set(request.query.get("ca_types", "").lower().split(","))
        wanted = request.query.get("symbol")
        return json_response(
            [
                each
                for each in self.announcements
                if each["ca_type"] in kinds and wanted in {None, each["initiating_symbol"]}
            ]
        )


def _day_body(session: Session) -> Body:
    return {
        "date": session.day.isoformat(),
        "open": f"{session.opens_at.astimezone(NEW_YORK):%H:%M}",
        "close": f"{session.closes_at.astimezone(NEW_YORK):%H:%M}",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": session.day.isoformat(),
    }


def _instant(query: Any, name: str, default: datetime) -> datetime:
    raw = query.get(name)
    if not raw:
        return default
    try:
        at = datetime.fromisoformat(raw.replace(" ", "+").replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(422, 40010001, f"failed to parse {name}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _meets(order: BookedOrder, query: Any) -> bool:
    wanted = query.get("status", "open")
    if wanted != "all" and order.is_open != (wanted == "open"):
        return False
    symbols = query.get("symbols")
    if symbols and order.symbol not in symbols.split(","):
        return False
    if query.get("side", order.side) != order.side:
        return False
    after, until = _instant(query, "after", _OLDEST), _instant(query, "until", _NEWEST)
    return after < order.created_at < until


def _between_ids(orders: list[BookedOrder], query: Any) -> list[BookedOrder]:
    """Return what lies behind `after_order_id` or before `before_order_id`; oldest first."""
    ids = [order.id for order in orders]
    if query.get("after_order_id") in ids:
        orders = orders[ids.index(query["after_order_id"]) + 1 :]
    if query.get("before_order_id") in ids:
        orders = orders[: ids.index(query["before_order_id"])]
    return orders


def _after_token(trades: list[Trade], token: str | None) -> list[Trade]:
    ids = [each.activity_id for each in trades]
    if not token:
        return trades
    if token not in ids:
        raise Refusal(422, 40010001, "invalid page_token")  # text is ours
    return trades[ids.index(token) + 1 :]
