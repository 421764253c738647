"""The real child: it comes up, holds rows, dies with its parent, and heals from damage."""

from __future__ import annotations

import asyncio
import os
import random
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.recall.chroma_client import ChromaClient, Row
from roboinvest.runtime.recall.chroma_server import (
    LOOPBACK,
    Address,
    ChromaServer,
    Damaged,
    ServerAway,
    ServerLimits,
)
from roboinvest.runtime.recall.embedding import embed_query, embed_row
from roboinvest.runtime.recall.recall import COLLECTION, Recall, RecallPolicy, RecallState
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.chroma import FakeMemoryTable, make_memory

PATIENCE_S: Final = 15.0
REPOSITORY: Final = Path(__file__).resolve().parents[3]
_DAEMON: Final = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from roboinvest.runtime.recall.chroma_server import ChromaServer, ServerLimits

async def main():
    root = Path(sys.argv[1])
    server = ChromaServer(
        log_path=root / "chroma.log", pool=ThreadPoolExecutor(1), limits=ServerLimits()
    )
    await server.start(root / "generation-0001")
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def server(tmp_path: Path, pool: ThreadPoolExecutor) -> ChromaServer:
    return ChromaServer(log_path=tmp_path / "chroma.log", pool=pool, limits=ServerLimits())


def _rows(numbers: range) -> list[Row]:
    memories = [make_memory(n) for n in numbers]
    return [
        Row(
            row_id=m.memory_id, vector=embed_row(m.text, m.vector), text=m.text, agent_id=m.agent_id
        )
        for m in memories
    ]


async def _opened(address: Address, pool: ThreadPoolExecutor) -> ChromaClient:
    client = ChromaClient(address, pool=pool)
    await client.open(COLLECTION)
    return client


async def test_rows_outlive_the_child_and_the_nearest_are_the_exact_nearest(
    tmp_path: Path, pool: ThreadPoolExecutor, server: ChromaServer
) -> None:
    rows = _rows(range(300))
    asked = embed_query("SPY squeeze number 123 near breakout support")
    exact = sorted(
        (1.0 - sum(a * b for a, b in zip(asked, row.vector, strict=True)), row.row_id)
        for row in rows
    )[:5]
    address = await server.start(tmp_path / "generation-0001")
    client = await _opened(address, pool)
    await client.put(lambda: rows)
    await client.put(lambda: rows[:10])
    await server.stop()
    with pytest.raises(ServerAway):
        await client.count()
    client = await _opened(await server.start(tmp_path / "generation-0001"), pool)
    assert await client.count() == 300
    found = await client.nearest(lambda: asked, 5, "organic")
    assert [match.distance for match in found] == pytest.approx([d for d, _ in exact], abs=1e-4)
    assert found[0].row_id == exact[0][1]
    assert await client.nearest(lambda: asked, 5, "nobody") == ()
    await server.stop()


