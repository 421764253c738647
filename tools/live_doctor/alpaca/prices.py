"""The vendor's client of prices, with its retries off and deadlines on, as its trading client has.

Nothing in the house trades by these prices; the doctor asks for one because keys that may trade
are not always entitled to data, and the address is a setting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.requests_session import DeadlineAdapter, RateNote, mount

DATA_URL: Final = "https://data.alpaca.markets"


class PriceClient:
    """One blocking call; for a worker thread."""

    def __init__(
        self,
        access: AlpacaAccess,
        url: str | None,
        *,
        limits: SocketLimits,
        monotonic: Callable[[], float],
        on_note: Callable[[RateNote], None],
    ) -> None:
        """Prepare the client; nothing is sent.

        Args:
            access: as whom.
            url: checked address of the data interface; None: nothing may be asked.
            limits: of every exchange.
            monotonic: real seconds; called in worker threads.
            on_note: what each reply said about limits; called in worker threads.
        """
        self._client: Any = None
        if url is None:
            return
        from alpaca.data.historical.stock import StockHistoricalDataClient  # 0.1 s, where needed

        self._client = StockHistoricalDataClient(
            api_key=access.key_id.reveal(),
            secret_key=access.secret_key.reveal(),
            raw_data=True,
            url_override=url,
        )
        self._client._retry = 0
        self._client._retry_codes = []
        adapter = DeadlineAdapter(limits, monotonic=monotonic, on_note=on_note)
        mount(self._client._session, adapter, url)

    def latest_bars(self, symbol: str) -> Any:  # noqa: ANN401 JSON
        """Return the body of the question for a symbol's newest minute, of the best feed we have.

        Raises:
            the failures of a call: see `brokers.alpaca.errors`.
        """
        return self._client.get("/stocks/bars/latest", {"symbols": symbol})

    def close(self) -> None:
        """Close the connections that are kept open."""
        if self._client is not None:
            self._client._session.close()
