"""The endpoint that Prometheus scrapes: GET /metrics on loopback, and nothing else.

A few lines of HTTP on the loop's own sockets, because a library's server would bring a thread of
its own. A scrape is answered from figures that are at most a second old, so that many scrapes cost
no more than one. A port that is taken is an alert, and is tried again; the daemon goes on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.metrics.figures import Figures
from roboinvest.runtime.supervision.service import ServiceContext

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
HOST: Final = "127.0.0.1"
ALERT_KEY: Final = "metrics.port"
DEADLINE_S: Final = 5.0  # of one connection
FRESH_S: Final = 1.0
RETRY_S: Final = 10.0  # before a port that is taken is tried again
MAX_CONNECTIONS: Final = 8
_BACKLOG: Final = 16
_MAX_HEAD: Final = 8 * 1024  # bytes of a request
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "[::1]", ""})


class MetricsServer:
    """A service that answers scrapes."""

    name: Final = "metrics"

    def __init__(
        self,
        port: int,
        figures: Callable[[], Awaitable[Figures]],
        *,
        publish: Callable[[Event], None],
        clock: Clock,
        left_open: bool = False,
    ) -> None:
        """Take the port (0: any) and who knows the figures.

        Args:
            port: of loopback.
            figures: returns what is true now; TryLater while the house is being built.
            publish: hears of a port that is taken.
            clock: tells when.
            left_open: whether an earlier run left that alert open.
        """
        self.port = port  # the one that is listened on, once it is
        self._figures = figures
        self._publish = publish
        self._clock = clock
        self._is_raised = left_open
        self._text = b""
        self._text_at: float | None = None  # loop time
        self._making = asyncio.Lock()
        self._log = structlog.get_logger("roboinvest.metrics")

    async def run(self, ctx: ServiceContext) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(MAX_CONNECTIONS)
        ctx.ready()
        listener = await self._bound(ctx)
        try:
            async with asyncio.TaskGroup() as connections:
                while True:
                    ctx.beat()
                    ctx.idle()
                    await places.acquire()
                    line, _ = await loop.sock_accept(listener)
                    served = connections.create_task(self._serve(line))
                    served.add_done_callback(partial(_leave, places, line))
        finally:
            listener.close()

    async def _bound(self, ctx: ServiceContext) -> socket.socket:
        """Return a socket that listens, however long that takes."""
        while True:
            try:
                listener = _listen(self.port)
            except OSError as error:
                self._tell_taken(error.strerror or str(error))
                ctx.beat()
                await ctx.sleep(RETRY_S)
            else:
                self.port = listener.getsockname()[1]
                self._tell_bound()
                return listener

    def _tell_taken(self, why: str) -> None:
        if self._is_raised:
            return
        self._is_raised = True
        self._log.warning("metrics_port_taken", port=self.port, error=why)
        self._publish(
            AlertRaised(
                at=self._clock.now(),
                key=ALERT_KEY,
                severity=Severity.LOW,
                kind="system",
                message=f"no figures for Prometheus: port {self.port} of {HOST} cannot be taken "
                f"({why}); free it, or set metrics.port to another",
            )
        )

    def _tell_bound(self) -> None:
        if self._is_raised:
            self._is_raised = False
            message = f"port {self.port} is listened on"
            self._publish(AlertResolved(at=self._clock.now(), key=ALERT_KEY, message=message))

    async def _serve(self, line: socket.socket) -> None:
        """Answer one connection; a client that misbehaves or leaves is nobody's problem."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DEADLINE_S):
                head = await _read_head(loop, line)
                await loop.sock_sendall(line, await self._answer(head))
        except (TimeoutError, OSError):
            pass
        finally:
            line.close()

    async def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _reply(400, b"this is no request\n")
        if _host_of(head) not in _LOCAL:  # a page of somebody's, which has this name lead here
            return _reply(403, b"only this machine is answered\n")
        if words[0] not in (b"GET", b"HEAD"):
            return _reply(405, b"only GET\n")
        if words[1].partition(b"?")[0] != b"/metrics":
            return _reply(404, b"the figures are at /metrics\n")
        try:
            text = await self._fresh()
        except TryLater:
            return _reply(503, b"the house is being built; ask again in a moment\n")
        return _reply(200, text, head_only=words[0] == b"HEAD")

    async def _fresh(self) -> bytes:
        """Return the text, made anew when it is older than a second."""
        from roboinvest.runtime.metrics.exposition import exposition  # a library few runs need

        loop = asyncio.get_running_loop()
        async with self._making:
            if self._text_at is None or loop.time() - self._text_at >= FRESH_S:
                self._text = exposition(await self._figures())
                self._text_at = loop.time()
            return self._text


def _listen(port: int) -> socket.socket:
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _leave(places: asyncio.Semaphore, line: socket.socket, served: asyncio.Task[None]) -> None:
    places.release()
    if served.cancelled():  # perhaps before it began, when nobody else owns the socket
        line.close()


async def _read_head(loop: asyncio.AbstractEventLoop, line: socket.socket) -> bytes:
    line.setblocking(False)
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
        part = await loop.sock_recv(line, _MAX_HEAD)
        if not part:
            break
        head += part
    return head


def _host_of(head: bytes) -> str:
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.strip().lower() == b"host":
            host = value.strip().decode("ascii", "replace").lower()
            return host if host.endswith("]") else host.rpartition(":")[0] or host
    return ""


def _reply(code: int, body: bytes, *, head_only: bool = False) -> bytes:
    words = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
    words |= {405: "Method Not Allowed", 503: "Service Unavailable"}
    kind = CONTENT_TYPE if code == 200 else "text/plain; charset=utf-8"
    head = (
        f"HTTP/1.1 {code} {words[code]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
