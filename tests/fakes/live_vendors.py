"""Both vendors on loopback, telling one invented market at a clock that runs fast.

The bars are those of the simulated market, so that the daemon finds something to trade; each is
pushed when its minute has closed by that clock, and the broker's prices follow it. A daemon joins
with the settings of `arguments` and `env`.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

import numpy as np

from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.runtime.clock import SystemClock
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.polygon_server import PolygonServer
from tools.calendar import ExchangeCalendar
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

SYMBOLS: Final = ("SPY", "AAPL", "MSFT", "NVDA", "TSLA", "AMD", "META", "AMZN")
DAY: Final = date(2026, 3, 18)  # a plain Wednesday
HISTORY_DAYS: Final = 12
JOINED: Final = timedelta(hours=2)  # after the open
MINUTE: Final = timedelta(minutes=1)
_MINUTE_NS: Final = 60 * 10**9
_LOOK_S: Final = 0.02


class LiveVendors:
    """The world outside of a daemon; use it with `with`."""

    def __init__(self, *, rate: float = 20.0, seed: int = 7) -> None:
        """Take how fast the market's clock runs, and which market it is."""
        calendar = ExchangeCalendar()
        (self._session,) = calendar.sessions(DAY, DAY)
        machine = SystemClock().now()
        self.rate, self.anchor = rate, machine
        self.offset = self._session.opens_at + JOINED - machine
        self.clock = SystemClock(self.offset, rate=rate, anchor=machine)
        self.alpaca = AlpacaServer(symbols=SYMBOLS, clock=self.clock, seed=seed)
        self.polygon = PolygonServer(now=self.clock.now)
        self._rows = _rows_of(calendar, seed)
        self._shown: datetime | None = None
        self._ending = threading.Event()
        self._pump = threading.Thread(target=self._run, name="live-market", daemon=True)

    def __enter__(self) -> Self:
        self.alpaca.start()
        self.polygon.__enter__()
        for _, rows in self._rows:
            for symbol, all_rows in rows.items():
                self.polygon.add_bars(symbol, _before(all_rows, self.clock.now()))
        self._shown = self.clock.now()
        self._price(self._shown)
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
        symbols = ",".join(SYMBOLS)
        return ("run", "--market", "polygon", "--broker", "alpaca", "--symbols", symbols)

    @property
    def env(self) -> dict[str, str]:
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
        }

    def _run(self) -> None:
        while not self._ending.wait(_LOOK_S):
            now = self.clock.now()
            if self._shown is None or now - self._shown >= timedelta(seconds=5):
                self._show(now)

    def _show(self, now: datetime) -> None:
        """Push every bar that has closed since the last look, and let the broker trade there."""
        before, self._shown = self._shown, now
        for _, rows in self._rows:
            for symbol, all_rows in rows.items():
                fresh = _between(all_rows, before or now, now)
                if len(fresh):
                    self.polygon.push(symbol, fresh)
        self._price(now)

    def _price(self, now: datetime) -> None:
        for symbol in SYMBOLS:
            closes = [
                float(rows[symbol].values[3][-1])
                for _, rows in ((s, {symbol: _before(r[symbol], now)}) for s, r in self._rows)
                if len(rows[symbol])
            ]
            self.alpaca.set_price(symbol, Decimal(str(round(closes[-1], 2))))


def _rows_of(calendar: ExchangeCalendar, seed: int) -> list[tuple[Session, dict[str, RawRows]]]:
    first = DAY - timedelta(days=HISTORY_DAYS)
    world = SimulatedMarket(
        SimulatedMarketSettings(seed=seed, symbols=SYMBOLS, first=first), calendar
    )

    async def drawn() -> list[tuple[Session, dict[str, RawRows]]]:
        return [
            (session, dict(await world.session_rows(session)))
            for session in calendar.sessions(first, DAY)
        ]

    return asyncio.run(drawn())


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * 10**9


def _before(rows: RawRows, now: datetime) -> RawRows:
    return _between(rows, datetime.fromtimestamp(0, tz=now.tzinfo), now)


def _between(rows: RawRows, after: datetime, until: datetime) -> RawRows:
    """Return the bars that closed after the one instant and by the other."""
    closes = rows.ts + _MINUTE_NS
    chosen = (closes > _ns(after)) & (closes <= _ns(until))
    return RawRows.of(rows.ts[chosen], np.ascontiguousarray(rows.values[:, chosen]))
