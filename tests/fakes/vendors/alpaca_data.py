"""Alpaca's market data on the same port: bars, quotes, snapshots, news, corporate actions.

It serves what a test put in, and what can be said of the last price; it invents no history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tests.fakes.vendors.alpaca_bodies import Body, stamp
from tests.fakes.vendors.alpaca_books import Books
from tests.fakes.vendors.alpaca_values import Refusal
from tests.fakes.vendors.http_faults import Request, Response, json_response

MAX_ROWS: Final = 10_000
_SPREAD: Final = Decimal("0.01")  # USD, between bid and ask
_OLDEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST: Final = datetime(2999, 1, 1, tzinfo=UTC)


class DataRoutes:
    """Answers the market data paths."""

    def __init__(self, books: Books) -> None:
        self.bars: dict[tuple[str, str], list[Body]] = {}  # by symbol and timeframe, oldest first
        self.news: list[Body] = []  # newest first
        self.actions: dict[str, list[Body]] = {}  # "forward_splits" -> rows
        self._books = books

    def add_bars(self, symbol: str, timeframe: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows {"t": datetime, "o", "h", "l", "c", "v"}, oldest first; "1Min", "1Day"."""
        series = self.bars.setdefault((symbol, timeframe), [])
        for row in rows:
            at = row["t"] if isinstance(row["t"], str) else stamp(row["t"])
            figures = {name: float(row[name]) for name in "ohlc"}
            middle = (figures["h"] + figures["l"]) / 2
            series.append({"t": at, **figures, "v": int(row["v"]), "n": 1, "vw": middle})

    def answer(self, request: Request) -> Response | None:
        """Return the answer; None where the path is unknown."""
        match request.path:
            case "/v2/stocks/bars":
                return self._bars(request)
            case "/v2/stocks/bars/latest":
                return self._latest(request, "bars", self._latest_bar)
            case "/v2/stocks/quotes/latest":
                return self._latest(request, "quotes", self._quote)
            case "/v2/stocks/trades/latest":
                return self._latest(request, "trades", self._trade)
            case "/v2/stocks/snapshots":
                return json_response({s: self._snapshot(s) for s in self._known(request)})
            case "/v1beta1/news":
                return self._news(request)
            case "/v1/corporate-actions":
                return self._corporate_actions(request)
        return None

    def _known(self, request: Request) -> list[str]:
        wanted = request.query.get("symbols", "").split(",")
        return [symbol for symbol in wanted if self._books.price(symbol) is not None]

    def _bars(self, request: Request) -> Response:
        query = request.query
        limit = int(query.get("limit", "1000"))
        if not 1 <= limit <= MAX_ROWS:
            raise Refusal(422, None, "invalid limit, limit must be between 1 and 10000")
        first, last = _at(query, "start", _OLDEST), _at(query, "end", _NEWEST)
        rows = [
            (symbol, row)
            for symbol in query.get("symbols", "").split(",")
            for row in self._series(symbol, query)
            if first <= datetime.fromisoformat(row["t"].replace("Z", "+00:00")) <= last
        ]
        start = int(query.get("page_token") or 0)
        found: dict[str, list[Body]] = {}
        for symbol, row in rows[start : start + limit]:
            found.setdefault(symbol, []).append(row)
        token = str(start + limit) if start + limit < len(rows) else None
        return json_response({"bars": found, "next_page_token": token})

    def _series(self, symbol: str, query: Mapping[str, str]) -> list[Body]:
        rows = self.bars.get((symbol, query.get("timeframe", "1Min")), [])
        return rows[::-1] if query.get("sort") == "desc" else rows

    def _latest(self, request: Request, key: str, make: Any) -> Response:
        return json_response({key: {symbol: make(symbol) for symbol in self._known(request)}})

    def _latest_bar(self, symbol: str) -> Body:
        rows = self.bars.get((symbol, "1Min"))
        if rows:
            return rows[-1]
        price = float(self._books.price(symbol) or 0)
        at = self._books.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
        return {
            "t": stamp(at),
            "o": price,
            "h": price,
            "l": price,
            "c": price,
            "v": 100,
            "n": 1,
            "vw": price,
        }

    def _quote(self, symbol: str) -> Body:
        price = self._books.price(symbol) or Decimal(0)
        return {
            "t": stamp(self._books.now()),
            "ax": "V",
            "ap": float(price + _SPREAD),
            "as": 5,
            "bx": "V",
            "bp": float(price),
            "bs": 5,
            "c": ["R"],
            "z": "C",
        }

    def _trade(self, symbol: str) -> Body:
        return {
            "t": stamp(self._books.now()),
            "x": "V",
            "p": float(self._books.price(symbol) or 0),
            "s": 100,
            "c": ["@"],
            "i": 1,
            "z": "C",
        }

    def _snapshot(self, symbol: str) -> Body:
        days = self.bars.get((symbol, "1Day"), [])
        bar = self._latest_bar(symbol)
        return {
            "latestTrade": self._trade(symbol),
            "latestQuote": self._quote(symbol),
            "minuteBar": bar,
            "dailyBar": days[-1] if days else bar,
            "prevDailyBar": days[-2] if len(days) > 1 else bar,
        }

    def _news(self, request: Request) -> Response:
        query = request.query
        wanted = set(filter(None, query.get("symbols", "").split(",")))
        rows = [each for each in self.news if not wanted or wanted & set(each["symbols"])]
        start, limit = int(query.get("page_token") or 0), int(query.get("limit", "10"))
        token = str(start + limit) if start + limit < len(rows) else None
        return json_response({"news": rows[start : start + limit], "next_page_token": token})

    def _corporate_actions(self, request: Request) -> Response:
        query = request.query
        symbols = set(filter(None, query.get("symbols", "").split(",")))
        kinds = set(filter(None, query.get("types", "").split(",")))
        found = {
            name: rows
            for name, all_rows in self.actions.items()
            if not kinds or name.removesuffix("s") in kinds
            if (rows := [row for row in all_rows if not symbols or row["symbol"] in symbols])
        }
        return json_response({"corporate_actions": found, "next_page_token": None})


def _at(query: Mapping[str, str], name: str, default: datetime) -> datetime:
    raw = query.get(name)
    if not raw:
        return default
    at = datetime.fromisoformat(raw.replace(" ", "+").replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)
