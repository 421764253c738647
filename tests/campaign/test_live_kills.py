"""A daemon on a real market's vendors that is killed again and again, on a bad day.

At each kill something may be in flight, and replies are lost, doubled, cut or late all the time.
Whatever happens, no intent is booked twice, no execution is lost, and each start is ready in
seconds without a person.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.runtime.journal.verify import verify_file
from tests.fakes.background import Background
from tests.fakes.bad_weather import BadWeather
from tests.fakes.live_accounts import LiveAccount
from tests.fakes.live_vendors import LiveVendors
from tests.fakes.processes import Daemon, roboinvest, strict_json

pytestmark = [pytest.mark.timeout(400)]

SEED: Final = 20260318
RATE: Final = 40.0  # a market minute is 1.5 s
KILLS: Final = 12
SYMBOLS: Final = (
    *("SPY", "AAPL", "MSFT", "NVDA", "TSLA", "AMD", "META", "AMZN"),
    *("NFLX", "GOOG", "INTC", "ORCL", "DIS", "CSCO", "PEP"),
)
SHARES: Final = 60  # that trade between two looks at the prices: most orders fill in parts
MINE: Final = ("BA", 7)  # what a person buys by hand meanwhile
READY_S: Final = 10.0
IN_A_STORM_S: Final = 60.0  # a start whose questions are not answered waits for answers
RUNS_S: Final = (0.5, 8.0)  # after which a daemon that was ready is killed
STARTS_S: Final = (0.4, 2.5)  # after which one is killed that was not
ORDER_S: Final = 8.0  # to wait for an order to leave, where it is killed with one in flight
HIDDEN_MARKET_S: Final = 35.0  # in which a new order is not shown; with its lateness less than 60
SETTLED_S: Final = 60.0
OPEN_QUESTIONS: Final = frozenset({"intent", "sending", "unknown"})


class Reader(Background):
    """Reads all reports all the time, and keeps what was no JSON."""

    def __init__(self, reports: Path) -> None:
        super().__init__("reader", pause_s=lambda: 0.01)
        self._reports = reports
        self.reads = 0
        self.broken: list[str] = []

    def happen(self) -> None:
        """Read each report once."""
        for path in self._reports.glob("*.json"):
            text = path.read_bytes()
            self.reads += 1
            try:
                strict_json(text)
            except ValueError as error:
                self.broken.append(f"{path.name}: {error}: {text[:200]!r}")


class Siege:
    """One account, one data folder, and a daemon that is not let live long."""

    def __init__(self, vendors: LiveVendors, weather: BadWeather, folder: Path, seed: int) -> None:
        self.vendors, self.weather, self.folder = vendors, weather, folder
        self.data = folder / "data"
        self.account = LiveAccount(vendors.alpaca, self.data)
        self._chance = random.Random(f"{seed} kills")
        self._order_came = threading.Event()
        vendors.alpaca.before_booking(lambda _body: self._order_came.set())
        vendors.alpaca.behave(forgets_ids=True, hidden_s=HIDDEN_MARKET_S)  # no copy is refused

    def daemon(self) -> Daemon:
        return Daemon(
            self.data, *self.vendors.arguments, cwd=self.folder, env=dict(self.vendors.env)
        )

    def life(self, number: int) -> float:
        """Start, live a little, be killed; return how long the start took, in seconds.

        A start is measured with the weather held, because an order whose look-up fails rightly
        holds it up; of four lives one begins in a storm, and one is killed before it is ready.
        """
        begins_in_a_storm, unborn = number % 4 == 2, number % 4 == 3
        if begins_in_a_storm or unborn:
            self.weather.storm()
        took_s, began = 0.0, time.monotonic()
        with self.daemon() as daemon:
            if unborn:
                daemon.lives_on_for(self._chance.uniform(*STARTS_S))
                how = f"killed {time.monotonic() - began:.2f} s after its start"
            else:
                until_ready(daemon, IN_A_STORM_S if begins_in_a_storm else READY_S)
                took_s = time.monotonic() - began
                weather = " in a storm" if begins_in_a_storm else ""
                self.weather.storm()
                how = f"ready after {took_s:.2f} s{weather}, killed {self._lived(daemon, number)}"
            ended = daemon.kill()
            assert ended.code == -9, f"it ended by itself: {ended.err}"
        self.weather.calm()
        entries = [o for o in self.account.our_orders() if o.parent_id is None]
        print(f"life {number}: {how}; {len(entries)} orders so far")
        return 0.0 if begins_in_a_storm else took_s

    def _lived(self, daemon: Daemon, number: int) -> str:
        """Return what it was doing when its time was over."""
        if number % 4 == 1 and self._waits_for_an_order(daemon):
            daemon.lives_on_for(self._chance.uniform(0.0, 0.1))
            return "with an order on its way"
        daemon.lives_on_for(self._chance.uniform(*RUNS_S))
        return "at random"

    def _waits_for_an_order(self, daemon: Daemon) -> bool:
        self._order_came.clear()
        deadline = time.monotonic() + ORDER_S
        while time.monotonic() < deadline:
            if self._order_came.wait(0.005):
                return True
            assert daemon.lives_on_for(0.0), "it ended by itself"
        return False

    def peace(self) -> None:
        """Start a last time, halted, let everything settle, resume, and stop in order."""
        (self.data / "HALT").touch()
        began = time.monotonic()
        with self.daemon() as daemon:
            daemon.until_ready(READY_S)
            print(f"the last start took {time.monotonic() - began:.2f} s")
            self.vendors.hold_prices()
            daemon.until(self._is_settled, "the journal has what the broker has", SETTLED_S)
            daemon.until(
                lambda: self.account.lots() == self.account.ours_at_broker(),
                "the committed books hold what the broker holds",
                SETTLED_S,
            )
            self.account.assert_nothing_lost()
            self.account.assert_books_agree()
            resumed = roboinvest(
                "resume", "--data-dir", self.data, "--json", cwd=self.folder, env=self.vendors.env
            )
            assert resumed.code == 0, resumed.err  # it was compared with the broker, and agrees
            daemon.kill()

    def _is_settled(self) -> bool:
        open_questions = {"sending", "unknown", "intent"} & {
            *self.account.journal.states().values()
        }
        return not open_questions and not self.account.unbooked()


def until_ready(daemon: Daemon, timeout_s: float) -> Mapping[str, Any]:
    """Wait until this process reports READY."""

    def found() -> Mapping[str, Any] | None:
        report = daemon.report("system_status")
        is_ours = report and report["process"]["pid"] == daemon.pid
        return report if report and is_ours and report["trading_state"] == "READY" else None

    return daemon.until(found, "its status says READY", timeout_s)


def besieged(folder: Path, seed: int, kills: int) -> float:
    """Kill a daemon so often, hold what is left to what must be; return the longest start (s)."""
    print(f"drawn with seed {seed}")
    vendors = LiveVendors(
        rate=RATE, seed=seed, symbols=(*SYMBOLS, MINE[0]), restless=True, shares=SHARES
    )
    with (
        vendors,
        BadWeather(vendors, seed=seed) as weather,
        Reader(folder / "data" / "reports") as reader,
    ):
        siege = Siege(vendors, weather, folder, seed)
        starts = list[float]()
        for number in range(kills):
            starts.append(siege.life(number))
            if number == kills // 2:
                vendors.alpaca.person_trades(MINE[0], "buy", MINE[1])
            siege.account.assert_sent_once()
        siege.peace()
        account = siege.account
        account.assert_sent_once()
        chain = verify_file(account.journal.path)
        entries = [o for o in account.our_orders() if o.parent_id is None and o.side == "buy"]
        trades, hits = account.our_trades(), weather.hits()
        held = account.journal.held(ours=False)
    print(
        f"{kills} kills: starts of {max(starts):.2f} s at most; {len(entries)} entries, "
        f"{len(trades)} executions, {chain.events} events in the journal, {hits} faults, "
        f"{reader.reads} reports read"
    )
    assert held == {MINE[0]: MINE[1]}  # recognised as somebody else's, and left alone
    assert not reader.broken
    assert len(entries) >= kills // 2, "it traded too little to prove anything"
    assert hits >= 5 * kills
    return max(starts)


@pytest.mark.campaign
def test_a_daemon_killed_on_a_bad_day_doubles_nothing_and_loses_nothing(tmp_path: Path) -> None:
    assert besieged(tmp_path, SEED, KILLS) < READY_S


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SEED + 1, SEED + 11))
def test_two_hundred_kills_double_nothing_and_lose_nothing(tmp_path: Path, seed: int) -> None:
    assert besieged(tmp_path, seed, 20) < READY_S
