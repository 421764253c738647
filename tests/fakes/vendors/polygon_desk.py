"""Our side of the data vendor, made for tests: real client, short patience, any allowance."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.rate_limiter import RateLimiter
from tests.fakes.clocks import ManualClock
from tests.fakes.vendors.polygon_server import KEY, PolygonServer
from tools.bars.store import BarStore
from tools.calendar import ExchangeCalendar
from tools.data_fetcher.bar_cache import BarCache
from tools.data_fetcher.polygon.client import PolygonClient
from tools.data_fetcher.polygon.fetcher import Patience, PolygonFetcher

PLENTY: Final = 60_000  # calls a minute: no test waits for a turn
QUICK: Final = SocketLimits(connect_s=0.5, read_s=0.3, total_s=0.6)
EASY: Final = SocketLimits(connect_s=5.0, read_s=10.0, total_s=20.0)
LATER: Final = datetime(2030, 1, 2, 12, tzinfo=UTC)  # long after every session of the tests
CONTRACTS: Final = Path(
    os.environ.get(
        "ROBOINVEST_CONTRACTS",
        Path(__file__).resolve().parents[4] / "shared" / "contracts",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A fetcher and what it is made of."""

    fetcher: PolygonFetcher
    calls: VendorCalls
    limiter: RateLimiter
    in_flight: InFlight


@contextmanager
def desk(
    url: str,
    *,
    key: str = KEY,
    per_minute: int = PLENTY,
    limits: SocketLimits = EASY,
    patience: Patience | None = None,
    in_flight: InFlight | None = None,
) -> Iterator[Desk]:
    """Open a desk in a running loop."""
    counter = in_flight or InFlight()
    limiter = RateLimiter(per_minute, burst=1 if per_minute < PLENTY else 100)
    calls = VendorCalls("Polygon", threads=2, limiter=limiter, in_flight=counter)
    client = PolygonClient(Secret(key), base_url=url, limits=limits, monotonic=time.monotonic)
    try:
        yield Desk(
            fetcher=PolygonFetcher(client, calls=calls, limiter=limiter, patience=patience),
            calls=calls,
            limiter=limiter,
            in_flight=counter,
        )
    finally:
        calls.close()


@contextmanager
def bar_cache(
    server: PolygonServer,
    folder: Path,
    *,
    clock: Clock | None = None,
    in_flight: InFlight | None = None,
    per_minute: int = PLENTY,
    limits: SocketLimits = EASY,
) -> Iterator[BarCache]:
    """Open a cache of bars in front of the loopback vendor."""
    with desk(server.url, in_flight=in_flight, per_minute=per_minute, limits=limits) as ours:
        disk = VendorCalls("bar store", threads=1, limiter=None, in_flight=ours.in_flight)
        try:
            yield BarCache(
                ours.fetcher,
                BarStore(folder),
                ExchangeCalendar(),
                clock=clock or ManualClock(LATER),
                disk=disk,
            )
        finally:
            disk.close()


def recorded(path: str) -> dict[str, Any]:
    """Return the body that was recorded of the real vendor, or skip where the pack is not here."""
    folder = CONTRACTS / "recorded" / "polygon"
    if not (folder / "index.json").is_file():
        pytest.skip("the recorded contracts are not here (set ROBOINVEST_CONTRACTS)")
    index: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())
    name = next(row["file"] for row in index if row["path"] == path)
    body: dict[str, Any] = json.loads((folder / name).read_text())
    return body


def specified(path: str) -> dict[str, Any]:
    """Return the example of the vendor's specification, or skip where the pack is not here."""
    file = CONTRACTS / "specs" / "polygon" / "rest.json"
    if not file.is_file():
        pytest.skip("the vendor's specification is not here (set ROBOINVEST_CONTRACTS)")
    get = json.loads(file.read_text())["paths"][path]["get"]
    example: dict[str, Any] = get["responses"]["200"]["content"]["application/json"]["example"]
    return example


def until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait in a thread that owns no loop until a condition holds."""
    ends = time.monotonic() + within_s
    pause = threading.Event()
    while not true():
        assert time.monotonic() < ends, "it did not come true in time"
        pause.wait(0.01)
