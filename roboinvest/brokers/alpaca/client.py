"""The vendor's trading client with its dangerous habits taken off.

Out of the box it has no timeout, sends an order again after a 504 (one order became four), and
reads replies into closed enums that a new word breaks after the order was booked. Here its session
has deadlines, its own retries are off, and bodies come and go as plain JSON. This is the one place
where the client is built and the broker's addresses are named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from requests import Response
from requests.exceptions import RequestException

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.endpoints import checked_host
from roboinvest.runtime.vendors.requests_session import DeadlineAdapter, RateNote, mount

if TYPE_CHECKING:
    from alpaca.trading.client import TradingClient

PAPER_URL: Final = "https://paper-api.alpaca.markets"
LIVE_URL: Final = "https://api.alpaca.markets"
PAPER_STREAM_URL: Final = "wss://paper-api.alpaca.markets/stream"
LIVE_STREAM_URL: Final = "wss://api.alpaca.markets/stream"
_NEEDED: Final = ("_session", "_retry", "_retry_codes")  # private, so looked for by name


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaAccess:
    """Where the broker is and what it knows us by."""

    key_id: Secret
    secret_key: Secret
    live: bool = False  # whether the money is real
    base_url: str | None = None  # None: Alpaca's own, paper or live
    stream_url: str | None = None  # full, with its path; None: Alpaca's own
    loopback_only: bool = False

    def rest_address(self) -> str:
        """Return the checked address of the trading interface.

        Raises:
            BadSettings: it is malformed, or not allowed.
        """
        own = LIVE_URL if self.live else PAPER_URL
        return checked_host(self.base_url or own, loopback_only=self.loopback_only)

    def stream_address(self) -> str:
        """Return the checked address of the trade stream; raises as `rest_address` does."""
        own = LIVE_STREAM_URL if self.live else PAPER_STREAM_URL
        return checked_host(self.stream_url or own, loopback_only=self.loopback_only)

    def redactor(self) -> Redactor:
        """Return what cuts our keys out of any text."""
        return Redactor((self.key_id.reveal(), self.secret_key.reveal()))


class AlpacaClient:
    """Blocking calls of the trading interface, one request each; for worker threads."""

    def __init__(
        self,
        access: AlpacaAccess,
        *,
        limits: SocketLimits,
        monotonic: Callable[[], float],
        on_note: Callable[[RateNote], None],
    ) -> None:
        """Build the client; nothing is sent.

        Args:
            access: where, and as whom.
            limits: of every exchange.
            monotonic: real seconds; called in worker threads.
            on_note: what each reply said about limits; called in worker threads.

        Raises:
            BadSettings: the address is wrong, or the client is another than the one we know.
        """
        url = access.rest_address()
        self._client = _vendors_class()(
            api_key=access.key_id.reveal(),
            secret_key=access.secret_key.reveal(),
            paper=not access.live,
            raw_data=True,
            url_override=url,
        )
        missing = [name for name in _NEEDED if not hasattr(self._client, name)]
        if missing:
            raise BadSettings(
                f"this alpaca-py has no {', '.join(missing)}, so its retries cannot be turned off; "
                "install the version of the lock file"
            )
        self._client._retry = 0
        self._client._retry_codes = []
        session = self._client._session
        mount(session, DeadlineAdapter(limits, monotonic=monotonic, on_note=on_note), url)
        session.hooks["response"].append(_refuse_redirect)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 JSON
        """Return the body of GET /v2<path>, read as JSON; None where it is empty."""
        return self._client.get(path, dict(params or {}))

    def post(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 JSON
        """Return the body of POST /v2<path>, read as JSON; None where it is empty."""
        return self._client.post(path, dict(body))

    def delete(self, path: str) -> Any:  # noqa: ANN401 JSON
        """Return the body of DELETE /v2<path>, read as JSON; None where it is empty."""
        return self._client.delete(path)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client._session.close()


def _vendors_class() -> type[TradingClient]:
    """Return the vendor's class, imported when it is needed.

    The import costs 0.3 s and 90 MB, which a daemon on paper saves, and warns of the deprecated
    websockets module under a stream class that we do not use.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
        from alpaca.trading.client import TradingClient
    return TradingClient


def in_path(text: str) -> str:
    """Return a name as one part of a path."""
    return quote(text, safe="")


def _refuse_redirect(response: Response, **_kwargs: object) -> None:
    """Raise for a redirect: the client would take its body for the answer."""
    if 300 <= response.status_code < 400:
        response.close()  # nobody will read it
        raise RequestException(f"redirected with status {response.status_code}")
