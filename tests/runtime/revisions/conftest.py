"""A house in which nobody has drafted anything yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.revisions import AgentHouse, agent_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[AgentHouse]:
    """Return an empty house with every gate known."""
    with agent_house(tmp_path) as opened:
        yield opened
