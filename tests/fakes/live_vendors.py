"""Both vendors on loopback, telling one invented market at a clock that runs fast.

The bars are those of the simulated market, or of one so restless that the daemon has something to
trade all the time; each is pushed when its minute has closed by that clock, and the broker's prices
follow it. A daemon joins with the settings of `arguments` and `env`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

import numpy as np

from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.runtime.clock import SystemClock
from tests.fakes.restless_market import restless_rows
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_server import PolygonServer
from tests.fakes.vendors.polygon_stream import StreamManner
from tools.calendar import ExchangeCalendar
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

SYMBOLS: Final = ("SPY", "AAPL", "MSFT", "NVDA", "TSLA", "AMD", "META", "AMZN")
DAY: Final = date(2026, 3, 18)  # a plain Wednesday
HISTORY_DAYS: Final = 12
JOINED: Final = timedelta(hours=2)  # after the open
SHOWN: Final = timedelta(seconds=5)  # by the market's clock, between two looks at it
_MINUTE_NS: Final = 60 * 10**9
_LOOK_S: Final = 0.02
TRADES_FREELY: Final = {  # limits that would end a lively hour early
    "ROBOINVEST_RISK__MAX_TRADES_PER_DAY": "100000",
    "ROBOINVEST_RISK__COOLDOWN_BARS": "0",
    "ROBOINVEST_RISK__MAX_OPEN_ORDERS": "500",
    "ROBOINVEST_RISK__MAX_POSITION_FRAC": "0.05",
    "ROBOINVEST_RISK__MAX_GROSS_FRAC": "1",
    "ROBOINVEST_RISK__MAX_DAILY_LOSS_FRAC": "0.9",
    "ROBOINVEST_RISK__MAX_DRAWDOWN_FRAC": "0.9",
}


class LiveVendors:
    """The world outside of a daemon; use it with `with`."""

    def __init__(
        self,
        *,
        rate: float = 20.0,
        seed: int = 7,
        symbols: Sequence[str] = SYMBOLS,
        restless: bool = False,
        shares: int | None = None,
    ) -> None:
        """Prepare the market.

        Args:
            rate: how fast its clock runs.
            seed: which market it is.
            symbols: that can be traded.
            restless: whether there is an entry every few minutes, rather than a likely market.
            shares: that trade at each look at the prices; None: as many as are wanted.
        """
        calendar = ExchangeCalendar()
        (self._session,) = calendar.sessions(DAY, DAY)
        machine = SystemClock().now()
        self.rate, self.anchor = rate, machine
        self.offset = self._session.opens_at + JOINED - machine
        self.clock = SystemClock(self.offset, rate=rate, anchor=machine)
        self.symbols, self.restless, self._shares = tuple(symbols), restless, shares
        self.alpaca = AlpacaServer(symbols=symbols, clock=self.clock, seed=seed)
        self.polygon = PolygonServer(now=self.clock.now)
        rows_of = _restless if restless else _simulated
        self._rows = dict(zip(symbols, rows_of(calendar, symbols, seed), strict=True))
        self._shown: datetime | None = None
        self._ending, self._holding = threading.Event(), threading.Event()
        self._pump = threading.Thread(target=self._run, name="live-market", daemon=True)

    def __enter__(self) -> Self:
        self.alpaca.start()
        self.polygon.__enter__()
        now = self.clock.now()
        for symbol, rows in self._rows.items():
            self.polygon.add_bars(symbol, _between(rows, None, now))
        self._shown = now
        self._price(now)
        self._pump.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._pump.join(timeout=5.0)
        self.polygon.__exit__(kind, error, trace)
        self.alpaca.stop()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return what follows `roboinvest`."""
        symbols = ",".join(self.symbols)
        return ("run", "--market", "polygon", "--broker", "alpaca", "--symbols", symbols)

    @property
    def env(self) -> Mapping[str, str]:
        """Return the environment of a daemon that trades here."""
        return {
            "POLYGON_API_KEY": self.polygon.key,
            "ALPACA_API_KEY": self.alpaca.key,
            "ALPACA_SECRET_KEY": self.alpaca.secret,
            "ROBOINVEST_ALPACA__BASE_URL": self.alpaca.url,
            "ROBOINVEST_ALPACA__STREAM_URL": self.alpaca.stream_url,
            "ROBOINVEST_ALPACA__CALLS_PER_MINUTE": "6000",
            "ROBOINVEST_POLYGON__BASE_URL": self.polygon.url,
            "ROBOINVEST_POLYGON__STREAM_URL": self.polygon.stream_url,
            "ROBOINVEST_POLYGON__CALLS_PER_MINUTE": "6000",
            "ROBOINVEST_TESTING__LOOPBACK_ONLY": "on",
            "ROBOINVEST_CLOCK__OFFSET_S": repr(self.offset.total_seconds()),
            "ROBOINVEST_CLOCK__RATE": repr(self.rate),
            "ROBOINVEST_CLOCK__ANCHOR": self.anchor.isoformat(),
            "ROBOINVEST_MEMORY__CHROMA": "off",
            **(TRADES_FREELY if self.restless else {}),
        }

    def machine_time(self, at: datetime) -> datetime:
        """Return when it was by the machine's clock that the market's showed `at`."""
        return self.anchor + (at - self.offset - self.anchor) / self.rate

    def hold_prices(self) -> None:
        """Let no bar and no price be told from now on; what rests at the broker stays there."""
        self._holding.set()

    def stall(self) -> None:
        """Let both vendors take everything and say nothing, on every connection."""
        self.alpaca.add_fault(kind=FaultKind.STALL, count=None)
        self.alpaca.stream(mutes=True, mutes_auth=True)
        self.alpaca.disconnect_streams()
        self.polygon.plant(Fault(kind=FaultKind.STALL, count=None))
        self.polygon.stream_manner(StreamManner.MUTE)
        self.polygon.break_stream()

    def heal(self) -> None:
        """Let both vendors answer again."""
        self.alpaca.clear_faults()
        self.alpaca.stream(mutes=False, mutes_auth=False)
        self.alpaca.disconnect_streams()
        self.polygon.heal()
        self.polygon.stream_manner(StreamManner.GOOD)
        self.polygon.break_stream()

    def _run(self) -> None:
        while not self._ending.wait(_LOOK_S):
            now = self.clock.now()
            if self._holding.is_set():
                continue
            if self._shown is None or now - self._shown >= SHOWN:
                self._show(now)

    def _show(self, now: datetime) -> None:
        """Push every bar that has closed since the last look, and let the broker trade there."""
        before, self._shown = self._shown, now
        for symbol, rows in self._rows.items():
            fresh = _between(rows, before or now, now)
            if len(fresh):
                self.polygon.push(symbol, fresh)
        self._price(now)

    def _price(self, now: datetime) -> None:
        for symbol, rows in self._rows.items():
            close = float(rows.values[3][_closed_by(rows, now) - 1])
            self.alpaca.set_price(symbol, Decimal(str(round(close, 2))), self._shares)


