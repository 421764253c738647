"""Alpaca's trade stream: authenticate, listen, trade updates; and all that goes wrong with it.

Nothing is replayed: an update that is said while nobody listens is lost, as at the vendor.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refused

from tests.fakes.vendors.alpaca_bodies import Body
from tests.fakes.vendors.http_server import HOST


@dataclass(slots=True, kw_only=True)
class StreamManners:
    """How the stream behaves, from the next message or connection on."""

    refuses: int = 0  # HTTP status at the handshake; 0: takes connections
    one_socket: bool = False  # a second connection is refused with 406 while the first lives
    mutes_auth: bool = False  # never answers the authentication
    mutes: bool = False  # authenticates, then says nothing
    closes_after_auth: bool = False  # authenticates, then closes
    unauthorized: bool = False
    copies: int = 1  # how often each update is sent; 0: it is lost
    delay_s: float = 0.0
    shuffle_s: float = 0.0  # each copy is late by up to this, so that they overtake each other


class TradeStream:
    """The websocket server; lives on the loop that starts it."""

    def __init__(self, key: str, secret: str, rng: random.Random) -> None:
        self.manners = StreamManners()
        self.port = 0
        self.connections = 0  # since the start, refused ones not counted
        self.listeners = 0  # that listen now
        self.sent: list[Body] = []  # updates, each once, whether someone listened or not
        self._credentials = (key, secret)
        self._rng = rng
        self._server: Server | None = None
        self._open: set[ServerConnection] = set()
        self._queues: set[asyncio.Queue[str]] = set()

    @property
    def url(self) -> str:
        """Return "ws://127.0.0.1:PORT/stream"."""
        return f"ws://{HOST}:{self.port}/stream"

    async def start(self) -> None:
        """Listen, at the port of before if there was one."""
        self._server = await serve(
            self._serve, HOST, self.port, process_request=self._admit, ping_interval=None
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def stop(self) -> None:
        """Close the port and break all connections."""
        if self._server is not None:
            self._server.close(close_connections=False)
            self._server = None
        self.disconnect()

    def disconnect(self) -> None:
        """Break all connections without a farewell."""
        for connection in tuple(self._open):
            connection.transport.abort()

    def say(self, message: Body) -> None:
        """Send an update to all who listen, as the manners have it."""
        self.sent.append(message)
        if self.manners.mutes:
            return
        text, loop = json.dumps(message), asyncio.get_running_loop()
        for queue in tuple(self._queues):
            for _ in range(self.manners.copies):
                late = self.manners.delay_s + self._rng.uniform(0, self.manners.shuffle_s)
                if late > 0:
                    loop.call_later(late, queue.put_nowait, text)
                else:
                    queue.put_nowait(text)

    def _admit(self, connection: ServerConnection, handshake: Handshake) -> Refused | None:
        if self.manners.refuses:
            return connection.respond(HTTPStatus(self.manners.refuses), "refused\n")
        if self.manners.one_socket and self._open:
            return connection.respond(HTTPStatus.NOT_ACCEPTABLE, "connection limit exceeded\n")
        if handshake.path != "/stream":
            return connection.respond(HTTPStatus.NOT_FOUND, "not found\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        self.connections += 1
        queue: asyncio.Queue[str] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(_forward(queue, connection))
                await self._listen(connection, queue)
                sending.cancel()
        except* ConnectionClosed:
            pass  # the client is gone, or was disconnected
        finally:
            self._open.discard(connection)
            self._queues.discard(queue)
            self.listeners = len(self._queues)

    async def _listen(self, connection: ServerConnection, queue: asyncio.Queue[str]) -> None:
        is_known = False
        async for raw in connection:
            message = json.loads(raw)
            if message.get("action") == "authenticate":
                is_known = self._knows(message.get("data", {}))
                if self.manners.mutes_auth:
                    continue
                await connection.send(_authorization(is_known))
                if self.manners.closes_after_auth or not is_known:
                    return
            elif message.get("action") == "listen" and is_known and not self.manners.mutes:
                streams = message.get("data", {}).get("streams", [])
                if "trade_updates" in streams:
                    self._queues.add(queue)
                    self.listeners = len(self._queues)
                await connection.send(
                    json.dumps({"stream": "listening", "data": {"streams": streams}})
                )

    def _knows(self, data: dict[str, Any]) -> bool:
        given = (data.get("key_id"), data.get("secret_key"))
        return given == self._credentials and not self.manners.unauthorized


async def _forward(queue: asyncio.Queue[str], connection: ServerConnection) -> None:
    while True:
        await connection.send(await queue.get())


def _authorization(is_known: bool) -> str:
    status = "authorized" if is_known else "unauthorized"
    data = {"action": "authenticate", "status": status}
    return json.dumps({"stream": "authorization", "data": data})
