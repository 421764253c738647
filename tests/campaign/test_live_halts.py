"""The kill switch at a broker, while the daemon, the wire or the disk is in the worst of states."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.journal.verify import verify_file
from tests.fakes.live_accounts import LiveAccount
from tests.fakes.live_daemons import LiveDaemon, asked, lines_of
from tests.fakes.live_vendors import LiveVendors
from tests.fakes.processes import Ended
from tests.fakes.vendors.http_faults import FaultKind
from tests.fakes.vendors.polygon_stream import StreamManner

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED: Final = 11
RATE: Final = 40.0  # a market minute is 1.5 s
SYMBOLS: Final = ("SPY", "AAPL", "MSFT", "NVDA", "TSLA", "AMD", "META", "AMZN", "NFLX", "GOOG")
MINE: Final = {"BA": Decimal(7), "SPY": Decimal(3)}  # a person's shares; we trade SPY as well
FLAT_S: Final = 5.0  # from the command to the last share of ours
HALTED_S: Final = 1.0  # from a touch of HALT to the last request that adds anything
QUIET_S: Final = 8.0  # five market minutes: as long as an intent is valid
STOPPED_S: Final = 0.4
FREEZES: Final = 4
HELD: Final = 2  # symbols that are held before a halt is tried


class Desk:
    """A data folder and the account it trades on."""

    def __init__(self, vendors: LiveVendors, data: Path) -> None:
        self.vendors, self.data = vendors, data
        self.broker = vendors.alpaca
        self.account = LiveAccount(vendors.alpaca, data)

    def daemon(self, *, wedgeable: bool = False) -> LiveDaemon:
        return LiveDaemon(self.data, self.vendors, wedgeable=wedgeable)

    def trades(self, daemon: LiveDaemon) -> None:
        """Wait until something is held and protected; then a person trades as well."""
        daemon.until_state("READY")
        daemon.until(
            lambda: len(self.account.ours_at_broker()) >= HELD and self.account.our_open_orders(),
            f"{HELD} symbols are held, with their legs",
            60,
        )
        for symbol, qty in MINE.items():
            if self.broker.positions().get(symbol, 0) == self.ours(symbol):
                self.broker.person_trades(symbol, "buy", qty)

    def ours(self, symbol: str) -> Decimal:
        return self.account.ours_at_broker().get(symbol, Decimal(0))

    def is_flat(self) -> bool:
        return not self.account.our_open_orders() and not self.account.ours_at_broker()

    def flat_after(self, began: float) -> float:
        """Wait until nothing of ours is open or held; return how long that took."""
        self.broker.until(self.is_flat, timeout_s=30.0)
        return time.monotonic() - began

    @contextmanager
    def flattening(self) -> Iterator[list[float]]:
        """Watch beside what is done; the list has the seconds until nothing was open or held."""
        began, seen = time.monotonic(), list[float]()
        watch = threading.Thread(target=lambda: seen.append(self.flat_after(began)))
        watch.start()
        try:
            yield seen
        finally:
            watch.join()

    def ask(self, *command: object) -> Ended:
        return asked(self.vendors, self.data, *command)

    def sent_at(self, *methods: str) -> list[datetime]:
        """Return when requests arrived that change something, by the machine's clock."""
        found = [r for r in self.broker.requests if r.method in (methods or ("POST", "PATCH"))]
        return [self.vendors.machine_time(request.at) for request in found]

    def times_sent(self) -> list[int]:
        """Return how often each order has left, by its client order id."""
        orders = (r.parsed for r in self.broker.requests if r.method == "POST")
        return [*Counter(order["client_order_id"] for order in orders).values()]

    def quiet_after(self, daemon: LiveDaemon, touched: datetime) -> float:
        """Watch for a while; return how many seconds after the touch the last POST came."""
        assert daemon.lives_on_for(QUIET_S)
        return max(((at - touched).total_seconds() for at in self.sent_at()), default=0.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    print(f"a market of seed {SEED}")
    with LiveVendors(rate=RATE, seed=SEED, symbols=(*SYMBOLS, "BA"), restless=True) as vendors:
        yield Desk(vendors, tmp_path / "data")


def test_a_stopped_process_is_flattened_by_the_command_and_wakes_to_a_halt(desk: Desk) -> None:
    with desk.daemon() as daemon:
        desk.trades(daemon)
        before = desk.account.ours_at_broker()
        daemon.send(signal.SIGSTOP)
        with desk.flattening() as seen:
            code, lines = lines_of(desk.vendors, desk.data, "halt", "--level", "flatten")
        print(f"{before} closed {seen[0]:.2f} s after the command was typed")
        assert seen[0] < FLAT_S
        late = [line.text for line in lines if "may still arrive" in line.text]
        assert code == (1 if late else 0), lines  # an entry may wait in the stopped process
        assert {s for s in before if any(f"{s}: sell" in line.text for line in lines)} == {*before}
        assert desk.broker.positions() == MINE

        daemon.send(signal.SIGCONT)
        status = daemon.until_state("HALTED")
        assert status["trading_state_reason"] == "halted by hand"
        daemon.until(lambda: not desk.account.unbooked(), "the journal has every execution")
        assert daemon.lives_on_for(3.0)  # the daemon's own guard has looked at the halt as well
        assert desk.broker.positions() == MINE  # closed once, not twice, and what came late too
        resumed = desk.ask("resume")
        assert resumed.code == 0, resumed.err
        daemon.until_state("READY")
        daemon.kill()
    desk.account.assert_sent_once()
    verify_file(desk.account.journal.path)


def test_a_blocked_loop_is_flattened_by_its_own_thread_and_a_start_stays_halted(
    desk: Desk,
) -> None:
    with desk.daemon(wedgeable=True) as daemon:
        desk.trades(daemon)
        daemon.send(signal.SIGUSR2)  # nothing on the loop runs for half a minute
        with desk.flattening() as seen:
            ended = desk.ask("halt", "--level", "flatten", "--reason", "drill", "--json")
        print(f"flat after {seen[0]:.2f} s, the command ended after {ended.took_s:.2f} s")
        assert seen[0] < FLAT_S
        told = ended.value()
        late = any("may still arrive" in line for line in told["results"])  # in the blocked loop
        assert ended.code == (1 if late else 0), told
        assert (told["halted"], told["level"], told["clean"]) == (True, "flatten", not late)
        assert any("carrying out flatten: drill" in line for line in told["results"])
        assert desk.broker.positions() == MINE
        daemon.kill()

    sent = len(desk.sent_at("POST", "PATCH", "DELETE"))
    with desk.daemon() as daemon:
        assert daemon.until_ready()["trading_state"] == "HALTED"
        daemon.until(lambda: not desk.account.unbooked(), "the journal has every execution")
        assert daemon.lives_on_for(QUIET_S)
        assert len(desk.sent_at("POST", "PATCH", "DELETE")) == sent  # a start under HALT is quiet

        desk.broker.go_down()
        refused = desk.ask("resume")
        assert refused.code == 5
        print(refused.refusal())
        assert "trading stays halted" in refused.refusal()
        assert HaltFile(desk.data / "HALT").read() is not None
        desk.broker.come_back()
        daemon.until(lambda: desk.ask("resume").code == 0, "the resume is granted", 30)
        daemon.until_state("READY")
        daemon.until(lambda: len(desk.sent_at()) > 0, "an order after the resume", 30)
        daemon.kill()
    desk.account.assert_sent_once()


def test_a_touched_halt_ends_what_is_sent_whatever_the_wire_is_like(desk: Desk) -> None:
    with desk.daemon() as daemon:
        desk.trades(daemon)
        sent = len(desk.sent_at())
        daemon.until(lambda: len(desk.sent_at()) > sent + 1, "orders go on and on", 2 * QUIET_S)
        freeze(daemon)
        assert not (desk.data / "HALT").exists()  # a machine that froze for a moment is no halt
        touched = touch(desk)
        late_s = desk.quiet_after(daemon, touched)
        print(f"all well: the last order left {late_s:.2f} s after the touch")
        assert late_s < HALTED_S

        assert desk.ask("resume").code == 0
        spoil_orders(desk)
        daemon.until(lambda: max(desk.times_sent(), default=0) > 1, "an order is sent again", 60)
        before = len(desk.times_sent())
        daemon.until(lambda: len(desk.times_sent()) > before, "an order that will be, too", 60)
        desk.vendors.polygon.stream_manner(StreamManner.MUTE)
        desk.vendors.polygon.break_stream()
        touched = touch(desk)
        daemon.until_state("HALTED")
        late_s = desk.quiet_after(daemon, touched)
        print(f"wire down: the last order left {late_s:.2f} s after the touch")
        assert late_s < HALTED_S

        (desk.data / "HALT").unlink()
        daemon.until(
            lambda: daemon.report("system_status")["halted"] is False,  # type: ignore[index]
            "the halt is lifted",
        )
        daemon.send(signal.SIGUSR1)
        status = daemon.until_state("HALTED", 5)
        assert "SIGUSR1" in status["trading_state_reason"]
        halt = HaltFile(desk.data / "HALT").read()
        assert halt is not None
        assert (halt.level, halt.by) == ("new", "signal")
        daemon.kill()
    desk.account.assert_sent_once()


def test_every_result_is_told_as_it_comes_and_all_positions_means_all(desk: Desk) -> None:
    with desk.daemon() as daemon:
        desk.trades(daemon)
        desk.broker.add_fault(kind=FaultKind.SLOW, method="DELETE", delay_s=0.4, count=None)
        code, lines = lines_of(
            desk.vendors, desk.data, "halt", "--level", "flatten", "--all-positions"
        )
        assert code == 0, lines
        desk.broker.until(lambda: not desk.broker.positions())
        assert not [order for order in desk.broker.orders() if order.is_open]
        cancels = [line.after_s for line in lines if "cancelled" in line.text]
        print("\n".join(f"{line.after_s:5.2f} s  {line.text}" for line in lines))
        assert len(cancels) >= HELD
        assert cancels[-1] - cancels[0] > 0.3 * (len(cancels) - 1)  # one by one, not at the end

        daemon.until(lambda: not desk.account.unbooked(), "the journal has every execution")
        assert desk.ask("resume").code == 0
        daemon.until(
            lambda: not desk.account.lots().keys() & {"BA"},
            "a person's shares are not in our books",
        )
        assert desk.account.journal.held(ours=False) == {}  # bought by hand, and sold for that hand
        daemon.kill()
    desk.account.assert_sent_once()


def test_a_journal_that_takes_nothing_holds_up_no_halt_and_learns_of_it_later(desk: Desk) -> None:
    with desk.daemon() as daemon:
        desk.trades(daemon)
        with closing(sqlite3.connect(desk.account.journal.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # as a disk that hangs, or a person who looks too hard
            began = time.monotonic()
            ended = desk.ask("halt", "--level", "flatten")
            took_s = desk.flat_after(began)
            print(f"flat after {took_s:.2f} s, while nothing could be written")
            assert ended.code == 0, (ended.out, ended.err)
            assert desk.broker.positions() == MINE
            assert b"halt_close" in (desk.data / "halt.log").read_bytes()
            other.execute("ROLLBACK")
        resumed = desk.ask("resume")
        assert resumed.code == 0, resumed.err
        assert b"halt_close" not in (desk.data / "halt.log").read_bytes()
        daemon.until(lambda: not desk.account.unbooked(), "the journal has every execution")
        assert "flatten" in {leg for _, _, leg in desk.account.journal.places().values()}
        daemon.kill()
    desk.account.assert_sent_once()
    verify_file(desk.account.journal.path)


def test_a_ruined_journal_leaves_cancelling_and_all_positions_and_no_start(desk: Desk) -> None:
    with desk.daemon() as daemon:
        desk.trades(daemon)
        daemon.kill()
    whole = {path: path.read_bytes() for path in desk.data.glob("journal.db*")}
    for path in whole:
        path.write_bytes(b"nothing that a database would begin with" * 100)

    ended = desk.ask("halt", "--level", "flatten")
    assert ended.code == 1, ended.out  # done as far as possible, and it says what is left
    assert "--all-positions" in ended.out
    left = desk.account.our_open_orders()
    assert left  # what protects the shares that nobody can name
    assert all(order.parent_id for order in left)
    ended = desk.ask("halt", "--level", "flatten", "--all-positions")
    assert ended.code == 0, ended.out
    assert desk.broker.positions() == {}

    with desk.daemon() as daemon:
        refused = daemon.ended(20)
    assert refused.code == 3
    assert "put a copy in its place" in refused.err

    for path, content in whole.items():
        path.write_bytes(content)
    with desk.daemon() as daemon:
        daemon.until_state("HALTED")
        daemon.until(lambda: not desk.account.unbooked(), "the journal has every execution")
        assert desk.account.journal.notes("halt_cancel") > 0
        daemon.kill()


def touch(desk: Desk) -> datetime:
    (desk.data / "HALT").touch()
    return datetime.fromtimestamp(time.time(), UTC)


def spoil_orders(desk: Desk) -> None:
    """Let every order be lost behind a gateway, so that it is sent again, and end the stream."""
    desk.broker.add_fault(kind=FaultKind.STATUS, method="POST", status=504, count=None)
    desk.broker.stream(refuses=503)
    desk.broker.disconnect_streams()


def freeze(daemon: LiveDaemon) -> None:
    """Stop the process for a moment, a few times, as a machine that sleeps does."""
    for _ in range(FREEZES):
        daemon.send(signal.SIGSTOP)
        threading.Event().wait(STOPPED_S)
        daemon.send(signal.SIGCONT)
        assert daemon.lives_on_for(STOPPED_S / 2)