def _simulated(calendar: ExchangeCalendar, symbols: Sequence[str], seed: int) -> list[RawRows]:
    first = DAY - timedelta(days=HISTORY_DAYS)
    world = SimulatedMarket(
        SimulatedMarketSettings(seed=seed, symbols=tuple(symbols), first=first), calendar
    )

    async def drawn() -> list[Mapping[str, RawRows]]:
        return [await world.session_rows(session) for session in _sessions(calendar)]

    days = asyncio.run(drawn())
    return [_joined([day[symbol] for day in days]) for symbol in symbols]


def _restless(calendar: ExchangeCalendar, symbols: Sequence[str], seed: int) -> list[RawRows]:
    return restless_rows(_sessions(calendar), symbols, seed)


def _sessions(calendar: ExchangeCalendar) -> Sequence[Session]:
    return calendar.sessions(DAY - timedelta(days=HISTORY_DAYS), DAY)


def _joined(parts: Sequence[RawRows]) -> RawRows:
    ts = np.concatenate([part.ts for part in parts])
    return RawRows.of(ts, np.concatenate([part.values for part in parts], axis=1))


def _closed_by(rows: RawRows, instant: datetime) -> int:
    """Return how many bars have closed by then."""
    at_ns = int(instant.timestamp()) * 10**9
    return int(np.searchsorted(rows.ts + _MINUTE_NS, at_ns, side="right"))


def _between(rows: RawRows, after: datetime | None, until: datetime) -> RawRows:
    """Return the bars that closed after the one instant and by the other."""
    first = 0 if after is None else _closed_by(rows, after)
    chosen = slice(first, _closed_by(rows, until))
    return RawRows.of(rows.ts[chosen], np.ascontiguousarray(rows.values[:, chosen]))
