"""Recall: what was once written about setups like this one, by any agent, for people and lessons.

Decisions never ask here; they use the exact search of `core.quant.similar`. So everything on this
side may be slow, wrong or gone without a trade noticing. The table of memories is the truth and the
queue: rows it has not sent yet are fed in batches, and whatever looks damaged is thrown away and
fed again. Every failure is a state (`degraded`, with a reason), never an exception of the service;
only a failing table goes to the supervisor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.ports import Clock
from roboinvest.core.quant.memories import Memory
from roboinvest.runtime.recall.chroma_client import Row, VectorClient
from roboinvest.runtime.recall.chroma_server import Address, Damaged, Server, ServerAway
from roboinvest.runtime.recall.embedding import EMBEDDING_NAME, embed_query, embed_row
from roboinvest.runtime.recall.generations import Generations, fingerprint
from roboinvest.runtime.supervision.service import ServiceContext

ResultT = TypeVar("ResultT")
COLLECTION: Final = f"memories-{EMBEDDING_NAME}"  # another embedding is another collection
MOST_HITS: Final = 200
_SPARE_HITS: Final = 8  # asked for beyond k, so that ties at the edge are cut by id
_DIGITS: Final = 6  # distances closer than this are ties
_DOUBLINGS: Final = 16  # far beyond any cap; keeps the power small


class _Asked(ServerAway):
    """Nothing is wrong; somebody asked for another connection."""


class RecallState(StrEnum):
    """What recall can do."""

    OFF = "off"
    STARTING = "starting"
    READY = "ready"
    REBUILDING = "rebuilding"
    DEGRADED = "degraded"


class QueuedMemory(Protocol):
    """A row of the table, as it waits to be sent."""

    @property
    def memory(self) -> Memory:
        """Return what to send."""

    @property
    def version(self) -> int:
        """Return the number of the change that is sent."""


class MemoryTable(Protocol):
    """The source of truth. Its own errors are the supervisor's."""

    async def memories_to_send(self, limit: int) -> Sequence[QueuedMemory]:
        """Return up to `limit` rows that changed since they were last marked sent."""

    async def mark_sent(self, ids: Sequence[str], versions: Sequence[int]) -> None:
        """Mark rows as sent; one that changed meanwhile has another version and stays."""

    async def mark_all_unsent(self) -> None:
        """Queue every row again."""

    async def memory_count(self) -> int:
        """Return how many rows there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallHit:
    """One remembered text."""

    memory_id: str
    distance: float  # 1 - likeness, in [0, 2]; 0 is the same words
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallStatus:
    """Recall at one instant, for health and for people."""

    state: RecallState
    reason: str  # one phrase; empty when ready
    since: datetime  # UTC
    generation: str | None  # name of the folder that is served
    rows_sent: int  # since the service started
    setbacks: int  # failures since the service started
    rebuilds: int  # indexes begun since the service started


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallPolicy:
    """How recall is fed, checked and healed."""

    batch_rows: int = 256
    feed_interval_s: float = 2.0
    verify_interval_s: float = 60.0
    crashes_tolerated: int = 3  # within the window; the last of them condemns the index
    crash_window_s: float = 600.0
    backoff_first_s: float = 1.0
    backoff_max_s: float = 300.0


class Recall:
    """The service, and the one door to what it remembers."""

    name: Final = "recall"
    reconnects: Final = "stops its server, starts it again and connects to it"

    def __init__(
        self,
        *,
        table: MemoryTable,
        server: Server,
        connect: Callable[[Address], VectorClient],
        root: Path,  # data/memory
        pool: Executor,
        clock: Clock,
        on_state: Callable[[RecallState, str], None],
        policy: RecallPolicy,
    ) -> None:
        self._table = table
        self._server = server
        self._connect = connect
        self._generations = Generations(root)
        self._pool = pool
        self._clock = clock
        self._on_state = on_state
        self._policy = policy
        self._state = RecallState.OFF
        self._reason = "it was not started"
        self._since = clock.now()
        self._folder: Path | None = None
        self._condemned: Path | None = None
        self._has_served = False  # the folder at hand: an index that never worked is not kept
        self._client: VectorClient | None = None  # while ready
        self._trouble: ServerAway | None = None  # found by a query, for the loop to act on
        self._setbacks: deque[float] = deque()  # monotonic times within the window
        self._crashes: deque[float] = deque()  # the same, of the index at hand
        self._rows_sent = self._setback_count = self._rebuilds = 0

    def status(self) -> RecallStatus:
        """Return what recall can do now."""
        return RecallStatus(
            state=self._state,
            reason=self._reason,
            since=self._since,
            generation=self._folder.name if self._folder else None,
            rows_sent=self._rows_sent,
            setbacks=self._setback_count,
            rebuilds=self._rebuilds,
        )

    async def query(
        self, text: str, k: int, agent_id: str | None = None, *, setup: Sequence[float] = ()
    ) -> tuple[RecallHit, ...]:
        """Return the `k` memories most like `text`, nearest first and equal ones by id.

        Args:
            text: words to look for.
            k: 1 to 200.
            agent_id: look at one agent's memories only.
            setup: a setup vector, to weigh the market as much as the words.

        Raises:
            BadInput: nothing to look for, or `k` out of bounds.
            TryLater: recall is not ready, or just stopped being so.
        """
        if not 1 <= k <= MOST_HITS or not text.strip():
            raise BadInput(
                f"recall needs words and 1 to {MOST_HITS} hits, got k={k}; mend the call"
            )
        client = self._client
        if client is None:
            raise TryLater(
                f"recall is {self._state.value} ({self._reason}); trading goes on without it, "
                "ask again later"
            )
        try:
            found = await client.nearest(
                lambda: embed_query(text, setup), k + _SPARE_HITS, agent_id
            )
        except ServerAway as error:
            if client is self._client:  # else it was replaced while this call waited
                self._report_trouble(error)
            raise
        hits = [
            RecallHit(memory_id=m.row_id, distance=round(m.distance, _DIGITS) + 0.0, text=m.text)
            for m in found
        ]
        return tuple(sorted(hits, key=lambda hit: (hit.distance, hit.memory_id))[:k])

    async def reconnect(self) -> None:
        """Let the loop start the server and connect anew at its next round.

        Raises:
            TryLater: it is not connected, and the loop is at it already.
        """
        if self._client is None:
            raise TryLater(f"recall is {self._state.value} ({self._reason}) and connects anyway")
        self._report_trouble(_Asked("somebody asked for another connection"))

    async def run(self, ctx: ServiceContext) -> None:
        """Serve, feed and heal until cancelled."""
        ctx.ready()  # nothing waits for recall: the house starts without it
        self._enter(RecallState.STARTING, "the server is being started")
        try:
            self._folder = await self._in_thread(self._generations.current)
            self._has_served = self._folder is not None
            while True:
                try:
                    await self._serve(ctx)
                except ServerAway as error:
                    await self._fall_back(ctx, error)
        finally:
            self._client = None
            self._enter(RecallState.OFF, "it was stopped")
            await self._server.stop()

    async def _serve(self, ctx: ServiceContext) -> None:
        folder = self._folder or await self._begin_generation()
        address = await self._server.start(folder)
        client = self._connect(address)
        await client.open(COLLECTION)
        self._trouble = None
        await self._keep_fed(ctx, client, folder)

    async def _keep_fed(self, ctx: ServiceContext, client: VectorClient, folder: Path) -> None:
        opened = await self._in_thread(lambda: fingerprint(folder))
        verified_at: float | None = None
        while True:
            sent = await self._feed(ctx, client)
            is_due = verified_at is None or (
                self._clock.monotonic() - verified_at >= self._policy.verify_interval_s
            )
            if await self._in_thread(lambda: fingerprint(folder)) != opened or opened is None:
                raise Damaged("the folder of the index was removed or replaced")
            if (sent or is_due) and await self._holds_everything(client):
                verified_at = self._clock.monotonic()
                await self._be_ready(client, folder)
            ctx.beat()
            await self._rest(ctx)

    async def _feed(self, ctx: ServiceContext, client: VectorClient) -> int:
        """Send what waits, batch by batch; return how many rows went."""
        sent = 0
        while batch := await self._table.memories_to_send(self._policy.batch_rows):
            await client.put(partial(_rows, batch))
            await self._table.mark_sent(
                [queued.memory.memory_id for queued in batch], [queued.version for queued in batch]
            )
            sent += len(batch)
            self._rows_sent += len(batch)
            ctx.beat()
        return sent

    async def _holds_everything(self, client: VectorClient) -> bool:
        """Return whether the index holds every row; False while the table is being written."""
        before = await self._table.memory_count()
        held = await client.count()
        after = await self._table.memory_count()
        if before != after or await self._table.memories_to_send(1):
            return False
        if held != after:
            raise Damaged(f"the index holds {held} memories and the table {after}")
        return True

    async def _be_ready(self, client: VectorClient, folder: Path) -> None:
        self._raise_trouble()  # a query may have failed while rows were sent
        if self._state is RecallState.READY:
            return
        await self._in_thread(lambda: self._generations.forget_all_but(folder))
        self._has_served = True
        self._client = client
        self._enter(RecallState.READY, "")

    async def _rest(self, ctx: ServiceContext) -> None:
        """Wait for the next round; fail at once when the server ends."""
        await self._in_thread(self._server.trim_log)
        ctx.idle(self._policy.feed_interval_s)
        try:
            async with asyncio.timeout(self._policy.feed_interval_s):
                how = await self._server.wait()
        except TimeoutError:
            self._raise_trouble()
        else:
            raise ServerAway(f"the recall server ended ({how})")

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            raise self._trouble

    def _report_trouble(self, error: ServerAway) -> None:
        """Stop answering at once; the loop heals at its next round."""
        self._client = None
        self._trouble = error
        self._enter(RecallState.DEGRADED, str(error))

    async def _fall_back(self, ctx: ServiceContext, error: ServerAway) -> None:
        """Step back to degraded, judge the index, and wait before the next attempt."""
        self._client = None
        self._enter(RecallState.DEGRADED, str(error))
        await self._server.stop()
        if isinstance(error, _Asked):  # nothing speaks against the index
            return
        self._setback_count += 1
        crashes = self._count(self._crashes)
        if isinstance(error, Damaged) or crashes >= self._policy.crashes_tolerated:
            self._condemned, self._folder = self._folder or self._condemned, None
        await ctx.sleep(backoff_s(self._count(self._setbacks), self._policy))
        ctx.beat()

    async def _begin_generation(self) -> Path:
        """Set the condemned index aside and begin an empty one, all rows queued.

        The pointer moves before the rows are queued: a kill in between leaves an empty index and a
        table that says sent, which the count finds at the next start.
        """
        why = self._reason if self._condemned else "there is no index yet"
        self._enter(RecallState.REBUILDING, why)
        self._folder = folder = await self._in_thread(self._replace_folder)
        self._condemned = None
        self._has_served = False
        self._crashes.clear()
        self._rebuilds += 1
        await self._table.mark_all_unsent()
        return folder

    def _replace_folder(self) -> Path:
        if self._condemned is not None:
            aside = self._generations.quarantine if self._has_served else self._generations.discard
            aside(self._condemned)
        return self._generations.begin()

    def _count(self, times: deque[float]) -> int:
        """Add this instant to `times` and return how many lie within the window."""
        now = self._clock.monotonic()
        times.append(now)
        while times[0] <= now - self._policy.crash_window_s:
            times.popleft()
        return len(times)

    def _enter(self, state: RecallState, reason: str) -> None:
        if (state, reason) == (self._state, self._reason):
            return
        self._state, self._reason, self._since = state, reason, self._clock.now()
        self._on_state(state, reason)

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except OSError as error:
            raise ServerAway(f"the memory folder cannot be used: {error.strerror}") from error


def backoff_s(setbacks: int, policy: RecallPolicy) -> float:
    """Return the wait after that many failures within the window."""
    doublings = min(max(setbacks, 1) - 1, _DOUBLINGS)
    return min(policy.backoff_first_s * 2.0**doublings, policy.backoff_max_s)


def _rows(batch: Sequence[QueuedMemory]) -> list[Row]:
    return [_row(queued.memory) for queued in batch]


def _row(memory: Memory) -> Row:
    text = memory.text.encode("utf-8", "replace").decode()  # half a surrogate pair is no JSON
    return Row(
        row_id=memory.memory_id,
        vector=embed_row(text, memory.vector),
        text=text,
        agent_id=memory.agent_id,
    )
