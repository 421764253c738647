"""A thin client of Chroma's HTTP interface, one connection a call, each call with a deadline.

The vendor's client is not used: it waits for ever (its timeout is None) and its import costs 63 MB
and 0.4 to 1.4 s, where this one costs 4 MB; the daemon needs five calls of the same documented
interface (v2). Calls run in a bounded thread pool. A deadline shuts the socket, so the thread
comes back too: a server that drips a byte a second cannot use up the pool.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from roboinvest.runtime.recall.chroma_server import Address, Damaged, ServerAway

ResultT = TypeVar("ResultT")
CALL_TIMEOUT_S: Final = 2.0
_COLLECTIONS: Final = "/api/v2/tenants/default_tenant/databases/default_database/collections"
_LONGEST_REPLY: Final = 16 << 20  # bytes
_CHUNK: Final = 1 << 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stored memory."""

    row_id: str
    vector: tuple[float, ...]  # see embedding
    text: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One row that was found."""

    row_id: str
    distance: float  # 1 - inner product, in [0, 2]
    text: str


class VectorClient(Protocol):
    """The calls that recall makes. Every one raises ServerAway within its deadline."""

    async def open(self, name: str) -> None:
        """Find or make the collection; the calls below need it."""

    async def put(self, make_rows: Callable[[], Sequence[Row]]) -> None:
        """Insert or replace rows, made in the worker thread."""

    async def count(self) -> int:
        """Return how many rows are held."""

    async def nearest(
        self, make_vector: Callable[[], Sequence[float]], k: int, agent_id: str | None
    ) -> Sequence[Match]:
        """Return up to `k` rows, of one agent or of all, in the server's order."""


class ChromaClient:
    """Chroma over HTTP."""

    def __init__(
        self, address: Address, *, pool: Executor, timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        self._address = address
        self._pool = pool
        self._timeout_s = timeout_s
        self._collection = ""

    async def open(self, name: str) -> None:
        """Find or make the collection, measured by inner product."""
        body = {
            "name": name,
            "get_or_create": True,
            "configuration": {"hnsw": {"space": "ip"}},
        }
        found = await self._call("open", "POST", _COLLECTIONS, lambda: body, _collection_id)
        self._collection = f"{_COLLECTIONS}/{found}"

    async def put(self, make_rows: Callable[[], Sequence[Row]]) -> None:
        """Insert or replace rows; embedding and JSON are made in the worker thread too."""
        path = f"{self._collection}/upsert"
        await self._call("put", "POST", path, lambda: _columns(make_rows()), _nothing)

    async def count(self) -> int:
        """Return how many rows are held."""
        return await self._call("count", "GET", f"{self._collection}/count", None, int)

    async def nearest(
        self, make_vector: Callable[[], Sequence[float]], k: int, agent_id: str | None
    ) -> Sequence[Match]:
        """Return up to `k` rows, of one agent or of all, in the server's order."""

        def body() -> dict[str, Any]:
            query: dict[str, Any] = {
                "query_embeddings": [list(make_vector())],
                "n_results": k,
                "include": ["documents", "distances"],
            }
            return query if agent_id is None else {**query, "where": {"agent_id": agent_id}}

        return await self._call("query", "POST", f"{self._collection}/query", body, _matches)

    async def _call(
        self,
        name: str,
        method: str,
        path: str,
        make_body: Callable[[], object] | None,
        read: Callable[[Any], ResultT],
    ) -> ResultT:
        exchange = _Exchange(self._address, self._timeout_s)

        def work() -> ResultT:
            return read(json.loads(exchange.run(method, path, make_body)))

        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            raise ServerAway(
                f"the recall server did not answer {name} within {self._timeout_s:g} s; try again"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ServerAway(
                f"the recall server broke off at {name} ({type(error).__name__}); try again"
            ) from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise Damaged(f"the recall server's reply to {name} cannot be read") from error
        finally:
            exchange.abort()


class _Exchange:
    """One request and its reply, in a worker thread, that another thread can cut short."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._wire = http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
        self._socket: socket.socket | None = None  # http.client may let go of its own
        self._is_aborted = False

    def run(self, method: str, path: str, make_body: Callable[[], object] | None) -> bytes:
        body = None if make_body is None else json.dumps(make_body()).encode()
        if self._is_aborted:  # the deadline passed while this waited for a thread
            raise ConnectionAbortedError("the deadline passed before the call was sent")
        try:
            self._wire.connect()
            self._socket = self._wire.sock
            self._wire.request(method, path, body, {"Content-Type": "application/json"})
            reply = self._wire.getresponse()
            content = self._read(reply)
        finally:
            self._wire.close()
        if not 200 <= reply.status < 300:
            raise Damaged(f"the recall server answered {method} with status {reply.status}")
        return content

    def abort(self) -> None:
        """Wake the thread that waits for this exchange; it then ends with an error."""
        self._is_aborted = True
        if self._socket is None:
            return
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed in between

    def _read(self, reply: http.client.HTTPResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := reply.read1(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > _LONGEST_REPLY:
                raise Damaged(f"the recall server sent more than {_LONGEST_REPLY >> 20} MiB")
        return b"".join(chunks)


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "ids": [row.row_id for row in rows],
        "embeddings": [list(row.vector) for row in rows],
        "documents": [row.text for row in rows],
        "metadatas": [{"agent_id": row.agent_id} for row in rows],
    }


def _collection_id(reply: Any) -> str:  # noqa: ANN401 JSON has no narrower type
    return str(reply["id"])


def _nothing(_reply: object) -> None:
    return None


def _matches(reply: Any) -> tuple[Match, ...]:  # noqa: ANN401 JSON has no narrower type
    found = zip(reply["ids"][0], reply["distances"][0], reply["documents"][0], strict=True)
    return tuple(
        Match(row_id=str(row_id), distance=float(distance), text=text or "")
        for row_id, distance, text in found
    )
