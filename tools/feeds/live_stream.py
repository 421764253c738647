"""The vendor's stream of minute bars, kept connected, into the book.

The vendor's client is used for one connection at a time and never left alone: it waits for ever for
a greeting and for the answer to the key, it returns without a word when the server says goodbye,
and a socket can be open and mute. One deadline covers all of this. It is short until the
subscription is confirmed; then every message moves it, as far as the market's hours allow silence.
A connection that ends is no failure of this service: it waits a little longer each time and comes
back, and what was missed in between is a hole in the book. Only a refused key is a failure.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import structlog
from websockets.exceptions import InvalidHandshake, WebSocketException

from roboinvest.core.errors import TryLater
from roboinvest.core.market.rows import RawRows
from roboinvest.core.ports import Calendar, Clock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.vendors.endpoints import is_loopback
from tools.data_fetcher.failures import BadKey
from tools.data_fetcher.polygon.client import (
    KEY_REFUSED,
    KEY_VARIABLE,
    NAME,
    VENDOR_STREAM,
    vendor_stream,
)
from tools.feeds.minute_book import MinuteBook

_CELLS: Final = ("o", "h", "l", "c", "v")
_NS_PER_MS: Final = 1_000_000
_SHOWN: Final = 120  # characters of a vendor's message that are logged
_FAR_AHEAD: Final = timedelta(days=10)  # no holiday is longer


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPatience:
    """How long the stream may be silent, in seconds."""

    subscribed_s: float = 15.0  # from the connection to the confirmed subscription
    mute_s: float = 150.0  # without a message while the market is open
    first_wait_s: float = 1.0  # before the second connection; doubled each time
    longest_wait_s: float = 60.0


class LiveStream:
    """A supervised service: the stream of one account."""

    name = "market_stream"
    reconnects = "breaks off the stream of bars; it is opened anew, and holes are asked for"

    def __init__(
        self,
        book: MinuteBook,
        key: Secret,
        calendar: Calendar,
        *,
        url: str | None,
        clock: Clock,
        patience: StreamPatience | None = None,
    ) -> None:
        """Bring the bars of the book's symbols.

        Args:
            book: takes the bars.
            key: of the account.
            calendar: tells when silence is odd.
            url: a checked address without a path; None: the vendor's own.
            clock: the machine's.
            patience: see there.
        """
        self._book = book
        self._key = key
        self._calendar = calendar
        self._url = url or VENDOR_STREAM
        self._clock = clock
        self._patience = patience or StreamPatience()
        self._log = structlog.get_logger("roboinvest.market_stream")
        self._client: Any = None  # of the vendor, while it is used
        self.unreadable = 0  # messages that were no bars, since the start

    async def reconnect(self) -> None:
        """Break off; the run connects again after its first wait.

        Raises:
            TryLater: there is no connection, and the run is at it already.
        """
        wire = None if self._client is None else self._client.websocket
        if wire is None:
            raise TryLater(f"{self._who} is not connected, and is tried anyway; wait for it")
        wire.transport.abort()

    async def run(self, ctx: ServiceContext) -> None:
        """Stay connected until cancelled.

        Raises:
            BadKey: the vendor does not take the key.
        """
        ctx.ready()
        wait_s = self._patience.first_wait_s
        while True:
            ctx.beat()
            ctx.idle(self._patience.subscribed_s)
            try:
                await self._listen(ctx)
            except TryLater as error:
                was_up = self._book.stream_since is not None
                self._book.stream_is_down(self._clock.now())
                wait_s = self._patience.first_wait_s if was_up else wait_s
                self._log.warning("stream_ended", why=str(error), again_in_s=wait_s)
            finally:
                if self._book.stream_since is not None:  # cancelled
                    self._book.stream_is_down(self._clock.now())
            ctx.beat()
            await ctx.sleep(wait_s)
            wait_s = min(wait_s * 2, self._patience.longest_wait_s)

    async def _listen(self, ctx: ServiceContext) -> None:
        """Hold one connection until it ends, which it always does with an error.

        Raises:
            TryLater: it could not be made, it ended, or it fell silent.
            BadKey: the vendor does not take the key.
        """
        topics = [f"AM.{symbol}" for symbol in self._book.symbols]
        client = self._client = vendor_stream(self._key, self._url, topics)
        try:
            async with asyncio.timeout(self._patience.subscribed_s) as deadline:

                async def hear(text: str | bytes) -> None:
                    _heed_a_lost_cancellation()
                    self._hear(text)
                    if self._book.stream_since is not None:
                        deadline.reschedule(self._silence_ends_at(ctx))

                await client.connect(hear, **self._connection())
        except KEY_REFUSED as error:
            raise BadKey(
                f"{self._who} does not take the key in {KEY_VARIABLE}; correct the key"
            ) from error
        except TimeoutError:
            raise TryLater(f"{self._who} fell silent") from None
        except (WebSocketException, InvalidHandshake, OSError, EOFError) as error:
            raise TryLater(f"{self._who} broke off ({type(error).__name__})") from None
        except (ValueError, LookupError, TypeError) as error:
            raise TryLater(f"{self._who} talks nonsense ({type(error).__name__})") from None
        finally:
            self._client = None
            if client.websocket is not None:
                client.websocket.transport.abort()  # a mute server would not close politely
        raise TryLater(f"{self._who} said goodbye")

    @property
    def _who(self) -> str:
        return f"the stream of {NAME} at {urlsplit(self._url).netloc}"

    def _connection(self) -> Mapping[str, Any]:
        """Return what goes to the websocket below the client."""
        wanted: dict[str, Any] = {"open_timeout": self._patience.subscribed_s}
        if is_loopback(self._url):
            wanted["proxy"] = None  # what the environment names is not asked about this machine
        return wanted

    def _hear(self, text: str | bytes) -> None:
        """Take one message; what cannot be read is counted and goes no further."""
        try:
            events = json.loads(text)
        except (ValueError, RecursionError):
            events = None
        if not isinstance(events, list):
            self.unreadable += 1
            return
        for event in events:
            kind = event.get("ev") if isinstance(event, dict) else None
            if kind == "AM":
                self._take(event)
            elif kind == "status":
                self._note(event)
            else:
                self.unreadable += 1

    def _note(self, event: Mapping[str, Any]) -> None:
        if event.get("status") == "success" and self._book.stream_since is None:
            self._book.stream_is_up(self._clock.now())
            self._log.info("stream_subscribed", symbols=len(self._book.symbols))
        elif event.get("status") not in ("success", "connected", "auth_success"):
            text = f"{event.get('status')}: {event.get('message')}"
            self._log.warning("stream_status", says=text[:_SHOWN])

    def _take(self, event: Mapping[str, Any]) -> None:
        symbol, start = event.get("sym"), event.get("s")
        if not isinstance(symbol, str) or not isinstance(start, int) or start <= 0:
            self.unreadable += 1
            return
        cells = [event.get(name) for name in _CELLS]
        good = [isinstance(each, int | float) and not isinstance(each, bool) for each in cells]
        values = [each if fine else np.nan for each, fine in zip(cells, good, strict=True)]
        bad = any(not fine and each is not None for each, fine in zip(cells, good, strict=True))
        self._book.add(
            symbol,
            RawRows(
                ts=np.array([start * _NS_PER_MS], np.int64),
                values=np.array(values, np.float64).reshape(5, 1),
                unreadable=np.array([bad]),
                line=np.zeros(1, np.int64),
            ),
        )

    def _silence_ends_at(self, ctx: ServiceContext) -> float:
        """Return the loop time by which the next message must be here, and tell the supervisor."""
        now = self._clock.now()
        ahead = self._calendar.sessions(now.date(), (now + _FAR_AHEAD).date())
        left = [session for session in ahead if session.closes_at > now]
        quiet = max(left[0].opens_at - now, timedelta(0)) if left else _FAR_AHEAD
        wait_s = quiet.total_seconds() + self._patience.mute_s
        ctx.beat()
        ctx.idle(wait_s)
        return asyncio.get_running_loop().time() + wait_s


def _heed_a_lost_cancellation() -> None:
    """End a task that was cancelled just as a message came: the client's `wait_for` forgets it.

    Raises:
        CancelledError: the task was cancelled, by a deadline or by the supervisor.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
