"""Deadlines under a client built on requests: a silent or dripping server holds nobody for long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime

import pytest
import requests
import urllib3

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.vendors.deadline_pools import SocketLimits, deadline_pools
from roboinvest.runtime.vendors.requests_session import (
    DeadlineAdapter,
    RateNote,
    mount,
    rate_note,
    wait_asked_for,
)
from tests.fakes.vendors.http_faults import Fault, FaultKind, FaultPlan, Request, Response
from tests.fakes.vendors.http_server import HttpServer
from tests.fakes.vendors.loop_thread import LoopThread

LIMITS = SocketLimits(connect_s=0.5, read_s=0.4, total_s=0.6)
LATEST_S = 2.0
Answer = Callable[[Request], Response]


class Vendor:
    """A server on loopback, its faults, and a session that speaks to it."""

    def __init__(self) -> None:
        self.faults = FaultPlan()
        self.notes: list[RateNote] = []
        self.headers: dict[str, str] = {}
        self.http = HttpServer(self._answer, now=self._now, faults=self.faults)
        self.session = requests.Session()
        self.session.trust_env = True
        clock = SystemClock()
        adapter = DeadlineAdapter(LIMITS, monotonic=clock.monotonic, on_note=self.notes.append)
        mount(self.session, adapter, "http://127.0.0.1:1")

    def get(self) -> tuple[requests.Response | None, float]:
        """Return the answer, or None where it broke, and the seconds it took."""
        began = time.monotonic()
        try:
            return self.session.get(self.http.url), time.monotonic() - began
        except requests.RequestException:
            return None, time.monotonic() - began

    def _answer(self, request: Request) -> Response:
        return Response(body=b"x" * 200, headers=self.headers)

    def _now(self) -> datetime:
        return SystemClock().now()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    thread, vendor = LoopThread("vendor"), Vendor()
    thread.start()
    thread.run(vendor.http.start())
    yield vendor
    vendor.session.close()
    thread.call(vendor.http.stop)
    thread.stop()


def test_a_good_answer_comes_whole_and_the_connection_is_kept(vendor: Vendor) -> None:
    for _ in range(3):
        answer, _ = vendor.get()
        assert answer is not None
        assert answer.text == "x" * 200
    assert len({id(request) for request in vendor.http.requests}) == 3


@pytest.mark.parametrize("kind", [FaultKind.STALL, FaultKind.STALL_AFTER])
def test_a_silent_server_is_left_in_time(vendor: Vendor, kind: FaultKind) -> None:
    """A1."""
    vendor.faults.add(Fault(kind=kind))
    answer, took_s = vendor.get()
    assert answer is None
    assert LIMITS.read_s <= took_s < LATEST_S


def test_a_dripping_server_is_left_in_time_in_its_headers(vendor: Vendor) -> None:
    vendor.faults.add(Fault(kind=FaultKind.DRIP, drip_s=0.05))
    answer, took_s = vendor.get()
    assert answer is None
    assert LIMITS.total_s <= took_s < LATEST_S


def test_a_dripping_server_is_left_in_time_in_its_body() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        stop = threading.Event()

        def serve() -> None:
            wire, _ = listener.accept()
            with closing(wire):
                wire.recv(65_536)
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not stop.wait(0.02):
                    try:
                        wire.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        vendor = Vendor()
        began = time.monotonic()
        with vendor.session, pytest.raises(requests.ConnectionError):
            vendor.session.get(f"http://127.0.0.1:{port}")
        assert time.monotonic() - began < LATEST_S
        stop.set()
        thread.join(LATEST_S)


def test_a_pool_of_urllib3_has_the_same_deadline(vendor: Vendor) -> None:
    vendor.faults.add(Fault(kind=FaultKind.DRIP, drip_s=0.05))
    pool = urllib3.PoolManager(retries=False, timeout=LIMITS.read_s)
    pool.pool_classes_by_scheme = deadline_pools(LIMITS, SystemClock().monotonic)
    began = time.monotonic()
    with pytest.raises(urllib3.exceptions.HTTPError):
        pool.request("GET", vendor.http.url)
    assert time.monotonic() - began < LATEST_S
    pool.clear()


def test_a_proxy_or_netrc_is_not_asked_about_this_machine(vendor: Vendor) -> None:
    assert not vendor.session.trust_env
    with requests.Session() as far:
        adapter = DeadlineAdapter(
            LIMITS, monotonic=SystemClock().monotonic, on_note=vendor.notes.append
        )
        mount(far, adapter, "https://paper-api.alpaca.markets")
        assert far.trust_env
        assert far.get_adapter("https://paper-api.alpaca.markets/v2") is adapter


def test_nothing_is_sent_twice(vendor: Vendor) -> None:
    vendor.faults.add(Fault(kind=FaultKind.RESET_BEFORE))
    assert vendor.get()[0] is None
    assert len(vendor.http.requests) == 1


def test_a_port_where_nobody_listens_breaks_at_once(vendor: Vendor) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with pytest.raises(requests.ConnectionError):
        vendor.session.get(f"http://127.0.0.1:{port}")


def test_what_a_reply_says_of_limits_is_noted(vendor: Vendor) -> None:
    vendor.headers = {"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1700000000"}
    vendor.get()
    (note,) = vendor.notes
    assert (note.status, note.remaining, note.reset_epoch_s) == (200, 7, 1_700_000_000.0)
    assert note.server_epoch_s is not None


@pytest.mark.parametrize("text", ["soon", "", "nan", "inf", "-1", "Fri, 31 Dec"])
def test_a_header_that_cannot_be_read_says_nothing(text: str) -> None:
    names = ("x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "date")
    note = rate_note(200, dict.fromkeys(names, text))
    assert (note.remaining, note.reset_epoch_s, note.retry_after_s) == (None, None, None)


@pytest.mark.parametrize(
    ("headers", "status", "wait_s"),
    [
        ({}, 200, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1060"}, 200, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"}, 200, 30),
        ({"x-ratelimit-remaining": "0"}, 200, None),
        ({}, 429, 10),
        ({"retry-after": "17"}, 429, 17),
        ({"retry-after": "99999"}, 429, 120),
        ({"x-ratelimit-reset": "1030"}, 429, 30),
        ({"x-ratelimit-reset": "900"}, 429, 1),
        ({"retry-after": "17"}, 503, None),
    ],
)
def test_the_wait_is_what_the_vendor_asked_for_within_reason(
    headers: dict[str, str], status: int, wait_s: float | None
) -> None:
    assert wait_asked_for(rate_note(status, headers), 1_000.0) == wait_s


def test_a_reset_is_counted_by_the_vendors_clock_where_it_gives_one() -> None:
    headers = {"x-ratelimit-reset": "1700000030", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}
    assert wait_asked_for(rate_note(429, headers), 0.0) == 30
