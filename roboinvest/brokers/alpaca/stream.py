"""The broker's stream of trade updates: it makes us quick; being right is the business of reading.

Updates that are sent while nobody listens are lost for good, so every connection is followed by
`on_connected`, upon which the house reads orders and executions. A stream can also be connected
and mute; when nothing came for a while, `on_quiet` is asked whether something should have come.

The vendor's own stream class is not used: it waits for ever for an answer to its credentials,
tries wrong ones for ever, and loses an update whose handler fails. Here every step has a deadline,
wrong credentials are a fault that is reported once, and a handler's fault costs one look at the
books, never another update.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.errors import Unreadable
from roboinvest.brokers.alpaca.wire import orders_of, streamed_execution
from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.ports import Clock
from roboinvest.core.venue import Execution, VenueOrder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.vendors.endpoints import is_loopback

_STREAM: Final = "trade_updates"
_AUTH_STATUSES: Final = frozenset({401, 403})
_CROWDED_STATUSES: Final = frozenset({406, 429})
_LONGEST_MESSAGE: Final = 4 << 20  # bytes
_DOUBLINGS: Final = 16  # far beyond any cap; keeps the power small


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeUpdate:
    """One message of the stream."""

    event: str  # "fill", "canceled" ...; also words that we do not know
    orders: tuple[VenueOrder, ...]  # the order it is about, then its legs
    execution: Execution | None  # what it executed, where it names that
    raw: Mapping[str, Any]  # as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """The stream at one instant, for health and for people."""

    is_connected: bool = False
    is_refused: bool = False  # the broker does not accept our keys; nothing is tried any more
    reason: str = "it was not started"  # one phrase; empty while connected
    last_message_at: datetime | None = None  # UTC
    connections: int = 0  # since the daemon started
    faults: int = 0  # updates that could not be read or taken in, since the daemon started


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPolicy:
    """How long the stream waits, and for what."""

    open_s: float = 8.0  # for the connection
    answer_s: float = 8.0  # for each answer to credentials and subscription
    ping_s: float = 15.0  # between pings, and for their answers
    quiet_s: float = 30.0  # without a message, after which `on_quiet` is asked
    backoff_first_s: float = 1.0
    backoff_max_s: float = 60.0
    crowded_s: float = 90.0  # least wait after a refusal for too many connections
    steady_s: float = 60.0  # a connection that lasted so long begins the back-off anew
    tries: int = 3  # with credentials that are refused


class _Refused(Exception):
    """The credentials were not accepted."""


class _Crowded(Exception):
    """Another connection holds our place."""


class _Broken(Exception):
    """The other side does not keep to the protocol."""


class _Connect(connect):
    """A connection that is made where we asked for it, or not at all."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow nobody elsewhere: the first thing we say are our keys."""
        return exc


