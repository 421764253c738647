"""Threads and a recall service for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.recall_house import House


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
async def house(tmp_path: Path, pool: ThreadPoolExecutor) -> House:
    return House(root=tmp_path / "memory", pool=pool)
