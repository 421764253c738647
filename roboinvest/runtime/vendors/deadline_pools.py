"""Connections of urllib3 that end: a timeout for each wait, and a deadline for the whole reply.

A read timeout alone is no deadline, because every byte that drips in begins it anew; a server that
sends one byte every few seconds, in its headers or in its body, holds a thread for hours. Here each
read waits for at most what is left of the reply's time. The same classes serve requests (through
`requests_session`) and clients that hold a urllib3 pool of their own.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LONGEST_REPLY: Final = 64 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """How long a socket may take."""

    connect_s: float = 3.0  # to be connected, the handshake included
    read_s: float = 8.0  # between two pieces of a reply
    total_s: float = 10.0  # from the request to the end of the reply


class _Deadline:
    """The time that one request has left, counted from its start."""

    def __init__(self, limits: SocketLimits, monotonic: Callable[[], float]) -> None:
        self.limits = limits
        self._monotonic = monotonic
        self._ends_at = monotonic() + limits.total_s

    def next_wait_s(self) -> float:
        """Return how long the next read may wait, more than 0.

        Raises:
            TimeoutError: the time is over.
        """
        left = self._ends_at - self._monotonic()
        if left <= 0:
            raise TimeoutError(f"the reply took more than {self.limits.total_s:g} s")
        return min(self.limits.read_s, left)


class _TimedReader(io.RawIOBase):
    """A socket's file, each read of which ends in time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: _Deadline) -> None:
        self._raw = raw
        self._socket = sock
        self._deadline = deadline
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 a buffer has no type in 3.11
        self._socket.settimeout(self._deadline.next_wait_s())
        count: int | None = self._raw.readinto(buffer)
        self._size += count or 0
        if self._size > LONGEST_REPLY:
            raise ConnectionError(f"the reply is longer than {LONGEST_REPLY >> 20} MiB")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _timed_reply(deadline: _Deadline) -> Callable[..., http.client.HTTPResponse]:
    """Return a maker of replies that end by the deadline, headers included."""

    def reply(
        sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> http.client.HTTPResponse:
        made = http.client.HTTPResponse(sock, debuglevel, method=method)
        raw = made.fp.detach()
        made.fp = io.BufferedReader(_TimedReader(raw, sock, deadline))
        return made

    return reply


def deadline_pools(
    limits: SocketLimits, monotonic: Callable[[], float]
) -> dict[str, type[HTTPConnectionPool]]:
    """Return the pool classes, by scheme, for `PoolManager.pool_classes_by_scheme`.

    Args:
        limits: for every request; the connect and read timeouts are the pool's own to set.
        monotonic: real seconds that never run backwards; called in worker threads.
    """

    class Timed(HTTPConnection):
        def putrequest(
            self,
            method: str,
            url: str,
            skip_host: bool = False,
            skip_accept_encoding: bool = False,
        ) -> None:
            timed = _timed_reply(_Deadline(limits, monotonic))
            self.response_class = timed  # type: ignore[assignment]  # called, never subclassed
            super().putrequest(method, url, skip_host, skip_accept_encoding)

    class Encrypted(Timed, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Timed

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
