"""Prometheus reads what status knows, on loopback, and a taken port is an alert."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity, TradingState
from roboinvest.runtime.metrics.exposition import MAX_LABELS, exposition
from roboinvest.runtime.metrics.figures import Figures
from roboinvest.runtime.metrics.server import HOST, MetricsServer
from roboinvest.runtime.reports import models
from tests.fakes.clocks import START, ManualClock
from tests.fakes.metric_figures import alert_line, figures, service_line
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual


def values(text: bytes) -> dict[str, float]:
    """Return each sample by its name and labels, as a scraper reads them."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_what_status_knows_is_told() -> None:
    found = values(
        exposition(
            figures(
                services=(
                    service_line("bus"),
                    service_line("trading", state="quarantined", restarts=6),
                ),
                alerts=(
                    alert_line("a", Severity.CRITICAL),
                    alert_line("b", Severity.LOW),
                    alert_line("c", Severity.LOW, resolved_at=START),
                ),
                ticks=77,
            )
        )
    )
    assert found["roboinvest_ticks_total{}"] == 77
    assert found["roboinvest_trading_state{state=READY}"] == 1
    assert sum(v for k, v in found.items() if k.startswith("roboinvest_trading_state")) == 1
    assert found["roboinvest_services{state=quarantined}"] == 1
    assert found["roboinvest_service_restarts_total{service=trading}"] == 6
    assert found["roboinvest_open_alerts{severity=critical}"] == 1
    assert found["roboinvest_open_alerts{severity=low}"] == 1
    assert found["roboinvest_open_alerts{severity=high}"] == 0
    assert found["roboinvest_llm_spend_today_usd{}"] == 0.02
    assert found["roboinvest_loop_lag_p99_seconds{}"] == 0.012
    assert found["roboinvest_data_rows_quarantined_total{reason=stale}"] == 3
    assert found["roboinvest_resident_memory_bytes{}"] == 120e6


def test_labels_are_bounded_and_strangers_words_make_no_series() -> None:
    many = tuple(service_line(f"s{n}", restarts=1) for n in range(MAX_LABELS + 50))
    hostile = service_line('x"} 1\nevil_metric 7\n', restarts=2)
    text = exposition(figures(services=(hostile, *many)))
    found = values(text)
    restarts = {k: v for k, v in found.items() if k.startswith("roboinvest_service_restarts")}
    assert len(restarts) == MAX_LABELS + 1
    assert sum(restarts.values()) == MAX_LABELS + 52
    assert b"evil_metric 7\n" not in text


def test_the_library_s_own_registry_is_left_alone() -> None:
    before = set(REGISTRY._names_to_collectors)
    exposition(figures())
    exposition(figures())
    assert set(REGISTRY._names_to_collectors) == before


class Scraped:
    """A server that runs, and what it was asked for."""

    def __init__(self, port: int = 0) -> None:
        self.heard: list[Event] = []
        self.asked = 0
        self.is_ready = True
        self.server = MetricsServer(
            port, self._figures, publish=self.heard.append, clock=ManualClock()
        )

    async def _figures(self) -> Figures:
        self.asked += 1
        if not self.is_ready:
            raise TryLater("not yet")
        return figures()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Scraped]:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.server.run(context("metrics")))
            async with asyncio.timeout(10):
                while self.server.port == 0:  # noqa: ASYNC110 a port tells no event
                    await asyncio.sleep(0)
            yield self
            running.cancel()

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.server.port)
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


def get(path: str = "/metrics", *, method: str = "GET", host: str = "127.0.0.1:9464") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


async def test_a_scrape_is_answered_in_the_format_and_length_that_it_says() -> None:
    async with Scraped().running() as scraped:
        head, _, body = (await scraped.ask(get())).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert b"text/plain; version=0.0.4" in head
        assert f"Content-Length: {len(body)}".encode() in head
        assert values(body)["roboinvest_halted{}"] == 0
        head, _, body = (await scraped.ask(get(method="HEAD"))).partition(b"\r\n\r\n")
        assert (head[:12], body) == (b"HTTP/1.1 200", b"")


async def test_many_scrapes_cost_one_look() -> None:
    async with Scraped().running() as scraped:
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(scraped.ask(get()))
        assert scraped.asked <= 2


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (get("/"), 404),
        (get("/metrics/../../etc/passwd"), 404),
        (get(method="POST"), 405),
        (get(method="DELETE"), 405),
        (get(host="evil.example"), 403),
        (get(host="evil.example:9464"), 403),
        (get(host="localhost"), 200),
        (get("/metrics?x=1"), 200),
        (b"\x16\x03\x01\x00", 400),
        (b"", 400),
        (b"GET /metrics", 400),
        (b"A" * 100_000, 400),
    ],
)
async def test_anything_else_gets_a_short_no(request_: bytes, code: int) -> None:
    async with Scraped().running() as scraped:
        try:
            answer = await scraped.ask(request_)
        except ConnectionError:  # it hung up on what was still being sent
            assert len(request_) > 10_000
        else:
            assert answer.startswith(f"HTTP/1.1 {code} ".encode()) or len(request_) > 10_000
        assert (await scraped.ask(get())).startswith(b"HTTP/1.1 200")


async def test_a_house_that_is_being_built_is_said() -> None:
    scraped = Scraped()
    scraped.is_ready = False
    async with scraped.running():
        assert (await scraped.ask(get())).startswith(b"HTTP/1.1 503")
        scraped.is_ready = True
        assert (await scraped.ask(get())).startswith(b"HTTP/1.1 200")


async def test_clients_that_say_nothing_keep_nobody_out_for_long() -> None:
    async with Scraped().running() as scraped:
        silent = [await asyncio.open_connection(HOST, scraped.server.port) for _ in range(4)]
        assert (await scraped.ask(get())).startswith(b"HTTP/1.1 200")
        for _, writer in silent:
            writer.close()


def test_a_port_that_is_taken_is_one_alert_and_taken_when_it_is_free() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        scraped = Scraped(other.getsockname()[1])

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(scraped.server.run(context("metrics")))
                await asyncio.sleep(100)
                assert [type(event) for event in scraped.heard] == [AlertRaised]
                other.close()
                await asyncio.sleep(11)
                running.cancel()

        run_virtual(main)
    alert, over = scraped.heard
    assert isinstance(alert, AlertRaised)
    assert isinstance(over, AlertResolved)
    assert str(scraped.server.port) in alert.message
    assert alert.severity is Severity.LOW


async def test_it_listens_on_loopback_alone() -> None:
    async with Scraped().running() as scraped:
        port = scraped.server.port
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", port))  # would be taken if it listened everywhere
            taken.listen()


def test_a_state_of_every_kind_is_told() -> None:
    for state in TradingState:
        found = values(exposition(figures(trading_state=state)))
        assert found[f"roboinvest_trading_state{{state={state.value}}}"] == 1


def test_governance_is_told_where_there_is_one() -> None:
    line = models.GovernanceLine(
        state="kept",
        reason=None,
        proposals_waiting={"L3": 2},
        quarantined=("a",),
        promotions_frozen=None,
        audit_rows=12,
        audit_whole=True,
        audit_fault=None,
        sandbox=None,
    )
    found = values(exposition(figures(governance=line)))
    assert found["roboinvest_proposals_waiting{level=L3}"] == 2
    assert found["roboinvest_quarantined_agents{}"] == 1
    assert found["roboinvest_audit_whole{}"] == 1
