"""A vector server on loopback that speaks the part of Chroma's HTTP interface that recall uses.

It searches exactly, keeps its rows by folder, and misbehaves on request: it stalls, drips, fails,
talks nonsense, forgets rows, or ends. The real child is tested beside it; this one makes failures
happen at a chosen moment. The table of memories stands here as well, since both are one story.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from roboinvest.core.orders import Action
from roboinvest.core.quant.memories import Memory
from roboinvest.runtime.recall.chroma_server import Address, Damaged

SEEN_AT = datetime(2011, 1, 3, 14, 31, tzinfo=UTC)


class Manner(StrEnum):
    """How the server answers."""

    ANSWERING = "answering"
    STALLED = "stalled"  # takes the request and says nothing
    DRIPPING = "dripping"  # sends a byte now and then, for ever
    FAILING = "failing"  # status 500
    GARBLED = "garbled"  # status 200 and no JSON


class FakeChroma:
    """A `Server` whose folder holds one file, and whose rows live here."""

    def __init__(self) -> None:
        self.manner = Manner.ANSWERING
        self.refuses_folders: set[str] = set()  # on which a start ends by itself
        self.puts_until_end: int | None = None  # the server ends at this upsert
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}  # by folder name, by row id
        self.folders: list[Path] = []  # in order of start
        self.queries: list[dict[str, Any]] = []
        self._listener: asyncio.Server | None = None
        self._ended = asyncio.Event()
        self._how = ""
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def held(self) -> dict[str, dict[str, Any]]:
        """Return the rows of the folder that is served."""
        return self.rows[self.folders[-1].name]

    async def start(self, folder: Path) -> Address:
        await self.stop()
        self.folders.append(folder)
        if folder.name in self.refuses_folders:
            raise Damaged("the recall server ended before it listened (exit code 1)")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chroma.sqlite3").touch()
        self.rows.setdefault(folder.name, {})
        self._ended = asyncio.Event()
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        return Address(host="127.0.0.1", port=port)

    async def wait(self) -> str:
        await self._ended.wait()
        return self._how

    async def stop(self) -> None:
        self.end("stopped")

    def trim_log(self) -> None:
        return

    def end(self, how: str) -> None:
        """End as a killed process does: the port closes and open connections break."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in tuple(self._open):
            writer.transport.abort()
        self._how = how
        self._ended.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (
                    int(line.split(":")[1])
                    for line in head.splitlines()
                    if line.lower().startswith("content-length:")
                ),
                0,
            )
            body = json.loads(await reader.readexactly(length) or b"null")
            await self._reply(writer, head.split()[1].rsplit("/", 1)[1], body)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(writer)
            writer.close()

    async def _reply(self, writer: asyncio.StreamWriter, call: str, body: Any) -> None:
        if self.manner is Manner.STALLED:
            await self._ended.wait()
            return
        if self.manner is Manner.DRIPPING:
            await self._drip(writer)
            return
        if call == "upsert" and self.puts_until_end is not None:
            self.puts_until_end -= 1
            if self.puts_until_end <= 0:
                self.puts_until_end = None
                self.end("signal 9")
                return
        status = 500 if self.manner is Manner.FAILING else 200
        content = json.dumps(self._answer(call, body)).encode()
        if self.manner is Manner.GARBLED:
            content = b"<html>no"
        writer.write(
            b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content
        )
        await writer.drain()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not self._ended.is_set():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    def _answer(self, call: str, body: Any) -> Any:
        if call == "collections":
            return {"id": "c0ffee"}
        if call == "count":
            return len(self.held)
        if call == "upsert":
            columns = (body["ids"], body["embeddings"], body["documents"], body["metadatas"])
            for row_id, vector, text, about in zip(*columns, strict=True):
                self.held[row_id] = {"vector": vector, "text": text, **about}
            return {}
        return self._search(body)

    def _search(self, body: Any) -> Any:
        self.queries.append(body)
        (asked,) = body["query_embeddings"]
        agent_id = body.get("where", {}).get("agent_id")
        near = sorted(
            (1.0 - sum(a * b for a, b in zip(asked, row["vector"], strict=True)), row_id)
            for row_id, row in self.held.items()
            if agent_id in (None, row["agent_id"])
        )
        near.sort(key=lambda pair: (pair[0], [-ord(c) for c in pair[1]]))  # ties in no useful order
        near = near[: body["n_results"]]
        return {
            "ids": [[row_id for _, row_id in near]],
            "distances": [[distance for distance, _ in near]],
            "documents": [[self.held[row_id]["text"] for _, row_id in near]],
        }


def make_memory(number: int, *, agent_id: str = "organic", text: str | None = None) -> Memory:
    """Return a memory of its own: another id, another instant, other words."""
    words = ("breakout", "pullback", "reversal", "squeeze", "drift", "gap", "failure")
    return Memory(
        memory_id=f"20110103T1431{number:05d}/{agent_id}/SPY",
        agent_id=agent_id,
        revision_id="r1",
        symbol="SPY",
        seen_at=SEEN_AT + timedelta(minutes=number),
        action=Action.BUY,
        vector=tuple(((number * (place + 3)) % 13 - 6) / 2.0 for place in range(16)),
        conviction=0.4,
        entry=Decimal("126.5"),
        stop=Decimal("126.0"),
        target=Decimal("127.5"),
        expires_at=SEEN_AT + timedelta(days=1),
        text=text or f"SPY {words[number % 7]} number {number} near {words[number % 5]} support",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRow:
    """A row and the version that is sent."""

    memory: Memory
    version: int


@dataclass
class FakeMemoryTable:
    """The table of memories, in a dictionary; it hands out rows by id."""

    rows: dict[str, QueuedRow] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)  # version by id
    asked_again: int = 0
    marked: asyncio.Event = field(default_factory=asyncio.Event)  # set by each mark

    def write(self, memories: Iterable[Memory]) -> None:
        """Insert or change rows."""
        for memory in memories:
            before = self.rows.get(memory.memory_id)
            version = before.version + 1 if before else 1
            self.rows[memory.memory_id] = QueuedRow(memory=memory, version=version)

    def reword(self, memory_id: str, text: str) -> None:
        """Change the text of a row."""
        self.write([replace(self.rows[memory_id].memory, text=text)])

    async def memories_to_send(self, limit: int) -> Sequence[QueuedRow]:
        waiting = [row for key, row in self.rows.items() if self.sent.get(key) != row.version]
        return sorted(waiting, key=lambda row: row.memory.memory_id)[:limit]

    async def mark_sent(self, ids: Sequence[str], versions: Sequence[int]) -> None:
        self.sent.update(zip(ids, versions, strict=True))
        self.marked.set()

    async def mark_all_unsent(self) -> None:
        self.asked_again += 1
        self.sent.clear()

    async def memory_count(self) -> int:
        return len(self.rows)
