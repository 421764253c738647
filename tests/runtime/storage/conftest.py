"""A database that is made once and copied for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roboinvest.runtime.store import Store
from tests.fakes.open_stores import opened


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("template") / "store.db"

    async def create() -> None:
        await (await opened(path)).close()

    asyncio.run(create())
    return path.read_bytes()


@pytest.fixture
def database(tmp_path: Path, empty_database: bytes) -> Path:
    path = tmp_path / "store.db"
    path.write_bytes(empty_database)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    store = await opened(database)
    yield store
    await store.close()