class AlpacaTradeStream:
    """The service, and what it knows about itself."""

    name: Final = "alpaca-trade-stream"
    reconnects: Final = "closes the stream of trade updates; it opens anew, and the books are read"

    def __init__(
        self,
        access: AlpacaAccess,
        *,
        on_update: Callable[[TradeUpdate], Awaitable[None]],
        on_connected: Callable[[], Awaitable[None]],
        on_quiet: Callable[[], Awaitable[bool]],
        on_refused: Callable[[str], None],
        clock: Clock,
        rng: random.Random,
        in_flight: InFlight,
        policy: StreamPolicy | None = None,
    ) -> None:
        """Make a stream that is not connected.

        Args:
            access: where, and as whom.
            on_update: takes an update in, durably; its RoboInvestErrors lead to `on_connected`.
            on_connected: told after each connection, and after an update that could not be taken
                in, that the books have to be read.
            on_quiet: asked after a quiet time whether the stream missed something; True: it is
                connected again.
            on_refused: told once that the credentials are refused for good, and why.
            clock: of the state's times.
            rng: spreads the back-off.
            in_flight: counts the connections being made.
            policy: of waiting.

        Raises:
            BadSettings: the address is wrong or not allowed.
        """
        self._access = access
        self._url = access.stream_address()
        self._on_update = on_update
        self._on_connected = on_connected
        self._on_quiet = on_quiet
        self._on_refused = on_refused
        self._clock = clock
        self._rng = rng
        self._in_flight = in_flight
        self._policy = policy or StreamPolicy()
        self._pending: deque[TradeUpdate] = deque()  # outlives a run that a handler ended
        self._has_gap = False
        self._state = StreamState()
        self._wire: ClientConnection | None = None  # while it is open
        self._logger = logging.getLogger("roboinvest.alpaca.trade_stream.wire")

    @property
    def state(self) -> StreamState:
        """Return how the stream is."""
        return self._state

    async def reconnect(self) -> None:
        """Close the connection; the run opens another, upon which the books are read.

        Raises:
            TryLater: there is none, and the run is at it already.
        """
        if self._wire is None:
            raise TryLater(f"the stream is not connected ({self._state.reason}) and tries anyway")
        await self._wire.close()

    async def run(self, ctx: ServiceContext) -> None:
        """Keep a connection until cancelled; refused credentials end the trying, not the run."""
        self._logger.setLevel(logging.WARNING)  # below, frames are logged, and one holds the keys
        loop = asyncio.get_running_loop()
        failures = refusals = 0
        try:
            await self._deliver()
            while True:
                began = loop.time()
                least_s = 0.0
                try:
                    await self._connection(ctx)
                except _Refused as error:
                    refusals += 1
                    reason = str(error)
                except _Crowded as error:
                    least_s, reason = self._policy.crowded_s, str(error)
                except (_Broken, OSError, WebSocketException) as error:
                    reason = _in_words(error)
                self._note(is_connected=False, reason=reason)
                ctx.beat()
                if refusals >= self._policy.tries:
                    await self._give_up(ctx)
                lasted = loop.time() - began >= self._policy.steady_s
                failures = 1 if lasted else failures + 1
                await ctx.sleep(max(least_s, self._backoff_s(failures)))
        finally:
            if self._state.is_connected:
                self._note(is_connected=False, reason="it was stopped")

    async def _connection(self, ctx: ServiceContext) -> None:
        """Connect, say who we are, and listen until that ends, which it does by raising."""
        with self._in_flight:
            wire = await self._open()
        async with wire:
            with self._in_flight:
                await self._introduce(wire)
            self._note(is_connected=True, reason="", connections=self._state.connections + 1)
            ctx.beat()
            self._has_gap, self._wire = True, wire
            try:
                await self._listen(ctx, wire)
            finally:
                self._wire = None

    async def _listen(self, ctx: ServiceContext, wire: ClientConnection) -> None:
        while True:
            await self._close_gap()
            message = await self._next(ctx, wire)
            if message is not None:
                self._take(message)
                await self._deliver()
            elif await self._missed_something():
                raise _Broken("connected but mute: the books moved and nothing was told")

    async def _open(self) -> ClientConnection:
        policy = self._policy
        try:
            async with asyncio.timeout(policy.open_s):
                return await _Connect(
                    self._url,
                    open_timeout=policy.open_s,
                    ping_interval=policy.ping_s,
                    ping_timeout=policy.ping_s,
                    close_timeout=1.0,
                    max_size=_LONGEST_MESSAGE,
                    proxy=None if is_loopback(self._url) else True,
                    logger=self._logger,
                )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in _AUTH_STATUSES:
                raise _Refused(f"the stream refused us with status {status}") from None
            if status in _CROWDED_STATUSES:
                raise _Crowded(f"the stream is taken (status {status})") from None
            raise _Broken(f"the stream answered with status {status}") from None
        except TimeoutError:
            raise _Broken(f"no connection within {policy.open_s:g} s") from None
        except InvalidURI:
            raise _Broken("the stream's address is not one of a stream") from None

    async def _introduce(self, wire: ClientConnection) -> None:
        """Say who we are and what we want to hear."""
        keys = {
            "key_id": self._access.key_id.reveal(),
            "secret_key": self._access.secret_key.reveal(),
        }
        answer = await self._ask(
            wire, {"action": "authenticate", "data": keys}, "authorization", "the credentials"
        )
        status = answer.get("status")
        if status != "authorized":
            raise _Refused(f"the stream answered {str(status)[:40]!r} to the credentials")
        listen = {"action": "listen", "data": {"streams": [_STREAM]}}
        answer = await self._ask(wire, listen, "listening", "the subscription")
        if _STREAM not in (answer.get("streams") or ()):
            raise _Broken("the stream does not offer trade updates")

    async def _ask(
        self, wire: ClientConnection, question: Mapping[str, object], stream: str, about: str
    ) -> Mapping[str, Any]:
        """Send a message and return the data of its answer."""
        try:
            async with asyncio.timeout(self._policy.answer_s):
                await wire.send(json.dumps(question))
                while True:
                    message = _parsed(await wire.recv())
                    if _code_of(message) in _CROWDED_STATUSES:
                        raise _Crowded("the stream has too many connections")
                    if message.get("stream") == stream:
                        return _data(message)
                    self._take(message)
        except TimeoutError:
            raise _Broken(f"no answer to {about} within {self._policy.answer_s:g} s") from None
        except Unreadable as error:
            raise _Broken(f"the answer to {about} is unreadable: {error}") from None

    async def _next(self, ctx: ServiceContext, wire: ClientConnection) -> Mapping[str, Any] | None:
        """Return the next message; None after a quiet time, or for one that cannot be read."""
        ctx.idle(self._policy.quiet_s)
        try:
            async with asyncio.timeout(self._policy.quiet_s):
                text = await wire.recv()
        except TimeoutError:
            return None
        finally:
            ctx.beat()
        self._note(last_message_at=self._clock.now())
        try:
            return _parsed(text)
        except Unreadable:
            self._fault()
            return {}

    def _take(self, message: Mapping[str, Any]) -> None:
        """Queue a trade update; other messages say nothing."""
        if message.get("stream") != _STREAM:
            if _code_of(message) in _CROWDED_STATUSES:
                raise _Crowded("the stream has too many connections")
            return
        try:
            raw = _data(message)
            orders = orders_of(raw.get("order"))
            execution = streamed_execution(raw, orders[0]) if orders else None
        except Unreadable:
            self._fault()
            return
        event = str(raw.get("event") or "")
        if event in {"fill", "partial_fill"} and execution is None:
            self._has_gap = True  # it was executed, and only the books say what exactly
        self._pending.append(TradeUpdate(event=event, orders=orders, execution=execution, raw=raw))

    async def _deliver(self) -> None:
        """Hand over what is queued; what fails is not tried again but read from the books."""
        while self._pending:
            update = self._pending.popleft()
            try:
                await self._on_update(update)
            except RoboInvestError:
                self._fault()

    async def _close_gap(self) -> None:
        """Have the books read if something may have been missed; a failure is made up for later."""
        if not self._has_gap:
            return
        self._has_gap = False
        try:
            await self._on_connected()
        except RoboInvestError:
            self._has_gap = True

    async def _missed_something(self) -> bool:
        try:
            return await self._on_quiet()
        except RoboInvestError:
            return False  # the books cannot be read: nothing is known against the stream

    async def _give_up(self, ctx: ServiceContext) -> None:
        """Report refused credentials once, and wait for somebody to end this run."""
        reason = (
            f"{self._state.reason} {self._policy.tries} times; correct ALPACA_API_KEY and "
            "ALPACA_SECRET_KEY, check paper against live, and start again"
        )
        self._note(is_refused=True, reason=reason)
        self._on_refused(reason)
        ctx.idle()
        await asyncio.Event().wait()

    def _fault(self) -> None:
        self._has_gap = True
        self._note(faults=self._state.faults + 1)

    def _backoff_s(self, failures: int) -> float:
        policy = self._policy
        longest = policy.backoff_first_s * 2.0 ** min(failures - 1, _DOUBLINGS)
        return min(longest, policy.backoff_max_s) * self._rng.uniform(0.5, 1.0)

    def _note(self, **changes: Any) -> None:  # noqa: ANN401 the fields of the state
        self._state = replace(self._state, **changes)


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    """Return a message; it comes as text or as bytes of text."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no JSON") from error
    if not isinstance(message, dict):
        raise Unreadable("it is no object")
    return message


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    data = message.get("data")
    if not isinstance(data, dict):
        raise Unreadable("it has no data")
    return data


def _code_of(message: Mapping[str, Any]) -> object:
    data = message.get("data")
    return data.get("code") if isinstance(data, dict) else message.get("code")


def _in_words(error: Exception) -> str:
    if isinstance(error, _Broken):
        return str(error)
    return f"the connection broke ({type(error).__name__})"
