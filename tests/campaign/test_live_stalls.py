"""Every vendor takes everything and answers nothing; the house goes on, and can be stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.background import Background
from tests.fakes.live_accounts import LiveAccount
from tests.fakes.live_daemons import LiveDaemon, asked
from tests.fakes.live_vendors import LiveVendors
from tests.fakes.vendors.http_faults import FaultKind
from tests.fakes.wedgeable import lags_between

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED: Final = 11
RATE: Final = 40.0
STALLED_S: Final = 12.0
LAG_P99_S: Final = 0.05
LAG_MAX_S: Final = 1.0
OFTEN_S: Final = 3.0  # a report that is written once a second is never older
STATUS_S: Final = 3.0  # for `status`, its interpreter's start included
STOP_S: Final = 25.0
READY_S: Final = 10.0
HALTED_S: Final = 1.0
HALT_ENDS_S: Final = 20.0  # a command whose daemon cannot do it says so by then


class Watch(Background):
    """Notes each version of the status report, and when it came."""

    def __init__(self, daemon: LiveDaemon) -> None:
        super().__init__("watch", pause_s=lambda: 0.02)
        self._daemon = daemon
        self.seen: dict[int, float] = {}  # sequence -> time.monotonic

    def happen(self) -> None:
        """Note when a report was first seen."""
        report = self._daemon.report("system_status")
        if report is not None:
            self.seen.setdefault(report["sequence"], time.monotonic())


@pytest.fixture
def vendors() -> Iterator[LiveVendors]:
    print(f"a market of seed {SEED}")
    with LiveVendors(rate=RATE, seed=SEED, restless=True) as found:
        yield found


def stall_with_an_order_on_its_way(daemon: LiveDaemon, vendors: LiveVendors) -> None:
    """Wait until an order has left that nobody answers; then let nobody answer anything."""
    daemon.until_state("READY")
    vendors.alpaca.add_fault(kind=FaultKind.STALL_AFTER, method="POST", count=None)
    before = sent(vendors)
    daemon.until(lambda: sent(vendors) > before, "an order leaves", 60)
    vendors.stall()


def sent(vendors: LiveVendors) -> int:
    return sum(request.method == "POST" for request in vendors.alpaca.requests)


def test_a_house_whose_vendors_all_stall_stays_quick_and_stops_in_order(
    vendors: LiveVendors, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    account = LiveAccount(vendors.alpaca, data)
    often = {"ROBOINVEST_REPORTS__INTERVAL_S": "1"}
    with LiveDaemon(data, vendors, wedgeable=True, env=often) as daemon:
        stall_with_an_order_on_its_way(daemon, vendors)
        began = time.monotonic()
        with Watch(daemon) as watch:
            assert daemon.lives_on_for(STALLED_S / 2)
            status = asked(vendors, data, "status", "--json")
            refused = asked(vendors, data, *vendors.arguments)
            assert daemon.lives_on_for(STALLED_S / 2)
        lags = lags_between(daemon.lags, began, time.monotonic())
        p99_s = lags[int(0.99 * len(lags))]
        told = daemon.report("system_status")
        assert told is not None
        gaps = [b - a for a, b in pairwise([*watch.seen.values(), time.monotonic()])]
        asked_at = time.monotonic()
        daemon.send(signal.SIGTERM)
        ended = daemon.ended(STOP_S + 5)
        stop_s = time.monotonic() - asked_at
    print(
        f"loop, {len(lags)} times: p99 {p99_s * 1000:.1f} ms, most {lags[-1] * 1000:.0f} ms, as "
        f"the daemon has it {told['process']['loop_lag_p99_ms']} ms\n"
        f"reports {max(gaps):.2f} s apart at most; status took {status.took_s:.2f} s\n"
        f"{told['trading_state']}: {told['trading_state_reason']}; stopped within {stop_s:.2f} s"
    )
    assert p99_s < LAG_P99_S
    assert lags[-1] < LAG_MAX_S
    assert max(gaps) < OFTEN_S
    assert status.code == 0
    assert status.took_s < STATUS_S
    assert status.value()["running"]
    assert refused.code == 5
    assert "is held by another daemon" in refused.err
    assert (ended.code, stop_s < STOP_S) == (0, True), ended.err
    assert "Traceback" not in ended.err

    vendors.heal()
    with LiveDaemon(data, vendors) as daemon:  # nobody has to do anything first
        began = time.monotonic()
        daemon.until_state("READY", READY_S)
        print(f"ready again after {time.monotonic() - began:.2f} s")
        daemon.kill()
    with LiveDaemon(data, vendors) as daemon:  # killed, it holds nothing
        began = time.monotonic()
        daemon.until_state("READY", READY_S)
        print(f"after a kill, ready after {time.monotonic() - began:.2f} s")
        daemon.until(lambda: not account.unbooked(), "the journal has every execution")
        daemon.kill()
    account.assert_sent_once()


def test_the_kill_switch_works_while_nobody_answers_and_closes_when_they_do(
    vendors: LiveVendors, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    account = LiveAccount(vendors.alpaca, data)
    with LiveDaemon(data, vendors) as daemon:
        daemon.until_state("READY")
        daemon.until(account.ours_at_broker, "something is held", 60)
        stall_with_an_order_on_its_way(daemon, vendors)
        vendors.hold_prices()  # or stops and targets would close what the halt is to close
        assert account.ours_at_broker()
        before = sent(vendors)
        halted = asked(vendors, data, "halt", "--level", "flatten", "--reason", "they are gone")
        state = daemon.until_state("HALTED", HALTED_S)
        print(f"the command ended after {halted.took_s:.2f} s with {halted.code}: {halted.out}")
        assert state["trading_state_reason"] == "they are gone"
        assert halted.code == 1  # what is left open is said, not hidden
        assert "the daemon goes on trying" in halted.out
        assert "Traceback" not in halted.err
        assert halted.took_s < HALT_ENDS_S
        assert sent(vendors) == before

        vendors.heal()
        began = time.monotonic()
        daemon.until(
            lambda: not account.our_open_orders() and not account.ours_at_broker(),
            "the daemon's own thread has closed everything",
            60,
        )
        print(f"flat {time.monotonic() - began:.2f} s after the broker came back")
        daemon.until(lambda: not account.unbooked(), "the journal has every execution")
        daemon.kill()
    account.assert_sent_once()
