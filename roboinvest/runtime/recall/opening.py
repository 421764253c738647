"""The text memory put together: a Chroma child of our own, its client, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from roboinvest.core.events import Event
from roboinvest.core.ports import Clock
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.recall.announce import RecallAnnouncer
from roboinvest.runtime.recall.chroma_client import ChromaClient
from roboinvest.runtime.recall.chroma_server import ChromaServer, ServerLimits
from roboinvest.runtime.recall.recall import Recall, RecallPolicy
from roboinvest.runtime.store import Store


def open_recall(
    store: Store,
    folder: DataFolder,
    *,
    disk_limit_mb: int,
    pool: ThreadPoolExecutor,
    publish: Callable[[Event], None],
    clock: Clock,
) -> Recall:
    """Return the service; nothing is started before it runs.

    Args:
        store: the table that text recall is rebuilt from.
        folder: where Chroma keeps its files and its log.
        disk_limit_mb: MiB that one file of the child may reach.
        pool: for the client's blocking calls.
        publish: hears of every change of state.
        clock: of the events.
    """
    server = ChromaServer(
        log_path=folder.logs / "chroma.log",
        pool=pool,
        limits=ServerLimits(disk_limit_mb=disk_limit_mb),
    )
    return Recall(
        table=store,
        server=server,
        connect=lambda address: ChromaClient(address, pool=pool),
        root=folder.memory,
        pool=pool,
        clock=clock,
        on_state=RecallAnnouncer(publish, clock),
        policy=RecallPolicy(),
    )
