"""The stream of the loopback data vendor: minute bars over a websocket, and its bad days."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.fakes.vendors.polygon_books import Aggregate

HOST = "127.0.0.1"


class StreamManner(StrEnum):
    """How the stream treats whoever connects."""

    GOOD = "good"
    MUTE = "mute"  # connects and never says a word
    MUTE_AUTH = "mute_auth"  # greets, and never answers the key
    MUTE_BARS = "mute_bars"  # takes the subscription and never sends a bar
    REFUSING = "refusing"  # does not know any key
    ODD = "odd"  # answers the key with what is no answer


@dataclass(slots=True, eq=False)
class _Listener:
    socket: ServerConnection
    topics: set[str] = field(default_factory=set)


class PolygonStream:
    """One listening websocket; lives on the loop that starts it."""

    def __init__(self, key: str) -> None:
        self.manner = StreamManner.GOOD
        self.connections = 0  # since the start
        self.said: list[dict[str, Any]] = []  # what clients sent, without their keys
        self.port = 0
        self._key = key
        self._listeners: list[_Listener] = []
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Return "ws://127.0.0.1:PORT", as the setting wants it."""
        return f"ws://{HOST}:{self.port}"

    @property
    def subscribed(self) -> int:
        """Return how many connections take bars."""
        return sum(bool(each.topics) for each in self._listeners)

    async def start(self) -> None:
        """Listen, on the port of before where there was one."""
        self._server = await serve(self._serve, HOST, self.port)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Break every connection and close the port."""
        if self._server is not None:
            for each in tuple(self._listeners):
                each.socket.transport.abort()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def push(self, symbol: str, rows: Iterable[Aggregate]) -> int:
        """Send minute bars to who subscribed to them; return to how many connections."""
        bars = [_event(symbol, row) for row in rows]
        return await self.send([f"AM.{symbol}", "AM.*"], json.dumps(bars))

    async def send(self, topics: Sequence[str], text: str) -> int:
        """Send any text to who subscribed to one of the topics."""
        if self.manner is StreamManner.MUTE_BARS:
            return 0
        reached = [each for each in self._listeners if each.topics.intersection(topics)]
        for each in reached:
            await each.socket.send(text)
        return len(reached)

    async def close_all(self, code: int = 1000) -> None:
        """Say goodbye to everybody, politely or not."""
        for each in tuple(self._listeners):
            await each.socket.close(code)

    def abort_all(self) -> None:
        """Break every connection without a goodbye."""
        for each in tuple(self._listeners):
            each.socket.transport.abort()

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        listener = _Listener(socket)
        self._listeners.append(listener)
        try:
            if socket.request is None or socket.request.path != "/stocks":
                await socket.close(1008)
                return
            if self.manner is not StreamManner.MUTE:
                await self._status(socket, "connected", "Connected Successfully")
            async for message in socket:
                await self._hear(listener, json.loads(message))
        except ConnectionClosed:
            return
        finally:
            self._listeners.remove(listener)

    async def _hear(self, listener: _Listener, said: dict[str, Any]) -> None:
        is_key = said["action"] == "auth"
        self.said.append({"action": "auth"} if is_key else said)
        if self.manner is StreamManner.MUTE:
            return
        if is_key:
            await self._authorise(listener.socket, said["params"])
        elif said["action"] == "subscribe":
            for topic in said["params"].split(","):
                listener.topics.add(topic)
                await self._status(listener.socket, "success", f"subscribed to: {topic}")

    async def _authorise(self, socket: ServerConnection, key: str) -> None:
        if self.manner is StreamManner.MUTE_AUTH:
            return
        if self.manner is StreamManner.ODD:
            await socket.send("{}")
        elif self.manner is StreamManner.REFUSING or key != self._key:
            await self._status(socket, "auth_failed", "authentication failed")
        else:
            await self._status(socket, "auth_success", "authenticated")

    async def _status(self, socket: ServerConnection, status: str, message: str) -> None:
        await socket.send(json.dumps([{"ev": "status", "status": status, "message": message}]))


def _event(symbol: str, row: Aggregate) -> dict[str, Any]:
    return {
        "ev": "AM",
        "sym": symbol,
        "v": row["v"],
        "av": row["v"],
        "op": row["o"],
        "vw": row["vw"],
        "o": row["o"],
        "c": row["c"],
        "h": row["h"],
        "l": row["l"],
        "a": row["vw"],
        "z": 10,
        "s": row["t"],
        "e": row["t"] + 60_000,
    }
