"""A ledger in a file, the ways to stand in its writer's way, and what it told people."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.lanes import file
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import CallFacts, Denied, Notice, Reserved
from tests.fakes.clocks import ManualClock
from tests.fakes.spending import DOLLAR, NOON


class Desk:
    """Opens ledgers on one file; it keeps the last writer's connection in reach."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock(NOON)
        self.in_flight = InFlight()
        self.told: list[Notice] = []
        self.writer: sqlite3.Connection | None = None

    async def open(
        self, caps: SpendCaps = DOLLAR, *, recover: bool = True, **more: Any
    ) -> SpendLedger:
        """Open a ledger; close it yourself."""
        wiring: dict[str, Any] = {"tell": self.told.append, "connect": self.connect, **more}
        return await SpendLedger.open(
            self.path,
            caps,
            in_flight=self.in_flight,
            clock=self.clock,
            recover=recover,
            **wiring,
        )

    @contextlib.asynccontextmanager
    async def ledger(
        self, caps: SpendCaps = DOLLAR, *, recover: bool = True, **more: Any
    ) -> AsyncIterator[SpendLedger]:
        """Open a ledger for a while."""
        opened = await self.open(caps, recover=recover, **more)
        try:
            yield opened
        finally:
            await opened.close()

    def connect(self, path: Path) -> sqlite3.Connection:
        self.writer = file.connect(path)
        return self.writer

    def pragma(self, text: str) -> object:
        """Set or read a pragma of the writer's connection."""
        assert self.writer is not None
        row = self.writer.execute(f"PRAGMA {text}").fetchone()
        return None if row is None else row[0]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep every writer waiting, as another process in the middle of a commit does."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def kinds(self) -> list[tuple[str, str, str]]:
        """Return what people were told: kind, cap and name."""
        return [(each.kind.value, each.cap.value, each.name) for each in self.told]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "llm.db")


@pytest.fixture
async def ledger(desk: Desk) -> AsyncIterator[SpendLedger]:
    async with desk.ledger() as opened:
        yield opened


async def reserved(ledger: SpendLedger, *calls: CallFacts) -> list[Reserved | Denied]:
    """Return what each reservation comes to, one after the other."""
    return [await ledger.reserve(call) for call in calls]
