"""A broker or a vendor of bars that goes away: its own client says so, once, and trading does not.

One daemon between loopback vendors lives through one outage after the other.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.live_daemons import LiveDaemon, asked
from tests.fakes.live_vendors import LiveVendors
from tests.fakes.processes import side_by_side
from tests.fakes.stored_runs import StoredRun
from tests.fakes.vendors.http_faults import FaultKind

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED: Final = 7
HEALTH_S: Final = 5.0  # between two looks: the least that the settings take
SETTINGS: Final = {
    "ROBOINVEST_OVERSEER__HEALTH_INTERVAL_S": str(HEALTH_S),
    "ROBOINVEST_OVERSEER__HEALING_INTERVAL_S": "5",
}
OFFLINE_S: Final = 3 * HEALTH_S  # two looks and a little, until one says so too
OVER_S: Final = 30.0
FAST_CLOCK: Final = "agent.process"  # tells of the clock of this market, which runs fast


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One outage."""

    name: str
    plant: Callable[[LiveVendors], None]
    mend: Callable[[LiveVendors], None]
    key: str
    kind: str
    agent: str
    says: str  # regular expression
    within_s: float  # until it is told


def _broker_fails(vendors: LiveVendors) -> None:
    vendors.alpaca.add_fault(kind=FaultKind.STATUS, method="GET", status=500, count=None)


def _broker_stalls(vendors: LiveVendors) -> None:
    vendors.alpaca.add_fault(kind=FaultKind.STALL, count=None)
    vendors.alpaca.stream(mutes=True, mutes_auth=True)
    vendors.alpaca.disconnect_streams()


OUTAGES: Final = (
    Outage(
        name="the broker answers 500",
        plant=_broker_fails,
        mend=LiveVendors.heal,
        key="broker.away",
        kind="broker",
        agent="broker",
        says="status 500",
        within_s=10.0,  # the second failure of what is asked with each tick
    ),
    Outage(
        name="the broker stalls",
        plant=_broker_stalls,
        mend=LiveVendors.heal,
        key="broker.away",
        kind="broker",
        agent="broker",
        says="no .* within 12 s",
        within_s=20.0,  # the next tick, and what an answer may take
    ),
    Outage(
        name="the vendor of bars is down",
        plant=lambda vendors: vendors.polygon.go_down(),
        mend=lambda vendors: vendors.polygon.come_back(),
        key="market_data.away",
        kind="data",
        agent="market data vendor",
        says="does not answer",
        within_s=20.0,  # two looks of five seconds, and what its client tries by itself
    ),
)


@pytest.fixture(scope="module")
def vendors() -> Iterator[LiveVendors]:
    print(f"a market of seed {SEED}")
    with LiveVendors(seed=SEED) as found:
        yield found


@pytest.fixture(scope="module")
def daemon(vendors: LiveVendors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    data = tmp_path_factory.mktemp("vendors") / "data"
    with LiveDaemon(data, vendors, env=SETTINGS) as found:
        found.until_state("READY")
        found.until(lambda: found.report("health"), "the Overseer looked", 30)
        yield found


def alerts(data: Path) -> dict[str, dict[str, Any]]:
    """Return the board as it was kept last, by key."""
    found = StoredRun(data).rows("SELECT text FROM documents WHERE name = 'alerts'")
    return {each["key"]: each for (text,) in found for each in json.loads(text)["alerts"]}


def open_keys(data: Path) -> set[str]:
    """Return the keys of the alerts that are open."""
    found = alerts(data).items()
    return {key for key, each in found if each["resolved_at"] is None} - {FAST_CLOCK}


def told_since(data: Path, before: dict[str, dict[str, Any]]) -> set[str]:
    """Return the keys of the alerts that a person was told of since then."""
    return {
        key
        for key, each in alerts(data).items()
        if each["told"] is not None
        and (key not in before or each["raised_at"] != before[key]["raised_at"])
    }


def status_of(daemon: LiveDaemon, agent: str) -> str:
    """Return how the last look found an agent."""
    report = daemon.report("health") or {"agents": []}
    return next((each["status"] for each in report["agents"] if each["name"] == agent), "?")


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.name)
def test_an_outage_is_told_once_by_who_asks_and_over_when_it_answers(
    vendors: LiveVendors, daemon: LiveDaemon, outage: Outage
) -> None:
    data, key = daemon.data, outage.key
    before, began = alerts(data), time.monotonic()
    outage.plant(vendors)
    try:
        daemon.until(lambda: key in open_keys(data), f"{key} is open", outage.within_s)
        noticed_s = time.monotonic() - began
        down = ("offline", "failing")
        daemon.until(lambda: status_of(daemon, outage.agent) in down, "a look says so", OFFLINE_S)
        named_s = time.monotonic() - began
        health, listed = side_by_side(
            (
                lambda: asked(vendors, data, "health"),
                lambda: asked(vendors, data, "alerts", "ls", "--json"),
            )
        )
    finally:
        outage.mend(vendors)
    mended = time.monotonic()
    daemon.until(lambda: key not in open_keys(data), f"{key} is over", OVER_S)
    over_s = time.monotonic() - mended
    print(
        f"{outage.name}: told after {noticed_s:.1f} s, unwell {named_s:.1f} s, over {over_s:.1f} s"
    )
    (shown,) = [each for each in listed.value()["alerts"] if each["key"] == key]
    assert shown["kind"] == outage.kind
    assert re.search(outage.says, shown["message"]), shown
    assert f"offline  {outage.agent}" in health.out, health.out
    daemon.until_state("READY")
    daemon.until(lambda: not open_keys(data), "nothing of it is left", OVER_S)
    assert told_since(data, before) - {FAST_CLOCK} == {key}
