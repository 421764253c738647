"""A broker on loopback with real books, and the venue before it, through the real client."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.transport import Patience
from roboinvest.brokers.alpaca.venue import AlpacaVenue, alpaca_venue
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Clock
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from tests.fakes.markets import intent
from tests.fakes.vendors.alpaca_server import AlpacaServer

REPOSITORY = Path(__file__).resolve().parents[3]
PACK = Path(os.environ.get("ROBOINVEST_CONTRACTS", REPOSITORY.parent / "shared" / "contracts"))

MakeVenue = Callable[..., AlpacaVenue]
MakeIntent = Callable[..., OrderIntent]


@pytest.fixture
def server() -> Iterator[AlpacaServer]:
    with AlpacaServer() as server:
        for symbol in ("SPY", "AAPL", "MSFT"):
            server.set_price(symbol, 100)
        yield server


@pytest.fixture
def access(server: AlpacaServer) -> AlpacaAccess:
    return AlpacaAccess(
        key_id=Secret(server.key),
        secret_key=Secret(server.secret),
        base_url=server.url,
        stream_url=server.stream_url,
        loopback_only=True,
    )


@pytest.fixture
def make_venue(access: AlpacaAccess) -> Iterator[MakeVenue]:
    """Return a maker of venues; sockets give up after `total_s` seconds."""
    made: list[AlpacaVenue] = []

    def make(
        access: AlpacaAccess = access,
        *,
        total_s: float = 5.0,
        reads: int = 3,
        per_minute: int = 600,
        clock: Clock | None = None,
    ) -> AlpacaVenue:
        venue = alpaca_venue(
            access,
            calls_per_minute=per_minute,
            clock=clock or SystemClock(),
            rng=random.Random(1),
            in_flight=InFlight(),
            limits=SocketLimits(connect_s=total_s, read_s=total_s, total_s=total_s),
            patience=Patience(
                change_s=total_s + 0.5, read_s=total_s + 0.5, reads=reads, pause_s=0.01
            ),
        )
        made.append(venue)
        return venue

    yield make
    for venue in made:
        venue.close()


@pytest.fixture
def venue(make_venue: MakeVenue) -> AlpacaVenue:
    return make_venue()


@pytest.fixture
def order() -> MakeIntent:
    """Return a maker of intents that are valid for an hour from now."""

    def make(client_order_id: str = "ri1-test-1", *args: Any, **kwargs: Any) -> OrderIntent:
        valid_until = SystemClock().now() + timedelta(hours=1)
        return intent(client_order_id, *args, **{"valid_until": valid_until, **kwargs})

    return make


@pytest.fixture(scope="session")
def contracts() -> Path:
    """Return the folder of recorded bodies, or skip: it is not part of the repository."""
    if not (PACK / "README.md").exists():
        pytest.skip("the recorded contracts are not here (set ROBOINVEST_CONTRACTS)")
    return PACK


@pytest.fixture
def cassette(contracts: Path) -> Callable[[str], Any]:
    """Return a reader of what Alpaca really answered, by the name of the case."""
    cases = json.loads((contracts / "recorded" / "alpaca_trading_cassettes.json").read_text())

    def body(case: str) -> Any:
        return next(row["body"] for row in cases if row["case"].endswith(case))

    return body
