"""Whatever becomes of the text memory, no decision changes.

The same days are lived through with recall off, ready, failing, forgetting and begun anew. It is a
cache: the account must come to the same books each time, and once the server is well again it must
hold every memory of the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.records import TickCommit
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.recall.chroma_client import ChromaClient
from roboinvest.runtime.recall.recall import Recall, RecallState
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from roboinvest.trading.state import TickState
from tests.fakes.chroma import FakeChroma, Manner
from tests.fakes.gambler import gambler
from tests.fakes.recall_house import CALL_TIMEOUT_S, PATIENCE_S, QUICK
from tests.fakes.services import context
from tests.fakes.town import Town, books_in, run_life
from tests.fakes.worlds import invented

SETTINGS = load_settings(None, {}, {"risk.no_entry_last_min": 2, "risk.cooldown_bars": 2})

Books = dict[str, list[dict[str, Any]]]


class RecallBeside:
    """A recall service on the account's own store, while the account trades."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.chroma = FakeChroma()
        self.states: list[RecallState] = []
        self.reasons: list[str] = []
        self.call_timeout_s = CALL_TIMEOUT_S
        self._changed = asyncio.Event()

    def note(self, state: RecallState, reason: str) -> None:
        self.states.append(state)
        self.reasons.append(f"{state}: {reason}")
        self._changed.set()

    async def until(self, state: RecallState) -> None:
        """Wait until a state is entered once more, or stands."""
        async with asyncio.timeout(PATIENCE_S):
            while self.states[-1:] != [state]:
                self._changed.clear()
                await self._changed.wait()

    async def live(self, trouble: Callable[[RecallBeside, int], None]) -> set[str]:
        """Trade to the end with recall beside it; return what the server holds in the end."""
        with ThreadPoolExecutor(2) as pool:
            async with self.town.store() as store, asyncio.TaskGroup() as group:
                recall = self.recall_on(store, pool)
                serving = group.create_task(recall.run(context("recall")))
                await self.until(RecallState.READY)
                self.town.watcher = Troubled(self, trouble)
                await self.town.service(store).run(context("trading"))
                self.chroma.manner = Manner.ANSWERING
                await self.fed(store)
                held = set(self.chroma.held)
                serving.cancel()
        return held

    async def fed(self, store: Store) -> None:
        """Wait until the server is ready and holds as much as the table."""
        count = await store.memory_count()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.until(RecallState.READY)
                if len(self.chroma.held) == count:
                    return
                await asyncio.sleep(QUICK.feed_interval_s)

    def recall_on(self, store: Store, pool: ThreadPoolExecutor) -> Recall:
        return Recall(
            table=store,
            server=self.chroma,
            connect=lambda at: ChromaClient(at, pool=pool, timeout_s=self.call_timeout_s),
            root=self.town.folder / "memory",
            pool=pool,
            clock=SystemClock(),
            on_state=self.note,
            policy=QUICK,
        )


class Troubled:
    """Makes trouble for the server as ticks go by."""

    def __init__(self, beside: RecallBeside, trouble: Callable[[RecallBeside, int], None]) -> None:
        self._beside = beside
        self._trouble = trouble
        self._ticks = 0

    def saw(self, _state: TickState, _commit: TickCommit) -> None:
        self._ticks += 1
        self._trouble(self._beside, self._ticks)


def nothing(_beside: RecallBeside, _tick: int) -> None:
    """Leave the server alone."""


def failing(beside: RecallBeside, tick: int) -> None:
    """Let every call fail in the middle third."""
    beside.chroma.manner = Manner.FAILING if 40 <= tick < 80 else Manner.ANSWERING


def stalled(beside: RecallBeside, tick: int) -> None:
    """Let no call be answered from the middle on."""
    beside.chroma.manner = Manner.STALLED if tick >= 60 else Manner.ANSWERING


def crashing(beside: RecallBeside, tick: int) -> None:
    """End the server again and again."""
    if tick % 30 == 0:
        beside.chroma.end("signal 9")


def forgetting(beside: RecallBeside, tick: int) -> None:
    """Lose rows now and then, so that the index is begun anew."""
    if tick % 25 == 0 and beside.chroma.held:
        beside.chroma.held.popitem()


@pytest.fixture(scope="module")
def without_recall(tmp_path_factory: pytest.TempPathFactory) -> Books:
    town = account(tmp_path_factory.mktemp("off"))
    run_life(town)
    return books_of(town)


def account(folder: Path) -> Town:
    return Town(market=invented(3), folder=folder, model=gambler(), settings=SETTINGS)


def books_of(town: Town) -> Books:
    """Return the books without what only says whether recall has a row."""
    books = books_in(town.database)
    for memory in books["memories"]:
        del memory["unsent"]
    return books


@pytest.mark.parametrize("trouble", [nothing, failing, stalled, crashing, forgetting])
async def test_no_trouble_of_recall_changes_a_decision_and_no_memory_stays_lost(
    without_recall: Books,
    tmp_path: Path,
    trouble: Callable[[RecallBeside, int], None],
) -> None:
    beside = RecallBeside(account(tmp_path))
    if trouble is nothing:
        beside.call_timeout_s = PATIENCE_S  # a busy machine is no trouble of the server's
    held = await beside.live(trouble)
    assert books_of(beside.town) == without_recall
    assert held == {memory["memory_id"] for memory in without_recall["memories"]}
    assert len(held) > 15
    in_trouble = {RecallState.DEGRADED, RecallState.REBUILDING} & set(beside.states[3:])
    assert bool(in_trouble) is (trouble is not nothing), beside.reasons


async def test_an_index_that_is_removed_gets_every_row_again(
    without_recall: Books, tmp_path: Path
) -> None:
    beside = RecallBeside(account(tmp_path))
    await beside.live(nothing)
    for number in (1, 2):
        folder = beside.chroma.folders[-1]
        (folder / "chroma.sqlite3").unlink()
        folder.rmdir()
        again = RecallBeside(beside.town)
        held = await again.live(nothing)
        assert held == {memory["memory_id"] for memory in without_recall["memories"]}, number
        beside = again
    assert books_of(beside.town) == without_recall


class WithoutLessons(Store):
    """A store whose memories are gone: the truth, and not the cache."""

    async def load(self) -> StoredState:
        return replace(await super().load(), resolved_memories=(), calibration=())


def test_losing_the_table_itself_would_be_seen(without_recall: Books, tmp_path: Path) -> None:
    town = account(tmp_path)
    town.until = town.market.calendar.sessions(
        town.market.starts_at.date(), town.market.starts_at.date()
    )[0].closes_at
    run_life(town)
    town.until, town.opens = None, WithoutLessons
    run_life(town)
    assert books_of(town) != without_recall
