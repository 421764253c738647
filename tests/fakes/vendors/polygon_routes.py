"""The paths of the loopback data vendor, each answered out of its books."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from roboinvest.core.market.rows import day_start_ns
from tests.fakes.vendors.http_faults import Request, Response, json_response
from tests.fakes.vendors.polygon_books import PolygonBooks, matching

VENDOR = "https://api.polygon.io"  # the host in a next_url, as the vendor writes it
_NEW_YORK = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)
_UPCOMING = (
    {"date": "2026-11-26", "exchange": "NYSE", "name": "Thanksgiving", "status": "closed"},
    {
        "close": "2026-11-27T18:00:00.000Z",
        "date": "2026-11-27",
        "exchange": "NYSE",
        "name": "Thanksgiving",
        "open": "2026-11-27T14:30:00.000Z",
        "status": "early-close",
    },
)


class PolygonRoutes:
    """Answers good requests; who may ask, and what goes wrong, is the server's business."""

    def __init__(self, books: PolygonBooks, now: Callable[[], datetime]) -> None:
        self.books = books
        self.page_rows: int | None = None  # the most rows of a page, whatever was asked for
        self.endless = False  # every page names a next one
        self.stale_by = timedelta(0)  # aggregates are those of so much earlier
        self.market = "open"
        self.status = "OK"
        self._now = now
        self._routes: Sequence[tuple[str, Callable[..., Response]]] = (
            (r"/v2/aggs/ticker/([^/]+)/range/(\d+)/(\w+)/([^/]+)/([^/]+)", self._range),
            (r"/v2/aggs/ticker/([^/]+)/prev", self._previous),
            (r"/v2/last/trade/([^/]+)", self._last_trade),
            (r"/v2/snapshot/locale/us/markets/stocks/tickers", self._snapshots),
            (r"/v2/snapshot/locale/us/markets/stocks/tickers/([^/]+)", self._snapshot),
            (r"/v1/marketstatus/now", self._status),
            (r"/v1/marketstatus/upcoming", self._upcoming),
            (r"/v2/reference/news", self._news),
            (r"/v3/reference/splits", self._splits),
            (r"/v3/reference/dividends", self._dividends),
            (r"/v3/reference/tickers", self._tickers),
            (r"/v3/reference/tickers/([^/]+)", self._ticker),
        )

    def answer(self, request: Request) -> Response:
        """Return what the vendor answers."""
        for pattern, route in self._routes:
            if found := re.fullmatch(pattern, request.path):
                return route(request, *found.groups())
        return json_response(self._body({"message": "Page not found"}, "NOT_FOUND"), 404)

    def _body(self, more: Mapping[str, Any], status: str | None = None) -> dict[str, Any]:
        return {**more, "status": status or self.status, "request_id": "0" * 32}

    def _range(
        self, request: Request, symbol: str, multiplier: str, unit: str, first: str, last: str
    ) -> Response:
        start_ms, end_ms = _from_ms(first), _to_ms(last)
        late_ms = int(self.stale_by.total_seconds() * 1000)
        rows = self.books.aggregates(
            symbol, int(multiplier), unit, start_ms - late_ms, end_ms - late_ms
        )
        limit = int(request.query.get("limit", "5000"))
        page, more = self._page(rows, request, limit)
        body: dict[str, Any] = {
            "ticker": symbol,
            "queryCount": len(page),
            "resultsCount": len(page),
            "adjusted": _asked(request).get("adjusted", "true") == "true",
            "results": page,
            "count": len(page),
        }
        if not page:
            del body["results"]  # the vendor leaves it out
        return json_response(self._body({**body, **more}))

    def _page(
        self, rows: Sequence[Any], request: Request, limit: int
    ) -> tuple[Sequence[Any], dict[str, str]]:
        """Return one page of rows, and the next_url where there is a next one."""
        asked = _read_cursor(request.query.get("cursor"))
        start = asked.get("start", 0)
        limit = asked.get("limit", limit)
        if self.page_rows is not None:
            limit = min(limit, self.page_rows)
        page = rows[start : start + limit]
        if start + limit >= len(rows) and not self.endless:
            return page, {}
        query = {**asked.get("query", dict(request.query)), "cursor": None}
        following = 0 if self.endless else start + limit
        token = _cursor({"start": following, "limit": limit, "query": query, "n": start + 1})
        return page, {"next_url": f"{VENDOR}{request.path}?cursor={token}"}

    def _previous(self, request: Request, symbol: str) -> Response:
        today = self._now().astimezone(_NEW_YORK).date()
        days = self.books.aggregates(symbol, 1, "day", 0, _from_ms(str(today)))
        results = [{"T": symbol, **days[-1]}] if days else []
        body = {
            "ticker": symbol,
            "queryCount": len(results),
            "resultsCount": len(results),
            "adjusted": _asked(request).get("adjusted", "true") == "true",
            "results": results,
            "count": len(results),
        }
        return json_response(self._body(body))

    def _last_trade(self, _: Request, symbol: str) -> Response:
        rows = self.books.minutes.get(symbol)
        if not rows:
            return json_response(self._body({"message": "No last trade found."}, "NOT_FOUND"), 404)
        at = (rows[-1]["t"] + 59_999) * 1_000_000
        trade = {"T": symbol, "c": [37], "f": at, "i": "1", "p": rows[-1]["c"], "q": 1, "r": 202}
        more = {"s": 25, "t": at, "x": 4, "y": at, "z": 3}
        return json_response(self._body({"results": {**trade, **more}}))

    def _snapshots(self, request: Request) -> Response:
        asked = [each for each in request.query.get("tickers", "").split(",") if each]
        found = [s for s in asked or self.books.minutes if self.books.minutes.get(s)]
        tickers = [self._ticker_now(symbol) for symbol in found]
        return json_response(self._body({"count": len(tickers), "tickers": tickers}))

    def _snapshot(self, _: Request, symbol: str) -> Response:
        if not self.books.minutes.get(symbol):
            return json_response(self._body({"message": "Ticker not found."}, "NotFound"), 404)
        return json_response(self._body({"ticker": self._ticker_now(symbol)}))

    def _ticker_now(self, symbol: str) -> dict[str, Any]:
        days = self.books.aggregates(symbol, 1, "day", 0, 1 << 60)
        newest = self.books.minutes[symbol][-1]
        at = (newest["t"] + 59_999) * 1_000_000
        return {
            "ticker": symbol,
            "day": days[-1],
            "prevDay": days[-2] if len(days) > 1 else {"c": 0, "o": 0, "h": 0, "l": 0, "v": 0},
            "min": {**newest, "av": days[-1]["v"]},
            "lastTrade": {"c": [14], "i": "1", "p": newest["c"], "s": 10, "t": at, "x": 4},
            "lastQuote": {
                "P": newest["c"] + 0.01,
                "S": 4,
                "p": newest["c"] - 0.01,
                "s": 8,
                "t": at,
            },
            "todaysChange": 0,
            "todaysChangePerc": 0,
            "updated": at,
        }

    def _status(self, _: Request) -> Response:
        body = {
            "market": self.market,
            "earlyHours": False,
            "afterHours": self.market == "extended-hours",
            "serverTime": self._now().astimezone(_NEW_YORK).isoformat(timespec="seconds"),
            "exchanges": {"nyse": self.market, "nasdaq": self.market, "otc": "closed"},
            "currencies": {"fx": "open", "crypto": "open"},
        }
        return json_response(body)

    def _upcoming(self, _: Request) -> Response:
        return json_response(list(_UPCOMING))

    def _news(self, request: Request) -> Response:
        query = _asked(request)
        wanted = {**query, "tickers": query["ticker"]} if "ticker" in query else query
        rows = matching(self.books.news, wanted, ("tickers", "published_utc"))
        return self._listed(sorted(rows, key=lambda row: row["published_utc"]), request)

    def _splits(self, request: Request) -> Response:
        rows = matching(self.books.splits, _asked(request), ("ticker", "execution_date"))
        return self._listed(rows, request)

    def _dividends(self, request: Request) -> Response:
        rows = matching(self.books.dividends, _asked(request), ("ticker", "ex_dividend_date"))
        return self._listed(rows, request)

    def _tickers(self, request: Request) -> Response:
        rows = [_about(symbol) for symbol in sorted(self.books.minutes)]
        return self._listed(matching(rows, _asked(request), ("ticker",)), request)

    def _ticker(self, _: Request, symbol: str) -> Response:
        if symbol not in self.books.minutes:
            return json_response(self._body({"message": "Ticker not found."}, "NOT_FOUND"), 404)
        return json_response(self._body({"results": _about(symbol)}))

    def _listed(self, rows: Sequence[Any], request: Request) -> Response:
        page, more = self._page(rows, request, int(request.query.get("limit", "10")))
        return json_response(self._body({"results": list(page), "count": len(page), **more}))


def _about(symbol: str) -> dict[str, Any]:
    return {
        "ticker": symbol,
        "name": f"{symbol} Inc.",
        "market": "stocks",
        "locale": "us",
        "primary_exchange": "XNYS",
        "type": "CS",
        "active": True,
        "currency_name": "usd",
    }


def _asked(request: Request) -> Mapping[str, str]:
    """Return the query of the first page, whichever page this is."""
    query: Mapping[str, str] = _read_cursor(request.query.get("cursor")).get("query", request.query)
    return query


def _cursor(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _read_cursor(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return read


def _from_ms(text: str) -> int:
    if text.isdigit():
        return int(text)
    return day_start_ns(date.fromisoformat(text)) // 1_000_000


def _to_ms(text: str) -> int:
    if text.isdigit():
        return int(text) + 1
    return day_start_ns(date.fromisoformat(text) + _DAY) // 1_000_000


def utc(text: str) -> datetime:
    """Return an ISO text as an aware UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
