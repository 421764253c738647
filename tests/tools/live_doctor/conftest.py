"""Two vendors on loopback that know us, and a live doctor who is sent to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret, Secrets
from roboinvest.runtime.configuration.sections import Source
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.bar_files import quiet_rows
from tests.fakes.replays import CALENDAR
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.polygon_server import PolygonServer
from tools.live_doctor.around import Around
from tools.live_doctor.doctor import LiveDoctor
from tools.live_doctor.findings import LiveFinding, Patience

QUICK = Patience(connect_s=0.5, reply_s=0.5, question_s=0.8, stream_step_s=0.5, stream_s=0.8)

Visit = Callable[..., LiveDoctor]


@pytest.fixture
def alpaca() -> Iterator[AlpacaServer]:
    with AlpacaServer(limit_per_minute=200) as server:
        server.set_price("SPY", 100)
        yield server


@pytest.fixture
def polygon() -> Iterator[PolygonServer]:
    today = SystemClock().now().date()
    with PolygonServer() as server:
        server.add_bars("SPY", quiet_rows(CALENDAR.sessions(today - timedelta(days=25), today)))
        yield server


@pytest.fixture
def alpaca_only(alpaca: AlpacaServer) -> Visit:
    """Return a maker of doctors who know Alpaca; words are settings or `Around`'s own."""

    def make(**words: Any) -> LiveDoctor:
        given = {
            "alpaca_api_key": words.pop("key", alpaca.key),
            "alpaca_secret_key": words.pop("secret", alpaca.secret),
        }
        keys: dict[str, Any] = {name: Secret(text) for name, text in given.items() if text}
        where = {
            "alpaca.base_url": alpaca.url,
            "alpaca.data_url": alpaca.url,
            "alpaca.stream_url": alpaca.stream_url,
        }
        return doctor(Secrets(**keys), {**where, **words.pop("settings", {})}, **words)

    return make


@pytest.fixture
def polygon_only(polygon: PolygonServer) -> Visit:
    """Return a maker of doctors who know Polygon; words are settings or `Around`'s own."""

    def make(**words: Any) -> LiveDoctor:
        key = words.pop("key", polygon.key)
        keys = Secrets(polygon_api_key=Secret(key) if key else None)
        where = {"polygon.base_url": polygon.url, "polygon.stream_url": polygon.stream_url}
        return doctor(keys, {**where, **words.pop("settings", {})}, **words)

    return make


def doctor(secrets: Secrets, settings: Mapping[str, Any], **words: Any) -> LiveDoctor:
    """Return a doctor; `broker` and `source` say by which vendors the settings trade."""
    chosen: dict[str, Any] = {"testing.loopback_only": "on"}
    if words.get("broker") is not None:
        chosen |= {"broker.kind": words["broker"].value, "market.source": Source.POLYGON.value}
    if words.get("source") is not None:
        chosen["market.source"] = words["source"].value
    if "market.source" in chosen:
        chosen["market.symbols"] = "SPY"
    made = load_settings(None, {}, {**chosen, **settings})
    return LiveDoctor(
        Around(
            settings=made,
            secrets=secrets,
            clock=SystemClock(timedelta(seconds=made.clock.offset_s)),
            calendar=CALENDAR,
            rng=random.Random(1),
            in_flight=InFlight(),
            patience=words.get("patience", Patience()),
            daemon_pid=words.get("daemon_pid"),
        )
    )


async def said(doctor: LiveDoctor) -> dict[str, LiveFinding]:
    """Return the findings of one examination by name, and hold every one of them to its form."""
    found = await doctor.examine()
    for each in found:
        assert bool(each.mend) == (each.grade.value != "ok"), each
        assert "\n" not in each.fact + each.mend
        assert not each.fact.endswith((".", ";")), each
        assert not each.mend.endswith((".", ";")), each
    names = [each.name for each in found]
    assert len(set(names)) == len(names)
    return {each.name: each for each in found}
