"""The vendor's client: its classes and addresses are named here and nowhere else.

polygon-api-client accepts a read timeout and never uses it, retries within a second what is limited
by the minute, turns a body it cannot read into an empty list, and hides the status of a refusal.
So its pool is replaced by one that ends every exchange in time, sends once and keeps the status,
and bodies are read here, raw. Its vendor renamed itself and goes on with the client as `massive`:
same methods, same attributes; the imports and the addresses below are all that would change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import urllib3
from polygon import RESTClient as VendorClient  # type: ignore[import-untyped]  # ships no types
from polygon import WebSocketClient as VendorStream
from polygon.exceptions import AuthError  # type: ignore[import-untyped]  # ships no types

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.vendors.deadline_pools import SocketLimits, deadline_pools
from tools.data_fetcher.failures import BadKey, Incomplete, NotEntitled, RateLimited

NAME: Final = "Polygon"
VENDOR_URL: Final = "https://api.polygon.io"
VENDOR_STREAM: Final = "wss://socket.polygon.io"
KEY_REFUSED: Final = AuthError  # what a stream raises for a key that is not taken
KEY_VARIABLE: Final = "POLYGON_API_KEY"

_BELIEVED: Final = frozenset({"OK", "DELAYED"})  # a delayed plan says DELAYED of good data
_CONNECTIONS: Final = 4  # kept open
_SHOWN: Final = 160  # characters of a vendor's message that are repeated
Body = Mapping[str, Any]


class _RefusedCall(Exception):
    """An answer other than 200, on its way out of the vendor's client."""

    def __init__(self, status: int, retry_after_s: float | None, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body


class _Transport:
    """What the client takes for its pool: sends once, and never hides a status."""

    def __init__(self, pool: urllib3.PoolManager, limits: SocketLimits) -> None:
        self._pool = pool
        self._timeout = urllib3.Timeout(connect=limits.connect_s, read=limits.read_s)

    def request(
        self,
        method: str,
        url: str,
        **arguments: Any,  # noqa: ANN401 handed through
    ) -> urllib3.BaseHTTPResponse:
        response = self._pool.request(
            method, url, retries=False, timeout=self._timeout, **arguments
        )
        if response.status != 200:
            after = _seconds(response.headers.get("Retry-After"))
            raise _RefusedCall(response.status, after, response.data)
        return response


class PolygonClient:
    """One key at one address. Its calls block: they belong into a worker thread."""

    def __init__(
        self,
        key: Secret,
        *,
        base_url: str | None,
        limits: SocketLimits,
        monotonic: Callable[[], float],
    ) -> None:
        """Make the client; nothing is sent yet.

        Args:
            key: of the account.
            base_url: a checked address; None: the vendor's own.
            limits: of every exchange.
            monotonic: real seconds; called in worker threads.
        """
        self.url = base_url or VENDOR_URL
        self._key = key
        self._client = VendorClient(
            api_key=key.reveal(),
            base=self.url,
            retries=0,
            connect_timeout=limits.connect_s,
            read_timeout=limits.read_s,
        )
        pool: urllib3.PoolManager = self._client.client
        pool.connection_pool_kw["timeout"] = urllib3.Timeout(
            connect=limits.connect_s, read=limits.read_s
        )
        pool.connection_pool_kw["maxsize"] = _CONNECTIONS
        pool.pool_classes_by_scheme = deadline_pools(limits, monotonic)
        self._client.client = _Transport(pool, limits)

    def ask(self, call: Callable[[Any], Any], *, exact: bool = False) -> Body:
        """Return the body of one call, checked for the vendor's own signs of failure.

        Args:
            call: of a method of the vendor's client, with `raw=True`.
            exact: whether fractions become Decimal instead of float.

        Raises:
            BadKey, NotEntitled, RateLimited, Incomplete, BadInput: see `failures`.
            TryLater: the vendor is away.
        """
        try:
            reply = call(self._client)
            body = bytes(reply.data)
        except _RefusedCall as refused:
            self._explain(refused)
        except urllib3.exceptions.HTTPError as error:
            raise TryLater(f"{self._who} does not answer ({_cause(error)}); try again") from None
        return self._read(body, exact=exact)

    def follow(self, next_url: str, *, exact: bool = False) -> Body:
        """Return the page that a body's `next_url` names; only its path is used, never its host.

        Raises:
            as `ask`.
        """
        parts = urlsplit(next_url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if not path.startswith("/"):
            raise Incomplete(f"{self._who} names a next page without a path; try again")
        # The client's own paging swallows a broken page, so that it is called one level below.
        return self.ask(lambda client: client._get(path=path, params={}, raw=True), exact=exact)

    @property
    def _who(self) -> str:
        return f"{NAME} at {urlsplit(self.url).netloc}"

    def _read(self, body: bytes, *, exact: bool) -> Body:
        try:
            read = json.loads(
                body, parse_float=Decimal if exact else float, parse_constant=_no_number
            )
        except (ValueError, RecursionError):
            raise Incomplete(
                f"{self._who} sent {len(body)} bytes that are no whole answer; try again"
            ) from None
        if not isinstance(read, dict):
            raise Incomplete(f"{self._who} sent no record of fields; try again")
        status = read.get("status")
        if status == "NOT_AUTHORIZED":
            raise self._not_entitled(_message(read))
        if "status" in read and status not in _BELIEVED:
            raise Incomplete(
                f"{self._who} answered with status {str(status)[:_SHOWN]!r}"
                f" ({self._clean(_message(read))}); try again"
            )
        return read

    def _explain(self, refused: _RefusedCall) -> NoReturn:
        status = refused.status
        said = self._clean(_message_of(refused.body))
        if status == 401:
            raise BadKey(
                f"{self._who} does not know the key in {KEY_VARIABLE} ({said}); correct the key"
            )
        if status == 403:
            raise self._not_entitled(said)
        if status == 429:
            after = refused.retry_after_s
            when = "" if after is None else f" and wants {after:g} s of patience"
            raise RateLimited(
                f"{self._who} counts more calls a minute than the plan allows{when}; "
                "lower polygon.calls_per_minute, or let nothing else use this key",
                retry_after_s=after,
            )
        if status in (400, 404):
            raise BadInput(f"{self._who} knows nothing of that ({status}: {said}); correct it")
        raise TryLater(f"{self._who} answered {status} ({said}); try again")

    def _not_entitled(self, said: str) -> NotEntitled:
        return NotEntitled(
            f"{self._who}: the plan of this key does not include that "
            f"({self._clean(said)}); upgrade the plan or ask for less"
        )

    def _clean(self, text: str) -> str:
        """Return a vendor's words short, on one line and without our key."""
        return " ".join(text.replace(self._key.reveal(), "****").split())[:_SHOWN] or "no reason"


def vendor_stream(key: Secret, url: str, topics: Sequence[str]) -> Any:  # noqa: ANN401 no types
    """Return the vendor's client of one stream connection, which `connect` makes.

    Args:
        key: of the account.
        url: a checked address, without the market at its end.
        topics: to subscribe to, such as AM.SPY.
    """
    parts = urlsplit(url)
    return VendorStream(
        api_key=key.reveal(),
        feed=parts.netloc + parts.path.rstrip("/"),
        market="stocks",
        raw=True,
        secure=parts.scheme == "wss",
        subscriptions=list(topics),
        max_reconnects=0,  # one connection; coming back is our business
    )


def _message_of(body: bytes) -> str:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return _message(read) if isinstance(read, dict) else ""


def _message(read: Body) -> str:
    for name in ("message", "error"):
        if isinstance(read.get(name), str):
            return str(read[name])
    return ""


def _cause(error: Exception) -> str:
    """Return the kind of a transport's failure; its text may hold an address and is left out."""
    return {
        "ConnectTimeoutError": "no connection in time",
        "ReadTimeoutError": "no answer in time",
        "NewConnectionError": "connection refused",
        "NameResolutionError": "unknown host name",
        "SSLError": "no trusted certificate",
        "IncompleteRead": "the answer was cut off",
        "ProtocolError": "the connection broke",
    }.get(type(error).__name__, type(error).__name__)


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:  # a date is not read: clocks differ
        return None
    return value if value is not None and 0 <= value < float("inf") else None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