async def test_the_child_is_confined_knows_no_secret_and_writes_a_bounded_log(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    limits = ServerLimits(disk_limit_mb=64, memory_limit_mb=2048, log_limit_mb=0)
    server = ChromaServer(log_path=tmp_path / "logs" / "chroma.log", pool=pool, limits=limits)
    address = await server.start(tmp_path / "generation-0001")
    assert server.pid is not None
    child = psutil.Process(server.pid)
    assert child.rlimit(psutil.RLIMIT_FSIZE) == (64 << 20, 64 << 20)
    assert child.rlimit(psutil.RLIMIT_AS) == (2048 << 20, 2048 << 20)
    assert child.nice() >= 5
    assert set(child.environ()) <= {"PATH", "LANG", "ANONYMIZED_TELEMETRY", "RUST_LOG", "LC_CTYPE"}
    assert {c.laddr.ip for c in child.net_connections("tcp")} == {"127.0.0.1"}
    for _ in range(20):
        with pytest.raises(Damaged):
            await ChromaClient(address, pool=pool).count()
    server.trim_log()
    assert (tmp_path / "logs" / "chroma.log").stat().st_size == 0
    await server.stop()
    assert not child.is_running()
    assert await server.wait() == "it does not run"


async def test_two_children_never_serve_one_folder(
    tmp_path: Path, pool: ThreadPoolExecutor, server: ChromaServer
) -> None:
    first = await server.start(tmp_path / "generation-0001")
    second = ChromaServer(log_path=tmp_path / "second.log", pool=pool, limits=ServerLimits())
    with pytest.raises(Damaged, match="another server still holds the folder"):
        await second.start(tmp_path / "generation-0001")
    other = await second.start(tmp_path / "generation-0002")
    assert other.port != first.port, "the kernel chose, so neither can be taken for the other"
    await server.stop()
    await second.stop()


async def test_a_folder_of_garbage_ends_the_child_and_is_named_damaged(
    tmp_path: Path, server: ChromaServer
) -> None:
    folder = tmp_path / "generation-0001"
    folder.mkdir()
    (folder / "chroma.sqlite3").write_bytes(random.Random(1).randbytes(50_000))
    with pytest.raises(Damaged, match="ended before it listened"):
        await server.start(folder)
    assert server.pid is None


async def test_a_child_that_does_not_listen_in_time_is_killed(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    limits = ServerLimits(start_timeout_s=0.01)
    server = ChromaServer(log_path=tmp_path / "chroma.log", pool=pool, limits=limits)
    before = set(psutil.Process().children())
    with pytest.raises(ServerAway, match="did not listen within"):
        await server.start(tmp_path / "generation-0001")
    assert {p for p in psutil.Process().children() if p.is_running()} <= before


def test_the_child_is_gone_within_a_second_of_a_killed_daemon(tmp_path: Path) -> None:
    daemon = subprocess.Popen(
        [sys.executable, "-c", _DAEMON, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    with daemon, daemon.stdout:
        child = os.pidfd_open(int(daemon.stdout.readline()))  # readable once the process ended
        assert select.select([child], [], [], 0.0)[0] == []
        daemon.kill()
        ended, _, _ = select.select([child], [], [], 1.0)
        os.close(child)
    assert ended == [child]


@dataclass
class Running:
    """A recall service on a real child."""

    recall: Recall
    server: ChromaServer
    pool: ThreadPoolExecutor
    states: asyncio.Queue[tuple[RecallState, str]]

    async def until(self, wanted: RecallState) -> str:
        """Wait until `wanted` is entered, after what was waited for before; return its reason."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                state, reason = await self.states.get()
                if state is wanted:
                    return reason

    async def count(self) -> int:
        return await (await _opened(_address_of(self.server), self.pool)).count()


@asynccontextmanager
async def _recall_on(
    root: Path,
    server: ChromaServer,
    pool: ThreadPoolExecutor,
    table: FakeMemoryTable,
    batch_rows: int = 256,
) -> AsyncIterator[Running]:
    states: asyncio.Queue[tuple[RecallState, str]] = asyncio.Queue()
    recall = Recall(
        table=table,
        server=server,
        connect=lambda address: ChromaClient(address, pool=pool),
        root=root,
        pool=pool,
        clock=SystemClock(),
        on_state=lambda state, reason: states.put_nowait((state, reason)),
        policy=RecallPolicy(
            batch_rows=batch_rows,
            feed_interval_s=0.05,
            verify_interval_s=0.1,
            backoff_first_s=0.02,
            backoff_max_s=0.1,
        ),
    )
    loop = asyncio.get_running_loop()
    ctx = ServiceContext(
        "recall", patience_s=PATIENCE_S, ready_within_s=PATIENCE_S, loop_time=loop.time
    )
    async with asyncio.TaskGroup() as group:
        service = group.create_task(recall.run(ctx))
        try:
            yield Running(recall=recall, server=server, pool=pool, states=states)
        finally:
            service.cancel()


async def test_a_child_killed_while_fed_is_degraded_then_ready_with_all_rows(
    tmp_path: Path, pool: ThreadPoolExecutor, server: ChromaServer
) -> None:
    class KillingTable(FakeMemoryTable):
        killed: int | None = None

        async def mark_sent(self, ids: Sequence[str], versions: Sequence[int]) -> None:
            await super().mark_sent(ids, versions)
            if self.killed is None and len(self.sent) >= 200:
                self.killed = server.pid
                os.kill(server.pid or 0, signal.SIGKILL)

    table = KillingTable()
    table.write(make_memory(n) for n in range(1000))
    async with _recall_on(tmp_path / "memory", server, pool, table, 50) as running:
        await running.until(RecallState.DEGRADED)
        await running.until(RecallState.READY)
        assert table.killed not in (None, server.pid)
        assert await running.count() == 1000
        wanted = table.rows["20110103T143100007/organic/SPY"].memory
        (hit,) = await running.recall.query(wanted.text, 1)
    assert hit.memory_id == wanted.memory_id


async def test_a_folder_deleted_below_the_child_is_built_anew_odd_texts_included(
    tmp_path: Path, pool: ThreadPoolExecutor, server: ChromaServer
) -> None:
    table = FakeMemoryTable()
    table.write(make_memory(n) for n in range(97))
    odd = ("half \ud800 of a pair", "\x00 \u202e control", " ")
    table.write(make_memory(97 + n, text=text) for n, text in enumerate(odd))
    async with _recall_on(tmp_path / "memory", server, pool, table) as running:
        await running.until(RecallState.READY)
        shutil.rmtree(tmp_path / "memory")
        assert "removed" in await running.until(RecallState.DEGRADED)
        await running.until(RecallState.READY)
        assert await running.count() == 100
    assert (tmp_path / "memory" / "CURRENT").exists()


async def test_a_child_at_its_disk_limit_degrades_and_heals_when_the_table_fits(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    limits = ServerLimits(disk_limit_mb=1)
    server = ChromaServer(log_path=tmp_path / "chroma.log", pool=pool, limits=limits)
    table = FakeMemoryTable()
    table.write(make_memory(n, text=f"breakout {n} " + "padding " * 400) for n in range(500))
    async with _recall_on(tmp_path / "memory", server, pool, table) as running:
        assert "status 500" in await running.until(RecallState.DEGRADED)
        for row_id in list(table.rows)[20:]:
            del table.rows[row_id]
        await running.until(RecallState.READY)
        assert await running.count() == 20
    sizes = [path.stat().st_size for path in (tmp_path / "memory").rglob("*") if path.is_file()]
    assert max(sizes) <= 1 << 20


async def test_a_frozen_child_is_replaced_because_calls_have_a_deadline(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    limits = ServerLimits(stop_timeout_s=0.2)  # a frozen process does not take SIGTERM
    server = ChromaServer(log_path=tmp_path / "chroma.log", pool=pool, limits=limits)
    table = FakeMemoryTable()
    table.write(make_memory(n) for n in range(20))
    async with _recall_on(tmp_path / "memory", server, pool, table) as running:
        await running.until(RecallState.READY)
        frozen = server.pid
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        assert "did not answer count within 2 s" in await running.until(RecallState.DEGRADED)
        await running.until(RecallState.READY)
        assert server.pid != frozen
    assert not psutil.pid_exists(frozen)


def _address_of(server: ChromaServer) -> Address:
    assert server.pid is not None
    (listening,) = {
        c.laddr.port
        for c in psutil.Process(server.pid).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
    return Address(host=LOOPBACK, port=listening)
