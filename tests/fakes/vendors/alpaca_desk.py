"""Alpaca without its sockets: the account, its rules, the clock, an answer to each request."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from tests.fakes.vendors.alpaca_books import Books
from tests.fakes.vendors.alpaca_data import DataRoutes
from tests.fakes.vendors.alpaca_exchange import Exchange
from tests.fakes.vendors.alpaca_rest import TradingRoutes
from tests.fakes.vendors.alpaca_values import Asset, BooksState, Refusal
from tests.fakes.vendors.http_faults import Request, Response, RollingLimit, json_response
from tools.calendar import ExchangeCalendar

LOOK_S: Final = 0.25  # how often the market's hours are looked at, where they follow the calendar
_DATA: Final = ("/v2/stocks/", "/v1beta1/", "/v1/")


class AlpacaDesk:
    """One account, asked by requests and moved by a test; lives on one loop."""

    def __init__(
        self,
        state: BooksState,
        *,
        now: Callable[[], datetime],
        is_open: bool | None,
        limit_per_minute: int | None,
        seed: int,
        file: Path | None,
    ) -> None:
        """Open the books; `is_open` None follows the exchange's calendar after `look`."""
        self.key, self.secret = "PKTESTKEY", "test-secret-of-the-loopback-account"
        self.limit = RollingLimit(limit_per_minute) if limit_per_minute else None
        self.books = Books(state, now=now, seed=seed)
        self.exchange = Exchange(self.books)
        self.exchange.is_open = bool(is_open)
        self.follows_calendar = is_open is None
        self._calendar = ExchangeCalendar()
        self.trading = TradingRoutes(self.exchange, self._calendar)
        self.data = DataRoutes(self.books)
        self._now = now
        self._file = file

    def look(self) -> None:
        """Open and close with the exchange's calendar, now and from now on."""
        now = self._now()
        is_open = any(
            session.holds(now) for session in self._calendar.sessions(now.date(), now.date())
        )
        if is_open and not self.exchange.is_open:
            self.exchange.open_market()
        elif self.exchange.is_open and not is_open:
            self.exchange.close_market()
        asyncio.get_running_loop().call_later(LOOK_S, self.look)

    def save(self) -> None:
        """Write the books to their file, where there is one."""
        if self._file is not None:
            part = self._file.with_suffix(".part")
            part.write_bytes(TypeAdapter(BooksState).dump_json(self.books.state))
            part.replace(self._file)

    def answer(self, request: Request) -> Response:
        """Return what the vendor says to a request, and do what it asks."""
        headers: dict[str, str] = {}
        if self.limit is not None:
            loop_s = asyncio.get_running_loop().time()
            is_within = self.limit.admit(loop_s)
            resets_at = self._now() + timedelta(seconds=self.limit.reset_in_s(loop_s))
            headers = {
                "X-RateLimit-Limit": str(self.limit.per_minute),
                "X-RateLimit-Remaining": str(self.limit.remaining),
                "X-RateLimit-Reset": str(int(resets_at.timestamp()) + 1),
            }
            if not is_within:
                body = {"code": 42910000, "message": "rate limit exceeded"}
                return json_response(body, 429, headers)
        try:
            self._refuse_strangers(request)
            found = self.data.answer(request) or self.trading.answer(request)
        except Refusal as refusal:
            return json_response(refusal.body, refusal.status, headers)
        if found is None:
            return json_response({"message": "endpoint not found."}, 404, headers)
        return Response(status=found.status, body=found.body, headers=headers)

    def _refuse_strangers(self, request: Request) -> None:
        given = tuple(
            request.headers.get(name) for name in ("apca-api-key-id", "apca-api-secret-key")
        )
        if given == (self.key, self.secret):
            return
        if request.path.startswith(_DATA):
            raise Refusal(403, None, "forbidden.")
        said = "access key verification failed : verification failure"
        raise Refusal(401, 40110000, said)


def opening(file: Path | None, cash: Decimal, symbols: Sequence[str], seed: int) -> BooksState:
    """Return the books as the file has them, or new ones with cash and assets."""
    if file is not None and file.exists():
        return TypeAdapter(BooksState).validate_json(file.read_bytes())
    rng = random.Random(f"{seed} assets")
    state = BooksState(cash=cash, last_equity=cash)
    for symbol in symbols:
        digits = f"{rng.getrandbits(128):032x}"
        cut = (digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:])
        state.assets[symbol] = Asset(id="-".join(cut), symbol=symbol)
    return state
