"""The sign of life reaches its address, that address alone, and only while all is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.notifications.heartbeat import HeartbeatPing
from tests.fakes.clocks import LoopClock
from tests.fakes.listeners import Listener
from tests.fakes.services import context
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.virtual_time import run_virtual

TOKEN = "0f1e2d3c-watch"  # noqa: S105 of no watcher


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        yield server


class Watch:
    """A heartbeat that runs for some virtual minutes."""

    def __init__(self, address: str, *, deadline_s: float = 5.0) -> None:
        self.heard: list[Event] = []
        self.is_ready = True
        self.in_flight = InFlight()
        self.ping = HeartbeatPing(
            Secret(f"http://{address}/ping/{TOKEN}"),
            lambda: self.is_ready,
            interval_s=60.0,
            publish=self.heard.append,
            clock=LoopClock(),
            in_flight=self.in_flight,
            deadline_s=deadline_s,
        )

    def runs(self, *spans_s: float, between: Any = None) -> None:
        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.ping.run(context("heartbeat_ping")))
                for span_s in spans_s:
                    await asyncio.sleep(span_s)
                    if between is not None:
                        between()
                running.cancel()

        run_virtual(main, self.in_flight)


def test_the_address_is_called_every_interval_and_nothing_else_is(listener: Listener) -> None:
    Watch(listener.address).runs(5 * 60 - 1)
    assert [(r.method, r.path) for r in listener.requests] == [("GET", f"/ping/{TOKEN}")] * 5


def test_a_daemon_that_is_not_ready_is_silent(listener: Listener) -> None:
    watch = Watch(listener.address)
    watch.is_ready = False

    def ready() -> None:
        assert len(listener.requests) == 0 or watch.is_ready
        watch.is_ready = True

    watch.runs(599, 300, between=ready)
    assert len(listener.requests) == 5


def test_a_redirect_is_not_followed(listener: Listener) -> None:
    with Listener() as elsewhere:
        away = {"Location": f"http://{elsewhere.address}/"}
        listener.faults.add(Fault(kind=FaultKind.STATUS, status=302, headers=away, count=None))
        watch = Watch(listener.address)
        watch.runs(200)
        assert elsewhere.requests == []
    (alert,) = watch.heard
    assert isinstance(alert, AlertRaised)
    assert "HTTP 302" in alert.message


def test_one_failure_is_a_line_and_several_are_one_low_alert_until_it_answers(
    listener: Listener, logged: list[MutableMapping[str, Any]]
) -> None:
    listener.faults.add(Fault(kind=FaultKind.STATUS, status=500, count=5))
    watch = Watch(listener.address)
    watch.runs(600)
    raised, resolved = watch.heard
    assert isinstance(raised, AlertRaised)
    assert isinstance(resolved, AlertResolved)
    assert (raised.severity, raised.key) == (Severity.LOW, "notify.heartbeat")
    lines = [line for line in logged if line["event"] == "heartbeat_not_taken"]
    assert [line["in_a_row"] for line in lines] == [1, 2, 3, 4, 5]
    assert TOKEN not in str(logged) + str(watch.heard)


def test_an_address_that_is_away_is_no_trouble_for_the_daemon(
    logged: list[MutableMapping[str, Any]],
) -> None:
    with Listener() as gone:
        address = gone.address
    watch = Watch(address)
    watch.runs(600)
    assert len(watch.heard) == 1
    assert TOKEN not in str(logged) + str(watch.heard)
    assert {line["trouble"] for line in logged if "trouble" in line} == {"ConnectError"}


async def test_a_call_ends_at_its_deadline(
    listener: Listener, logged: list[MutableMapping[str, Any]]
) -> None:
    listener.faults.add(Fault(kind=FaultKind.DRIP, drip_s=0.1, count=None))
    watch = Watch(listener.address, deadline_s=0.3)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watch.ping.run(context("heartbeat_ping")))
        async with asyncio.timeout(10):
            while not any(  # noqa: ASYNC110 a log tells no event
                line["event"] == "heartbeat_not_taken" for line in logged
            ):
                await asyncio.sleep(0.02)
        running.cancel()
    (line,) = [line for line in logged if line["event"] == "heartbeat_not_taken"]
    assert "0.3 s" in line["trouble"] or "Timeout" in line["trouble"]
    listener.go_down()
