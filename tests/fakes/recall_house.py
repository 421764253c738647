"""A recall service with its neighbours, quick and observed: what its tests start from.

The server is the loopback stand-in, the client and its sockets are real. Every state the service
enters is kept, so that a test waits for a state instead of for time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.recall.chroma_client import ChromaClient
from roboinvest.runtime.recall.chroma_server import Address
from roboinvest.runtime.recall.recall import Recall, RecallPolicy, RecallState
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.chroma import FakeChroma, FakeMemoryTable

QUICK: Final = RecallPolicy(
    batch_rows=10,
    feed_interval_s=0.02,
    verify_interval_s=0.05,
    backoff_first_s=0.01,
    backoff_max_s=0.02,
)
CALL_TIMEOUT_S: Final = 0.25
PATIENCE_S: Final = 10.0


@dataclass
class House:
    """One recall service with its neighbours, and every state it went through."""

    root: Path
    pool: ThreadPoolExecutor
    policy: RecallPolicy = QUICK
    chroma: FakeChroma = field(default_factory=FakeChroma)
    table: FakeMemoryTable = field(default_factory=FakeMemoryTable)
    states: list[tuple[RecallState, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.recall = Recall(
            table=self.table,
            server=self.chroma,
            connect=self.connect,
            root=self.root,
            pool=self.pool,
            clock=SystemClock(),
            on_state=self.note,
            policy=self.policy,
        )

    def connect(self, address: Address) -> ChromaClient:
        return ChromaClient(address, pool=self.pool, timeout_s=CALL_TIMEOUT_S)

    def note(self, state: RecallState, reason: str) -> None:
        self.states.append((state, reason))
        self.changed.set()

    def times(self, state: RecallState) -> int:
        return sum(1 for seen, _ in self.states if seen is state)

    def reasons(self, state: RecallState) -> list[str]:
        return [reason for seen, reason in self.states if seen is state]

    async def until(self, state: RecallState, nth: int = 1) -> None:
        """Wait until `state` was entered for the nth time."""
        async with asyncio.timeout(PATIENCE_S):
            while self.times(state) < nth:
                self.changed.clear()
                await self.changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ServiceContext]:
        loop = asyncio.get_running_loop()
        ctx = ServiceContext(
            "recall", patience_s=PATIENCE_S, ready_within_s=PATIENCE_S, loop_time=loop.time
        )
        async with asyncio.TaskGroup() as group:
            service = group.create_task(self.recall.run(ctx))
            try:
                yield ctx
            finally:
                service.cancel()
