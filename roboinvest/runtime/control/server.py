"""The daemon's end of the control port: a service that reads one request a connection.

What comes in is hostile until parsed: its length, its time and its number are bounded, and what
is no request gets one sentence and the door. Errors of our own tree are answers. Any other error
is a bug in this house: it ends the service, and the supervisor logs it and starts it again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from roboinvest.core.errors import BadInput, RoboInvestError, TryLater
from roboinvest.runtime.control.port import (
    MAX_REQUEST_BYTES,
    AckAlert,
    ClearLocks,
    Done,
    GetStatus,
    Ping,
    Pong,
    Reply,
    Request,
    RestartService,
    Resume,
    SetHalt,
    SnoozeAlert,
    StatusReply,
    Stop,
    failure_of,
    parse_request,
    socket_address,
    to_line,
)
from roboinvest.runtime.supervision.service import ServiceContext

_BACKLOG: Final = 16


class ControlHandlers(Protocol):
    """Who does what was asked; each raises a RoboInvestError to say no."""

    async def status(self) -> StatusReply:
        """Return the state of the house."""

    async def halt(self, request: SetHalt) -> Done:
        """Put a halt in force."""

    async def resume(self, request: Resume) -> Done:
        """Lift the halt."""

    async def restart_service(self, request: RestartService) -> Done:
        """Ask the supervisor for a restart."""

    async def clear_locks(self, request: ClearLocks) -> Done:
        """Lift locks on entries."""

    async def ack_alert(self, request: AckAlert) -> Done:
        """Note who looks after an alert."""

    async def snooze_alert(self, request: SnoozeAlert) -> Done:
        """Be silent about an alert for a while."""

    async def stop(self, request: Stop) -> Done:
        """Begin an orderly stop."""


class ControlServer:
    """A service that listens on the control socket."""

    name: Final = "control"

    def __init__(
        self,
        path: Path,
        handlers: ControlHandlers,
        *,
        deadline_s: float = 5.0,
        max_connections: int = 16,
    ) -> None:
        """Take the socket's path; the data folder must be held, so that an old socket is stale."""
        self._path = path
        self._handlers = handlers
        self._deadline_s = deadline_s
        self._max_connections = max_connections

    async def run(self, ctx: ServiceContext) -> None:
        """Serve until cancelled; the socket is gone afterwards."""
        loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(self._max_connections)
        listener = self._listen()
        try:
            async with asyncio.TaskGroup() as connections:
                ctx.ready()
                while True:
                    ctx.idle()
                    await places.acquire()
                    line, _ = await loop.sock_accept(listener)
                    served = connections.create_task(self._serve(line))
                    served.add_done_callback(partial(_leave, places, line))
                    ctx.beat()
        finally:
            listener.close()
            self._path.unlink(missing_ok=True)

    def _listen(self) -> socket.socket:
        listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            os.fchmod(listener.fileno(), 0o600)  # before bind, so that it is never wider
            self._path.unlink(missing_ok=True)  # left by a kill -9
            with socket_address(self._path) as address:
                listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener

    async def _serve(self, line: socket.socket) -> None:
        """Answer one connection; a client that misbehaves or leaves is nobody's problem."""
        line.setblocking(False)
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(2 * self._deadline_s):
                reader, writer = await asyncio.open_unix_connection(
                    sock=line, limit=MAX_REQUEST_BYTES
                )
                writer.write(to_line(await self._reply(reader)))
                await writer.drain()
        except (TimeoutError, OSError):
            pass  # gone, or reading slower than a person would wait
        finally:
            if writer is None:
                line.close()
            else:
                writer.close()

    async def _reply(self, reader: asyncio.StreamReader) -> Reply:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._answer(parse_request(await _read_line(reader)))
        except RoboInvestError as error:
            return failure_of(error)
        except TimeoutError:
            return failure_of(TryLater(f"not done within {self._deadline_s:g} s; try again"))

    async def _answer(self, request: Request) -> Reply:
        match request:
            case Ping():
                return Pong(pid=os.getpid())
            case GetStatus():
                return await self._handlers.status()
            case SetHalt():
                return await self._handlers.halt(request)
            case Resume():
                return await self._handlers.resume(request)
            case RestartService():
                return await self._handlers.restart_service(request)
            case ClearLocks():
                return await self._handlers.clear_locks(request)
            case AckAlert():
                return await self._handlers.ack_alert(request)
            case SnoozeAlert():
                return await self._handlers.snooze_alert(request)
            case Stop():
                return await self._handlers.stop(request)


def _leave(places: asyncio.Semaphore, line: socket.socket, served: asyncio.Task[None]) -> None:
    places.release()
    if served.cancelled():  # perhaps before it began, when nobody else owns the socket
        line.close()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        raise BadInput("the request has no end; send one JSON object and a newline") from None
    except asyncio.LimitOverrunError:
        raise BadInput(f"the request is longer than {MAX_REQUEST_BYTES} bytes") from None
