"""The data vendor as the settings name it: client, allowance, threads, and the store in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.endpoints import checked_host
from roboinvest.runtime.vendors.rate_limiter import RateLimiter
from tools.bars.store import BarStore
from tools.calendar import ExchangeCalendar
from tools.data_fetcher.bar_cache import BarCache
from tools.data_fetcher.polygon.client import KEY_VARIABLE, NAME, VENDOR_URL, PolygonClient
from tools.data_fetcher.polygon.fetcher import Patience, PolygonFetcher

_THREADS: Final = 3  # a stalled answer must not hold up the next question
_SOCKETS: Final = SocketLimits(connect_s=5.0, read_s=20.0, total_s=45.0)  # a page can be 6 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDesk:
    """Everything that asks the data vendor, behind one allowance."""

    fetcher: PolygonFetcher
    limiter: RateLimiter
    cache: BarCache
    url: str  # where the questions go
    close: Callable[[], None]  # take no more questions


def open_desk(
    settings: Settings,
    secrets: Secrets,
    *,
    bars: Path,
    calendar: ExchangeCalendar,
    clock: Clock,
    in_flight: InFlight,
    patience: Patience | None = None,
) -> DataDesk:
    """Return the vendor's desk; nothing is asked yet.

    Args:
        settings: `polygon.*` and `testing.loopback_only` are used.
        secrets: hold the vendor's key.
        bars: folder of the store.
        calendar: tells which sessions an answer must hold.
        clock: its `monotonic` is called in worker threads.
        in_flight: counts the calls under way.
        patience: how long a call may take.

    Raises:
        BadSettings: there is no key, or the address must not be used.
    """
    key = secrets.polygon_api_key
    if key is None:
        raise BadSettings(
            f"{NAME} wants a key and {KEY_VARIABLE} is not set; "
            f"set it, or {KEY_VARIABLE}_FILE to a file that holds it"
        )
    url = checked_host(
        settings.polygon.base_url or VENDOR_URL,
        loopback_only=settings.testing.loopback_only == "on",
    )
    limiter = RateLimiter(settings.polygon.calls_per_minute)
    calls = VendorCalls(NAME, threads=_THREADS, limiter=limiter, in_flight=in_flight)
    disk = VendorCalls("bar store", threads=1, limiter=None, in_flight=in_flight)
    client = PolygonClient(key, base_url=url, limits=_SOCKETS, monotonic=clock.monotonic)
    fetcher = PolygonFetcher(client, calls=calls, limiter=limiter, patience=patience)
    cache = BarCache(fetcher, BarStore(bars), calendar, clock=clock, disk=disk)

    def close() -> None:
        calls.close()
        disk.close()

    return DataDesk(fetcher=fetcher, limiter=limiter, cache=cache, url=url, close=close)
