"""A data vendor on loopback: REST and stream with books of its own, and faults on request.

It lives in a thread with its own loop, so that whatever a test does to its loop the vendor goes on.
Everything that touches its state goes through the methods here, from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from roboinvest.core.market.rows import RawRows
from roboinvest.runtime.clock import SystemClock
from tests.fakes.vendors.http_faults import (
    Fault,
    FaultKind,
    FaultPlan,
    Request,
    Response,
    RollingLimit,
    json_response,
)
from tests.fakes.vendors.http_server import HttpServer
from tests.fakes.vendors.loop_thread import LoopThread
from tests.fakes.vendors.polygon_books import PolygonBooks, aggregates_of
from tests.fakes.vendors.polygon_routes import PolygonRoutes
from tests.fakes.vendors.polygon_stream import PolygonStream, StreamManner

KEY = "loopback-polygon-key"
AGGREGATES = "/v2/aggs/ticker/"
TOO_MANY = {
    "status": "ERROR",
    "request_id": "0" * 32,
    "error": "You've exceeded the maximum requests per minute, please wait or upgrade your "
    "subscription to continue.",
}
NOT_ENTITLED = {
    "status": "NOT_AUTHORIZED",
    "request_id": "0" * 32,
    "message": "You are not entitled to this data. Please upgrade your plan.",
}
UNKNOWN_KEY = {"status": "ERROR", "request_id": "0" * 32, "error": "Unknown API Key"}
T = TypeVar("T")


class PolygonServer:
    """The vendor; use it with `with`."""

    def __init__(
        self,
        *,
        key: str = KEY,
        calls_per_minute: int | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Take the key that is known, the plan's limit, and the vendor's clock."""
        self.key = key
        self.clock_off_by = timedelta(0)  # how wrong the vendor's clock is
        self._clock = now or SystemClock().now
        self._thread = LoopThread("polygon-server")
        self._limit = RollingLimit(calls_per_minute) if calls_per_minute else None
        self._faults = FaultPlan()
        self._books = PolygonBooks()
        self._routes = PolygonRoutes(self._books, self._now)
        self._http = HttpServer(self._handle, now=self._now, faults=self._faults)
        self._stream = PolygonStream(key)

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.run(self._http.start())
        self._thread.run(self._stream.start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.call(self._http.stop)
        self._thread.run(self._stream.stop())
        self._thread.stop()

    def go_down(self) -> None:
        """Close the ports and break all connections, and keep the books."""
        self._thread.call(self._http.stop)
        self._thread.run(self._stream.stop())

    def come_back(self) -> None:
        """Open the ports again, at the same numbers."""
        self._thread.run(self._http.start())
        self._thread.run(self._stream.start())

    @property
    def url(self) -> str:
        """Return the address for `polygon.base_url`."""
        return self._http.url

    @property
    def stream_url(self) -> str:
        """Return the address for `polygon.stream_url`."""
        return self._stream.url

    @property
    def requests(self) -> list[Request]:
        """Return every request that arrived, oldest first."""
        return self._thread.call(lambda: list(self._http.requests))

    @property
    def most_a_minute(self) -> int:
        """Return the most requests that were admitted within a rolling minute."""
        return self._thread.call(lambda: self._limit.most if self._limit else 0)

    def asked_for(self, part: str) -> list[Request]:
        """Return the requests with `part` in their path."""
        return [request for request in self.requests if part in request.path]

    def fill(self, change: Callable[[PolygonBooks], T]) -> T:
        """Change the books."""
        return self._thread.call(change, self._books)

    def add_bars(self, symbol: str, rows: RawRows) -> None:
        """Put minute bars into the books; nobody is told."""
        self.fill(lambda books: books.add(symbol, rows))

    def keep_bars(self, symbol: str, count: int) -> None:
        """Forget all but the first `count` minutes of a symbol, as if it were earlier."""
        self.fill(lambda books: books.minutes.update({symbol: books.minutes[symbol][:count]}))

    def add_news(self, item_id: str, at: datetime, symbols: Sequence[str], title: str) -> None:
        """Put a headline into the books."""
        self.fill(lambda books: books.add_news(item_id, at, symbols, title))

    def behave(self, **manners: Any) -> None:
        """Set attributes of the routes: page_rows, endless, stale_by, market, status."""

        def change() -> None:
            for name, value in manners.items():
                if not hasattr(self._routes, name):
                    raise AttributeError(name)
                setattr(self._routes, name, value)

        self._thread.call(change)

    def plant(self, *faults: Fault) -> None:
        """Plant faults of single answers."""
        self._thread.call(self._faults.add, *faults)

    def forget_requests(self) -> None:
        """Begin the list of requests anew."""
        self._thread.call(self._http.requests.clear)

    def heal(self) -> None:
        """Take all planted faults away."""
        self._thread.call(self._faults.clear)

    def stream_manner(self, manner: StreamManner) -> None:
        """Change how the stream treats connections from now on."""
        self._thread.call(setattr, self._stream, "manner", manner)

    def push(self, symbol: str, rows: RawRows) -> int:
        """Add minute bars and send them over the stream; return to how many connections."""
        self.add_bars(symbol, rows)
        return self._thread.run(self._stream.push(symbol, aggregates_of(rows)))

    def send_text(self, topics: Iterable[str], text: str) -> int:
        """Send any text over the stream."""
        return self._thread.run(self._stream.send(list(topics), text))

    def close_stream(self, code: int = 1000) -> None:
        """Close every stream connection with a code."""
        self._thread.run(self._stream.close_all(code))

    def break_stream(self) -> None:
        """Break every stream connection."""
        self._thread.call(self._stream.abort_all)

    @property
    def stream_connections(self) -> int:
        """Return how often somebody connected to the stream."""
        return self._thread.call(lambda: self._stream.connections)

    @property
    def stream_subscribed(self) -> int:
        """Return how many connections take bars now."""
        return self._thread.call(lambda: self._stream.subscribed)

    def _now(self) -> datetime:
        return self._clock() + self.clock_off_by

    def _handle(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return json_response(UNKNOWN_KEY, 401)
        if self._limit is not None and not self._limit.admit(request.at.timestamp()):
            return json_response(TOO_MANY, 429)
        return self._routes.answer(request)


def too_many(*, retry_after: str | None = None, count: int | None = 1, path: str = ".*") -> Fault:
    """Return a 429, with or without Retry-After."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault(
        kind=FaultKind.STATUS, status=429, body=TOO_MANY, headers=headers, count=count, path=path
    )


def not_entitled(*, status: int = 200, count: int | None = 1, path: str = ".*") -> Fault:
    """Return the answer to a question above the plan; the vendor also says it with 200."""
    return Fault(kind=FaultKind.STATUS, status=status, body=NOT_ENTITLED, count=count, path=path)


def empty(*, count: int | None = 1, path: str = AGGREGATES) -> Fault:
    """Return a good-looking answer with nothing in it."""
    body = {"status": "OK", "request_id": "0" * 32, "queryCount": 0, "resultsCount": 0}
    return Fault(kind=FaultKind.STATUS, status=200, body=body, count=count, path=path)


def broken_page(number: int, *, at_byte: int = 200) -> Fault:
    """Return the fault that cuts page `number` (from 1) of aggregates short."""
    return Fault(kind=FaultKind.TRUNCATED, path=AGGREGATES, skip=number - 1, at_byte=at_byte)
